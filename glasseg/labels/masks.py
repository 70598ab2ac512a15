"""Mask files: what their values mean, and where the mask of a photo lies."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

MASK_EXTENSIONS: Final = ("png", "jpg", "jpeg")
"""Extensions of masks, case-blind; of two masks for one photo the one earlier in this order counts."""

_LABEL_MAP_VALUES: Final = np.array([0, 64, 128, 255])
_JPEG: Final = b"\xff\xd8"
"""The first bytes of every JPEG."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE: Final = 25
"""Offset of a PNG's colour type; `_PNG_WITH_ALPHA`: the types with an alpha channel."""
_PNG_WITH_ALPHA: Final = (4, 6)
_COLOURED: Final = 32
"""A pixel whose channels differ by more levels is not grey; JPEG leaves a few in a mask that was saved in colour."""
_COLOURED_SHARE: Final = 0.01
"""A picture with more coloured pixels is not a mask. Four of five photos of glasses have more, masks have none."""


@dataclass(frozen=True)
class Label:
    """The meaning of a mask file: three H×W bool arrays that exclude each other; where all are false is background.

    `material`: visible material of the glasses. `opening`: see-through, background too. `ignored`: not scored.
    """

    material: np.ndarray
    opening: np.ndarray
    ignored: np.ndarray


def read_label(data: bytes) -> Label:
    """Read the bytes of a mask file.

    A lossless mask whose values all lie in {0, 64, 128, 255} is a label map (255 material, 128 opening, 64 not
    scored). In another lossless mask of exactly two colours, one of them black, the other is material: tools for
    labelling save classes as colours, or as numbers. In any other mask a value above 127 is material. Transparent
    pixels are background. Raises ValueError when the bytes are not a picture, or one in colour, such as the photo
    itself.
    """
    picture = _decoded(data, cv2.IMREAD_COLOR)
    if data.startswith(_PNG) and data[_PNG_COLOUR_TYPE] in _PNG_WITH_ALPHA:
        alpha = _decoded(data, cv2.IMREAD_UNCHANGED)[..., 3]
        picture[alpha < np.iinfo(alpha.dtype).max // 2] = 0
    lossless = not data.startswith(_JPEG)
    nothing = np.zeros(picture.shape[:2], bool)
    if lossless and (painted := _painted(picture)) is not None:
        return Label(painted, nothing, nothing)
    if _coloured_share(picture) > _COLOURED_SHARE:
        raise ValueError("the mask is a colour photo, not a mask")
    mask = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    if lossless and np.isin(np.unique(mask), _LABEL_MAP_VALUES).all():
        return Label(mask == 255, mask == 128, mask == 64)
    return Label(mask > 127, nothing, nothing)


def _decoded(data: bytes, flags: int) -> np.ndarray:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # else OpenCV prints each damage to stderr
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise ValueError("the mask claims more pixels than can be decoded") from error
    if picture is None:
        raise ValueError("the mask is not a picture")
    return picture


def _painted(picture: np.ndarray) -> np.ndarray | None:
    """Where an H×W×3 uint8 picture of black and one other colour has that, H×W bool; None for any other picture.

    None also if the colour is a value of label maps.
    """
    one, two, three = cv2.split(picture)
    highest = cv2.max(cv2.max(one, two), three)
    place = int(highest.argmax())
    colour = tuple(int(channel.flat[place]) for channel in (one, two, three))
    if len({*colour}) == 1 and colour[0] in _LABEL_MAP_VALUES:
        return None
    painted = cv2.inRange(picture, colour, colour)
    count = cv2.countNonZero(painted)
    return painted > 0 if count == cv2.countNonZero(highest) < highest.size else None


def _coloured_share(picture: np.ndarray) -> float:
    """The share of the pixels of an H×W×3 uint8 picture that are clearly coloured."""
    one, two, three = cv2.split(picture)  # ten times as fast as numpy over the last axis
    high, low = cv2.max(cv2.max(one, two), three), cv2.min(cv2.min(one, two), three)
    return cv2.countNonZero(cv2.compare(cv2.subtract(high, low), _COLOURED, cv2.CMP_GT)) / high.size


def is_mask(key: str) -> bool:
    """Whether a key is named like a mask that lies next to its photo."""
    return posixpath.splitext(key)[0].endswith("_mask")


def by_stem(keys: Iterable[str]) -> dict[str, str]:
    """Every key that may be a mask, by its name without extension; of two with the same, by `MASK_EXTENSIONS`."""
    ranked = []
    for key in keys:
        stem, dot_extension = posixpath.splitext(key)
        if (extension := dot_extension[1:].lower()) in MASK_EXTENSIONS:
            ranked.append((MASK_EXTENSIONS.index(extension), key, stem))
    return {stem: key for _, key, stem in sorted(ranked, reverse=True)}


def next_to(photo: str, masks: Mapping[str, str], root_name: str) -> str | None:
    """The key in `masks` (of `by_stem`) of a photo's mask, NAME_mask in its folder FOLDER or in FOLDER_masks.

    For a photo that lies in the root itself, called `root_name`, the latter is "../FOLDER_masks/…".
    """
    folder, name = posixpath.split(posixpath.splitext(photo)[0])
    sibling = f"{folder or f'../{root_name}'}_masks"
    return _first((posixpath.join(folder, f"{name}_mask"), f"{sibling}/{name}_mask"), masks)


def in_masks_folder(photo: str, masks: Mapping[str, str]) -> str | None:
    """The key in `masks` (of `by_stem`) of the mask of images/SUB/NAME: masks/SUB/NAME, or NAME_mask there."""
    stem = f"masks/{posixpath.splitext(photo)[0].removeprefix('images/')}"
    return _first((stem, f"{stem}_mask"), masks)


def _first(stems: Iterable[str], masks: Mapping[str, str]) -> str | None:
    return next((masks[stem] for stem in stems if stem in masks), None)
