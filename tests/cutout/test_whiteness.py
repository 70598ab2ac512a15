"""What the manifest says of a background is what the written bytes hold."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout import whiteness
from glasseg.errors import PhotoError
from glasseg.images import encoder

WHITE = (255, 255, 255)


def product_on_white(height: int = 200, width: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """A dark red ellipse in the middle, and the mask of what is background."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 2), (width // 4, height // 4), 20, 0, 360, 255, 5)
    image = np.where(alpha[..., None] > 0, np.uint8([120, 20, 30]), np.uint8(255)).astype(np.uint8)
    return image, cv2.bitwise_not(alpha)


def by_definition(picture: np.ndarray, background: np.ndarray, colour: tuple[int, ...]) -> whiteness.Whiteness:
    off = np.abs(picture.reshape(*background.shape, -1).astype(int) - colour).max(axis=-1)
    ys, xs = np.indices(background.shape)
    height, width = background.shape
    ring = (np.minimum(ys, height - 1 - ys) == 0) | (np.minimum(xs, width - 1 - xs) == 0)
    found = off[background > 0]
    rings = float((off[ring] == 0).mean()), float((off[ring] <= whiteness.NEAR).mean())
    if not found.size:
        return whiteness.Whiteness(None, None, *rings, None)
    shares = float((found == 0).mean()), float((found <= whiteness.NEAR).mean())
    return whiteness.Whiteness(*shares, *rings, int(found.max()))


def same(a: whiteness.Whiteness, b: whiteness.Whiteness) -> bool:
    shares = (a.exact_share, b.exact_share)
    close = shares == (None, None) or shares[0] == pytest.approx(shares[1])
    return close and a.ring_share == pytest.approx(b.ring_share) and a.deviation == b.deviation


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)) | st.tuples(st.integers(250, 400), st.just(310)),
    st.tuples(*[st.integers(0, 255)] * 3) | st.just(WHITE) | st.none(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_figures_are_what_their_names_say(
    size: tuple[int, int], colour: tuple[int, int, int] | None, seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    background = np.where(random.random(size) < share, 255, 0).astype(np.uint8)
    picture = np.empty((*size, 4), np.uint8)
    picture[:] = (*(colour or WHITE), 0 if colour is None else 255)
    spots = random.random(size) < random.random()
    picture[spots] = random.integers(0, 256, (int(spots.sum()), 4))
    picture = picture if colour is None else np.ascontiguousarray(picture[..., :3])
    found = whiteness.inspect(encoder.encode(picture, "png", 90), background, colour)
    expected = by_definition(picture[..., 3] if colour is None else picture, background, colour or (0,))
    assert same(found, expected), (found, expected)


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif"])
def test_a_transparent_background_is_exact(format: str) -> None:
    image, background = product_on_white()
    picture = np.dstack([image, cv2.bitwise_not(background)])
    found = whiteness.inspect(encoder.encode(picture, format, 80), background, None)
    assert found == whiteness.Whiteness(exact_share=1.0, near_share=1.0, ring_share=1.0, ring_near=1.0, deviation=0)


def test_png_is_exactly_white_and_jpeg_almost() -> None:
    image, background = product_on_white()
    for lossless in ("png", "tiff"):
        assert whiteness.inspect(encoder.encode(image, lossless, 95), background, WHITE).exact_share == 1
    good = whiteness.inspect(encoder.encode(image, "jpeg", 95), background, WHITE)
    bad = whiteness.inspect(encoder.encode(image, "jpeg", 40), background, WHITE)
    assert good.ring_share == bad.ring_share == 1
    assert good.exact_share is not None and bad.exact_share is not None and bad.exact_share < good.exact_share < 1
    assert good.deviation is not None and bad.deviation is not None and 0 < good.deviation < bad.deviation


def test_a_veil_of_one_level_is_reported() -> None:
    image, background = product_on_white()
    veiled = np.minimum(image, 254)
    found = whiteness.inspect(encoder.encode(veiled, "png", 95), background, WHITE)
    assert found == whiteness.Whiteness(exact_share=0.0, near_share=1.0, ring_share=0.0, ring_near=1.0, deviation=1)


def test_what_touches_the_frame_shows_in_the_ring_though_it_is_not_background() -> None:
    image, background = product_on_white(400, 400)
    image[180:200, :100], background[180:200, :100] = 0, 0  # a temple that leaves the picture on the left
    found = whiteness.inspect(encoder.encode(image, "png", 95), background, WHITE)
    assert found.exact_share == 1 and found.ring_share == pytest.approx(1 - 20 / (4 * 399))


def test_measuring_before_a_lossless_format_is_the_same_as_after() -> None:
    image, background = product_on_white()
    image[3, 5] = 250
    before = whiteness.measure(image, background, WHITE)
    assert before == whiteness.inspect(encoder.encode(image, "png", 95), background, WHITE)
    assert before.deviation == 5


@pytest.mark.parametrize(
    ("encoded", "colour"),
    [
        (b"no picture", WHITE),
        (b"\0\0\0\x1cftypavif and no more", WHITE),
        (encoder.encode(product_on_white(20, 31)[0], "jpeg", 95), WHITE),
    ],
)
def test_bytes_that_are_not_the_picture_are_an_internal_error(
    encoded: bytes, colour: tuple[int, int, int] | None
) -> None:
    with pytest.raises(PhotoError) as caught:
        whiteness.inspect(encoded, np.full((20, 30), 255, np.uint8), colour)
    assert caught.value.code == "internal_error"


def test_measuring_takes_less_than_a_byte_per_pixel() -> None:
    image, background = product_on_white(1200, 1600)
    image[::2] = 254  # the worst case: half of the background is off, everywhere
    whiteness.measure(image, background, WHITE)
    tracemalloc.start()  # cv2 allocates its results through numpy, which is traced
    try:
        whiteness.measure(image, background, WHITE)
        assert tracemalloc.get_traced_memory()[1] < background.size
    finally:
        tracemalloc.stop()
