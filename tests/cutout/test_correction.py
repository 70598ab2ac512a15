"""What a person painted holds, its edges follow the photo, and all else stays as it was, to the byte."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout import matte, picture
from glasseg.cutout.correction import CLEAR, ERASE, KEEP, UNTOUCHED, Correction
from glasseg.cutout.look import Look
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags
from glasseg.images.window import Window
from glasseg.model.folder import ModelSpec
from glasseg.model.letterbox import letterbox
from glasseg.model.quality import Calibration
from glasseg.model.segmentation import Segmentation

SIZE = (600, 800)
MAP = (450, 600)
SPEC = ModelSpec("compact", 512, "letterbox", 1, 0.5, 0.4, "")
FRAME, GROUND = (30, 25, 40), (205, 203, 200)


def truth() -> np.ndarray:
    """The true alpha of two rims with a bridge and a temple to the right, H×W uint8."""
    alpha = np.zeros(SIZE, np.uint8)
    for x in (250, 500):
        cv2.ellipse(alpha, (x, 300), (100, 75), 0, 0, 360, 255, 16, cv2.LINE_AA)
    cv2.line(alpha, (346, 285), (404, 285), 255, 14, cv2.LINE_AA)
    cv2.line(alpha, (600, 280), (760, 240), 255, 12, cv2.LINE_AA)
    return alpha


def photo(alpha: np.ndarray | None = None) -> Photo:
    share = truth()[..., None] / 255
    image = share * np.array(FRAME) + (1 - share) * np.array(GROUND)
    image += np.random.default_rng(0).normal(0, 1, image.shape)
    return Photo(np.clip(np.rint(image), 0, 255).astype(np.uint8), alpha, Tags(), ())


def seen(found: np.ndarray) -> Segmentation:
    """What a network says that finds exactly `found` (H×W uint8) in a photo."""
    frame, box = letterbox(np.repeat(found[..., None], 3, axis=2), 512)
    return Segmentation(frame[..., 0].astype(np.float32) / 255, box, Window.whole(SIZE))


def lost_temple() -> np.ndarray:
    """What a network found that lost the temple."""
    found = truth()
    found[:, 612:] = 0
    return found


def stroke(label: int, *points: tuple[int, int], width: int = 16) -> Correction:
    """A line painted over the points (x, y) of the photo, on a map of three quarters of its size."""
    labels = np.full(MAP, UNTOUCHED, np.uint8)
    there = np.array([(x * 3 // 4, y * 3 // 4) for x, y in points])
    cv2.polylines(labels, [there], False, label, round(width * 3 / 4))
    return Correction(labels)


TEMPLE = stroke(KEEP, (604, 279), (760, 240), width=16)


def alpha(found: np.ndarray, correction: Correction | None = None, of: Photo | None = None) -> np.ndarray:
    return picture.compose(of or photo(), seen(found), SPEC, Look(), correction).alpha


def strict_iou(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one > 127, other > 127
    return float((a & b).sum() / (a | b).sum())


def test_a_temple_that_was_painted_back_is_in_the_picture_with_an_edge_as_fine_as_the_photos() -> None:
    before, after = alpha(lost_temple()), alpha(lost_temple(), TEMPLE)
    part = np.s_[200:320, 640:750]
    assert not before[part].any()
    assert strict_iou(after[part], truth()[part]) > 0.93  # the stroke is half as wide again as the temple
    assert np.abs(after[part].astype(int) - truth()[part]).mean() < 4


def test_a_stroke_that_is_too_broad_leaves_no_veil_on_the_background_of_a_large_photo() -> None:
    size = (1800, 2400)
    whole = cv2.resize(truth(), size[::-1], interpolation=cv2.INTER_CUBIC)
    share = whole[..., None] / 255
    ground = np.linspace(175, 235, size[1])[None, :, None]  # its light falls off, as on a real table
    image = share * np.array(FRAME) + (1 - share) * ground + np.random.default_rng(0).normal(0, 3, (*size, 3))
    shot = Photo(np.clip(np.rint(image), 0, 255).astype(np.uint8), None, Tags(), ())
    lost = cv2.resize(lost_temple(), size[::-1], interpolation=cv2.INTER_CUBIC)
    frame, box = letterbox(np.repeat(lost[..., None], 3, axis=2), 512)
    found = Segmentation(frame[..., 0].astype(np.float32) / 255, box, Window.whole(size))
    made = picture.compose(shot, found, SPEC, Look(), stroke(KEEP, (604, 279), (760, 240), width=18))
    temple = np.zeros(size, bool)
    temple[600:960, 1920:2250] = True
    bare = temple & (cv2.dilate(whole, np.ones((9, 9), np.uint8)) < 8)
    assert (made.alpha[bare] > 12).mean() < 0.005
    assert strict_iou(made.alpha[600:960, 1920:2250], whole[600:960, 1920:2250]) > 0.95


def test_what_was_not_touched_stays_as_it_was_to_the_byte() -> None:
    before, after = alpha(lost_temple()), alpha(lost_temple(), TEMPLE)
    assert np.array_equal(before[:, :520], after[:, :520]) and not np.array_equal(before, after)


def test_there_is_no_seam_where_the_touched_part_ends() -> None:
    whole = alpha(truth())
    again = alpha(truth(), stroke(KEEP, (604, 279), (680, 260), width=4))
    assert np.abs(whole[:, :700].astype(int) - again[:, :700]).max() <= 16


def test_what_was_erased_is_white() -> None:
    found = truth()
    cv2.circle(found, (120, 500), 40, 255, -1)  # a tag that the network took for glasses
    assert alpha(found)[500, 120] == 255
    made = picture.compose(photo(), seen(found), SPEC, Look(), stroke(ERASE, (120, 500), (121, 500), width=110))
    assert (made.pixels[440:560, 60:180] == 255).all() and not made.alpha[440:560, 60:180].any()


def test_a_speck_that_a_person_keeps_stays() -> None:
    after = alpha(truth(), stroke(KEEP, (60, 60), (66, 60), width=6))
    assert after[56:65, 56:70].max() > 200 and not alpha(truth())[40:80, 40:90].any()


def test_a_lens_made_clear_shows_what_is_behind_it_only_where_lenses_are_kept() -> None:
    found = truth()
    cv2.ellipse(found, (250, 300), (96, 70), 0, 0, 360, 255, -1)  # taken for a tinted lens
    labels = np.full(MAP, UNTOUCHED, np.uint8)
    cv2.ellipse(labels, (187, 225), (70, 51), 0, 0, 360, CLEAR, -1)
    white = picture.compose(photo(), seen(found), SPEC, Look(), Correction(labels))
    kept = picture.compose(photo(), seen(found), SPEC, Look(lenses="keep"), Correction(labels))
    assert white.alpha[300, 250] == 0 and (white.pixels[300, 250] == 255).all()
    assert np.abs(kept.pixels[300, 250].astype(int) - GROUND).max() < 8


def test_an_erased_opening_is_background_also_where_lenses_are_kept() -> None:
    erased = stroke(ERASE, (250, 300), (251, 300), width=130)
    made = picture.compose(photo(), seen(truth()), SPEC, Look(lenses="keep"), erased)
    assert (made.pixels[300, 250] == 255).all() and (made.pixels[300, 500] < 255).all()


def test_a_painted_part_that_the_network_never_looked_at_is_found() -> None:
    found = seen(lost_temple())
    rows, columns = slice(200, 400), slice(120, 560)
    frame, box = letterbox(np.repeat(lost_temple()[rows, columns, None], 3, axis=2), 512)
    close = Segmentation(frame[..., 0].astype(np.float32) / 255, box, Window(rows, columns, SIZE))
    assert close.window.shape != found.window.shape
    made = picture.compose(photo(), close, SPEC, Look(), TEMPLE)
    assert made.alpha[250:256, 700:720].max() == 255 and made.mask.bbox is not None and made.mask.bbox[2] > 750


def test_a_correction_of_a_cut_out_hides_and_shows_only_what_has_colours() -> None:
    own = truth()
    own[:, 700:] = 0
    cut_out = photo(own)
    erased = alpha(truth(), stroke(ERASE, (640, 270), (700, 255), width=60), cut_out)
    kept = alpha(truth(), stroke(KEEP, (640, 270), (760, 240), width=30), cut_out)
    assert not erased[200:320, 650:690].any()
    assert not kept[:, 702:].any() and kept[266:272, 650].any()


def test_the_label_for_training_scores_what_was_painted_and_what_is_decided() -> None:
    labels = picture.label_map(photo(), seen(lost_temple()), SPEC, TEMPLE)
    assert labels.shape == SIZE and set(np.unique(labels)) == {0, UNTOUCHED, KEEP}
    assert labels[252, 710] == KEEP and labels[100, 100] == 0
    rim = labels[300, 140:160]
    assert UNTOUCHED in rim  # the network is undecided at an edge, and nobody painted there
    assert UNTOUCHED not in labels[205:315, 650:750]


def test_the_label_of_an_approved_photo_is_its_mask() -> None:
    labels = picture.label_map(photo(), seen(truth()), SPEC)
    scored = labels != UNTOUCHED
    assert scored.mean() > 0.9 and strict_iou(labels[scored], truth()[scored]) > 0.99


def test_an_empty_correction_changes_nothing() -> None:
    nothing = Correction(np.full(MAP, UNTOUCHED, np.uint8))
    assert np.array_equal(alpha(truth()), alpha(truth(), nothing))
    assert nothing.window(SIZE) is None


def test_a_mask_of_the_photos_own_size_holds_everywhere() -> None:
    whole = Correction(np.where(truth() > 127, KEEP, ERASE).astype(np.uint8))
    assert strict_iou(alpha(np.zeros(SIZE, np.uint8), whole), truth()) > 0.97


def test_quality_is_that_of_the_networks_own_mask_whatever_was_painted() -> None:
    weighs = Calibration(("worst", "left_out"), (0.0, 0.0), (1.0, 1.0), (-1.0, -0.5), 1.0, 0.9)
    spec = replace(SPEC, quality=weighs.to_dict())
    found = cv2.GaussianBlur(truth(), (0, 0), 12)  # an undecided network
    whole = Correction(np.where(truth() > 127, KEEP, ERASE).astype(np.uint8))
    own, painted = (picture.compose(photo(), seen(found), spec, Look(), one).mask for one in (None, whole))
    assert own.quality is not None and painted.quality == pytest.approx(own.quality, abs=1e-6)
    assert own.touched_quality is None and painted.touched_quality is not None
    assert painted.touched_quality > own.quality + 0.1


def shifted(down: int) -> np.ndarray:
    """The mask of another photo: the same glasses further up or down."""
    return np.roll(truth(), down, axis=0)


def drawn(mask: np.ndarray) -> Correction:
    """A mask of another tool: all of it counts."""
    return Correction(np.where(mask > 127, KEEP, ERASE).astype(np.uint8))


@pytest.mark.parametrize(
    ("found", "correction", "expected"),
    [
        (truth(), drawn(truth()), False),
        (truth(), drawn(shifted(2)), False),  # nobody draws to the pixel
        (truth(), drawn(shifted(60)), True),
        (lost_temple(), drawn(truth()), False),  # what the model missed
        (np.maximum(truth(), shifted(150)), drawn(truth()), False),  # what it took for glasses
        (np.zeros(SIZE, np.uint8), drawn(truth()), False),  # it found nothing
        (lost_temple(), TEMPLE, False),
    ],
)
def test_the_mask_of_another_photo_is_told_from_a_correction(
    found: np.ndarray, correction: Correction, expected: bool
) -> None:
    assert picture.compose(photo(), seen(found), SPEC, Look(), correction).far_apart is expected


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(20, 400), st.integers(20, 400)),
    shrink=st.floats(1, 5),
    data=st.data(),
)
def test_what_was_touched_lies_in_its_window_and_the_window_lies_in_the_photo(
    size: tuple[int, int], shrink: float, data: st.DataObject
) -> None:
    shape = tuple(max(1, round(length / shrink)) for length in size)
    labels = np.full(shape, UNTOUCHED, np.uint8)
    y, x = (data.draw(st.integers(0, length - 1)) for length in shape)
    labels[y : y + 3, x : x + 2] = data.draw(st.sampled_from([KEEP, CLEAR, ERASE]))
    correction = Correction(labels)
    window = correction.window(size)
    assert window is not None
    whole = correction.within(Window.whole(size))
    outside = whole.touched.copy()
    window.of(outside)[...] = 0
    assert not outside.any() and window.of(whole.touched).any()
    there = correction.within(window).touched.astype(int)
    assert np.abs(there - window.of(whole.touched)).max() <= 2  # OpenCV's positions are rounded to 1/32 pixel


@pytest.mark.parametrize("label", [KEEP, ERASE])
def test_the_middle_of_a_broad_stroke_holds_whatever_the_photo_shows(label: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    made = alpha(truth(), stroke(label, (300, 300), (400, 300), width=80), Photo(noise, None, Tags(), ()))
    assert (made[285:315, 310:390] == (255 if label == KEEP else 0)).all()


def test_the_edge_beyond_the_reach_of_a_stroke_is_found_as_without_it() -> None:
    p = seen(truth()).probability
    image = photo().image
    touch = TEMPLE.within(Window.whole(SIZE))
    plain = matte.alpha(image, p, SPEC.threshold, SPEC.ramp)
    touched = touch.alpha(image, p, SPEC.threshold, SPEC.ramp)
    assert np.array_equal(plain[:, :540], touched[:, :540])
