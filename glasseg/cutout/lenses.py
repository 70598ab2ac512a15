"""See-through parts of the glasses, where the photo's own pixels may stay: lenses, and what else a rim encloses."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

SIDE: Final = 400
"""Longest side, in pixels, of the small mask in which gaps of the rim are bridged."""

_BRIDGED: Final = 0.012
"""The widest gap in a rim, as left by a nylon thread or a bright reflection; a share of the glasses' longest side."""
_SPECK: Final = 0.003
"""Smaller openings, as a share of the glasses' box, are between nose pad and rim, or errors of the mask."""
_RIM: Final = 7
"""Pixels, odd: how wide the soft edge of a rim is at most, to both sides together."""


def openings(alpha: np.ndarray) -> np.ndarray:
    """The background that glasses of this alpha (H×W uint8) enclose: H×W uint8, 255 in an opening, 0 elsewhere.

    An opening takes the soft inner edge of its rim with it, so that `max(alpha, openings(alpha))` keeps the photo's own
    pixels there without a seam. Every enclosed part except specks counts: lenses of clear glasses, and also the gap
    between the temples, which a mask can't tell from the part of a lens next to a temple behind it.
    """
    out = np.zeros_like(alpha)
    x, y, w, h = cv2.boundingRect((alpha > 127).astype(np.uint8))
    if not w:
        return out
    # One pixel more on each side, so that all of the outside is connected, also at the border of the photo.
    part = cv2.copyMakeBorder(alpha[y : y + h, x : x + w], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    bare = cv2.compare(part, 128, cv2.CMP_LT)
    bare[1:-1, 1:-1] &= cv2.bitwise_not(_bridges(part[1:-1, 1:-1]))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bare, connectivity=4)
    kept = (stats[:, cv2.CC_STAT_AREA] > _SPECK * w * h) & (stats[:, cv2.CC_STAT_LEFT] > 0)
    kept[0] = False
    inside = np.where(kept, 255, 0).astype(np.uint8)[labels]
    square = np.ones((_RIM, _RIM), np.uint8)
    grown, beyond = cv2.dilate(inside, square), cv2.dilate(cv2.bitwise_and(bare, cv2.bitwise_not(inside)), square)
    inside |= cv2.bitwise_and(grown, cv2.bitwise_not(beyond))
    out[y : y + h, x : x + w] = inside[1:-1, 1:-1]
    return out


def _bridges(alpha: np.ndarray) -> np.ndarray:
    """What closes small gaps in the material of an alpha (h×w uint8): h×w uint8, 255 on a bridge."""
    h, w = alpha.shape
    shrink = min(1.0, SIDE / max(h, w))
    size = (max(1, round(w * shrink)), max(1, round(h * shrink)))
    # A wire a pixel wide must not be lost on the way to the small mask: a quarter of a pixel is enough.
    small = np.where(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 63, 255, 0).astype(np.uint8)
    reach = max(3, round(_BRIDGED * max(size)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    wide = cv2.copyMakeBorder(small, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[reach:-reach, reach:-reach]
    return cv2.resize(closed & cv2.bitwise_not(small), (w, h), interpolation=cv2.INTER_NEAREST)
