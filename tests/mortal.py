"""Calls of glasseg that get a signal at one of their operations on a disk: real processes, each forked from one."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from powercut import OPERATIONS

Death = tuple[int, int, Callable[[], object]]
"""A signal, the operation at which it comes, counted from 0, and what is called."""


def command(*arguments: str) -> None:
    """A command line of glasseg."""
    from jobs import cli

    sys.argv = ["glasseg", *arguments]
    cli.main()


def exit_codes(deaths: Sequence[Death]) -> list[int]:
    """How each of the calls ended, that of a signal negative; 0 also where it took fewer operations."""
    ran = subprocess.run([sys.executable, __file__], input=pickle.dumps(deaths), stdout=subprocess.PIPE, check=True)
    return [int(word) for word in ran.stdout.split()]


def _die_at(signal: int, number: int) -> None:
    count = itertools.count()

    def mortal(operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(count) == number:
                os.kill(os.getpid(), signal)
            return operation(*arguments, **options)

        return call

    for name in OPERATIONS:
        setattr(os, name, mortal(getattr(os, name)))


def _exit_code(death: Death) -> int:
    signal, number, call = death
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 1
    try:
        os.dup2(2, 1)
        _die_at(signal, number)
        call()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = 130
    except Exception:  # noqa: BLE001 (of whatever is called)
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from jobs.destination import release, report  # noqa: F401 (once, and not in each of the processes)

    for one in pickle.load(sys.stdin.buffer):
        print(_exit_code(one), flush=True)
