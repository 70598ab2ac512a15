"""Which different names are one file: disks ignore case, Unicode forms, or dots and spaces at the end of a name."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.errors import PhotoError
from glasseg.storage.bucket import Bucket
from glasseg.storage.folder import Folder
from glasseg.storage.keys import TMP_PREFIX

_PAIRS: Final = {
    "case": ("name", "NAME"),
    "sharp_s": ("ß", "ss"),
    "form": ("\u00e9", "e\u0301"),
    "ends": ("name", "name. "),
}
"""For each field of `Naming` two names that are one where it holds."""
_SEVERAL: Final = {"ß": "ss", "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
"""Letters that are several where case is ignored in full: those that are met in file names, also of texts in PDF."""

Names = TypeVar("Names", pa.Array, pa.ChunkedArray)


@dataclass(frozen=True)
class Naming:
    """What a place ignores in names; by default nothing, as S3 and the disks of Linux do."""

    case: bool = False
    """exFAT, NTFS, macOS, most SMB shares."""
    sharp_s: bool = False
    """Whether ß is also ss, where case is ignored in full, as on disks of macOS; and so the other `_SEVERAL`."""
    form: bool = False
    """macOS takes a composed é and an e with an accent for the same."""
    ends: bool = False
    """Windows and its disks drop dots and spaces at the end of a name."""

    def folded(self, names: Names) -> Names:
        """`names` in a form that is equal for names of one file; the same memory where nothing is ignored."""
        if self.form:
            names = pc.utf8_normalize(names, "NFD")
        if self.case:
            names = pc.utf8_lower(pc.utf8_upper(names))  # there and back, as ς and σ have one capital
        if self.sharp_s:
            for one, letters in _SEVERAL.items():
                names = pc.replace_substring(names, one, letters)
        return pc.replace_substring_regex(names, r"[. ]+(/|$)", r"\1") if self.ends else names

    def among(self, names: Names, others: pa.Array | pa.ChunkedArray) -> Names:
        """For each of `names` whether it is the name of one of the files `others`."""
        return pc.is_in(self.folded(names), value_set=self.folded(others))

    def index(self, names: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
        """For each of `names` the place of the first of `others` that is the same file, null for none."""
        return pc.index_in(self.folded(names), value_set=self.folded(others))


EXACT: Final = Naming()


def probed(root: Folder | Bucket) -> Naming:
    """What `root` ignores, found out by writing files; names in a bucket are what they are.

    Raises GlassegError where nothing can be written.
    """
    if isinstance(root, Bucket):
        return EXACT
    return Naming(**{field.name: _are_one(root, *_PAIRS[field.name]) for field in fields(Naming)})


def _are_one(root: Folder, name: str, other: str) -> bool:
    above = f"{TMP_PREFIX}{uuid.uuid4().hex}-"
    try:
        root.write(above + name, b"glasseg was here")
    except PhotoError:  # no name for this disk, so it never holds two like it
        return False
    try:
        return root.exists(above + other)
    finally:
        with suppress(PhotoError):
            root.delete(above + name)


def guessed(root: Folder | Bucket) -> Naming:
    """What `root` ignores as far as that shows without a write: whether what is there can be named in any case."""
    if isinstance(root, Bucket):
        return EXACT
    there = next(path for path in (root.path / "_glasseg", root.path, *root.path.parents) if path.exists())
    other = there.name.swapcase()
    return Naming(case=other != there.name and _also_named(there, other))


def _also_named(path: Path, other: str) -> bool:
    """Whether `path` is found by another name that nothing has; network disks may give it another inode for that."""
    try:
        return path.with_name(other).exists() and other not in {one.name for one in path.parent.iterdir()}
    except OSError:  # what is above may not be read
        return False
