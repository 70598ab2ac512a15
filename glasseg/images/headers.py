"""What is in the headers of some formats that Pillow does not report, or only after it has allocated the picture."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

from PIL import Image, TiffImagePlugin

_BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_LENGTH = 258, 262, 322, 323  # numbers of the TIFF 6.0 specification


def size_before_opening(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP or GIF, for which opening alone already allocates the picture; else None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return max(_gif_extents(data), default=None)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Following RFC 9649: that of the canvas, or of the only bitstream in a simple file."""
    kind, body = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", body[6:])
        return width & 0x3FFF, height & 0x3FFF
    return None


def first_webp(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """The first picture of an animated WebP as a file of its own, and its (left, top); a still WebP as it is."""
    if data[12:16] != b"VP8X" or len(data) < 30 or not data[20] & 2:
        return data, (0, 0)
    place = 12
    while place + 24 <= len(data) and data[place : place + 4] != b"ANMF":
        place += 8 + _even(data[place + 4 : place + 8])
    size = _even(data[place + 4 : place + 8])
    head, body = data[place + 8 : place + 24], data[place + 24 : place + 8 + size]
    flags = 0 if body[:4] == b"VP8 " else 0x10
    parts = b"WEBPVP8X" + struct.pack("<II", 10, flags) + head[6:12] + body
    corner = 2 * int.from_bytes(head[:3], "little"), 2 * int.from_bytes(head[3:6], "little")
    return b"RIFF" + struct.pack("<I", len(parts)) + parts, corner


def _even(length: bytes) -> int:
    """A chunk's length including its padding."""
    return int.from_bytes(length, "little") + 1 & ~1


def _gif_extents(data: bytes) -> list[tuple[int, int]]:
    """(width, height) of the screen that the first frame needs; empty if there is no frame."""
    screen: tuple[int, int] = struct.unpack("<HH", data[6:10]) if len(data) > 9 else (0, 0)
    return [(max(screen[0], w), max(screen[1], h)) for w, h in _gif_frames(data, most=1)]


def _gif_frames(data: bytes, most: int) -> Iterator[tuple[int, int]]:
    """(right, bottom) of each of the first `most` frames, following the GIF89a specification."""
    place = 13 + _gif_palette(data[10:11])
    while most and place < len(data):
        if data[place] == 0x21:  # an extension
            place += 2
        elif data[place] == 0x2C and place + 10 <= len(data):
            left, top, width, height = struct.unpack("<4H", data[place + 1 : place + 9])
            yield left + width, top + height
            most -= 1
            place += 11 + _gif_palette(data[place + 9 : place + 10])
        else:
            place += 1  # as Pillow does
            continue
        while place < len(data) and data[place]:  # its sub-blocks
            place += 1 + data[place]
        place += 1


def _gif_palette(flags: bytes) -> int:
    """How many bytes of palette follow the flags."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def heif_with_text(data: bytes) -> bytes:
    """A HEIF or AVIF file whose items have types and names that are text (ISO/IEC 14496-12); as it is if they are.

    Others make pi-heif 1.4 end the process, since it turns them into Python strings without a check.
    """
    changed = bytearray(data)
    for start, end in _heif_items(data):
        text = data[start:end]
        with contextlib.suppress(UnicodeDecodeError):
            text.decode()
            continue
        changed[start:end] = bytes(byte if byte < 128 else ord("?") for byte in text)
    return data if changed == data else bytes(changed)


def heif_without_exif(data: bytes) -> bytes:
    """A HEIF or AVIF file in which the EXIF is marked as an item of an unknown kind, which readers skip."""
    changed = bytearray(data)
    for start, _ in _heif_items(data):
        if data[start : start + 4] == b"Exif":
            changed[start : start + 4] = b"skip"
    return bytes(changed)


def heif_unspecified(data: bytes) -> bytes:
    """A HEIF or AVIF file that says nothing about its colours but the range of values and the usual matrices."""
    changed = bytearray(data)
    for start, end in _meta_boxes(data):
        place = data.find(b"colr", start, end)
        while place >= 0:
            if data[place + 4 : place + 8] == b"nclx" and place + 15 <= end:
                primaries, transfer, matrix = 2, 2, int.from_bytes(data[place + 12 : place + 14], "big")  # unspecified
                struct.pack_into(">3H", changed, place + 8, primaries, transfer, matrix if matrix < 15 else 2)
            else:
                changed[place : place + 4] = b"free"
            place = data.find(b"colr", place + 4, end)
    return bytes(changed)


def _heif_items(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of the type and names of each item."""
    for start, end in _meta_boxes(data):
        place = data.find(b"infe", start, end)
        while place >= 0:
            text = place + (14 if data[place + 4 : place + 5] == b"\3" else 12)
            yield text, min(end, place - 4 + int.from_bytes(data[place - 4 : place], "big"))
            place = data.find(b"infe", place + 4, end)


def _meta_boxes(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of the top-level boxes with metadata; the others hold coded pixels, in which any bytes may occur."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if size == 1 and place + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, place + 8)
        end = place + size if size >= 8 else len(data)
        if kind == b"meta":
            yield place + 8, end
        place = end


def more_pictures(data: bytes, picture: Image.Image) -> list[str]:
    """A remark if the opened picture is not the file's only page or frame."""
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return []  # `directories` has chosen
    if picture.format == "GIF":
        several = len(list(_gif_frames(data, most=2))) > 1
        return ["animated: the first frame is used"] if several else []
    frames = getattr(picture, "n_frames", 1)
    if frames == 1:
        return []
    if picture.format == "HEIF":
        return [f"{frames} pictures: the one that the file names as its main picture is used"]
    return [f"{frames} frames: the first one is used"]


def exif_is_broken(exif: object) -> bool:
    """Whether this is EXIF that does not begin with a complete directory. Pillow reads it without a warning."""
    if not isinstance(exif, bytes):
        return exif is not None
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 10:
        return True
    (place,) = struct.unpack_from(order + "I", exif, 4)
    if place + 2 > len(exif):
        return True
    (entries,) = struct.unpack_from(order + "H", exif, place)
    return bool(place + 2 + 12 * entries > len(exif))


def tile_size(picture: Image.Image) -> tuple[int, int]:
    """(width, height) of the tiles of an opened TIFF, which are always decoded whole; (1, 1) if it has no tiles."""
    tags = getattr(picture, "tag_v2", {})
    width, height = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_LENGTH, 1)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else (1, 1)


def bits(picture: Image.Image) -> tuple[int, ...]:
    """Of each channel of an opened TIFF."""
    return tuple(getattr(picture, "tag_v2", {}).get(_BITS, (1,)))


def white_level(picture: Image.Image) -> int:
    """The value of white in an opened grey picture with more than 8 bits."""
    bits = getattr(picture, "tag_v2", {}).get(_BITS, (16,))
    return 4095 if bits == (12,) else 65535


def white_is_zero(picture: Image.Image) -> bool:
    """Whether 0 is white in an opened TIFF. Pillow inverts such a picture only if it has up to 8 bits."""
    return bool(getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == 0)
