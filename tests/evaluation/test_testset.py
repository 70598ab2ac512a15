"""Seeded composites: the same anywhere, of validation data only, at the size of the photos, with a fitting label."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from glasseg.errors import GlassegError
from glasseg.evaluation.testset import Composites, Setting
from glasseg.labels.pairs import Found, find

RED = (220, 10, 15)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A red frame on white with an opening to validate on, a blue one to train on, a green backdrop of each kind."""
    folder, rows = tmp_path_factory.mktemp("data"), ["image,kind,split,source"]
    for name, colour, split in (("red", RED, "validation"), ("blue", (10, 10, 220), "train")):
        mask = np.zeros((300, 500), np.uint8)
        cv2.rectangle(mask, (60, 100), (440, 220), 255, -1)
        cv2.rectangle(mask, (100, 130), (400, 190), 128, -1)
        photo = np.where((mask == 255)[..., None], np.uint8(colour), np.uint8(255))
        cv2.imwrite(str(folder / f"{name}.png"), photo[..., ::-1])
        cv2.imwrite(str(folder / f"{name}_mask.png"), mask)
        rows.append(f"{name}.png,product,{split},")
    for name, source in (("wood", "shop"), ("tree", "BIDS/BSDS500")):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((90, 120, 3), (40, 200, 60), np.uint8))
        rows.append(f"{name}.png,background,validation,{source}")
    (folder / "index.csv").write_text("\n".join(rows))
    return find(str(folder))


def test_the_same_number_is_the_same_picture_anywhere(found: Found) -> None:
    one, other = Composites(found), Composites(replace(found, pairs=found.pairs[::-1]))
    pictures = [one.make(number) for number in range(9)]
    for number, picture in reversed(list(enumerate(pictures))):
        again = other.make(number)
        assert np.array_equal(picture.image, again.image) and np.array_equal(
            picture.label.material, again.label.material
        )
    assert [picture.setting for picture in pictures] == [*Setting] * 3
    assert len({picture.name for picture in pictures}) == 9


def test_glasses_are_of_the_validation_split_and_never_enlarged(found: Found) -> None:
    for number in range(12):
        composite = Composites(found).make(number)
        material = composite.image[cv2.erode(composite.label.material.astype(np.uint8), np.ones((9, 9))) > 0]
        assert len(material) > 500 and material[:, 0].mean() > 150 > material[:, 2].mean()
        ys, xs = np.nonzero(composite.label.material)
        points = np.stack([xs, ys], axis=1).astype(np.float32)
        assert max(cv2.minAreaRect(points)[1]) <= 380 + 4


def test_openings_are_labelled_and_let_the_backdrop_through(found: Found) -> None:
    composite = Composites(found).make(1)
    assert composite.label.opening.any() and not (composite.label.opening & composite.label.material).any()
    inside = composite.image[cv2.erode(composite.label.opening.astype(np.uint8), np.ones((9, 9))) > 0].mean(axis=0)
    assert inside[1] > inside[0] + 30  # green, not white


def test_the_original_is_the_same_glasses_on_white_without_noise(found: Found) -> None:
    for number in range(3):
        composite = Composites(found).make(number)
        inside = cv2.erode(composite.label.material.astype(np.uint8), np.ones((9, 9))) > 0
        outside = cv2.dilate(composite.label.material.astype(np.uint8), np.ones((9, 9))) == 0
        assert (composite.original[outside] == 255).all()
        assert np.abs(composite.original[inside].mean(axis=0) - composite.image[inside].mean(axis=0)).max() < 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pairs": []}, "no product or cutout of the split validation"),
        ({"backdrops": []}, "no background of the split validation"),
    ],
)
def test_what_is_missing_is_said(found: Found, change: dict[str, list[object]], words: str) -> None:
    with pytest.raises(GlassegError, match=words):
        Composites(replace(found, **change))  # type: ignore[arg-type]
    studio = Composites(replace(found, backdrops=[]), settings=(Setting.STUDIO,))
    assert studio.make(5).setting == "studio"
