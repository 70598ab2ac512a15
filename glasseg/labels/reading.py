"""Labelled photos, products, cutouts and backgrounds read from their files, as what training pictures are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.images import decoder
from glasseg.labels.pairs import Backdrop, Kind, Label, Pair, read_label
from glasseg.storage.roots import Root

MAX_PIXELS: Final = 100_000_000
MIN_BACKDROP: Final = 16
"""Shortest side of a backdrop in pixels; anything smaller is a divider or a tracking pixel."""


@dataclass(frozen=True)
class Layer:
    """Glasses on white, cropped with a margin: `photo` h×w×3 uint8 RGB, the others h×w uint8 (0–255).

    `coverage`: material. `opening`: see-through parts. `lens`: large tinted parts, through which a backdrop may shine.
    """

    photo: np.ndarray
    coverage: np.ndarray
    opening: np.ndarray
    lens: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.photo.nbytes + self.coverage.nbytes + self.opening.nbytes + self.lens.nbytes


@dataclass(frozen=True)
class Scene:
    """A labelled photo with its own background: `photo` h×w×3 uint8 RGB, the others h×w uint8 (0–255).

    `coverage`: material. `weight`: 0 where not scored. `opening`: see-through parts, as far as the label names them.
    """

    photo: np.ndarray
    coverage: np.ndarray
    weight: np.ndarray
    opening: np.ndarray

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.photo.nbytes + self.coverage.nbytes + self.weight.nbytes + self.opening.nbytes


def files(one: Pair | Backdrop, opened: Callable[[str], Root]) -> list[bytes]:
    """The bytes of a photo and, where it has one, of its mask; `opened` gives the root of a uri.

    Raises PhotoError when one can't be read, ValueError when a corrected photo is not the one that was corrected,
    GlassegError when a place can't be reached.
    """
    photo, etag = opened(one.root).read(one.photo)
    if isinstance(one, Backdrop) or one.mask is None:
        return [photo]
    if one.correction and etag != one.correction.etag:
        raise ValueError(f"the photo has changed since it was {one.correction.word}")
    return [photo, opened(one.correction.root if one.correction else one.root).read(one.mask)[0]]


def read_scene(photo: bytes, mask: bytes, side: int | None = None) -> Scene:
    """A labelled photo from the bytes of photo and mask, its longest side at most `side` pixels.

    Raises PhotoError when the photo can't be used, ValueError when the mask can't: unreadable, another size, empty.
    """
    image, label = labelled(photo, mask)
    masks = (label.material, ~label.ignored, label.opening)
    return Scene(shrunk(image, side), *(shrunk(_bytes(mask), side) for mask in masks))


def read_product(photo: bytes, mask: bytes, side: int | None = None) -> Layer:
    """Glasses of a photo on pure white and its mask; raises as `read_scene` does."""
    image, label = labelled(photo, mask)
    image[label.ignored] = 255  # a tag on its string, for example, is not part of the glasses
    return _layer(image, _soften(image, _bytes(label.material)), _bytes(label.opening), side)


def read_cutout(picture: bytes, side: int | None = None) -> Layer:
    """Glasses of an 8-bit picture with an alpha channel. Raises ValueError for any other, and if nothing is opaque."""
    bgra = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED) if picture else None
    if bgra is None:
        raise ValueError("not a picture")
    if bgra.dtype != np.uint8 or bgra.ndim != 3 or bgra.shape[2] != 4:
        raise ValueError("not a cutout: a cutout is an 8-bit picture with an alpha channel")
    rgba = cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA)
    if not (rgba[..., 3] > 127).any():
        raise ValueError("the cutout is empty: no pixel is opaque")
    alpha = rgba[..., 3:].astype(np.float32) / 255
    photo = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    coverage = np.ascontiguousarray(rgba[..., 3])
    return _layer(photo, coverage, np.zeros_like(coverage), side)


READERS: Final[dict[Kind, Callable[..., Layer | Scene]]] = {
    Kind.PRODUCT: read_product,
    Kind.CUTOUT: read_cutout,
    Kind.SCENE: read_scene,
}
"""What reads the `files` of a pair, by its kind."""


def read_backdrop(photo: bytes, side: int | None = None) -> np.ndarray:
    """A photo without glasses: h×w×3 uint8 RGB. Raises PhotoError when undecodable, ValueError when tiny."""
    picture = shrunk(decoder.decode_on_white(photo, max_pixels=MAX_PIXELS), side)
    if min(picture.shape[:2]) < MIN_BACKDROP:
        raise ValueError(f"{picture.shape[1]}×{picture.shape[0]} pixels are too few for a background")
    return picture


def shrunk(picture: np.ndarray, side: int | None) -> np.ndarray:
    """The picture with its longest side at most `side` pixels, by averaging; None leaves it as it is.

    Raises ValueError if the shorter side would round to nothing.
    """
    factor = (side or np.inf) / max(picture.shape[:2])
    if factor >= 1:
        return picture
    if round(min(picture.shape[:2]) * factor) < 1:
        height, width = picture.shape[:2]
        raise ValueError(f"{width}×{height} pixels are too thin")
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def labelled(photo: bytes, mask: bytes) -> tuple[np.ndarray, Label]:
    """A photo, H×W×3 uint8 RGB, and its label of the same size; raises as `read_scene` does."""
    image, label = decoder.decode_on_white(photo, max_pixels=MAX_PIXELS), read_label(mask)
    if image.shape[:2] != label.material.shape:
        (h, w), (mask_h, mask_w) = image.shape[:2], label.material.shape
        raise ValueError(f"the mask is {mask_w}×{mask_h} pixels, the photo {w}×{h}")
    if not label.material.any():
        raise ValueError("the mask is empty: no pixel is glasses")
    return image, label


def _bytes(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def _soften(photo: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Soft coverage from a hard mask on a white photo: a rim pixel counts by its darkness, relative to those near it.

    `photo` h×w×3 uint8, `material` h×w uint8, 0 or 255; returns h×w uint8. A thresholded mask counts half-white rim
    pixels in full; on a dark backdrop they would teach the network a white halo.
    """
    red, green, blue = cv2.split(photo)
    lightness = cv2.min(cv2.min(red, green), blue)  # ten times as fast as numpy over the last axis
    rim = cv2.dilate(material, np.ones((3, 3), np.uint8)) > cv2.erode(material, np.ones((5, 5), np.uint8))
    darkest = cv2.erode(lightness, np.ones((5, 5), np.uint8))
    share = (255.0 - lightness[rim]) / np.maximum(255.0 - darkest[rim], 24.0)
    soft = material.copy()
    soft[rim] = np.rint(np.clip(share, 0, 1) * 255)
    return soft


def _layer(photo: np.ndarray, coverage: np.ndarray, opening: np.ndarray, side: int | None) -> Layer:
    """The layer cropped to its glasses with a margin; `photo` h×w×3 uint8 on white, the others h×w uint8."""
    x, y, w, h = cv2.boundingRect((coverage > 16).astype(np.uint8))
    margin = max(4, h // 10)
    rows, columns = slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin)
    # copies: a view would keep the whole photo in memory
    photo, coverage, opening = (np.array(shrunk(part[rows, columns], side)) for part in (photo, coverage, opening))
    return Layer(photo, coverage, opening, _lens(coverage))


def _lens(coverage: np.ndarray) -> np.ndarray:
    """What remains of a coverage, h×w uint8, after a wide morphological opening: mostly tinted lenses, no frame; soft.

    At a quarter of the size: at full size it would take longer than the rest of reading a photo.
    """
    height, width = coverage.shape
    small = cv2.resize(coverage, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    side = max(3, height // 24)
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.GaussianBlur(cv2.resize(opened, (width, height), interpolation=cv2.INTER_LINEAR), (0, 0), 2)
