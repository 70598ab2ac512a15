"""Our own files, decoded again: fast, and without the care that `decoder` takes of files from strangers."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import simplejpeg

from glasseg.images import jpeg


def colours(encoded: bytes) -> np.ndarray | None:
    """The pixels of an opaque picture, H×W×3 uint8 RGB; None when the bytes are no picture."""
    if encoded.startswith(jpeg.START):
        with contextlib.suppress(ValueError):
            return simplejpeg.decode_jpeg(encoded, "RGB")
        return None
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


def alpha(encoded: bytes) -> np.ndarray | None:
    """H×W uint8, 255 everywhere for an opaque picture; None when the bytes are no picture."""
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        return None
    # WebP drops an alpha that is 255 everywhere
    has_alpha = picture.ndim == 3 and picture.shape[2] == 4
    return cv2.extractChannel(picture, 3) if has_alpha else np.full(picture.shape[:2], 255, np.uint8)
