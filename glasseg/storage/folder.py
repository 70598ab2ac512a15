"""A folder on a disk as a root: listing, reading and writing, and which faults of a disk stop a run."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from glasseg.errors import FailureCode, GlassegError, PhotoError
from glasseg.formats import OURS
from glasseg.storage.keys import TMP_PREFIX, TOO_LONG, Entry, check_output_key, unsafe_reason

RUN_WIDE_ERRNOS: Final = {
    errno.ENOSPC: "the disk is full: make room and run again",
    errno.EDQUOT: "the disk quota is used up: make room and run again",
    errno.EROFS: "the disk is read-only: choose another destination",
    errno.EACCES: "no permission to write there: change its permissions or choose another destination",
    errno.EPERM: "not allowed to write there: change its permissions or choose another destination",
}
"""Error numbers of a write to a folder that stop a run, each with the way out."""

NAME_ERRNOS: Final[dict[int, FailureCode]] = {
    errno.ENAMETOOLONG: "too_long_name",
    errno.EILSEQ: "unsafe_name",
    errno.EINVAL: "unsafe_name",
}

HINDRANCES: Final = {
    errno.EINVAL: "its disk takes no such name: rename the photo",
    errno.EILSEQ: "its disk takes no such name: rename the photo",
    errno.EISDIR: "a folder has this name: move it away",
    errno.EEXIST: "a file is where a folder must be: move it away",
    errno.ENOTDIR: "a file is where a folder must be: move it away",
}
"""What hinders the write of one file until a person helps, by the error numbers that it leads to."""

UNSYNCED_ERRNOS: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What file systems answer that can't sync a file, or a folder, as some network disks."""


@dataclass(frozen=True)
class Folder:
    """A folder on a disk; `path` is absolute and resolved. It need not exist before the first write."""

    path: Path

    @property
    def uri(self) -> str:
        """The absolute path."""
        return str(self.path)

    def uri_of(self, key: str) -> str:
        """The absolute path of `key`."""
        return f"{self.uri.rstrip('/')}/{key}"  # joining paths would let an absolute key hide the root

    def list(self, prefix: str = "", without: str | None = None) -> Iterator[Entry]:
        """Every file whose key starts with `prefix`, sorted by key; links are followed, but never in a circle.

        The folder `without` (such as "_glasseg/") is not looked into. A link that leads nowhere is listed with size 0.
        Raises GlassegError when a folder can't be read.
        """
        folder, _, start = prefix.rpartition("/")
        if folder:
            check_output_key(folder, self.uri_of(folder))
        yield from self._walk(f"{folder}/" if folder else "", start, frozenset(), without)

    def _walk(self, folder: str, start: str, above: frozenset[tuple[int, int]], without: str | None) -> Iterator[Entry]:
        """The files below the key prefix `folder` with names from `start`; `above`: (device, inode) of its parents."""
        try:
            here = (self.path / folder).stat()
            if (here.st_dev, here.st_ino) in above:
                return
            with os.scandir(self.path / folder) as scan:
                named = (one for one in scan if one.name.startswith(start) and not _is_leftover(folder, one.name))
                found = [(one.name + "/" * _is_folder(one), one) for one in named]
        except (FileNotFoundError, NotADirectoryError):  # nothing there, or gone since the level above was read
            return
        except OSError as error:
            if folder.endswith("lost+found/") and isinstance(error, PermissionError):
                return  # the file system's own folder at the top of a disk
            raise GlassegError(f"can't list the folder {self.path / folder}: {error.strerror}") from error
        for name, one in sorted(found, key=lambda pair: pair[0]):  # a folder sorts as "name/", the way S3 sorts keys
            if folder + name == without:
                continue
            if name.endswith("/"):
                yield from self._walk(folder + name, "", above | {(here.st_dev, here.st_ino)}, without)
            else:
                yield _entry(folder + name, one)

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of `key` and the etag of exactly these bytes.

        Raises PhotoError vanished, denied, read_error or unsafe_name; GlassegError when the folder itself is gone.
        """
        uri = self.uri_of(key)
        check_output_key(key, uri)
        path = self.path / key
        try:
            mode = _mode(path)
            if mode and not stat.S_ISREG(mode):  # opening a pipe would block forever
                raise PhotoError("read_error", f"{uri} is not a file")
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                return file.read(), _folder_etag(state)
        except OSError as error:
            if not stat.S_ISDIR(_mode(self.path)):
                raise GlassegError(f"the folder {self.uri} is gone: is its disk still mounted?") from error
            if isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise PhotoError("vanished", f"{uri} is gone") from error
            code: FailureCode = "denied" if isinstance(error, PermissionError) else "read_error"
            raise PhotoError(code, f"{uri}: {error.strerror}") from error

    def write(self, key: str, data: bytes) -> None:
        """Writes `data` as `key`, whole or not at all, also when the power fails, and makes the folders above it.

        Only after `sync` it is sure to be there then. Raises PhotoError write_error, too_long_name or unsafe_name,
        GlassegError when the disk takes no more writes.
        """
        with self._write_faults(key):
            try:
                self._replace(key, data)
            except FileNotFoundError:  # another run has just removed the empty folder; one retry is enough
                self._replace(key, data)

    def _replace(self, key: str, data: bytes) -> None:
        temporary = self.path / TMP_PREFIX / uuid.uuid4().hex  # below the root: replacing must not cross disks
        _make(temporary.parent)
        try:
            _write_new(temporary, data)
            target = self.path / key
            _make(target.parent)
            temporary.replace(target)
        finally:  # also on an interrupt; after the replacement it is already gone
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def copy(self, key: str, new: str) -> None:
        """Writes the bytes of `key` as `new`, whole or not at all; without copying them where the disk has links.

        Raises PhotoError vanished when `key` is not there, else as `read` and `write` do.
        """
        with self._write_faults(new):
            check_output_key(key, self.uri_of(key))
            target, temporary = self.path / new, self.path / TMP_PREFIX / uuid.uuid4().hex
            _make(temporary.parent)
            _make(target.parent)
            try:
                # a link has the time of the file, and whoever looks for what was replaced goes by that
                linked = not target.exists() and _link(self.path / key, temporary)
                if linked:
                    temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        if not linked:
            self.write(new, self.read(key)[0])

    def sync(self, keys: Iterable[str]) -> None:
        """Returns when what was written and deleted under `keys` outlasts a power cut.

        The bytes of a file are on the disk before it gets its name; what is left are the names, and so the folders.
        Raises GlassegError when the disk fails.
        """
        try:
            for folder in {above for key in keys for above in Path(key).parents}:
                with suppress(FileNotFoundError, PermissionError):  # emptied and removed; may be written, but not read
                    _sync_folder(self.path / folder)
        except OSError as error:
            reason = RUN_WIDE_ERRNOS.get(error.errno or 0, error.strerror)
            raise GlassegError(f"can't write to {self.uri}: {reason}") from error

    def exists(self, key: str) -> bool:
        """Whether a file or link of that name is there; a folder of that name does not count, as on S3."""
        uri = self.uri_of(key)
        check_output_key(key, uri)
        try:
            return not stat.S_ISDIR((self.path / key).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise GlassegError(f"can't look for {uri}: {error.strerror}") from error

    def delete(self, key: str) -> None:
        """Deletes `key`; fine when it is not there. Raises as `write` does."""
        if unsafe_reason(key) == TOO_LONG:
            return  # so it was never written
        with self._write_faults(key), suppress(FileNotFoundError, NotADirectoryError):
            (self.path / key).unlink()

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Writes `new` as `key` if its bytes are `old` (None: if there is no such file); returns whether it did.

        If several processes swap the same file at once, only one succeeds: a link or O_EXCL never replaces a file, and
        `flock` keeps apart those that do. Raises as `write` does.
        """
        with self._write_faults(key):
            target = self.path / key
            _make(target.parent)
            if old is None:
                return _create(target, new, self.path / TMP_PREFIX / uuid.uuid4().hex)
            with _only_one(target.parent):
                if not target.exists() or target.read_bytes() != old:
                    return False
                self.write(key, new)
                return True

    @contextmanager
    def _write_faults(self, key: str) -> Iterator[None]:
        """Checks `key` and turns an OSError inside the block into storage's two kinds of errors."""
        uri = self.uri_of(key)
        check_output_key(key, uri)
        try:
            yield
        except OSError as error:
            if stat.S_ISREG(_mode(self.path)):
                raise GlassegError(f"{self.uri} is a file, not a folder: choose another destination") from error
            # macOS answers EPERM when the target is a folder, and that is a fault of this name only
            if error.errno in RUN_WIDE_ERRNOS and not stat.S_ISDIR(_mode(self.path / key)):
                raise GlassegError(f"can't write to {uri}: {RUN_WIDE_ERRNOS[error.errno]}") from error
            code = NAME_ERRNOS.get(error.errno or 0, "write_error")
            raise PhotoError(code, f"{uri}: {HINDRANCES.get(error.errno or 0, error.strerror)}") from error


def _create(target: Path, data: bytes, temporary: Path) -> bool:
    """Create a file unless it exists, on disks with links complete from the first moment; returns whether it did."""
    _make(temporary.parent)
    try:
        _write_new(temporary, data)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        except OSError:  # a disk without links
            try:
                _write_new(target, data)
            except FileExistsError:
                return False
        return True
    finally:
        temporary.unlink(missing_ok=True)


def _link(path: Path, new: Path) -> bool:
    """Give a file a second name, if it is there and its disk has links; whether it has it."""
    try:
        os.link(path, new)
        return True
    except OSError:
        return False


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and wait until its bytes are on the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        _sync(file.fileno())


def _make(folder: Path) -> None:
    """Make a folder and those above it, each of them to outlast a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        with suppress(PermissionError):  # a folder that may be written, but not read
            _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Wait until what was written is on the disk, where its file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCED_ERRNOS:
            raise


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time into the block, as far as the disk can; the kernel lets the next in when one ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks have no flock: there a short race remains
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int:
    """The mode bits of what is at `path`, 0 when they can't be read."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _is_leftover(folder: str, name: str) -> bool:
    """Whether NFS keeps this in one of our folders, until nobody has the deleted file open any more."""
    return name.startswith(".nfs") and folder.startswith(OURS)


def _is_folder(one: os.DirEntry[str]) -> bool:
    """Whether `one` is a folder or a link to one; a link to itself is not."""
    try:
        return one.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def _folder_etag(state: os.stat_result) -> str:
    return f"{state.st_size}-{state.st_mtime_ns}"


def _entry(key: str, one: os.DirEntry[str]) -> Entry:
    """The listing's entry of a file; what can't be inspected has size 0, and reading it will report why."""
    try:
        state = one.stat()
    except OSError:
        return Entry(key, 0, "0-0")
    return Entry(key, state.st_size, _folder_etag(state), state.st_mtime)
