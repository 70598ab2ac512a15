"""Labelled photos: a photo and the mask that says where the glasses are."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from glasseg.catalog import is_photo
from glasseg.errors import GlassegError

_LABEL_MAP_VALUES: Final = np.array([0, 64, 128, 255])
_JPEG: Final = b"\xff\xd8"
"""What every JPEG begins with."""


@dataclass(frozen=True)
class Label:
    """What a mask file says: three H×W bool arrays that exclude each other; where all are false is background.

    `material`: visible material of the glasses. `opening`: see-through, background as well. `ignored`: not scored.
    """

    material: np.ndarray
    opening: np.ndarray
    ignored: np.ndarray


@dataclass(frozen=True)
class Pair:
    """One labelled photo.

    `kind`: product (on pure white, laid on scenes), cutout (RGBA, no mask) or scene (used as it is). `group`: photos of
    one product share it. `split`: train, validation or any other word, which no training looks at.
    """

    photo: Path
    mask: Path | None
    kind: str
    group: str
    split: str


def read_label(data: bytes) -> Label:
    """Read the bytes of a mask file.

    A lossless mask whose values all lie in {0, 64, 128, 255} is a label map (255 material, 128 opening, 64 not
    scored); in any other one a value above 127 is material. Raises ValueError when the bytes are no picture.
    """
    mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if mask is None:
        raise ValueError("not a picture")
    lossless = not data.startswith(_JPEG)
    if lossless and np.isin(np.unique(mask), _LABEL_MAP_VALUES).all():
        return Label(mask == 255, mask == 128, mask == 64)
    nothing = np.zeros(mask.shape, bool)
    return Label(mask > 127, nothing, nothing)


_COLUMNS: Final = ("file", "kind", "product_group", "split")
_KINDS: Final = {"product": "product", "cutout": "cutout", "catalog photo": "scene", "scene": "scene", "real": "scene"}


@dataclass(frozen=True)
class Index:
    """What a data folder's `index.csv` lists: labelled pairs, and backgrounds without glasses as (path, split)."""

    pairs: list[Pair]
    backgrounds: list[tuple[Path, str]]


def read_index(folder: Path) -> Index:
    """Read `folder/index.csv` with the columns file, kind, product_group and split.

    Kinds: product, cutout, `catalog photo`, `real` or scene (a photo used with its own background), background; other
    rows are left out, and so are photos without a mask. Raises GlassegError when the index is missing, lacks a column,
    lists a photo that is not there, or lists none that has a mask.
    """
    path = folder / "index.csv"
    if not path.is_file():
        raise GlassegError(f"no index.csv in {folder}: it must list {', '.join(_COLUMNS)}")
    pairs, backgrounds = [], []
    for row in _rows(path):
        photo, kind = folder / row["file"], _KINDS.get(row["kind"])
        if kind is None and row["kind"] != "background":
            continue
        if not photo.is_file():
            raise GlassegError(f"{path} lists {row['file']}, which is not there")
        if kind is None:
            backgrounds.append((photo, row["split"]))
            continue
        mask = None if kind == "cutout" else _mask_of(photo)
        if mask is not None or kind == "cutout":
            pairs.append(Pair(photo, mask, kind, row["product_group"] or row["file"], row["split"]))
    if not pairs:
        raise GlassegError(f"{path} lists no photo that has a mask")
    return Index(pairs, backgrounds)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file that has `_COLUMNS`; utf-8, also with the mark that Excel puts in front."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restval="")
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise GlassegError(f"{path} is no csv file in utf-8: {error}") from error
    if missing:
        raise GlassegError(f"{path} has no column {', '.join(missing)}")
    return rows


def find_pairs(folder: Path) -> list[Pair]:
    """All photos of a folder tree that have a mask (`NAME_mask.png` or `NAME_mask.jpg`), sorted by path."""
    files = sorted(p for p in folder.rglob("*") if is_photo(p.relative_to(folder).as_posix()) and p.is_file())
    photos = [p for p in files if not p.stem.endswith("_mask")]
    return [Pair(p, mask, "scene", p.name, "") for p in photos if (mask := _mask_of(p)) is not None]


def _mask_of(photo: Path) -> Path | None:
    """`NAME_mask.png` or `NAME_mask.jpg` beside the photo, or in a sibling folder called `<folder>_masks`."""
    beside = photo.absolute().parent  # absolute: "." has no name that a sibling's could be made of
    for folder in (photo.parent, beside.parent / f"{beside.name}_masks"):
        for suffix in (".png", ".jpg"):
            mask = folder / f"{photo.stem}_mask{suffix}"
            if mask.is_file():
                return mask
    return None
