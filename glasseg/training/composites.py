"""Composites: glasses cut out of photos on white, laid on other backgrounds the way light would, with their soft mask.

On pure white, glasses are trivial to segment; the network must learn to find them on wood, cloth, sweeps and shadows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from glasseg.labels.reading import Layer
from glasseg.training import backdrops, props
from glasseg.training.augmentation import relight
from glasseg.training.backdrops import Style


@dataclass(frozen=True)
class Sample:
    """One training picture: `image` s×s×3 uint8 RGB, the others s×s uint8.

    `coverage`: material, soft. `opening`: see-through parts, as far as they are known. `weight`: 0 where a pixel is not
    scored.
    """

    image: np.ndarray
    coverage: np.ndarray
    opening: np.ndarray
    weight: np.ndarray


def composite(
    layers: Sequence[Layer],
    photos: Sequence[np.ndarray],
    rng: np.random.Generator,
    side: int,
    style: Style | None = None,
) -> Sample:
    """Lay one or several pairs of glasses on a backdrop of side×side pixels, under one light, as a camera would.

    `photos`: h×w×3 uint8 scenes to make backdrops of; `style`: None for any of them, and
    sometimes plain white.
    """
    poses = [_pose(rng, side)] if len(layers) == 1 else _arranged(len(layers), rng, side)
    parts = [_placed(layer, rng, side, pose) for layer, pose in zip(layers, poses, strict=True)]
    if style is None and rng.random() < 0.05:
        image = np.full((side, side, 3), 255, np.uint8)
    else:
        image = backdrops.draw(rng, side, photos, style)
        for part in parts:
            image = _shaded(image, part.photo, part.coverage, rng)
    coverage = opening = np.zeros((side, side), np.uint8)
    for part in parts:
        image = _displaced(image, part.opening, rng)
    for part in parts:
        image = _merged(part, image, rng)
        coverage = cv2.add(part.coverage, cv2.multiply(coverage, cv2.bitwise_not(part.coverage), scale=1 / 255))
        opening = cv2.max(part.opening, opening)
    opening = cv2.min(opening, cv2.bitwise_not(coverage))
    image = props.on_clear_lenses(image, opening, rng)
    image, coverage, opening = props.in_front(image, coverage, opening, rng)
    image = relight(image, rng)
    weight = np.full((side, side), 255, np.uint8)
    if rng.random() < 0.3:
        image, weight = _banded(image.copy(), weight, int(side * rng.uniform(0.05, 0.25)), rng)
    return Sample(image, coverage, opening, weight)


@dataclass(frozen=True)
class _Pose:
    """How glasses lie: `span`, their longest side in pixels, `angle` in radians, and `centre`, (x, y).

    Without a `centre` they lie anywhere that leaves most of them inside the picture.
    """

    span: float
    angle: float
    centre: np.ndarray | None = None


def _pose(rng: np.random.Generator, side: int) -> _Pose:
    """A random pose of a single pair of glasses."""
    span = side * (rng.uniform(1.0, 1.6) if rng.random() < 0.08 else rng.uniform(0.35, 0.98))
    return _Pose(span, float(np.deg2rad(rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-40, 40))))


def _arranged(n: int, rng: np.random.Generator, side: int) -> list[_Pose]:
    """Poses of several pairs as shops lay them out: in a column, a row or a slanted line, similar in size and angle."""
    angle = rng.normal(0, 0.08) if rng.random() < 0.7 else rng.uniform(-0.6, 0.6)
    column = rng.random() < 0.75
    # glasses are wide: in a column they may be as wide as the picture and still lie apart
    span = side * rng.uniform(0.6, 1.0) * (min(0.9, 1.9 / n) if column else 0.95 / n)
    step = side * rng.uniform(0.75, 1.0) / n
    along = np.array([rng.normal(0, 0.25), 1.0]) if column else np.array([1.0, rng.normal(0, 0.25)])
    centres = [side / 2 + along * step * (i - (n - 1) / 2) + rng.normal(0, 0.02, 2) * side for i in range(n)]
    return [_Pose(span * rng.uniform(0.9, 1.1), angle + rng.normal(0, 0.05), centre) for centre in centres]


def _placed(layer: Layer, rng: np.random.Generator, side: int, pose: _Pose) -> Layer:
    """The layer on a white side×side canvas, posed as asked and tilted a little."""
    h, w = layer.coverage.shape
    scale, angle, centre = pose.span / max(h, w), pose.angle, pose.centre
    parts = [layer.photo, layer.coverage, layer.opening, layer.lens]
    if scale < 0.7:
        parts = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in parts]
        h, w = parts[1].shape
        scale = 1.0
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]], np.float64) / 2
    if centre is None:
        room = np.maximum(0.06 * side, (side - np.abs(corners @ turn.T).max(axis=0) * 2) / 2)
        centre = side / 2 + np.clip(rng.normal(0, 0.5, 2), -1, 1) * room
    target = (corners * flip) @ turn.T + centre + rng.uniform(-0.06, 0.06, (4, 2)) * scale * h
    source = corners + np.array([w, h]) / 2
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    size = (side, side)
    photo = cv2.warpPerspective(parts[0], matrix, size, flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    return Layer(photo, *(cv2.warpPerspective(p, matrix, size, flags=cv2.INTER_LINEAR) for p in parts[1:]))


def _shaded(backdrop: np.ndarray, photo: np.ndarray, coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The backdrop with cast shadows, one that hugs the rim, and sometimes a mirror image on a glossy floor."""
    side = backdrop.shape[0]
    out = backdrop.astype(np.float32)
    if rng.random() < 0.1:
        below = np.flatnonzero(coverage.any(axis=1))
        shift = int(2 * below[-1] + 2 - side) if below.size else 0
        matrix = np.array([[1.0, 0, 0], [0, 1, shift]])
        mirrored = cv2.warpAffine(cv2.flip(photo, 0), matrix, (side, side), borderValue=(255, 255, 255))
        share = cv2.warpAffine(cv2.flip(coverage, 0), matrix, (side, side)).astype(np.float32)[..., None] / 255
        fade = np.linspace(rng.uniform(0.2, 0.6), 0, side, dtype=np.float32)[:, None, None]
        out += (mirrored - out) * share * fade
    small = cv2.resize(coverage, (side // 4, side // 4), interpolation=cv2.INTER_AREA)
    for _ in range(rng.choice([0, 1, 2], p=[0.25, 0.5, 0.25])):
        offset = rng.normal(0, 0.05, 2) * side / 4 + [0, 0.02 * side / 4]
        shear = rng.normal(0, 0.15)
        matrix = np.array([[1, shear, offset[0] - shear * side / 8], [0, rng.uniform(0.6, 1.1), offset[1]]])
        shadow = cv2.warpAffine(small, matrix, (side // 4, side // 4))
        shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(0.4, 5))
        strength = rng.uniform(0.15, 0.75) / 255
        out *= 1 - strength * cv2.resize(shadow, (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
    if rng.random() < 0.35:
        dx, dy = rng.normal(0, 0.005, 2) * side + [0, 0.006 * side]
        shadow = cv2.warpAffine(coverage, np.array([[1.0, 0, dx], [0, 1, dy]]), (side, side))
        shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(0.002, 0.012) * side)
        out *= 1 - shadow.astype(np.float32)[..., None] * np.float32(rng.uniform(0.2, 0.7) / 255)
    return np.clip(out, 0, 255).astype(np.uint8)


def _displaced(backdrop: np.ndarray, opening: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The backdrop as seen through lenses with power: moved and enlarged a little behind openings."""
    if rng.random() >= 0.4 or not opening.any():
        return backdrop
    side = backdrop.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), 0, float(rng.uniform(0.96, 1.06)))
    matrix[:, 2] += rng.normal(0, 0.01, 2) * side
    moved = cv2.warpAffine(backdrop, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    share = opening.astype(np.float32)[..., None] / 255
    return np.rint(backdrop + (moved.astype(np.float32) - backdrop) * share).astype(np.uint8)


def _merged(part: Layer, backdrop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`photo - (1 - a) * (255 - backdrop)`, sometimes with the material recoloured or partly see-through.

    With P = photo - 255 (1 - a), the material's own share of the colour: out = gain P + a lift + (1 - a) backdrop.
    The backdrop shines through tinted lenses, and through a whole frame of clear acetate.
    """
    photo, alpha = part.photo, part.coverage.astype(np.float32)[..., None] / 255
    if rng.random() < 0.15:
        photo = photo[..., rng.permutation(3)]
    material = photo.astype(np.float32) - 255 * (1 - alpha)
    if rng.random() < 0.4:
        gain = np.float32(rng.uniform(0.5, 1.15)) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
        lift = np.float32(rng.uniform(-15, 110)) * rng.uniform(0.8, 1.2, 3).astype(np.float32)
        material = material * gain + alpha * lift
    scene = backdrop.astype(np.float32)
    if rng.random() < 0.4:
        through = part.lens.astype(np.float32)[..., None] * np.float32(rng.uniform(0.1, 0.7) / 255)
        material *= 1 - through * (1 - scene / 255)
    if rng.random() < 0.06:
        share = np.float32(rng.uniform(0.2, 0.6))
        material += (alpha * scene - material) * share
    return np.clip(material + (1 - alpha) * scene, 0, 255).astype(np.uint8)


def _banded(
    image: np.ndarray, weight: np.ndarray, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows or columns at both ends repeat the edge and are not scored, as in a letterboxed photo."""
    if rng.random() < 0.25:
        image, weight = image.transpose(1, 0, 2), weight.T
        image, weight = _bands(image, weight, width)
        return np.ascontiguousarray(image.transpose(1, 0, 2)), np.ascontiguousarray(weight.T)
    return _bands(image, weight, width)


def _bands(image: np.ndarray, weight: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    image[:width], image[-width:] = image[width], image[-width - 1]
    weight[:width] = weight[-width:] = 0
    return image, weight
