"""The metadata of a picture that is kept: resolution, copyright and artist."""

from __future__ import annotations

import codecs
import contextlib
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from defusedxml.ElementTree import fromstring
from PIL import Image, IptcImagePlugin, TiffImagePlugin

_LONGEST_TEXT: Final = 2000  # characters
_LONGEST_XMP: Final = 4 << 20  # bytes; what editors write is below 100 kB, but histories of edits grow
_SANE_DPI: Final = (1.0, 30_000.0)
_CM_PER_INCH: Final = 2.54

# Tag numbers of the TIFF 6.0 specification, which EXIF uses too.
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ORIENTATION = 282, 283, 296, 274
COPYRIGHT, ARTIST = 33432, 315
_INCH, _CM = 2, 3

_XMP_TEXTS: Final = ("{http://purl.org/dc/elements/1.1/}rights", "{http://purl.org/dc/elements/1.1/}creator")
_XMP_ITEM: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"

# What Pillow's metadata readers and defusedxml raise for damaged metadata.
BAD_DATA: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
)


@dataclass(frozen=True)
class Tags:
    """The metadata copied from a photo to its picture; the rest (GPS, thumbnails, camera, orientation) is dropped."""

    dpi: tuple[float, float] | None = None
    """Pixels per inch, (across, down), upright."""
    copyright: str | None = None
    artist: str | None = None


def read(picture: Image.Image) -> Tags:
    """The tags of an opened Pillow picture that has not been transposed. Odd metadata is ignored, never an error.

    A resolution outside 1 to 30000 dpi is ignored. Texts come from EXIF, else a PNG's text chunks, else IPTC, else XMP;
    each is one printable line of at most 2000 characters. After `picture.load()` the chunks behind a PNG's pixels are
    seen too; nothing here loads or changes the picture.
    """
    copyright = artist = None
    for source in (_exif_texts, _png_texts, _iptc_texts, _xmp_texts):
        try:
            found = source(picture)
        except BAD_DATA:
            continue
        copyright, artist = copyright or _clean(found[0]), artist or _clean(found[1])
        if copyright and artist:
            break
    try:
        dpi = _dpi(picture)
    except BAD_DATA:
        dpi = None
    return Tags(dpi, copyright, artist)


def exif_of(picture: Image.Image) -> Image.Exif:
    """The EXIF of an opened picture. Pillow's `getexif` would load a PNG, and would take the orientation from XMP."""
    block = Image.Exif()
    if data := picture.info.get("exif"):
        block.load(data)
    elif text := picture.info.get("Raw profile type exif"):  # as ImageMagick wrote it into PNGs
        block.load(bytes.fromhex("".join(text.split("\n")[3:])))
    return block


def exif(tags: Tags) -> bytes | None:
    """The tags as an EXIF block that begins with "Exif" and two zero bytes; None if there are no tags."""
    block = Image.Exif()
    if tags.dpi:
        block[_X_RESOLUTION], block[_Y_RESOLUTION] = tags.dpi
        block[_RESOLUTION_UNIT] = _INCH
    # EXIF calls its texts ASCII, and Pillow would write "?" for a ©; in practice everybody writes and reads UTF-8.
    for tag, text in ((COPYRIGHT, tags.copyright), (ARTIST, tags.artist)):
        if text:
            block[tag] = text.encode("utf-8", "replace")
    return block.tobytes() if block else None


def _directory(picture: Image.Image) -> Mapping[int, Any]:
    """The picture's main TIFF or EXIF directory."""
    return picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else exif_of(picture)


def _dpi(picture: Image.Image) -> tuple[float, float] | None:
    try:
        directory = _directory(picture)
    except BAD_DATA:
        directory = {}  # the picture's own header may still be right
    dpi = _header_dpi(picture) or _directory_dpi(directory)
    return dpi[::-1] if dpi and _lies_on_its_side(picture, directory) else dpi


def _header_dpi(picture: Image.Image) -> tuple[float, float] | None:
    """The resolution in JFIF, pHYs or a BMP's header."""
    info = picture.info
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return None  # Pillow's "dpi" has an invented 1 for what is missing
    if picture.format in {"JPEG", "MPO"}:  # and here an invented 72 for broken EXIF
        per_inch = {1: 1.0, 2: _CM_PER_INCH}.get(info.get("jfif_unit", 0))
        return _sane(info["jfif_density"][0], info["jfif_density"][1], per_inch) if per_inch else None
    return _sane(info["dpi"][0], info["dpi"][1]) if "dpi" in info else None


def _directory_dpi(directory: Mapping[int, Any]) -> tuple[float, float] | None:
    per_inch = {_INCH: 1.0, _CM: _CM_PER_INCH}.get(directory.get(_RESOLUTION_UNIT, _INCH))
    across = directory.get(_X_RESOLUTION)
    return _sane(across, directory.get(_Y_RESOLUTION, across), per_inch) if per_inch else None


def _sane(across: Any, down: Any, per_inch: float = 1.0) -> tuple[float, float] | None:
    if across is None or down is None:
        return None
    dpi = float(across) * per_inch, float(down) * per_inch
    if not all(math.isfinite(value) and _SANE_DPI[0] <= value <= _SANE_DPI[1] for value in dpi):
        return None
    return round(dpi[0], 2), round(dpi[1], 2)  # whole pixels per metre turn 300 into 299.9994


def _lies_on_its_side(picture: Image.Image, directory: Mapping[int, Any]) -> bool:
    """Whether the picture is rotated by 90 degrees to be upright."""
    # The readers of HEIC rotate the picture as they open it, and record that.
    if {directory.get(_ORIENTATION), picture.info.get("original_orientation")} & {5, 6, 7, 8}:
        return True
    # Pillow rotates a TIFF as it loads it, and drops the tag.
    stored = directory.get(256), directory.get(257)
    return isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.size == stored[::-1] != stored


def _exif_texts(picture: Image.Image) -> tuple[Any, Any]:
    directory = _directory(picture)
    return directory.get(COPYRIGHT), directory.get(ARTIST)


def _png_texts(picture: Image.Image) -> tuple[Any, Any]:
    """The texts under the keywords of the PNG specification."""
    return picture.info.get("Copyright"), picture.info.get("Author")


def _iptc_texts(picture: Image.Image) -> tuple[Any, Any]:
    """IPTC-IIM 2:116 and 2:80, of which there may be several."""
    found = IptcImagePlugin.getiptcinfo(picture) or {}  # type: ignore[arg-type]  # any picture is accepted
    return found.get((2, 116)), found.get((2, 80))


def _xmp_texts(picture: Image.Image) -> tuple[Any, Any]:
    """The first language of dc:rights, and all of dc:creator."""
    packet = picture.info.get("xmp") or b""
    if not packet or len(packet) > _LONGEST_XMP:
        return None, None
    # XMP is XML from strangers, but never has a document type: without one, nothing in it can grow or reach out
    xmp = fromstring(packet.rstrip(b"\0 "), forbid_dtd=True)
    rights, creators = ([item.text or "" for item in xmp.iterfind(f".//{name}/*/{_XMP_ITEM}")] for name in _XMP_TEXTS)
    return rights[:1], creators


def _clean(value: Any) -> str | None:
    """One or several texts (str or bytes) as one printable line; None for what is empty or not text."""
    if isinstance(value, (list, tuple)):
        parts = [_clean(part) for part in value[:100]]
        return _clean("; ".join(part for part in parts if part))
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    raw, whole = value[: 4 * _LONGEST_TEXT], len(value) <= 4 * _LONGEST_TEXT
    with contextlib.suppress(UnicodeError):
        # Pillow reads EXIF and tEXt as Latin-1, following the standards, but most of it is UTF-8.
        raw = codecs.utf_8_decode(raw.encode("latin-1"), "strict", whole)[0]
    words = "".join(character if character.isprintable() else " " for character in raw).split()
    return " ".join(words)[:_LONGEST_TEXT].rstrip() or None
