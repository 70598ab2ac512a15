"""Whether what answers at an address is a Ray cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from glasseg.errors import GlassegError
from jobs import engine


def test_a_cluster_is_reached_past_a_proxy_for_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray goes to its head without one."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        engine._refuse_unreachable(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


@pytest.mark.slow
def test_ray_starts_where_temporary_files_have_long_names(tmp_path: Path) -> None:
    """Its sockets lie there, and the system allows their paths 107 bytes."""
    long = tmp_path / ("long" * 20)
    long.mkdir()
    code = (
        "import ray; from jobs.engine import engine\n"
        "with engine('local', cpus=1, verbose=False): print(ray.get_runtime_context().runtime_env)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in {"RAY_TMPDIR", "RAY_ADDRESS"}}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**environment, "TMPDIR": str(long)}, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "{}"), done.stderr


DEATH = """
import os, time, ray
from jobs.engine import engine
with engine("local", cpus=1, verbose=False):
    try:
        ray.get(ray.remote(max_retries=0)(lambda: os._exit(1)).remote())
    except ray.exceptions.WorkerCrashedError:
        time.sleep(2)
        print("done")
"""


@pytest.mark.slow
def test_what_ray_says_of_a_worker_that_died_stays_out_of_the_output() -> None:
    """Ray would print it to stdout, where scripts read the summary."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", DEATH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("bug", [Exception("The current node timed out during startup."), KeyError("a bug")])
def test_a_ray_that_does_not_start_in_time_is_one_line(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """For that Ray raises an Exception of no kind; another kind is a bug, and shows its traceback."""
    import ray

    def late(**_: object) -> None:
        raise bug

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    expected = KeyError if isinstance(bug, KeyError) else GlassegError
    with pytest.raises(expected, match=r"very busy\? Then try again" if expected is GlassegError else "a bug"):
        engine.engine("local", cpus=1, verbose=False).__enter__()


def test_another_server_is_not_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: [server.accept() for _ in range(2)], daemon=True)
        thread.start()
        with pytest.raises(GlassegError, match="is not a Ray cluster: give the port of its head"):
            engine._refuse_unreachable(f"127.0.0.1:{server.getsockname()[1]}")
