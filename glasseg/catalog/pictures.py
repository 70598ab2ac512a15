"""A picture and its mask on the way to their places: both of them, or neither."""

from __future__ import annotations

from glasseg.catalog import manifest
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Root, delete_if_allowed


def put(
    root: Root, output: str, picture: bytes, mask: bytes | None, *, folder: str = "", guarded: bool = False
) -> None:
    """Write the picture `output` below `folder` of a destination, and before it its mask, if it has one.

    Where the picture can't be written, the mask that was there comes back. Of a process that ends between the two,
    `claims.touched` finds the mask. A `guarded` picture replaces nothing: PhotoError foreign when its place is taken.
    Raises as `Root.write` does.
    """
    if mask is None:
        _put(root, folder + output, picture, guarded=guarded)
        return
    key = folder + manifest.mask_key(output)
    before = _read(root, key)
    root.write(key, mask)
    try:
        _put(root, folder + output, picture, guarded=guarded)
    except (PhotoError, MemoryError):  # both are the fault of one photo, and its run goes on
        _put_back(root, key, before)
        raise


def _put(root: Root, key: str, picture: bytes, *, guarded: bool) -> None:
    if not guarded:
        root.write(key, picture)
    elif not root.swap(key, None, picture):
        raise PhotoError("foreign", f"{root.uri_of(key)} is taken: move it away, or add --overwrite")


def _read(root: Root, key: str) -> bytes | None:
    """What is to be replaced, None where nothing is."""
    try:
        return root.read(key)[0]
    except PhotoError as error:
        if error.code == "vanished" or (error.code == "denied" and not root.exists(key)):  # S3 may deny what is missing
            return None
        raise PhotoError("write_error", f"the mask that is there can't be read: {error}") from error


def _put_back(root: Root, key: str, before: bytes | None) -> None:
    """Undo the write of a mask. If that fails too, the run stops: its claims have the photo done again."""
    if before is None:
        delete_if_allowed(root, key)
        return
    try:
        root.write(key, before)
    except PhotoError as error:
        raise GlassegError(f"a mask can't be put back: {error}") from error
