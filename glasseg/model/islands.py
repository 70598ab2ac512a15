"""Islands of doubt in a network's map, each decided as a whole.

A network may be of two minds about a lens: it takes most of it for glasses and a patch in its midst for neither, which
would come out milky. And what it half takes for glasses apart from them, such as a shadow behind a clear lens, would
come out as smoke. What it believes in the core of such an island, away from the blur of its edge, tells which way to
decide. Thin islands have no core and stay: they may be a gap beside a bridge, or the wire of a temple.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

_DEEP: Final = 3.0
"""Pixels of the map from the edge of an island to its core: the network blurs an edge over as many."""
_LIKELY: Final = 0.7
"""Of the threshold: the mean in the core of a patch from which on it is glasses. Chosen by 79 shop photos that no
network was trained on. There 46 of the 49 patches above it are material; with two later networks 35 of 41, 31 of 36."""
_LEAST: Final = 0.05
"""Where a ramp is so wide that alpha is never 0 or never 255, what counts as nothing, or the rest to 1 as all."""


def decided(map: np.ndarray, threshold: float, ramp: float) -> np.ndarray:
    """A map (h×w float32, about [0, 1]) without islands of doubt; `threshold` and `ramp` as in `matte.to_alpha`.

    A patch is a piece that is not fully glasses (alpha below 255) and surrounded by what is. It becomes glasses if its
    core is believed in; otherwise it stays as it is, an opening perhaps. Smoke is a piece that is not fully background
    (alpha above 0) and nowhere fully glasses. It becomes background if its core is below `threshold`, unless it is the
    largest piece. Either is put halfway between certainty and the end of the ramp: it keeps a part of its doubt, by
    which the quality of the mask is told.
    """
    none, full = max(threshold - ramp / 2, _LEAST), min(threshold + ramp / 2, 1 - _LEAST)
    x, y, width, height = cv2.boundingRect((map > none).astype(np.uint8))
    part = map[y : y + height, x : x + width]
    if not part.size:
        return map
    filled = _patches(part, full, _LIKELY * threshold)
    dropped = _smoke(part, none, full, threshold) & ~filled
    if filled.any() or dropped.any():
        part = np.where(filled, np.maximum(part, (full + 1) / 2), part)
        map = map.copy()
        map[y : y + height, x : x + width] = np.where(dropped, np.minimum(part, none / 2), part)
    return map


def _patches(map: np.ndarray, full: float, likely: float) -> np.ndarray:
    """Where a map is below `full` and surrounded by more, in pieces whose core is above `likely`: h×w bool."""
    found = (map < full).astype(np.uint8)
    count, labels = cv2.connectedComponents(found, connectivity=4)
    wanted = _cores(map, found, labels, count) > likely
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        wanted[side] = False
    wanted[0] = False
    return np.asarray(wanted[labels])


def _smoke(map: np.ndarray, none: float, full: float, likely: float) -> np.ndarray:
    """Where a map is above `none`, in pieces that are nowhere at `full` and whose core is below `likely`: h×w bool.

    The piece with the largest sum is none of them.
    """
    found = (map > none).astype(np.uint8)
    count, labels = cv2.connectedComponents(found, connectivity=8)
    wanted = _cores(map, found, labels, count) < likely
    wanted[labels[map >= full]] = False
    wanted[0] = wanted[np.bincount(labels.ravel(), map.ravel() * found.ravel(), count).argmax()] = False
    return np.asarray(wanted[labels])


def _cores(map: np.ndarray, found: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The mean of a map in the core of each piece of `found` (h×w uint8), float64; NaN where it has none."""
    deep = cv2.distanceTransform(cv2.copyMakeBorder(found, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1), cv2.DIST_L2, 3)
    core = deep[1:-1, 1:-1] >= _DEEP
    pieces = labels[core]
    areas = np.bincount(pieces, minlength=count)
    sums = np.bincount(pieces, map[core], count)
    return np.divide(sums, areas, out=np.full(count, np.nan), where=areas > 0)
