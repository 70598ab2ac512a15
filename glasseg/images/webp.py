"""The chunks of a WebP (RFC 9649), and a WebP without the metadata that would cost a reader the picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_PIXELS: Final = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
_KNOWN: Final = _PIXELS | {b"ICCP", b"EXIF", b"XMP "}


def is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def without_bad_metadata(data: bytes, remarks: list[str]) -> bytes:
    """The WebP without metadata that are cut off, and with the length that it has; as it is if nothing is wrong.

    One whose pixels are cut off stays as it is too.
    """
    chunks = list(_chunks(data))
    if any(name in _PIXELS and end > len(data) for name, _, end in chunks):
        return data
    whole = [(name, start, end) for name, start, end in chunks if end <= len(data)]
    cut = len(whole) < len(chunks)
    (length,) = struct.unpack_from("<I", data, 4)
    needed = max((end + end % 2 for name, _, end in whole if name in _PIXELS), default=0)
    padded = all(end + end % 2 <= len(data) for _, _, end in whole)
    if not cut and padded and needed <= 8 + length <= len(data):
        return data
    remarks.append("the WebP's metadata are cut off and were ignored" if cut else "the WebP says a wrong length")
    body = b"WEBP" + b"".join(data[start:end].ljust(end - start + (end - start) % 2, b"\0") for _, start, end in whole)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end without padding) of each chunk, up to what is no part of a WebP."""
    place = 12
    while place + 8 <= len(data) and data[place : place + 4] in _KNOWN:
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], place, end
        place = end + end % 2
