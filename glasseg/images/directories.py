"""The directories of a TIFF: which of its pictures counts, and a file in which that one comes first.

A directory describes one picture by entries (TIFF 6.0, section 2): tag, type, count and, inline or elsewhere in the
file, values. Places are counted from the start of the file, so entries stay valid wherever their directory stands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

_MOST_PAGES: Final = 1000  # a corrupt chain of pages can be as long as the file
_MOST_BELOW: Final = 16  # directories that belong to one page
_MOST_ENTRIES: Final = 1024

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIPS, SAMPLES, STRIP_ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT = 322, 323, 324, 325, 338, 339
ORIENTATION: Final = 274
_OLD_SUBFILE_TYPE, _SUB_DIRECTORIES = 255, 330

_REDUCED, _MASK, _DEPTH = 1, 4, 8  # bits of the subfile type; those for depth are Adobe's
_OLD_REDUCED: Final = 2

# What a first page says of the whole file and a directory below it need not repeat: orientation, resolution, artist,
# copyright, XMP, IPTC and the profile.
_SHARED: Final = (ORIENTATION, 282, 283, 296, 315, 33432, 700, 33723, 34675)

_FORMATS: Final = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    13: "I",
    16: "Q",
    18: "Q",
}  # of whole numbers, and bytes

_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # of a value by type

_MEANINGS: Final = {1: (1, "grey"), 3: (2, "RGB")}  # what libtiff takes so many channels for, if nothing says it
_WITHOUT_A_MEANING: Final = {1, 5, 8, 32773, 32946, 34925, 50000}  # compressions that have none: not fax, not JPEG

# A page is taken for an unmarked reduced copy when another has the same shape and at least twice its sides.
_THUMBNAIL_SIDE: Final = 512
_SAME_SHAPE: Final = 0.03


@dataclass(frozen=True)
class Directory:
    """One picture of a TIFF, or one of its masks."""

    data: bytes
    """The whole file."""
    entries: dict[int, bytes]
    """By tag, as they are stored."""
    following: int
    """The place of the next directory of the chain; 0 for none."""

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The whole numbers under a tag; none where it is missing, or its values lie outside the file."""
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        order, word, inline = _layout(self.data)
        kind, count = struct.unpack_from(order + "H" + word, entry, 2)
        if kind not in _FORMATS:
            return ()
        length = count * struct.calcsize(_FORMATS[kind])
        where = len(entry) - inline
        source, place = (
            (entry, where) if length <= inline else (self.data, *struct.unpack_from(order + word, entry, where))
        )
        return (
            struct.unpack_from(f"{order}{count}{_FORMATS[kind]}", source, place)
            if place + length <= len(source)
            else ()
        )

    def number(self, tag: int, default: int) -> int:
        return next(iter(self.numbers(tag)), default)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.number(WIDTH, 0), self.number(HEIGHT, 0)

    @property
    def reduced(self) -> bool:
        """Whether it is marked as a smaller copy of another picture."""
        return bool(self.number(SUBFILE_TYPE, 0) & _REDUCED) or self.number(_OLD_SUBFILE_TYPE, 0) == _OLD_REDUCED

    @property
    def mask(self) -> bool:
        """Whether it is not a picture, but says something of another one's pixels."""
        return bool(self.number(SUBFILE_TYPE, 0) & (_MASK | _DEPTH)) or self.number(PHOTOMETRIC, 0) == 4


def is_tiff(data: bytes) -> bool:
    return data[:2] in {b"II", b"MM"} and data[2:4] in {b"*\0", b"\0*", b"+\0", b"\0+"}  # 42 or 43 in any byte order


def _layout(data: bytes) -> tuple[str, str, int]:
    """Byte order, the code of a word (4 bytes, or 8 in a BigTIFF), and the bytes of an entry that can hold values."""
    order = "<" if data[:2] == b"II" else ">"
    return (order, "Q", 8) if b"+" in data[2:4] else (order, "I", 4)


def first(data: bytes) -> Directory | None:
    """The first directory; None if there is none that can be read."""
    return next(_chain(data), None)


def _chain(data: bytes) -> Iterator[Directory]:
    """The pages, in their order."""
    order, word, _ = _layout(data)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + word, data, 8 if word == "Q" else 4)
        while place and place not in seen and len(seen) < _MOST_PAGES:
            seen.add(place)
            page = _directory(data, place)
            yield page
            place = page.following
    except struct.error:  # past the end
        return


def _directory(data: bytes, place: int) -> Directory:
    """The directory at a place; struct.error if it is not whole."""
    order, word, inline = _layout(data)
    counter = "Q" if word == "Q" else "H"
    (count,) = struct.unpack_from(order + counter, data, place)
    start, length = place + struct.calcsize(counter), 4 + 2 * inline
    if count > _MOST_ENTRIES:
        raise struct.error("more entries than any TIFF has")
    (following,) = struct.unpack_from(order + word, data, start + length * count)
    entries = [data[i : i + length] for i in range(start, start + length * count, length)]
    return Directory(data, {struct.unpack_from(order + "H", entry)[0]: entry for entry in entries}, following)


def _below(page: Directory) -> Iterator[Directory]:
    """The directories that a page names as its own."""
    for place in page.numbers(_SUB_DIRECTORIES)[:_MOST_BELOW]:
        try:
            yield _directory(page.data, place)
        except struct.error:
            continue


def full_picture(data: bytes, remarks: list[str]) -> bytes:
    """A TIFF whose first directory is that of the picture that counts; what was chosen from is added to `remarks`.

    That is the first page which is neither a mask nor a reduced copy of another picture, in the file's own words or
    evidently; its full picture may be in a directory below it.
    """
    pages = [page for page in _chain(data) if not page.mask]
    versions = [_full_version(page) for page in pages]
    full = [version for version in versions if not version.reduced]
    if not full:
        full = sorted(versions, key=_area, reverse=True)[:1]
    if not full:
        return data
    chosen = _without_thumbnail(full, remarks)
    if len(full) > 1 and chosen is full[0]:
        remarks.append(f"{len(full)} pages: the first one is used")
    start = first(data)
    led = data if start is None or chosen.entries == start.entries else _led_by(chosen, start)
    return _with_meaning(led, remarks)


def _with_meaning(data: bytes, remarks: list[str]) -> bytes:
    """A TIFF whose first page says what its samples mean; where one doesn't, Pillow takes black for white."""
    page = first(data)
    if page is None or PHOTOMETRIC in page.entries or page.number(COMPRESSION, 1) not in _WITHOUT_A_MEANING:
        return data
    channels = page.number(SAMPLES, 1) - len(page.numbers(EXTRA_SAMPLES))
    if channels not in _MEANINGS:
        return data
    meaning, name = _MEANINGS[channels]
    remarks.append(f"the TIFF does not say what its numbers mean: taken for {name}")
    return written(with_numbers(page, {PHOTOMETRIC: meaning}))


def _full_version(page: Directory) -> Directory:
    """The page, or a larger picture below it: directories there are other versions of the page."""
    below = [version for version in _below(page) if not version.mask and not version.reduced]
    larger = [version for version in below if _area(version) > _area(page) or page.reduced]
    return max(larger, key=_area, default=page)


def _without_thumbnail(pages: list[Directory], remarks: list[str]) -> Directory:
    """The first page, or the largest of the same shape if the first is evidently a thumbnail of it."""
    width, height = pages[0].size
    alike = [page for page in pages if _alike(page.size, pages[0].size) and page.size[0] >= 2 * width]
    if not alike or max(width, height) > _THUMBNAIL_SIDE:
        return pages[0]
    chosen = max(alike, key=_area)
    remarks.append(f"{len(pages)} pages: the first one is a thumbnail ({width}×{height}), the largest one is used")
    return chosen


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes, (width, height), have about the same shape."""
    left, right = one[0] * other[1], one[1] * other[0]
    return abs(left - right) <= _SAME_SHAPE * max(left, right)


def _area(directory: Directory) -> int:
    return directory.size[0] * directory.size[1]


def _led_by(chosen: Directory, start: Directory) -> bytes:
    """The file with `chosen` as its only page, with what `start` says of all pictures unless it says so itself."""
    shared: dict[int, bytes] = {tag: start.entries[tag] for tag in _SHARED if tag in start.entries}
    return written(replace(chosen, entries={**shared, **chosen.entries}))


def written(directory: Directory) -> bytes:
    """A copy of a directory's file in which it is the only page."""
    data, (order, word, _) = directory.data, _layout(directory.data)
    place = len(data) + len(data) % 2
    count = struct.pack(order + ("Q" if word == "Q" else "H"), len(directory.entries))
    table = b"".join(entry for _, entry in sorted(directory.entries.items()))
    start = 8 if word == "Q" else 4
    head = data[:start] + struct.pack(order + word, place)
    return b"".join([head, data[len(head) :], bytes(place - len(data)), count, table, struct.pack(order + word, 0)])


def classic(directory: Directory) -> Directory:
    """A directory of a BigTIFF as one of a classic TIFF, without what that can't hold; others as they are."""
    data, (order, word, _) = directory.data, _layout(directory.data)
    if word == "I":
        return directory
    entries, moved = {}, b""
    for tag, entry in directory.entries.items():
        kind, count = struct.unpack_from(order + "HQ", entry, 2)
        length, place = count * _BYTES.get(kind, 0), int.from_bytes(entry[12:], "little" if order == "<" else "big")
        if 4 < length <= 8:
            place, moved = len(data) + len(moved), moved + entry[12:]
        if length and max(count, place if length > 4 else 0) < 1 << 32:
            value = entry[12:16] if length <= 4 else struct.pack(order + "I", place)
            entries[tag] = struct.pack(order + "HHI", tag, kind, count) + value
    return Directory((b"II*\0" if order == "<" else b"MM\0*") + data[4:] + moved, entries, 0)


def with_numbers(directory: Directory, values: dict[int, int | None]) -> Directory:
    """A directory in which some tags have other values, or none."""
    order, word, inline = _layout(directory.data)
    entries = {tag: entry for tag, entry in directory.entries.items() if tag not in values}
    for tag, value in values.items():
        if value is not None:
            entries[tag] = struct.pack(f"{order}HH{word}I", tag, 4, 1, value).ljust(4 + 2 * inline, b"\0")
    return replace(directory, entries=entries)
