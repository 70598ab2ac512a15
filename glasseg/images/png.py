"""The chunks of a PNG, and a PNG without the metadata that would cost Pillow the picture (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

LONGEST_METADATA: Final = 16 << 20  # bytes, inflated; no profile and no XMP that anybody wrote is longer
_MOST_METADATA: Final = 32 << 20  # together

# What the pixels, their transparency and their sequence are made of. All else is about them.
_ANIMATION: Final = {b"acTL", b"fcTL", b"fdAT"}
_PIXELS: Final = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"} | _ANIMATION
_LENGTHS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_ONCE: Final = {*_LENGTHS, b"iCCP", b"eXIf"}  # libpng takes the first one
_DEFLATED: Final = {b"iCCP", b"zTXt", b"iTXt"}


@dataclass(frozen=True)
class Chunk:
    name: bytes
    body: bytes
    is_intact: bool
    """Whether its checksum is right."""

    def written(self) -> bytes:
        checksum = zlib.crc32(self.name + self.body)
        return struct.pack(">I", len(self.body)) + self.name + self.body + struct.pack(">I", checksum)


def metadata(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG that are not about pixels, in their order; one that the end of the file cuts is left out."""
    for name, start, end in _places(data):
        if name not in _PIXELS and end <= len(data):
            yield _chunk(data, name, start, end)


def without_bad_metadata(data: bytes, remarks: list[str]) -> bytes:
    """The PNG without metadata that are damaged or huge, with a remark on each kind; as it is, if there are none.

    Chunks that hold pixels or transparency stay as they are, damaged or not.
    """
    kept, copied = [SIGNATURE], len(SIGNATURE)  # up to there `data` is in `kept`
    faults: list[str] = []
    for start, end, chunk, fault in _faulty(data):
        kept += [data[copied:start], b"" if fault else chunk.written()]
        copied = end
        if fault:
            faults.append(f"the PNG's {chunk.name.decode('latin-1')} chunk {fault} and was ignored")
    remarks += dict.fromkeys(faults)
    return data if copied == len(SIGNATURE) else b"".join([*kept, data[copied:]])


def _faulty(data: bytes) -> Iterator[tuple[int, int, Chunk, str | None]]:
    """(start, end, chunk, fault) of the chunks that can't stay as they are; None for those whose checksum is the fault.

    What inflates to its end is whole, whatever its own checksum.
    """
    seen: set[bytes] = set()
    inflated, animated = 0, True
    for name, start, end in _places(data):
        if name in _PIXELS - _ANIMATION or name[:1].isupper():  # unknown, but "critical"
            continue
        chunk = _chunk(data, name, start, end)
        if name in _ANIMATION:
            animated = animated and (name != b"acTL" or (chunk.is_intact and len(chunk.body) == 8))
            if not animated:
                yield start, end, chunk, "is damaged"
            continue
        length = _inflated(chunk)
        inflated += length or 0
        fault = "is cut off" if end > len(data) else "is there twice" if name in seen & _ONCE else None
        fault = fault or _fault(chunk, length, inflated)
        seen.add(name)
        if fault or not chunk.is_intact:
            yield start, end, chunk, fault


def only_pixels(data: bytes) -> bytes:
    """The PNG without any metadata."""
    parts = [data[start:end] for name, start, end in _places(data) if name in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}]
    return b"".join([SIGNATURE, *parts])


def _places(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each chunk with its length, name and checksum."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if not name.isalpha():  # no chunk
            return
        yield name, place, place + 12 + length
        if name == b"IEND":
            return
        place += 12 + length


def _chunk(data: bytes, name: bytes, start: int, end: int) -> Chunk:
    body, checksum = data[start + 8 : end - 4], data[end - 4 : end]
    return Chunk(name, body, checksum == struct.pack(">I", zlib.crc32(name + body)))


def _inflated(chunk: Chunk) -> int | None:
    """How many bytes a chunk holds, at most one more than the limit; None if they can't be inflated to the end."""
    packed = _packed(chunk)
    if packed is None:
        return len(chunk.body)
    opened = zlib.decompressobj()
    try:
        length = len(opened.decompress(packed, LONGEST_METADATA + 1))
    except zlib.error:
        return None
    return length if opened.eof or length > LONGEST_METADATA else None


def _packed(chunk: Chunk) -> bytes | None:
    """The deflated part of a chunk; None if it has none."""
    if chunk.name not in _DEFLATED:
        return None
    _, _, rest = chunk.body.partition(b"\0")
    if chunk.name != b"iTXt":
        return rest[1:]
    return rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else None


def _fault(chunk: Chunk, length: int | None, inflated: int) -> str | None:
    """What is wrong with a chunk of metadata that holds `length` bytes, all so far together `inflated`."""
    if length is None or (not chunk.is_intact and _packed(chunk) is None):
        return "is damaged"
    if length > LONGEST_METADATA or inflated > _MOST_METADATA:
        return "is too large"
    method = chunk.body.partition(b"\0")[2][:1]
    wrong_method = chunk.name in {b"iCCP", b"zTXt"} and method != b"\0"
    return "is damaged" if wrong_method or len(chunk.body) != _LENGTHS.get(chunk.name, len(chunk.body)) else None
