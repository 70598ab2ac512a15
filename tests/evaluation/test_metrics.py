"""Scores, against cases counted by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.evaluation import metrics
from glasseg.evaluation.metrics import PhotoScore, score
from glasseg.labels.pairs import Label


def label(rows: list[str]) -> Label:
    """A label drawn in letters: M material, o opening, ? not scored, . background."""
    letters = np.array([list(row) for row in rows])
    return Label(letters == "M", letters == "o", letters == "?")


def alpha(rows: list[str]) -> np.ndarray:
    """An alpha drawn in letters: # found, . not."""
    return np.where(np.array([list(row) for row in rows]) == "#", 255, 0).astype(np.uint8)


def test_scores_of_a_photo_counted_by_hand() -> None:
    got = score(alpha(["##..", "##..", "...."]), label(["MMM.", "oo..", "...."]))
    assert got.iou == pytest.approx(2 / 3)  # the openings found are not held against it
    assert got.strict_iou == pytest.approx(2 / 5)
    assert got.openings_left_out == 0.0
    assert (got.precision, got.recall) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert got.f1 == pytest.approx(2 * 2 / (4 + 3))
    assert got.accuracy == pytest.approx(9 / 12)
    assert got.alpha_error == pytest.approx(3 / 12)


def test_openings_that_are_left_out_are_counted() -> None:
    assert score(alpha(["#..."]), label(["Mooo"])).openings_left_out == 1.0
    assert score(alpha(["##.."]), label(["Mooo"])).openings_left_out == pytest.approx(2 / 3)
    assert math.isnan(score(alpha(["#..."]), label(["M..."])).openings_left_out)


def test_ignored_pixels_count_nowhere() -> None:
    truth = label(["MM??", "o.??"])
    assert score(alpha(["##..", "...."]), truth) == score(alpha(["####", "..##"]), truth)
    assert score(alpha(["####", "..##"]), truth).strict_iou == 1.0


def test_a_pixel_is_found_from_128_on() -> None:
    truth = label(["M"])
    assert score(np.array([[128]], np.uint8), truth).iou == 1.0
    assert score(np.array([[127]], np.uint8), truth).iou == 0.0


def test_alpha_error_sees_soft_alpha() -> None:
    assert score(np.array([[204, 51]], np.uint8), label(["M."])).alpha_error == pytest.approx(0.2)


def test_nothing_found_where_nothing_is_true_is_perfect() -> None:
    got = score(alpha(["...."]), label(["...."]))
    assert math.isnan(got.openings_left_out)
    assert replace(got, openings_left_out=1.0) == PhotoScore(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, alpha_error=0.0)


def test_nothing_found_where_glasses_are_is_no_precision() -> None:
    got = score(alpha(["...."]), label(["MM.."]))
    assert (got.precision, got.recall, got.f1, got.iou) == (0.0, 0.0, 0.0, 0.0)


def test_glasses_found_where_none_are_is_no_recall() -> None:
    got = score(alpha(["#..."]), label(["...."]))
    assert (got.precision, got.recall, got.f1, got.strict_iou) == (0.0, 0.0, 0.0, 0.0)


def test_a_photo_of_which_nothing_is_scored_has_scores(recwarn: pytest.WarningsRecorder) -> None:
    got = score(alpha(["##.."]), label(["????"]))
    assert (got.iou, got.f1, got.accuracy, got.alpha_error) == (1.0, 1.0, 1.0, 0.0)
    assert not recwarn.list


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        score(alpha(["#"]), label(["MM"]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_every_score_is_a_share_and_openings_only_make_it_stricter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = label(["".join(row) for row in rng.choice(list("Mo?."), (5, 6))])
    got = score(rng.integers(0, 256, (5, 6), dtype=np.uint8), truth)
    values = [got.iou, got.strict_iou, got.precision, got.recall, got.f1, got.accuracy, got.alpha_error]
    assert all(0 <= value <= 1 for value in values)
    assert got.strict_iou <= got.iou
    if got.precision + got.recall:
        assert got.f1 == pytest.approx(2 * got.precision * got.recall / (got.precision + got.recall))


def plain(material: np.ndarray) -> Label:
    nothing = np.zeros(material.shape, bool)
    return Label(material, nothing, nothing)


def blocks(seed: int, side: int = 24) -> np.ndarray:
    return np.kron(np.random.default_rng(seed).random((side // 4, side // 4)) > 0.5, np.ones((4, 4))) > 0


def test_a_boundary_within_the_tolerance_is_right_and_beyond_it_is_wrong() -> None:
    truth = np.zeros((600, 800), bool)  # the diagonal is 1000 pixels, the tolerance 3
    truth[200:400, 300:500] = True
    scored = np.ones_like(truth)
    assert metrics.boundary_f(truth, truth, scored) == 1
    assert metrics.boundary_f(np.roll(truth, (3, 3), (0, 1)), truth, scored) > 0.99
    assert metrics.boundary_f(np.roll(truth, (8, 8), (0, 1)), truth, scored) < 0.05
    wide = truth.copy()
    wide[190:410, 300:400] = True  # half of it is 10 pixels too wide
    assert 0.3 < metrics.boundary_f(wide, truth, scored) < 0.8


def test_the_boundary_of_nothing() -> None:
    nothing, something = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    something[10:20, 10:20] = True
    everywhere = np.ones_like(nothing)
    assert metrics.boundary_f(nothing, nothing, everywhere) == 1
    assert metrics.boundary_f(something, nothing, everywhere) == metrics.boundary_f(nothing, something, everywhere) == 0
    assert metrics.boundary_f(something, nothing, ~something) == 1  # where nothing is scored nothing is wrong


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=4))
def test_counts_add_up_to_the_scores_of_the_whole_set(seeds: list[tuple[int, int]]) -> None:
    photos = [(blocks(one), blocks(100 + other)) for one, other in seeds]
    total = set_score_of((found, plain(truth)) for found, truth in photos)
    found, truth = (np.concatenate(masks) for masks in zip(*photos, strict=True))
    whole = metrics.score(found.astype(np.uint8) * 255, plain(truth))
    assert total.iou == pytest.approx(whole.strict_iou) and total.accuracy == pytest.approx(whole.accuracy)
    assert total.precision == pytest.approx(whole.precision) and total.recall == pytest.approx(whole.recall)
    each = [metrics.score(f.astype(np.uint8) * 255, plain(t)) for f, t in photos]
    assert total.photo_iou == pytest.approx(np.mean([s.strict_iou for s in each]))
    assert total.boundary_f == pytest.approx(np.mean([s.boundary_f for s in each]))
    assert total.share_95 == np.mean([s.strict_iou >= 0.95 for s in each])


def test_average_precision_is_the_step_wise_area() -> None:
    # values 0.9 0.8 0.7 0.6 in thousandths of 255, true for the first, third and fourth
    values = np.array([[230, 204, 178, 153]], np.uint8)
    label = plain(np.array([[True, False, True, True]]))
    curve = metrics.precision_recall(metrics.histogram(values, label))
    assert curve.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert curve.recall[0] == 1 and curve.precision[0] == 0.75
    assert curve.recall[204] == pytest.approx(1 / 3) and curve.precision[204] == 0.5


def test_a_curve_needs_material_and_a_set_needs_photos() -> None:
    with pytest.raises(ValueError):
        metrics.precision_recall(np.zeros((2, metrics.LEVELS), np.int64))
    with pytest.raises(ValueError):
        metrics.set_score(np.zeros(len(metrics.COUNTS)))


def set_score_of(photos: Iterable[tuple[np.ndarray, Label]]) -> metrics.SetScore:
    return metrics.set_score(np.sum([metrics.count(found, truth) for found, truth in photos], axis=0))


def every(mask: np.ndarray) -> np.ndarray:
    return np.ones(mask.shape, bool)


def random_label(rng: np.random.Generator, shape: tuple[int, int] = (24, 20)) -> Label:
    """Blocks of material, opening, not scored and background."""
    kinds = rng.choice(4, (shape[0] // 4, shape[1] // 4), p=[0.4, 0.15, 0.1, 0.35]).repeat(4, 0).repeat(4, 1)
    return Label(kinds == 0, kinds == 1, kinds == 2)


def boundary_f_by_hand(found: np.ndarray, truth: np.ndarray, reach: float) -> float:
    """The definition, pixel by pixel and pair by pair."""
    edges = []
    for mask in (found, truth):
        padded = np.pad(mask, 1, mode="edge")
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        edges.append(np.argwhere(mask & ~inner))
    if not len(edges[0]) or not len(edges[1]):
        return float(np.array_equal(found, truth))
    near = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=-1) <= reach
    precision, recall = near.any(1).mean(), near.any(0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 6))
def test_boundary_f_is_the_definition_pair_by_pair(seed: int, reach: float) -> None:
    found, truth = blocks(seed), blocks(seed + 1)
    got = metrics.boundary_f(found, truth, every(truth), tolerance=reach / np.hypot(24, 24))
    assert got == pytest.approx(boundary_f_by_hand(found, truth, reach))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_boundary_f_is_a_share_symmetric_perfect_for_itself_and_grows_with_the_tolerance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth, scored = rng.random((30, 26)) < rng.random(), blocks(seed, 32)[:30, :26], rng.random((30, 26)) < 0.9
    values = [metrics.boundary_f(found, truth, scored, tolerance=share) for share in (0, 0.03, 0.06, 0.1, 0.5)]
    assert values == sorted(values) and values[0] >= 0 and values[-1] <= 1
    assert metrics.boundary_f(truth, found, scored, tolerance=0.06) == pytest.approx(values[2])
    assert metrics.boundary_f(truth, truth, scored) == metrics.boundary_f(found, found, scored) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(-5, 5), st.integers(-5, 5))
def test_a_mask_moved_by_no_more_than_the_tolerance_has_the_right_boundary(seed: int, dy: int, dx: int) -> None:
    truth = np.pad(blocks(seed), 8)
    moved = np.roll(truth, (dy, dx), (0, 1))
    share = np.hypot(dy, dx) / np.hypot(*truth.shape)
    assert metrics.boundary_f(moved, truth, every(truth), tolerance=share) == 1


@pytest.mark.parametrize(("height", "width", "reach"), [(60, 80, 1), (300, 400, 1), (600, 800, 3), (1200, 1600, 6)])
def test_the_tolerance_follows_the_diagonal_and_is_a_pixel_at_least(height: int, width: int, reach: int) -> None:
    truth = np.zeros((height, width), bool)
    truth[20:40, 20:60] = True
    assert metrics.boundary_f(np.roll(truth, reach, 1), truth, every(truth)) == 1
    assert metrics.boundary_f(np.roll(truth, reach + 1, 1), truth, every(truth)) < 1


def test_the_border_of_the_frame_is_no_boundary_but_a_full_frame_is_not_an_empty_one() -> None:
    truth = np.zeros((40, 50), bool)
    truth[:, :20] = True
    assert metrics.boundary_f(truth, truth, every(truth)) == 1
    cut = truth.copy()
    cut[:, :10] = False  # a second edge, of the same length, far from the only true one
    assert metrics.boundary_f(cut, truth, every(truth)) == pytest.approx(2 * 0.5 * 1 / 1.5)
    nothing = np.zeros_like(truth)
    assert metrics.boundary_f(~nothing, nothing, every(truth)) == metrics.boundary_f(nothing, ~nothing, ~nothing) == 0
    assert metrics.boundary_f(~nothing, ~nothing, ~nothing) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_depends_on_pixels_that_are_not_scored(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = random_label(rng)
    one = rng.integers(0, 256, truth.material.shape, dtype=np.uint8)
    other = np.where(truth.ignored, rng.integers(0, 256, one.shape, dtype=np.uint8), one)
    assert np.array_equal(metrics.count(one >= 128, truth), metrics.count(other >= 128, truth))
    assert np.array_equal(metrics.histogram(one, truth), metrics.histogram(other, truth))
    edges = [metrics.boundary_f(mask >= 128, truth.material, ~truth.ignored) for mask in (one, other)]
    assert edges[0] == edges[1] == metrics.count(one >= 128, truth)[metrics.COUNTS.index("boundary_f")]


def test_counts_of_a_photo_in_their_order() -> None:
    counts = metrics.count(alpha(["##..", "##.."]) > 0, label(["MMM?", "oo.."]))
    by_name = dict(zip(metrics.COUNTS, counts, strict=True))
    assert counts.dtype == np.float64
    edge = by_name.pop("boundary_f")  # every boundary pixel is at most one away from the other's
    assert edge == 1
    expected = {"photos": 1, "scored": 7, "found": 4, "truth": 3, "both": 2, "photo_iou": 2 / 5, "share_95": 0}
    assert by_name == pytest.approx(expected)


def test_scores_of_a_set_counted_by_hand() -> None:
    perfect = metrics.count(alpha(["##", "##"]) > 0, label(["MM", "MM"]))
    half = metrics.count(alpha(["#.", "#."]) > 0, label(["MM", ".."]))
    got = metrics.set_score(perfect + half)
    assert got.iou == pytest.approx((4 + 1) / (4 + 3)) and got.photo_iou == pytest.approx((1 + 1 / 3) / 2)
    assert (got.precision, got.recall) == (pytest.approx(5 / 6), pytest.approx(5 / 6))
    assert (got.accuracy, got.share_95) == (pytest.approx(6 / 8), 0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_scores_of_a_set_are_shares_and_swap_with_their_roles(seed: int, photos: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [(rng.random((12, 16)) < 0.4, rng.random((12, 16)) < 0.4) for _ in range(photos)]
    one = set_score_of((found, plain(truth)) for found, truth in pairs)
    other = set_score_of((truth, plain(found)) for found, truth in pairs)
    assert all(0 <= value <= 1 for value in asdict(one).values())
    assert asdict(replace(other, precision=one.precision, recall=one.recall)) == pytest.approx(asdict(one))
    assert (one.precision, one.recall) == (pytest.approx(other.recall), pytest.approx(other.precision))
    perfect = set_score_of((truth, plain(truth)) for _, truth in pairs)
    assert set(asdict(perfect).values()) == {1.0}


def test_workers_may_sum_in_float32() -> None:
    rng = np.random.default_rng(3)
    counts = np.array(
        [metrics.count(rng.random((256, 256)) < 0.5, plain(rng.random((256, 256)) < 0.5)) for _ in range(300)]
    )
    single = counts.astype(np.float32).cumsum(0)[-1]  # one after the other, as workers add
    assert single.dtype == np.float32
    assert asdict(metrics.set_score(single)) == pytest.approx(asdict(metrics.set_score(counts.sum(0))), rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_histograms_add_up_and_their_curve_passes_through_the_set_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = [(rng.integers(0, 256, (24, 20), dtype=np.uint8), random_label(rng)) for _ in range(3)]
    total = np.sum([metrics.histogram(*photo) for photo in photos], axis=0)
    whole = [
        np.concatenate([getattr(truth, part) for _, truth in photos]) for part in ("material", "opening", "ignored")
    ]
    assert np.array_equal(total, metrics.histogram(np.concatenate([values for values, _ in photos]), Label(*whole)))
    assert total.dtype == np.int64 and total.sum() == np.count_nonzero(~whole[2])
    curve = metrics.precision_recall(total)
    score_at = set_score_of((values >= 128, truth) for values, truth in photos)
    assert curve.thresholds[128] == pytest.approx(128 / 255)
    assert curve.precision[128] == pytest.approx(score_at.precision)
    assert curve.recall[128] == pytest.approx(score_at.recall)


def average_precision_by_hand(values: np.ndarray, truth: np.ndarray) -> float:
    """The definition: a step for every distinct value from the highest down."""
    area, before = 0.0, 0.0
    for threshold in np.unique(values)[::-1]:
        found = values >= threshold
        recall = float((found & truth).sum() / truth.sum())
        area, before = area + (recall - before) * float((found & truth).sum() / found.sum()), recall
    return area


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 5, 256]))
def test_average_precision_is_the_definition_step_by_step(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (6, 7), dtype=np.uint8)
    truth = rng.random((6, 7)) < 0.4
    truth[0, 0] = True
    curve = metrics.precision_recall(metrics.histogram(values, plain(truth)))
    assert curve.average_precision == pytest.approx(average_precision_by_hand(values, truth))
    assert 0 <= curve.average_precision <= 1 + 1e-12
    assert (np.diff(curve.recall) <= 0).all() and curve.precision.min() >= 0 and curve.precision.max() <= 1


def test_average_precision_of_ties_of_a_perfect_and_of_a_blind_mask() -> None:
    def of(values: list[int], truth: list[bool]) -> float:
        photo = metrics.histogram(np.array([values], np.uint8), plain(np.array([truth])))
        return metrics.precision_recall(photo).average_precision

    # the example of scikit-learn's documentation: 0.83
    assert of([204, 89, 102, 26], [True, True, False, False]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert of([90, 90, 90, 10], [True, False, True, False]) == pytest.approx(2 / 3)  # a tie is one step
    assert of([9, 7, 3, 0], [True, True, False, False]) == 1
    assert of([128] * 4, [True, False, False, False]) == 0.25  # the share that is material


def test_counts_and_histograms_of_sizes_that_differ_are_refused() -> None:
    one_row = np.zeros((1, 3), np.uint8)  # numpy would stretch it
    for measure in (metrics.count, metrics.histogram):
        with pytest.raises(ValueError, match="differ in size"):
            measure(one_row, plain(np.zeros((2, 3), bool)))


@pytest.mark.parametrize(("both", "share"), [(95, 1), (94, 0)])
def test_a_photo_of_95_percent_counts_as_one(both: int, share: int) -> None:
    found, truth = np.zeros((1, 120), bool), np.zeros((1, 120), bool)
    truth[:, :100], found[:, :both] = True, True
    assert metrics.set_score(metrics.count(found, plain(truth))).share_95 == share


def on_white(shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A black disc on white, moved to the right, and its material."""
    ys, xs = np.mgrid[0:120, 0:160]
    material = (xs - 80 - shift) ** 2 + (ys - 60) ** 2 <= 40**2
    return np.where(material[..., None], np.uint8(0), np.uint8(255)) + np.zeros(3, np.uint8), material


def test_a_perfect_rim_has_no_error_and_no_halo() -> None:
    picture, material = on_white()
    assert metrics.rim_score(picture, picture, material) == metrics.RimScore(0.0, 0.0)


def test_a_grey_rim_is_a_halo_and_a_bitten_edge_is_none() -> None:
    original, material = on_white()
    grown = cv2.dilate(material.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    haloed = original.copy()
    haloed[grown & ~material] = 200
    bitten = original.copy()
    bitten[material & ~(cv2.erode(material.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)] = 255
    with_halo, with_bites = (metrics.rim_score(one, original, material) for one in (haloed, bitten))
    assert with_halo.halo > 5 and with_halo.rim_error > 2
    assert with_bites.halo == 0 and with_bites.rim_error > 10


def test_only_the_rim_counts() -> None:
    original, material = on_white()
    picture = original.copy()
    picture[:8], picture[58:62, 78:82] = 0, 255
    assert metrics.rim_score(picture, original, material) == metrics.RimScore(0.0, 0.0)


def test_without_an_edge_there_is_no_rim() -> None:
    picture = np.full((20, 30, 3), 255, np.uint8)
    found = metrics.rim_score(picture, picture, np.zeros((20, 30), bool))
    assert np.isnan(found.rim_error) and np.isnan(found.halo)
