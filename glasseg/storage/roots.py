"""Folders and S3 prefixes behind one set of methods: all bytes that glasseg reads or writes pass through here.

A root is a `Folder` or a `Bucket`; a key is a name below it, "/" separated, in the unicode form in which it is stored.
A fault of one object is a `PhotoError`, a fault of the whole source or destination a `GlassegError`.
"""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from glasseg.errors import DeniedError, GlassegError, PhotoError
from glasseg.storage.bucket import Bucket
from glasseg.storage.credentials import without_secrets
from glasseg.storage.faults import NO_CHECKSUMS, NO_S3
from glasseg.storage.folder import Folder
from glasseg.storage.keys import TMP_PREFIX, Entry, unsafe_reason

__all__ = [
    "TMP_PREFIX",
    "Bucket",
    "Entry",
    "Folder",
    "Root",
    "check_writable",
    "delete_if_allowed",
    "heeds_conditions",
    "open_root",
    "open_source",
    "refuse_nested",
    "sweep",
    "tidy",
    "unsafe_reason",
]

Root = Folder | Bucket

PROBE: Final = b"glasseg was here"
CONDITION_PROBE: Final = TMP_PREFIX + "condition"
ACCESS_POINT: Final = (
    r"arn:[a-z0-9-]+:s3[a-z0-9-]*:[a-z0-9-]*:\d+:(?:outpost[/:][A-Za-z0-9-]+[/:])?accesspoint[/:][A-Za-z0-9.-]+"
)
"""What S3 takes for the name of a bucket, slash and all."""


def _local_path(uri: str) -> Path:
    path = Path(uri.removeprefix("file://"))
    return (path.expanduser() if path.parts[:1] == ("~",) else path).absolute()


def open_root(uri: str, *, endpoint_url: str | None = None) -> Root:
    """The root that `uri` names: s3://BUCKET/PREFIX, or a folder (~ and file:// are understood). Touches no network.

    Raises GlassegError (wrong usage) for anything else.
    """
    if re.match(r"(?i)s3:/?(?!/)", uri):
        raise GlassegError(f"{without_secrets(uri)!r} looks like s3://bucket/prefix: it needs two slashes", 2)
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        if not uri:
            raise GlassegError("an empty name for a folder: give a folder or s3://bucket/prefix", 2)
        try:
            return Folder(_local_path(uri).resolve())
        except RuntimeError as error:  # raised by Python up to 3.12
            raise GlassegError(f"{uri} is a link that leads to itself") from error
    point = re.match(rf"{ACCESS_POINT}(?=/|$)", rest)
    bucket, _, prefix = (point[0], "/", rest[point.end() + 1 :]) if point else rest.partition("/")
    if scheme != "s3" or not (point or re.fullmatch(r"[A-Za-z0-9._-]+", bucket)):
        raise GlassegError(f"{without_secrets(uri)!r} is neither a folder nor s3://bucket/prefix", 2)
    if {".", ".."} & set(prefix.split("/")):  # some servers would resolve it, past `refuse_nested`
        raise GlassegError(f'{uri!r} has a "." or ".." in it: write it without', 2)
    if prefix.startswith("/") or prefix.endswith("//"):  # S3 has folders without a name, and these are others
        meant = f"s3://{bucket}/{prefix.strip('/')}"
        raise GlassegError(
            f"{uri!r} has a folder without a name, which glasseg can't use: write {meant} if you mean that", 2
        )
    return Bucket(bucket, prefix.removesuffix("/"), endpoint_url)


def name_of(uri: str) -> str:
    """The last part of `uri`, that of the folder itself for "." and "..": what to call it without revealing paths.

    Raises GlassegError as `open_root`.
    """
    name = PurePosixPath(uri).name
    return PurePosixPath(open_root(uri).uri).name if name in {"", ".."} else name


def open_source(uri: str, *, endpoint_url: str | None = None) -> tuple[Root, list[str] | None]:
    """The root to read from, and None; for the uri of one photo the root above it and [its key].

    On S3 an object counts as one photo when nothing lies below its name plus "/". An empty prefix is not an error.
    Raises GlassegError when the source is missing or can't be reached or listed.
    """
    root = open_root(uri, endpoint_url=endpoint_url)
    if isinstance(root, Bucket):
        if root.holds_anything() or not root.prefix or uri.endswith("/"):
            return root, None
        above, _, name = root.prefix.rpartition("/")
        parent = Bucket(root.bucket, above, endpoint_url)
        return (parent, [name]) if parent.exists(name) else (root, None)
    path = _local_path(uri)  # not resolved: a photo that is a link keeps its own name
    try:
        mode = path.stat().st_mode
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        raise GlassegError(f"{path} {'does not exist' if missing else error.strerror}") from error
    if stat.S_ISREG(mode):
        return Folder(path.parent.resolve()), [path.name]
    if not stat.S_ISDIR(mode):
        raise GlassegError(f"{path} is neither a folder nor a file")
    return root, None


def check_writable(root: Root) -> None:
    """Check that `root` takes a write by writing one small file; the folder is created if it is missing.

    Raises GlassegError otherwise. In a bucket where nothing may be deleted, the file stays.
    """
    key = TMP_PREFIX + "probe"
    try:
        if isinstance(root, Bucket):
            with suppress(DeniedError):  # the server answers; listing and writing are two permissions
                root.holds_anything()
        root.write(key, PROBE)
        if isinstance(root, Bucket):
            _refuse_changed(root, key)
        delete_if_allowed(root, key)
    except (PhotoError, GlassegError) as error:
        message = str(error).replace(root.uri_of(key), root.uri)  # users do not know the file that was tried
        raise GlassegError(f"can't write to {message}" if isinstance(error, PhotoError) else message) from error


def _refuse_changed(root: Bucket, key: str) -> None:
    """Raises GlassegError when the server has stored something else than was sent, as far as it may be read."""
    try:
        kept, _ = root.read(key)
    except PhotoError as error:
        if error.code in {"denied", "vanished"}:  # vanished: another run checks at the same moment
            return
        raise
    if PROBE in kept and kept != PROBE:
        raise GlassegError(
            f"the server of {root.uri} stores the framing of an upload as part of the file: {NO_CHECKSUMS}"
        )
    if kept != PROBE:
        raise GlassegError(f"the server of {root.uri} does not give back what is written there: {NO_S3}")


def heeds_conditions(root: Root) -> bool:
    """Whether `root`, which takes writes, keeps two runs apart: a server may ignore the condition of a put.

    Raises GlassegError when it can't be written to.
    """
    if not isinstance(root, Bucket):
        return True
    try:
        root.write(CONDITION_PROBE, PROBE)
        heeds = root.heeds_conditions(CONDITION_PROBE)
        delete_if_allowed(root, CONDITION_PROBE)
    except DeniedError:  # some servers require read permission for this: unknown
        return True
    except PhotoError as error:
        raise GlassegError(f"can't write to {error}") from error
    return heeds


def delete_if_allowed(root: Root, key: str) -> bool:
    """Delete a file of ours; returns whether that is allowed. On S3 writing and deleting are two permissions.

    Raises GlassegError when the storage fails to do it.
    """
    try:
        root.delete(key)
        return True
    except DeniedError:
        return False
    except PhotoError as error:
        raise GlassegError(f"a file of glasseg can't be deleted: {error}") from error


def sweep(root: Root) -> None:
    """Delete what killed processes left half-written; on S3 nothing is ever half-written."""
    if isinstance(root, Folder):
        for entry in list(root.list(TMP_PREFIX)):
            with suppress(PhotoError, GlassegError):  # it does no harm
                root.delete(entry.key)


def tidy(root: Root) -> None:
    """Remove the folders that whole-or-not writes left empty; on S3 there are none."""
    if isinstance(root, Folder):
        for emptied in (root.path / TMP_PREFIX, (root.path / TMP_PREFIX).parent):
            with suppress(OSError):
                emptied.rmdir()


def refuse_nested(source_uri: str, destination_uri: str) -> None:
    """Raises GlassegError when the destination is the source, inside it or around it; both uris as the user gave them.

    For one photo as the source, a folder next to it is fine (/a/x.jpg to /a/out); the folder that holds it, or one
    further up, is not (/a/x.jpg to /a), since the output would replace the photo.
    """
    source, destination = open_root(source_uri), open_root(destination_uri)
    if isinstance(source, Folder) and isinstance(destination, Folder):
        given = _local_path(source_uri)
        # A source that is a link is in two places, and writing to either can change it.
        clash = any(_overlap(one, destination.path) for one in (source.path, given.parent.resolve() / given.name))
    elif isinstance(source, Bucket) and isinstance(destination, Bucket):
        one, other = (PurePosixPath("/", root.bucket, root.prefix) for root in (source, destination))
        clash = one.is_relative_to(other) or other.is_relative_to(one)
    else:
        return
    if clash:
        message = f"the destination {destination.uri} is the source {source.uri}, inside it or around it"
        raise GlassegError(f"{message}: choose a place next to it")


def _overlap(one: Path, other: Path) -> bool:
    """Whether one of two absolute paths is, or lies below, the other, even if the disk has other spellings for it."""
    if one.is_relative_to(other) or other.is_relative_to(one):
        return True
    return any(_same(one, up) for up in (other, *other.parents)) or any(_same(other, up) for up in one.parents)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)  # catches names in another case, and folders mounted twice
    except OSError:
        return False
