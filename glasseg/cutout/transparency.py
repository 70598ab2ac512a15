"""A photo's own transparency: whether it cuts the glasses out, whether it fits them, and which part is their shadow.

All of it is judged by what the network sees in the photo on white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.cutout import lenses, shadows
from glasseg.images.pixels import bands

OPAQUE: Final = 240
"""Alpha from which a pixel is opaque. Exports round, and some leave 254 everywhere."""
_CLEAR: Final = 8
"""Alpha up to which a pixel that is not next to the glasses is transparent, and holds noise."""

_CUT_OUT_RING: Final = 0.5
"""Share of transparent outermost pixels above which a photo may be a cut-out, not just have rounded corners."""
_CUT_OUT_GLASSES: Final = 0.5
"""Mean probability of the rest above which it is one, not a vignette or a turned photo."""
_MOST_HIDDEN: Final = 0.4
"""Share of what the network finds that may be transparent: .14 at most in 70 real cut-outs, .98 in a reversed one."""
_MOST_STRAY: Final = 0.05
"""Share of what is kept that may lie away from the glasses: .04 at most in 70 real cut-outs."""
_LEAST_EXTENT: Final = 0.8
"""Share of a cut-out's width and height that its glasses take: .94 at least in 70."""
_SEEN: Final = 0.1
_SPECK: Final = 0.01
"""Pieces with less than this share of the largest one's area are dirt."""

_CELLS: Final = 400
"""Cells along the longest side of the grid on which a shadow is told from glasses …"""
_CELL: Final = 2
"""… but no smaller than so many pixels, as wide as the soft edge of a rim."""
_AROUND: Final = np.ones((3, 3), np.uint8)
_BELOW_RIM: Final = np.ones((7, 7), np.uint8)
"""How far a shadow is carried on: over the soft edge of a rim and the cells next to it."""
_AWAY: Final = 0.3
"""Probability below which the network sees no glasses."""
_LEAST: Final = 0.001
"""Share of the alpha from which something is a shadow. 62 of 70 real cut-outs have exactly 0, the others have one."""
_SURELY_BELOW: Final = 0.15
"""Probability around a cell within a rim below which it is no lens, but a shadow seen through one."""
_DARK: Final = 0.3
"""Darkness of a shadow's own colour; a brighter veil is a clear lens or a glow, and hardly shows on white."""
_DARK_IN_LENS: Final = 0.5
_BARE: Final = 0.7
"""Share of what is within rims that is shadow if there are no lenses."""
_ALIKE: Final = 0.08
"""How far the opacity of a shadow's parts may be apart where the network takes them for glasses."""
_VEIL: Final = 0.05
"""Opacity that is left of a shadow where it was estimated, and goes, too."""
_MOST_OPAQUE: Final = 250
"""Opacity, of 255, that leaves something to see above it."""


@dataclass(frozen=True)
class CutOut:
    """A photo that came cut out, taken apart."""

    image: np.ndarray
    """H×W×3 uint8 RGB: the glasses' own colours."""
    alpha: np.ndarray
    """H×W uint8: the glasses alone."""
    shade: np.ndarray | None
    """H×W uint8, 255 for none: the shadow that it came with, as of `shadows.soft_shade`; None if there is none."""


def cuts_out(alpha: np.ndarray, probability: np.ndarray) -> bool:
    """Whether an alpha (H×W uint8) leaves glasses and little else, by the network's probability (H×W float32)."""
    ring = np.concatenate([alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]])
    kept = float(alpha.sum(dtype=np.float64)) / 255
    mostly_glasses = kept > 0 and _overlap(alpha, probability) >= _CUT_OUT_GLASSES * kept
    return mostly_glasses and float(np.mean(ring <= _CLEAR)) >= _CUT_OUT_RING


def hides(alpha: np.ndarray, probability: np.ndarray) -> bool:
    """Whether an alpha (H×W uint8) hides much of what the network takes for glasses (probability, H×W float32).

    Or a part of all of it: then nothing is opaque.
    """
    seen = float(probability.sum(dtype=np.float64))
    return _overlap(alpha, probability) < (1 - _MOST_HIDDEN) * seen or int(alpha.max()) < OPAQUE


def strays(image: np.ndarray, alpha: np.ndarray, probability: np.ndarray) -> bool:
    """Whether a cut-out (H×W×3 and H×W uint8) keeps much that the network takes for no glasses.

    What hardly shows on white counts only where it makes the cut-out larger than its glasses: white frames and clear
    lenses are what a network misses.
    """
    grid = _Grid.of(image, alpha, probability)
    away = (cv2.dilate(grid.probability, _AROUND) < _AWAY) & ~grid.enclosed
    if float(grid.depth.sum(where=away)) > _MOST_STRAY * float(grid.depth.sum()):
        return True
    kept = grid.opacity > _SEEN
    glasses = _extent(kept & (grid.probability > _SEEN))
    return any(ours < _LEAST_EXTENT * all_ for ours, all_ in zip(glasses, _extent(kept), strict=True))


def take_apart(image: np.ndarray, alpha: np.ndarray, probability: np.ndarray) -> CutOut:
    """The glasses of a cut-out (H×W×3 and H×W uint8), and the shadow below them.

    That is neutral, dark, half transparent, and away from what the network takes for glasses (H×W float32). Its opacity
    s is carried on to below their rim, where an alpha of a + (1 - a) s becomes a.
    """
    grid = _Grid.of(image, alpha, probability)
    alpha = _without_noise(alpha, grid)
    shadow = _shadow(grid)
    if shadow is None:
        return CutOut(image, alpha, None)
    known = shadow.astype(np.float32)
    opacity, depth = shadows.filled(grid.opacity, known), shadows.filled(grid.depth, known)
    opacity[cv2.dilate(known, _BELOW_RIM) == 0] = 0  # there, what is half transparent is a lens
    darkness = float(grid.depth.sum(where=shadow) / grid.opacity.sum(where=shadow))
    own, colours = _above(image, alpha, _enlarged(opacity, alpha.shape), 255 * (1 - min(1.0, darkness)))
    own[_enlarged(known, alpha.shape) > 127] = 0
    most = 1 - shadows.DARKEST / 255
    shade = cv2.bitwise_not(_enlarged(np.minimum(np.minimum(depth, grid.opacity), most), alpha.shape))
    return CutOut(colours, own, shadows.faded(shade))


@dataclass(frozen=True)
class _Grid:
    """A cut-out on a coarse grid, h×w each."""

    opacity: np.ndarray
    """float32 [0, 1]: its alpha."""
    depth: np.ndarray
    """float32 [0, 1]: by how much it darkens white."""
    neutral: np.ndarray
    """bool: whether what darkens it has no colour."""
    apart: np.ndarray
    """bool: whether nothing opaque is near, whose soft edge it might be."""
    probability: np.ndarray
    """float32 [0, 1], of the network."""
    enclosed: np.ndarray
    """bool: whether it is in an opening of the glasses that the network sees."""

    @classmethod
    def of(cls, image: np.ndarray, alpha: np.ndarray, probability: np.ndarray) -> _Grid:
        height, width = alpha.shape
        scale = min(1 / _CELL, _CELLS / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))

        def shrunk(array: np.ndarray) -> np.ndarray:
            return cv2.resize(array, size, interpolation=cv2.INTER_AREA)

        weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
        darker = cv2.multiply(cv2.bitwise_not(image), weight, scale=1 / 255)
        colours = shrunk(darker).astype(np.float32) / 255
        depth = colours.mean(axis=-1)
        small = shrunk(probability)
        solid = shrunk(cv2.compare(alpha, OPAQUE, cv2.CMP_GE))
        return cls(
            opacity=shrunk(alpha).astype(np.float32) / 255,
            depth=depth,
            neutral=colours.max(axis=-1) - colours.min(axis=-1) <= 0.25 * depth + 0.03,
            apart=cv2.dilate(solid, _AROUND) == 0,
            probability=small,
            enclosed=lenses.openings(cv2.convertScaleAbs(np.clip(small, 0, 1), alpha=255)) > 0,
        )


def _without_noise(alpha: np.ndarray, grid: _Grid) -> np.ndarray:
    """An alpha that is exactly 0 in what is as good as transparent; the same array if it is that already."""
    clear = grid.apart & (cv2.dilate(grid.probability, _AROUND) < _AWAY)
    noise = (_enlarged(clear.astype(np.float32), alpha.shape) > 127) & (alpha > 0) & (alpha <= _CLEAR)
    return np.where(noise, np.uint8(0), alpha) if noise.any() else alpha


def _shadow(grid: _Grid) -> np.ndarray | None:
    """Which cells are shadow and nothing else, h×w bool; None if there is none."""
    faint = grid.apart & (grid.opacity > 0.02) & grid.neutral
    nearby = cv2.dilate(grid.probability, _AROUND)
    outside = faint & ~grid.enclosed & (grid.depth > _DARK * grid.opacity)
    if float(grid.opacity.sum(where=outside & (nearby < _AWAY))) <= _LEAST * float(grid.opacity.sum()):
        return None
    inside = faint & grid.enclosed & (grid.depth > _DARK_IN_LENS * grid.opacity)
    veiled = grid.apart & grid.enclosed & (grid.opacity > 0.02)
    if np.count_nonzero(inside) < _BARE * np.count_nonzero(veiled):
        inside &= False  # seen through a lens that is a veil itself, and would get holes
    known = (outside & (grid.probability < _AWAY)) | (inside & (nearby < _SURELY_BELOW))
    # A shadow with a hard edge looks like glasses to the network in places, but not in all, and its opacity is one.
    usual = float(np.median(grid.opacity[known & (grid.opacity > 0.5 * grid.opacity.max(where=known, initial=0))]))
    alike = (outside | inside) & (np.abs(grid.opacity - usual) < _ALIKE)
    count, parts = cv2.connectedComponents((known | alike).astype(np.uint8), connectivity=8)
    holds = np.zeros(count, bool)
    holds[parts[known]] = True
    holds[0] = False
    return holds[parts]


def _above(image: np.ndarray, alpha: np.ndarray, opacity: np.ndarray, grey: float) -> tuple[np.ndarray, np.ndarray]:
    """Alpha and colours, as of `image` and `alpha`, of what lies above a `grey` layer (0–255) of this opacity."""
    own, colours = alpha.copy(), image.copy()
    for rows in bands((alpha.shape[0], alpha.shape[1])):
        changed = (opacity[rows] > 0) & (alpha[rows] > 0) & (alpha[rows] < 255)
        mixed = alpha[rows][changed].astype(np.float32) / 255
        below = np.minimum(opacity[rows][changed], _MOST_OPAQUE).astype(np.float32) / 255
        veil = np.minimum(below, _VEIL)
        share = np.clip(((mixed - below) / (1 - below) - veil) / (1 - veil), 0, 1)
        paint = image[rows][changed] * mixed[:, None] - (mixed - share)[:, None] * grey
        own[rows][changed] = np.rint(255 * share)
        colours[rows][changed] = np.clip(np.rint(paint / np.maximum(share, 1e-3)[:, None]), 0, 255)
    return own, colours


def _enlarged(small: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map of cells, [0, 1], as H×W uint8."""
    whole = cv2.convertScaleAbs(np.clip(small, 0, 1), alpha=255)
    return cv2.resize(whole, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def _extent(cells: np.ndarray) -> tuple[int, int]:
    """Width and height of some cells (h×w bool) without specks."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    pieces = stats[1:]
    if not len(pieces):
        return 0, 0
    area = pieces[:, cv2.CC_STAT_AREA]
    x, y, width, height = pieces[area >= _SPECK * area.max(), :4].T
    return int((x + width).max() - x.min()), int((y + height).max() - y.min())


def _overlap(alpha: np.ndarray, probability: np.ndarray) -> float:
    """How many pixels are both kept and glasses."""
    return float(sum(np.vdot(alpha[rows].astype(np.float32), probability[rows]) for rows in bands(alpha.shape))) / 255
