"""Whether a photo is stored sideways, told by the shape of what a network finds in it.

Glasses are wider than high, and a network that learned them upright finds less of them in a photo that lies on its
side. Of 75 real photos that no number here was chosen by, turned by a quarter to either side, 45 % lost a fifth of
their mask or more, and 29 % showed nothing of it; looked at turned as well, 13 % and 4 %. Of 1,608 upright ones 25 are
looked at again, since a box is higher than `_DOUBTED` of its width, and about 7 are called sideways, some of which
stand. Looking again where the quality is low, too, found no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.images.window import Window

QUARTERS: Final = (1, 3)
"""Counterclockwise quarter turns in which a doubted photo is looked at again."""

_DOUBTED: Final = 0.9
"""Height of the glasses' box over its width from which a photo is looked at again."""
_SURER: Final = 0.03
"""How much surer the network has to be of a turned photo."""
_SURE: Final = 0.4
"""How sure it has to be of one at least: where there are no glasses, it is sure of nothing in any turn."""
_TALL: Final = 1.1
"""Height over width from which glasses stand upright whatever the other looks say, as in 4 of 1,608 photos."""
_PAIR: Final = 0.9
"""The same for the largest piece: several pairs below each other make a tall box of wide pieces."""
_SIDE: Final = 256
"""Longest side of the map on which shapes are measured."""
_SPECK: Final = 0.05
"""Pieces with less than this share of the largest one's area don't count."""


@dataclass(frozen=True)
class Shape:
    """What one look found."""

    sureness: float
    """Mean of |2p - 1| within it, [0, 1]; 0 when nothing was found."""
    ratio: float
    """Height over width of its box; infinite when nothing was found."""
    pair: float
    """The same of its largest piece."""

    @property
    def doubted(self) -> bool:
        """Whether the photo should be looked at in other turns, too."""
        return self.ratio > _DOUBTED

    @property
    def tall(self) -> bool:
        """Whether glasses were found that stand upright."""
        return self.sureness > 0 and self.ratio > _TALL and self.pair > _PAIR

    def surer_than(self, other: Shape) -> bool:
        """Whether this look is the one to believe."""
        return self.sureness > max(_SURE, other.sureness + _SURER)


def shape(map: np.ndarray, window: Window, threshold: float) -> Shape:
    """The shape of what a look at a part of a photo found: where its map (h×w float32) is above `threshold`."""
    scale = min(1.0, _SIDE / max(window.size))
    size = (max(1, round(window.shape[1] * scale)), max(1, round(window.shape[0] * scale)))
    small = cv2.resize(map, size, interpolation=cv2.INTER_AREA)
    found = small > threshold
    _, _, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=8)
    pieces = stats[1:]
    if not len(pieces):
        return Shape(0.0, np.inf, np.inf)
    area = pieces[:, cv2.CC_STAT_AREA]
    x, y, w, h = pieces[area >= _SPECK * area.max(), :4].T
    largest = pieces[area.argmax()]
    return Shape(
        sureness=float(np.abs(2 * small[found] - 1).mean()),
        ratio=float(((y + h).max() - y.min()) / ((x + w).max() - x.min())),
        pair=float(largest[cv2.CC_STAT_HEIGHT] / largest[cv2.CC_STAT_WIDTH]),
    )


def turned(array: np.ndarray, quarters: int) -> np.ndarray:
    """An image or a map turned counterclockwise by quarters, contiguous; itself if not turned."""
    return np.ascontiguousarray(np.rot90(array, quarters)) if quarters % 4 else array
