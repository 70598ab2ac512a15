"""Files that Pillow can't write, or not quite so: put together by their specifications."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

ADOBE_CMYK = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"

_ADAM7 = (8, 8, 4, 4, 2, 2, 1), (8, 8, 8, 4, 4, 2, 2)  # the steps across and down


def saved(picture: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def png(pixels: np.ndarray, colour: int, chunks: dict[bytes, bytes] | None = None) -> bytes:
    """A PNG by the specification alone, for what Pillow can't write: `pixels` H×W×C of uint8 or uint16."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    raw = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour, 0, 0, 0)
    parts = {b"IHDR": header, **(chunks or {}), b"IDAT": zlib.compress(raw), b"IEND": b""}
    written = (struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in parts.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def interlaced_png(pixels: np.ndarray) -> bytes:
    """A PNG in the seven passes of Adam7: `pixels` H×W×3 of uint8."""
    raw = b""
    for left, top, across, down in zip((0, 4, 0, 2, 0, 1, 0), (0, 0, 4, 0, 2, 0, 1), *_ADAM7, strict=True):
        part = pixels[top::down, left::across]
        raw += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 1)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(raw), b"IEND": b""}
    written = (struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in parts.items())
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def tiff(pixels: np.ndarray, photometric: int, *, order: str = "<", extra: int | None = None) -> bytes:
    """An uncompressed TIFF by the specification alone: `pixels` H×W×C of uint8 or uint16."""
    height, width, channels = pixels.shape
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits = struct.pack(f"{order}{channels}H", *[8 * pixels.itemsize] * channels)
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: channels, 278: height}
    entries |= {279: len(body)} | ({338: extra} if extra is not None else {})
    place = 8 + len(body)
    table = struct.pack(order + "H", len(entries))
    for tag, value in sorted(entries.items()):
        if isinstance(value, int):
            table += struct.pack(order + "HHII", tag, 4, 1, value)
        elif len(value) <= 4:
            table += struct.pack(order + "HHI", tag, 3, channels) + value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "HHII", tag, 3, channels, place + 2 + 12 * len(entries) + 4)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", place)
    return head + body + table + bytes(4) + bits


def planes(pixels: np.ndarray, photometric: int) -> bytes:
    """A TIFF as `tiff` makes it, but with each channel in a plane and strip of its own."""
    height, width, channels = pixels.shape
    data = tiff(np.moveaxis(pixels, 2, 0).reshape(height, width, channels), photometric)
    length, body = height * width * pixels.itemsize, len(pixels.tobytes())
    (count,) = struct.unpack_from("<H", data, 8 + body)
    entries = [data[i : i + 12] for i in range(10 + body, 10 + body + 12 * count, 12)]
    changed = {273: len(data), 279: len(data) + 4 * channels}
    entries = [
        e[:4] + struct.pack("<II", channels, changed[t]) if (t := e[0] | e[1] << 8) in changed else e for e in entries
    ]
    entries.append(struct.pack("<HHII", 284, 4, 1, 2))
    places = struct.pack(f"<{2 * channels}I", *(8 + i * length for i in range(channels)), *[length] * channels)
    end = len(data) + len(places)
    return (
        b"II*\0"
        + struct.pack("<I", end)
        + data[8:]
        + places
        + struct.pack("<H", count + 1)
        + b"".join(entries)
        + bytes(4)
    )


def stored_cmyk(stored: np.ndarray, adobe: bytes, **options: Any) -> bytes:
    """A four-channel JPEG that holds the numbers `stored` (H×W×4) and Adobe's marker as given, or none."""
    picture = Image.frombytes("CMYK", stored.shape[1::-1], (255 - stored).tobytes())  # Pillow turns them round
    data = saved(picture, "JPEG", quality=97, subsampling=0, **options)
    assert data.count(ADOBE_CMYK) == 1
    return data.replace(ADOBE_CMYK, adobe)


def with_luma_table_for_black(data: bytes) -> bytes:
    """Two quantisation tables shared out as YCCK does: one for luma and black, one for chroma."""
    place = data.index(b"\xff\xc0\x00\x14") + 10 + 11
    return data[:place] + b"\0" + data[place + 1 :]


def bmp(pixels: np.ndarray, header: int = 124) -> bytes:
    """A BMP of RGBA pixels, H×W×4 uint8, with bit fields; its header has 124 (V5), 108 (V4) or 56 bytes (V3)."""
    height, width = pixels.shape[:2]
    body = np.ascontiguousarray(pixels[::-1, :, [2, 1, 0, 3]]).tobytes()
    fields = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    fields += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs"
    fields = fields[:header].ljust(header, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + header + len(body), 0, 0, 14 + header) + fields + body
