"""The pictures of a run by number: the same anywhere, every kind in its number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glasseg.catalog.reviewed import Word
from glasseg.config import PRESETS
from glasseg.drawing.photo import draw_photo
from glasseg.labels.pairs import Correction, find
from glasseg.training.composites import Sample
from glasseg.training.samples import Samples

LIST = """image,mask,kind,split
s.png,s_mask.png,scene,train
p.png,p_mask.png,product,train
c.png,,cutout,train
b.png,,background,train
s2.png,s2_mask.png,scene,validation
p2.png,p2_mask.png,product,validation
"""
CONFIG = replace(PRESETS["baseline"], scene_repeats=3, drawn=2, light=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for number, name in enumerate(("s", "s2", "p", "p2")):
        photo = draw_photo(np.random.default_rng(number), (120, 160), scene="white" if "p" in name else None)
        cv2.imwrite(str(folder / f"{name}.png"), photo.image[..., ::-1])
        cv2.imwrite(str(folder / f"{name}_mask.png"), (photo.coverage > 0.5).astype(np.uint8) * 255)
    rgba = np.zeros((60, 90, 4), np.uint8)
    rgba[20:40, 20:70] = 255
    cv2.imwrite(str(folder / "c.png"), rgba)
    cv2.imwrite(str(folder / "b.png"), np.full((60, 80, 3), 90, np.uint8))
    (folder / "index.csv").write_text(LIST)
    return folder


def same(a: Sample, b: Sample) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("image", "coverage", "opening", "weight")
    )


def test_an_epoch_has_every_photo_in_its_number(folder: Path) -> None:
    samples = Samples(find(str(folder)), CONFIG)
    assert (samples.training, samples.validation) == (3 + 1 + 1 + 2, 2)


@pytest.mark.parametrize(("word", "times"), [(Word.CORRECTED, 7), (Word.APPROVED, 3)])
def test_a_corrected_photo_is_shown_more_often_than_others(folder: Path, word: Word, times: int) -> None:
    found = find(str(folder))
    said = Correction(found.pairs[0].root, word, "run1", "etag")
    extra = replace(found.pairs[0], correction=said)
    config = replace(CONFIG, correction_repeats=7)
    more = Samples(replace(found, pairs=[*found.pairs, extra]), config).training - Samples(found, config).training
    assert more == times


def test_a_number_is_one_picture_in_any_process_and_another_in_another_epoch(folder: Path) -> None:
    one, other = (Samples(find(str(folder)), CONFIG) for _ in range(2))
    for index in reversed(range(one.training)):
        picture = one.train(3, index, 256)
        assert picture.image.shape == (256, 256, 3) and picture.coverage.shape == picture.weight.shape == (256, 256)
        assert picture.coverage.max() == 255
        assert same(picture, other.train(3, index, 256)) and not same(picture, one.train(4, index, 256))
    repeats = {one.train(0, index, 256).image.tobytes() for index in range(3)}
    assert len(repeats) == 3


def test_validation_is_the_same_with_every_seed_and_unturned(folder: Path) -> None:
    one, other = (Samples(find(str(folder)), replace(CONFIG, seed=seed)) for seed in (1, 2))
    assert all(same(one.validate(i, 256), other.validate(i, 256)) for i in range(2))
    plain = cv2.imread(str(folder / "s2.png"))[..., ::-1]
    assert np.abs(one.validate(0, 256).image.astype(int) - cv2.resize(plain, (256, 256))).mean() < 2


def test_a_picture_has_the_side_that_its_step_asks_for(folder: Path) -> None:
    samples = Samples(find(str(folder)), replace(PRESETS["compact"], drawn=1))
    for index in range(samples.training):
        for side in (128, 192):
            picture = samples.train(0, index, side)
            assert picture.image.shape == (side, side, 3)
            assert {part.shape for part in (picture.coverage, picture.opening, picture.weight)} == {(side, side)}


def test_every_picture_may_lie_on_its_side(folder: Path) -> None:
    upright, lying = (Samples(find(str(folder)), replace(CONFIG, quarter_turns=share)) for share in (0.0, 1.0))
    for index in range(upright.training):
        one, other = upright.train(0, index, 128), lying.train(0, index, 128)
        assert any(np.array_equal(np.rot90(one.image, times), other.image) for times in (1, 3))
        assert any(np.array_equal(np.rot90(one.coverage, times), other.coverage) for times in (1, 3))


def test_labelled_photos_are_shown_from_near_as_the_second_look_sees_them(folder: Path) -> None:
    samples = Samples(find(str(folder)), replace(CONFIG, close_ups=1.0, shift=0.0, zoom=0.0, resize="letterbox"))
    boxes = [cv2.boundingRect(samples.train(epoch, 0, 128).coverage) for epoch in range(8)]
    spans = [max(w, h) / 128 for _, _, w, h in boxes]
    assert 0.5 <= min(spans) < max(spans) - 0.1 <= 0.9
    assert all(abs(x + w / 2 - 64) < 5 and abs(y + h / 2 - 64) < 5 for x, y, w, h in boxes)


def test_products_lie_on_backdrops_in_pairs_when_asked(folder: Path) -> None:
    alone, several = (Samples(find(str(folder)), replace(CONFIG, several=share)) for share in (0.0, 1.0))
    product = 3  # after three times the scene
    covered = [np.mean([s.train(e, product, 128).coverage for e in range(12)]) for s in (alone, several)]
    pieces = [
        cv2.connectedComponents((several.train(e, product, 128).coverage > 127).astype(np.uint8))[0] - 1
        for e in range(12)
    ]
    assert covered[1] > covered[0] and np.median(pieces) >= 2


@pytest.mark.parametrize("limit", [0, 100_000])
def test_a_picture_does_not_depend_on_what_fits_into_memory(folder: Path, limit: int) -> None:
    plenty, scarce = Samples(find(str(folder)), CONFIG), Samples(find(str(folder)), CONFIG, cache_bytes=limit)
    for epoch, index in [(e, i) for e in range(2) for i in range(plenty.training)]:
        assert same(plenty.train(epoch, index, 128), scarce.train(epoch, index, 128))
        assert scarce._photos._cache.nbytes <= limit
    assert all(same(plenty.validate(i, 128), scarce.validate(i, 128)) for i in range(plenty.validation))
