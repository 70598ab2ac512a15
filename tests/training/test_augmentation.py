"""Labelled photos turned and relit: photo and mask move together, and the square is the one the network sees."""

from __future__ import annotations

import numpy as np
import pytest

from glasseg.labels.reading import Scene
from glasseg.model import letterbox
from glasseg.training import augmentation

STILL = {"rotation": 0.0, "shift": 0.0, "shear": 0.0, "zoom": 0.0, "flip": False}
CLASSIC = {"rotation": 20.0, "shift": 0.1, "shear": 0.1, "zoom": 0.1, "flip": True}


def scene(height: int, width: int) -> Scene:
    """A bright ellipse on dark, its mask, all of it scored."""
    y, x = np.mgrid[:height, :width]
    inside = ((x / width - 0.45) / 0.3) ** 2 + ((y / height - 0.55) / 0.25) ** 2 < 1
    photo = np.where(inside[..., None], np.uint8([230, 120, 40]), np.uint8([10, 20, 90]))
    coverage = inside.astype(np.uint8) * 255
    return Scene(photo, coverage, np.full((height, width), 255, np.uint8), coverage // 2)


@pytest.mark.parametrize("size", [(120, 200), (200, 120), (700, 1000), (64, 64)])
def test_a_letterboxed_square_is_the_one_that_the_segmenter_makes(size: tuple[int, int]) -> None:
    photo = scene(*size)
    square = augmentation.to_square(photo, 128, "letterbox")
    expected, _ = letterbox.letterbox(photo.photo, 128)
    assert np.abs(square.photo.astype(int) - expected).mean() < 3
    assert (square.weight == 255).all()


def test_a_stretched_square_holds_the_whole_photo() -> None:
    square = augmentation.to_square(scene(100, 400), 128, "stretch")
    ys, xs = np.nonzero(square.coverage > 127)
    assert np.ptp(xs) == pytest.approx(0.6 * 128, abs=3.5) and np.ptp(ys) == pytest.approx(0.5 * 128, abs=3.5)


@pytest.mark.parametrize("seed", range(10))
def test_photo_and_mask_move_together(seed: int) -> None:
    matrix = augmentation.affine(np.random.default_rng(seed), 128, **CLASSIC)  # type: ignore[arg-type]
    turned = augmentation.to_square(scene(300, 400), 128, "letterbox", matrix)
    bright = turned.photo[..., 0] > 120
    assert (bright != (turned.coverage > 127)).mean() < 0.005
    assert np.abs(turned.coverage.astype(int) - 2 * turned.opening).max() <= 4
    assert not np.array_equal(turned.coverage, augmentation.to_square(scene(300, 400), 128, "letterbox").coverage)


def test_a_mask_that_is_not_scored_stays_so_after_turning() -> None:
    plain = scene(128, 128)
    plain.weight[:64] = 0
    half_turn = np.array([[-1.0, 0, 127], [0, -1, 127], [0, 0, 1]])
    turned = augmentation.to_square(plain, 128, "letterbox", half_turn)
    assert (turned.weight[64:] == 0).all() and (turned.weight[:62] == 255).all()


def test_nothing_asked_for_changes_nothing() -> None:
    assert np.allclose(augmentation.affine(np.random.default_rng(1), 128, **STILL), np.eye(3))  # type: ignore[arg-type]


def test_the_ranges_are_kept_and_used() -> None:
    matrices = [
        augmentation.affine(np.random.default_rng(i), 100, **{**STILL, "rotation": 20.0, "shift": 0.1})  # type: ignore[arg-type]
        for i in range(300)
    ]
    angles = np.array([np.rad2deg(np.arctan2(m[1, 0], m[0, 0])) for m in matrices])
    moved = np.array([m[:2, :2] @ [49.5, 49.5] + m[:2, 2] - 49.5 for m in matrices])
    assert 18 < np.abs(angles).max() <= 20 and 9 < np.abs(moved).max() <= 10


def test_every_second_picture_is_mirrored() -> None:
    flipped = [
        np.linalg.det(augmentation.affine(np.random.default_rng(i), 9, **{**STILL, "flip": True})) < 0  # type: ignore[arg-type]
        for i in range(200)
    ]
    assert 70 < sum(flipped) < 130


def test_light_changes_the_photo_and_a_seed_tells_how() -> None:
    photo = scene(96, 96).photo
    one, again = (augmentation.relight(photo, np.random.default_rng(5)) for _ in range(2))
    assert one.shape == photo.shape and one.dtype == np.uint8 and np.array_equal(one, again)
    assert len({augmentation.relight(photo, np.random.default_rng(i)).tobytes() for i in range(20)}) > 15


@pytest.mark.parametrize("size", [(300, 400), (400, 250), (450, 500)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_close_up_centres_the_material_at_the_size_asked_for(size: tuple[int, int], share: float) -> None:
    photo = scene(*size)
    near = augmentation.to_square(photo, 128, "letterbox", augmentation.close_up(photo, 128, share))
    ys, xs = np.nonzero(near.coverage > 127)
    assert max(np.ptp(xs), np.ptp(ys)) == pytest.approx(share * 128, abs=3)
    assert (xs.min() + xs.max()) / 2 == pytest.approx(63.5, abs=2)
    assert (ys.min() + ys.max()) / 2 == pytest.approx(63.5, abs=2)


def test_a_close_up_of_very_small_glasses_enlarges_no_more_than_photos_bear() -> None:
    coverage = np.zeros((640, 640), np.uint8)
    coverage[310:320, 300:330] = 255
    full = np.full_like(coverage, 255)
    tiny = Scene(np.repeat(coverage[..., None], 3, axis=2), coverage, full, coverage)
    near = augmentation.to_square(tiny, 512, "letterbox", augmentation.close_up(tiny, 512, 0.9))
    assert np.ptp(np.nonzero(near.coverage > 127)[1]) == pytest.approx(30 * 1.5, abs=3)
    nothing = Scene(tiny.photo, 0 * coverage, full, coverage)
    assert np.array_equal(augmentation.close_up(nothing, 512, 0.9), np.eye(3))


def test_an_unknown_way_to_resize_is_refused() -> None:
    with pytest.raises(AssertionError, match="crop"):
        augmentation.to_square(scene(60, 80), 64, "crop")  # type: ignore[arg-type]
