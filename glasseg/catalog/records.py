"""Files of our own below `DST/_glasseg/`: found, read and stored, with one line for each way in which that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.credentials import without_secrets
from glasseg.storage.roots import Entry, Root


def entries(root: Root, prefix: str, suffix: str) -> list[Entry]:
    """Files in one of our folders, sorted by key, but for the `._*` that macOS leaves on disks of other systems."""
    found = (entry for entry in root.list(prefix) if entry.key.endswith(suffix))
    ours = (entry for entry in found if not entry.key.rpartition("/")[2].startswith("._"))
    return sorted(ours, key=lambda entry: entry.key)


def keys(root: Root, prefix: str, suffix: str) -> list[str]:
    """The keys of `entries`."""
    return [entry.key for entry in entries(root, prefix, suffix)]


@contextmanager
def refused(root: Root, key: str) -> Iterator[None]:
    """Turns what reading one of our files may raise into a GlassegError that names it."""
    try:
        yield
    except PhotoError as error:
        raise GlassegError(f"a record of glasseg can't be read: {error}") from error
    # pyarrow raises OSError for damaged pages
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        why = f"{root.uri_of(key)} is not a record of glasseg ({without_secrets(str(error))})"
        raise GlassegError(f"{why}: move it away, or choose another destination") from error


def store(root: Root, key: str, data: bytes, *, lasting: bool = True) -> None:
    """Write a file of ours; a failure is not the fault of a photo: it ends the run.

    `lasting`: it is there also after a power cut, as whatever relies on it must be able to expect.
    """
    try:
        root.write(key, data)
        if lasting:
            root.sync([key])
    except PhotoError as error:
        raise GlassegError(f"the run's records can't be written: {error}") from error


def discard(root: Root, key: str) -> None:
    """Delete a file of ours; fine when it is not there."""
    try:
        root.delete(key)
    except PhotoError as error:
        raise GlassegError(f"a record of the run can't be deleted: {error}") from error
