"""A coarse grid over the glasses in a photo: expensive things are computed on it, then used at full resolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

CELLS: Final = 320
"""Cells along the longer side of the glasses."""
MARGIN: Final = 6
"""Cells around the glasses, where there is room: the two passes of the widest window used on the grid."""
TILE: Final = 64
"""Cells along a side of the tiles in which full resolution is processed: large enough for few calls, small enough that
the floats of one tile are few compared with the photo."""


@dataclass(frozen=True)
class Grid:
    """A coarse grid of square cells over the part of a photo that holds the glasses."""

    window: tuple[slice, slice]
    """Rows and columns of the photo: whole cells. At the photo's far edges less than a cell may be left out."""
    cell: int
    """Photo pixels along a cell's side."""

    @classmethod
    def over(cls, alpha: np.ndarray, cells: int = CELLS) -> Grid | None:
        """A grid of about `cells` cells over where `alpha` (h×w uint8) is above 0; None where it is 0 everywhere."""
        x, y, w, h = cv2.boundingRect(alpha)
        cell = max(1, round(max(w, h) / cells))
        rows, columns = (
            _whole(start, stop, cell, length)
            for (start, stop), length in zip(((y, y + h), (x, x + w)), alpha.shape, strict=True)
        )
        return cls((rows, columns), cell) if w and rows.stop > rows.start and columns.stop > columns.start else None

    def averaged(self, part: np.ndarray) -> np.ndarray:
        """A window's part of an array averaged over each cell, of the same dtype."""
        size = (part.shape[1] // self.cell, part.shape[0] // self.cell)
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA)

    def shrink(self, part: np.ndarray) -> np.ndarray:
        """A window's part of an array averaged over each cell: float32, uint8 scaled to [0, 1]."""
        small = self.averaged(part)
        return small.astype(np.float32) / 255 if small.dtype == np.uint8 else small

    def tiles(self, wanted: np.ndarray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """The tiles that hold a cell of `wanted` (rows×columns, bool), in cells and in pixels of the window."""
        for top in range(0, wanted.shape[0], TILE):
            for left in range(0, wanted.shape[1], TILE):
                cells = (slice(top, top + TILE), slice(left, left + TILE))
                if wanted[cells].any():
                    yield cells, self.pixels(cells)

    def pixels(self, cells: tuple[slice, slice]) -> tuple[slice, slice]:
        """The window's pixels of some cells."""
        rows, columns = (slice(one.start * self.cell, one.stop * self.cell) for one in cells)
        return rows, columns

    def enlarge(self, small: np.ndarray, cells: tuple[slice, slice]) -> np.ndarray:
        """Some cells of `small` (rows×columns, or with channels) at full size, linear; seamless from tile to tile."""
        around = [slice(max(0, one.start - 1), one.stop + 1) for one in cells]
        near = small[around[0], around[1]]
        large = cv2.resize(near, None, fx=self.cell, fy=self.cell, interpolation=cv2.INTER_LINEAR)
        inside = [
            slice((one.start - wide.start) * self.cell, (min(one.stop, length) - wide.start) * self.cell)
            for one, wide, length in zip(cells, around, small.shape, strict=False)
        ]
        return large[inside[0], inside[1]]


def margin(shape: tuple[int, int]) -> int:
    """Pixels around a part of a photo of `shape` (height, width) that are needed for what is found in it.

    A grid over that reaches `MARGIN` cells further, by which the filter may widen it, and another grid lies over the
    wider one.
    """
    cell = max(1, round(max(shape) / CELLS))
    wider = max(1, round((max(shape) + 2 * MARGIN * cell) / CELLS))
    return MARGIN * (cell + wider)


def _whole(start: int, stop: int, cell: int, length: int) -> slice:
    """Whole cells over pixels [start, stop) of `length` with a margin on both sides, as far as there is room."""
    first = max(0, start - MARGIN * cell)
    return slice(first, first + (min(length, stop + MARGIN * cell) - first) // cell * cell)
