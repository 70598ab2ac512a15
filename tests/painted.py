"""Exports of the editor in which a person painted over photos of a real destination."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import handedin
import numpy as np

from glasseg.catalog import state
from glasseg.cutout.correction import ERASE, KEEP, UNTOUCHED
from glasseg.storage.roots import Root

Paint = Callable[[np.ndarray], None]
"""Paints labels on a map, in place."""


def erased(labels: np.ndarray) -> None:
    """All of the left half."""
    labels[:, : labels.shape[1] // 2] = ERASE


def kept(labels: np.ndarray) -> None:
    """A square in the upper left corner, where no drawn photo has glasses."""
    h, w = labels.shape
    labels[h // 20 : h // 6, w // 20 : w // 6] = KEEP


def photo_of(destination: Root, key: str, paint: Paint | None, **facts: Any) -> dict[str, Any]:
    """What an export says of a photo, and in `png` its map; it is approved without `paint`."""
    known = {row["key"]: row for row in state.read(destination).photos.to_pylist()}[key]
    size = (known["height"], known["width"])
    said = {name: known[name] for name in ("source_etag", "model_id", "run_id")} | {"size": size, **facts}
    if paint is None:
        return handedin.photo(key, map=None, approved=True, **said)
    labels = np.full(size, UNTOUCHED, np.uint8)
    paint(labels)
    return handedin.photo(key, png=handedin.png(labels), **said)


def zipped(*photos: dict[str, Any], exported_at: str = "2026-01-31T06:00:00Z", destination: str = "") -> bytes:
    """The zip of an export of what `photo_of` says, made for the `destination` of this URI."""
    said, maps = [], {}
    for number, photo in enumerate(photos, 1):
        one = dict(photo)
        if png := one.pop("png", None):
            one["map"] = f"maps/{number:04d}.png"
            maps[one["map"]] = png
        said.append(one)
    stated = handedin.statement(*said, exported_at=exported_at, destination=destination)
    return handedin.zipped({"corrections.json": stated, **maps})


def export(folder: Path, destination: Root, paints: dict[str, Paint | None], name: str = "corrections.zip") -> str:
    """A zip in `folder` with a correction (or an approval) of each photo."""
    path = folder / name
    photos = (photo_of(destination, key, paint) for key, paint in paints.items())
    path.write_bytes(zipped(*photos, destination=destination.uri))
    return str(path)
