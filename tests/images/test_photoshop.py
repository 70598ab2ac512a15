"""Clipping paths are what another program reads of them, in JPEG and TIFF."""

from __future__ import annotations

import clippingpaths
import cv2
import numpy as np
import pytest

from glasseg.cutout.clipping import outline
from glasseg.errors import PhotoError
from glasseg.images import decoder, encoder, photoshop
from glasseg.images.tags import Tags

SIZE = (150, 200)
TAGS = Tags((300.0, 300.0), "© a shop", "someone")


def spectacles() -> np.ndarray:
    """An alpha with two rims, each with an opening, joined by a bar."""
    alpha = np.zeros(SIZE, np.uint8)
    alpha[68:74, 90:110] = 255
    for radius, value in ((42, 255), (34, 0)):
        cv2.circle(alpha, (55, 75), radius, value, -1, cv2.LINE_AA)
        cv2.circle(alpha, (145, 75), radius, value, -1, cv2.LINE_AA)
    return alpha


def written(format: str, alpha: np.ndarray, tolerance: float = 0.5) -> bytes:
    image = np.where(alpha[..., None] > 127, np.uint8(60), np.uint8(255)).repeat(3, axis=2)
    resources = photoshop.clipping_path(outline(alpha, tolerance), alpha.shape)
    return encoder.encode(image, format, 95, TAGS, resources)


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_the_path_clips_to_the_mask_and_leaves_its_openings_out(format: str) -> None:
    alpha = spectacles()
    curves = clippingpaths.read(written(format, alpha))
    inside = clippingpaths.inside(curves, SIZE)
    wrong = inside != (alpha > 127)
    assert len(curves) == 3 and not inside[75, 55] and not inside[75, 145]
    near = cv2.dilate(alpha, np.ones((3, 3), np.uint8)) - cv2.erode(alpha, np.ones((3, 3), np.uint8))
    assert not wrong[near == 0].any()


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_the_path_runs_where_the_mask_is_half_opaque(format: str) -> None:
    alpha = cv2.GaussianBlur(spectacles(), (0, 0), 2)  # an edge of five pixels
    for curve in clippingpaths.read(written(format, alpha, 0.1)):
        points = clippingpaths.points(curve, SIZE).astype(np.complex64) - (0.5 + 0.5j)
        there = cv2.remap(alpha, points.real.copy(), points.imag.copy(), cv2.INTER_LINEAR)
        assert np.abs(there.astype(float) - 127.5).max() < 10


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_a_path_costs_no_pixel_and_no_tag(format: str) -> None:
    alpha = spectacles()
    photo = decoder.decode(written(format, alpha), max_pixels=10**6)
    plain = written(format, np.zeros(SIZE, np.uint8))
    assert clippingpaths.read(plain) == [] and b"8BIM" not in plain
    assert photo.tags == TAGS and photo.warnings == ()
    assert np.abs(photo.image[..., 0].astype(int) - np.where(alpha > 127, 60, 255)).mean() < 1


def test_knots_are_smooth_on_a_curve_and_not_at_a_corner() -> None:
    alpha = np.zeros(SIZE, np.uint8)
    cv2.circle(alpha, (100, 75), 50, 255, -1, cv2.LINE_AA)
    [circle] = clippingpaths.read(written("tiff", alpha))
    assert {type(knot).__name__ for knot in circle} == {"ClosedKnotLinked"}
    alpha[75:, 100:] = 0
    [cut] = clippingpaths.read(written("tiff", alpha))
    corner = min(cut, key=lambda knot: abs(knot.anchor[0] - 75 / SIZE[0]) + abs(knot.anchor[1] - 100 / SIZE[1]))
    assert type(corner).__name__ == "ClosedKnotUnlinked"


def test_a_path_that_is_longer_than_a_segment_of_a_jpeg_is_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    data = written("jpeg", cv2.resize(noise, (120, 120), interpolation=cv2.INTER_NEAREST), 0.1)
    assert len(clippingpaths.resources(data)) > 2 * 65_533
    curves = clippingpaths.read(data)
    assert len(curves) > 50 and decoder.decode(data, max_pixels=10**6).warnings == ()


def test_a_curve_of_more_knots_than_a_path_can_have_is_a_photo_error() -> None:
    with pytest.raises(PhotoError, match="65536 knots, a path 65535 at most: raise --path-tolerance"):
        photoshop.clipping_path([np.zeros((65_536, 3), np.complex128)], SIZE)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_other_formats_hold_no_path(format: str) -> None:
    with pytest.raises(ValueError, match=f"{format} can't hold a clipping path"):
        written(format, spectacles())
