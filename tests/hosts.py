"""Hosts on one machine: network namespaces on a bridge, each with an address of its own (Linux, root, iproute2)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

NETWORK = "10.77.0"
OURS = re.compile(r"gs(\d+)-\w+")
"""A namespace, by the process that made it."""


def missing() -> str:
    """Why there can be no hosts here; "" when there can."""
    if not shutil.which("ip"):
        return "needs iproute2"
    if os.geteuid() != 0:
        return "needs root"
    probe = _name("probe")
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    _ip("netns", "delete", probe)
    return ""


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


def _name(of: str) -> str:
    return f"gs{os.getpid()}-{of}"


@dataclass(frozen=True)
class Host:
    """One namespace, its cable in the switch."""

    name: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        """The command that runs another one on this host."""
        return ("ip", "netns", "exec", _name(self.name))

    def cut(self) -> None:
        """Pull the cable."""
        _ip("-n", _name("switch"), "link", "set", self.name, "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("-n", _name("switch"), "link", "set", self.name, "up")

    def processes(self) -> dict[int, str]:
        """What runs there: the command of each process."""
        return _processes(_name(self.name))

    def kill(self) -> None:
        """The power goes: every process ends at once, and nobody is told."""
        self.cut()
        _kill(_name(self.name))


def _processes(namespace: str) -> dict[int, str]:
    found = {}
    for pid in _ip("netns", "pids", namespace).split():
        with suppress(OSError):
            found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def _kill(namespace: str) -> None:
    for pid in _processes(namespace):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Hosts that reach each other, and are reached by this process at their addresses; gone after the block."""
    _sweep()
    made = [Host(name, f"{NETWORK}.{number}") for number, name in enumerate(names, start=1)]
    switch = _name("switch")
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        _plug("here", f"{NETWORK}.254", _name("here"), namespace=None)
        for host in made:
            _ip("netns", "add", _name(host.name))
            _ip("-n", _name(host.name), "link", "set", "lo", "up")
            _plug(host.name, host.address, "eth0", namespace=_name(host.name))
        yield made
    finally:
        _remove([_name(host.name) for host in made] + [switch])


def _sweep() -> None:
    """Remove the hosts of processes that were killed before they could: their cable takes our addresses."""
    named = [OURS.fullmatch(line.split()[0]) for line in _ip("netns", "list").splitlines()]
    _remove([match[0] for match in named if match and not psutil.pid_exists(int(match[1]))])


def _remove(namespaces: list[str]) -> None:
    for namespace in namespaces:
        with suppress(subprocess.CalledProcessError):
            _kill(namespace)
        # the other cables go with the namespaces, but some time later
        for thing in (("link", "delete", f"{namespace.split('-')[0]}-here"), ("netns", "delete", namespace)):
            subprocess.run(["ip", *thing], capture_output=True, check=False)


def _plug(cable: str, address: str, far: str, namespace: str | None) -> None:
    """A cable from the switch, where it has that name, to a namespace or to this process, where it is called `far`."""
    there = ("netns", namespace or str(os.getpid()))
    _ip("-n", _name("switch"), "link", "add", cable, "type", "veth", "peer", "name", far)
    _ip("-n", _name("switch"), "link", "set", far, *there)
    _ip("-n", _name("switch"), "link", "set", cable, "master", "bridge", "up")
    on = ("-n", namespace) if namespace else ()
    _ip(*on, "address", "add", f"{address}/24", "dev", far)
    _ip(*on, "link", "set", far, "up")
