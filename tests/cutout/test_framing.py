"""The glasses in the middle of a picture of the asked ratio, fill and size, straight, and resampled once at most."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from maskshapes import boxed, wire_glasses

from glasseg.cutout.framing import Framing, parse_ratio, plan
from glasseg.cutout.placement import Placement, place
from glasseg.images.compositing import bounding_box, compose

RATIOS = st.sampled_from([(1, 1), (25, 36), (16, 9), (4, 3), (1, 3), (10, 1)])


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """A full box of 10 pixels or more, somewhere in a photo."""
    height, width = draw(st.integers(40, 700)), draw(st.integers(40, 700))
    x0, y0 = draw(st.integers(0, width - 20)), draw(st.integers(0, height - 20))
    return boxed((height, width), (x0, y0, draw(st.integers(x0 + 10, width)), draw(st.integers(y0 + 10, height))))


def photo_of(alpha: np.ndarray, seed: int = 0) -> np.ndarray:
    """Dark noise on white, by an alpha."""
    noise = np.random.default_rng(seed).integers(0, 120, (*alpha.shape, 3), dtype=np.uint8)
    return compose(noise, alpha)


@settings(max_examples=150)
@given(masks(), RATIOS, st.floats(0.05, 1.0), st.integers(100, 1200), st.floats(1.0, 4.0))
def test_ratio_fill_centre_and_size_are_as_asked(
    alpha: np.ndarray, ratio: tuple[int, int], fill: float, size: int, most: float
) -> None:
    placement = plan(alpha, Framing(ratio, fill, size, max_upscale=most))
    height, width = placement.size
    assert abs(width - height * ratio[0] / ratio[1]) <= max(1, ratio[0] / ratio[1])
    assert placement.scale <= most
    assert max(height, width) == size or (max(height, width) < size and "enlargement" in " ".join(placement.warnings))
    x0, y0, x1, y1 = placement.glasses or (0, 0, 0, 0)
    error = min(abs(fill * width - (x1 - x0)), abs(fill * height - (y1 - y0)))
    assert error <= max(1, most)  # a photo pixel is the finest step when the largest enlargement binds
    assert x1 - x0 <= width + 1 and y1 - y0 <= height + 1
    assert abs((x0 + x1) - width) <= 1 and abs((y0 + y1) - height) <= 1  # half a pixel at either end
    placed = bounding_box(place(alpha, placement, 0)) or (0, 0, 0, 0)
    reach = 2 * max(1, placement.scale) + 1  # the kernel's reach
    assert np.abs(np.subtract(placed, np.clip((x0, y0, x1, y1), 0, (width, height) * 2))).max() <= reach


@settings(max_examples=60)
@given(masks(), st.booleans())
def test_nothing_asked_or_nothing_to_do_is_the_photo_itself(alpha: np.ndarray, sized: bool) -> None:
    placement = plan(alpha, Framing(size=max(alpha.shape)) if sized else Framing())
    assert placement.unchanged and not placement.warnings[1 if placement.cut else 0 :]
    assert place(alpha, placement, 0) is alpha


@settings(max_examples=100)
@given(masks(), RATIOS, st.none() | st.floats(0.1, 1.0))
def test_at_scale_one_the_photo_is_cropped_and_padded_but_not_resampled(
    alpha: np.ndarray, ratio: tuple[int, int], fill: float | None
) -> None:
    placement = plan(alpha, Framing(ratio, fill))
    assert placement.exact
    photo = photo_of(alpha)
    x0, y0, x1, y1 = bounding_box(alpha) or (0, 0, 0, 0)
    left, top, right, bottom = placement.box_after((x0, y0, x1, y1)) or (0, 0, 0, 0)
    assume((right - left, bottom - top) == (x1 - x0, y1 - y0))  # a fill of 1 may lose a row by rounding
    picture = place(photo, placement)
    assert np.array_equal(picture[top:bottom, left:right], photo[y0:y1, x0:x1])
    picture[top:bottom, left:right] = 255
    assert (picture == 255).all()


@settings(max_examples=60)
@given(masks(), RATIOS)
def test_a_frame_without_fill_cuts_nothing_off(alpha: np.ndarray, ratio: tuple[int, int]) -> None:
    placement = plan(alpha, Framing(ratio))
    height, width = alpha.shape
    assert placement.size[0] >= height and placement.size[1] >= width
    assert place(alpha, placement, 0).sum(dtype=np.int64) == alpha.sum(dtype=np.int64)


def test_size_alone_leaves_the_glasses_where_they_are() -> None:
    alpha = boxed((400, 800), (20, 40, 220, 140))
    placement = plan(alpha, Framing(size=400))
    assert placement.size == (200, 400) and placement.glasses == (10, 20, 110, 70)


def test_a_photo_is_not_enlarged_unless_allowed() -> None:
    alpha = boxed((500, 500), (100, 200, 300, 260))
    held = plan(alpha, Framing((1, 1), 0.8, 1000))
    assert held.size == (250, 250) and held.scale == 1 and held.fill == 0.8
    assert held.warnings == ("would need 4.00× enlargement, see --max-upscale: 250 pixels instead of 1000",)
    twice = plan(alpha, Framing((1, 1), 0.8, 1000, max_upscale=2))
    assert twice.size == (500, 500) and twice.scale == 2
    free = plan(alpha, Framing((1, 1), 0.8, 1000, max_upscale=9))
    assert free.size == (1000, 1000) and not free.warnings


def test_a_stray_pixel_does_not_move_the_frame() -> None:
    alpha = boxed((600, 900), (300, 200, 700, 320))
    clean = plan(alpha, Framing((1, 1), 0.85, 300))
    alpha[2:5, 890:894] = 255
    alpha[500:, :50] = 20  # and so does no veil
    assert plan(alpha, Framing((1, 1), 0.85, 300)) == clean


def test_a_thin_temple_tip_counts() -> None:
    alpha = boxed((600, 900), (300, 200, 700, 320))
    alpha[250:252, 720:760] = 200
    assert plan(alpha, Framing(fill=0.8)).glasses is not None
    x0, _, x1, _ = plan(alpha, Framing(fill=0.8)).glasses or (0, 0, 0, 0)
    assert x1 - x0 == 460


@pytest.mark.parametrize("alpha", [np.zeros((300, 400), np.uint8), boxed((300, 400), (7, 7, 10, 9))])
def test_without_glasses_the_whole_photo_is_framed_and_it_is_said(alpha: np.ndarray) -> None:
    placement = plan(alpha, Framing((1, 1), 0.85, 200, straighten=True))
    assert placement.size == (200, 200) and placement.scale == 0.5
    assert placement.glasses is None and placement.fill is None
    assert "no glasses found" in placement.warnings[0]


def test_glasses_at_the_photos_edge_are_framed_and_flagged() -> None:
    placement = plan(boxed((300, 400), (0, 100, 250, 300)), Framing((1, 1), 0.8))
    assert placement.cut == ("left", "bottom")
    assert placement.warnings == ("the glasses reach the photo's edge (left, bottom) and may be cut off",)
    assert plan(boxed((300, 400), (0, 100, 250, 300)), Framing()).warnings == ()


def test_a_tiny_find_gives_a_tiny_picture_with_a_warning() -> None:
    placement = plan(boxed((300, 400), (100, 100, 112, 105)), Framing((1, 1), 0.85, 1600))
    assert placement.size == (14, 14) and placement.warnings[-1] == "the picture is only 14 pixels long"


def test_a_tiny_fill_does_not_take_all_memory() -> None:
    placement = plan(boxed((300, 400), (50, 50, 350, 250)), Framing((1, 1), 0.0001))
    assert placement.size == (10_000, 10_000) and "megapixels" in placement.warnings[-1]


@pytest.mark.parametrize("tilt", [-9.0, -3.0, 0.5, 6.0])
@pytest.mark.parametrize("framing", [Framing(straighten=True), Framing((1, 1), 0.8, 400, straighten=True)])
def test_tilted_glasses_come_out_level(tilt: float, framing: Framing) -> None:
    alpha = wire_glasses(tilt=tilt)
    placement = plan(alpha, framing)
    assert placement.angle == pytest.approx(tilt, abs=0.1)
    level = place(alpha, placement, 0)
    assert plan(level, Framing(straighten=True)).angle == pytest.approx(0, abs=0.1)
    if framing.fill:
        seen = bounding_box(np.where(level < 25, 0, level).astype(np.uint8)) or (0, 0, 0, 0)
        assert (seen[2] - seen[0]) / level.shape[1] == pytest.approx(0.8, abs=2 / 400)
        assert seen[0] + seen[2] == pytest.approx(level.shape[1], abs=2)
        assert seen[1] + seen[3] == pytest.approx(level.shape[0], abs=2)


def test_straightening_alone_turns_about_the_glasses() -> None:
    alpha = np.roll(wire_glasses(tilt=5), (-120, 60), (0, 1))
    placement = plan(alpha, Framing(straighten=True))
    assert placement.size == alpha.shape and placement.scale == 1
    before = bounding_box(alpha) or (0, 0, 0, 0)
    after = placement.glasses or (0, 0, 0, 0)
    assert before[0] + before[2] == pytest.approx(after[0] + after[2], abs=3)
    assert before[1] + before[3] == pytest.approx(after[1] + after[3], abs=3)


@pytest.mark.parametrize(
    ("alpha", "words"),
    [
        (wire_glasses(tilt=14), "tilted by 14"),
        (wire_glasses(tilt=90), "tilted by 90"),
        (boxed((400, 400), (100, 100, 300, 280)), "too round"),
    ],
)
def test_what_is_not_a_small_tilt_stays_and_it_is_said(alpha: np.ndarray, words: str) -> None:
    placement = plan(alpha, Framing(straighten=True))
    assert placement.unchanged and words in placement.warnings[0]


@settings(max_examples=60)
@given(masks(), st.floats(0.2, 3.0), st.floats(-10, 10), st.sampled_from([255, 0, (240, 238, 231), (3, 200, 99)]))
def test_where_only_background_reaches_it_is_exactly_the_background(
    alpha: np.ndarray, scale: float, angle: float, border: int | tuple[int, int, int]
) -> None:
    reach = math.ceil(3 / min(scale, 1)) + 2  # photo pixels, farther than any kernel
    alpha = np.pad(alpha, reach)
    photo = np.full((*alpha.shape, 3), border, np.uint8)
    photo[alpha > 0] = np.random.default_rng(1).integers(0, 256, 3)
    size = (math.ceil(alpha.shape[0] * scale) + 40, math.ceil(alpha.shape[1] * scale) + 40)
    placement = Placement(alpha.shape, size, scale, angle if abs(angle) > 1 else 0.0, (20.3, 20.6))
    reached = cv2.dilate(alpha, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    clear = place(reached, placement, 0) == 0
    assert clear.any() and (place(photo, placement, border)[clear] == border).all()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((300, 300), np.uint8)
    stripes[:, ::2] = 255
    for angle in (0.0, 4.0):
        picture = place(stripes, Placement((300, 300), (100, 100), 0.3, angle, (5.0, 5.0)), 0)
        assert picture[30:70, 30:70].std() < 6 and abs(picture[30:70, 30:70].mean() - 127.5) < 2


@pytest.mark.parametrize("scale", [0.45, 0.8, 1.7])
def test_turned_and_level_resampling_agree_on_where_things_are(scale: float) -> None:
    alpha = cv2.GaussianBlur(wire_glasses((200, 260)), (0, 0), 3)
    size = (math.ceil(200 * scale), math.ceil(260 * scale))
    level = place(alpha, Placement(alpha.shape, size, scale, 0.0, (0.4, -0.3)), 0).astype(float)
    turned = place(alpha, Placement(alpha.shape, size, scale, 1e-7, (0.4, -0.3)), 0).astype(float)
    assert np.abs(level - turned).max() < 12 and np.abs(level - turned).mean() < 1  # half a pixel off: 40 and more


def test_image_and_alpha_stay_on_each_other_when_turned() -> None:
    alpha = wire_glasses(tilt=7)
    placement = plan(alpha, Framing((1, 1), 0.85, 400, straighten=True))
    picture = place(compose(np.zeros((*alpha.shape, 3), np.uint8), alpha), placement)
    assert np.abs(255 - picture[..., 0].astype(int) - place(alpha, placement, 0)).max() <= 2


def test_views_and_read_only_arrays_are_placed_and_left_alone() -> None:
    alpha = wire_glasses()[20:560, 10:790]
    alpha.flags.writeable = False
    placement = plan(alpha, Framing((1, 1), 0.8, 300))
    before = alpha.copy()
    place(alpha, placement, 0)
    assert np.array_equal(alpha, before)


def test_what_cannot_be_placed_is_refused() -> None:
    placement = plan(wire_glasses(), Framing((1, 1)))
    with pytest.raises(ValueError, match="planned for"):
        place(np.zeros((10, 10), np.uint8), placement)
    with pytest.raises(ValueError, match="uint8"):
        place(np.zeros((600, 800), np.float32), placement)


def test_box_after_is_where_the_pixels_went() -> None:
    placement = plan(boxed((400, 400), (100, 150, 300, 250)), Framing((1, 1), 0.5, 200))
    assert placement.box_after((100, 150, 300, 250)) == (50, 75, 150, 125)
    assert placement.box_after((101, 151, 102, 152)) == (50, 75, 51, 76)
    assert plan(boxed((400, 400), (0, 0, 40, 40)), Framing((1, 1), 1.0)).box_after((300, 300, 310, 310)) is None


@pytest.mark.parametrize(
    ("text", "ratio"), [("1:1", (1, 1)), ("1:1.44", (25, 36)), ("16:9", (16, 9)), (" 4:4 ", (1, 1)), ("0.5:2", (1, 4))]
)
def test_ratios_are_read_in_lowest_terms(text: str, ratio: tuple[int, int]) -> None:
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text", ["", "1", "1/1", "0:1", "1:0", "-1:1", "1:1:1", "nan:1", "1e9:1", "11:1", "1:١"])
def test_what_is_not_a_ratio_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_ratio(text)
    assert "\n" not in str(caught.value) and text in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"fill": 0.0}, {"fill": 1.01}, {"fill": math.nan}, {"size": 3}, {"size": 10**6}, {"max_upscale": 0.5}]
)
def test_options_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError):
        Framing(**wrong)
