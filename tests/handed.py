"""Corrections as a person hands them in: the zip that the editor exports."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from glasseg.catalog import state
from glasseg.cutout.correction import ERASE, KEEP, UNTOUCHED
from glasseg.images.encoder import encode
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


def photo_of(destination: Root, key: str, paint: Paint | None, shrink: float = 1.0, **facts: Any) -> dict[str, Any]:
    """What the zip's JSON says of a photo, and in `png` its map; it is approved without `paint`."""
    known = {row["key"]: row for row in state.read(destination).photos.to_pylist()}[key]
    size = (known["height"], known["width"])
    said = {name: known[name] for name in ("key", "source_etag", "model_id", "run_id")} | {"size": size}
    if paint is None:
        return {**said, "approved": True, **facts}
    labels = np.full((round(size[0] / shrink), round(size[1] / shrink)), UNTOUCHED, np.uint8)
    paint(labels)
    return {**said, "png": encode(labels, "png", 95), **facts}


def zipped(*photos: dict[str, Any], exported_at: str = "2026-01-31T06:00:00Z", **facts: Any) -> bytes:
    """The zip of an export."""
    buffer, listed = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w") as file:
        for number, photo in enumerate(photos, 1):
            said = {name: value for name, value in photo.items() if name != "png"}
            if "png" in photo:
                said.setdefault("map", f"maps/{number:04d}.png")
                file.writestr(f"maps/{number:04d}.png", photo["png"])
            listed.append(said)
        head = {"format": "glasseg corrections", "version": 1, "destination": "white", "exported_at": exported_at}
        file.writestr("corrections.json", json.dumps({**head, **facts, "photos": listed}))
    return buffer.getvalue()


def export(folder: Path, destination: Root, paints: dict[str, Paint | None], name: str = "corrections.zip") -> str:
    """A zip in `folder` with a correction (or an approval) of each photo."""
    path = folder / name
    path.write_bytes(zipped(*(photo_of(destination, key, paint) for key, paint in paints.items())))
    return str(path)
