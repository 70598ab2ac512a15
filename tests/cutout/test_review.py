"""Pure white where alpha is 0, the photo where it is 255, and a word when a person should look."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.review import MaskFacts, measure, review_code
from glasseg.errors import REVIEW_CODES
from glasseg.images.compositing import bounding_box, compose, cut_out, multiplied


def random_pair(seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo, and an alpha with plenty of zeros, full and half values, in a part of the frame."""
    rng = np.random.default_rng(seed)
    alpha = rng.choice(np.uint8([0, 255, 1, 254, *range(0, 256, 5)]), (height, width))
    y, x = rng.integers(0, height), rng.integers(0, width)
    alpha[:y], alpha[:, :x] = 0, 0
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), alpha


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 60))
def test_compose_is_the_float_formula(seed: int, height: int, width: int) -> None:
    image, alpha = random_pair(seed, height, width)
    before = image.copy(), alpha.copy()
    result = compose(image, alpha)
    # 255 is odd, so there are no ties, and the rounded formula is met exactly.
    assert np.array_equal(result, np.round(255 - (255.0 - image) * alpha[..., None] / 255))
    assert (result[alpha == 0] == 255).all() and np.array_equal(result[alpha == 255], image[alpha == 255])
    assert np.array_equal(image, before[0]) and np.array_equal(alpha, before[1])


def test_compose_is_exact_for_every_value_and_every_alpha() -> None:
    values, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    expected = np.round(255 - (255.0 - values) * alpha / 255)
    assert np.array_equal(compose(np.dstack([values] * 3), alpha)[..., 1], expected)


def test_compose_of_nothing_is_pure_white() -> None:
    image, alpha = random_pair(1, 20, 30)
    assert (compose(image, np.zeros_like(alpha)) == 255).all()


def test_compose_takes_views_and_read_only_arrays() -> None:
    image, alpha = random_pair(2, 40, 50)
    expected = compose(image[3:30, 4:44].copy(), alpha[3:30, 4:44].copy())
    image.flags.writeable = alpha.flags.writeable = False
    assert np.array_equal(compose(image[3:30, 4:44], alpha[3:30, 4:44]), expected)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.tuples(*[st.integers(0, 255)] * 3), st.booleans())
def test_any_background_is_exact_where_alpha_is_0_and_the_photo_where_it_is_255(
    seed: int, colour: tuple[int, int, int], shaded: bool
) -> None:
    image, alpha = random_pair(seed, 30, 40)
    shade = np.random.default_rng(seed).choice(np.uint8([255, 200, 130]), alpha.shape) if shaded else None
    result = compose(image, alpha, colour, shade)
    ground = np.round(np.array(colour) * ((255.0 if shade is None else shade[..., None]) / 255)) + 0 * image
    assert np.array_equal(result[alpha == 0], ground[alpha == 0])
    assert np.array_equal(result[alpha == 255], image[alpha == 255])
    share = alpha[..., None] / 255
    assert np.abs(result - (share * image + (1 - share) * ground)).max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_a_cut_out_laid_on_white_is_the_picture_on_white(seed: int, shaded: bool) -> None:
    image, alpha = random_pair(seed, 30, 40)
    shade = np.random.default_rng(seed).choice(np.uint8([255, 200, 130]), alpha.shape) if shaded else None
    rgba = cut_out(multiplied(image, alpha), alpha, shade)
    assert np.abs(compose(rgba[..., :3], rgba[..., 3]).astype(int) - compose(image, alpha, shade=shade)).max() <= 2
    assert (rgba[rgba[..., 3] == 0] == 0).all(), "the old background can't be brought back"
    opaque = alpha == 255
    assert np.array_equal(rgba[opaque, :3], image[opaque]) and (rgba[opaque, 3] == 255).all()


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_bounding_box_is_half_open_and_tight(height: int, width: int, data: st.DataObject) -> None:
    points = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    found = data.draw(st.lists(points, min_size=1, max_size=4))
    alpha = np.zeros((height, width), np.uint8)
    for y, x in found:
        alpha[y, x] = 1
    ys, xs = zip(*found, strict=True)
    assert bounding_box(alpha) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def test_nothing_found_has_no_box_and_no_confidence() -> None:
    alpha = np.zeros((5, 6), np.uint8)
    assert bounding_box(alpha) is None
    facts = measure(alpha, np.full((5, 6), 0.1, np.float32))
    assert facts == MaskFacts(coverage=0.0, bbox=None, confidence=None)
    assert review_code(facts, 1.0, framed_cut=False) == "no_glasses"


@pytest.mark.parametrize("size", [(33, 47), (4, 1), (1, 4), (4, 4), (1, 1)])
def test_measure_says_what_the_manifest_promises(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    alpha = rng.integers(1, 256, size, dtype=np.uint8)
    alpha[size[0] // 2 + 1 :] = 0
    probability = rng.random(size, dtype=np.float32)
    facts = measure(alpha, probability)
    assert facts.coverage == pytest.approx(alpha.mean() / 255)
    assert facts.bbox == bounding_box(alpha)
    assert facts.confidence == pytest.approx(np.abs(2 * probability - 1)[alpha > 0].mean(), abs=1e-6)


def test_facts_are_plain_numbers_for_the_manifest() -> None:
    facts = measure(np.full((4, 4), 9, np.uint8), np.full((4, 4), 0.9, np.float32))
    assert type(facts.coverage) is float and type(facts.confidence) is float
    assert facts.bbox is not None and all(type(edge) is int for edge in facts.bbox)


@pytest.mark.parametrize(
    ("coverage", "confidence", "code"),
    [
        (0.1, 0.9, None),
        (0.004, 0.6, None),  # a wire frame, small in the photo
        (0.0001, 0.9, "no_glasses"),
        (0.0, None, "no_glasses"),
        (0.95, 0.99, "fills_frame"),
        (0.95, 0.1, "fills_frame"),
        (0.3, 0.1, "uncertain_mask"),
        (0.3, 0.49, "uncertain_mask"),
    ],
)
def test_review_code(coverage: float, confidence: float | None, code: str | None) -> None:
    assert review_code(MaskFacts(coverage, (0, 0, 1, 1), confidence), 1.0, framed_cut=False) == code
    assert code is None or code in REVIEW_CODES


@pytest.mark.parametrize(
    ("quality", "confidence", "review_below", "code"),
    [
        (0.86, 0.9, 0.87, "uncertain_mask"),
        (0.87, 0.3, 0.87, None),  # where there is a quality, confidence says no more
        (0.1, 0.9, 0.0, None),
        (0.99, 0.9, 1.0, "uncertain_mask"),
        (None, 0.9, 0.87, None),
        (None, 0.4, 0.87, "uncertain_mask"),
        (None, None, 0.87, None),  # the photo's own mask
        (0.1, 0.9, None, None),
    ],
)
def test_little_quality_is_for_a_person(
    quality: float | None, confidence: float | None, review_below: float | None, code: str | None
) -> None:
    facts = MaskFacts(0.3, (0, 0, 1, 1), confidence, quality)
    assert review_code(facts, 1.0, framed_cut=False, review_below=review_below) == code


def test_too_little_to_be_glasses_is_not_a_matter_of_quality() -> None:
    facts = MaskFacts(0.0001, (0, 0, 1, 1), 0.9, 0.1)
    assert facts.no_glasses and review_code(facts, 1.0, framed_cut=False, review_below=0.9) == "no_glasses"
    assert not MaskFacts(0.001, (0, 0, 1, 1), 0.9).no_glasses


@pytest.mark.parametrize(
    ("coverage", "side", "code"),
    [(0.0, 80, "too_small"), (0.0001, 159, "too_small"), (0.0, 160, "no_glasses"), (0.1, 80, None)],
)
def test_a_small_photo_without_glasses_is_said_to_be_too_small(coverage: float, side: int, code: str | None) -> None:
    facts = MaskFacts(coverage, (0, 0, 1, 1), 0.9)
    assert review_code(facts, 1.0, framed_cut=False, side=side) == code


@pytest.mark.parametrize(
    ("ring_share", "framed_cut", "code"),
    [(1.0, False, None), (0.999, False, None), (0.99, False, "ring_not_clean"), (1.0, True, "cut_off")],
)
def test_a_dirty_ring_and_framed_cut_glasses_are_for_a_person(
    ring_share: float, framed_cut: bool, code: str | None
) -> None:
    assert review_code(MaskFacts(0.1, (0, 0, 1, 1), 0.9), ring_share, framed_cut=framed_cut) == code


@pytest.mark.parametrize(
    ("coverage", "quality", "misfit", "sideways", "code"),
    [
        (0.0, None, True, False, "transparency"),  # the glasses are there, but hidden
        (0.2, 0.3, True, True, "transparency"),
        (0.0, None, False, True, "no_glasses"),
        (0.2, 0.3, False, True, "sideways"),  # which is why the mask is a bad one
        (0.2, 0.9, False, True, "sideways"),
    ],
)
def test_the_cause_comes_before_what_follows_from_it(
    coverage: float, quality: float | None, misfit: bool, sideways: bool, code: str
) -> None:
    facts = MaskFacts(coverage, (0, 0, 1, 1), 0.9, quality)
    found = review_code(facts, 0.9, framed_cut=True, review_below=0.6, misfit=misfit, sideways=sideways)
    assert found == code and code in REVIEW_CODES
