"""Where destinations stand: a place with records of its own, or one above the outputs of a run with `--outputs`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from glasseg.errors import DeniedError, GlassegError
from glasseg.formats import OURS
from glasseg.storage.roots import Folder, Root

NAME: Final = r"[a-z0-9][a-z0-9_-]{0,63}"
"""What an output may be called."""
_THREADS: Final = 16


def below(root: Root) -> list[str]:
    """The names of the outputs right below a root, sorted; [] where it is a destination itself, or can't be listed.

    In a bucket only those on the first page of its names are found.
    """
    try:
        if _holds(root, OURS):
            return []
        names = sorted(name for name in _folders(root) if re.fullmatch(NAME, name))
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda name: _holds(root, f"{name}/{OURS}"), names))
    except DeniedError:
        return []
    return [name for name, there in zip(names, found, strict=True) if there]


def described(root: Root, names: list[str]) -> str:
    """What to do about a root that only holds outputs, in words."""
    some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{root.uri} holds the outputs {some}: give one of them, such as {root.uri_of(names[0])}"


def stranger(root: Root, why: str) -> GlassegError:
    """What to raise for a place where glasseg has not worked: `why`, or which outputs are below it."""
    names = below(root)
    return GlassegError(described(root, names) if names else why)


def refuse_above(root: Root) -> None:
    """Raise GlassegError for a destination-to-be that holds the outputs of other runs."""
    if names := below(root):
        raise GlassegError(f"{described(root, names)}, or --outputs")


def refuse_taken(root: Root) -> None:
    """Raise GlassegError for a place for outputs that is a destination itself."""
    if _holds(root, OURS):
        raise GlassegError(f"{root.uri} is a destination itself: choose another place for outputs")


def _holds(root: Root, prefix: str) -> bool:
    return next(iter(root.list(prefix)), None) is not None


def _folders(root: Root) -> Iterable[str]:
    """The names of the folders right below a root."""
    if not isinstance(root, Folder):
        return [prefix.rstrip("/") for prefix in root.level()[1] or ()]
    return [path.name for path in root.path.iterdir() if path.is_dir()] if root.path.is_dir() else []
