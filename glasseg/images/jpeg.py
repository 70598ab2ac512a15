"""The segments of a JPEG (ITU-T T.81, annex B), and a JPEG without what would cost a reader the picture."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

START: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
_FRAMES: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_PROGRESSIVE: Final = {0xC2, 0xC6, 0xCA, 0xCE}
_SCAN: Final = 0xDA
_METADATA: Final = {*range(0xE0, 0xF0), 0xFE}  # APP0 to APP15, and a comment
_KNOWN: Final = {0xC4, 0xCC, *range(0xDA, 0xE0)} | _FRAMES | _METADATA

_MOST_SCANS: Final = 1000  # nobody writes more than a hundred
_LONGEST_SEGMENT: Final = 2 + 0xFFFF


@dataclass(frozen=True)
class Segment:
    marker: int
    start: int
    end: int
    """As its length says."""

    def body(self, data: bytes) -> bytes:
        return data[self.start + 4 : self.end]


def expendable(data: bytes) -> Iterator[set[int]]:
    """The markers of metadata that a reader may fail on: each one, and all of them."""
    markers = {segment.marker for segment in _chain(data, 2)} & _METADATA
    yield from ({marker} for marker in sorted(markers, reverse=True))
    yield markers


def names(markers: set[int]) -> str:
    return ", ".join("comments" if marker == 0xFE else f"APP{marker & 15} data" for marker in sorted(markers))


def without(data: bytes, markers: set[int]) -> bytes:
    """The JPEG without its metadata under these markers."""
    parts, place = [], 0
    for segment in _chain(data, 2):
        if segment.marker in markers:
            parts.append(data[place : segment.start])
            place = segment.end
    return b"".join([*parts, data[place:]])


def with_sound_header(data: bytes, remarks: list[str]) -> bytes:
    """The JPEG without what lies between its segments, and without metadata whose length is wrong, with a remark.

    A reader that follows a wrong length may end up in the thumbnail within the metadata, and take it for the picture.
    """
    place, parts, ignored = 2, [data[:2]], 0
    while segment := _segment(data, place) or Segment(0, place, place):
        last = segment.marker == _SCAN
        if last or (segment.marker in _KNOWN and data[segment.end : segment.end + 1] == b"\xff"):
            parts.append(data[place : segment.end])
            place = segment.end
            if last:
                break
            continue
        go_on = _largest_picture(data, place + 1)
        if go_on is None:
            break
        if segment.marker in _KNOWN and segment.end <= go_on:  # it is what follows that does not belong here
            parts.append(data[place : segment.end])
            place = segment.end
        elif segment.marker in _KNOWN - _METADATA:
            break  # a part of the picture is damaged: not for us to mend
        ignored += go_on - place
        place = go_on
    if not ignored:
        return data
    remarks.append(f"the JPEG's metadata are broken; {ignored} bytes of them were ignored")
    return b"".join([*parts, data[place:]])


def completed(data: bytes) -> Iterator[bytes]:
    """A JPEG that lacks only its end, with an end: in the ways that are worth a try.

    Nothing if it has one, or if whole scans are missing: those would pass for a picture, only coarser. Whether the last
    scan is whole is for the decoder to say.
    """
    if not _lacks_only_its_end(data):
        return
    yield data + _END
    bare = data.rstrip(b"\0")  # some cards fill the last block
    if len(bare) < len(data):
        yield bare + (b"\0" if bare.endswith(b"\xff") else b"") + _END


def _lacks_only_its_end(data: bytes) -> bool:
    """Whether the scans are there that bring every coefficient of every component to its full precision (G.1.1)."""
    missing: dict[tuple[int, int], int] = {}  # (component, coefficient): bits to come
    place, progressive, scans = 2, False, 0
    while scans < _MOST_SCANS and (segment := _segment(data, place)):
        body, place = segment.body(data), segment.end
        if segment.marker in _FRAMES:
            progressive = segment.marker in _PROGRESSIVE
            missing = {(component, k): 99 for component in body[6:18:3] for k in range(64 if progressive else 1)}
        elif segment.marker == _SCAN and body:
            scans += 1
            first, last, precision = body[-3:] if progressive else (0, 0, 0)
            for component in body[1 : 1 + 2 * min(body[0], 4) : 2]:
                missing.update({(component, k): precision & 15 for k in range(first, min(last, 63) + 1)})
            following = re.compile(rb"\xff[^\xff\x00\xd0-\xd7]").search(data, place)
            place = following.start() if following else len(data)
    has_end = data[place : place + 2] == _END
    return bool(missing) and not any(missing.values()) and not has_end


def _segment(data: bytes, place: int) -> Segment | None:
    """The segment whose marker is here, after any fill bytes; None if there is none, or its length is impossible."""
    while data[place : place + 2] == b"\xff\xff":
        place += 1
    if data[place : place + 1] != b"\xff" or place + 4 > len(data):
        return None
    (length,) = struct.unpack_from(">H", data, place + 2)
    return Segment(data[place + 1], place, place + 2 + length) if length >= 2 else None


def _chain(data: bytes, place: int) -> Iterator[Segment]:
    """The segments from here to the first scan, or to the first that is broken."""
    while (segment := _segment(data, place)) and segment.marker in _KNOWN and segment.end < len(data):
        yield segment
        if segment.marker == _SCAN:
            return
        place = segment.end


def _largest_picture(data: bytes, start: int) -> int | None:
    """Where, within the reach of a segment, those begin that lead to the largest picture; None if none do.

    Not the first picture: that would be the thumbnail.
    """
    best, largest = None, 0
    seen: set[int] = set()  # what begins on the way of an earlier start leads where that one led
    for found in re.finditer(rb"\xff[\xc0-\xcf\xda-\xfe]", data[start : start + _LONGEST_SEGMENT]):
        first = start + found.start()
        chain = list(itertools.takewhile(lambda segment: segment.start not in seen, _chain(data, first)))
        seen.update(segment.start for segment in chain)
        frames = [segment for segment in chain if segment.marker in _FRAMES]
        if frames and chain[-1].marker == _SCAN:
            height, width = struct.unpack(">HH", frames[0].body(data)[1:5].ljust(4, b"\0"))
            if height * width > largest:
                best, largest = first, height * width
    return best
