"""A picture looks the same whatever its format states its colours in; what can't be converted is said."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import corpus
import heicfiles
import iccprofiles as icc
import numpy as np
import pi_heif
import pytest
import statedcolours as made
from handmade import png, saved, tiff
from PIL import Image
from statedcolours import BT2020, BT2020_HLG, BT2020_PQ, LINEAR_SRGB, P3_SRGB, SRGB_SRGB

from glasseg.images import decoder

IMAGE, GREY = corpus.scene(), corpus.grey_scene()
P3, ADOBE, PROPHOTO = icc.DISPLAY_P3, icc.ADOBE_RGB, icc.PROPHOTO
AS_P3 = made.coded(IMAGE, P3, made.srgb, 255)
AS_ADOBE = made.coded(IMAGE, ADOBE, made.power(563 / 256), 255)
AS_LINEAR = made.coded(IMAGE, LINEAR_SRGB, made.power(1))
AS_PQ = made.coded(IMAGE, BT2020, made.pq)
AS_HLG = made.coded(IMAGE, BT2020, made.hlg)
LINEAR_PROFILE = {b"iCCP": b"linear\0\0" + zlib.compress(icc.matrix_profile(LINEAR_SRGB))}
PROFILE = {b"iCCP": b"P3\0\0" + zlib.compress(icc.matrix_profile(P3))}
BEST = {"quality": 97, "subsampling": 0}
DARK_CURVE = (65535 * np.linspace(0, 1, 256) ** 1.8).round()


def narrow(values: np.ndarray) -> np.ndarray:
    return (16 + values * (219 / 255)).round().astype(np.uint8)


FILES: dict[str, Callable[[], bytes]] = {
    "cICP P3.png": lambda: png(AS_P3, 2, made.cicp(*P3_SRGB)),
    "cICP P3 in 16 bits.png": lambda: png(made.coded(IMAGE, P3, made.srgb), 2, made.cicp(*P3_SRGB)),
    "cICP PQ.png": lambda: png(AS_PQ, 2, made.cicp(*BT2020_PQ)),
    "cICP PQ in 8 bits.png": lambda: png((AS_PQ / 257).round().astype(np.uint8), 2, made.cicp(*BT2020_PQ)),
    "cICP HLG.png": lambda: png(AS_HLG, 2, made.cicp(*BT2020_HLG)),
    "cICP linear.png": lambda: png(AS_LINEAR, 2, made.cicp(1, 8)),
    "cICP gamma 2.2.png": lambda: png(made.coded(IMAGE, LINEAR_SRGB, made.power(2.2), 255), 2, made.cicp(1, 4)),
    "cICP BT.2020.png": lambda: png(made.coded(IMAGE, BT2020, made.srgb), 2, made.cicp(9, 14)),
    "cICP narrow.png": lambda: png(narrow(IMAGE), 2, made.cicp(1, 13, full=False)),
    "cICP before a profile.png": lambda: png(IMAGE, 2, made.cicp(*SRGB_SRGB) | PROFILE),
    "cICP unspecified, then a profile.png": lambda: png(AS_P3, 2, made.cicp(2, 2) | PROFILE),
    "cICP with mDCV and cLLI.png": lambda: png(
        AS_PQ, 2, made.cicp(*BT2020_PQ) | {b"mDCV": bytes(24), b"cLLI": bytes(8)}
    ),
    "a profile before sRGB and gAMA.png": lambda: png(AS_P3, 2, PROFILE | {b"sRGB": b"\0"} | made.gama(1)),
    "sRGB before gAMA and cHRM.png": lambda: png(IMAGE, 2, {b"sRGB": b"\0"} | made.gama(1) | made.chrm(P3)),
    "gAMA linear.png": lambda: png(AS_LINEAR, 2, made.gama(1)),
    "gAMA 1.8.png": lambda: png(made.coded(IMAGE, LINEAR_SRGB, made.power(1.8), 255), 2, made.gama(1 / 1.8)),
    "gAMA linear, grey.png": lambda: made.deep_png(AS_GREY_LINEAR, made.gama(1)),
    "gAMA of sRGB.png": lambda: png(IMAGE, 2, made.gama(0.45455)),
    "cHRM of sRGB.png": lambda: png(IMAGE, 2, made.gama(0.45455) | made.chrm(icc.SRGB)),
    "cHRM P3.png": lambda: png(AS_P3, 2, made.gama(0.45455) | made.chrm(P3)),
    "gAMA and cHRM of Adobe RGB.png": lambda: png(AS_ADOBE, 2, made.gama(256 / 563) | made.chrm(ADOBE)),
    "gAMA and cHRM of Adobe RGB, rounded.png": lambda: png(AS_ADOBE, 2, made.gama(0.45455) | made.chrm(ADOBE)),
    "cHRM alone.png": lambda: png(AS_P3, 2, made.chrm(P3)),
    "gAMA and cHRM of ProPhoto.png": lambda: png(
        made.coded(IMAGE, PROPHOTO, made.power(1.8)), 2, made.gama(1 / 1.8) | made.chrm(PROPHOTO)
    ),
    "P3.avif": lambda: made.avif(AS_P3, 8, *P3_SRGB),
    "PQ in 10 bits.avif": lambda: made.avif(made.coded(IMAGE, BT2020, made.pq, 1023), 10, *BT2020_PQ),
    "PQ in 12 bits.avif": lambda: made.avif(made.coded(IMAGE, BT2020, made.pq, 4095), 12, *BT2020_PQ),
    "HLG in 10 bits.avif": lambda: made.avif(made.coded(IMAGE, BT2020, made.hlg, 1023), 10, *BT2020_HLG),
    "BT.709, as video tools write.avif": lambda: made.avif(IMAGE, 8, 1, 1),
    "unspecified.avif": lambda: made.avif(IMAGE, 8, 2, 2),
    "primaries of Adobe RGB.png": lambda: png(AS_ADOBE, 2, made.chrm(ADOBE)),
    "primaries of Adobe RGB.tif": lambda: made.tiff(AS_ADOBE, ADOBE),
    "P3.tif": lambda: made.tiff(AS_P3, P3),
    "sRGB, as ImageMagick writes.tif": lambda: made.tiff(IMAGE, icc.SRGB),
    "a curve.tif": lambda: made.tiff(made.coded(IMAGE, LINEAR_SRGB, made.power(1.8), 255), None, DARK_CURVE),
    "three curves.tif": lambda: made.tiff(
        made.coded(IMAGE, LINEAR_SRGB, made.power(1.8), 255), icc.SRGB, np.stack([DARK_CURVE] * 3)
    ),
    "primaries.bmp": lambda: made.bmp(AS_ADOBE, bytes(4), ADOBE),
    "a profile.bmp": lambda: made.bmp(AS_P3, b"DEBM", profile=icc.matrix_profile(P3)),
    "nothing.bmp": lambda: made.bmp(IMAGE, bytes(4)),
    "sRGB.bmp": lambda: made.bmp(IMAGE, b"BGRs", ADOBE),
    "a linear profile.png": lambda: png(AS_LINEAR, 2, LINEAR_PROFILE),
    "a linear profile, grey.png": lambda: made.deep_png(
        AS_GREY_LINEAR, {b"iCCP": b"grey\0\0" + zlib.compress(icc.grey_profile(1.0))}
    ),
    "Adobe RGB by DCF.jpg": lambda: saved(AS_ADOBE, "JPEG", exif=made.exif(0xFFFF, interoperability="R03"), **BEST),
    "Adobe RGB by number.jpg": lambda: saved(AS_ADOBE, "JPEG", exif=made.exif(2), **BEST),
    "Adobe RGB by its primaries.jpg": lambda: saved(AS_ADOBE, "JPEG", exif=made.exif(0xFFFF, described=ADOBE), **BEST),
    "Adobe RGB by DCF.webp": lambda: saved(
        AS_ADOBE, "WEBP", lossless=True, exif=made.exif(0xFFFF, interoperability="R03")
    ),
    "Adobe RGB by number.tif": lambda: made.tiff_with_exif(AS_ADOBE, 2),
    "a profile before EXIF.jpg": lambda: saved(
        AS_P3,
        "JPEG",
        exif=made.exif(0xFFFF, interoperability="R03"),
        icc_profile=icc.matrix_profile(P3),
        **BEST,
    ),
    "a profile of high dynamic range.png": lambda: png(AS_PQ, 2, {b"iCCP": b"PQ\0\0" + zlib.compress(WITH_CICP)}),
}
AS_GREY_LINEAR = made.coded(np.dstack([GREY] * 3), LINEAR_SRGB, made.power(1))[..., 0]


def profile_with_cicp(primaries: int, transfer: int) -> bytes:
    """A profile of another space with the tag of ICC.1:2022, 9.2.17, which counts in high dynamic range."""
    profile = icc.matrix_profile(icc.SRGB)
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(count)]
    entries = [(name, start + 12, length) for name, start, length in entries] + [(b"cicp", len(profile) + 12, 12)]
    table = b"".join(struct.pack(">4sII", *entry) for entry in entries)
    body = profile[132 + 12 * count :] + b"cicp" + bytes(4) + bytes([primaries, transfer, 0, 1])
    whole = profile[:128] + struct.pack(">I", count + 1) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


WITH_CICP = profile_with_cicp(*BT2020_PQ)


def decode(data: bytes) -> decoder.Photo:
    return decoder.decode(data, max_pixels=10**8)


@pytest.mark.parametrize("name", FILES)
def test_a_picture_looks_the_same_in_whatever_terms_its_colours_are_stated(name: str) -> None:
    photo = decode(FILES[name]())
    expected = np.dstack([GREY] * 3) if "grey" in name else IMAGE
    lossless = name.endswith(("png", "tif", "webp", "bmp")) and "PQ in 8 bits" not in name
    difference = np.abs(photo.image - expected.astype(float))
    assert difference.mean() < (0.8 if lossless else 2) and difference.max() < (5 if lossless else 60)
    assert photo.warnings == ()


@pytest.mark.parametrize("name", ["gAMA of sRGB.png", "cHRM of sRGB.png", "sRGB before gAMA and cHRM.png"])
def test_what_is_srgb_in_other_words_stays_as_it_is(name: str) -> None:
    assert np.array_equal(decode(FILES[name]()).image, IMAGE)


def test_a_heic_in_display_p3_is_converted() -> None:
    difference = np.abs(decode(made.with_nclx(heicfiles.RGB, *P3_SRGB)).image - icc.rgb_to_srgb(IMAGE, P3))
    assert difference.mean() < 2


def test_a_heic_of_high_dynamic_range_is_converted_from_all_its_bits() -> None:
    data = made.with_nclx(heicfiles.TEN_BITS, *BT2020_HLG)
    opened = pi_heif.open_heif(data, convert_hdr_to_8bit=False)
    stored = np.asarray(opened) / (1023 << 6)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(stored <= 0.5, stored**2 / 3, (np.exp((stored - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    shown = 1000 / 203 * scene * luminance[..., None] ** 0.2
    dark = (shown < 1).all(axis=2)  # the rest is clipped
    difference = np.abs(decode(data).image - icc.xyz_to_srgb(shown @ BT2020.to_xyz().T))[dark]
    assert dark.sum() > 500 and difference.max() < 1


DARK = np.arange(30, dtype=np.uint8).repeat(90).reshape(-1, 30, 1).repeat(3, axis=2)
DARK_LINEAR = made.coded(DARK, LINEAR_SRGB, made.power(1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: png(DARK_LINEAR, 2, made.gama(1)),
        lambda: png(DARK_LINEAR, 2, LINEAR_PROFILE),
        lambda: saved_deep_tiff(DARK_LINEAR, icc.matrix_profile(LINEAR_SRGB)),
        lambda: made.deep_png(DARK_LINEAR[..., 0], {b"iCCP": b"x\0\0" + zlib.compress(icc.grey_profile(1.0))}),
    ],
    ids=["gAMA", "profile", "profile in TIFF", "profile of grey"],
)
def test_the_dark_parts_of_a_linear_picture_keep_their_shades(make: Callable[[], bytes]) -> None:
    photo = decode(make())
    assert photo.warnings == () and np.abs(photo.image.astype(int) - DARK).max() <= 1


def saved_deep_tiff(pixels: np.ndarray, profile: bytes) -> bytes:
    data = tiff(pixels, 2)
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    start = len(data)
    table = data[place + 2 : place + 2 + 12 * count] + struct.pack("<HHII", 34675, 7, len(profile), start)
    table = struct.pack("<H", count + 1) + table + bytes(4)
    return data[:4] + struct.pack("<I", start + len(profile)) + data[8:] + profile + table


def test_a_transparent_picture_keeps_its_transparency() -> None:
    alpha = corpus.alpha_scene()
    data = png(np.dstack([AS_PQ, alpha.astype(np.uint16) * 257]), 6, made.cicp(*BT2020_PQ))
    photo = decode(data)
    assert np.array_equal(photo.alpha, alpha) and np.abs(photo.image - IMAGE.astype(float)).mean() < 0.8


@pytest.mark.parametrize(("code", "coding"), [(BT2020_PQ, made.pq), (BT2020_HLG, made.hlg)])
def test_what_is_brighter_than_paper_becomes_white_or_keeps_its_hue(
    code: tuple[int, int], coding: Callable[[np.ndarray], np.ndarray]
) -> None:
    paper, lamp, amber = np.ones(3), 4 * np.ones(3), 3 * np.array([1.0, 0.6, 0.3])
    light = np.array([[paper, lamp, amber, amber / 3]])
    photo = decode(png((coding(light) * 65535).round().astype(np.uint16), 2, made.cicp(*code)))
    assert (photo.image[0, :2] >= 254).all()
    assert np.abs(photo.image[0, 2].astype(int) - photo.image[0, 3]).max() <= 2
    assert photo.warnings == ("HDR: 50% of it is brighter than white (203 cd/m²) and was clipped",)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("codes of the future.png", lambda: png(IMAGE, 2, made.cicp(77, 13)), "codes"),
        ("a logarithm.png", lambda: png(IMAGE, 2, made.cicp(1, 9)), "transfer 9"),
        ("a matrix.png", lambda: png(IMAGE, 2, {b"cICP": b"\x01\x0d\x06\x01"}), "matrix"),
        ("no gamma.png", lambda: png(IMAGE, 2, made.gama(0)), "gamma"),
        ("no primaries.png", lambda: png(IMAGE, 2, {b"cHRM": bytes(32)}), "primaries"),
        ("a logarithm.avif", lambda: made.avif(IMAGE, 8, 1, 9), "transfer 9"),
        ("uncalibrated.jpg", lambda: saved(IMAGE, "JPEG", exif=made.exif(0xFFFF), **BEST), "uncalibrated"),
        ("uncalibrated.tif", lambda: made.tiff_with_exif(IMAGE, 0xFFFF), "uncalibrated"),
        ("a profile elsewhere.bmp", lambda: made.bmp(IMAGE, b"KNIL"), "another file"),
        ("no curve.tif", lambda: made.tiff(IMAGE, None, DARK_CURVE[::-1]), "curve"),
    ],
)
def test_what_cannot_be_converted_is_said(name: str, data: Callable[[], bytes], said: str) -> None:
    photo = decode(data())
    assert photo.image.shape == IMAGE.shape
    assert any(said in remark and "sRGB" in remark for remark in photo.warnings)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_a_grey_png_with_a_transparent_shade_keeps_its_profile(mode: str) -> None:
    grey = Image.fromarray(np.where(GREY < 100, GREY, 255).astype(np.uint8)).convert(mode)
    photo = decode(saved(grey, "PNG", icc_profile=icc.grey_profile(1.0), transparency=255))
    shades = np.asarray(grey.convert("L"))
    assert np.abs(photo.image - icc.grey_to_srgb(shades, 1.0)).max() < 1
    assert np.array_equal(photo.alpha, np.where(shades == 255, 0, 255)) and photo.warnings == ()


def test_inks_without_a_profile_are_not_taken_for_rgb_of_another_space() -> None:
    inks = Image.frombytes("CMYK", (96, 64), corpus.inks_scene().tobytes())
    photo = decode(saved(inks, "JPEG", exif=made.exif(0xFFFF)))
    assert photo.warnings == ("CMYK without a profile: colours are approximate",)


def test_a_broken_profile_gives_way_to_what_else_is_stated() -> None:
    photo = decode(png(AS_P3, 2, {b"iCCP": b"P3\0\0" + zlib.compress(b"no profile")} | made.chrm(P3)))
    assert np.abs(photo.image - IMAGE.astype(float)).mean() < 0.8
    assert photo.warnings == ("its colour profile is broken and was ignored",)
