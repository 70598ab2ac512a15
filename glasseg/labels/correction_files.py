"""The files that a person hands in as corrections: of a folder, below an S3 prefix, in a zip, or a single one.

They come from anywhere, so nothing is unpacked to a disk, and no more is read than a correction needs.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from glasseg.errors import PhotoError
from glasseg.formats import is_photo
from glasseg.labels.masks import MASK_EXTENSIONS
from glasseg.storage.keys import Entry, printable
from glasseg.storage.roots import Root, open_source

STATEMENT: Final = "corrections.json"
"""The file of an export that says which map is of which photo."""
MOST_BYTES: Final = 64 << 20
"""Of one mask, and of a `STATEMENT`."""
MOST_TOTAL: Final = 2 << 30
"""Bytes that are handed in at once, all of which are held in memory."""
MOST_ENTRIES: Final = 100_000
"""Of one zip."""

_ENTRY: Final = b"PK\1\2"  # begins each entry of a zip's directory
_READ: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others inflate without a bound on each step
_ENCRYPTED, _UTF_8 = 1, 0x800  # flags of an entry
_DAMAGED: Final = (  # what the library raises for damaged zips, found by corrupting them
    zipfile.BadZipFile,
    NotImplementedError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class File:
    """One of the files; `name` is its path within the folder or zip, "/" separated."""

    name: str
    size: int
    """In bytes, -1 where that is unknown."""
    modified: datetime | None
    content: Callable[[], bytes]

    def read(self) -> bytes:
        """Its bytes; ValueError, one line, when there are too many or they can't be read."""
        data = b"" if self.size > MOST_BYTES else self.content()
        if max(self.size, len(data)) > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES >> 20} MB")
        return data


def listed(uri: str, *, endpoint_url: str | None) -> tuple[list[File], bool]:
    """The files at `uri`, without what systems keep there, and whether it is a single file.

    Raises GlassegError when the place is missing or can't be listed.
    """
    root, names = open_source(uri, endpoint_url=endpoint_url)
    entries = root.list(names[0]) if names else root.list()
    files = [_on(root, entry) for entry in entries if _is_a_persons(entry.key) and (not names or entry.key in names)]
    return files, names is not None


def zip_data(file: File) -> bytes:
    """The bytes of a zip, which may be as many as all that is handed in; ValueError, one line, as `File.read`."""
    if file.size > MOST_TOTAL:
        raise ValueError(f"larger than {MOST_TOTAL >> 30} GB: hand it in in parts")
    return file.content()


def zipped(data: bytes) -> list[File]:
    """The files in a zip, all of which are sound: a zip that was damaged on its way is not used in part.

    Of what may be masks and statements the bytes are read; of the rest only the names count. Raises ValueError, one
    line, when it is not a zip, damaged, encrypted, compressed in a rare way, too large, or holds a name twice.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("not a zip, or its end is missing: copy or export it again")
    if data.count(_ENTRY) > MOST_ENTRIES:  # before a directory of millions is in memory
        raise ValueError(f"a zip of more than {MOST_ENTRIES:,} files: hand them in in parts")
    with _sound(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        named = [(name, info) for info in archive.infolist() if _is_a_persons(name := _name(info))]
        wanted = dict(named)
        if len(wanted) < len(named):
            raise _Refused("the zip holds two files of one name: make it again")
        if sum(info.file_size for name, info in wanted.items() if _is_read(name, info)) > MOST_TOTAL:
            raise _Refused(f"a zip of more than {MOST_TOTAL >> 30} GB: hand it in in parts")
        return [
            File(name, info.file_size, _modified(info), partial(bytes, _inflated(archive, name, info)))
            for name, info in wanted.items()
        ]


class _Refused(Exception):
    """A sound zip that is not read; the message says why."""


@contextmanager
def _sound() -> Iterator[None]:
    try:
        yield
    except _Refused as error:
        raise ValueError(str(error)) from error
    except _DAMAGED as error:
        raise ValueError("the zip is damaged: copy or export it again") from error


def _inflated(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry, no more than it declares; none of what is not read."""
    if not _is_read(name, info):
        return b""
    if info.flag_bits & _ENCRYPTED:
        raise _Refused("the zip is encrypted: make it without a password")
    if info.compress_type not in _READ:
        raise _Refused("the zip is compressed in a rare way: make it with the usual one (Deflate)")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # without a bound the library inflates all before it looks at the size


def _is_read(name: str, info: zipfile.ZipInfo) -> bool:
    extension = posixpath.splitext(name)[1][1:].lower()
    return info.file_size <= MOST_BYTES and (extension in MASK_EXTENSIONS or is_statement(name))


def is_statement(name: str) -> bool:
    """Whether a file is the statement of an export, perhaps in a folder: browsers and people unpack zips."""
    return posixpath.basename(name) == STATEMENT


def leads_out(name: str) -> bool:
    """Whether a name in a zip means a place outside it."""
    return name.startswith("/") or ".." in name.split("/") or bool(re.match(r"[A-Za-z]:", name))


def _is_a_persons(name: str) -> bool:
    """Whether this is a file that is neither a system's own (`__MACOSX/`, `._*`) nor ours; as for photos."""
    return not name.endswith("/") and is_photo(f"{name}.png")


def _name(info: zipfile.ZipInfo) -> str:
    """The name of an entry. Without the mark of UTF-8 it is in the alphabet of DOS, or, from macOS, UTF-8 all the same.

    Old programs of Windows write backslashes.
    """
    name = info.filename
    if not info.flag_bits & _UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _modified(info: zipfile.ZipInfo) -> datetime | None:
    """When an entry was changed, by the clock on a wall; None for what says no time or an impossible one."""
    if info.date_time <= (1980, 1, 1, 0, 0, 0):
        return None
    try:
        return datetime(*info.date_time).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _on(root: Root, entry: Entry) -> File:
    modified = datetime.fromtimestamp(entry.modified, UTC) if entry.modified else None
    return File(printable(entry.key), entry.size, modified, partial(_content, root, entry.key))


def _content(root: Root, key: str) -> bytes:
    try:
        return root.read(key)[0]
    except PhotoError as error:
        raise ValueError(f"can't be read: {error}") from error
