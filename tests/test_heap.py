"""What a worker frees serves its next photo, and what is kept for it has a bound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs import heap

# arrays of a photo of 2 megapixels, in the threads of a worker; cv2 allocates them as malloc does
FAULTS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import cv2, numpy as np
from jobs import heap
if sys.argv[1] == "keep":
    heap.keep_freed()
photo = np.zeros((1200, 1600, 3), np.uint8)
resize = lambda _: [cv2.resize(photo, (1600, 1201 + i)) for i in range(3)] and None
with ThreadPoolExecutor(3) as pool:
    def faults(rounds):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        list(pool.map(resize, range(rounds)))
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    faults(30)
    print(faults(30) / 30)
"""

# the bytes that the main thread keeps of what it has freed, 24 MiB at a time
MAIN = """
import sys
import numpy as np, psutil
from jobs import heap
heap.keep_freed()
before = psutil.Process().memory_info().rss
arrays = [np.ones(24 << 20, np.uint8) for _ in range(int(sys.argv[1]))]
del arrays
print(psutil.Process().memory_info().rss - before)
"""

# the bytes that three threads keep of all that they have freed, arrays just below the size that is never kept
KEPT = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np, psutil
from jobs import heap
heap.keep_freed()
together = Barrier(3)
def free(_):
    arrays = [np.ones(24 << 20, np.uint8) for _ in range(8)]
    together.wait()  # each in its own thread
    del arrays
with ThreadPoolExecutor(3) as pool:
    before = psutil.Process().memory_info().rss
    list(pool.map(free, range(3)))
    print(psutil.Process().memory_info().rss - before)
"""


def _printed(code: str, *words: str) -> float:
    command = [sys.executable, "-c", code, *words]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_memory_of_a_photo_serves_the_next() -> None:
    assert _printed(FAULTS, "keep") < 0.2 * _printed(FAULTS, "as it is")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_what_is_kept_has_a_bound_for_each_thread() -> None:
    """They have freed 192 MiB each."""
    assert 0.2 * heap.KEPT < _printed(KEPT) / 3 < 1.1 * heap.KEPT


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_main_thread_keeps_what_is_below_the_bound_and_gives_back_what_is_above() -> None:
    assert _printed(MAIN, "4") > 90 << 20
    assert _printed(MAIN, "8") < heap.KEPT  # of 192 MiB
