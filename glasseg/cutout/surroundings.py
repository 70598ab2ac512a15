"""The old background as it would be without the glasses: a smooth field, and how far the photo is from being smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

SIDE: Final = 160
"""Most cells along the longest side: 10 pixels each in a photo 1600 wide, so that grain and JPEG noise average out."""

_FINE: Final = 2
"""Points per cell and axis at which the mask is judged, so that a cell next to a thin rim is still known."""
_LEAST_FREE: Final = 0.1
"""Share of the photo that has to be background."""
_DEGREE: Final = 3
_ROUNDS: Final = 5
_TOLERANCE: Final = 0.03
"""Share of the brightness from which a darker cell is fully doubted."""
_NEAR: Final = 0.12
"""Where the shadow of the glasses mostly ends, as a share of their longest side."""
_FAR: Final = 0.5
"""How far the neighbourhood of the glasses extends, as a share of their longest side."""


@dataclass(frozen=True)
class Surroundings:
    """A photo's background on a grid of h×w cells, each `cell`×`cell` pixels, from the photo's top left corner.

    The rest at the right and bottom is less than a cell and ignored.

    `field` h×w×3 float32 RGB, 1 to 255: the background everywhere, also below the glasses. `seen` h×w×3 float32: the
    photo's own background, mean of each cell. `free` h×w float32 [0, 1]: share of the cell that is background, away
    from the glasses' rim; where it is 0, `seen` means nothing. `distance` h×w float32: cells to the nearest not free.
    `roughness`: how far the photo is from `field` around the glasses where their shadow is not the reason, as a share
    of the brightness: .01 and less on a sweep, from about .02 on textured; inf without enough background.
    """

    cell: int
    field: np.ndarray
    seen: np.ndarray
    free: np.ndarray
    distance: np.ndarray
    roughness: float


def smooth_background(image: np.ndarray, alpha: np.ndarray) -> Surroundings:
    """The smooth background of an image (H×W×3 uint8 RGB) whose glasses have this alpha (H×W uint8).

    A cubic polynomial is fitted to the cells where alpha is 0 by iteratively reweighted least squares with Tukey's
    biweight (Beaton and Tukey 1974); darker cells may lie in a shadow and are doubted sooner than brighter ones. What
    it does not explain, such as a soft horizon, is added by normalised convolution (Knutsson and Westin 1993) of
    trusted cells.
    """
    cell = _FINE * max(1, -(-max(alpha.shape) // (_FINE * SIDE)))
    if min(alpha.shape) < cell:  # a line, not a photo
        nothing = np.zeros((1, 1), np.float32)
        return Surroundings(
            cell, np.full((1, 1, 3), 255, np.float32), cv2.merge([nothing] * 3), nothing, nothing, np.inf
        )
    seen, free = _cells(image, alpha, cell)
    distance = _distance(free)
    if (free > 0).mean() < _LEAST_FREE:
        return Surroundings(cell, np.full_like(seen, 255), seen, free, distance, np.inf)
    smooth, trust = _polynomial(seen, free, distance)
    field = np.clip(smooth + _spread(seen - smooth, trust), 1, 255)
    return Surroundings(cell, field, seen, free, distance, _roughness(field, seen, free, distance))


def _cells(image: np.ndarray, alpha: np.ndarray, cell: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour of each cell's background, and its share of the cell; a point next to the glasses does not count."""
    h, w = alpha.shape[0] // cell, alpha.shape[1] // cell
    rows, columns = slice(h * cell), slice(w * cell)
    size = (w * _FINE, h * _FINE)
    # Whole pixels to a point: cv2 averages those three times as fast. A point with any material is left out.
    points = cv2.resize(image[rows, columns], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    covered = cv2.compare(alpha[rows, columns], 0, cv2.CMP_GT)
    material = cv2.resize(covered, size, interpolation=cv2.INTER_AREA)
    bare = (cv2.dilate(material, np.ones((3, 3), np.uint8)) == 0).astype(np.float32)
    free = cv2.resize(bare, (w, h), interpolation=cv2.INTER_AREA)
    total = cv2.resize(points * bare[..., None], (w, h), interpolation=cv2.INTER_AREA)
    return total / np.maximum(free, 1e-6)[..., None], free


def _distance(free: np.ndarray) -> np.ndarray:
    """Cells from each cell to the nearest that is not free; far everywhere when all are."""
    bare = (free > 0).astype(np.uint8)
    if bare.all():
        return np.full(free.shape, float(sum(free.shape)), np.float32)
    distance: np.ndarray = cv2.distanceTransform(bare, cv2.DIST_L2, 3)
    return distance


def _polynomial(seen: np.ndarray, free: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The polynomial as h×w×3 float32, and how far each cell is trusted, h×w float32 [0, 1]."""
    h, w = free.shape
    y, x = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)
    terms = [x**i * y**j for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    basis = np.stack(terms, axis=-1)
    # Close to the glasses is their shadow; the fit relies on what is further away, but can do without it.
    prior = free * np.clip(distance / (0.1 * max(h, w)), 0.05, 1)
    thin = (slice(None, None, 3), slice(None, None, 3))  # a ninth of the cells fixes ten coefficients as well
    few, values, doubt = basis[thin].reshape(-1, len(terms)), seen[thin].reshape(-1, 3), prior[thin].ravel()
    trust, scale = doubt, _TOLERANCE
    for _ in range(_ROUNDS):
        weighted = few * trust[:, None]
        ridge = 1e-4 * (float(trust.sum()) + 1) * np.eye(len(terms), dtype=np.float32)
        weights = np.linalg.solve(weighted.T @ few + ridge, weighted.T @ values)
        off = _residual(values, few @ weights)
        scale = max(_TOLERANCE, 2 * float(np.median(np.abs(off[doubt > 0]))))
        trust = doubt * _biweight(off, scale)
    smooth = basis @ weights
    return smooth, prior * _biweight(_residual(seen, smooth), scale)


def _residual(values: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """Brightness over the fit's, less 1; both …×3."""
    expected = np.maximum(smooth.mean(axis=-1), 16)
    off: np.ndarray = (values.mean(axis=-1) - expected) / expected
    return off


def _biweight(off: np.ndarray, scale: float) -> np.ndarray:
    """Trust by residual: none below `-scale` and above twice `scale`, except for a trace that keeps it solvable."""
    share = off / (scale * np.where(off < 0, np.float32(1), np.float32(2)))
    weight: np.ndarray = np.clip(1 - share * share, 0.001, 1) ** 2
    return weight


def _spread(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Wide local mean of values (h×w×3 float32) by weight (h×w float32); 0 where nothing with weight is near."""
    h, w = weight.shape
    size = (-(-w // 4), -(-h // 4))
    total = cv2.resize(values * weight[..., None], size, interpolation=cv2.INTER_AREA)
    known = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    sigma = max(min(size) / 10, 0.5)
    mean = cv2.GaussianBlur(total, (0, 0), sigma) / (cv2.GaussianBlur(known, (0, 0), sigma) + 0.02)[..., None]
    return cv2.resize(mean, (w, h), interpolation=cv2.INTER_CUBIC)


def _roughness(field: np.ndarray, seen: np.ndarray, free: np.ndarray, distance: np.ndarray) -> float:
    """The larger of two: how much brighter than the field cells are nearby, and by how much others differ further out.

    Near the glasses only what is brighter counts, since a shadow is darker.
    """
    _, _, w, h = cv2.boundingRect((distance == 0).astype(np.uint8))
    longest = max(w, h)
    around = (free > 0) & (distance < _FAR * longest) if longest else free > 0
    if not around.any():
        return np.inf
    off = _residual(seen[around], field[around])
    beyond = off[distance[around] > _NEAR * longest]
    differing = float(np.median(np.abs(beyond))) if beyond.size else 0.0
    return max(float(np.percentile(np.maximum(off, 0), 90)), differing)
