"""Whether the background of a written picture is what was promised: decode its bytes again, and measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.errors import PhotoError
from glasseg.images import readback
from glasseg.images.pixels import bands

NEAR: Final = 5
"""Levels that no eye can tell from exact, as lossy compression leaves them next to the product."""

_BAND_PIXELS: Final = 1 << 16
"""Stays in the processor's cache, and most bands of a picture are plain."""


@dataclass(frozen=True)
class Whiteness:
    """What the manifest records about an output's background. "Exact": the requested colour to the bit, or alpha 0."""

    exact_share: float | None
    """Share of the background pixels that are exact, [0, 1]; None when the picture has no background."""
    near_share: float | None
    """Share of the background pixels that are within `NEAR` levels in every channel; None without a background."""
    ring_share: float
    """Share of the outermost pixels that are exact, [0, 1], background or not: below 1 something touches the frame."""
    ring_near: float
    """Share of the outermost pixels that are within `NEAR` levels."""
    deviation: int | None
    """How far the worst background pixel is off, 0 to 255, in its worst channel; None without a background.

    On white that is 255 minus the darkest value; on transparent, the highest alpha.
    """


def inspect(encoded: bytes, background: np.ndarray, colour: tuple[int, int, int] | None) -> Whiteness:
    """Decode a picture of our own and measure its background.

    `background` is H×W uint8, 255 where the picture is plain background and 0 elsewhere; `colour` is that of the
    background, RGB, or None when it is transparent. Working memory is the decoded picture and a band of it.

    Raises:
        PhotoError: "internal_error" when the bytes are not a picture of that size.
    """
    picture = readback.alpha(encoded) if colour is None else readback.colours(encoded)
    if picture is None or picture.shape[:2] != background.shape:
        found = "nothing" if picture is None else f"{picture.shape[1]}×{picture.shape[0]} pixels"
        expected = f"{background.shape[1]}×{background.shape[0]}"
        raise PhotoError("internal_error", f"the encoded picture was read again as {found}, not as {expected}")
    return measure(picture, background, colour)


def measure(picture: np.ndarray, background: np.ndarray, colour: tuple[int, int, int] | None) -> Whiteness:
    """Measure a picture that is decoded, or that goes to a lossless format, whose decoding would reveal nothing new.

    `picture` is H×W×3 uint8 RGB, or H×W uint8, the alpha, when `colour` is None; the rest is as in `inspect`.
    """
    ring = _worst(_off(_ring(picture), colour))
    ring_share, ring_near = float((ring == 0).mean()), float((ring <= NEAR).mean())
    pixels = cv2.countNonZero(background)
    if not pixels:
        return Whiteness(None, None, ring_share, ring_near, None)
    inexact = far = deviation = 0
    for rows in bands(background.shape, _BAND_PIXELS):
        off = _off(picture[rows], colour)
        if not off.max():
            continue  # most of a picture
        off = cv2.bitwise_and(_worst(off), background[rows])
        inexact += cv2.countNonZero(off)
        far += int(np.count_nonzero(off > NEAR))
        deviation = max(deviation, int(off.max()))
    return Whiteness(
        exact_share=1 - inexact / pixels,
        near_share=(pixels - far) / pixels,
        ring_share=ring_share,
        ring_near=ring_near,
        deviation=deviation,
    )


def _ring(picture: np.ndarray) -> np.ndarray:
    """The outermost pixels of H×W or H×W×3, each once, as one row."""
    first, inner, last = picture[:1], picture[1:-1], picture[1:][-1:]
    edges = [first, last, inner[:, :1], inner[:, 1:][:, -1:]]
    return np.concatenate([edge.reshape(1, -1, *picture.shape[2:]) for edge in edges], axis=1)


def _off(pixels: np.ndarray, colour: tuple[int, int, int] | None) -> np.ndarray:
    """How far each channel is from `colour`; an alpha is as far from transparent as it is high."""
    return pixels if colour is None else cv2.absdiff(pixels, (*colour, 0))


def _worst(off: np.ndarray) -> np.ndarray:
    """The largest channel of each pixel: H×W uint8, of H×W×3 uint8 or H×W."""
    if off.ndim == 2:
        return off
    red, green, blue = cv2.split(off)
    return cv2.max(cv2.max(red, green, dst=red), blue, dst=red)
