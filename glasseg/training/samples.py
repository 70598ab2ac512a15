"""The pictures of a training run by number: labelled photos rotated and relit, composites, drawn photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from glasseg.catalog.reviewed import Word
from glasseg.config import TrainConfig
from glasseg.drawing.photo import draw_photo
from glasseg.errors import PhotoError
from glasseg.labels import reading
from glasseg.labels.pairs import Backdrop, Found, Kind, Pair, Split
from glasseg.labels.reading import Layer, Scene
from glasseg.storage.roots import open_root
from glasseg.training import augmentation
from glasseg.training.backdrops import Style
from glasseg.training.cache import PictureCache
from glasseg.training.composites import Sample, composite

PHOTO_SIDE: Final = 640
"""Longest side in pixels of the photos that pictures are made of."""
CACHE_BYTES: Final = 900 * 2**20
"""Decoded photos that one process keeps: about a thousand, of 0.5 to 2.5 MB each."""


class Photos:
    """Reads labelled photos and backdrops, and keeps the last ones, up to `cache_bytes`. Threads may share it."""

    def __init__(self, endpoint_url: str | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        self._root = lru_cache(maxsize=None)(lambda uri: open_root(uri, endpoint_url=endpoint_url))
        self._cache = PictureCache(cache_bytes)

    def labelled(self, pair: Pair) -> Layer | Scene:
        """The photo of a pair with its mask. Raises ValueError when it can't be used."""
        return self._cache.get(pair, lambda: self._labelled(pair))

    def backdrop(self, backdrop: Backdrop) -> np.ndarray:
        """h×w×3 uint8 RGB. Raises PhotoError or ValueError when it can't be used."""
        return self._cache.get(backdrop, lambda: self._backdrop(backdrop))

    def drawn(self, number: int) -> Scene:
        """Drawn photo `number`, from 0."""
        return self._cache.get(number, lambda: _drawn(number))

    def _labelled(self, pair: Pair) -> Layer | Scene:
        try:
            return reading.READERS[pair.kind](*reading.files(pair, self._root), side=PHOTO_SIDE)
        except (PhotoError, ValueError) as error:
            raise ValueError(f"{pair.photo}: {error}") from error

    def _backdrop(self, backdrop: Backdrop) -> np.ndarray:
        return reading.read_backdrop(reading.files(backdrop, self._root)[0], PHOTO_SIDE)


class _Backdrops(Sequence[np.ndarray]):
    """The backdrops of one split, each read when it is indexed."""

    def __init__(self, photos: Photos, found: Sequence[Backdrop]) -> None:
        self._photos, self._found = photos, found

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, number: Any) -> Any:
        return self._photos.backdrop(self._found[number])


class Samples:
    """Every picture of a run, made on demand: the same number in the same epoch is the same picture in any process.

    An epoch has `training` pictures: each product and cutout once, on a new backdrop every time, each labelled photo
    `scene_repeats` times, each that a person corrected `correction_repeats` times, and `drawn` drawn photos. The
    `validation` pictures are the same in every epoch.
    """

    def __init__(
        self,
        found: Found,
        config: TrainConfig,
        endpoint_url: str | None = None,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._config = config
        self._photos = Photos(endpoint_url, cache_bytes)
        self._pairs = {split: [p for p in found.pairs if p.split == split] for split in Split}
        self._backdrops = {
            split: _Backdrops(self._photos, [b for b in found.backdrops if b.split == split]) for split in self._pairs
        }
        trained_on = self._pairs[Split.TRAIN]
        self._laid = {kind: [p for p in trained_on if p.kind == kind] for kind in (Kind.PRODUCT, Kind.CUTOUT)}
        self._shown = [pair for pair in trained_on for _ in range(_repeats(pair, config))]

    @property
    def training(self) -> int:
        """Training pictures in an epoch."""
        return len(self._shown) + self._config.drawn

    @property
    def validation(self) -> int:
        """Validation pictures."""
        return len(self._pairs[Split.VALIDATION])

    def train(self, epoch: int, index: int, side: int) -> Sample:
        """Training picture `index` of `epoch`, side×side pixels; the two numbers seed its augmentation."""
        rng = np.random.default_rng([self._config.seed, epoch, index])
        sample = self._made(index, rng, side)
        if rng.random() < self._config.quarter_turns:  # some photos are stored lying on their side
            times = int(rng.choice([1, 3]))
            parts = (sample.image, sample.coverage, sample.opening, sample.weight)
            return Sample(*(np.ascontiguousarray(np.rot90(part, times)) for part in parts))
        return sample

    def validate(self, index: int, side: int) -> Sample:
        """Validation picture `index`: a labelled photo as it is, or a product on a backdrop that is always the same."""
        thing = self._photos.labelled(self._pairs[Split.VALIDATION][index])
        if isinstance(thing, Scene):
            return _sample(augmentation.to_square(thing, side, self._config.resize))
        rng = np.random.default_rng([1, index])
        return composite([thing], self._backdrops[Split.VALIDATION], rng, side, [*Style][index % len(Style)])

    def _made(self, index: int, rng: np.random.Generator, side: int) -> Sample:
        """A drawn photo, an augmented labelled one, or glasses on a backdrop, sometimes with one or two more pairs.

        Those are of the same kind: a cutout's openings are not known, and next to a product's they would count as none.
        """
        if index >= len(self._shown):
            return self._turned(self._photos.drawn(index - len(self._shown)), rng, side)
        pair = self._shown[index]
        thing = self._photos.labelled(pair)
        if isinstance(thing, Scene):
            return self._turned(thing, rng, side)
        laid, others = self._laid[pair.kind], list[Any]()
        if rng.random() < self._config.several:
            others = [self._photos.labelled(laid[i]) for i in rng.integers(len(laid), size=rng.integers(1, 3))]
        return composite([thing, *others], self._backdrops[Split.TRAIN], rng, side)

    def _turned(self, scene: Scene, rng: np.random.Generator, side: int) -> Sample:
        c = self._config
        matrix = augmentation.affine(
            rng, side, rotation=c.rotation, shift=c.shift, shear=c.shear, zoom=c.zoom, flip=c.flip
        )
        if rng.random() < c.close_ups:
            matrix = matrix @ augmentation.close_up(scene, side, float(rng.uniform(0.55, 0.95)))
        turned = augmentation.to_square(scene, side, c.resize, matrix)
        return _sample(replace(turned, photo=augmentation.relight(turned.photo, rng)) if c.light else turned)


def _repeats(pair: Pair, config: TrainConfig) -> int:
    """How often an epoch shows a pair."""
    if pair.correction and pair.correction.word == Word.CORRECTED:
        return config.correction_repeats
    return config.scene_repeats if pair.kind == Kind.SCENE else 1


def _sample(scene: Scene) -> Sample:
    return Sample(scene.photo, scene.coverage, scene.opening, scene.weight)


def _drawn(number: int) -> Scene:
    rng = np.random.default_rng([number, 0xD0])
    photo = draw_photo(rng, (round(PHOTO_SIDE * rng.uniform(0.6, 1.0)), PHOTO_SIDE))
    coverage = np.rint(photo.coverage * 255).astype(np.uint8)
    return Scene(photo.image, coverage, np.full_like(coverage, 255), np.zeros_like(coverage))
