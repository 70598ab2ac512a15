"""Small photos of drawn glasses, and the rows that became of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from glasseg.catalog import manifest
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.storage.roots import Root

BLANK = encode(np.full((240, 320, 3), 200, np.uint8), "jpeg", 90)
"""A photo without glasses."""


def drawn(seed: int, size: tuple[int, int] = (240, 320)) -> bytes:
    return encode(draw_photo(np.random.default_rng(seed), size).image, "jpeg", 90)


def rows(root: Root, key: str | None = None) -> list[dict[str, Any]]:
    found = manifest.read(root).sort_by("run_seq").to_pylist()
    return [row for row in found if key in {None, row["key"]}]
