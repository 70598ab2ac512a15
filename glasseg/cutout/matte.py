"""The edge at full resolution: from the network's probability to an 8-bit alpha that follows the photo.

The network sees a photo at a fraction of its size, so its edge is soft and up to a few photo pixels off. In the
uncertain band along it, alpha is taken from the photo's own colours: by a guided filter (K. He, J. Sun, X. Tang,
"Guided Image Filtering", 2013) in the fast form that finds its coefficients on a coarse grid (K. He, J. Sun, "Fast
Guided Filter", 2015), with every grid cell weighted by how decided the network is there.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from glasseg.cutout.grid import MARGIN, Grid

_RADIUS: Final = 3
"""Radius of the filter's windows, in grid cells."""
_SMOOTHNESS: Final = 1e-5
"""The filter's ε, for colours in [0, 1]: smaller follows fainter edges."""
_UNDECIDED: Final = 0.01
"""Weight of a cell where the probability is at the threshold; 1 where it is farthest from it."""
_SPECK: Final = 0.005
"""Parts with less than this share of the largest part's mass are specks …"""
_NEAR: Final = 3
"""… unless they are within so many cells of a larger one: a temple may be in pieces."""
_GAIN: Final = 1.4
"""Steepens what the filter gives: its windows spread an edge over a few cells."""


def alpha(
    image: np.ndarray,
    probability: np.ndarray,
    threshold: float,
    ramp: float,
    *,
    kept: np.ndarray | None = None,
    trust: np.ndarray | None = None,
) -> np.ndarray:
    """The alpha (h×w uint8) of a photo (h×w×3 uint8 RGB) by its probability (h×w float32 in [0, 1]).

    `threshold` and `ramp` as in `to_alpha`, whose result it equals away from the edge, except for specks: exactly 0 and
    255. A part that touches `kept` (h×w uint8, above 0) is no speck, however small. Where `trust` (h×w uint8)
    is low, the photo's colours decide on an edge more than the probability does.
    """
    found = to_alpha(probability, threshold, ramp)
    grid = Grid.over(found)
    if grid is None:
        return found
    photo, soft, p = (one[grid.window] for one in (image, found, probability))
    small = grid.shrink(soft)
    _drop_specks(soft, small, grid, None if kept is None else grid.shrink(kept[grid.window]))
    decided = np.square((grid.shrink(p) - np.float32(threshold)) / max(threshold, 1 - threshold))
    if trust is not None:
        decided *= grid.shrink(trust[grid.window])
    planes = _coefficients(grid.shrink(photo), small, decided + _UNDECIDED)
    for cells, pixels in grid.tiles(_uncertain(small, MARGIN + 1)):  # enlarged, a cell reaches into its neighbours
        soft[pixels] = _applied(soft[pixels], photo[pixels], [grid.enlarge(plane, cells) for plane in planes])
    return found


def to_alpha(probability: np.ndarray, threshold: float, ramp: float) -> np.ndarray:
    """Turn a probability (h×w float32, at photo size, about [0, 1]) into an alpha (h×w uint8), pixel by pixel.

    That is round(255 * clip((p - threshold) / ramp + 0.5, 0, 1)).
    The alpha is exactly 0 up to `threshold - ramp / 2` and exactly 255 from `threshold + ramp / 2` on, so that tails
    of the probability leave no veil. ValueError for a `ramp` below 0.001.
    """
    if not ramp >= 0.001:  # a nearly infinite slope would overflow the integers that the pass below saturates from
        raise ValueError(f"the ramp is at least 0.001, not {ramp}")
    gain = 255 / ramp
    # One saturating pass; the second picture of the weighted sum has weight 0.
    return cv2.addWeighted(probability, gain, probability, 0.0, 127.5 - gain * threshold, dtype=cv2.CV_8U)


def _drop_specks(soft: np.ndarray, small: np.ndarray, grid: Grid, kept: np.ndarray | None) -> None:
    """Clear, in place, what is small next to the largest part of an alpha (uint8) and apart from it, in whole cells.

    `small`: the alpha averaged over each cell, float32 in [0, 1], which is cleared, too. `kept`: above 0 in cells whose
    part stays.
    """
    count, parts = cv2.connectedComponents((small > 0).astype(np.uint8), connectivity=8)
    mass = np.bincount(parts.ravel(), small.ravel(), count)
    mass[0] = 0
    large = (mass >= _SPECK * mass.max())[parts].astype(np.uint8)
    stays = np.zeros(count, bool)
    stays[parts[cv2.dilate(large, np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8)) > 0]] = True
    stays[0] = True
    if kept is not None:
        stays[parts[kept > 0]] = True
    if stays.all():
        return
    specks = ~stays[parts]
    small[specks] = 0
    for row, column in np.argwhere(specks):
        soft[grid.pixels((slice(row, row + 1), slice(column, column + 1)))] = 0


def _uncertain(small: np.ndarray, reach: int) -> np.ndarray:
    """Which cells have an edge within `reach` cells, bool; elsewhere the filter returns what it gets."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.compare(cv2.dilate(small, square), cv2.erode(small, square), cv2.CMP_NE) > 0


def _coefficients(photo: np.ndarray, small: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Five planes, rows×columns float32: a, b, c and d with which ar + bg + cb + d gives the alpha, all of 0–255.

    They fit `small` best around each cell; the fifth plane is how well, as the share of its variance that the fit
    explains. `photo`: rows×columns×3 float32 [0, 1]; `small` and `weight`: rows×columns float32.

    Windows without an edge explain themselves: their slopes are 0. The others, a quarter, are gathered.
    """
    mixed = np.flatnonzero(_uncertain(small, _RADIUS))
    w = weight.astype(np.float64)  # variances below are small differences of large sums
    product, blurred = np.empty_like(w), np.empty_like(w)

    def total(plane: np.ndarray) -> np.ndarray:
        return _mean(plane, blurred).take(mixed)

    def mean(plane: np.ndarray, other: np.ndarray) -> np.ndarray:
        return total(np.multiply(plane, other, out=product)) / weights

    weights = total(w)
    colours = [plane.astype(np.float64) for plane in cv2.split(photo)]
    weighted = [plane * w for plane in colours]
    r, g, b = means = [total(plane) / weights for plane in weighted]
    middle = mean(small, w)
    rr, gg, bb = (
        mean(plane, one) - own * own + _SMOOTHNESS for plane, one, own in zip(colours, weighted, means, strict=True)
    )
    rg, rb, gb = (mean(weighted[i], colours[j]) - means[i] * means[j] for i, j in ((0, 1), (0, 2), (1, 2)))
    to_r, to_g, to_b = (mean(plane, small) - one * middle for plane, one in zip(weighted, means, strict=True))
    variance = mean(np.multiply(small, small, out=product), w) - middle * middle
    # the inverse of the symmetric 3×3 covariance, by its cofactors
    c11, c12, c13 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c22, c23, c33 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c11 + rg * c12 + rb * c13
    slopes = [
        (c11 * to_r + c12 * to_g + c13 * to_b) / determinant,
        (c12 * to_r + c22 * to_g + c23 * to_b) / determinant,
        (c13 * to_r + c23 * to_g + c33 * to_b) / determinant,
    ]
    offset = middle - slopes[0] * r - slopes[1] * g - slopes[2] * b
    explained = slopes[0] * to_r + slopes[1] * to_g + slopes[2] * to_b

    def spread(values: np.ndarray, elsewhere: np.ndarray | float = 0.0) -> np.ndarray:
        product[:] = elsewhere
        product.put(mixed, values)
        return _mean(product, blurred)

    fit = np.maximum(spread(variance), 1e-6)
    fit = np.clip(np.divide(spread(explained), fit, out=fit), 0, 1, out=fit)
    planes = [spread(_GAIN * slope).astype(np.float32) for slope in slopes]
    ground = spread(255 * (_GAIN * (offset - 0.5) + 0.5), 255 * (_GAIN * (small - np.float64(0.5)) + 0.5))
    return [*planes, ground.astype(np.float32), fit.astype(np.float32)]


def _mean(plane: np.ndarray, out: np.ndarray) -> np.ndarray:
    return cv2.blur(plane, (2 * _RADIUS + 1, 2 * _RADIUS + 1), dst=out, borderType=cv2.BORDER_REPLICATE)


def _applied(soft: np.ndarray, photo: np.ndarray, planes: list[np.ndarray]) -> np.ndarray:
    """Alpha, h×w uint8, of a tile of alpha and photo by the planes of `_coefficients` at the same size.

    Where the photo's colours reveal little about the edge, the alpha stays closer to what it was.
    """
    *slopes, total, fit = planes
    for colour, slope in zip(cv2.split(photo), slopes, strict=True):
        cv2.add(total, cv2.multiply(slope, colour, dst=slope, dtype=cv2.CV_32F), dst=total)
    np.clip(total, 0, 255, out=total)
    cv2.subtract(total, soft, dst=total, dtype=cv2.CV_32F)
    cv2.multiply(total, fit, dst=total)
    cv2.add(total, soft, dst=total, dtype=cv2.CV_32F)
    return cv2.convertScaleAbs(total)  # rounds
