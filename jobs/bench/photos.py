"""The photos that a bench works on: drawn ones, or the usable ones of a folder, under as many names as it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import numpy as np

from glasseg import formats
from glasseg.config import WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.errors import GlassegError, PhotoError
from glasseg.images import decoder, encoder
from glasseg.storage.folder import Folder
from jobs.terminal import say

DISTINCT: Final = 12
"""Drawn photos; they are repeated under other names."""
DRAWN_QUALITY: Final = 92


def draw(folder: Path, size: tuple[int, int]) -> list[Path]:
    """`DISTINCT` drawn photos of `size`, (height, width) in pixels, as JPEGs in a new `folder`."""
    say(f"drawing {DISTINCT} photos")
    folder.mkdir()
    for number in range(DISTINCT):
        drawn = draw_photo(np.random.default_rng(number), size)
        (folder / f"{number:02d}.jpg").write_bytes(encoder.encode(drawn.image, "jpeg", DRAWN_QUALITY))
    return sorted(folder.iterdir())


def usable(folder: Path, most: int, suffixes: Set[str] | None = None) -> tuple[list[Path], tuple[int, int]]:
    """Up to `most` photos of a folder that can be decoded, and the (height, width) of the one of middle size.

    `suffixes`: only photos with one of these; None for all. Raises GlassegError when there are none.
    """
    root, limit = Folder(folder.resolve()), WhitenConfig.max_pixels
    good: list[Path] = []
    sizes, bad = [], 0
    for entry in root.list():
        wanted = suffixes is None or Path(entry.key).suffix.lower() in suffixes
        if len(good) < most and wanted and formats.is_photo(entry.key):
            try:
                sizes.append(decoder.decode_on_white(root.read(entry.key)[0], max_pixels=limit).shape[:2])
                good.append(root.path / entry.key)
            except PhotoError:
                bad += 1
    if not good:
        raise GlassegError(f"no photos in {folder} that can be decoded")
    if bad:
        say(f"{bad} photos of {folder} can't be decoded and are left out")
    height, width = sorted(sizes, key=math.prod)[len(sizes) // 2]
    return good, (int(height), int(width))


def repeat(originals: Sequence[Path], count: int, folder: Path) -> None:
    """Link the photos, in turn, under `count` names in a new `folder`."""
    folder.mkdir()
    for number, original in enumerate(islice(cycle(originals), count)):
        (folder / f"{number:06}{original.suffix}").symlink_to(original)
