"""The glasses' own colours along their rim, with the old background that is mixed into them removed.

A rim pixel is a mixture I = αF + (1 - α)B of glasses F and background B. Both are first taken as local means of
decided pixels, as in M. Forte, "Approximate Fast Foreground Colour Estimation", 2021. Then there are two ways to what
is left on white: to put F there, or to subtract B from the mixture. The first errs most where the glasses are dark,
the second where the background was; each counts by its expected error.
"""

from __future__ import annotations

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
_AT_ONCE: Final = 1 << 16
"""Rim pixels processed together; each takes about 100 bytes of working memory."""
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
    rim, photo, part = result[grid.window], image[grid.window], alpha[grid.window]
    points = cv2.findNonZero(cv2.inRange(part, 1, 254))
    if points is None:
        return result
    small, weight = grid.shrink(photo), grid.shrink(part)
    glasses, behind = _local_mean(small, weight), _local_mean(small, 1 - weight)
    points = points.reshape(-1, 2)  # OpenCV 4 has n×1×2
    for first in range(0, len(points), _AT_ONCE):
        columns, rows = points[first : first + _AT_ONCE].T
        cells = rows // grid.cell, columns // grid.cell
        share = part[rows, columns, None] * np.float32(1 / 255)
        rim[rows, columns] = _own(photo[rows, columns].astype(np.float32), share, glasses[cells], behind[cells])
    return result


def _local_mean(photo: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The photo's colours (rows×columns×3 float32) averaged around each cell, of nearly decided cells only; 0–255.

    `photo`: rows×columns×3 float32 [0, 1]; `weight`: rows×columns float32 [0, 1].
    """
    decided = weight**4 + np.float32(1e-4) * weight + np.float32(1e-9)  # the last for where there is nothing else
    weighted = cv2.merge([*(plane * decided for plane in cv2.split(photo)), decided])
    near, far = (
        cv2.blur(weighted, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REPLICATE) for radius in _RADII
    )
    sums = near + _FARTHER * far
    return sums[..., :3] * (255 / sums[..., 3:])


def _own(mixed: np.ndarray, share: np.ndarray, glasses: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The glasses' own colours, n×3 uint8, of rim pixels `mixed` (n×3 float32) with alpha `share` (n×1, [0, 1]).

    `glasses` and `behind`: n×3 float32, the local means of both. All colours are 0–255.
    """
    rest = 1 - share
    doubt = 4 * _ALPHA_VARIANCE * share * rest
    subtracted = mixed + rest * (255 - behind)
    replaced = share * glasses + 255 * rest
    error_subtracted, error_replaced = (
        doubt * np.square(255 - field).mean(axis=1, keepdims=True) + _COLOUR_VARIANCE * np.square(part)
        for field, part in ((behind, rest), (glasses, share))
    )
    weight = error_replaced / (error_subtracted + error_replaced)
    on_white = replaced + weight * (subtracted - replaced)
    return np.clip(np.rint((on_white - 255 * rest) / share), 0, 255).astype(np.uint8)
