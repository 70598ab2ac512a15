"""Metadata never cost a photo, whatever is wrong with them; pixels that are missing always do."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import corpus
import heicfiles
import iccprofiles as icc
import numpy as np
import pytest
from handmade import interlaced_png, saved
from PIL import Image, TiffImagePlugin

from glasseg.errors import PhotoError
from glasseg.images import decoder

IMAGE = corpus.scene()
JPEG = saved(IMAGE, "JPEG", quality=95, subsampling=0)
PROGRESSIVE = saved(IMAGE, "JPEG", quality=95, subsampling=0, progressive=True)
PNG = saved(IMAGE, "PNG")
WEBP = saved(IMAGE, "WEBP", quality=98)
AVIF = saved(IMAGE, "AVIF", quality=98, subsampling="4:4:4")
THUMBNAIL = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + saved(IMAGE[::2, ::2], "JPEG")
XMP = b"http://ns.adobe.com/xap/1.0/\0"
WRONG = b"\1\2\3\4"


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    """A segment of a JPEG, of which the length may be a lie."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def in_jpeg(*segments: bytes, place: int = 20) -> bytes:
    """Behind the JFIF header, or before it."""
    return JPEG[:place] + b"".join(segments) + JPEG[place:]


def chunk(name: bytes, body: bytes, checksum: bytes | None = None) -> bytes:
    checksum = checksum or struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + checksum


def in_png(*chunks: bytes, place: int = 33) -> bytes:
    """Behind the header, or before the end."""
    return b"".join([PNG[:place], *chunks, PNG[place:]])


def xmp_chunk(packet: bytes, *, packed: bool = True) -> bytes:
    text = zlib.compress(packet) if packed else packet
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([packed]) + b"\0\0\0" + text)


def webp(*chunks: bytes, flags: int, length: int | None = None) -> bytes:
    head = struct.pack("<4sIB3x", b"VP8X", 10, flags) + (95).to_bytes(3, "little") + (63).to_bytes(3, "little")
    body = b"".join([b"WEBP", head, WEBP[12:], *chunks])
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def webp_chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if length is None else length) + body + bytes(len(body) % 2)


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def tiff(tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF with one more tag."""
    data = saved(IMAGE, "TIFF")
    (place,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, place)
    table = [data[start : start + 12] for start in range(place + 2, place + 2 + 12 * entries, 12)]
    table = sorted([*table, struct.pack("<HHII", tag, kind, count, value)], key=lambda entry: entry[1::-1])
    return (
        data[:4]
        + struct.pack("<I", len(data))
        + data[8:]
        + struct.pack("<H", entries + 1)
        + b"".join([*table, bytes(4)])
    )


BROKEN_8BIM = b"Photoshop 3.0\x008BIM\x04\x04"
JPEGS = {
    "no end": JPEG[:-2],
    "half an end": JPEG[:-1],
    "no end, progressive": PROGRESSIVE[:-2],
    "no end, the block filled": JPEG[:-2] + bytes(512),
    "no end, the block filled with FF": JPEG[:-2] + b"\xff" * 512,
    "a thumbnail behind a length too short": in_jpeg(segment(0xE1, THUMBNAIL, 40)),
    "a length too short": in_jpeg(segment(0xE1, XMP + b"<x/>" * 100, 60)),
    "a length too long": in_jpeg(segment(0xE1, b"Exif\0\0" + b"z" * 100, 400)),
    "a length beyond the end": in_jpeg(segment(0xE1, b"Exif\0\0" + b"z" * 100, 65_000)),
    "a comment beyond the end": in_jpeg(segment(0xFE, b"hello", 65_000)),
    "a length of 0": in_jpeg(b"\xff\xe1\0\0"),
    "a length of 1": in_jpeg(b"\xff\xe1\0\1abc"),
    "two lengths wrong": in_jpeg(segment(0xE1, THUMBNAIL, 40), segment(0xE2, b"MPF\0" + b"x" * 60, 9)),
    "bytes between segments": in_jpeg(b"no marker"),
    "a marker of no meaning": in_jpeg(segment(0xF0, b"abc")),
    "a reserved marker": in_jpeg(segment(0x02, b"abc")),
    "JFIF too short": in_jpeg(segment(0xE0, b"JFIF\0\1"), place=2),
    "Adobe's marker too short": in_jpeg(segment(0xEE, b"Adobe\0"), place=2),
    "Photoshop's block cut off": in_jpeg(segment(0xED, BROKEN_8BIM), place=2),
    "a profile without its number": in_jpeg(segment(0xE2, b"ICC_PROFILE\0"), place=2),
    "three kinds broken": in_jpeg(
        segment(0xEE, b"Adobe\0"), segment(0xED, BROKEN_8BIM), segment(0xE2, b"ICC_PROFILE\0"), place=2
    ),
    "XMP cut off": in_jpeg(segment(0xE1, XMP + b"<x:xmpmeta><rdf")),
    "XMP of any bytes": in_jpeg(segment(0xE1, XMP + bytes(range(256)) * 20)),
    "EXIF of nothing": in_jpeg(segment(0xE1, b"Exif\0\0")),
    "EXIF twice": in_jpeg(segment(0xE1, THUMBNAIL), segment(0xE1, THUMBNAIL)),
    "a profile of which parts are missing": in_jpeg(segment(0xE2, b"ICC_PROFILE\0\1\3abc")),
    "something behind the end": JPEG + b"something" * 99,
    "a second picture behind the end, cut off": JPEG + JPEG[:500],
}
PNGS = {
    "2 MB of XMP, packed": in_png(xmp_chunk(b"a" * 1_900_000)),
    "2 MB of XMP behind the pixels": in_png(xmp_chunk(b"a" * 1_900_000), place=-12),
    "30 MB of XMP": in_png(xmp_chunk(b"a" * 30_000_000)),
    "80 MB of texts": in_png(*[chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 4_000_000)) for _ in range(20)]),
    "3 MB of profile": in_png(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"z" * 3_000_000))),
    "30 MB of profile": in_png(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"z" * 30_000_000))),
    "a profile packed in no known way": in_png(chunk(b"iCCP", b"x\0\7" + zlib.compress(b"z" * 300))),
    "a profile without a name": in_png(chunk(b"iCCP", b"x")),
    "a text packed in no known way": in_png(chunk(b"zTXt", b"x\0\7" + zlib.compress(b"z" * 300))),
    "nothing in any": in_png(*[chunk(name, b"") for name in (b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"cICP")]),
    "nothing in texts": in_png(*[chunk(name, b"") for name in (b"tEXt", b"zTXt", b"iTXt", b"eXIf")]),
    "a transparency of no possible length": in_png(chunk(b"tRNS", b"")),
    "an animation that is none": in_png(chunk(b"acTL", b"\1")),
    "a text cut off": in_png(chunk(b"tEXt", b"a\0" + b"b" * 1000), place=-12)[:-300],
    "no end": PNG[:-12],
    "something behind the end": PNG + b"something" * 99,
    **{
        f"a wrong checksum of {name.decode()}": in_png(chunk(name, body, WRONG))
        for name, body in {
            b"pHYs": bytes(9),
            b"gAMA": struct.pack(">I", 100_000),
            b"sRGB": b"\0",
            b"cICP": b"\x09\x10\0\1",
            b"iCCP": b"x\0\0" + zlib.compress(icc.matrix_profile(icc.SRGB)),
            b"tEXt": b"a\0b",
            b"iTXt": b"a\0\0\0\0\0b",
            b"eXIf": b"MM\0*",
            b"tIME": bytes(7),
            b"acTL": bytes(8),
            b"prVt": b"abc",
        }.items()
    },
}
WEBPS = {
    "EXIF of nothing": webp(webp_chunk(b"EXIF", b"nonsense"), flags=8),
    "EXIF promised and missing": webp(flags=8),
    "EXIF beyond the end": webp(webp_chunk(b"EXIF", b"MM\0*", 70_000), flags=8),
    "XMP beyond the end": webp(webp_chunk(b"XMP ", b"<x:xmpmeta", 9999), flags=4),
    "EXIF cut off": webp(webp_chunk(b"EXIF", b"MM\0*" * 99), flags=8)[:-99],
    "EXIF of odd length": webp(b"EXIF" + struct.pack("<I", 5) + b"MM\0*x", flags=8),
    "a profile of nothing": webp(webp_chunk(b"ICCP", b"nonsense"), flags=0x20),
    "a length too long": webp(flags=0, length=1_000_000),
    "a length too short": webp(flags=0, length=20),
    "a length of 0": WEBP[:4] + bytes(4) + WEBP[8:],
    "something behind the end": WEBP + b"something" * 99,
}
HEIFS = {
    "EXIF of nothing.heic": replaced(heicfiles.TURNED, b"MM\0*", b"no\0*"),
    "a name in Latin-1.heic": replaced(heicfiles.TURNED, b"Exif\0\0", b"Exif\xfc\0"),
    "colours of an unknown kind.heic": replaced(heicfiles.RGB, b"colrnclx", b"colrabcd"),
    "colours in unknown terms.heic": replaced(heicfiles.RGB, b"nclx\0\1\0\x0d\0\6", b"nclx\0\x63\0\x63\0\6"),
    "a matrix of the future.heic": replaced(heicfiles.RGB, b"nclx\0\1\0\x0d\0\6", b"nclx\0\1\0\x0d\0\x63"),
    "a profile that is none.heic": replaced(heicfiles.RGB, b"colrnclx", b"colrprof"),
    "a box beyond the end.heic": heicfiles.RGB + struct.pack(">I4s", 9999, b"free"),
    "colours in unknown terms.avif": replaced(AVIF, b"nclx\0\1\0\x0d\0\6", b"nclx\0\x63\0\x63\0\6"),
    "colours of an unknown kind.avif": replaced(AVIF, b"colrnclx", b"colrabcd"),
    "something behind the end.avif": AVIF + b"something" * 99,
}
TIFFS = {
    "an EXIF directory nowhere": tiff(34665, 4, 1, 0x7FFFFFFF),
    "a GPS directory nowhere": tiff(34853, 4, 1, 99_999_999),
    "a profile nowhere": tiff(34675, 7, 5000, 99_999_999),
    "XMP nowhere": tiff(700, 1, 5000, 99_999_999),
    "Photoshop's block nowhere": tiff(34377, 7, 5000, 99_999_999),
    "a type of the future": tiff(60_000, 99, 1, 1),
    "a MakerNote of a gigabyte": tiff(37_500, 7, 10**9, 8),
    "a white that is none": tiff(318, 5, 2, 8),
    "an orientation that is none": tiff(274, 3, 1, 9),
}
FILES = {
    f"{kind}: {name}": data
    for kind, files in {"JPEG": JPEGS, "PNG": PNGS, "WebP": WEBPS, "HEIF": HEIFS, "TIFF": TIFFS}.items()
    for name, data in files.items()
}


def decode(data: bytes) -> decoder.Photo:
    return decoder.decode(data, max_pixels=10**8)


@pytest.mark.parametrize("name", FILES)
def test_a_photo_with_sound_pixels_is_read_whatever_its_metadata_are(name: str) -> None:
    photo = decode(FILES[name])
    assert photo.image.shape == IMAGE.shape
    assert np.abs(photo.image - IMAGE.astype(float)).mean() < 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("JPEG: no end", "end marker"),
        ("JPEG: a thumbnail behind a length too short", "bytes of them were ignored"),
        ("JPEG: Photoshop's block cut off", "APP13"),
        ("PNG: a wrong checksum of pHYs", "pHYs chunk is damaged"),
        ("PNG: 30 MB of profile", "iCCP chunk is too large"),
        ("PNG: a text cut off", "tEXt chunk is cut off"),
        ("WebP: EXIF cut off", "metadata are cut off"),
        ("HEIF: colours in unknown terms.heic", "unknown terms"),
    ],
)
def test_what_was_ignored_is_said(name: str, said: str) -> None:
    assert any(said in remark for remark in decode(FILES[name]).warnings)


def test_many_broken_texts_make_one_remark() -> None:
    assert len(decode(FILES["PNG: 80 MB of texts"]).warnings) == 1


def test_a_profile_under_a_wrong_checksum_still_counts() -> None:
    packed = b"P3\0\0" + zlib.compress(icc.matrix_profile(icc.DISPLAY_P3))
    expected = decode(in_png(chunk(b"iCCP", packed))).image
    assert np.array_equal(decode(in_png(chunk(b"iCCP", packed, WRONG))).image, expected)
    assert not np.array_equal(expected, IMAGE)


def test_a_transparency_under_a_wrong_checksum_still_counts() -> None:
    key = struct.pack(">3H", *(int(value) for value in IMAGE[0, 0]))
    whole, damaged = (decode(in_png(chunk(b"tRNS", key, checksum))) for checksum in (None, WRONG))
    assert whole.alpha is not None and np.array_equal(damaged.alpha, whole.alpha)
    assert damaged.warnings == ("the PNG's tRNS chunk has a wrong checksum and was used all the same",)


def test_a_broken_profile_does_not_cost_the_orientation() -> None:
    exif = b"Exif\0\0" + corpus.exif(6).tobytes().removeprefix(b"Exif\0\0")
    photo = decode(in_jpeg(segment(0xE1, exif), segment(0xE2, b"ICC_PROFILE\0"), place=2))
    assert photo.image.shape == (96, 64, 3)


@pytest.mark.parametrize("whole", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("filling", [b"", bytes(1), bytes(4000), b"\xff" * 4000, b"x" * 4000], ids=lambda f: str(f[:2]))
def test_a_jpeg_whose_pixels_are_cut_off_is_refused_whatever_fills_its_place(whole: bytes, filling: bytes) -> None:
    start = whole.index(b"\xff\xda")
    for length in range(start, len(whole) - 9, 61):
        with pytest.raises(PhotoError) as caught:
            decode(whole[:length] + filling)
        assert caught.value.code == "unreadable"


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    places = [place for place in range(len(PROGRESSIVE)) if PROGRESSIVE[place : place + 2] == b"\xff\xda"]
    assert len(places) > 5
    for place in places[1:]:
        with pytest.raises(PhotoError):
            decode(PROGRESSIVE[:place])


@pytest.mark.parametrize(
    "data",
    [
        in_png(chunk(b"tEXt", b"a\0b", WRONG))[: len(PNG) // 2],
        in_png(chunk(b"PLTE", bytes(6), WRONG)),  # a part of the picture
        PNG[:29] + WRONG + PNG[33:],
        webp(webp_chunk(b"EXIF", b"MM\0*"), flags=8, length=1_000_000)[: len(WEBP) // 2],
        WEBP[:-60],
    ],
)
def test_a_picture_whose_pixels_are_damaged_is_refused_with_broken_metadata_too(data: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        decode(data)
    assert caught.value.code == "unreadable"


def taller(data: bytes, rows: int) -> bytes:
    """A PNG whose header tells of more rows than there are."""
    header = data[12:20] + struct.pack(">I", rows) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize(
    "whole",
    [
        PNG,
        saved(np.dstack([IMAGE, corpus.alpha_scene()]), "PNG"),
        saved(Image.fromarray(IMAGE).quantize(64), "PNG"),
        saved(corpus.grey_scene(), "PNG"),
        saved(Image.fromarray(corpus.grey_scene() > 128), "PNG"),
    ],
    ids=["rgb", "rgba", "palette", "grey", "one bit"],
)
def test_a_png_with_fewer_rows_than_it_says_is_refused(whole: bytes) -> None:
    for rows in (65, 90):
        with pytest.raises(PhotoError, match="fewer rows"):
            decode(taller(whole, rows))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (9, 3), (96, 64)])
def test_a_black_png_has_all_its_rows(mode: str, size: tuple[int, int]) -> None:
    assert decode(saved(Image.new(mode, size), "PNG")).image.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (9, 3), (64, 96)])
def test_an_interlaced_png_is_read_and_must_have_all_its_rows(size: tuple[int, int]) -> None:
    black = interlaced_png(np.zeros((*size, 3), np.uint8))
    assert decode(black).image.shape == (*size, 3)
    with pytest.raises(PhotoError, match=r"fewer rows|cut off"):
        decode(taller(black, size[0] + 8))
    image = IMAGE[: size[0], : size[1]]
    assert np.array_equal(decode(interlaced_png(image)).image, image)


def test_a_header_made_to_take_long_does_not() -> None:
    tiny = segment(0xE1, b"") * 16_000
    data = in_jpeg(b"\xff\xe1\0\0" + tiny)
    start = time.process_time()
    assert np.array_equal(decode(data).image, decode(JPEG).image)
    with pytest.raises(PhotoError):
        decode(JPEG[:-400] + b"\xff" * 1_000_000 + JPEG[JPEG.index(b"\xff\xda") :][:300] * 3000)
    assert time.process_time() - start < 3


TURN = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'


def tiff_with_xmp() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[700] = 1
    tags[700] = TURN
    return saved(IMAGE, "TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    "make",
    [
        lambda: in_jpeg(segment(0xE1, XMP + TURN)),
        lambda: in_jpeg(segment(0xE1, XMP + TURN.replace(b'="6"/>', b' = "6"/>'))),
        lambda: saved(IMAGE, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", xmp=TURN, quality=95),
        lambda: in_png(xmp_chunk(TURN)),
        lambda: saved(IMAGE, "WEBP", xmp=TURN, quality=98),
        lambda: saved(IMAGE, "AVIF", xmp=TURN, quality=98),
        tiff_with_xmp,
    ],
    ids=["jpg", "jpg, spaced", "jpg with EXIF", "png", "webp", "avif", "tif"],
)
def test_an_orientation_in_xmp_alone_turns_nothing_as_in_browsers(make: Callable[[], bytes]) -> None:
    photo = decode(make())
    assert photo.image.shape == IMAGE.shape
    assert np.abs(photo.image - IMAGE.astype(float)).mean() < 4
    assert any("XMP" in remark for remark in photo.warnings)


@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_decides_where_xmp_says_otherwise(orientation: int) -> None:
    photo = decode(saved(corpus.oriented(orientation), "JPEG", exif=corpus.exif(orientation), xmp=TURN, quality=95))
    assert photo.image.shape == IMAGE.shape and photo.warnings == ()


def test_the_copyright_in_a_large_xmp_is_kept() -> None:
    rights = b'<r xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    rights += b"<dc:rights><rdf:Alt><rdf:li>(c) nobody</rdf:li></rdf:Alt></dc:rights>" + b"<!-- history -->" * 120_000
    assert decode(in_png(xmp_chunk(rights + b"</r>"))).tags.copyright == "(c) nobody"


def test_a_gif_and_a_bmp_with_bytes_left_over_are_read() -> None:
    flat = Image.fromarray(IMAGE).quantize(64)
    for data in (saved(IMAGE, "BMP") + b"x" * 99, saved(flat, "GIF")[:-1], saved(flat, "GIF") + b"x" * 99):
        assert decode(data).image.shape == IMAGE.shape
