"""One scale for a group: every member whole in its picture, on one line, the largest as large as was asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maskshapes import boxed, wire_glasses

from glasseg.cutout import outline
from glasseg.cutout.framing import Framing, group_scale, plan
from glasseg.cutout.placement import Placement, place
from glasseg.cutout.scale import Extent, Scale
from glasseg.images.compositing import bounding_box
from glasseg.images.window import Window

RATIOS = st.sampled_from([(1, 1), (25, 36), (16, 9), (1, 3)])
SIDES = st.floats(10, 4000)
EXTENTS = st.lists(st.builds(Extent, SIDES, SIDES), min_size=1, max_size=12)


def extent_of(alpha: np.ndarray, *, straighten: bool = False) -> Extent:
    found = outline.find(alpha, Window.whole(alpha.shape), straighten=straighten)
    assert found
    return found.extent


def planned(alphas: list[np.ndarray], framing: Framing, width: float | None = None) -> list[Placement]:
    """The placements of a group of photos."""
    common = group_scale([extent_of(alpha, straighten=framing.straighten) for alpha in alphas], framing, width)
    return [plan(alpha, framing, common=common) for alpha in alphas]


@st.composite
def groups(draw: st.DrawFn) -> list[np.ndarray]:
    """The alphas of some photos, each with a full box of 10 pixels or more somewhere in it."""
    alphas = []
    for _ in range(draw(st.integers(1, 5))):
        height, width = draw(st.integers(40, 500)), draw(st.integers(40, 500))
        x0, y0 = draw(st.integers(0, width - 20)), draw(st.integers(0, height - 20))
        box = (x0, y0, draw(st.integers(x0 + 10, width)), draw(st.integers(y0 + 10, height)))
        alphas.append(boxed((height, width), box))
    return alphas


@settings(max_examples=150)
@given(groups(), RATIOS, st.floats(0.05, 1.0), st.integers(100, 1200))
def test_every_member_is_whole_stands_on_the_line_and_the_largest_fills(
    alphas: list[np.ndarray], ratio: tuple[int, int], fill: float, size: int
) -> None:
    framing = Framing(ratio, fill, size, max_upscale=100, one_scale=True)
    placements = planned(alphas, framing)
    boxes = np.array([one.glasses for one in placements])
    height, width = framing.canvas
    assert max(height, width) == size and {one.size for one in placements} == {framing.canvas}
    assert len({one.scale for one in placements}) == 1
    assert (boxes[:, :2] >= -1).all() and (boxes[:, 2:] <= np.array([width, height]) + 1).all()
    assert not any(one.overflow or one.warnings for one in placements if not one.cut)
    assert np.ptp(boxes[:, 3]) <= 1, "one line"
    assert np.abs(boxes[:, 0] + boxes[:, 2] - width).max() <= 1, "half a pixel at either end"
    tallest = boxes[np.argmax(boxes[:, 3] - boxes[:, 1])]
    assert abs(tallest[1] + tallest[3] - height) <= 2, "the tallest is in the middle"
    taken = np.max((boxes[:, 2:] - boxes[:, :2]) / (width, height), axis=0)
    assert (
        min(abs(fill - taken) * (width, height)) <= 1
        and (taken * (width, height) <= fill * np.array([width, height]) + 1).all()
    )


@given(EXTENTS, RATIOS, st.floats(0.05, 1.0), st.integers(16, 5000), st.floats(1, 4))
def test_a_scale_depends_on_no_order_and_enlarges_no_more_than_allowed(
    extents: list[Extent], ratio: tuple[int, int], fill: float, size: int, most: float
) -> None:
    framing = Framing(ratio, fill, size, max_upscale=most, one_scale=True)
    found = group_scale(extents, framing)
    assert found == group_scale(extents[::-1], framing)
    assert found and 0 < found.scale <= most and 0.5 < found.baseline <= 1
    assert found.needed is None or found.scale == most < found.needed


@settings(max_examples=60)
@given(groups(), st.floats(20, 300), st.integers(200, 1200), st.sampled_from([(1, 1), (4, 3)]))
def test_by_width_the_widest_member_has_it_and_who_does_not_fit_says_so(
    alphas: list[np.ndarray], width: float, size: int, ratio: tuple[int, int]
) -> None:
    framing = Framing(ratio, None, size, max_upscale=100, one_scale=True)
    for one in planned(alphas, framing, width):
        x0, y0, x1, y1 = one.glasses or (0, 0, 0, 0)
        assert x1 - x0 <= width + 1
        inside = x0 >= -1 and y0 >= -1 and x1 <= one.size[1] + 1 and y1 <= one.size[0] + 1
        assert inside == (not one.overflow) == ("beyond the picture" not in " ".join(one.warnings))
    widths = [one.glasses[2] - one.glasses[0] for one in planned(alphas, framing, width) if one.glasses]
    assert abs(max(widths) - width) <= 1


def test_equal_millimetres_are_equal_pixels_whatever_the_photos_are() -> None:
    """Glasses of 140 mm photographed twice as large as those of 120 mm."""
    framing = Framing((1, 1), None, 1700, one_scale=True)
    wide = planned([boxed((2000, 3000), (100, 500, 2900, 1300))], framing, 140 * 10)
    narrow = planned([boxed((1200, 1600), (200, 300, 1400, 700))], framing, 120 * 10)
    for [one], millimetres in ((wide, 140), (narrow, 120)):
        assert one.glasses and one.glasses[2] - one.glasses[0] == pytest.approx(10 * millimetres, abs=1)


def test_photos_that_are_too_small_are_not_enlarged_and_the_picture_keeps_its_size() -> None:
    framing = Framing((1, 1), 0.8, 1000, one_scale=True)
    placements = planned([boxed((300, 400), (50, 100, 350, 200)), boxed((300, 400), (50, 100, 250, 200))], framing)
    for one in placements:
        assert one.size == (1000, 1000) and one.scale == 1
        assert one.warnings == (
            "its group would need 2.67× enlargement, see --max-upscale: its glasses are smaller in their pictures",
        )


def test_less_than_a_pixel_is_not_resampled() -> None:
    alpha = boxed((400, 500), (50, 100, 451, 300))
    placement = planned([alpha], Framing((1, 1), 0.8, 501, one_scale=True))[0]
    assert placement.exact and placement.scale == 1


def test_a_photo_without_glasses_is_whole_in_a_picture_of_the_same_size() -> None:
    for common in (None, Scale(0.5, 0.7)):
        one = plan(np.zeros((300, 600), np.uint8), Framing((1, 1), 0.8, 400, one_scale=True), common=common)
        assert (one.size, one.glasses) == ((400, 400), None) and one.scale == pytest.approx(2 / 3)
        assert "no glasses" in one.warnings[0]
    assert group_scale([], Framing((1, 1), 0.8, 400, one_scale=True)) is None


def test_glasses_larger_than_their_scale_allows_are_told() -> None:
    one = plan(boxed((300, 600), (10, 10, 590, 200)), Framing((1, 1), 0.8, 400, one_scale=True), common=Scale(1, 0.6))
    assert one.overflow == ("left", "right") and "go beyond the picture (left, right)" in one.warnings[-1]


@pytest.mark.parametrize("tilt", [0.0, 4.0, -6.0])
def test_straightened_members_are_measured_level(tilt: float) -> None:
    level, tilted = wire_glasses(), wire_glasses(tilt=tilt)
    framing = Framing((1, 1), 0.9, 500, straighten=True, one_scale=True)
    one, other = planned([level, tilted], framing)
    assert one.glasses and other.glasses
    assert np.abs(np.subtract(one.glasses, other.glasses)).max() < 3
    placed = bounding_box(place(tilted, other, 0))
    assert placed and abs(placed[3] - bounding_box(place(level, one, 0))[3]) <= 2  # type: ignore[index]


def test_too_many_pixels_are_refused_since_the_size_is_a_promise() -> None:
    with pytest.raises(ValueError, match="100 megapixels"):
        Framing((1, 1), 0.8, 10_001, one_scale=True)


@settings(max_examples=30)
@given(groups())
def test_the_picture_is_that_of_a_group_of_one_without_a_scale(alphas: list[np.ndarray]) -> None:
    framing = Framing((4, 3), 0.7, 300, max_upscale=9, one_scale=True)
    assert plan(alphas[0], framing) == planned(alphas[:1], framing)[0]
