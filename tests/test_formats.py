"""Outputs keep their names, except for the extension that shows their format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg import formats

EXTENSIONS = sorted(formats.PHOTO_EXTENSIONS)


@pytest.mark.parametrize(
    ("key", "format", "output"),
    [
        ("sku1.jfif", "keep", "sku1.jfif"),
        ("sku2.JPE", "keep", "sku2.JPE"),
        ("sku1.jfif", "jpeg", "sku1.jpg"),
        ("sku2.pjpeg", "jpeg", "sku2.jpg"),
        ("sku2.pjp", "webp", "sku2.webp"),
        ("sku3.gif", "keep", "sku3.png"),
        ("sku3.GIF", "jpeg", "sku3.jpg"),
        ("DSC1.HIF", "keep", "DSC1.png"),
        ("a/b.jpg", "keep", "a/b.jpg"),
        ("a/b.JPEG", "keep", "a/b.JPEG"),
        ("b.webp", "keep", "b.webp"),
        ("b.PNG", "keep", "b.PNG"),
        ("b.tif", "keep", "b.png"),
        ("b.TIFF", "keep", "b.png"),
        ("b.bmp", "keep", "b.png"),
        ("IMG_0001.HEIC", "keep", "IMG_0001.png"),
        ("b.heif", "jpeg", "b.jpg"),
        ("x.y/b.c.avif", "keep", "x.y/b.c.png"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("a.png", "jpeg", "a.jpg"),
        ("a.jpg", "png", "a.png"),
        ("a.PNG", "png", "a.PNG"),
        ("a.tiff", "webp", "a.webp"),
        ("a.jpg", "tiff", "a.tif"),
        ("a.jpg", "avif", "a.avif"),
        ("a.AVIF", "avif", "a.AVIF"),
        ("a.tiff", "tiff", "a.tiff"),
        ("b.TIF", "tiff", "b.TIF"),
        ("IMG_0001.HEIC", "tiff", "IMG_0001.tif"),
    ],
)
def test_output_name(key: str, format: str, output: str) -> None:
    assert formats.output_name(key, format) == output


@pytest.mark.parametrize(
    ("key", "format", "output"),
    [
        ("a/b.JPG", "keep", "a/b.png"),
        ("sku1.jfif", "keep", "sku1.png"),
        ("b.jpeg", "webp", "b.webp"),
        ("b.webp", "keep", "b.webp"),
        ("b.PNG", "keep", "b.PNG"),
        ("b.heic", "keep", "b.png"),
        ("b.tif", "keep", "b.png"),
        ("b.jpg", "tiff", "b.tif"),
    ],
)
def test_transparent_pictures_get_a_name_that_can_hold_them(key: str, format: str, output: str) -> None:
    assert formats.output_name(key, format, transparent=True) == output


@given(
    st.text("aB.é /-", max_size=9),
    st.sampled_from(EXTENSIONS),
    st.booleans(),
    st.sampled_from(formats.FORMATS),
    st.booleans(),
)
def test_an_output_name_keeps_the_stem_and_says_its_format(
    stem: str, extension: str, upper: bool, format: str, transparent: bool
) -> None:
    key = f"{stem}x.{extension.upper() if upper else extension}"
    if transparent and format == "jpeg":
        return
    output = formats.output_name(key, format, transparent)
    assert output.startswith(f"{stem}x.")
    written = formats.format_of(output)
    assert written in formats.FORMATS[1:] and format in ("keep", written)
    assert not (transparent and written == "jpeg")
    assert formats.output_name(output, format, transparent) == output


def test_what_makes_no_sense_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="gif"):
        formats.output_name("a.jpg", "gif")
    with pytest.raises(ValueError, match="transparency"):
        formats.output_name("a.jpg", "jpeg", transparent=True)
    with pytest.raises(ValueError, match=r"a\.bmp"):
        formats.format_of("a.bmp")
