"""TIFFs of every kind that programs write give their pixels: written by tifffile, whose truth is the array itself."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Iterator
from typing import Any

import corpus
import iccprofiles as icc
import numpy as np
import pytest
from handmade import saved
from PIL import Image, ImageCms
from tifffiles import written

from glasseg.errors import PhotoError
from glasseg.images import decoder, directories

RAW, LZW, ZIP, PACKBITS = None, "lzw", "adobe_deflate", "packbits"
COLOURS = ("minisblack", "miniswhite", "rgb", "separated", "cielab", "icclab")
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2  # TIFF 6.0, ExtraSamples
NATIVE = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4, "cielab": 3, "icclab": 3}


def decode(data: bytes) -> decoder.Photo:
    return decoder.decode(data, max_pixels=10**8)


def lab_scene() -> tuple[np.ndarray, np.ndarray]:
    """L*a*b* (CIE, D50) of a scene without saturated colours, float, and its sRGB by the textbook's formulas."""
    y, x = np.mgrid[0:64, 0:96] / 96
    lab = np.stack([30 + 60 * x, 30 * np.cos(4 * y), 25 * np.sin(3 * x + y)], axis=-1)
    f = (lab[..., :1] + 16) / 116 + lab[..., 1:2] / 500, (lab[..., :1] + 16) / 116, (lab[..., :1] + 16) / 116
    f = np.concatenate([f[0], f[1], f[2] - lab[..., 2:] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.96422, 1, 0.82521]
    to_linear = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = (xyz @ np.array(to_linear).T).clip(0, 1)
    return lab, 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def pixels(colour: str, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples (H×W×C) of a scene, and what they show: H×W×3, 0 to 255."""
    white = (1 << bits) - 1
    kind: Any = np.uint8 if bits == 8 else np.uint16
    if colour in {"cielab", "icclab"}:
        lab, shown = lab_scene()
        unit = 1 << bits - 8
        light = lab[..., :1] * (white if colour == "cielab" else 255 * unit) / 100
        opponents = lab[..., 1:] * unit + (0 if colour == "cielab" else 128 * unit)
        return np.concatenate([light, opponents], axis=-1).round().astype(np.int64).astype(kind), shown
    scene, step = corpus.inks_scene() if colour == "separated" else corpus.scene(), white // 255
    samples = scene[..., : NATIVE[colour]].astype(kind) * step
    if bits == 16:
        samples[1:] -= np.arange(96, dtype=np.uint16)[:, None] % 100 * (samples[1:] > 100)  # not only multiples of 257
    shown = samples / step
    if colour == "separated":
        shown = (255 - shown[..., :3]) * (255 - shown[..., 3:]) / 255
    shown = 255 - shown if colour == "miniswhite" else shown
    return samples, np.broadcast_to(shown, (64, 96, 3))


def layouts() -> Iterator[dict[str, Any]]:
    """All ways to lay out samples in a file."""
    for compression, tiled, order, predicted in itertools.product((RAW, LZW, ZIP, PACKBITS), (0, 1), "<>", (0, 1)):
        if predicted and compression in {RAW, PACKBITS}:
            continue
        shape = {"tile": (32, 48)} if tiled else {"rowsperstrip": 20}
        yield {"compression": compression, "order": order, "predictor": bool(predicted), **shape}


@pytest.mark.parametrize(
    "extra", [(), (STRAIGHT,), (UNSPECIFIED,), (UNSPECIFIED, STRAIGHT), (UNSPECIFIED,) * 4], ids=str
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_tiff_gives_its_pixels_however_they_are_laid_out(
    colour: str, bits: int, planar: str, extra: tuple[int, ...]
) -> None:
    samples, shown = pixels(colour, bits)
    alpha = corpus.alpha_scene()
    others = [alpha if kind == STRAIGHT else 255 - alpha for kind in extra]
    samples = np.dstack([samples, *(other.astype(samples.dtype) * (257 if bits == 16 else 1) for other in others)])
    expected = corpus.on_white(shown, alpha) if STRAIGHT in extra else shown
    most = 8.0 if colour in {"cielab", "icclab"} else 2.1
    for layout in list(layouts())[:: 5 if most > 3 else 1]:  # Lab takes time
        photo = decode(written(samples, colour, extra, planar=planar, **layout))
        difference = np.abs(photo.on_white() - expected)
        assert difference.max() <= most and difference.mean() < 1, layout
        assert np.array_equal(photo.alpha, alpha) if STRAIGHT in extra else photo.alpha is None, layout


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_of_odd_depth_gives_its_colours(bits: int, planar: str) -> None:
    white = (1 << bits) - 1
    samples = (corpus.scene().astype(int) * white // 255).astype(np.uint8 if bits <= 8 else np.uint16)
    photo = decode(written(samples, "rgb", planar=planar, bitspersample=bits))
    assert np.abs(photo.image - samples * (255 / white)).max() <= 1.0


@pytest.mark.parametrize("compression", ["jpeg", "zstd", "lzma"])
def test_planes_may_be_compressed_in_other_ways(compression: str) -> None:
    difference = decode(written(corpus.scene(), "rgb", compression=compression)).image - corpus.scene().astype(int)
    assert np.abs(difference).mean() <= (1.5 if compression == "jpeg" else 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", ["minisblack", "rgb"])
def test_premultiplied_planes_give_straight_colours(colour: str, bits: int) -> None:
    samples, shown = pixels(colour, 8)
    alpha = corpus.alpha_scene()
    multiplied = np.dstack([(samples * (alpha[..., None] / 255)).round().astype(np.uint8), alpha])
    deep = multiplied.astype(np.uint16) * 257
    photo = decode(written(multiplied if bits == 8 else deep, colour, (PREMULTIPLIED,)))
    assert np.array_equal(photo.alpha, alpha)
    assert np.abs(photo.image - shown)[alpha > 0].max() <= 2


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 5, 6])
def test_planes_keep_tags_profile_and_orientation(orientation: int, order: str, big: bool) -> None:
    profile = icc.matrix_profile(icc.ADOBE_RGB)
    tags = [(274, "H", 1, orientation, True), (33432, "s", 0, "(c) nobody", True)]
    stored = corpus.oriented(orientation).astype(np.uint16) * 257
    data = written(stored, "rgb", order=order, big=big, iccprofile=profile, resolution=(300, 200), extratags=tags)
    photo = decode(data)
    assert np.abs(photo.image - icc.rgb_to_srgb(corpus.scene(), icc.ADOBE_RGB)).max() <= 2
    assert photo.tags.copyright == "(c) nobody"
    assert photo.tags.dpi == ((300, 200) if orientation == 1 else (200, 300))
    assert photo.warnings == ()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_profile_of_lab_says_nothing_more(planar: str, bits: int) -> None:
    samples, shown = pixels("cielab", bits)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = decode(written(samples, "cielab", planar=planar, iccprofile=profile))
    assert photo.warnings == () and np.abs(photo.image - shown).mean() < 1


def test_a_palette_written_with_0_to_255_gives_its_colours() -> None:
    palette = Image.fromarray(corpus.scene()).quantize(64)
    data = saved(palette, "TIFF")
    place = data.index(bytes.fromhex("4001 0300")) + 8  # tag 320, of 16-bit numbers
    (start,) = struct.unpack_from("<I", data, place)
    levels = np.frombuffer(data, "<u2", 768, start)
    narrow = data[:start] + (levels >> 8).astype("<u2").tobytes() + data[start + 1536 :]
    assert narrow != data
    for one in (data, narrow):
        assert np.array_equal(decode(one).image, np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), (">", True)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("colour", "extra"), [("minisblack", ()), ("rgb", ()), ("rgb", (STRAIGHT,))])
def test_a_tiff_that_says_not_what_its_numbers_mean_is_grey_or_rgb(
    colour: str, extra: tuple[int, ...], planar: str, order: str, big: bool
) -> None:
    samples, shown = pixels(colour, 8)
    samples = np.dstack([samples, corpus.alpha_scene()]) if extra else samples
    page = directories.first(written(samples, colour, extra, planar=planar, order=order, big=big))
    silent = dataclasses.replace(page, entries={tag: e for tag, e in page.entries.items() if tag != 262})
    photo = decode(directories.written(silent))
    assert np.array_equal(photo.image, shown) and (photo.alpha is not None) == bool(extra)
    name = "grey" if colour == "minisblack" else "RGB"
    assert photo.warnings == (f"the TIFF does not say what its numbers mean: taken for {name}",)


def test_a_palette_of_sixteen_bits_is_named() -> None:
    numbers, levels = corpus.scene()[..., :1].astype(np.uint16), np.zeros((3, 1 << 16), np.uint16)
    with pytest.raises(PhotoError, match="palette of 16 bits: save it as RGB"):
        decode(written(numbers, "palette", colormap=levels))


@pytest.mark.parametrize(
    ("named", "kind", "options"),
    [
        ("float", np.float32, {}),
        ("float", np.float16, {}),
        ("float", np.float64, {}),
        ("complex", np.complex64, {}),
        ("32 bits", np.uint32, {}),
        ("signed", np.int16, {}),
        ("signed", np.int8, {}),
        ("JPEG 2000 in TIFF", np.uint8, {"compression": "jpeg2000"}),
        ("JPEG XL in TIFF", np.uint8, {"compression": "jpegxl"}),
        ("LERC in TIFF", np.uint8, {"compression": "lerc"}),
        ("compression 50013 in TIFF", np.uint8, {"compression": "pixtiff"}),
    ],
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("colour", ["minisblack", "rgb"])
def test_a_kind_that_cannot_be_read_is_named(
    named: str, kind: Any, options: dict[str, Any], planar: str, colour: str
) -> None:
    samples = (corpus.scene()[..., : NATIVE[colour]] // 2).astype(kind)
    with pytest.raises(PhotoError, match=f"{named}.*: save it with 8 or 16 bits") as caught:
        decode(written(samples, colour, planar=planar, **options))
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_inks_other_than_cmyk_are_not_taken_for_it(planar: str) -> None:
    with pytest.raises(PhotoError, match="inks other than CMYK"):
        decode(written(corpus.inks_scene(), "separated", planar=planar, extratags=[(332, "H", 1, 2, True)]))


def test_webp_in_tiff_is_named() -> None:
    with pytest.raises(PhotoError, match="WebP in TIFF: save it with 8 or 16 bits"):
        decode(written(corpus.scene(), "rgb", planar="contig", compression="webp"))


@pytest.mark.parametrize("compression", [RAW, LZW, ZIP, PACKBITS])
def test_truncated_planes_are_refused_and_not_half_black(compression: str | None) -> None:
    plain = written(corpus.scene().astype(np.uint16) * 257, "rgb", compression=compression, rowsperstrip=20)
    page = directories.first(plain)
    last = max(page.numbers(directories.STRIPS))  # the writer puts the directory first
    for length in (last - 1000, last + 2, len(plain) - 1):
        with pytest.raises(PhotoError) as caught:
            decode(plain[:length])
        assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    "layout",
    [{"planar": "contig"}, {"planar": "contig", "tile": (32, 32)}, {"planar": "contig", "subsampling": (2, 2)}, {}],
)
def test_a_jpeg_with_a_hole_inside_a_tiff_is_refused(layout: dict[str, Any]) -> None:
    sound = written(corpus.scene(), "rgb", compression="jpeg", **layout)
    assert decode(sound).warnings == ()
    page = directories.first(sound)
    tiled = directories.TILES in page.entries
    start = page.numbers(directories.TILES if tiled else directories.STRIPS)[0]
    length = page.numbers(directories.TILE_BYTES if tiled else directories.STRIP_BYTES)[0]
    hole = start + length - 80
    with pytest.raises(PhotoError, match="the TIFF is damaged"):
        decode(sound[:hole] + bytes(60) + sound[hole + 60 :])
    assert decode(sound[: start + length - 2] + bytes(2) + sound[start + length :]).warnings == ()  # no end marker


def test_the_limit_is_judged_before_planes_are_decoded() -> None:
    data = written(corpus.scene(), "rgb", tile=(16, 16))
    with pytest.raises(PhotoError, match=r"96×64 = 6,144 pixels") as caught:
        decoder.decode(data, max_pixels=6143)
    assert caught.value.code == "too_large"
