"""Corrections as people hand them in, made for tests: exports of the editor, masks, and zips of either."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def png(picture: np.ndarray) -> bytes:
    """`picture`, grey or BGR, as the bytes of a PNG."""
    return cv2.imencode(".png", picture)[1].tobytes()


def mask(size: tuple[int, int] = (30, 40), colour: int | tuple[int, int, int] = 255) -> np.ndarray:
    """A mask with a bar in the middle, h×w uint8, or h×w×3 if the bar has a colour (BGR)."""
    drawn = np.zeros(size if isinstance(colour, int) else (*size, 3), np.uint8)
    drawn[size[0] // 3 : size[0] * 2 // 3, size[1] // 4 : size[1] * 3 // 4] = colour
    return drawn


MAP = png(np.full((30, 40), 64, np.uint8) | mask())


def photo(named: str, **others: Any) -> dict[str, Any]:
    """What the editor says of a photo; it has the map maps/0001.png unless `others` say else."""
    said = {
        "key": named,
        "source_etag": "e1",
        "model_id": "m1",
        "run_id": "r1",
        "size": [30, 40],
        "map": "maps/0001.png",
    }
    return {name: value for name, value in (said | others).items() if value is not None}


def approval(key: str) -> dict[str, Any]:
    """What the editor says of a photo that is right as it is."""
    return photo(key, map=None, approved=True)


def statement(*photos: Any, **others: Any) -> bytes:
    """The corrections.json of an export."""
    stated = {"format": "glasseg corrections", "version": 1, "destination": "s3://shop/white"}
    return json.dumps(stated | {"exported_at": "2026-11-30T06:00:00Z", "photos": photos} | others).encode()


def export(*photos: Any, **others: Any) -> dict[str, bytes]:
    """The files of an export, in which all maps are the same."""
    names = [one["map"] for one in photos if isinstance(one, dict) and isinstance(one.get("map"), str)]
    return {"corrections.json": statement(*photos, **others), **dict.fromkeys(names, MAP)}


def zipped(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Files as the bytes of a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 29, 12, 0, 0)), data, compression)
    return made.getvalue()


def folder(path: Path, files: Mapping[str, bytes]) -> str:
    """Files in a folder, whose uri is returned."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)
