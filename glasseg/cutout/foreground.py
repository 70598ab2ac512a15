"""The glasses' own colours along their rim, with the old background that is mixed into them removed.

A rim pixel is a mixture I = αF + (1 - α)B of glasses F and background B. Both are first taken as local means of
decided pixels, as in M. Forte, "Approximate Fast Foreground Colour Estimation", 2021. Then there are two ways to what
is left on white: to put F there, or to subtract B from the mixture. The first errs most where the glasses are dark,
the second where the background was; each counts by its expected error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np

from glasseg.cutout.grid import Grid

_RADII: Final = (2, 6)
"""Radii of the windows for local means, in grid cells; the wider counts where the narrower has nothing decided."""
_FARTHER: Final = 0.05
"""Weight of the wider window relative to the narrower."""
_ALPHA_VARIANCE: Final = 0.04
"""Expected variance of an alpha of one half; it falls to 0 at the ends of the range."""
_BAND: Final = 1 << 19
"""Pixels that are searched for the rim together."""
_AT_ONCE: Final = 1 << 14
"""Rim pixels processed together, which stay in the processor's cache; each takes about 100 bytes."""
_PIXEL: Final = np.dtype("V3")
"""A pixel as one item, which numpy moves faster than three."""
_COLOUR_VARIANCE: Final = 400.0
"""Expected variance of a pixel's own colour about the local mean, in levels²; halved or doubled, little changes."""


def decontaminate(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The photo (h×w×3 uint8 RGB) with the glasses' own colours where `alpha` (h×w uint8) is neither 0 nor 255.

    Everywhere else the result, a new array, is the photo.
    """
    result = image.copy()
    grid = Grid.over(alpha)
    if grid is None:
        return result
    part = alpha[grid.window]
    height, width = part.shape
    small, weight = cv2.split(grid.shrink(image[grid.window])), grid.averaged(part)
    share = np.arange(256, dtype=np.float32) / 255  # a cell's weight has 256 values: the power below is slow
    glasses, behind = (_local_mean(small, cv2.LUT(weight, _decided(one))) for one in (share, 1 - share))
    cell_of_row = np.arange(height) // grid.cell * (width // grid.cell)
    cell_of_column = np.arange(width) // grid.cell
    pixels, (top, left) = result.reshape(-1, 3), (one.start for one in grid.window)
    for soft in _soft(part):
        rows = soft // width
        columns = soft - rows * width
        cells = cell_of_row.take(rows) + cell_of_column.take(columns)
        places = (rows + top) * result.shape[1] + columns + left
        mixed, share = pixels.take(places, axis=0), part[rows, columns]
        own = _own(mixed.T.copy(), share, glasses.take(cells, axis=1), behind.take(cells, axis=1))
        pixels.view(_PIXEL)[places] = np.ascontiguousarray(own.T).view(_PIXEL)
    return result


def _soft(alpha: np.ndarray) -> Iterator[np.ndarray]:
    """Where an alpha (h×w uint8) is neither 0 nor 255, as flat indices, some at a time."""
    step = max(1, _BAND // alpha.shape[1])
    for top in range(0, alpha.shape[0], step):
        soft = np.flatnonzero(alpha[top : top + step] - np.uint8(1) < 254)  # 0 wraps to 255
        soft += top * alpha.shape[1]
        yield from (soft[first : first + _AT_ONCE] for first in range(0, soft.size, _AT_ONCE))


def _decided(share: np.ndarray) -> np.ndarray:
    """The weight of cells of which glasses or background take this share, [0, 1]: little unless they take it all."""
    decided: np.ndarray = share**4 + np.float32(1e-4) * share + np.float32(1e-9)  # the last: there may be nothing else
    return decided


def _local_mean(photo: Sequence[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """The photo's colours, three planes of rows×columns float32 in [0, 1], averaged around each cell by `weight`.

    3×cells float32, 0–255.
    """
    weighted = cv2.merge([*(cv2.multiply(plane, weight) for plane in photo), weight])
    near, far = (
        cv2.blur(weighted, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REPLICATE) for radius in _RADII
    )
    far *= _FARTHER
    *sums, total = cv2.split(cv2.add(near, far, dst=near))
    np.divide(255, total, out=total)
    return np.stack([cv2.multiply(plane, total, dst=plane).ravel() for plane in sums])


def _own(mixed: np.ndarray, alpha: np.ndarray, glasses: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The glasses' own colours, 3×n uint8, of rim pixels `mixed` (3×n uint8) with an alpha (n uint8).

    `glasses` and `behind`: 3×n float32, 0–255, the local means of both; they are overwritten.
    """
    share = alpha * np.float32(1 / 255)
    rest = 1 - share
    doubt = 4 * _ALPHA_VARIANCE * share * rest
    white = 255 * rest
    error_replaced = doubt * _squared(255 - glasses) + _COLOUR_VARIANCE * np.square(share)
    replaced = np.multiply(share, glasses, out=glasses)
    replaced += white
    lighter = np.subtract(255, behind, out=behind)
    error_subtracted = doubt * _squared(lighter) + _COLOUR_VARIANCE * np.square(rest)
    lighter *= rest
    subtracted = np.add(mixed, lighter, out=lighter)
    weight = error_replaced / (error_subtracted + error_replaced)
    subtracted -= replaced
    subtracted *= weight
    on_white = np.add(replaced, subtracted, out=replaced)
    on_white -= white
    on_white /= share
    return np.clip(np.rint(on_white, out=on_white), 0, 255, out=on_white).astype(np.uint8)


def _squared(colours: np.ndarray) -> np.ndarray:
    """The mean square over the channels of colours (3×n float32): n."""
    total: np.ndarray
    total, green, blue = np.square(colours)
    total += green
    total += blue
    total /= 3
    return total
