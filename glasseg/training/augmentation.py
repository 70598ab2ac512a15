"""Labelled photos rotated, moved and relit: one affine warp for photo and masks, then the light."""

from __future__ import annotations

from typing import assert_never

import cv2
import numpy as np

from glasseg.config import Resize
from glasseg.labels.reading import Scene

_ENLARGED = 1.5
"""The largest factor by which a close-up enlarges a photo."""


def to_square(scene: Scene, side: int, resize: Resize, matrix: np.ndarray | None = None) -> Scene:
    """The scene as the network sees it, side×side pixels, by one warp; what lies outside the photo repeats its edge.

    `matrix`, 3×3, moves the square's pixels further, see `affine`.
    """
    height, width = scene.coverage.shape
    fit = np.array([side / width, side / height])
    match resize:
        case "letterbox":
            fit[:] = fit.min()
        case "stretch":
            pass
        case _:
            assert_never(resize)
    left, top = (side - fit * [width, height]) / 2
    # pixel centres: x' + 0.5 = fit (x + 0.5) + left
    into = np.array([[fit[0], 0, left + (fit[0] - 1) / 2], [0, fit[1], top + (fit[1] - 1) / 2], [0, 0, 1]])
    into = into if matrix is None else matrix @ into
    shrink = min(1.0, float(np.sqrt(abs(np.linalg.det(into[:2, :2])))))
    parts = [scene.photo, scene.coverage, scene.weight, scene.opening]
    if shrink < 0.7:  # a warp samples few pixels: average large photos down first
        small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        parts = [cv2.resize(part, small, interpolation=cv2.INTER_AREA) for part in parts]
        back = np.diag([width / small[0], height / small[1], 1.0])
        back[:2, 2] = (back.diagonal()[:2] - 1) / 2
        into = into @ back
    photo, coverage, weight, opening = (
        cv2.warpAffine(part, into[:2], (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in parts
    )
    return Scene(photo, coverage, np.where(weight > 250, 255, 0).astype(np.uint8), opening)


def close_up(scene: Scene, side: int, share: float) -> np.ndarray:
    """The 3×3 matrix that centres the material of a letterboxed scene and makes it fill a `share` of the square.

    The second pass over a photo sees glasses this large. Small glasses fill less: the scene is enlarged `_ENLARGED`
    times at most. `side` in pixels, as for `to_square`.
    """
    height, width = scene.coverage.shape
    x, y, w, h = cv2.boundingRect((scene.coverage > 127).astype(np.uint8))
    if not w:
        return np.eye(3)
    fit = side / max(height, width)
    scale = min(share * max(height, width) / max(w, h), max(1.0, _ENLARGED / fit))
    middle = side / 2 + fit * (np.array([x + w / 2, y + h / 2]) - np.array([width, height]) / 2) - 0.5
    matrix = np.diag([scale, scale, 1.0])
    matrix[:2, 2] = (side - 1) / 2 - scale * middle
    return matrix


def affine(
    rng: np.random.Generator, side: int, *, rotation: float, shift: float, shear: float, zoom: float, flip: bool
) -> np.ndarray:
    """A random 3×3 matrix of the pixels of a side×side square, about its centre.

    Each is uniform over its range: `rotation` ± degrees, `shift` ± share of the side, `shear` ± as a slope, `zoom` 1 ±
    along each axis; `flip`: mirrored left to right half of the time.
    """
    turn = np.deg2rad(rng.uniform(-rotation, rotation))
    scale = rng.uniform(1 - zoom, 1 + zoom, 2) * [rng.choice([-1, 1]) if flip else 1, 1]
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ [[1, rng.uniform(-shear, shear)], [0, 1]] @ np.diag(scale)
    centre = np.full(2, (side - 1) / 2)
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ centre + rng.uniform(-shift, shift, 2) * side
    return matrix


def relight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image (s×s×3 uint8) under another camera and light: gain, sometimes low, gamma, cast, blur, noise, JPEG."""
    if rng.random() < 0.8:
        levels = np.arange(256, dtype=np.float32)[:, None] / 255
        cast = rng.uniform(0.93, 1.07, 3) if rng.random() < 0.5 else np.ones(3)
        gain = rng.uniform(0.3, 0.7) if rng.random() < 0.08 else rng.uniform(0.8, 1.15)
        curve = levels ** rng.uniform(0.75, 1.35) * gain * cast + rng.uniform(-0.03, 0.03)
        image = cv2.LUT(image, np.clip(curve * 255, 0, 255).astype(np.uint8)[None])
    image = _softened(image, rng)
    if rng.random() < 0.3:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, float(rng.uniform(1, 9)))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if rng.random() < 0.4:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return image


def _softened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every fourth picture enlarged from fewer pixels, every fifth out of focus."""
    height, width = image.shape[:2]
    if rng.random() < 0.25:
        factor = rng.uniform(0.3, 0.9)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5)) if rng.random() < 0.25 else image
