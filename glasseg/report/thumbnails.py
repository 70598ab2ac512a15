"""The thumbnails of a run's page: each photo before and after, and its mask as a tint."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from glasseg.catalog import manifest, records
from glasseg.errors import GlassegError, PhotoError
from glasseg.images import decoder, encoder
from glasseg.images.decoder import Photo
from glasseg.report.cards import Card
from glasseg.report.photo_card import PhotoCard, Thumbnail
from glasseg.storage.roots import Root

SIDE: Final = 720
"""Longest side of a thumbnail in pixels: sharp on a card of 360 CSS pixels on the finest screens."""
QUALITY: Final = 85
TINT: Final = (214, 25, 111)
"""RGB of the mask on a photo: a pink that hardly any glasses have."""
TINT_ALPHA: Final = 0.6
_NOISE: Final = 8
"""How far, in levels, JPEG may move the background off its colour next to the glasses."""


_SOURCE_LOST: Final = "The source can't be read any more."


@dataclass(frozen=True)
class Small:
    """A picture at most `SIDE` pixels wide and high, and the size of the one it was made from."""

    pixels: np.ndarray
    """h×w×3 uint8 RGB, or h×w×4 with straight alpha."""
    full_size: tuple[int, int]
    """(height, width) of the full picture."""


@dataclass
class Thumbnailer:
    """Makes and stores the thumbnails of one run's cards.

    Its `show` may be called from several threads at a time; each holds one full picture in memory.
    """

    destination: Root
    source: Root | None
    run_id: str
    folder: str
    """The prefix in the destination below which the thumbnails are stored."""
    max_pixels: int
    """Larger pictures are not decoded."""
    reframed: bool
    """Whether the run's options let a picture show another part of the scene than its photo."""
    source_lost: threading.Event = field(default_factory=threading.Event)
    """Set once the source as a whole can't be read: the other photos are then not asked for."""

    def show(self, card: Card, number: int) -> PhotoCard:
        """Card `number` with its thumbnails, stored, and notes on what can't be shown.

        Raises GlassegError when the destination can't be read or written.
        """
        (before, notes), (after, more_notes) = self._photo(card.row), self._picture(card)
        return PhotoCard(
            card,
            before=self._store_picture(before, f"{number:04d}-before") if before else None,
            after=self._store_picture(after, f"{number:04d}-after") if after else None,
            mask=self._store_mask(self._mask(card, after), f"{number:04d}-mask.png") if after else None,
            aligned=before is not None and after is not None and not self.reframed and _same_shape(before, after),
            notes=(*notes, *more_notes),
        )

    def _photo(self, row: Mapping[str, Any]) -> tuple[Small | None, list[str]]:
        """The photo as it now is in the source, and notes on it."""
        if self.source is None or self.source_lost.is_set():
            return None, [_SOURCE_LOST]
        notes = []
        try:
            data, etag = self.source.read(row["key"])
            if row.get("source_etag") not in {None, etag}:
                notes.append("The photo has changed since this run.")
            return _small(data, self.max_pixels), notes
        except GlassegError:
            self.source_lost.set()
            return None, [_SOURCE_LOST]
        except PhotoError as error:
            if row.get("status") != "failed":  # the card of a failed photo gives the reason anyway
                notes.append(f"The photo can't be shown: {error}")
            return None, notes

    def _picture(self, card: Card) -> tuple[Small | None, list[str]]:
        """The picture that the run made, wherever it was put, and notes on it. A failed photo has none."""
        if card.state not in {"ok", "review", "held"} or not card.row.get("output_key"):
            return None, []
        try:
            return self._read(card, card.row["output_key"]), []
        except PhotoError as error:
            return None, [f"The picture can't be shown: {error}"]

    def _mask(self, card: Card, picture: Small) -> np.ndarray:
        """Where the glasses are in the picture, h×w uint8: the mask that the run wrote, else what isn't background."""
        if card.row.get("mask_uri"):
            with suppress(PhotoError):  # a mask that was deleted is no loss: the picture shows nearly the same
                return np.ascontiguousarray(self._read(card, manifest.mask_key(card.row["output_key"])).pixels[..., 0])
        return _not_background(picture.pixels)

    def _read(self, card: Card, key: str) -> Small:
        """A file that the run wrote for a card. What was held back lies in a folder of the run's own."""
        folder = manifest.held_folder(self.run_id) if card.state == "held" else ""
        return _small(self.destination.read(folder + key)[0], self.max_pixels)

    def _store_picture(self, small: Small, stem: str) -> Thumbnail:
        """Store a picture as JPEG, or as WebP if it is transparent."""
        transparent = small.pixels.shape[2] == 4
        kind, suffix = ("webp", ".webp") if transparent else ("jpeg", ".jpg")
        return self._store(stem + suffix, encoder.encode(small.pixels, kind, QUALITY), small.pixels, transparent)

    def _store_mask(self, mask: np.ndarray, name: str) -> Thumbnail:
        return self._store(name, _tinted(mask), mask, transparent=True)

    def _store(self, name: str, data: bytes, pixels: np.ndarray, transparent: bool) -> Thumbnail:
        records.store(self.destination, self.folder + name, data, lasting=False)
        return Thumbnail(name, pixels.shape[1], pixels.shape[0], transparent)


def _small(data: bytes, max_pixels: int) -> Small:
    """Decode a file into a small picture. Raises PhotoError when that is not possible."""
    try:
        photo = decoder.decode(data, max_pixels=max_pixels)
    except MemoryError as error:
        raise PhotoError("out_of_memory", "no memory to decode it") from error
    return Small(_shrunk(photo), (photo.image.shape[0], photo.image.shape[1]))


def _same_shape(before: Small, after: Small) -> bool:
    """Whether two pictures have the same aspect ratio, apart from the rounding to whole pixels."""
    (height, width), (made_height, made_width) = before.full_size, after.full_size
    return abs(height * made_width - width * made_height) <= max(*before.full_size, *after.full_size)


def _shrunk(photo: Photo) -> np.ndarray:
    """A photo with sides of at most `SIDE` pixels: h×w×3 uint8 RGB, or h×w×4 if it is transparent."""
    height, width = photo.image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if photo.alpha is None:
        return cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    whole = Image.fromarray(np.dstack([photo.image, photo.alpha]))
    return np.asarray(whole.resize(size, Image.Resampling.BOX))  # Pillow weights colours by their alpha


def _not_background(pixels: np.ndarray) -> np.ndarray:
    """The alpha of a transparent picture; else 255 where it differs from the colour along its border. h×w uint8."""
    if pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[..., 3])
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    off = np.abs(pixels.astype(np.int16) - np.median(border, axis=0)).max(axis=2)
    return np.where(off > _NOISE, 255, 0).astype(np.uint8)


def _tinted(mask: np.ndarray) -> bytes:
    """A mask, h×w uint8, as a PNG in one colour, as opaque as the mask is white: a palette of 256 alphas."""
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette(bytes(TINT) * 256)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes(round(alpha * TINT_ALPHA) for alpha in range(256)))
    return buffer.getvalue()
