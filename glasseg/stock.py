"""What training pictures are made of, in memory: glasses cut out of photos on white, labelled photos, backgrounds."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from glasseg.drawing import draw_photo
from glasseg.errors import GlassegError
from glasseg.pairs import Index, Pair, read_label

LAYER_SIDE = 640
"""Longest side in pixels at which photos are held in memory; more than any training canvas shows of them."""


@dataclass(frozen=True)
class Layer:
    """Glasses on white, cropped to them: `photo` h×w×3 uint8 RGB, `coverage` and `lens` h×w uint8 (0–255)."""

    photo: np.ndarray
    coverage: np.ndarray
    lens: np.ndarray


@dataclass(frozen=True)
class Scene:
    """A labelled photo with its own background: `photo` h×w×3 uint8 RGB, `coverage` and `weight` h×w uint8 (0–255)."""

    photo: np.ndarray
    coverage: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Stock:
    """Everything composites are made of, in memory; `layers` are grouped so that no product or source dominates."""

    layers: list[list[Layer]]
    scenes: list[Scene]
    backgrounds: list[np.ndarray]
    drawn: list[Scene]


def load_stock(index: Index, split: str, drawn: int = 0) -> Stock:
    """Load the photos of one split of an index (`train` or `validation`), in parallel, and `drawn` drawn photos.

    Raises GlassegError, naming the file, for a photo or mask that can't be used.
    """
    chosen = [p for p in index.pairs if p.split == split]
    groups: dict[str, list[Layer]] = defaultdict(list)
    scenes: list[Scene] = []
    with ThreadPoolExecutor() as pool:
        for pair, item in zip(chosen, pool.map(_load, chosen), strict=True):
            if isinstance(item, Scene):
                scenes.append(item)
            else:
                groups[pair.group].append(item)
        files = [path for path, part in index.backgrounds if part == split]
        backgrounds = list(pool.map(lambda path: _shrink(_read_rgb(path)), files))
        drawings = list(pool.map(_draw, range(drawn)))
    return Stock(_buckets(list(groups.values())), scenes, backgrounds, drawings)


def _draw(number: int) -> Scene:
    rng = np.random.default_rng([number, 0xD0])
    photo = draw_photo(rng, (round(LAYER_SIDE * rng.uniform(0.6, 1.0)), LAYER_SIDE))
    coverage = np.rint(photo.coverage * 255).astype(np.uint8)
    return Scene(photo.image, coverage, np.full_like(coverage, 255))


def _buckets(groups: list[list[Layer]]) -> list[list[Layer]]:
    """Large groups stay, small ones are pooled by 60: one product seen 183 times counts like 60 photos of others."""
    large = [g for g in groups if len(g) > 8]
    pool = [layer for g in groups if len(g) <= 8 for layer in g]
    shares = max(1, len(pool) // 60)
    return large + [pool[i::shares] for i in range(shares) if pool]


def _load(pair: Pair) -> Layer | Scene:
    if pair.mask is None:
        return _load_cutout(pair.photo)
    photo = _read_rgb(pair.photo)
    try:
        label = read_label(_read_bytes(pair.mask))
    except ValueError as error:
        raise GlassegError(f"{pair.mask}: {error}") from error
    if photo.shape[:2] != label.material.shape:
        raise GlassegError(f"{pair.photo} and its mask {pair.mask} differ in size")
    material = label.material.astype(np.uint8) * 255
    if pair.kind == "product":
        return _layer(photo, _soften(photo, material))
    weight = (~label.ignored).astype(np.uint8) * 255
    return Scene(_shrink(photo), _shrink(material), _shrink(weight))


def _load_cutout(path: Path) -> Layer:
    bgra = _decoded(path, cv2.IMREAD_UNCHANGED)
    if bgra.dtype != np.uint8 or bgra.ndim != 3 or bgra.shape[2] != 4:
        raise GlassegError(f"{path} is no cutout: a cutout is an 8-bit picture with an alpha channel")
    rgba = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA)
    alpha = rgba[..., 3:].astype(np.float32) / 255
    photo = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return _layer(photo, np.ascontiguousarray(rgba[..., 3]))


def _read_rgb(path: Path) -> np.ndarray:
    return cv2.cvtColor(_decoded(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _decoded(path: Path, flags: int) -> np.ndarray:
    """The picture as cv2 reads it; BGR. Raises GlassegError when there is none."""
    data = _read_bytes(path)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if picture is None:
        raise GlassegError(f"{path} is no picture that can be decoded")
    return picture


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise GlassegError(f"{path} can't be read: {error.strerror}") from error


def _shrink(picture: np.ndarray) -> np.ndarray:
    """The picture with its longest side at most `LAYER_SIDE`."""
    factor = LAYER_SIDE / max(picture.shape[:2])
    if factor >= 1:
        return picture
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _soften(photo: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Soft coverage of a hard mask on a white photo: a rim pixel counts by its darkness beside the darkest near it.

    `photo` h×w×3 uint8, `material` h×w uint8, 0 or 255; returns h×w uint8.
    A thresholded mask counts half-white rim pixels whole; laid on dark, they would teach the network a white halo.
    """
    lightness = photo.min(axis=2)
    square = np.ones((3, 3), np.uint8)
    rim = (cv2.dilate(material, square) > 0) & (cv2.erode(material, np.ones((5, 5), np.uint8)) == 0)
    darkest = cv2.erode(lightness, np.ones((5, 5), np.uint8)).astype(np.float32)
    share = (255.0 - lightness) / np.maximum(255.0 - darkest, 24.0)
    soft = np.where(rim, np.clip(share, 0, 1) * 255, material)
    return np.rint(soft).astype(np.uint8)


def _layer(photo: np.ndarray, coverage: np.ndarray) -> Layer:
    """The layer cut to its glasses with a margin; `photo` h×w×3 uint8 on white, `coverage` h×w uint8."""
    x, y, w, h = cv2.boundingRect((coverage > 16).astype(np.uint8))
    margin = max(4, h // 10)
    rows = slice(max(0, y - margin), y + h + margin)
    columns = slice(max(0, x - margin), x + w + margin)
    photo, coverage = _shrink(photo[rows, columns]), _shrink(coverage[rows, columns])
    # what stays after a wide opening is no frame or temple: mostly tinted lenses, through which a scene may shine
    side = max(3, coverage.shape[0] // 6)
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    lens = cv2.GaussianBlur(cv2.morphologyEx(coverage, cv2.MORPH_OPEN, ellipse), (0, 0), 2)
    return Layer(np.ascontiguousarray(photo), np.ascontiguousarray(coverage), lens)
