"""Photos come in upright and whole or are refused, go out in their colours, and maps come back to the right place."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glasseg.errors import PhotoError
from glasseg.images import decoder
from glasseg.model import letterbox

LIMIT = 1_000_000


def quadrants(height: int = 32, width: int = 48) -> np.ndarray:
    """Four colours, so that every turn and flip shows."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (220, 30, 30)
    image[: height // 2, width // 2 :] = (30, 200, 40)
    image[height // 2 :, : width // 2] = (20, 40, 210)
    image[height // 2 :, width // 2 :] = (240, 240, 230)
    return image


def smooth_noise(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def saved(picture: Image.Image | np.ndarray, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def decode(data: bytes, max_pixels: int = LIMIT) -> np.ndarray:
    return decoder.decode_on_white(data, max_pixels=max_pixels)


def refusal(data: bytes, max_pixels: int = LIMIT) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        decode(data, max_pixels)
    return caught.value


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


def png_header(width: int, height: int) -> bytes:
    """The first bytes of a picture that is said to be this large."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


UPRIGHT = {  # what each orientation asks for, by its definition in the EXIF standard
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_decode_turns_the_photo_as_its_exif_says(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = decode(saved(quadrants(), format, exif=exif, quality=95))
    assert difference(photo, UPRIGHT[orientation](quadrants())) < 4


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0no tiff at all", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_does_not_cost_the_photo(exif: bytes) -> None:
    assert difference(decode(saved(quadrants(), "JPEG", exif=exif, quality=95)), quadrants()) < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF"])
def test_every_format_of_catalogs_is_read_as_rgb(format: str) -> None:
    photo = decode(saved(quadrants(), format, quality=95))
    assert photo.dtype == np.uint8 and photo.flags.c_contiguous and photo.flags.writeable
    assert difference(photo, quadrants()) < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_every_kind_of_pixel_becomes_rgb(mode: str) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(quadrants(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    expected = quadrants() if mode in {"P", "RGBA", "CMYK", "YCbCr"} else grey
    format = "JPEG" if mode == "CMYK" else "TIFF" if mode == "YCbCr" else "PNG"
    picture = Image.fromarray(quadrants())
    photo = decode(saved(picture.quantize() if mode == "P" else picture.convert(mode), format))
    if mode == "1":
        assert set(np.unique(photo)) == {0, 255}
    else:
        assert difference(photo, expected) < 4


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64 * 8).astype(np.uint16).reshape(8, 64)
    expected = cv2.cvtColor(np.round(ramp / 257).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    for suffix in (".png", ".tif"):
        assert np.array_equal(decode(cv2.imencode(suffix, ramp)[1].tobytes()), expected)
        in_colour = decode(cv2.imencode(suffix, cv2.merge([ramp // 4, ramp // 2, ramp]))[1].tobytes())
        assert np.abs(in_colour[..., 0].astype(int) - expected[..., 0]).max() <= 1  # red came last in cv2's order
        assert np.abs(in_colour[..., 2].astype(int) - np.round(ramp // 4 / 257)).max() <= 1


def test_pixels_without_a_known_white_are_unreadable() -> None:
    assert refusal(saved(Image.new("F", (4, 4), 0.5), "TIFF")).code == "unreadable"


@pytest.mark.parametrize(
    ("format", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("PNG", "P"), ("GIF", "RGBA")]
)
def test_what_is_transparent_shows_white(format: str, mode: str) -> None:
    rgba = np.dstack([np.full((8, 8, 3), 10, np.uint8), np.full((8, 8), 255, np.uint8)])
    rgba[:, 4:, 3] = 0
    options = {"lossless": True} if format == "WEBP" else {}
    picture = Image.fromarray(rgba)
    photo = decode(saved(picture.quantize() if mode == "P" else picture.convert(mode), format, **options))
    assert (photo[:, 4:] == 255).all() and np.abs(photo[:, :4].astype(int) - 10).max() <= 2


def test_half_transparent_is_half_white() -> None:
    photo = decode(saved(Image.new("RGBA", (2, 2), (0, 100, 200, 128)), "PNG"))
    assert np.abs(photo[0, 0].astype(int) - (127, 177, 227)).max() <= 1


def test_no_bytes_are_empty() -> None:
    assert refusal(b"").code == "empty"


@pytest.mark.parametrize(
    "data", [b"\0", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\xff\xd8\xff", b"BM"]
)
def test_a_renamed_file_is_unreadable(data: bytes) -> None:
    assert refusal(data).code == "unreadable"


def test_the_message_shows_what_the_bytes_are_instead_of_a_picture() -> None:
    assert "an HTML page" in str(refusal(b"<!DOCTYPE html><p>404"))


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_unreadable_not_half_grey(progressive: bool) -> None:
    # An EXIF thumbnail is a whole JPEG with an end of its own; it must not pass for the end of the photo.
    thumbnail = saved(quadrants(16, 16), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 1
    data = saved(smooth_noise(120, 160), "JPEG", exif=exif.tobytes() + thumbnail, progressive=progressive)
    assert data.count(b"\xff\xd9") >= 2
    decode(data)
    for length in [*range(1, len(data) - 2, len(data) // 60), len(data) - 3]:
        assert refusal(data[:length]).code == "unreadable"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP", "AVIF"])
def test_a_truncated_picture_is_unreadable(format: str) -> None:
    data = saved(smooth_noise(60, 80), format)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert refusal(data[: int(share * len(data))]).code == "unreadable"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_bytes_after_the_end_of_a_picture_do_no_harm(format: str) -> None:
    data = saved(quadrants(), format)
    assert np.array_equal(decode(data + b"\0" * 999 + b"\xff\xd8 trailing"), decode(data))


SAMPLES = [
    saved(smooth_noise(24, 32), "JPEG"),
    saved(smooth_noise(24, 32), "JPEG", progressive=True),
    saved(smooth_noise(24, 32), "PNG"),
    saved(Image.fromarray(quadrants()).convert("P"), "BMP"),
    saved(smooth_noise(24, 32), "WEBP"),
    saved(smooth_noise(24, 32), "AVIF"),
    saved(smooth_noise(24, 32), "TIFF"),
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6)
)
def test_corrupt_bytes_give_a_picture_or_a_photo_error_and_nothing_else(
    data: bytes, changes: list[tuple[float, int]]
) -> None:
    broken = bytearray(data)
    for place, value in changes:
        broken[int(place**2 * len(broken))] = value  # squared: most of what can go wrong is in the header
    try:
        photo = decode(bytes(broken))
    except PhotoError:
        return
    assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3 and photo.size


def test_a_bomb_is_refused_by_its_header_and_costs_no_memory() -> None:
    decode(SAMPLES[2])
    tracemalloc.start()
    try:
        for width, height in ((1001, 1000), (20_000, 10_000), (2**31 - 1, 2**31 - 1)):
            error = refusal(png_header(width, height))
            assert error.code == "too_large" and f"{width}×{height}" in str(error)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_allowed() -> None:
    data = saved(quadrants(32, 48), "PNG")
    assert decode(data, max_pixels=32 * 48).shape == (32, 48, 3)
    assert refusal(data, max_pixels=32 * 48 - 1).code == "too_large"


def test_decoding_in_threads_gives_the_same_pixels() -> None:
    data = saved(smooth_noise(120, 160), "JPEG")
    with ThreadPoolExecutor(4) as pool:
        photos = list(pool.map(decode, [data] * 16))
    assert all(np.array_equal(photo, photos[0]) for photo in photos)


def centroid(weights: np.ndarray, axis: int) -> float:
    profile = weights.astype(np.float64).sum(axis=1 - axis)
    return float((profile * np.arange(profile.size)).sum() / profile.sum())


def blob(size: tuple[int, int], at: tuple[float, float], sigma: tuple[float, float]) -> np.ndarray:
    ys, xs = (np.exp(-0.5 * ((np.arange(n) - c) / s) ** 2) for n, c, s in zip(size, at, sigma, strict=True))
    return cv2.cvtColor(np.round(255 * np.outer(ys, xs)).astype(np.uint8), cv2.COLOR_GRAY2RGB)


photo_sizes = st.one_of(
    st.tuples(st.integers(1, 500), st.integers(1, 500)),
    st.tuples(st.just(1), st.integers(1, 2000)),
    st.tuples(st.integers(1, 2000), st.integers(1, 3)),
)


@settings(max_examples=150, deadline=None)
@given(photo_sizes, st.sampled_from([64, 96, 129]), st.tuples(st.floats(0.4, 0.6), st.floats(0.4, 0.6)))
def test_a_blob_is_where_it_was_after_letterbox_and_back(
    size: tuple[int, int], side: int, place: tuple[float, float]
) -> None:
    _, box = letterbox.letterbox(np.zeros((*size, 3), np.uint8), side)
    at = (place[0] * (size[0] - 1), place[1] * (size[1] - 1))
    # Where the photo is only a few pixels wide there is nothing to locate: the blob is a stripe across.
    wide = [size[axis] >= 24 and box.inner[axis] >= 30 for axis in (0, 1)]
    sigma = (max(2 * box.scale[0], 1.5) if wide[0] else 1e6, max(2 * box.scale[1], 1.5) if wide[1] else 1e6)
    image = blob(size, at, sigma)
    square, box = letterbox.letterbox(image, side)
    back = letterbox.unletterbox(square[..., 0].astype(np.float32) / 255, box)
    assert square.shape == (side, side, 3) and back.shape == size and back.dtype == np.float32
    inside = square[box.top : box.top + box.inner[0], box.left : box.left + box.inner[1], 0]
    for axis in (0, 1):
        if wide[axis]:
            truth = centroid(image[..., 0], axis)
            as_documented = (centroid(inside, axis) + 0.5) * box.scale[axis] - 0.5
            assert abs(as_documented - truth) < 0.05 * box.scale[axis]
            assert abs(centroid(back, axis) - truth) < 0.08 * box.scale[axis]  # linear near a factor of one


@given(photo_sizes, st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_a_plain_photo_stays_plain_through_letterbox_and_back(size: tuple[int, int], side: int) -> None:
    square, box = letterbox.letterbox(np.full((*size, 3), 77, np.uint8), side)
    assert (square == 77).all()
    back = letterbox.unletterbox(np.full((side, side), 0.25, np.float32), box)
    assert back.shape == size and np.abs(back - 0.25).max() < 1e-5


def test_letterbox_keeps_the_aspect_and_centres_the_photo() -> None:
    _, box = letterbox.letterbox(np.zeros((1200, 1600, 3), np.uint8), 256)
    assert (box.size, box.inner, box.top, box.left) == ((1200, 1600), (192, 256), 32, 0)
    assert box.scale == (6.25, 6.25)


@given(photo_sizes, st.sampled_from([64, 192, 512]), st.sampled_from([0, 16]))
@settings(max_examples=60, deadline=None)
def test_a_frame_is_the_least_of_whole_multiples_that_holds_the_photo(
    size: tuple[int, int], side: int, room: int
) -> None:
    framed, box = letterbox.letterbox(np.zeros((*size, 3), np.uint8), side, 64, room)
    assert framed.shape == (*box.frame, 3) and max(box.frame) == side and min(box.frame) % 64 == 0
    for outer, inner in zip(box.frame, box.inner, strict=True):
        assert inner + 2 * room <= outer < inner + 2 * room + 64 or outer == side
    assert letterbox.unletterbox(framed[..., 0].astype(np.float32), box).shape == size


def test_letterbox_takes_views_and_read_only_photos() -> None:
    photo = smooth_noise(200, 300)
    photo.flags.writeable = False
    view, box = letterbox.letterbox(photo[20:180, 30:250], 64)
    copy, same = letterbox.letterbox(photo[20:180, 30:250].copy(), 64)
    assert np.array_equal(view, copy) and box == same


def test_the_way_back_stays_between_0_and_1() -> None:
    edge = np.zeros((64, 64), np.float32)
    edge[:, 30:] = 1
    _, box = letterbox.letterbox(np.zeros((400, 500, 3), np.uint8), 64)
    back = letterbox.unletterbox(edge, box)
    assert back.min() == 0 and back.max() == 1


def test_a_map_of_another_size_is_refused() -> None:
    _, box = letterbox.letterbox(np.zeros((40, 50, 3), np.uint8), 64)
    with pytest.raises(ValueError, match="64"):
        letterbox.unletterbox(np.zeros((32, 32), np.float32), box)
