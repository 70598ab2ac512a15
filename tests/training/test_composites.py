"""Composites: reproducible, the mask matches the picture, and backdrops show no glasses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glasseg.drawing.photo import draw_photo
from glasseg.labels.reading import Layer
from glasseg.training import backdrops, composites
from glasseg.training.composites import Sample, composite

SIDE = 128
GREEN = (20, 200, 30)
RED = (220, 10, 15)


class Plain(np.random.Generator):
    """A generator for which no chance ever comes up, so that nothing is recoloured, blurred, covered or banded."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))

    def random(self, *args: object, **kwargs: object) -> float:  # type: ignore[override]
        return 0.995


@pytest.fixture(scope="module")
def drawn() -> Layer:
    """A drawn product on white."""
    photo = draw_photo(np.random.default_rng(0), (150, 200), scene="white")
    coverage = np.rint(photo.coverage * 255).astype(np.uint8)
    return Layer(photo.image, coverage, np.zeros_like(coverage), coverage)


@pytest.fixture(scope="module")
def noise() -> list[np.ndarray]:
    return [np.random.default_rng(9).integers(0, 256, (90, 120, 3), dtype=np.uint8)]


@pytest.fixture(scope="module")
def red_ring() -> Layer:
    coverage = np.zeros((120, 200), np.uint8)
    cv2.ellipse(coverage, (100, 60), (80, 45), 0, 0, 360, 255, 18)
    photo = np.where(coverage[..., None] > 0, np.uint8(RED), np.uint8(255))
    return Layer(photo, coverage, np.zeros_like(coverage), np.zeros_like(coverage))


def check(sample: Sample, side: int) -> None:
    parts = (sample.coverage, sample.opening, sample.weight)
    assert sample.image.shape == (side, side, 3) and {part.shape for part in parts} == {(side, side)}
    assert {part.dtype for part in (sample.image, *parts)} == {np.dtype(np.uint8)}
    assert set(np.unique(sample.weight)) <= {0, 255}


def same(a: Sample, b: Sample) -> bool:
    pairs = ((a.image, b.image), (a.coverage, b.coverage), (a.weight, b.weight))
    return all(np.array_equal(one, other) for one, other in pairs)


def test_a_seed_gives_one_picture_and_another_seed_another(drawn: Layer, noise: list[np.ndarray]) -> None:
    pictures = [composite([drawn], noise, np.random.default_rng([1, i]), SIDE) for i in range(30)]
    for i, picture in enumerate(pictures):
        check(picture, SIDE)
        assert same(picture, composite([drawn], noise, np.random.default_rng([1, i]), SIDE))
    assert len({picture.image.tobytes() for picture in pictures}) == 30
    assert any((picture.weight == 0).any() for picture in pictures)  # letterbox bands


def test_almost_every_picture_shows_glasses(drawn: Layer, noise: list[np.ndarray]) -> None:
    covered = [composite([drawn], noise, np.random.default_rng(i), SIDE).coverage.mean() / 255 for i in range(30)]
    assert sum(0.005 < share < 0.6 for share in covered) >= 28


@pytest.mark.parametrize("seed", range(12))
def test_where_nothing_covers_the_backdrop_shows_and_where_all_does_the_product(red_ring: Layer, seed: int) -> None:
    sample = composite([red_ring], [np.full((80, 80, 3), GREEN, np.uint8)], Plain(seed), SIDE, backdrops.Style.PHOTO)
    check(sample, SIDE)
    inside, outside = sample.image[sample.coverage == 255], sample.image[sample.coverage == 0]
    assert len(inside) > 50 and len(outside) > 50
    assert np.abs(inside.astype(int) - RED).max() <= 3
    # the backdrop may lie in the shadow: darker, of the same hue
    assert (outside <= np.add(GREEN, 3)).all() and (outside[:, 1] > outside[:, [0, 2]].max(axis=1)).all()


def test_several_pairs_lie_in_one_picture_and_all_of_them_are_truth(red_ring: Layer) -> None:
    def rings(count: int) -> float:
        pieces = []
        for seed in range(12):
            sample = composite([red_ring] * count, [], Plain(seed), 256)
            pieces.append(cv2.connectedComponents((sample.coverage > 127).astype(np.uint8))[0] - 1)
        return float(np.median(pieces))

    assert (rings(1), rings(2), rings(3)) == (1, 2, 3)


def test_openings_are_known_and_never_where_material_is(red_ring: Layer) -> None:
    inside = np.zeros_like(red_ring.coverage)
    cv2.ellipse(inside, (100, 60), (70, 36), 0, 0, 360, 255, -1)
    ring = Layer(red_ring.photo, red_ring.coverage, inside, red_ring.lens)
    for seed in range(12):
        sample = composite([ring, ring], [], np.random.default_rng(seed), SIDE)
        assert (sample.opening.astype(int) + sample.coverage <= 255).all()
        plain = composite([ring], [], Plain(seed), SIDE)
        assert (plain.opening > 127).sum() > 0.2 * (plain.coverage > 127).sum()


@pytest.mark.parametrize("seed", range(6))
def test_an_edge_pixel_mixes_product_and_backdrop_by_its_coverage(seed: int) -> None:
    coverage = np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)
    share = coverage[..., None] / 255
    photo = np.rint(share * np.array(RED) + 255 * (1 - share)).astype(np.uint8)
    backdrop = np.full((40, 40, 3), GREEN, np.uint8)
    layer = Layer(photo, coverage, np.zeros_like(coverage), np.zeros_like(coverage))
    merged = composites._merged(layer, backdrop, Plain(seed))
    assert np.abs(merged - (share * np.array(RED) + (1 - share) * np.array(GREEN))).max() <= 1.6
    assert merged.dtype == np.uint8


def test_through_a_tinted_lens_the_backdrop_darkens_the_product() -> None:
    class SeeThrough(Plain):
        def random(self, *args: object, **kwargs: object) -> float:  # type: ignore[override]
            return next(self.chances)

        chances = iter([0.9, 0.9, 0.0, 0.9])

    grey, full = np.full((4, 4, 3), 120, np.uint8), np.full((4, 4), 255, np.uint8)
    merged = composites._merged(Layer(grey, full, 0 * full, full), np.zeros((4, 4, 3), np.uint8), SeeThrough(1))
    assert (merged < 120).all() and (merged > 40).all()


def test_letterbox_bands_repeat_the_edge_and_are_not_scored() -> None:
    image = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for chance, turned in ((0.9, False), (0.1, True)):

        class Fixed(Plain):
            def random(self, *args: object, value: float = chance, **kwargs: object) -> float:  # type: ignore[override]
                return value

        banded, weight = composites._banded(image.copy(), np.full((40, 40), 255, np.uint8), 5, Fixed(1))
        if turned:
            banded, weight = banded.transpose(1, 0, 2), weight.T
        assert (banded[:5] == image.transpose(1, 0, 2)[5] if turned else banded[:5] == image[5]).all()
        assert (weight[:5] == 0).all() and (weight[-5:] == 0).all() and (weight[5:-5] == 255).all()
        assert np.array_equal(banded[5:-5], (image.transpose(1, 0, 2) if turned else image)[5:-5])


@pytest.mark.parametrize("style", [*backdrops.Style, None])
@pytest.mark.parametrize("photos", [0, 2])
def test_a_backdrop_is_a_picture_of_its_own_with_or_without_photos(style: backdrops.Style | None, photos: int) -> None:
    scenes = [np.random.default_rng(i).integers(0, 256, (50, 70, 3), dtype=np.uint8) for i in range(photos)]
    for seed in range(8):
        one, again = (backdrops.draw(np.random.default_rng(seed), 96, scenes, style) for _ in range(2))
        assert one.shape == (96, 96, 3) and one.dtype == np.uint8
        assert np.array_equal(one, again)


def test_backdrops_leave_their_photos_as_they_are() -> None:
    scene = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    before = scene.copy()
    for seed in range(20):
        backdrops.draw(np.random.default_rng(seed), 96, [scene], backdrops.Style.PHOTO)
    assert np.array_equal(scene, before)


def test_a_backdrop_of_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="'marble' is not a valid Style"):
        backdrops.draw(np.random.default_rng(0), 96, [], "marble")  # type: ignore[arg-type]
