"""The pictures of a run by number: the same anywhere, every kind in its number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glasseg.composites import Sample
from glasseg.config import PRESETS
from glasseg.drawing import draw_photo
from glasseg.pairs import find
from glasseg.samples import Samples

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
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("image", "coverage", "weight"))


def test_an_epoch_has_every_photo_in_its_number(folder: Path) -> None:
    samples = Samples(find(str(folder)), CONFIG)
    assert (samples.training, samples.validation) == (3 + 1 + 1 + 2, 2)


def test_a_number_is_one_picture_in_any_process_and_another_in_another_epoch(folder: Path) -> None:
    one, other = (Samples(find(str(folder)), CONFIG) for _ in range(2))
    for index in reversed(range(one.training)):
        picture = one.train(3, index)
        assert picture.image.shape == (256, 256, 3) and picture.coverage.shape == picture.weight.shape == (256, 256)
        assert picture.coverage.max() == 255
        assert same(picture, other.train(3, index)) and not same(picture, one.train(4, index))
    repeats = {one.train(0, index).image.tobytes() for index in range(3)}
    assert len(repeats) == 3


def test_validation_is_the_same_with_every_seed_and_unturned(folder: Path) -> None:
    one, other = (Samples(find(str(folder)), replace(CONFIG, seed=seed)) for seed in (1, 2))
    assert all(same(one.validate(i), other.validate(i)) for i in range(2))
    plain = cv2.imread(str(folder / "s2.png"))[..., ::-1]
    assert np.abs(one.validate(0).image.astype(int) - cv2.resize(plain, (256, 256))).mean() < 2
