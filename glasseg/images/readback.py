"""Our own files, decoded again: fast, and without the care that `decoder` takes of files from strangers."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from glasseg.images import jpeg


def colours(encoded: bytes) -> np.ndarray | None:
    """The pixels of an opaque picture, H×W×3 uint8 RGB; None when the bytes are no picture."""
    if encoded.startswith(jpeg.START):
        with contextlib.suppress(ValueError):
            return simplejpeg.decode_jpeg(encoded, "RGB")
        return None
    if _is_avif(encoded):
        return _avif(encoded, "RGB")
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)


def alpha(encoded: bytes) -> np.ndarray | None:
    """H×W uint8, 255 everywhere for an opaque picture; None when the bytes are no picture."""
    if _is_avif(encoded):
        picture = _avif(encoded, "RGBA")
        return None if picture is None else picture[..., 3].copy()
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        return None
    # WebP drops an alpha that is 255 everywhere
    has_alpha = picture.ndim == 3 and picture.shape[2] == 4
    return cv2.extractChannel(picture, 3) if has_alpha else np.full(picture.shape[:2], 255, np.uint8)


def _is_avif(encoded: bytes) -> bool:
    return encoded[4:12] == b"ftypavif"


def _avif(encoded: bytes, mode: str) -> np.ndarray | None:
    """By Pillow, since not every build of OpenCV reads AVIF."""
    try:
        with memory_errors(), Image.open(io.BytesIO(encoded), formats=("AVIF",)) as picture:
            return np.asarray(picture.convert(mode))
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """libavif has no error of its own for a lack of memory: raise MemoryError in its place."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error
