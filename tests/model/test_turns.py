"""Whether a photo is stored sideways, by the shape of what is found in it and by looks at it turned."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glasseg.images.window import Window
from glasseg.model import turns
from glasseg.model.folder import ModelSpec
from glasseg.model.segmenter import Segmenter


def found(*boxes: tuple[int, int, int, int], sure: float = 0.95, size: tuple[int, int] = (600, 800)) -> np.ndarray:
    """A probability of `sure` in each (top, bottom, left, right)."""
    probability = np.zeros(size, np.float32)
    for top, bottom, left, right in boxes:
        probability[top:bottom, left:right] = sure
    return probability


def shape(probability: np.ndarray, threshold: float = 0.45) -> turns.Shape:
    """That of a look at all of a photo."""
    return turns.shape(probability, Window.whole(probability.shape), threshold)


@pytest.mark.parametrize(
    ("boxes", "doubted", "tall"),
    [
        ([(200, 350, 100, 500)], False, False),
        ([(100, 500, 200, 350)], True, True),
        ([(100, 300, 100, 305)], True, False),  # a square may be anything, and both looks are asked
        ([(100, 270, 100, 300)], False, False),
        ([(50, 150, 300, 520), (200, 300, 300, 520), (350, 450, 300, 520)], True, False),  # pairs below each other
        ([(100, 240, 200, 330), (270, 410, 200, 330)], True, True),  # two lenses of one pair that stands
        ([(200, 350, 100, 500), (590, 594, 10, 14), (4, 8, 300, 304)], False, False),  # dirt
        ([], True, False),
    ],
)
def test_glasses_are_wider_than_high(boxes: list[tuple[int, int, int, int]], doubted: bool, tall: bool) -> None:
    seen = shape(found(*boxes))
    assert (seen.doubted, seen.tall) == (doubted, tall)
    if boxes:
        back = shape(turns.turned(found(*boxes), 1))
        assert back.ratio == pytest.approx(1 / seen.ratio, rel=0.02) and back.sureness == pytest.approx(seen.sureness)


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 900), (700, 2)])
def test_photos_of_a_few_pixels_have_a_shape(size: tuple[int, int]) -> None:
    for value in (0.0, 1.0):
        seen = shape(np.full(size, value, np.float32), 0.5)
        assert seen.sureness == value and seen.ratio > 0


def test_a_look_is_believed_when_it_is_clearly_surer() -> None:
    one, other, nothing = (shape(found((100, 400, 100, 300), sure=sure)) for sure in (0.95, 0.96, 0.0))
    unsure = shape(found((100, 400, 100, 300), sure=0.65))
    assert one.surer_than(unsure) and not unsure.surer_than(one)
    assert not other.surer_than(one), "a hair's breadth is chance"
    assert one.surer_than(nothing) and not unsure.surer_than(nothing) and not nothing.surer_than(nothing)


PHOTO = np.full((400, 300, 3), 255, np.uint8)
PHOTO[60:340, 120:200] = 0
PHOTO[60:120, 200:240] = 0  # on one side, so that no turn is like another


def segmenter(sure: dict[bool, float], **spec: Any) -> tuple[Segmenter, list[int]]:
    """One whose network finds what is dark, as surely as said for a square where it stands (True) or lies (False); and
    the number of calls."""
    made = Segmenter.__new__(Segmenter)
    made.spec = replace(ModelSpec("compact", 256, "letterbox", 1, 0.5, 0.6, ""), **spec)
    calls: list[int] = []

    def run(squares: np.ndarray) -> Any:
        calls.append(len(squares))
        dark = 1 - squares.mean(axis=3, dtype=np.float32) / 255
        stands = [(one > 0.5).any(axis=1).sum() > (one > 0.5).any(axis=0).sum() for one in dark]
        scaled = np.stack([one * sure[bool(stand)] for one, stand in zip(dark, stands, strict=True)])
        return SimpleNamespace(numpy=lambda: scaled)

    made._run = run
    return made, calls


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("quarters", [0, 2])
def test_a_photo_that_is_better_seen_turned_is_seen_turned(passes: int, quarters: int) -> None:
    made, _ = segmenter({True: 0.7, False: 1.0}, passes=passes)
    photo = turns.turned(PHOTO, quarters)
    [seen] = made.segment([photo])
    assert seen.sideways and seen.probability.shape == photo.shape[:2] and seen.probability.max() > 0.95
    assert np.abs(seen.probability - (1 - photo[..., 0] / 255)).mean() < 0.01, "it lies as the photo does"
    assert (seen.agreement() is None) == (passes == 1)


def test_glasses_that_stand_are_sideways_even_if_they_are_seen_as_well() -> None:
    made, _ = segmenter({True: 1.0, False: 1.0})
    [seen] = made.segment([PHOTO])
    assert seen.sideways and np.abs(seen.probability - (1 - PHOTO[..., 0] / 255)).mean() < 0.01


def test_ordinary_photos_are_looked_at_once() -> None:
    made, calls = segmenter({True: 1.0, False: 0.6})
    upright = turns.turned(PHOTO, 1)
    assert not any(seen.sideways for seen in made.segment([upright] * 3)) and calls == [1, 1, 1]


def test_where_nothing_is_found_in_any_turn_nothing_is_sideways() -> None:
    made, _ = segmenter({True: 1.0, False: 1.0})
    [seen] = made.segment([np.full((300, 400, 3), 255, np.uint8)])
    assert not seen.sideways and not seen.probability.any()


def test_a_doubted_photo_gives_the_same_bytes_in_company() -> None:
    made, _ = segmenter({True: 0.7, False: 1.0})
    others = [turns.turned(PHOTO, 1), PHOTO[:, :250]]
    [alone] = made.segment([PHOTO])
    assert np.array_equal(made.segment([others[0], PHOTO, others[1]])[1].probability, alone.probability)
