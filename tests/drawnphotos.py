"""Small photos of drawn glasses, and the rows and pictures that became of them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from glasseg.catalog import manifest
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.storage.roots import Root

SIZE = (240, 320)
BLANK = encode(np.full((*SIZE, 3), 200, np.uint8), "jpeg", 90)
"""A photo without glasses."""
AWKWARD = (
    "plain.jpg",
    "two words.jpg",
    "a+b%20c#d?e&f.jpg",
    "folder/with/Ünïcode é.png",
    "nfc-" + unicodedata.normalize("NFC", "é") + ".jpg",
    "nfd-" + unicodedata.normalize("NFD", "é") + ".jpg",
    ".leading.jpg",
    "UPPER.JPEG",
    "picture.webp",
    "scan.tif",
    "old.bmp",
)
"""Names that a photo may have."""


def drawn(seed: int, size: tuple[int, int] = SIZE) -> bytes:
    return encode(draw_photo(np.random.default_rng(seed), size).image, "jpeg", 90)


def drawn_as(name: str, seed: int, size: tuple[int, int] = SIZE) -> bytes:
    """A drawn photo, encoded as the extension of `name` says."""
    done, data = cv2.imencode(Path(name).suffix.lower(), draw_photo(np.random.default_rng(seed), size).image[..., ::-1])
    assert done
    return data.tobytes()


def rows(root: Root, key: str | None = None) -> list[dict[str, Any]]:
    found = manifest.read(root).sort_by("run_seq").to_pylist()
    return [row for row in found if key in {None, row["key"]}]


def by_key(root: Root) -> dict[str, dict[str, Any]]:
    """The newest row of every photo."""
    found = rows(root)
    assert len({(row["key"], row["run_id"]) for row in found}) == len(found), "one row per photo and run"
    return {row["key"]: row for row in found}


def outputs(root: Root) -> set[str]:
    """The names of the pictures."""
    return {entry.key for entry in root.list() if not entry.key.startswith("_glasseg/")}
