"""`--export`: all pictures that stand in the destination, as a csv for a shop's own systems."""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from glasseg.catalog import published
from glasseg.errors import GlassegError, PhotoError
from glasseg.lists import safe_csv, templates
from glasseg.lists.selection import Selection
from glasseg.lists.templates import Column
from glasseg.storage.roots import Bucket, Root, open_root
from jobs.terminal import say

DEFAULT: Final = ("name", "path", "url", "width", "height", "sku", "alt", "status")
"""The columns of an export for which none are asked."""
_OPTION: Final = "--export-column"


@dataclass(frozen=True)
class Export:
    """A csv that a run is to leave."""

    uri: str
    columns: tuple[Column, ...]
    bucket: Bucket | None
    """Where it goes, as `name`; None for a path."""
    name: str

    def check(self) -> None:
        """Raise GlassegError when the file can't be written: better now than in the morning. What is there stays."""
        try:
            if self.bucket:
                self.bucket.exists(self.name)
                return
            probe = _beside(Path(self.uri).resolve())
            probe.open("x").close()
            probe.unlink()
        except (OSError, PhotoError) as error:
            raise GlassegError(_refusal(self.uri, error)) from error

    def refuse_unknown(self, destination: Root, selection: Selection | None) -> None:
        """Raise GlassegError for a column with a field that is neither known of pictures nor a column of a list.

        The manifest is read for that only when the list of this run lacks it.
        """
        fields = {field for column in self.columns for field in column.fields}
        listed = {name for others in (selection.chosen.values() if selection else ()) for name in others}
        if not all(field in published.FIELDS or field.removeprefix("list.") in listed for field in fields):
            listed |= published.list_columns(destination)
        templates.refuse_unknown(self.columns, published.FIELDS, listed, _OPTION)

    def write(self, destination: Root, selection: Selection | None) -> None:
        """Write the csv, whole or not at all. Raises GlassegError when that fails; an older one then stays."""
        listed = selection.chosen if selection else {}
        try:
            with self._whole() as path:
                count = _write(path, self.columns, destination, listed)
        except (OSError, PhotoError) as error:
            raise GlassegError(_refusal(self.uri, error)) from error
        say(f"Export: {count:,} picture{'s' * (count != 1)} in {self.uri}", pictures=count)

    @contextmanager
    def _whole(self) -> Iterator[Path]:
        """A new file, which takes its place when the block ends well."""
        if self.bucket:
            with tempfile.TemporaryDirectory(prefix="glasseg-") as folder:
                yield Path(folder) / "export.csv"
                self.bucket.upload(self.name, Path(folder) / "export.csv")
            return
        path = Path(self.uri).resolve()  # of a link, what it leads to is replaced
        temporary = _beside(path)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def planned(
    uri: str | None, columns: Collection[str], *, photo_list: str | None, endpoint_url: str | None
) -> Export | None:
    """What `--export` and `--export-column` ask for; None without the first.

    Raises GlassegError, as wrong usage, when they can't be understood.
    """
    if uri is None:
        if columns:
            raise GlassegError(f"{_OPTION} names a column of --export: give both, or neither", 2)
        return None
    parsed = templates.parse(tuple(columns) or DEFAULT, _OPTION)
    if not re.search(r"[^/]\.csv$", uri, re.IGNORECASE):
        raise GlassegError(f"--export writes a csv, and so the name of its file must end in .csv: {uri!r}", 2)
    if photo_list and (uri == photo_list or ("://" not in photo_list and _same(uri, photo_list))):
        raise GlassegError(f"--export would replace {uri}, the list of --photos: give it another name", 2)
    if re.fullmatch("s3://[^/]*", uri):
        raise GlassegError(f"--export {uri} names no object: give s3://BUCKET/NAME.csv", 2)
    if "://" in uri:
        above, _, name = uri.rpartition("/")
        root = open_root(above, endpoint_url=endpoint_url)
        if not isinstance(root, Bucket):
            raise GlassegError(f"--export {uri!r} is neither a path nor s3://bucket/name.csv", 2)
        return Export(uri, parsed, root, name)
    if Path(uri).is_dir():
        raise GlassegError(f"--export {uri} is a folder: give the name of a file", 2)
    return Export(uri, parsed, None, "")


def refuse_same(exports: Mapping[str, Export]) -> None:
    """Raise GlassegError, as wrong usage, when two outputs would write the same file; by the outputs' names."""
    known: dict[object, str] = {}
    for name, one in exports.items():
        file = (one.bucket, one.name) if one.bucket else Path(one.uri).resolve()
        if file in known:
            raise GlassegError(
                f"the outputs {known[file]} and {name} have the same export {one.uri}: name two files", 2
            )
        known[file] = name


def _write(path: Path, columns: tuple[Column, ...], destination: Root, listed: Mapping[str, Mapping[str, str]]) -> int:
    """Write the csv as `path`; how many pictures it has.

    Without a byte order mark: the systems that it is for would take it for a part of the first column's name.
    """
    count = 0

    def rows() -> Iterator[list[str]]:
        nonlocal count
        fields = {field for column in columns for field in column.fields}
        for picture in published.read(destination, fields, listed):
            count += 1
            yield [column.filled(picture, published.PATHS) for column in columns]

    with path.open("x", encoding="utf-8", newline="") as sink:
        safe_csv.write_to(sink, [column.name for column in columns], rows())
    return count


def _beside(path: Path) -> Path:
    """A name for a new file in the same folder."""
    return path.with_name(f".glasseg-{uuid.uuid4().hex}.tmp")


def _same(path: str, other: str) -> bool:
    return Path(path).resolve() == Path(other).resolve()


def _refusal(uri: str, error: OSError | PhotoError) -> str:
    return f"--export {uri} can't be written: {error.strerror if isinstance(error, OSError) else error}"
