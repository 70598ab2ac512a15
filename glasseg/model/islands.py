"""Islands of doubt in a network's map, each decided as a whole.

A network may be of two minds about a lens: it takes most of it for glasses and a patch in its midst for neither, which
would come out milky. And what it half takes for glasses apart from them, such as a shadow behind a clear lens, would
come out as smoke. Neither is ever right, and how much it believes of all of an island tells which way to decide.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

_LIKELY: Final = 0.28
"""Of the ramp: how far below the threshold the mean of a patch may lie that is taken for glasses. In 79 shop photos of
which none was trained on, 42 of 45 such patches are material."""
_DECIDED: Final = 0.02
"""How far beyond the ends of the ramp a decided island is put: just enough that enlarging leaves no veil. It keeps its
doubt, by which the quality of a mask is told."""
_THICK: Final = 3.0
"""Pixels from the middle of a patch to its edge, at least: the network blurs a narrow gap until it looks like one."""
_LEAST: Final = 0.05
"""Where a ramp is so wide that alpha is never 0 or never 255, what counts as nothing, or the rest to 1 as all."""


def decided(map: np.ndarray, threshold: float, ramp: float) -> np.ndarray:
    """A map (h×w float32, about [0, 1]) without islands of doubt; `threshold` and `ramp` as in `matte.to_alpha`.

    A patch is what is not fully glasses and surrounded by what is: it becomes glasses if its mean is above
    `threshold - 0.28 * ramp`, and otherwise stays as it is, an opening perhaps. Smoke is what is not fully background
    and surrounded by what is: it becomes background if its mean is below `threshold`, but for the largest piece of all.
    """
    none, full = max(threshold - ramp / 2, _LEAST), min(threshold + ramp / 2, 1 - _LEAST)
    x, y, width, height = cv2.boundingRect((map > none).astype(np.uint8))
    part = map[y : y + height, x : x + width]
    if not part.size:
        return map
    filled = _patches(part, full, threshold - _LIKELY * ramp)
    dropped = _smoke(part, none, threshold)
    if filled.any() or dropped.any():
        part = np.where(filled, np.maximum(part, min(full + _DECIDED, 1)), part)
        map = map.copy()
        map[y : y + height, x : x + width] = np.where(dropped, np.minimum(part, max(none - _DECIDED, 0)), part)
    return map


def _patches(map: np.ndarray, full: float, likely: float) -> np.ndarray:
    """Where a map is below `full` and surrounded by more, in thick patches whose mean is above `likely`: h×w bool."""
    found = (map < full).astype(np.uint8)
    labels, means, _ = _pieces(map, found, connectivity=4)
    wanted = means > likely
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        wanted[side] = False
    if wanted.any():
        deep = cv2.distanceTransform(found, cv2.DIST_L2, 3) >= _THICK
        wanted &= np.bincount(labels[deep], minlength=len(wanted)) > 0
    return np.asarray(wanted[labels])


def _smoke(map: np.ndarray, none: float, likely: float) -> np.ndarray:
    """Where a map is above `none`, in pieces whose mean is below `likely`, but for the largest piece: h×w bool."""
    labels, means, masses = _pieces(map, (map > none).astype(np.uint8), connectivity=8)
    wanted = means < likely
    wanted[0] = wanted[masses.argmax()] = False
    return np.asarray(wanted[labels])


def _pieces(map: np.ndarray, found: np.ndarray, connectivity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pieces of `found` (h×w uint8) as labels, and mean and sum of `map` in each; piece 0, the rest, has 0."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=connectivity)
    sums = np.bincount(labels.ravel(), map.ravel(), count)
    sums[0] = 0
    return labels, sums / np.maximum(stats[:, cv2.CC_STAT_AREA], 1), sums
