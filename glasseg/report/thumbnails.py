"""The small pictures on the cards of a run's page."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
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
from glasseg.report.photo_card import Shown, Thumb
from glasseg.storage.roots import Root

SIDE: Final = 720
"""Longest side of a thumbnail in pixels: sharp on a card of 360 CSS pixels on the finest screens."""
QUALITY: Final = 85
TINT: Final = (214, 25, 111)
"""RGB of the mask on a photo: a pink that hardly any glasses have."""
TINT_ALPHA: Final = 0.6
_NOISE: Final = 8
"""Levels by which JPEG may leave the background off its colour beside the glasses."""


@dataclass(frozen=True)
class Small:
    """A picture at most `SIDE` pixels wide and high, and the size of what it was made from."""

    pixels: np.ndarray
    """H×W×3 uint8 RGB, or H×W×4 with straight alpha."""
    size: tuple[int, int]
    """(height, width) of the whole picture."""


@dataclass
class Studio:
    """Takes the pictures of cards. Called from several threads; each has one large picture in memory at a time."""

    destination: Root
    source: Root | None
    run_id: str
    thumbs: str
    max_pixels: int
    reframed: bool
    lost: threading.Event = field(default_factory=threading.Event)
    """Set once the source as a whole can't be read: then nobody asks it for the other photos."""

    def show(self, card: Card, number: int) -> Shown:
        """Card `number` with its thumbnails, and notes on what could not be shown."""
        notes: list[str] = []
        before, after = self._before(card.row, notes), self._after(card, notes)
        return Shown(
            card,
            before=self._kept(before, f"{number:04d}-before"),
            after=self._kept(after, f"{number:04d}-after"),
            mask=self._kept_mask(self._mask(card, after), f"{number:04d}-mask.png") if after else None,
            aligned=bool(before and after) and not self.reframed and _same_shape(before, after),
            notes=tuple(notes),
        )

    def _before(self, row: Mapping[str, Any], notes: list[str]) -> Small | None:
        """The photo as it is in the source now."""
        if self.source is None or self.lost.is_set():
            notes.append("The source can't be read any more.")
            return None
        try:
            data, etag = self.source.read(row["key"])
            if row.get("source_etag") not in {None, etag}:
                notes.append("The photo has changed since this run.")
            return self._small(data)
        except GlassegError:
            self.lost.set()
            notes.append("The source can't be read any more.")
        except PhotoError as error:
            if row.get("status") != "failed":  # of a failed one the card says why already
                notes.append(f"The photo can't be shown: {error}")
        return None

    def _after(self, card: Card, notes: list[str]) -> Small | None:
        """The picture that the run made, wherever it was put; of a failed photo there is none."""
        if card.state not in {"ok", "review", "held"} or not card.row.get("output_key"):
            return None
        try:
            return self._small(self.destination.read(self._place(card) + card.row["output_key"])[0])
        except PhotoError as error:
            notes.append(f"The picture can't be shown: {error}")
            return None

    def _mask(self, card: Card, after: Small) -> np.ndarray:
        """Where the glasses are in the picture, H×W uint8: the mask that the run wrote, else what isn't background."""
        if card.row.get("mask_uri"):
            key = self._place(card) + manifest.mask_key(card.row["output_key"])
            try:
                return np.ascontiguousarray(self._small(self.destination.read(key)[0]).pixels[..., 0])
            except PhotoError:
                pass  # a mask that was deleted is no loss: the picture tells nearly the same
        return _not_background(after.pixels)

    def _place(self, card: Card) -> str:
        """The prefix below which a card's picture and mask lie."""
        return manifest.held_folder(self.run_id) if card.state == "held" else ""

    def _small(self, data: bytes) -> Small:
        try:
            photo = decoder.decode(data, max_pixels=self.max_pixels)
        except MemoryError as error:
            raise PhotoError("out_of_memory", "no memory to decode it") from error
        return Small(_shrunk(photo), (photo.image.shape[0], photo.image.shape[1]))

    def _kept(self, small: Small | None, stem: str) -> Thumb | None:
        """Store a picture as JPEG, or as WebP where it is transparent."""
        if small is None:
            return None
        transparent = small.pixels.shape[2] == 4
        kind, suffix = ("webp", ".webp") if transparent else ("jpeg", ".jpg")
        records.store(self.destination, f"{self.thumbs}{stem}{suffix}", encoder.encode(small.pixels, kind, QUALITY))
        height, width = small.pixels.shape[:2]
        return Thumb(stem + suffix, width, height, transparent)

    def _kept_mask(self, mask: np.ndarray, name: str) -> Thumb:
        records.store(self.destination, self.thumbs + name, _tinted(mask))
        return Thumb(name, mask.shape[1], mask.shape[0], transparent=True)


def _same_shape(before: Small | None, after: Small | None) -> bool:
    """Whether two pictures have the same ratio of sides, but for the rounding to whole pixels."""
    if before is None or after is None:
        return False
    (height, width), (made_height, made_width) = before.size, after.size
    return abs(height * made_width - width * made_height) <= max(*before.size, *after.size)


def _shrunk(photo: Photo) -> np.ndarray:
    """A photo with sides of at most `SIDE` pixels, h×w×3 uint8 RGB, or h×w×4 where it is transparent."""
    height, width = photo.image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if photo.alpha is None:
        return cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    whole = Image.fromarray(np.dstack([photo.image, photo.alpha]))
    return np.asarray(whole.resize(size, Image.Resampling.BOX))  # Pillow weighs colours by their alpha


def _not_background(pixels: np.ndarray) -> np.ndarray:
    """What differs from the colour along the border, h×w uint8; of a transparent picture its alpha."""
    if pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[..., 3])
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    off = np.abs(pixels.astype(np.int16) - np.median(border, axis=0)).max(axis=2)
    return np.where(off > _NOISE, 255, 0).astype(np.uint8)


def _tinted(mask: np.ndarray) -> bytes:
    """A mask, h×w uint8, as a PNG in one colour that is as opaque as the mask is white: a palette of 256 alphas."""
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette(bytes(TINT) * 256)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes(round(alpha * TINT_ALPHA) for alpha in range(256)))
    return buffer.getvalue()
