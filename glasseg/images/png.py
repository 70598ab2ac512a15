"""The chunks of a PNG, and a PNG without the metadata that would cost Pillow the picture (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

LONGEST_METADATA: Final = 16 << 20  # bytes, inflated; no profile and no XMP that anybody wrote is longer
_MOST_METADATA: Final = 32 << 20  # together

# What the pixels, their transparency and their sequence are made of. All else is about them.
_ANIMATION: Final = {b"acTL", b"fcTL", b"fdAT"}
_PIXELS: Final = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"} | _ANIMATION
_COLOUR: Final = 25  # where the header says the kind of colour
_TRANSPARENCY: Final[dict[int, Collection[int]]] = {
    0: {2},
    2: {6},
    3: range(1, 257),
}  # the lengths that tRNS can have for each kind
_LENGTHS: Final[dict[bytes, Collection[int]]] = {
    b"gAMA": {4},
    b"cHRM": {32},
    b"sRGB": {1},
    b"cICP": {4},
    b"pHYs": {9},
}
_ONCE: Final = {*_LENGTHS, b"iCCP", b"eXIf"}  # libpng takes the first one
_DEFLATED: Final = {b"iCCP", b"zTXt", b"iTXt"}

_PASSES: Final = (  # of Adam7: left, top, and the steps across and down
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE: Final = 1 << 20


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

    Chunks that hold pixels stay as they are, damaged or not.
    """
    kept, copied = [SIGNATURE], len(SIGNATURE)  # up to there `data` is in `kept`
    faults: list[str] = []
    for start, end, chunk, fault in _faulty(data):
        kept += [data[copied:start], b"" if fault else chunk.written()]
        copied = end
        what = f"{fault} and was ignored" if fault else "has a wrong checksum and was used all the same"
        faults.append(f"the PNG's {chunk.name.decode()} chunk {what}")
    remarks += dict.fromkeys(faults)
    return data if copied == len(SIGNATURE) else b"".join([*kept, data[copied:]])


def _faulty(data: bytes) -> Iterator[tuple[int, int, Chunk, str | None]]:
    """(start, end, chunk, fault) of the chunks that can't stay as they are; None for those whose checksum is the fault.

    What inflates to its end is whole, whatever its own checksum; and a transparency with one wrong bit is better than
    none: what was transparent would show.
    """
    seen: set[bytes] = set()
    inflated, animated = 0, True
    for name, start, end in _places(data):
        if name[:1].isupper():  # "critical": without it there is no picture
            continue
        chunk = _chunk(data, name, start, end)
        fault = "is cut off" if end > len(data) else "is there twice" if name in seen & _ONCE else None
        seen.add(name)
        if name in _ANIMATION:
            animated = animated and (name != b"acTL" or (chunk.is_intact and len(chunk.body) == 8))
            fault = fault or (None if animated else "is damaged")
        else:
            length = _inflated(chunk)
            inflated += length or 0
            fault = fault or _fault(chunk, length, inflated, data[_COLOUR])
        if fault or not chunk.is_intact:
            yield start, end, chunk, fault


def only_pixels(data: bytes) -> bytes:
    """The PNG without any metadata, with right checksums: Pillow has seen to it that the pixels are whole."""
    needed = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    chunks = (_chunk(data, name, start, end) for name, start, end in _places(data) if name in needed)
    return b"".join([SIGNATURE, *(chunk.written() for chunk in chunks)])


def holds_all_rows(data: bytes) -> bool:
    """Whether the pixels go on to the last row. Pillow fills rows that are missing with zeros, without a word."""
    _, width, height, depth, colour, _, _, interlaced = struct.unpack_from(">8sIIBBBBB", data, len(SIGNATURE))
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    needed = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        needed += rows * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    opened = zlib.decompressobj()
    for name, start, end in _places(data):
        packed = data[start + 8 : end - 4] if name == b"IDAT" else b""
        while packed and needed > 0:
            needed -= len(opened.decompress(packed, _PIECE))
            packed = opened.unconsumed_tail
    return needed <= 0


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


def _fault(chunk: Chunk, length: int | None, inflated: int, colour: int) -> str | None:
    """What is wrong with a chunk that holds `length` bytes, all so far together `inflated`, in a PNG of a `colour`."""
    if length is None or not (chunk.is_intact or chunk.name == b"tRNS" or _packed(chunk) is not None):
        return "is damaged"
    if length > LONGEST_METADATA or inflated > _MOST_METADATA:
        return "is too large"
    if chunk.name in {b"iCCP", b"zTXt"} and chunk.body.partition(b"\0")[2][:1] != b"\0":
        return "is damaged"  # packed in an unknown way
    lengths = {b"tRNS": _TRANSPARENCY.get(colour), **_LENGTHS}.get(chunk.name)
    return "is damaged" if lengths and len(chunk.body) not in lengths else None
