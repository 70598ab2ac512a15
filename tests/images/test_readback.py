"""Our own files are read again as what they were written from; what is none is told from a lack of memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from glasseg import formats
from glasseg.images import encoder, readback

SHORT = """
import pathlib, re, resource
import numpy as np
from glasseg.images import encoder, readback
readback.colours(encoder.encode(np.zeros((64, 64, 3), np.uint8), "avif", 90))
data = encoder.encode(np.zeros((1500, 2000, 3), np.uint8), "avif", 90)
used = int(re.search(r"VmData:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (used + (6 << 20),) * 2)
try:
    readback.colours(data)
except MemoryError:
    print("no memory")
"""


@pytest.mark.parametrize("format", formats.FORMATS[1:])
def test_a_picture_is_read_again_in_its_colours(format: str) -> None:
    image = np.full((40, 50, 3), (200, 40, 90), np.uint8)
    image[:, 25:] = (10, 220, 130)
    again = readback.colours(encoder.encode(image, format, 95))
    assert again is not None and again.shape == image.shape
    assert np.abs(again.astype(int) - image).mean() < 4


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("opaque", [False, True])
def test_an_alpha_is_read_again_exactly(format: str, opaque: bool) -> None:
    alpha = np.full((40, 50), 255, np.uint8) if opaque else np.arange(2000).reshape(40, 50).astype(np.uint8)
    image = np.dstack([np.full((40, 50, 3), 90, np.uint8), alpha])
    assert np.array_equal(readback.alpha(encoder.encode(image, format, 60)), alpha)


@pytest.mark.parametrize("data", [b"no picture", b"\xff\xd8\xff and no more", b"\0\0\0\x1cftypavif and no more"])
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert readback.colours(data) is None and readback.alpha(data) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux'")
def test_an_avif_for_which_memory_does_not_suffice_is_a_memory_error() -> None:
    done = subprocess.run([sys.executable, "-c", SHORT], capture_output=True, text=True, check=False)
    assert done.stdout == "no memory\n", done.stderr
