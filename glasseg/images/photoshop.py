"""A clipping path as Photoshop stores it: image resources, which JPEG and TIFF carry.

"Adobe Photoshop File Formats Specification", image resource blocks and path resource format. Programs for layout and
print find the path that clips by its name, in a resource of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from glasseg.errors import PhotoError

_PATH, _CLIPPING_PATH = 2000, 2999  # numbers of resources: the first path, and the name of the one that clips
_NAME: Final = b"\x07Glasses"  # with its length

_SUBPATH, _LINKED, _UNLINKED, _FILL_RULE, _INITIAL_FILL = 0, 1, 2, 6, 8  # kinds of records, each of 26 bytes
_RECORD: Final = np.dtype([("kind", ">u2"), ("points", ">i4", (3, 2))])
_MOST_KNOTS: Final = 0xFFFF
_ONE: Final = 1 << 24  # points are fractions of the picture's height and width, with 24 bits after the point
_SMOOTH: Final = 1e-3  # radians between the two control points of a knot that move together

_SEGMENT: Final = b"Photoshop 3.0\0"
_LONGEST_BODY: Final = 0xFFFF - 2 - len(_SEGMENT)


def clipping_path(curves: Sequence[np.ndarray], size: tuple[int, int]) -> bytes:
    """The image resources of a picture of `size` (height, width) that is clipped by closed curves.

    `curves`: k×3 complex128 each, in pixels, as `cutout.clipping` returns them. What lies within an odd number of them
    is inside. Nothing for no curves.

    Raises:
        PhotoError: "internal_error" for a curve of more knots than a path can have.
    """
    if not curves:
        return b""
    head = struct.pack(">H24xHH22x", _FILL_RULE, _INITIAL_FILL, 0)  # by parity; outside at first
    path = head + b"".join(part for one in curves for part in _subpath(one, size))
    flatness_and_fill_rule = bytes(6)  # the printer's own, and none
    return _resource(_PATH, _NAME, path) + _resource(_CLIPPING_PATH, b"\0\0", _NAME + flatness_and_fill_rule)


def jpeg_segments(resources: bytes) -> Iterator[bytes]:
    """What APP13 segments hold that carry image resources: as many as it takes."""
    for start in range(0, len(resources), _LONGEST_BODY):
        yield _SEGMENT + resources[start : start + _LONGEST_BODY]


def _resource(number: int, name: bytes, data: bytes) -> bytes:
    """One resource; its name and its data are of even lengths, else they would have to be padded."""
    return b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(data)) + data


def _subpath(knots: np.ndarray, size: tuple[int, int]) -> Iterator[bytes]:
    if len(knots) > _MOST_KNOTS:
        why = f"its outline has {len(knots)} knots, a path {_MOST_KNOTS} at most: raise --path-tolerance"
        raise PhotoError("internal_error", why)
    yield struct.pack(">HH22x", _SUBPATH, len(knots))
    before, after = (knots[:, 1] - knots[:, 0]), (knots[:, 2] - knots[:, 1])
    turn = np.abs(np.angle(after * before.conj()))
    records = np.empty(len(knots), _RECORD)
    records["kind"] = np.where(turn < _SMOOTH, _LINKED, _UNLINKED)
    height, width = size
    records["points"] = np.rint(np.stack([knots.imag / height, knots.real / width], axis=2) * _ONE)
    yield records.tobytes()
