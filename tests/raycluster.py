"""Ray clusters of real processes, as `ray start` makes them, whose nodes have the package but not the checkout."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from s3server import free_ports

CHECKOUT = Path(__file__).parent.parent
START_SECONDS = 150


def make_environment(folder: Path, *, package: bool = True) -> Path:
    """A virtual environment in `folder` with our dependencies, and the built package installed; its Python.

    The dependencies are those of the tests' own environment, seen through a .pth file; that does not carry over an
    editable installation, so what runs there never sees the checkout.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin/python"
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "base.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if package:
        source = folder / "source"  # the build leaves its own files beside what it builds
        source.mkdir()
        for name in ("glasseg", "jobs"):
            shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(CHECKOUT / name, source)
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed", str(source)]
        subprocess.run(list(map(str, command)), check=True, cwd=folder)
        shutil.rmtree(source)
    return python


@dataclass
class Node:
    """A running `ray start --block`."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """End it and all that it started, at once."""
        for pid in below(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@dataclass
class Cluster:
    """Where a head listens, and its nodes."""

    python: Path
    host: str
    port: int
    dashboard_port: int
    metrics_port: int
    """For the node whose metrics are looked at."""
    folder: Path
    environment: dict[str, str]
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        """For `--address`."""
        return f"{self.host}:{self.port}"

    @property
    def dashboard(self) -> str:
        """For `ray job submit --address`."""
        return f"http://{self.host}:{self.dashboard_port}"

    def start(
        self,
        *options: str,
        python: Path | None = None,
        within: Sequence[str] = (),
        host: str | None = None,
        before: str = "",
    ) -> Node:
        """One more node. `within`: a command that runs it elsewhere, in a namespace say; `before`: code to run."""
        log = self.folder / f"node{len(self.nodes)}.log"
        program = f"{before}; from ray.scripts.scripts import main; main()".lstrip("; ")
        command = [*within, str(python or self.python), "-c", program, "start", "--block"]
        command += [
            f"--node-ip-address={host or self.host}",
            "--disable-usage-stats",
            "--object-store-memory=150000000",
        ]
        command += [f"--dashboard-agent-listen-port={free_ports(1)[0]}", *options]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder, env=self.environment
            )
        self.nodes.append(Node(process, log))
        return self.nodes[-1]

    def join(self, *options: str, **where: Any) -> Node:
        """One more worker node; `where` as for `start`."""
        return self.start(f"--address={self.address}", *options, **where)


def below(pid: int) -> list[int]:
    """All processes below `pid`; none when it has ended."""
    with suppress(psutil.NoSuchProcess):
        return [one.pid for one in psutil.Process(pid).children(recursive=True)]
    return []


def command_of(pid: int) -> str:
    """The words a process was started with; none when it has ended."""
    with suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


@contextmanager
def cluster(
    python: Path, *options: str, host: str = "127.0.0.1", within: Sequence[str] = (), before: str = ""
) -> Iterator[Cluster]:
    """A head that runs with `python` in a short temporary folder; it and its nodes are gone after the block."""
    port, dashboard_port, metrics_port, client_port = free_ports(4)
    # without what a Ray in the process of the tests has set for itself
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTHONPATH"))}
    environment |= {"RAY_metrics_report_interval_ms": "500"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment |= {"PATH": f"{python.parent}:{environment['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        made = Cluster(python, host, port, dashboard_port, metrics_port, Path(folder), environment)
        try:
            made.start(
                *("--head", f"--port={port}", f"--dashboard-port={dashboard_port}", f"--dashboard-host={host}"),
                *(f"--ray-client-server-port={client_port}", f"--temp-dir={folder}/ray", *options),
                within=within,
                before=before,
            )
            wait_for(lambda: nodes_of(made, within) == 1, made)
            yield made
        finally:
            for node in reversed(made.nodes):
                node.stop()


def nodes_of(made: Cluster, within: Sequence[str] = ()) -> int:
    """Nodes that live, by the head's own word."""
    code = (
        "import sys; from ray._raylet import GcsClient; "
        "print(sum(node.state == 0 for node in GcsClient(address=sys.argv[1]).get_all_node_info(timeout=5).values()))"
    )
    command = [*within, str(made.python), "-c", code, made.address]
    done = subprocess.run(command, capture_output=True, text=True, env=made.environment, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def wait_for(condition: Callable[[], bool], made: Cluster) -> None:
    """Waits until `condition()` is true; fails with the end of the nodes' logs when it does not come true."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            logs = "\n".join(node.log.read_text(errors="replace")[-1500:] for node in made.nodes)
            raise RuntimeError(f"the cluster does not start: {logs}")
        time.sleep(0.3)


def drive(on: Cluster, *arguments: str, timeout: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
    """`glasseg whiten` outside of a Ray job, its words for people in stderr."""
    words = [on.python.parent / "glasseg", "whiten", "--max-flagged=1", *arguments]
    variables = on.environment | environment
    return subprocess.run(
        words, capture_output=True, text=True, cwd=on.folder, env=variables, timeout=timeout, check=False
    )


def metrics(on: Cluster) -> dict[str, str]:
    """What a Prometheus would find at the worker node about glasseg: values by name and tags."""
    try:
        with urlopen(f"http://{on.host}:{on.metrics_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return dict(line.rsplit(" ", 1) for line in lines if "glasseg_" in line and not line.startswith("#"))
