"""Training pictures: glasses cut out of photos on white, laid on other backgrounds as light would, with soft truth.

On pure white, glasses are trivial to segment; what the network must learn is to find them on wood, cloth, sweeps and
shadows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from glasseg import backdrops
from glasseg.stock import Layer, Scene, Stock


@dataclass(frozen=True)
class Sample:
    """One training picture: `image` s×s×3 uint8 RGB, `coverage` and `weight` s×s uint8; weight 0 is not scored."""

    image: np.ndarray
    coverage: np.ndarray
    weight: np.ndarray


def make_sample(stock: Stock, rng: np.random.Generator, side: int) -> Sample:
    """One training picture of side×side pixels: a composite, or a labelled or drawn photo turned and cropped."""
    chance = rng.random()
    if stock.scenes and chance < 0.2:
        return _augmented_scene(stock.scenes[rng.integers(len(stock.scenes))], rng, side)
    if stock.drawn and chance > 0.92:
        return _augmented_scene(stock.drawn[rng.integers(len(stock.drawn))], rng, side)
    return composite(stock, rng, side)


def composite(stock: Stock, rng: np.random.Generator, side: int, kind: str | None = None) -> Sample:
    """Lay one pair of glasses on a backdrop (`kind`: one of `backdrops.KINDS`, or None for any, now and then white)."""
    bucket = stock.layers[rng.integers(len(stock.layers))]
    layer = bucket[rng.integers(len(bucket))]
    photo, coverage, lens = _placed(layer, rng, side)
    if kind is None and rng.random() < 0.05:
        backdrop = np.full((side, side, 3), 255, np.uint8)
    else:
        backdrop = backdrops.draw(rng, side, stock.backgrounds, kind)
        backdrop = _shaded(backdrop, photo, coverage, rng)
    return _finish(_merged(photo, coverage, lens, backdrop, rng), coverage, rng)


def _placed(layer: Layer, rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The layer scaled, turned, tilted and moved on a white canvas: photo, coverage and lens."""
    h, w = layer.coverage.shape
    span = side * (rng.uniform(1.0, 1.6) if rng.random() < 0.08 else rng.uniform(0.35, 0.98))
    scale = span / max(h, w)
    parts = [layer.photo, layer.coverage, layer.lens]
    if scale < 0.7:
        parts = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in parts]
        h, w = parts[1].shape
        scale = 1.0
    angle = np.deg2rad(rng.normal(0, 6) if rng.random() < 0.7 else rng.uniform(-40, 40))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.array([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]], np.float64) / 2
    room = np.maximum(0.06 * side, (side - np.abs(corners @ turn.T).max(axis=0) * 2) / 2)
    centre = side / 2 + np.clip(rng.normal(0, 0.5, 2), -1, 1) * room
    target = (corners * flip) @ turn.T + centre + rng.uniform(-0.06, 0.06, (4, 2)) * scale * h
    source = corners + np.array([w, h]) / 2
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    size = (side, side)
    photo = cv2.warpPerspective(parts[0], matrix, size, flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    coverage, lens = (cv2.warpPerspective(p, matrix, size, flags=cv2.INTER_LINEAR) for p in parts[1:])
    return photo, coverage, lens


def _shaded(backdrop: np.ndarray, photo: np.ndarray, coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The backdrop with up to two cast shadows, and sometimes a mirror image on a glossy floor."""
    side = backdrop.shape[0]
    out = backdrop.astype(np.float32)
    if rng.random() < 0.08:
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
    return np.clip(out, 0, 255).astype(np.uint8)


def _merged(
    photo: np.ndarray, coverage: np.ndarray, lens: np.ndarray, backdrop: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """`photo - (1 - a) * (255 - backdrop)`, sometimes with the material recoloured or tinted lenses see-through.

    With P = photo - 255 (1 - a), the colour that the material itself gives: out = gain P + a lift + (1 - a) backdrop.
    """
    alpha = coverage.astype(np.float32)[..., None] / 255
    if rng.random() < 0.15:
        photo = photo[..., rng.permutation(3)]
    material = photo.astype(np.float32) - 255 * (1 - alpha)
    if rng.random() < 0.4:
        gain = np.float32(rng.uniform(0.5, 1.15)) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
        lift = np.float32(rng.uniform(-15, 110)) * rng.uniform(0.8, 1.2, 3).astype(np.float32)
        material = material * gain + alpha * lift
    scene = backdrop.astype(np.float32)
    if rng.random() < 0.35:
        through = lens.astype(np.float32)[..., None] * np.float32(rng.uniform(0.1, 0.6) / 255)
        material *= 1 - through * (1 - scene / 255)
    return np.clip(material + (1 - alpha) * scene, 0, 255).astype(np.uint8)


def _augmented_scene(scene: Scene, rng: np.random.Generator, side: int) -> Sample:
    """A labelled photo, its mask and its weights under one affine warp with nearest fill, then light."""
    h, w = scene.coverage.shape
    scale = side / max(h, w) * np.exp(rng.normal(0.05, 0.25))
    angle = np.rad2deg(rng.normal(0, 0.15))
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, scale)
    matrix[0, 1] += rng.normal(0, 0.05) * scale
    matrix[:, 2] += side / 2 - np.array([w, h]) / 2 + rng.normal(0, 0.06, 2) * side
    if rng.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += side
    size = (side, side)
    parts = [scene.photo, scene.coverage, scene.weight]
    if scale < 0.7:
        parts = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in parts]
        matrix[:, :2] /= scale
    image, coverage, weight = (
        cv2.warpAffine(p, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in parts
    )
    sample = _finish(image, coverage, rng)
    return Sample(
        sample.image, sample.coverage, np.minimum(sample.weight, np.where(weight > 250, 255, 0).astype(np.uint8))
    )


def _finish(image: np.ndarray, coverage: np.ndarray, rng: np.random.Generator) -> Sample:
    """Camera and studio: gain, gamma, colour cast, softness, noise, JPEG; and bands as the letterbox pads them."""
    side = image.shape[0]
    levels = np.arange(256, dtype=np.float32) / 255
    if rng.random() < 0.8:
        cast = rng.uniform(0.93, 1.07, 3) if rng.random() < 0.5 else np.ones(3)
        curve = levels[:, None] ** rng.uniform(0.75, 1.35) * rng.uniform(0.8, 1.15) * cast + rng.uniform(-0.03, 0.03)
        image = cv2.LUT(image, np.clip(curve * 255, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.25:
        factor = rng.uniform(0.3, 0.9)
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    elif rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < 0.3:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, float(rng.uniform(1, 9)))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    if rng.random() < 0.4:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    weight = np.full((side, side), 255, np.uint8)
    if rng.random() < 0.3:
        image, weight = _banded(image.copy(), weight, int(side * rng.uniform(0.05, 0.25)), rng)
    return Sample(image, coverage, weight)


def _banded(
    image: np.ndarray, weight: np.ndarray, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows or columns at both ends repeat the edge and are not scored: what a letterboxed photo looks like."""
    if rng.random() < 0.25:
        image, weight = image.transpose(1, 0, 2), weight.T
        image, weight = _bands(image, weight, width)
        return np.ascontiguousarray(image.transpose(1, 0, 2)), np.ascontiguousarray(weight.T)
    return _bands(image, weight, width)


def _bands(image: np.ndarray, weight: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    image[:width], image[-width:] = image[width], image[-width - 1]
    weight[:width] = weight[-width:] = 0
    return image, weight
