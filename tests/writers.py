"""Ways for `jobs.bench.turns` that take milliseconds a photo. They are here, where a fresh process finds them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from glasseg.errors import GlassegError

CHILD = "import sys, time\nfor n in range(10**6): open(f'{sys.argv[1]}/child-{n}', 'x').close(); time.sleep(0.01)"


def with_a_child(folder: str) -> None:
    """Write an empty file every 10 ms here and in another process, without end."""
    with subprocess.Popen([sys.executable, "-c", CHILD, folder]):
        for number in range(10**6):
            (Path(folder) / f"top-{number}").touch(exist_ok=False)
            time.sleep(0.01)


def two_files(folder: str) -> None:
    """Write two files, and be done."""
    for number in range(2):
        (Path(folder) / str(number)).touch()


def refusing() -> None:
    """Find the disk full at once."""
    raise GlassegError("the disk is full")
