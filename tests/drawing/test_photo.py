"""Drawn photos: the truth fits the picture, every scene draws, a seed says everything."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from glasseg.drawing import photo
from glasseg.drawing.frames import draw_glasses
from glasseg.drawing.photo import SCENES, draw_photo

SMALL = (240, 320)


def test_a_seed_determines_everything() -> None:
    first, again = (draw_photo(np.random.default_rng(5), SMALL) for _ in range(2))
    other = draw_photo(np.random.default_rng(6), SMALL)
    assert first.name == again.name
    for part in ("image", "coverage", "opening"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_draws_what_is_promised(scene: str) -> None:
    for size in (SMALL, (321, 203)):
        photo = draw_photo(np.random.default_rng(SCENES.index(scene)), size, scene=scene)
        assert photo.image.shape == (*size, 3)
        assert photo.image.dtype == np.uint8
        for truth in (photo.coverage, photo.opening):
            assert truth.shape == size
            assert truth.dtype == np.float32
            assert truth.min() >= 0
            assert truth.max() <= 1
        assert (photo.coverage + photo.opening).max() <= 1 + 1e-5


def test_the_glasses_fill_a_fair_share_of_the_frame() -> None:
    for seed in range(60):
        photo = draw_photo(np.random.default_rng(seed), SMALL)
        assert 0.01 < photo.coverage.mean() < 0.6, seed
        columns = np.flatnonzero(photo.coverage.max(0) > 0.5)
        assert 0.25 < (columns[-1] - columns[0]) / SMALL[1] < 0.95, seed
        edge = np.concatenate([photo.coverage[[0, -1]].ravel(), photo.coverage[:, [0, -1]].ravel()])
        assert edge.max() == 0, seed


def test_the_truth_is_soft_at_rims_and_sharp_elsewhere() -> None:
    photo = draw_photo(np.random.default_rng(1), (480, 640), scene="sweep")
    partial = (photo.coverage > 0.02) & (photo.coverage < 0.98)
    inner = cv2.erode((photo.coverage > 0.5).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert partial.any()
    assert (partial & inner).sum() < 0.002 * inner.sum()  # except for the chinks at joints
    assert len(np.unique(photo.coverage[partial])) > 50


def _on_green(monkeypatch: pytest.MonkeyPatch, seed: int, *, tinted: bool) -> tuple[photo.DrawnPhoto, np.ndarray]:
    """Opaque frames on a bright green ground without shadow, prop or camera; and how green each pixel still is."""

    def opaque(rng: np.random.Generator, detail: float) -> object:
        glasses = draw_glasses(rng, detail)
        grey = np.full((2, 3), 0.3, np.float32)
        solid = tuple(replace(material, colours=grey, clear=0.0) for material in glasses.materials)
        return replace(glasses, materials=solid, tinted=tinted, passes=np.full((2, 3), 1.0 - tinted), shine=0.0)

    monkeypatch.setattr(photo, "draw_glasses", opaque)
    monkeypatch.setattr(photo, "backdrop", lambda rng, scene, size, *_: np.full((*size, 3), (0, 255, 0), np.uint8))
    monkeypatch.setattr(photo, "add_clutter", lambda rng, picture, ground: picture)
    monkeypatch.setattr(photo, "_prop", lambda *_: None)
    monkeypatch.setattr(photo, "_shadows", lambda *arguments: np.ones(arguments[-1], np.float32))
    monkeypatch.setattr(photo, "_photograph", lambda rng, picture, truth: (np.round(picture).astype(np.uint8), truth))
    drawn = draw_photo(np.random.default_rng(seed), (300, 400), scene="colour")
    pixels = drawn.image.astype(np.float32)
    return drawn, (pixels[..., 1] - pixels[..., [0, 2]].max(-1)) / 255


@pytest.mark.parametrize("tinted", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_coverage_is_exactly_the_ground_that_the_picture_hides(
    monkeypatch: pytest.MonkeyPatch, seed: int, tinted: bool
) -> None:
    photo, green = _on_green(monkeypatch, seed, tinted=tinted)
    assert np.abs(green - (1 - photo.coverage)).max() < 0.03


def test_clear_lenses_are_openings_and_tinted_ones_are_material(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(4):
        clear, _ = _on_green(monkeypatch, seed, tinted=False)
        tinted, _ = _on_green(monkeypatch, seed, tinted=True)
        assert clear.opening.mean() > tinted.opening.mean() + 0.01, seed
        assert tinted.coverage.mean() > clear.coverage.mean() + 0.01, seed
        assert tinted.coverage[clear.opening > 0.99].mean() > 0.7, seed
