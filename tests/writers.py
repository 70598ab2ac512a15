"""Ways for `jobs.bench.relay` that take milliseconds a photo. They are here, where a fresh process finds them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from glasseg.errors import GlassegError

CHILD = "import sys, time\nfor n in range(10**6): open(f'{sys.argv[1]}/child-{n}', 'x').close(); time.sleep(0.01)"


def with_a_child(folder: str) -> None:
    """Write an empty file every 10 ms here and in another process, of a session of its own as some of Ray's; no end."""
    with subprocess.Popen([sys.executable, "-c", CHILD, folder], start_new_session=True):
        for number in range(10**6):
            (Path(folder) / f"top-{number}").touch(exist_ok=False)
            time.sleep(0.01)


def without_a_top(folder: str) -> None:
    """Die, and leave a process that writes on; its id is in the file `child` next to the folder."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, folder])
    (Path(folder).parent / "child").write_text(str(child.pid))
    os._exit(1)


def two_files(folder: str) -> None:
    """Write two files, and be done."""
    for number in range(2):
        (Path(folder) / str(number)).touch()


def refusing() -> None:
    """Find the disk full at once."""
    raise GlassegError("the disk is full")


def in_shares(folder: str) -> None:
    """Two processes as those of the plain loop; the second one dies after its first file."""
    from jobs.bench.plain_loop import together  # takes a second, which the other ways need not wait

    list(together(_share, (folder,), [10**6, 1], verbose=True))


def _share(pipe: Connection, folder: str, count: int) -> None:
    pipe.send("ready")
    pipe.recv()
    for number in range(count):
        (Path(folder) / f"{count}-{number}").touch()
        time.sleep(0.01)
    if count == 1:
        os._exit(1)
