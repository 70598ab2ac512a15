"""Whether the background of a written picture is what was promised: decode its bytes again, and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.errors import PhotoError

NEAR: Final = 5
"""Levels that no eye can tell from exact, as lossy compression leaves them next to the product."""


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
    background, RGB, or None when it is transparent. Working memory is the decoded picture and 3 bytes per pixel.

    Raises:
        PhotoError: "internal_error" when the bytes are not a picture of that size.
    """
    picture = _decode(encoded, transparent=colour is None)
    if picture is None or picture.shape[:2] != background.shape:
        found = "nothing" if picture is None else f"{picture.shape[1]}×{picture.shape[0]} pixels"
        expected = f"{background.shape[1]}×{background.shape[0]}"
        raise PhotoError("internal_error", f"the encoded picture was read again as {found}, not as {expected}")
    return measure(picture, background, colour)


def measure(picture: np.ndarray, background: np.ndarray, colour: tuple[int, int, int] | None) -> Whiteness:
    """Measure a picture that is decoded, or that goes to a lossless format, whose decoding would reveal nothing new.

    `picture` is H×W×3 uint8 RGB, or H×W uint8, the alpha, when `colour` is None; the rest is as in `inspect`.
    """
    wanted = np.array((0,) if colour is None else colour)
    exact = cv2.inRange(picture, wanted, wanted)
    alike = cv2.inRange(picture, wanted - NEAR, wanted + NEAR)
    ring_share, ring_near = _ring_share(exact), _ring_share(alike)
    pixels = cv2.countNonZero(background)
    if not pixels:
        return Whiteness(None, None, ring_share, ring_near, None)
    near = cv2.countNonZero(cv2.bitwise_and(background, alike, dst=alike))
    del alike
    off = cv2.bitwise_and(background, cv2.bitwise_not(exact, dst=exact), dst=exact)
    return Whiteness(
        exact_share=1 - cv2.countNonZero(off) / pixels,
        near_share=near / pixels,
        ring_share=ring_share,
        ring_near=ring_near,
        deviation=_deviation(picture, off, [int(value) for value in wanted]),
    )


def _decode(encoded: bytes, *, transparent: bool) -> np.ndarray | None:
    """H×W×3 uint8 RGB, or H×W uint8, the alpha; None when the bytes have neither."""
    data = np.frombuffer(encoded, np.uint8)
    if not transparent:
        return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if picture is None:
        return None
    # WebP drops an alpha that is 255 everywhere
    has_alpha = picture.ndim == 3 and picture.shape[2] == 4
    return cv2.extractChannel(picture, 3) if has_alpha else np.full(picture.shape[:2], 255, np.uint8)


def _ring_share(exact: np.ndarray) -> float:
    """The share of 255 in the outermost pixels of H×W uint8."""
    inner = exact[1:-1, 1:-1]
    inside = cv2.countNonZero(inner) if inner.size else 0
    return (cv2.countNonZero(exact) - inside) / (exact.size - inner.size)


def _deviation(picture: np.ndarray, off: np.ndarray, wanted: Sequence[int]) -> int:
    """The largest difference of any channel from `wanted` where `off` (H×W uint8) is not 0."""
    x, y, width, height = cv2.boundingRect(off)
    if not width:
        return 0
    worst, off = 0, off[y : y + height, x : x + width]
    for channel, value in enumerate(wanted):
        plane = picture[y : y + height, x : x + width]
        plane = cv2.extractChannel(plane, channel) if plane.ndim == 3 else plane
        lowest, highest, _, _ = cv2.minMaxLoc(plane, mask=off)
        worst = max(worst, value - round(lowest), round(highest) - value)
    return worst
