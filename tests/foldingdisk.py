"""A disk that takes several names for one file, as macOS, exFAT and SMB shares do: folded where a path is built.

A file keeps the spelling with which it was first made. `glasseg.storage` builds every path as folder / key, so nothing
that is written or read gets past this.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PosixPath

import pytest

from glasseg.storage import roots


def folded(name: str) -> str:
    """`name` as APFS compares it, without the dots and spaces at its end, as Windows does."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()).rstrip(". ")


class FoldingPath(PosixPath):
    """A path below which the names of files that are there are found in any spelling."""

    def __truediv__(self, key: str | os.PathLike[str]) -> FoldingPath:
        path = Path(self)
        for part in Path(key).parts:
            there = [one.name for one in path.iterdir()] if path.is_dir() else []
            path = path / next((name for name in there if folded(name) == folded(part)), part)
        return FoldingPath(path)

    def with_name(self, name: str) -> FoldingPath:
        return FoldingPath(self.parent) / name


def make_folding(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let `folder` be on such a disk for all roots that are opened from now on."""
    local_path = roots._local_path

    def folding(uri: str) -> Path:
        path = local_path(uri)
        return FoldingPath(path) if path.is_relative_to(folder) else path

    monkeypatch.setattr(roots, "_local_path", folding)
