"""Hosts on one machine: network namespaces on a bridge, each with an address of its own (Linux, root, iproute2)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NETWORK = "10.77.0"
SWITCH = "gs-switch"


def missing() -> str:
    """Why there can be no hosts here; "" when there can."""
    if not shutil.which("ip"):
        return "needs iproute2"
    if os.geteuid() != 0:
        return "needs root"
    done = subprocess.run(["ip", "netns", "add", "gs-probe"], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    _ip("netns", "delete", "gs-probe")
    return ""


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Host:
    """One namespace, its cable in the switch."""

    name: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        """The command that runs another one on this host."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("-n", SWITCH, "link", "set", self.name, "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("-n", SWITCH, "link", "set", self.name, "up")

    def processes(self) -> dict[int, str]:
        """What runs there: the command of each process."""
        found = {}
        for pid in _ip("netns", "pids", self.name).split():
            with suppress(OSError):
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        return found

    def kill(self) -> None:
        """The power goes: every process ends at once, and nobody is told."""
        self.cut()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Hosts that reach each other, and are reached by this process at their addresses; gone after the block."""
    made = [Host(f"gs-{name}", f"{NETWORK}.{number}") for number, name in enumerate(names, start=1)]
    try:
        _ip("netns", "add", SWITCH)
        _ip("-n", SWITCH, "link", "add", "bridge", "type", "bridge")
        _ip("-n", SWITCH, "link", "set", "bridge", "up")
        _plug("gs-here", f"{NETWORK}.254", namespace=None)
        for host in made:
            _ip("netns", "add", host.name)
            _ip("-n", host.name, "link", "set", "lo", "up")
            _plug(host.name, host.address, namespace=host.name)
        yield made
    finally:
        for host in made:
            with suppress(subprocess.CalledProcessError):
                host.kill()
        subprocess.run(["ip", "link", "delete", "gs-here-0"], capture_output=True, check=False)
        for name in (*(host.name for host in made), SWITCH):  # the cables go with them
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _plug(cable: str, address: str, namespace: str | None) -> None:
    """A cable from the switch, where it has that name, to a namespace, where it is called eth0 (here: NAME-0)."""
    near = "eth0" if namespace else f"{cable}-0"
    there = ("netns", namespace) if namespace else ("netns", str(os.getpid()))
    _ip("-n", SWITCH, "link", "add", cable, "type", "veth", "peer", "name", near)
    _ip("-n", SWITCH, "link", "set", near, *there)
    _ip("-n", SWITCH, "link", "set", cable, "master", "bridge", "up")
    on = ("-n", namespace) if namespace else ()
    _ip(*on, "address", "add", f"{address}/24", "dev", near)
    _ip(*on, "link", "set", near, "up")
