"""`.ci/long-training`: what it starts stands still while something else is held, and only that."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parent.parent / ".ci/long-training"
TRAINING = """#!/bin/sh
echo "$@" > arguments
sleep 300 &  # a worker of it
wait
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A checkout whose frozen copy is there already, with a program that waits in the place of `glasseg`."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    (tmp_path / "runs/long/venv/bin").mkdir(parents=True)
    (tmp_path / "labelled").mkdir()
    (tmp_path / "runs/long/commit").write_text("0123456789abcdef\n")
    program = tmp_path / "runs/long/venv/bin/glasseg"
    program.write_text(TRAINING)
    program.chmod(0o755)
    yield tmp_path
    call(tmp_path, "stop")


def call(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(checkout / ".ci/long-training"), *words]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=60)


def family(checkout: Path) -> list[psutil.Process]:
    """The program and the process below it."""
    program = psutil.Process(int((checkout / "runs/long/pid").read_text().split()[0]))
    return [program, *program.children()]


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_starts_once_idle_and_without_end(checkout: Path) -> None:
    started = call(checkout, "start", "labelled", "--drawn", "5")
    assert started.returncode == 0, started.stderr
    until(lambda: len(family(checkout)) == 2)
    arguments = (checkout / "runs/long/arguments").read_text()  # not in the checkout, whose code it must not import
    assert arguments.startswith(f"train {checkout}/labelled model --start-from packaged ")
    assert "--epochs 100000 --cooldown 0" in arguments and arguments.endswith("--drawn 5\n")
    policies = subprocess.run(["chrt", "-p", str(family(checkout)[1].pid)], capture_output=True, text=True, check=True)
    assert "SCHED_IDLE" in policies.stdout
    autogroup = Path(f"/proc/{family(checkout)[1].pid}/autogroup")
    assert not autogroup.exists() or autogroup.read_text().endswith("nice 19\n")
    again = call(checkout, "start", "labelled")
    assert again.returncode == 1 and "it runs already" in again.stderr
    assert "runs, pid" in call(checkout, "status").stdout


def test_an_unfinished_run_is_resumed_and_a_finished_model_left_alone(checkout: Path) -> None:
    (checkout / "runs/long/model/_training").mkdir(parents=True)
    (checkout / "runs/long/model/model.json").write_text("{}")
    refused = call(checkout, "start", "labelled")
    assert refused.returncode == 1 and "is finished: move it away" in refused.stderr
    (checkout / "runs/long/model/_training/run.json").write_text("{}")
    assert call(checkout, "start", "labelled").returncode == 0
    until((checkout / "runs/long/arguments").exists)
    arguments = (checkout / "runs/long/arguments").read_text()
    assert arguments == f"train {checkout}/labelled model --loader-cpus 1\n", "its recipe is the one that it began with"


def test_what_ends_at_once_is_reported_and_can_be_started_again(checkout: Path) -> None:
    program = checkout / "runs/long/venv/bin/glasseg"
    program.write_text("#!/bin/sh\necho no such option >&2; exit 2\n")
    failed = call(checkout, "start", "labelled")
    assert failed.returncode == 1 and "it ended at once, see runs/long/log" in failed.stderr
    assert "no such option" in (checkout / "runs/long/log").read_text()
    assert "does not run" in call(checkout, "status").stdout
    program.write_text(TRAINING)
    assert call(checkout, "start", "labelled").returncode == 0


def test_it_pauses_while_a_command_is_held_and_resumes_however_that_ends(checkout: Path) -> None:
    call(checkout, "start", "labelled")
    until(lambda: len(family(checkout)) == 2)
    # an idle process on a busy machine takes note of the signal only when it gets a turn
    stopped = 'for pid in "$@"; do until grep -q ") T" /proc/$pid/stat; do sleep 0.05; done; done; exit 7'
    held = call(checkout, "hold", "sh", "-c", stopped, "sh", *(str(one.pid) for one in family(checkout)))
    assert held.returncode == 7
    until(lambda: all(one.status() != psutil.STATUS_STOPPED for one in family(checkout)))
    killed = call(checkout, "hold", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 128 + signal.SIGKILL
    until(lambda: all(one.status() != psutil.STATUS_STOPPED for one in family(checkout)))


def test_another_process_with_its_number_is_left_alone(checkout: Path) -> None:
    other = subprocess.Popen(["sleep", "300"])
    try:
        (checkout / "runs/long/pid").write_text(f"{other.pid} 1\n")
        (checkout / "runs/long/log").write_text("")
        shown = call(checkout, "hold", "cut", "-d", " ", "-f", "3", f"/proc/{other.pid}/stat")
        assert shown.returncode == 0 and shown.stdout.strip() != "T"
        assert "does not run" in call(checkout, "status").stdout
    finally:
        other.kill()
        other.wait()
        (checkout / "runs/long/pid").unlink()


def test_stopping_ends_all_of_it(checkout: Path) -> None:
    call(checkout, "start", "labelled")
    until(lambda: len(family(checkout)) == 2)
    everyone = family(checkout)
    assert call(checkout, "stop").returncode == 0
    until(lambda: not any(one.is_running() for one in everyone))
    assert call(checkout, "stop").returncode == 1
