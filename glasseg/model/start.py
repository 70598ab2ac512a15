"""The start of a process that holds a model: most of it is importing TensorFlow and Keras."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_start() -> Iterator[None]:
    """Set up a model within the block, for a process that then only uses it.

    Modules and networks are half a million objects that stay; looking for garbage among them took a sixth of the time.
    It is not done within the block, and never again for what is there at its end, which includes a little garbage.
    Keras would import matplotlib, to draw galleries of pictures; here it does not find it.
    """
    hidden = not {"keras", "matplotlib"} & set(sys.modules)
    if hidden:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]  # Python's way of saying that there is none
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if hidden:
            del sys.modules["matplotlib"]
        if collects:
            gc.enable()
