"""Masks of other tools find their photos by name, wherever they lie; where that is not clear, nobody guesses."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from glasseg.labels.mask_names import photos_of

KEYS = ["AB 12.jpg", "sub/CD 3.jpg", "sub/Straße.jpg", "sub/deep/x.jpg", "other/y.png", "left/z.jpg", "right/z.jpg"]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("AB 12_mask.png", "AB 12.jpg"),
        ("AB 12.png", "AB 12.jpg"),
        ("AB 12_mask.JPG", "AB 12.jpg"),
        ("AB 12.jpg.png", "AB 12.jpg"),
        ("AB 12.jpg_mask.png", "AB 12.jpg"),
        ("sub/CD 3_mask.png", "sub/CD 3.jpg"),
        ("CD 3_mask.png", "sub/CD 3.jpg"),
        ("elsewhere/CD 3.png", "sub/CD 3.jpg"),
        ("masks/sub/deep/x.png", "sub/deep/x.jpg"),
        ("right_masks/z_mask.png", "right/z.jpg"),
        ("masks/left/z_mask.png", "left/z.jpg"),
        ("left\\z_mask.png", "left/z.jpg"),
        ("y.png", "other/y.png"),
        ("other/y.png", "other/y.png"),
        (unicodedata.normalize("NFD", "sub/Straße_mask.png"), "sub/Straße.jpg"),
    ],
)
def test_a_mask_finds_its_photo(name: str, key: str) -> None:
    assert photos_of([name], KEYS) == ({name: key}, {})


@pytest.mark.parametrize(
    "stem", ["ein Bügel ß", "משקפיים", "👓 ✓", "a+b%20c#1", "x" * 246, "it's; (1), [2]", "1.0", "-n", "é\u0301"]
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_of_all_scripts_find_their_photos(stem: str, form: Literal["NFC", "NFD"]) -> None:
    key = unicodedata.normalize("NFC", f"Größe/{stem}.jpg")
    names = [
        unicodedata.normalize(form, f"{folder}{stem}{end}")
        for folder in ("Größe/", "")
        for end in (".png", "_mask.png")
    ]
    for name in names:
        assert photos_of([name], [key, "Größe/another.jpg"]) == ({name: key}, {}), name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("z_mask.png", "several photos: left/z.jpg, right/z.jpg; put it in the folder"),
        ("elsewhere/z.png", "several photos: left/z.jpg, right/z.jpg"),
        ("nobody_mask.png", "knows no photo"),
        ("nobody.png", "knows no photo"),
        ("_mask.png", "knows no photo"),
        ("AB 12_mask.tif", "PNG or JPEG"),
        ("AB 12_mask.xcf", "PNG or JPEG"),
        ("AB 12.webp", "PNG or JPEG"),
    ],
)
def test_a_mask_of_no_photo_or_of_several_is_refused_by_name(name: str, words: str) -> None:
    found, refused = photos_of([name], KEYS)
    assert not found and list(refused) == [name] and words in refused[name]


def test_photos_of_one_stem_need_a_mask_with_the_whole_name() -> None:
    keys = ["a.jpg", "a.png", "b.jpg"]
    found, refused = photos_of(["a_mask.png"], keys)
    assert not found and "a.jpg, a.png" in refused["a_mask.png"]
    assert photos_of(["a.jpg_mask.png", "a.png_mask.png"], keys)[0] == {
        "a.jpg_mask.png": "a.jpg",
        "a.png_mask.png": "a.png",
    }


def test_a_name_alone_is_not_taken_for_the_photo_at_the_top_while_others_share_it() -> None:
    keys = ["z.jpg", "right/z.jpg"]
    assert photos_of(["z_mask.png"], keys)[0] == {"z_mask.png": "z.jpg"}
    assert photos_of(["left/z_mask.png"], keys)[0] == {}
    assert photos_of(["right/z_mask.png"], keys)[0] == {"right/z_mask.png": "right/z.jpg"}


def test_photos_between_masks_are_no_masks() -> None:
    keys = ["sub/AB 12.png", "sub/CD 3.jpg", "sub/no mask.jpg", "sub/no mask either.png"]
    masks = {"sub/AB 12_mask.png": "sub/AB 12.png", "sub/CD 3_mask.png": "sub/CD 3.jpg"}
    assert photos_of([*keys, *masks], keys) == (masks, {})


def test_photos_without_their_folders_between_masks_are_no_masks() -> None:
    keys = ["sub/AB 12.png", "sub/CD 3.jpg"]
    assert photos_of(["AB 12.png", "CD 3.jpg", "CD 3_mask.png"], keys) == ({"CD 3_mask.png": "sub/CD 3.jpg"}, {})


def test_a_jpeg_with_a_photos_own_name_is_the_photo_and_a_png_next_to_it_the_mask() -> None:
    assert photos_of(["AB 12.jpg", "AB 12.png"], ["AB 12.jpg"]) == ({"AB 12.png": "AB 12.jpg"}, {})


def test_name_mask_comes_before_name_and_png_before_jpeg() -> None:
    names = ["AB 12.png", "AB 12_mask.jpg", "AB 12_mask.png"]
    assert photos_of(names, ["AB 12.jpg"]) == ({"AB 12_mask.png": "AB 12.jpg"}, {})


def test_a_mask_named_plainly_counts_between_others_that_are_marked() -> None:
    names = ["AB 12_mask.png", "CD 3.png"]
    assert photos_of(names, KEYS)[0] == {"AB 12_mask.png": "AB 12.jpg", "CD 3.png": "sub/CD 3.jpg"}


@pytest.mark.parametrize("above", ["", "export/"])
def test_of_an_export_of_cvat_only_the_classes_are_masks(above: str) -> None:
    folders = ("SegmentationClass", "SegmentationObject", "JPEGImages")
    names = [f"{above}{folder}/sub/{name}.png" for folder in folders for name in ("a", "b")]
    found, refused = photos_of([*names, f"{above}labelmap.txt"], ["sub/a.png", "sub/b.jpg"])
    assert found == {
        f"{above}SegmentationClass/sub/a.png": "sub/a.png",
        f"{above}SegmentationClass/sub/b.png": "sub/b.jpg",
    }
    assert not refused


def test_of_two_files_with_a_photos_own_name_neither_is_taken_for_the_mask() -> None:
    found, refused = photos_of(["one/a.png", "two/a.png"], ["a.png"])
    assert not found and all("call the mask a_mask.png" in reason for reason in refused.values()) and len(refused) == 2


def test_masks_of_a_photo_that_is_itself_named_mask() -> None:
    keys = ["ski_mask.jpg", "AB.jpg"]
    assert photos_of(["ski_mask.png"], keys)[0] == {"ski_mask.png": "ski_mask.jpg"}
    assert photos_of(["ski_mask.jpg", "ski_mask_mask.png"], keys) == ({"ski_mask_mask.png": "ski_mask.jpg"}, {})
