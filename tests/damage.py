"""What files look like that are broken or mean harm, of every format."""

from __future__ import annotations

import base64
import functools
import random
import struct
import zlib
from collections.abc import Iterator, Sequence

import heicfiles

_HUGE = (0, 1, 0x7F, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)
_TIFF_NUMBERS = {256, 257, 258, 273, 277, 278, 279, 322, 323}  # sizes, counts and places

# A 16×16 picture as libavif writes it.
_AVIF = base64.b64decode(
    """
    AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcG
    l0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAJwAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABq
    aXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAEAAAABAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAAB
    dpcG1hAAAAAAAAAAEAAQQBAoMEAAAAL21kYXQSAAoJGAz/2iAhoNCAMhgZR4eGIYeeeeaAAAB1hk3aCiO3tM/boYA=
    """
)


def mutated(files: Sequence[tuple[str, bytes]], seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """`n` times a file (name, bytes) with one kind of damage; the same for the same files and seed."""
    chance = random.Random(seed)
    usual = (_flipped, _flipped, _truncated, _foreign, _spliced, _zeroed, _resized, _resized)
    kinds = (*usual * 3, _enlarged)  # which takes a second where the others take a millisecond
    for number in range(n):
        name, data = chance.choice(files)
        kind = chance.choice(kinds)
        yield f"{number:06d}{kind.__name__}_{name}", kind(bytearray(data), chance.choice(files)[1], chance)


def _place(length: int, chance: random.Random) -> int:
    """Half of the time anywhere, half of the time near the start, where headers are."""
    return int(length * chance.random() ** chance.choice((1, 4)))


def _flipped(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        data[_place(len(data), chance)] = chance.choice((0, 0xFF, chance.randrange(256)))
    return bytes(data)


def _truncated(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    return bytes(data[: _place(len(data), chance)])


def _foreign(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    """The start of another file, some of them of another format."""
    length = chance.choice((4, 12, 16, 40, 200))
    return other[:length] + bytes(data[length:])


def _spliced(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    """A piece of another file, put in or put over."""
    start, length = _place(len(other), chance), chance.choice((4, 16, 100, 1000))
    place = _place(len(data), chance)
    data[place : place + chance.choice((0, length))] = other[start : start + length]
    return bytes(data)


def _zeroed(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    place, length = _place(len(data), chance), chance.choice((2, 8, 64, 512))
    end = min(len(data), place + length)
    data[place:end] = bytes(end - place)
    return bytes(data)


def _resized(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    """Some of the numbers that say how large things are, made absurd."""
    places = size_fields(bytes(data))
    for place, code in chance.sample(places, chance.randint(1, max(1, len(places) // 3))) if places else []:
        value = chance.choice((*_HUGE, chance.randrange(1 << 16)))
        struct.pack_into(code, data, place, value & (1 << 8 * struct.calcsize(code)) - 1)
    return _checked(data)


def _enlarged(data: bytearray, other: bytes, chance: random.Random) -> bytes:
    """As large as is still allowed where 10⁸ pixels are, with the data of a small picture."""
    for place, code in size_fields(bytes(data))[:2]:
        wide = 9_999 | 9_999 << 14 if data[12:16] == b"VP8L" else 9_999
        struct.pack_into(code, data, place, wide & (1 << 8 * struct.calcsize(code)) - 1)
    return _checked(data)


def _checked(data: bytearray) -> bytes:
    """With the checksum of a PNG's header as it should be; it alone would have the file refused."""
    if data[:4] == b"\x89PNG" and len(data) > 33:
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def size_fields(data: bytes) -> list[tuple[int, str]]:
    """Where a file says its size: (place, struct code)."""
    if data[:2] == b"\xff\xd8":
        frames = [i for marker in (b"\xff\xc0", b"\xff\xc2") if (i := data.find(marker)) > 0]
        return [(i + offset, ">H") for i in frames for offset in (5, 7)]
    if data[:4] == b"RIFF":
        return {b"VP8X": [(24, "<H"), (27, "<H")], b"VP8L": [(21, "<I")]}.get(data[12:16], [(26, "<H"), (28, "<H")])
    if data[4:8] == b"ftyp":
        place = data.find(b"ispe")
        return [(place + 8, ">I"), (place + 12, ">I")]
    fixed = {b"\x89P": ">16I 20I", b"BM": "<18I 22I", b"GI": "<6H 8H"}.get(data[:2])
    if fixed:
        return [(int(word[:-1]), fixed[0] + word[-1]) for word in fixed[1:].split()]
    return _tiff_fields(data)


def _tiff_fields(data: bytes) -> list[tuple[int, str]]:
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] not in {b"*\0", b"\0*"}:
        return []
    (place,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, place)
    found = []
    for entry in range(place + 2, place + 2 + 12 * entries, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in _TIFF_NUMBERS:
            found.append((entry + 8, order + ("H" if kind == 3 else "I")))
    return found


def bombs() -> list[tuple[str, bytes]]:
    """Small files of every format, (name, bytes), that claim or hold far more than 10⁸ pixels."""
    side = 40_000
    lossless = b"VP8L" + struct.pack("<IBI", 100, 0x2F, 16_383 | 16_383 << 14) + bytes(95)
    lossy = (
        b"VP8 " + struct.pack("<I", 100) + b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(90)
    )
    canvas = b"VP8X" + struct.pack("<II", 10, 0x10) + (side - 1).to_bytes(3, "little") * 2 + lossless
    screen = struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0)
    small = struct.pack("<HHBBB", 16, 16, 0x80, 0, 0) + bytes(6)
    # To be replaced by its background: a reader that prepares for the next frame fills the whole extent.
    frame = (
        b"\x21\xf9\x04\x08\0\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\0;"
    )
    bitmap = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return [
        ("claims.jpg", _jpeg(65_500)),
        ("claims.png", _png(side, 8, 2, zlib.compress(bytes(1000)))),
        ("holds.png", _png(side, 1, 0, _zeros(side * (side // 8 + 1)))),
        ("profile.png", _png(16, 8, 0, zlib.compress(bytes(17 * 16)), (b"iCCP", b"a\0\0" + _zeros(1 << 28)))),
        ("text.png", _png(16, 8, 0, zlib.compress(bytes(17 * 16)), (b"zTXt", b"a\0\0" + _zeros(1 << 28)))),
        ("lossless.webp", _riff(lossless)),
        ("lossy.webp", _riff(lossy)),
        ("canvas.webp", _riff(canvas)),
        ("screen.gif", b"GIF89a" + screen + frame),
        ("frame.gif", b"GIF89a" + small + frame),
        ("claims.tif", _tiff(side, {})),
        ("holds.tif", _tiff(side, {}, _zeros(side * side // 8))),
        ("tile.tif", _tiff(16, {322: side, 323: side}, _zeros(side * side // 8))),
        ("planes_in_tiles.tif", _tiff(16, {322: side, 323: side, 277: 3, 284: 2}, _zeros(side * side // 8))),
        ("planes.tif", _planes(16, _zeros(1 << 28))),
        ("claims.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + bitmap + bytes(100)),
        ("claims.avif", _patched(_AVIF, side)),
        ("absurd.avif", _patched(_AVIF, 2**31 - 1)),
        ("claims.heic", _patched(heicfiles.RGB, 30_000)),
        ("absurd.heic", _patched(heicfiles.RGB, 2**31 - 1)),
    ]


@functools.cache
def _zeros(length: int) -> bytes:
    """So many zeros, deflated."""
    packer, block = zlib.compressobj(1), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(length >> 20)]
    return b"".join([*parts, packer.compress(bytes(length & (1 << 20) - 1)), packer.flush()])


def _jpeg(side: int) -> bytes:
    """A header of a grey JPEG and a scan of nothing."""
    table = b"\xff\xdb\0\x43\0" + b"\x10" * 64
    frame = b"\xff\xc0\0\x0b\x08" + struct.pack(">HH", side, side) + b"\x01\x01\x11\0"
    codes = b"".join(b"\xff\xc4\0\x14" + bytes([kind, 1, *[0] * 15, 0]) for kind in (0, 0x10))
    return b"\xff\xd8" + table + frame + codes + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + bytes(500) + b"\xff\xd9"


def _png(side: int, bits: int, colour: int, data: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    written = (struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _tiff(side: int, tiles: dict[int, int], data: bytes = bytes(1000)) -> bytes:
    """Black and white, deflated, in one strip or one tile."""
    entries = {256: side, 257: side, 258: 1, 259: 8, 262: 1, 277: 1, **tiles}
    entries |= {324: 8, 325: len(data)} if tiles else {273: 8, 278: side, 279: len(data)}
    table = struct.pack("<H", len(entries))
    table += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    data += bytes(len(data) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + table + bytes(4)


def _planes(side: int, data: bytes) -> bytes:
    """Two planes of a byte a pixel, both deflated to the same data."""
    places = struct.pack("<4I", 24, 24, len(data), len(data))
    entries = {256: (1, side), 257: (1, side), 258: (1, 8), 259: (1, 8), 262: (1, 1), 273: (2, 8), 277: (1, 2)}
    entries |= {278: (1, side), 279: (2, 16), 284: (1, 2)}
    table = struct.pack("<H", len(entries))
    table += b"".join(struct.pack("<HHII", tag, 4, *value) for tag, value in sorted(entries.items()))
    data += bytes(len(data) % 2)
    return b"II*\0" + struct.pack("<I", 24 + len(data)) + places + data + table + bytes(4)


def _patched(data: bytes, side: int) -> bytes:
    """With another size in the box that says it (ISO/IEC 23008-12)."""
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", side, side) + data[place + 8 :]
