"""What people meet at the command line: quick help, and mistakes in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from glasseg.config import TrainConfig
from jobs.cli import cli

HEAVY = {"boto3", "cv2", "keras", "matplotlib", "numpy", "pandas", "PIL", "pyarrow", "ray", "tensorflow"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, jobs.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["whiten", "/no/such/folder", "/tmp/out"], "/no/such/folder does not exist"),
        (["whiten", "/no/such\x1b[2J\n", "/tmp/out"], r"/no/such\x1b[2J\n does not exist"),
        (["whiten", "{tmp}/in", "{tmp}/out", "--model", "{tmp}"], "no model in"),
        (["whiten", "{tmp}/in", "{tmp}/out", "--summary-json", "{tmp}/no/x.json"], "can't be written"),
        (["train", "{tmp}/in", "{tmp}/out"], "no labelled photos in"),
        (["evaluate", "packaged", "{tmp}/in"], "no labelled photos in"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"no picture")
    result = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.returncode == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("glasseg: ")]
    assert words in line
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_terminal_that_lacks_letters_of_a_name_gets_them_escaped(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/眼鏡.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "jobs.cli", "whiten", f"{tmp_path}/in", f"{tmp_path}/out", "--dry-run"]
    latin = os.environ | {"PYTHONIOENCODING": "latin-1"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=latin)
    assert result.returncode == 0, result.stderr
    assert r"\u773c\u93e1.jpg" in result.stdout


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_a_command_unless_nohup_started_it(ignored: bool) -> None:
    command = (
        "import signal, sys, time, click; from jobs.cli import cli, main\n"
        "if sys.argv.pop() == 'True': signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "@cli.command()\n"
        "def wait(): print('waiting', flush=True); time.sleep(60)\n"
        "main()"
    )
    run = subprocess.Popen([sys.executable, "-c", command, "wait", str(ignored)], stdout=subprocess.PIPE, text=True)
    assert run.stdout and run.stdout.readline() == "waiting\n"
    run.send_signal(signal.SIGHUP)
    if ignored:
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)
        run.terminate()
    assert run.wait(30) == 143


def test_an_unreachable_cluster_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"no picture")
    result = run("whiten", str(tmp_path / "in"), str(tmp_path / "out"), "--address", "127.0.0.1:1")
    assert result.returncode == 1
    assert "can't reach a Ray cluster at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == "", "counts of a run that did not begin"


def test_a_log_in_json_ends_with_the_error(tmp_path: Path) -> None:
    result = run("whiten", str(tmp_path / "missing"), str(tmp_path / "white"), "--log-json")
    entries = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.returncode == entries[-1]["exit_code"] == 1
    assert entries[-1]["level"] == "error" and "does not exist" in entries[-1]["message"] and entries[-1]["run_id"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["whiten"], "glasseg: Missing argument 'SRC' (see glasseg whiten --help)"),
        (["nonsense"], "glasseg: No such command 'nonsense' (see glasseg --help)"),
        (["whiten", "a", "b", "--column", "x"], "glasseg: --column names a column of --photos: give both, or neither"),
        (["whiten", "a", "b", "--price-per-hour", "1"], "glasseg: --price-per-hour is for the estimate of --dry-run"),
        (["whiten", "a", "b", "--summary-json", "s3://bucket"], "glasseg: --summary-json s3://bucket names no object"),
        (
            ["whiten", "a", "s3:/bucket/b"],
            "glasseg: 's3:/bucket/b' looks like s3://bucket/prefix: it needs two slashes",
        ),
        (["whiten", "a", "b", "--workers", "0"], "glasseg: Invalid value for '--workers': "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], line: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(line) and result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", cli.commands)
def test_help_fits_100_columns_on_a_wide_terminal(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"], env={"COLUMNS": "200"}).output
    assert shown.startswith("Usage:") and max(map(len, shown.splitlines())) <= 100


def test_every_option_has_a_help_text() -> None:
    for name, command in cli.commands.items():
        for param in command.params:
            assert not isinstance(param, click.Option) or param.help, f"{name} {param.name}"


def test_help_of_train_shows_what_the_default_preset_has() -> None:
    shown = " ".join(CliRunner().invoke(cli, ["train", "--help"], terminal_width=200).output.split())
    assert "over all workers. [default: 16, preset compact]" in shown
    assert "[default: 256,384,512, preset compact]" in shown
    recipe = {field.name for field in fields(TrainConfig)} - {"preset"}
    assert shown.count("preset compact]") == sum(param.name in recipe for param in cli.commands["train"].params)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("#FFF", "white"),
        ("White", "white"),
        ("#F5F5F5", "#f5f5f5"),
        ("#fa0", "#ffaa00"),
        ("transparent", "transparent"),
    ],
)
def test_a_background_is_written_in_one_way(given: str, meant: str) -> None:
    from jobs.options import Background

    assert Background().convert(given, None, None) == meant
