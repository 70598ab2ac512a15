"""What a worker frees serves its next photo, and a huge photo leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

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

HUGE = """
from pathlib import Path
import cv2, numpy as np
from jobs import heap
heap.keep_freed()
held = lambda: int(Path("/proc/self/statm").read_text().split()[1])
before = held()
photo = cv2.resize(np.zeros((1200, 1600, 3), np.uint8), (12000, 8000))
most = held()
del photo
print((held() - before) / (most - before))
"""


def _printed(code: str, *words: str) -> float:
    command = [sys.executable, "-c", code, *words]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_the_memory_of_a_photo_serves_the_next() -> None:
    assert _printed(FAULTS, "keep") < 0.2 * _printed(FAULTS, "as it is")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_a_huge_photo_leaves_nothing_behind() -> None:
    assert _printed(HUGE) < 0.1
