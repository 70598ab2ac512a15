"""Seeded composites to test on: validation products on validation backdrops, at the size at which they were taken.

One third each is on a studio sweep, on a texture such as a table top, and in a natural scene. On the same data the same
number is always the same picture.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

import cv2
import numpy as np

from glasseg.errors import GlassegError, PhotoError
from glasseg.labels import reading
from glasseg.labels.pairs import Backdrop, Found, Kind, Label, Pair, Split
from glasseg.labels.reading import Layer
from glasseg.storage.roots import open_root
from glasseg.training import backdrops

NATURAL: Final = "BIDS/BSDS500"
"""The source of natural scenes in a list of backgrounds; those of other sources are textures."""
SEED: Final = 7
MAX_SIDE: Final = 2000
"""Larger glasses are shrunk to this: their canvas is up to 2.5 times as wide and takes 84 bytes a pixel to fill."""


class Setting(StrEnum):
    """What the glasses of a composite lie on."""

    STUDIO = "studio"
    TABLE = "table"
    NATURAL = "natural"


@dataclass(frozen=True)
class Composite:
    """One composite: `image` H×W×3 uint8 RGB, its label of the same size, and the same glasses shot on white.

    `group`: the product's, as in its pairs. `original`: H×W×3 uint8, under the same light and without the camera's
    noise; what a perfect cut-out would be.
    """

    name: str
    setting: Setting
    group: str
    image: np.ndarray
    label: Label
    original: np.ndarray


def settings_of(found: Found) -> tuple[Setting, ...]:
    """The settings for which `found` has validation backdrops; a studio sweep needs none."""
    natural = [one.source == NATURAL for one in found.backdrops if one.split == Split.VALIDATION]
    there = {Setting.STUDIO: True, Setting.TABLE: not all(natural), Setting.NATURAL: any(natural)}
    return tuple(setting for setting in Setting if there[setting])


class Composites:
    """Makes composites by number from the validation split of `found`.

    Raises GlassegError when that has no product or cutout, or no backdrop for one of the `settings`.
    """

    def __init__(
        self, found: Found, endpoint_url: str | None = None, settings: tuple[Setting, ...] = tuple(Setting)
    ) -> None:
        groups: dict[str, list[Pair]] = defaultdict(list)
        for pair in found.pairs:
            if pair.split == Split.VALIDATION and pair.kind != Kind.SCENE:
                groups[pair.group].append(pair)
        self._groups = [groups[name] for name in sorted(groups)]
        scenes = [b for b in found.backdrops if b.split == Split.VALIDATION]
        self._backdrops = {
            Setting.TABLE: [b for b in scenes if b.source != NATURAL],
            Setting.NATURAL: [b for b in scenes if b.source == NATURAL],
        }
        self._settings, self._root = settings, partial(open_root, endpoint_url=endpoint_url)
        if not self._groups:
            raise GlassegError("no product or cutout of the split validation to make composites of")
        for setting in set(settings) & set(self._backdrops):
            if not self._backdrops[setting]:
                raise GlassegError(f"no background of the split validation for {setting} composites")

    def make(self, number: int) -> Composite:
        """Composite `number`. Raises PhotoError or ValueError when one of its files can't be used."""
        rng = np.random.default_rng([SEED, number])
        setting = self._settings[number % len(self._settings)]
        group = self._groups[rng.integers(len(self._groups))]
        pair = group[rng.integers(len(group))]
        layer = self._layer(pair)
        photo, coverage, opening = _placed(layer, rng)
        size = coverage.shape
        backdrop = self._backdrop(setting, size, rng).astype(np.float32) * (1 - _shadow(coverage, rng))
        through = 1 - coverage[..., None].astype(np.float32) / 255
        light = rng.uniform(0.75, 1.1) * rng.uniform(0.96, 1.04, 3)
        image = _taken((photo - through * (255 - backdrop)) * light, rng)
        original = np.clip((photo - 255 * through) * light + 255 * through, 0, 255)
        material = coverage >= 128
        label = Label(material, (opening >= 128) & ~material, np.zeros(size, bool))
        return Composite(
            f"{setting}-{number:04}", setting, pair.group, image, label, np.rint(original).astype(np.uint8)
        )

    def _layer(self, pair: Pair) -> Layer:
        files = reading.files(pair, self._root)
        try:
            layer = reading.READERS[pair.kind](*files, side=MAX_SIDE)
        except (PhotoError, ValueError) as error:
            raise ValueError(f"{pair.photo}: {error}") from error
        assert isinstance(layer, Layer)  # scenes are never in `_groups`
        return layer

    def _backdrop(self, setting: Setting, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A backdrop of that size, H×W×3 uint8."""
        if setting == Setting.STUDIO:
            return backdrops.studio(rng, max(size))[: size[0], : size[1]]
        scenes = self._backdrops[setting]
        scene: Backdrop = scenes[rng.integers(len(scenes))]
        return _cropped(reading.read_backdrop(reading.files(scene, self._root)[0]), size, rng)


def _placed(layer: Layer, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The layer, never enlarged, on a white canvas of which it fills 40 to 92 %; rotated a little, sometimes more."""
    height, width = layer.coverage.shape
    share, aspect = rng.uniform(0.4, 0.92), rng.choice([1, 4 / 3, 1.5])
    across = max(width / share, height / share * aspect)
    size = (round(across), round(across / aspect))
    angle = rng.normal(0, 5) if rng.random() < 0.7 else rng.uniform(-30, 30)
    cosine, sine = abs(np.cos(np.deg2rad(angle))), abs(np.sin(np.deg2rad(angle)))
    turned = np.array([width * cosine + height * sine, width * sine + height * cosine])
    scale = min(1.0, *(0.96 * np.array(size) / turned))
    middle = np.array([width, height]) / 2
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, float(scale))
    room = (np.array(size) - turned * scale) / 2
    matrix[:, 2] += np.array(size) / 2 - middle + room * rng.uniform(-0.8, 0.8, 2)
    photo = cv2.warpAffine(layer.photo, matrix, size, flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    coverage, opening = (cv2.warpAffine(part, matrix, size) for part in (layer.coverage, layer.opening))
    return photo, coverage, opening


def _cropped(scene: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A part of the scene, H×W×3 uint8, enlarged or shrunk to fill the size."""
    height, width = size
    factor = max(width / scene.shape[1], height / scene.shape[0]) * rng.uniform(1, 1.4)
    filled = (max(width, round(scene.shape[1] * factor)), max(height, round(scene.shape[0] * factor)))
    scene = cv2.resize(scene, filled, interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA)
    y, x = (int(rng.integers(0, have - want + 1)) for have, want in zip(scene.shape[:2], size, strict=True))
    return scene[y : y + height, x : x + width]


def _shadow(coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A soft cast shadow, H×W×1 float32 in [0, 0.5]: mostly below the glasses."""
    height, width = coverage.shape
    side = max(height, width)
    dx, dy = rng.normal(0, 0.02, 2) * side + [0, 0.02 * side]
    moved = cv2.warpAffine(coverage, np.array([[1.0, 0, dx], [0, 1, dy]]), (width, height))
    blurred = cv2.GaussianBlur(moved, (0, 0), rng.uniform(0.004, 0.03) * side)
    return blurred[..., None].astype(np.float32) * np.float32(rng.uniform(0, 0.5) / 255)


def _taken(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture, H×W×3 float, as a camera would take it, with noise and JPEG; uint8."""
    image = image + rng.normal(0, rng.uniform(0, 4), image.shape)
    bgr = np.clip(image, 0, 255).astype(np.uint8)[..., ::-1]
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))])[1]
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
