"""A file that can't be decoded says what it is, or what is wrong with it, in words for people."""

from __future__ import annotations

import gzip
import io
import re
import zipfile

import corpus
import imagecodecs
import numpy as np
import pytest
from handmade import bmp, saved
from PIL import Image
from tifffiles import written

from glasseg.errors import PhotoError
from glasseg.images import decoder

SCENE = corpus.scene()
JPEG = saved(SCENE, "JPEG", quality=95)
PNG = saved(SCENE, "PNG")
LIBRARIES = re.compile(r"Error\b|driver|decoder|codec\b|0x|MAX_|image file|data stream|libtiff|NoneType|argument")
"""What only a programmer of a library would say."""


def complaint(data: bytes) -> str:
    with pytest.raises(PhotoError) as caught:
        decoder.decode(data, max_pixels=10**8)
    assert caught.value.code == "unreadable"
    return str(caught.value)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", JPEG)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (imagecodecs.jpegxl_encode(SCENE), "JPEG XL"),
        (imagecodecs.jpegxl_encode(SCENE, usecontainer=True), "JPEG XL"),
        (imagecodecs.jpeg2k_encode(SCENE), "JPEG 2000"),
        (imagecodecs.jpeg2k_encode(SCENE, codecformat="j2k"), "JPEG 2000"),
        (imagecodecs.jpegxr_encode(SCENE), "JPEG XR"),
        (b"8BPS\0\1" + bytes(200), "Photoshop document (PSD)"),
        (saved(SCENE, "PDF"), "PDF"),
        (saved(SCENE, "EPS"), "PostScript"),
        (saved(SCENE, "ICO"), "icon"),
        (saved(SCENE, "TGA"), "Targa"),
        (saved(SCENE, "PPM"), "Netpbm"),
        (saved(SCENE, "PCX"), "PCX"),
        (saved(SCENE, "DDS"), "DDS"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(200), "camera's raw photo (CR3)"),
        (written(SCENE, "rgb")[:8] + b"CR\2\0" + bytes(200), "camera's raw photo"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(200), "camera's raw photo (RAF)"),
        (PNG[:8] + b"\0\0\0\4CgBI\x50\0\x20\2" + PNG[8:], "Apple's own form"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg/>', "SVG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pictures_of_other_formats_are_named_with_the_way_out(data: bytes, named: str) -> None:
    assert named in complaint(data)
    assert complaint(data).endswith(("export it as JPEG, PNG or TIFF", "develop it first"))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (gzip.compress(JPEG), "gzip"),
        (zipped(), "ZIP archive"),
        (b"Rar!\x1a\7\1\0" + bytes(99), "RAR"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "7-Zip"),
        (b"\xd0\xcf\x11\xe0" + bytes(99), "Office"),
        (b"\0\0\0\x20ftypisom\0\0\2\0" + bytes(99), "video (MP4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0" + bytes(99), "video (MP4 or MOV)"),
        (b"RIFF\x24\0\0\0AVI LIST" + bytes(99), "video (AVI)"),
        (b"\x1aE\xdf\xa3" + bytes(99), "WebM"),
        (b"ID3\3" + bytes(99), "sound"),
        (b"\0\5\x16\7\0\2\0\0" + bytes(99), "AppleDouble"),
        (b"\n<!DOCTYPE html><html><svg></svg>403</html>", "HTML page"),
        (b"\xef\xbb\xbf<HTML><body>404", "HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b"data:image/png;base64,iVBORw0KGgo=", "data URI"),
        (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "base64"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        ("Brille fehlt, größer bestellt".encode(), "a text that begins with 'Brille fehlt"),
        (b"BMW sent us no photo", "a text that begins with 'BMW sent"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_no_pictures_are_named(data: bytes, named: str) -> None:
    assert complaint(data).startswith("not a picture, but ") and named in complaint(data)


def test_a_picture_that_was_spoilt_on_its_way_says_how() -> None:
    assert "begins after 1 other bytes" in complaint(b"\n" + JPEG)
    assert "begins after 128 other bytes" in complaint(bytes(128) + JPEG)  # MacBinary
    assert "transfer in text mode" in complaint(PNG.replace(b"\r\n", b"\n"))
    assert "transfer in text mode" in complaint(PNG.replace(b"\n", b"\r\n"))
    assert "stored as text in UTF-8" in complaint(JPEG.decode("utf-8", "replace").encode())
    for whole, name in ((JPEG, "JPEG"), (PNG, "PNG")):
        for code in ("latin-1", "cp1252"):  # in which five bytes have no meaning
            said = complaint(whole.decode(code, "replace").encode())
            assert said == f"a {name} that was stored as text in UTF-8: transfer it as it is"
    for code in ("utf-16", "utf-16-be"):
        said = complaint(("\ufeff" * (code == "utf-16-be") + JPEG.decode("cp437")).encode(code))
        assert said.startswith("not a picture, but a text in UTF-16, which PowerShell makes of what a program prints")
    assert "nothing but zeros" in complaint(bytes(10_000))
    assert complaint(bytes(range(128, 160))).endswith(
        r"begins with b'\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f'"
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("JPEG", JPEG),
        ("PNG", PNG),
        ("WebP", saved(SCENE, "WEBP", lossless=True)),
        ("BMP", bmp(np.dstack([SCENE, SCENE[..., :1] | 1]))),
        ("TIFF", saved(SCENE, "TIFF")),
        ("TIFF", written(SCENE, "rgb", compression="lzw")),
        ("AVIF", saved(SCENE, "AVIF")),
        ("HEIC", next(sample.data for sample in corpus.samples() if sample.name == "rgb.heic")),
    ],
)
def test_a_picture_that_lacks_its_end_is_said_to_be_cut_off(name: str, data: bytes) -> None:
    for share in (0.5, 0.8, 0.95):
        assert complaint(data[: int(share * len(data))]) == f"the {name} is cut off: its end is missing"


def test_a_jpeg_of_twelve_bits_is_named() -> None:
    data = imagecodecs.jpeg8_encode(SCENE.astype(np.uint16) * 16, bitspersample=12)
    assert complaint(data) == "the JPEG has more than 8 bits a colour: save it with 8"


def test_damage_is_told_in_words_and_not_in_those_of_a_library() -> None:
    found = set()
    for _, data in corpus.mutations(11, 400):
        try:
            decoder.decode(data, max_pixels=10**7)
        except PhotoError as error:
            found.add(str(error))
    assert len(found) > 10
    assert not [words for words in found if LIBRARIES.search(words)]


def test_libraries_print_nothing_about_a_damaged_tiff(capfd: pytest.CaptureFixture[str]) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        data = bytearray(saved(SCENE, "TIFF", compression=compression))
        data[200:600] = bytes(range(200)) * 2
        assert complaint(bytes(data)) == "the TIFF is damaged"
    assert capfd.readouterr() == ("", "")


def test_a_gif_keeps_its_palette_and_transparency() -> None:
    palette = Image.fromarray(SCENE).quantize(64)
    indices = np.asarray(palette)
    hidden = int(indices[20, 90])
    photo = decoder.decode(saved(palette, "GIF", transparency=hidden), max_pixels=10**8)
    assert np.array_equal(photo.alpha, np.where(indices == hidden, 0, 255))
    assert np.array_equal(photo.image[indices != hidden], np.asarray(palette.convert("RGB"))[indices != hidden])
