"""The model in the package: it belongs to this code, and it finds drawn glasses that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glasseg.cutout import matte
from glasseg.drawing.photo import SCENES, draw_photo
from glasseg.evaluation.metrics import score
from glasseg.labels.pairs import Label
from glasseg.model import folder as model_folder
from glasseg.model.segmenter import Segmenter

PHOTOS = 24
SEED = 90_000
"""Far from the seeds of the drawn photos that training used."""


@pytest.fixture(scope="module")
def segmenter(tensorflow: Any) -> Segmenter:
    return Segmenter(model_folder.load(model_folder.PACKAGED), threads=1)


def test_packaged_model_finds_drawn_glasses(segmenter: Segmenter) -> None:
    scores, photos = (
        [],
        [
            draw_photo(np.random.default_rng(SEED + number), (600, 800), scene=SCENES[number % len(SCENES)])
            for number in range(PHOTOS)
        ],
    )
    for photo, seen in zip(photos, segmenter.segment([photo.image for photo in photos]), strict=True):
        alpha = matte.alpha(photo.image, seen.probability, segmenter.spec.threshold, segmenter.spec.ramp)
        label = Label(photo.coverage >= 0.5, photo.opening >= 0.5, np.zeros(alpha.shape, bool))
        scores.append(score(alpha, label).iou)
    assert np.mean(scores) >= 0.9, sorted(zip(np.round(scores, 3), SCENES * 3, strict=False))


def test_packaged_model_knows_photos_that_are_stored_sideways(segmenter: Segmenter) -> None:
    photos = [
        draw_photo(np.random.default_rng(SEED + number), (450, 600), scene=SCENES[number % len(SCENES)]).image
        for number in range(8)
    ]
    upright, *turned = (
        segmenter.segment([np.ascontiguousarray(np.rot90(photo, quarters)) for photo in photos])
        for quarters in (0, 1, 3)
    )
    assert not any(seen.sideways for seen in upright)
    pairs = [(quarters, one, other) for quarters, looks in zip((1, 3), turned, strict=True)
             for one, other in zip(upright, looks, strict=True)]  # fmt: skip
    alike = [
        np.minimum(one.probability, np.rot90(other.probability, -quarters)).sum() / one.probability.sum()
        for quarters, one, other in pairs
        if other.sideways
    ]
    assert len(alike) >= 12 and np.mean(np.array(alike) > 0.95) >= 0.8, np.round(alike, 2)


def test_packaged_model_says_what_it_was_trained_on(segmenter: Segmenter) -> None:
    training = segmenter.spec.training
    assert training["history"]["photos_seen"] > 10_000
    assert training["data"]
