"""Pictures go out in their colours, say that they are sRGB, carry their tags, and repeat to the byte."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, JpegImagePlugin

from glasseg import formats
from glasseg.errors import PhotoError
from glasseg.images import encoder, tags
from glasseg.images.tags import Tags

FORMATS = ["jpeg", "png", "webp", "tiff", "avif"]
TAGS = Tags(dpi=(300.0, 240.0), copyright="© Müller & Söhne", artist="Ana Łukasz 眼鏡")
EXTENSIONS = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "avif", "heic", "heif"]


def smooth_noise(height: int = 80, width: int = 120) -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def with_alpha(image: np.ndarray) -> np.ndarray:
    alpha = np.random.default_rng(4).integers(0, 256, image.shape[:2], dtype=np.uint8)
    alpha[:, : alpha.shape[1] // 2] = 0
    return np.dstack([image, alpha])


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("format", FORMATS)
def test_the_colours_stay_and_the_bytes_repeat(format: str) -> None:
    image = smooth_noise()
    data = encoder.encode(image, format, 95, TAGS)
    assert opened(data).format == format.upper()
    assert difference(np.asarray(opened(data)), image) < 4
    assert data == encoder.encode(image.copy(), format, 95, TAGS)
    image.flags.writeable = False
    assert data == encoder.encode(image, format, 95, TAGS)
    assert encoder.encode(image[::2, 10:-10], format, 95) == encoder.encode(image[::2, 10:-10].copy(), format, 95)


@pytest.mark.parametrize("format", FORMATS)
def test_every_reader_finds_the_same_pixels_behind_the_tags(format: str) -> None:
    data = encoder.encode(smooth_noise(), format, 95, TAGS)
    by_cv2 = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    plain = encoder.encode(smooth_noise(), format, 95)
    assert np.array_equal(np.asarray(opened(data)), np.asarray(opened(plain)))
    assert difference(by_cv2, np.asarray(opened(data))) < 1


def test_the_bytes_are_the_same_on_another_day() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from glasseg.images import encoder; from glasseg.images.tags import Tags\n"
        "image = np.zeros((8, 8, 3), np.uint8)\n"
        f"data = [encoder.encode(image, f, 90, Tags((72, 72), 'c', 'a')) for f in {FORMATS}]\n"
        "print([hashlib.sha256(d).hexdigest() for d in data])"
    )
    # LittleCMS puts the time into its profiles, to the second: two processes a second apart must agree.
    first = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    later = subprocess.run(
        [sys.executable, "-c", "import time; time.sleep(1.1)\n" + code], capture_output=True, text=True, check=True
    )
    assert first.stdout == later.stdout and "[" in first.stdout


@pytest.mark.parametrize("format", FORMATS)
def test_every_colour_picture_says_it_is_srgb(format: str) -> None:
    data = encoder.encode(smooth_noise(), format, 95)
    if format == "avif":
        primaries, transfer, matrix, full_range = struct.unpack_from(">3HB", data, data.index(b"colrnclx") + 8)
        assert (primaries, transfer, matrix, full_range) == (1, 13, 6, 0x80)
    else:
        assert opened(data).info["icc_profile"] == encoder.srgb_profile()


def test_the_profile_is_small_and_means_srgb() -> None:
    profile = encoder.srgb_profile()
    assert len(profile) < 600 and struct.unpack(">I", profile[:4])[0] == len(profile)
    ours = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    there = ImageCms.profileToProfile(image, ours, ImageCms.createProfile("sRGB"))
    assert there is not None and np.abs(np.asarray(there).astype(int) - np.asarray(image)).max() <= 1
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), "white"), ours, ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None and lab.getpixel((0, 0)) == (255, 128, 128)  # pure white stays pure white


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", FORMATS)
def test_the_tags_come_back_from_the_file(format: str, channels: int) -> None:
    if format == "jpeg" and channels == 4:
        return
    image = smooth_noise() if channels == 3 else with_alpha(smooth_noise())
    picture = opened(encoder.encode(image, format, 95, TAGS))
    assert tags.read(picture) == TAGS
    exif = picture.getexif()
    assert (exif[282], exif[283], exif[296]) == (300, 240, 2)
    if format not in {"webp", "avif"}:  # which have no header field for it
        assert picture.info["dpi"] == pytest.approx((300, 240), abs=0.01)


@pytest.mark.parametrize("format", FORMATS)
def test_unknown_tags_are_not_written(format: str) -> None:
    picture = opened(encoder.encode(smooth_noise(), format, 95))
    assert "exif" not in picture.info and "dpi" not in picture.info and tags.read(picture) == Tags()


@given(
    st.floats(1, 30_000),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=2000),
    st.sampled_from(FORMATS),
)
def test_any_readable_tags_survive(dpi: float, text: str, format: str) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    found = tags.read(opened(encoder.encode(image, format, 90, Tags((dpi, 2 * dpi), text, text))))
    assert found.copyright == found.artist == text
    if 2 * dpi < 29_999:
        assert found.dpi == pytest.approx((dpi, 2 * dpi), abs=0.51)  # JFIF has whole numbers


def test_a_png_with_tags_is_a_sound_png() -> None:
    data = encoder.encode(smooth_noise(), "png", 95, TAGS)
    names, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + body)
        assert name != b"eXIf" or body[:2] in (b"MM", b"II")  # not "Exif", as in a JPEG
        names.append(name)
        place += 12 + length
    assert names[0] == b"IHDR" and set(names[1:4]) == {b"iCCP", b"pHYs", b"eXIf"}
    assert set(names[4:-1]) == {b"IDAT"} and names[-1] == b"IEND"


@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif"])
def test_alpha_comes_back_exactly(format: str) -> None:
    image = with_alpha(smooth_noise())
    picture = opened(encoder.encode(image, format, 60))
    assert picture.mode == "RGBA" and np.array_equal(np.asarray(picture)[..., 3], image[..., 3])
    shown = image[..., 3] == 255
    assert difference(np.asarray(picture)[shown], image[shown]) < 8


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_lossless_formats_keep_every_pixel(format: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (17, 23, 4), dtype=np.uint8)
    assert np.array_equal(np.asarray(opened(encoder.encode(image, format, 1))), image)
    assert np.array_equal(np.asarray(opened(encoder.encode(image[..., :3], format, 1))), image[..., :3])


@pytest.mark.parametrize(("channels", "more"), [(3, ()), (4, (2,))])
def test_a_tiff_is_one_that_layout_programs_open(channels: int, more: tuple[int, ...]) -> None:
    """8 bits, ZIP with the horizontal predictor, in one plane, an alpha unassociated; and nothing about its writer."""
    image = with_alpha(smooth_noise())[..., :channels].copy()
    found = opened(encoder.encode(image, "tiff", 90, TAGS)).tag_v2  # type: ignore[attr-defined]
    assert found[258] == (8,) * channels and found[259] == 8 and found[317] == 2
    assert found[262] == 2 and found[284] == 1 and found.get(338, ()) == more
    assert not {270, 305, 306} & set(found)


@pytest.mark.parametrize("format", FORMATS)
def test_a_mask_is_grey_and_bare(format: str) -> None:
    mask = smooth_noise()[..., 0].copy()
    picture = opened(encoder.encode(mask, format, 100, TAGS))
    assert "icc_profile" not in picture.info and "exif" not in picture.info
    assert difference(np.asarray(picture.convert("L")), mask) < 3
    if format in formats.LOSSLESS:
        assert picture.mode == "L" and np.array_equal(np.asarray(picture), mask)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_lower_quality_makes_smaller_files(format: str) -> None:
    sizes = [len(encoder.encode(smooth_noise(), format, quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", FORMATS)
def test_a_white_picture_comes_back_white(format: str) -> None:
    assert (np.asarray(opened(encoder.encode(np.full((40, 50, 3), 255, np.uint8), format, 90))) == 255).all()


def test_lossy_formats_keep_full_colour_resolution() -> None:
    assert JpegImagePlugin.get_sampling(opened(encoder.encode(smooth_noise(), "jpeg", 95))) == 0  # 4:4:4
    stripes = np.tile(np.uint8([[[255, 0, 0], [0, 0, 255]]]), (32, 16, 1))
    assert difference(np.asarray(opened(encoder.encode(stripes, "avif", 95))), stripes) < 8  # else about 60


def test_a_picture_a_format_can_not_hold_is_a_photo_error() -> None:
    for format, longest in (("webp", 16_383), ("avif", 32_768)):
        with pytest.raises(PhotoError) as caught:
            encoder.encode(np.zeros((2, longest + 1, 4), np.uint8), format, 90)
        assert caught.value.code == "side_too_long"
        assert opened(encoder.encode(np.zeros((2, longest, 3), np.uint8), format, 90)).size == (longest, 2)


def test_what_makes_no_sense_is_an_error_that_names_it() -> None:
    image = smooth_noise()
    with pytest.raises(ValueError, match="gif"):
        encoder.encode(image, "gif", 90)
    with pytest.raises(ValueError, match="101"):
        encoder.encode(image, "webp", 101)
    with pytest.raises(ValueError, match="transparency"):
        encoder.encode(with_alpha(image), "jpeg", 90)
