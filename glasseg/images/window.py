"""The part of a photo or picture in which something is to be seen: what is computed is computed there alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A part of an array of `size`, in whole pixels and not empty."""

    rows: slice
    columns: slice
    size: tuple[int, int]
    """(height, width) of the whole."""

    @classmethod
    def whole(cls, size: tuple[int, ...]) -> Window:
        """All of an array whose shape begins with `size`."""
        return cls(slice(0, size[0]), slice(0, size[1]), (size[0], size[1]))

    @property
    def origin(self) -> tuple[int, int]:
        """(x, y) of its first pixel."""
        return self.columns.start, self.rows.start

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the part."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def grown(self, margin: int) -> Window:
        """With so many pixels more on each side, as far as there are any."""
        rows, columns = (
            slice(max(0, one.start - margin), min(length, one.stop + margin))
            for one, length in zip((self.rows, self.columns), self.size, strict=True)
        )
        return Window(rows, columns, self.size)

    def around(self, other: Window) -> Window:
        """The least window that holds this one and another of the same array."""
        rows, columns = (
            slice(min(one.start, two.start), max(one.stop, two.stop))
            for one, two in ((self.rows, other.rows), (self.columns, other.columns))
        )
        return Window(rows, columns, self.size)

    def of(self, whole: np.ndarray) -> np.ndarray:
        """Its part of an H×W or H×W×C array, a view."""
        return whole[self.rows, self.columns]

    def on(self, part: np.ndarray, around: int | tuple[int, ...] = 0) -> np.ndarray:
        """The whole array: `part`, and `around` (a value, or one per channel) beyond it. `part` itself if it is all."""
        if self.shape == self.size:
            return part
        shape = (*self.size, *part.shape[2:])
        if around == 0:
            whole = np.zeros(shape, part.dtype)
        else:
            whole = np.empty(shape, part.dtype)
            whole[0] = around
            whole[1:] = whole[0]  # whole rows: numpy takes 7 ms to repeat three values over 2 megapixels
        self.of(whole)[...] = part
        return whole
