"""What malloc does with the arrays that a worker frees: the next photo gets their memory."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

KEPT: Final = 128 << 20
"""Bytes of free memory that each thread's heap keeps at its end: the arrays of some photos of 2 megapixels."""
LARGEST: Final = 32 << 20
"""Larger arrays always go back to the system at once and leave nothing behind; glibc allows no more."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_… of malloc.h


def keep_freed() -> None:
    """Let this process keep freed memory for its next arrays (Linux with glibc; elsewhere without effect).

    By itself glibc gives most of it back between two photos, and takes it again page by page. Linux clears each page
    at its first touch, which in a virtual machine may cost as much as the arithmetic: 1,300 faults and 10 to 20 ms of
    a photo of 2 megapixels.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, KEPT)
