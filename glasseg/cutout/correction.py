"""A mask that a person touched up: what they painted holds, edges follow the photo, and the rest stays as it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.cutout import matte
from glasseg.cutout.grid import MARGIN, Grid
from glasseg.images.window import Window

KEEP: Final = 255
"""Labels of a map: material of the glasses …"""
CLEAR: Final = 128
"""… a see-through part, which is background …"""
ERASE: Final = 0
"""… any other background …"""
UNTOUCHED: Final = 64
"""… and what the person left as it was."""
LABELS: Final = (ERASE, UNTOUCHED, CLEAR, KEEP)

_RIM: Final = 4
"""Pixels of the map on both sides of the rim of what was painted in which the photo decides: nobody paints exactly."""
_BAND: Final = 256
"""Rows that are computed at a time."""

_CELLS: Final = 256
"""Cells along the longer side of a photo, the grid on which masks are compared with a tolerance of one cell."""
# A correction mostly takes away or adds; a mask of another photo does both. Of 500 photos of real shops, the true mask
# lacks more than this of the packaged model's, and has more than this beyond it, in 5: the model's own fault. Of 4,000
# pairs of such photos of one shape, the mask of the other one does in 91 %, of 4,000 pairs of product photos, all of
# them framed alike, in 94 %.
_FAR_APART: Final = 0.15


@dataclass(frozen=True)
class Touch:
    """What a person painted in a part of a photo, each h×w uint8: 255 inside, 0 outside, a ramp over the rim."""

    kept: np.ndarray
    clear: np.ndarray
    touched: np.ndarray

    @property
    def erased(self) -> np.ndarray:
        """What is background, see-through or not."""
        return cv2.subtract(self.touched, self.kept)

    def joined(self, probability: np.ndarray) -> np.ndarray:
        """A probability (h×w float32) with 1 where material was painted and 0 where background was."""
        free = cv2.bitwise_not(_sharp(self.touched))
        left = cv2.multiply(probability, free, scale=1 / 255, dtype=cv2.CV_32F)
        return cv2.addWeighted(left, 1.0, _sharp(self.kept), 1 / 255, 0.0, dst=left, dtype=cv2.CV_32F)

    def alpha(self, image: np.ndarray, probability: np.ndarray, threshold: float, ramp: float) -> np.ndarray:
        """`matte.alpha` of a touched photo: the same as of the untouched one beyond the reach of what was painted."""
        before = matte.alpha(image, probability, threshold, ramp)
        joined = self.joined(probability)
        trust = cv2.multiply(_trust(self.kept), _trust(self.touched), scale=1 / 255)
        after = matte.alpha(image, joined, threshold, ramp, kept=self.kept, trust=trust)
        # Once more from there: else a veil is left of what was painted beyond the edge.
        for rows in _bands(after):
            found = after[rows] * np.float32(1 / 255) + np.float32(threshold - 0.5)
            np.copyto(joined[rows], found, where=trust[rows] < 255)
        after = matte.alpha(image, joined, threshold, ramp, kept=self.kept)
        del joined  # 4 bytes a pixel
        near = _nearness(self.touched, cv2.max(before, after))
        for rows in _bands(after):
            weight = near[rows] * np.float32(1 / 255)
            after[rows] = cv2.blendLinear(after[rows], before[rows], weight, 1 - weight)
        firm_kept, firm_erased = (cv2.compare(plane, 255, cv2.CMP_EQ) for plane in (self.kept, self.erased))
        return _imposed(after, firm_kept, firm_erased)

    def own_alpha(self, alpha: np.ndarray) -> np.ndarray:
        """The alpha of a photo that came cut out (h×w uint8) with what was painted; its own edges are no guess."""
        return _imposed(alpha, _sharp(self.kept), _sharp(self.erased))

    def openings(self, found: np.ndarray) -> np.ndarray:
        """Openings (h×w uint8, see `lenses.openings`) with what was painted see-through, without what was erased."""
        background = cv2.subtract(self.erased, self.clear)
        return _imposed(found, _sharp(self.clear), _sharp(background))


@dataclass(frozen=True)
class Correction:
    """What a person painted over a copy of a photo."""

    labels: np.ndarray
    """h×w uint8 of `LABELS`, at most as large as the photo and of its shape."""

    def window(self, size: tuple[int, int]) -> Window | None:
        """The part of a photo of `size`, (height, width), outside which nothing was touched; None if nothing was."""
        x, y, w, h = cv2.boundingRect(cv2.compare(self.labels, UNTOUCHED, cv2.CMP_NE))
        if not w:
            return None
        reach = _RIM + 1
        rows, columns = (
            slice(max(0, math.floor((start - reach) * scale)), min(length, math.ceil((stop + reach) * scale)))
            for start, stop, scale, length in zip((y, x), (y + h, x + w), self._scales(size), size, strict=True)
        )
        return Window(rows, columns, size)

    def within(self, window: Window) -> Touch:
        """What was painted in a part of the photo."""
        scales = self._scales(window.size)
        # from pixel centres of the window to those of the map
        starts = [(first + 0.5) / scale - 0.5 for first, scale in zip(window.origin[::-1], scales, strict=True)]
        there = np.array([[1 / scales[1], 0, starts[1]], [0, 1 / scales[0], starts[0]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        planes = (
            cv2.warpAffine(_ramped(plane), there, window.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for plane in (self.labels == KEEP, self.labels == CLEAR, self.labels != UNTOUCHED)
        )
        return Touch(*planes)

    def _scales(self, size: tuple[int, int]) -> tuple[float, float]:
        """(y, x): photo pixels per pixel of the map."""
        return size[0] / self.labels.shape[0], size[1] / self.labels.shape[1]


def on_grid(alpha: np.ndarray, window: Window) -> np.ndarray:
    """A mask to compare, uint8 of 0 and 1: where an alpha (h×w uint8) is more than half, on a coarse grid.

    `window`: the part of the photo of which it is.
    """
    scale = min(1.0, _CELLS / max(window.size))
    size = tuple(max(1, round(side * scale)) for side in alpha.shape[::-1])
    return (cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)


def far_apart(found: np.ndarray, corrected: np.ndarray) -> bool:
    """Whether a mask is probably of another photo than that in which the network found another one (see `on_grid`).

    Each has a large part that lies nowhere near the other. So it is never where nothing was found.
    """
    return min(_share_beyond(found, corrected), _share_beyond(corrected, found)) > _FAR_APART


def _share_beyond(mask: np.ndarray, other: np.ndarray) -> float:
    """The share of a mask that is not within a cell of the other; 0 of none."""
    beyond = cv2.bitwise_and(mask, 1 - cv2.dilate(other, np.ones((3, 3), np.uint8)))
    return cv2.countNonZero(beyond) / max(1, cv2.countNonZero(mask))


def _ramped(inside: np.ndarray) -> np.ndarray:
    """A mask (h×w bool) as uint8 that rises from 0 to 255 over `_RIM` pixels on both sides of its rim."""
    if inside.all() or not inside.any():
        return np.where(inside, np.uint8(255), np.uint8(0))
    plane = inside.astype(np.uint8)
    depth = cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    away = cv2.distanceTransform(1 - plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return cv2.addWeighted(depth, 127.5 / _RIM, away, -127.5 / _RIM, 127.5, dtype=cv2.CV_8U)


def _trust(plane: np.ndarray) -> np.ndarray:
    """How far pixels are from the rim in a plane of `Touch`, h×w uint8: 0 along it, 255 beyond its ramp."""
    far = np.square(np.square(np.arange(256) / 127.5 - 1))  # of each value of the plane
    return cv2.LUT(plane, np.rint(255 * far).astype(np.uint8))


def _bands(plane: np.ndarray) -> Iterator[slice]:
    """Its rows, some at a time: the floats of a few are few compared with the photo."""
    return (slice(start, start + _BAND) for start in range(0, len(plane), _BAND))


def _sharp(plane: np.ndarray) -> np.ndarray:
    """A plane of `Touch` that rises within a pixel of the map."""
    return cv2.addWeighted(plane, 2.0 * _RIM, plane, 0.0, 127.5 * (1 - 2 * _RIM))


def _imposed(alpha: np.ndarray, kept: np.ndarray, erased: np.ndarray) -> np.ndarray:
    return cv2.min(cv2.max(alpha, kept), cv2.bitwise_not(erased))


def _nearness(touched: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """How near pixels are to what was touched, h×w uint8: 255 within half the reach of the filter, 0 beyond it."""
    grid = Grid.over(alpha)
    reach = MARGIN * (grid.cell if grid else 1)
    away = cv2.distanceTransform(cv2.compare(touched, 1, cv2.CMP_LT), cv2.DIST_L2, 3)
    return cv2.addWeighted(away, -510 / reach, away, 0.0, 510.0, dtype=cv2.CV_8U)  # saturates
