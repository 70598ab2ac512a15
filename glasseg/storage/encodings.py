"""`Content-Encoding`: what an object's bytes are under, by its own header."""

from __future__ import annotations

import zlib
from typing import Final

from glasseg.errors import PhotoError

LARGEST: Final = 1 << 29
"""Bytes that a packed object may become; no photo is so large, but a trap may be."""
_GZIP: Final = b"\x1f\x8b"


def decoded(data: bytes, encoding: str, uri: str) -> bytes:
    """The bytes below an object's `Content-Encoding`; a header that does not fit them is ignored.

    Raises PhotoError unreadable for an encoding that isn't gzip, and for gzip that is damaged or grows without end.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    for name in reversed([name for name in names if name not in {"", "identity", "aws-chunked"}]):
        if name not in {"gzip", "x-gzip"}:
            raise PhotoError(
                "unreadable", f"{uri} is stored with Content-Encoding: {name}: store it without, or as gzip"
            )
        if data.startswith(_GZIP):
            data = _unpacked(data, uri)
    return data


def _unpacked(data: bytes, uri: str) -> bytes:
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        found = reader.decompress(data, LARGEST)
    except zlib.error as error:
        raise PhotoError("unreadable", f"{uri} is stored with Content-Encoding: gzip, which is damaged") from error
    if reader.unconsumed_tail:
        raise PhotoError("unreadable", f"{uri} is stored with Content-Encoding: gzip, and too large without it")
    if not reader.eof:
        raise PhotoError("unreadable", f"{uri} is stored with Content-Encoding: gzip, which breaks off")
    return found
