"""Corrections as people hand them in: what they say of which photo, and the label map of what they drew.

They are exports of the editor, or masks that were drawn with other tools, in folders, S3 prefixes, zips, or alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import cv2
import numpy as np

from glasseg.catalog.reviewed import Word
from glasseg.cutout.correction import CLEAR, ERASE, KEEP, LABELS, UNTOUCHED
from glasseg.errors import GlassegError, PhotoError
from glasseg.formats import is_photo
from glasseg.images import decoder, jpeg, png
from glasseg.labels import correction_files, exports, mask_names
from glasseg.labels.correction_files import File
from glasseg.labels.masks import read_label
from glasseg.lists.spelling import visible
from glasseg.storage.keys import unsafe_reason

_PNG_KIND: Final = slice(24, 26)  # of a PNG's header: bits, and the kind of colour
_GREY_8: Final = b"\x08\x00"


@dataclass(frozen=True)
class Offer:
    """What a person says of one photo.

    `name`: where it comes from, for messages, such as "corrections.zip: maps/0001.png". `data`: the bytes of the mask;
    None for an approval. `source_etag`, `model_id`, `run_id`: of the picture that the person saw in the editor; `size`:
    (height, width) of the photo there; all None for a mask of another tool. `exported_at`: when it was exported, or its
    file last changed, as `stamp` writes it, "" where that is unknown. `destination`: the URI of the one that an export
    was made for, "" where that is unknown.
    """

    name: str
    key: str
    word: Word
    data: bytes | None
    source_etag: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    size: tuple[int, int] | None = None
    exported_at: str = ""
    destination: str = ""

    @property
    def is_export(self) -> bool:
        """Whether it comes from the editor."""
        return self.size is not None


def read(uri: str, keys: Collection[str], *, endpoint_url: str | None = None) -> tuple[list[Offer], dict[str, str]]:
    """What is offered at `uri`, the latest last; and what can't be used, by its name, and why, in a line each.

    `uri`: a zip or a mask, or a folder or S3 prefix of them; an export may also have been unpacked. `keys`: the photos
    that the destination knows; how masks are matched with them is in `mask_names.photos_of`. Of one photo there may be
    several offers. All bytes are held in memory, at most `correction_files.MOST_TOTAL`.

    Raises GlassegError when there is nothing that may be a correction, or it is a single zip that can't be used, or too
    much.
    """
    files, single = correction_files.listed(uri, endpoint_url=endpoint_url)
    taken = _Taken(uri, keys)
    loose = []
    for file in files:
        if not (_is_zip(file.name) or (single and not _is_loose(file.name))):
            loose.append(file)
            continue
        try:
            taken.add_zip(file)
        except ValueError as error:
            if single:
                raise GlassegError(f"{uri}: {error}") from error
            taken.refused[visible(file.name)] = str(error)
    taken.add(loose, "")
    if not (taken.offers or taken.refused):
        way_out = "hand in the zip that the editor exports, or masks: that of NAME.jpg is NAME_mask.png"
        raise GlassegError(f"no corrections in {uri}: {way_out}")
    return sorted(taken.offers, key=lambda offer: (offer.exported_at, offer.name)), taken.refused


def labels(data: bytes, size: tuple[int, int], most_pixels: int, *, is_export: bool) -> np.ndarray:
    """The label map of a mask for a photo of `size`: h×w uint8, 255 material, 128 opening, 64 untouched, 0 background.

    The mask has the shape of the photo, to rounding, and is at most as large. One of the editor (`is_export`) is a
    lossless grey map of these values. One of another tool is what `masks.read_label` makes of it; only the 64 of a
    label map are untouched. Raises ValueError, one line, when it can't be the mask of this photo, says nothing, or has
    more than `most_pixels`, which is checked before it is decoded.
    """
    if not data.startswith((png.SIGNATURE, jpeg.START)):
        raise ValueError("the mask is neither PNG nor JPEG")
    try:
        decoder.decode(data, max_pixels=most_pixels)
    except PhotoError as error:
        raise ValueError(f"the mask can't be read: {error}") from error
    drawn = _map(data) if is_export else _label_map(data)
    (height, width), (photo_height, photo_width) = drawn.shape, size
    skew = abs(height * photo_width - width * photo_height)
    if height > photo_height or width > photo_width or skew > max(height, width, photo_height, photo_width):
        raise ValueError(f"the mask is {width}×{height} pixels, the photo {photo_width}×{photo_height}")
    if (drawn == UNTOUCHED).all():
        raise ValueError("the mask says nothing: all of it is untouched")
    return drawn


def encode(labels: np.ndarray) -> bytes:
    """A label map, h×w uint8, as the bytes of a grey PNG of 8 bits."""
    return cv2.imencode(".png", labels)[1].tobytes()


def _map(data: bytes) -> np.ndarray:
    """A map of the editor."""
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if not data.startswith(png.SIGNATURE) or data[_PNG_KIND] != _GREY_8 or drawn is None:
        raise ValueError("the map is not as the editor writes it, a grey PNG of 8 bits: export it again")
    if not np.isin(np.unique(drawn), LABELS).all():
        raise ValueError("the map has other values than 0, 64, 128 and 255: export it again")
    return drawn


def _label_map(data: bytes) -> np.ndarray:
    """A mask of another tool."""
    label = read_label(data)
    if not (label.material.any() or label.ignored.any()):
        raise ValueError("the mask is empty: no pixel is glasses")
    ring = label.material.copy()
    ring[1:-1, 1:-1] = False
    if ring.sum() > ring.shape[0] + ring.shape[1]:  # half of it
        raise ValueError("most of the mask's outermost pixels are glasses: is it inverted, or a photo?")
    drawn = np.full(label.material.shape, ERASE, np.uint8)
    drawn[label.material], drawn[label.opening], drawn[label.ignored] = KEEP, CLEAR, UNTOUCHED
    return drawn


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _is_loose(name: str) -> bool:
    """Whether a file may say something by itself."""
    return is_photo(name) or correction_files.is_statement(name)


class _Taken:
    """What is offered at `uri` for the photos `keys`, and what can't be used, by name, and why."""

    def __init__(self, uri: str, keys: Collection[str]) -> None:
        self.uri = uri
        self.keys = dict.fromkeys(keys)  # in their order, which shows in messages
        self.offers: list[Offer] = []
        self.refused: dict[str, str] = {}
        self._held = 0  # bytes of all offers

    def add_zip(self, file: File) -> None:
        """Add what a zip says. Raises ValueError, one line, when it can't be used."""
        before = len(self.offers), len(self.refused)
        inside = correction_files.zipped(correction_files.zip_data(file))
        self.add(inside, f"{visible(file.name)}: ", file.modified)
        if before == (len(self.offers), len(self.refused)):
            raise ValueError(f"neither {correction_files.STATEMENT} nor a mask is in the zip")

    def add(self, files: list[File], where: str, exported: datetime | None = None) -> None:
        """Add what the files of one place say; `exported`: when, for exports that do not say it.

        `where`: what comes before their names in messages.
        """
        there = {}
        for file in files:
            if where and correction_files.leads_out(file.name):
                self.refused[where + visible(file.name)] = "its name leads out of the zip"
            elif _is_zip(file.name):
                self.refused[where + visible(file.name)] = "a zip within a zip is not opened: unpack it"
            else:
                there[file.name] = file
        for statement in [file for name, file in there.items() if correction_files.is_statement(name)]:
            if statement.name in there:  # and no part of another export
                self._add_export(statement, _parts(there, statement), where, exported)
        found, refused = mask_names.photos_of(there, self.keys)
        self.refused |= {where + visible(name): reason for name, reason in refused.items()}
        for name, key in found.items():
            file, shown = there[name], where + visible(name)
            if reason := unsafe_reason(key):
                self.refused[shown] = f"it is of {visible(key)}, whose name can't be that of a picture: {reason}"
            else:
                self._offer(Offer(shown, key, Word.CORRECTED, None, exported_at=stamp(file.modified)), file)

    def _add_export(self, statement: File, maps: dict[str, File], where: str, exported: datetime | None) -> None:
        """Add what an export says; `maps`: by their names in its statement."""
        try:
            export = exports.read(statement.read())
        except ValueError as error:
            self.refused[where + visible(statement.name)] = str(error)
            return
        self.refused |= {where + name: reason for name, reason in export.refused.items()}
        for name in maps.keys() - {said.map for said in export.said}:
            self.refused[where + visible(name)] = f"{correction_files.STATEMENT} does not name it"
        moment = stamp(export.exported_at or exported or statement.modified)
        for said in export.said:
            shown = where + visible(said.map or said.key)
            word = Word.CORRECTED if said.map else Word.APPROVED
            if not (key := self._known(said.key)):
                made_for = f"; it was exported for {export.destination}" * bool(export.destination)
                self.refused[shown] = f"the destination knows no photo {visible(said.key)}{made_for}"
            elif said.map and said.map not in maps:
                self.refused[shown] = f"the map of {visible(key)} is not there"
            else:
                seen = (said.source_etag, said.model_id, said.run_id, said.size, moment, export.destination)
                self._offer(Offer(shown, key, word, None, *seen), maps[said.map] if said.map else None)

    def _known(self, key: str) -> str | None:
        """The key of the destination that is this one, perhaps in another Unicode form if there is one such."""
        if key in self.keys:
            return key
        forms = {unicodedata.normalize(form, key) for form in ("NFC", "NFD")} & self.keys.keys()
        return forms.pop() if len(forms) == 1 else None

    def _offer(self, offer: Offer, file: File | None) -> None:
        """Add an offer, with the mask in `file`. Raises GlassegError when memory should hold no more."""
        try:
            data = file.read() if file else None
        except ValueError as error:
            self.refused[offer.name] = str(error)
            return
        self.offers.append(replace(offer, data=data))
        self._held += len(data or b"")
        if self._held > correction_files.MOST_TOTAL:
            raise GlassegError(f"more than {correction_files.MOST_TOTAL >> 30} GB of masks in {self.uri}: hand in less")


def _parts(there: dict[str, File], statement: File) -> dict[str, File]:
    """The maps next to a statement, by their names in it; they and the statement are no longer `there`."""
    folder = there.pop(statement.name).name.removesuffix(correction_files.STATEMENT)
    below = [name for name in there if name.startswith(f"{folder}maps/")]
    return {name.removeprefix(folder): there.pop(name) for name in below}


def stamp(moment: datetime | None) -> str:
    """A time as text that sorts by time, "" for none."""
    return moment.isoformat(timespec="microseconds") if moment else ""
