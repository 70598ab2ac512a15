"""TIFFs of all layouts, as tifffile writes them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile


def written(
    samples: np.ndarray,
    colour: str,
    extra: tuple[int, ...] = (),
    *,
    planar: str = "separate",
    order: Any = "<",
    big: bool = False,
    **options: Any,
) -> bytes:
    """A TIFF of `samples`, H×W×C."""
    several = samples.shape[2] > 1
    stored = samples[..., 0] if not several else np.moveaxis(samples, 2, 0) if planar == "separate" else samples
    if several:
        options |= {"planarconfig": planar, "extrasamples": extra or None}
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as writer:
        writer.write(stored, photometric=colour, metadata=None, **options)
    return buffer.getvalue()


def paged(*pages: Any, order: Any = "<", big: bool = False) -> bytes:
    """A TIFF of several directories: an array each, or what `tifffile` is to write."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=big) as writer:
        for page in pages:
            given = page if isinstance(page, dict) else {"data": page}
            writer.write(**{"photometric": "rgb", "metadata": None, **given})
    return buffer.getvalue()
