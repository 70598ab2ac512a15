"""Of several pictures in one file, the one that counts is decoded, upright and with its colours."""

from __future__ import annotations

import struct
from typing import Any

import corpus
import heicfiles
import iccprofiles as icc
import numpy as np
import pytest
from tifffiles import paged

from glasseg.errors import PhotoError
from glasseg.images import decoder, directories

WHOLE = corpus.scene()
SMALL = WHOLE[::4, ::4].copy()
OTHER = 255 - WHOLE
MASK: dict[str, Any] = {"data": WHOLE[..., 0] > 128, "photometric": "mask", "subfiletype": 4}
REDUCED: dict[str, Any] = {"data": SMALL, "subfiletype": 1}


def decode(data: bytes) -> decoder.Photo:
    return decoder.decode(data, max_pixels=10**8)


ALONE: dict[str, tuple[Any, ...]] = {
    "a reduced copy first": (REDUCED, WHOLE),
    "a reduced copy last": (WHOLE, REDUCED),
    "two reduced copies first": (REDUCED, {"data": WHOLE[::2, ::2].copy(), "subfiletype": 1}, WHOLE),
    "marked by 16 bits": ({"data": SMALL, "extratags": [(254, "H", 1, 1, True)]}, WHOLE),
    "marked as TIFF 5 did": ({"data": SMALL, "extratags": [(255, "H", 1, 2, True)]}, WHOLE),
    "the whole one below": ({**REDUCED, "subifds": 1}, WHOLE),
    "the whole one below, unmarked": ({"data": SMALL, "subifds": 1}, WHOLE),
    "the whole one second below": ({**REDUCED, "subifds": 2}, REDUCED, WHOLE),
    "reduced ones below": ({"data": WHOLE, "subifds": 1}, REDUCED),
    "a mask first": (MASK, WHOLE),
    "a mask last": (WHOLE, MASK),
    "a reduced copy and a mask first": (REDUCED, MASK, WHOLE),
    "distances last": (WHOLE, {"data": WHOLE[..., 0].copy(), "photometric": "minisblack", "subfiletype": 8}),
    "only a reduced copy": ({"data": WHOLE, "subfiletype": 1},),
    "only reduced copies": (REDUCED, {"data": WHOLE, "subfiletype": 1}),
    "the whole one in 16-bit planes": (
        REDUCED,
        {"data": np.moveaxis(WHOLE, 2, 0).astype(np.uint16) * 257, "planarconfig": "separate"},
    ),
    "the whole one in tiles": ({**REDUCED, "subifds": 1}, {"data": WHOLE, "tile": (16, 32), "compression": "lzw"}),
}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("pages", ALONE.values(), ids=ALONE)
def test_the_full_picture_counts_wherever_it_stands(pages: tuple[Any, ...], order: str, big: bool) -> None:
    photo = decode(paged(*pages, order=order, big=big))
    assert np.array_equal(photo.image, WHOLE)
    assert photo.warnings == ()


@pytest.mark.parametrize(
    ("pages", "remark"),
    [
        ((WHOLE, OTHER), "2 pages: the first one is used"),
        ((WHOLE, OTHER, REDUCED, MASK), "2 pages: the first one is used"),
        ((REDUCED, WHOLE, OTHER), "2 pages: the first one is used"),
        ((WHOLE, WHOLE[::2, ::2].copy()), "2 pages: the first one is used"),
        ((WHOLE, {**REDUCED, "subifds": 1}, OTHER), "2 pages: the first one is used"),
        ((SMALL, WHOLE), "2 pages: the first one is a thumbnail (24×16), the largest one is used"),
    ],
)
def test_of_several_pages_one_is_used_with_a_remark(pages: tuple[Any, ...], remark: str) -> None:
    photo = decode(paged(*pages))
    assert np.array_equal(photo.image, WHOLE)
    assert photo.warnings == (remark,)


def test_a_first_page_of_another_shape_is_no_thumbnail() -> None:
    photo = decode(paged(WHOLE, np.repeat(WHOLE, 3, axis=0), np.repeat(np.repeat(OTHER, 2, axis=0), 3, axis=1)))
    assert np.array_equal(photo.image, WHOLE)
    assert photo.warnings == ("3 pages: the first one is used",)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_what_the_first_page_says_of_the_photo_holds_for_the_picture_below(orientation: int, big: bool) -> None:
    stored = corpus.oriented(orientation)
    tags = [(274, "H", 1, orientation, True), (33432, "s", 0, "(c) nobody", True)]
    first = {**REDUCED, "data": stored[::4, ::4].copy(), "subifds": 1, "extratags": tags}
    photo = decode(paged({**first, "iccprofile": icc.matrix_profile(icc.ADOBE_RGB)}, stored, big=big))
    assert np.abs(photo.image - icc.rgb_to_srgb(WHOLE, icc.ADOBE_RGB)).max() <= 1.001
    assert photo.tags.copyright == "(c) nobody"


def test_a_cameras_raw_photo_is_named_and_its_preview_not_taken() -> None:
    sensor = {"data": WHOLE[..., 0].astype(np.uint16), "photometric": "cfa"}
    preview = {"data": WHOLE, "subfiletype": 1, "compression": "jpeg"}
    for pages in (({**REDUCED, "subifds": 2}, sensor, preview), ({**REDUCED, "subifds": 1}, sensor), (sensor,)):
        with pytest.raises(PhotoError, match="a camera's raw photo") as caught:
            decode(paged(*pages))
        assert caught.value.code == "unreadable"


def test_the_limit_is_that_of_the_full_picture() -> None:
    data = paged(REDUCED, WHOLE)
    with pytest.raises(PhotoError) as caught:
        decoder.decode(data, max_pixels=64 * 96 - 1)
    assert caught.value.code == "too_large" and caught.value.size == (64, 96)


def test_directories_in_a_circle_end() -> None:
    data = bytearray(paged(WHOLE, OTHER))
    start = directories.first(bytes(data))
    assert start is not None
    (entries,) = struct.unpack_from("<H", data, start.following)
    end = start.following + 2 + 12 * entries
    data[end : end + 4] = data[4:8]  # the second page is followed by the first
    assert np.array_equal(decode(bytes(data)).image, WHOLE)


@pytest.mark.parametrize("main", [1, 2])
def test_of_a_heic_with_several_pictures_the_main_one_is_used(main: int) -> None:
    photo = decode(heicfiles.pair(main))
    assert np.abs(photo.image.astype(int) - WHOLE).mean() < 2
    assert photo.warnings == ("2 pictures: the one that the file names as its main picture is used",)
