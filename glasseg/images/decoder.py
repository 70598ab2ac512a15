"""Any picture in a catalog, from bytes to an upright sRGB photo, or a `PhotoError` that says why not.

Pillow opens every format and reads size, tags and profile before any pixel is decoded; `pixels` decodes the pixels,
`profiles` converts them to sRGB.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pi_heif
from PIL import AvifImagePlugin, ExifTags, Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from glasseg.errors import PhotoError
from glasseg.images import (
    colours,
    compositing,
    directories,
    headers,
    jpeg,
    pixels,
    png,
    profiles,
    signatures,
    stated,
    tags,
    tiff,
    webp,
)
from glasseg.images.colours import Encoding
from glasseg.images.tags import Tags

# A closed list: some of Pillow's other plug-ins start programs (EPS) or open other files. GIF is here because shops do
# have GIFs that are named .jpg.
_READ_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "AVIF", "HEIF", "GIF")

# What Pillow's decoders and metadata readers raise for damaged files, found by truncating and corrupting files of every
# format.
_BAD_DATA: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,  # the AVIF and HEIF decoders
    struct.error,
    zlib.error,
    # Not seen in 60,000 corrupted files, but Pillow's own `open` expects them of its readers, and a catalog is larger.
    TypeError,
    LookupError,
    ArithmeticError,
)


_BROKEN_EXIF: Final = "its EXIF data are broken and were ignored"


@dataclass(frozen=True)
class Photo:
    """A decoded photo."""

    image: np.ndarray
    """H×W×3 uint8 sRGB, upright. If there is an alpha, the colours are not multiplied by it."""
    alpha: np.ndarray | None
    """H×W uint8, the photo's own transparency; None if it has none or is opaque everywhere."""
    tags: Tags
    warnings: tuple[str, ...]
    """What a person should know about the decoding, such as "3 pages: the first one is used"."""

    @property
    def hidden(self) -> bool:
        """Whether nothing of it can be seen."""
        return self.alpha is not None and not self.alpha.any()

    def on_white(self) -> np.ndarray:
        """H×W×3 uint8 RGB: the photo as it looks on white paper, which is what the network sees."""
        return self.image if self.alpha is None else compositing.compose(self.image, self.alpha)


@functools.cache
def _prepare() -> None:
    """Once per process, at the first decode: our pixel limit replaces Pillow's, and libraries stop printing what they
    think of metadata and damage.

    Decoders get one thread each, since a worker decodes several photos at a time. `warnings.catch_warnings` would be
    the local way, but it is not safe in a thread pool.
    """
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for library in ("PIL", "tifffile"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    with contextlib.suppress(AttributeError):  # where Pillow does not share its libtiff, as on Windows
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)  # else it prints each damage to stderr
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it raises what it writes there
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    PngImagePlugin.MAX_TEXT_CHUNK = png.LONGEST_METADATA
    pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def decode(data: bytes, *, max_pixels: int) -> Photo:
    """Decode a picture, upright as its EXIF orientation says, its colours converted to sRGB.

    16 bits become 8; grey, palette and CMYK become RGB. The format is recognised by the bytes, not by a name. Only the
    first page or frame of a picture is decoded. Broken metadata (EXIF, profile) is ignored, with a warning.

    Raises:
        PhotoError: "empty" for no bytes; "too_large" for more than `max_pixels`, as the header says before any pixel
            is decoded; "unreadable" for everything that is not a complete picture.
    """
    if not data:
        raise PhotoError("empty", "0 bytes")
    _prepare()
    try:
        return _decode(data, max_pixels)
    except _BAD_DATA as error:
        raise PhotoError("unreadable", signatures.complaint(data, error)) from error


def decode_on_white(data: bytes, *, max_pixels: int) -> np.ndarray:
    """Decode a picture to H×W×3 uint8 RGB on white; shorthand for `decode`, with the same errors."""
    return decode(data, max_pixels=max_pixels).on_white()


def _decode(data: bytes, max_pixels: int) -> Photo:
    remarks: list[str] = []
    if directories.is_tiff(data):
        data = directories.full_picture(data, remarks)
    if early := headers.size_before_opening(data):
        _check_size(early, max_pixels)
    data = _without_bad_metadata(data, remarks)
    with _open(data, remarks) as picture:
        _check_size(picture.size, max_pixels)
        _check_size(headers.tile_size(picture), max_pixels)
        remarks += headers.more_pictures(data, picture)
        if picture.format == "PNG":
            picture.load()  # its EXIF may come after the pixels
        found = tags.read(picture)
        exif = _exif(picture, remarks)
        stored, alpha = pixels.read(data, picture, remarks)
        image = _to_srgb(data, stored, picture, exif, remarks)
    if alpha is not None and alpha.min() == 255:
        alpha = None
    # Pillow rotates a TIFF itself, while loading it.
    orientation = exif.get(ExifTags.Base.Orientation, 1) if picture.format != "TIFF" else 1
    return Photo(
        image=_upright(image, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        tags=found,
        warnings=tuple(remarks),
    )


def _without_bad_metadata(data: bytes, remarks: list[str]) -> bytes:
    """A picture that readers would refuse, or misread, for what is not its pixels, without that; else as it is."""
    if data.startswith(png.SIGNATURE):
        return png.without_bad_metadata(data, remarks)
    if data.startswith(jpeg.START):
        return jpeg.with_sound_header(data, remarks)
    if webp.is_webp(data):
        return webp.without_bad_metadata(data, remarks)
    if data[4:8] != b"ftyp":
        return data
    legible = headers.heif_with_text(data)
    if legible is not data:
        remarks.append("some of its parts have names that are no text")
    return legible


def _open(data: bytes, remarks: list[str]) -> Image.Image:
    """The picture, of which only the header has been read."""
    if data.startswith(jpeg.START):
        return _open_jpeg(data, remarks)
    if directories.is_tiff(data):
        return tiff.opened(data)
    try:
        return Image.open(io.BytesIO(data), formats=_READ_FORMATS)
    except (UnidentifiedImageError, ValueError):
        if data[4:8] != b"ftyp":
            raise
        return _open_heif(data, remarks)


def _open_heif(data: bytes, remarks: list[str]) -> Image.Image:
    """An AVIF opens only if its EXIF is intact, a HEIC only if libheif knows all about its colours."""
    odd = {_BROKEN_EXIF: headers.heif_without_exif, "its colours are stated in unknown terms": headers.heif_unspecified}
    for remark, changed in odd.items():
        with contextlib.suppress(UnidentifiedImageError, ValueError):
            picture = Image.open(io.BytesIO(changed(data)), formats=_READ_FORMATS)
            remarks.append(remark)
            return picture
    return Image.open(io.BytesIO(data), formats=_READ_FORMATS)


def _open_jpeg(data: bytes, remarks: list[str]) -> Image.Image:
    """Not by Image.open, which takes a phone's JPEG for an MPO and fails if its index of pictures is broken.

    If Pillow fails on metadata, it gets the JPEG without them.
    """
    try:
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    except _BAD_DATA as error:
        for markers in jpeg.expendable(data):
            with contextlib.suppress(*_BAD_DATA):
                picture = JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.without(data, markers)))
                remarks.append(f"the JPEG's {jpeg.names(markers)} are broken and were ignored")
                return picture
        raise error


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PhotoError("unreadable", f"a picture of {width}×{height} pixels")
    if width * height > max_pixels:
        message = f"{width}×{height} = {width * height:,} pixels, the limit is {max_pixels:,}"
        believable = max(width, height) < 2**31  # what the manifest can hold
        raise PhotoError("too_large", message, size=(height, width) if believable else None)


def _to_srgb(data: bytes, stored: np.ndarray, picture: Image.Image, exif: Image.Exif, remarks: list[str]) -> np.ndarray:
    """Pixels in the picture's own colours as H×W×3 uint8 sRGB, by what it states about them."""
    for statement in stated.colours_of(data, picture, exif, remarks, ink=stored.shape[2:] == (4,)):
        if isinstance(statement, Encoding):
            deep = pixels.deep(data, picture, stored) if statement.moves_colours() else None
            numbers, white = deep or (stored, 255)
            return colours.to_srgb(numbers, white, statement, remarks)
        try:
            deep = pixels.deep(data, picture, stored) if profiles.needs_all_bits(stored, statement) else None
            numbers, white = deep or (stored, 255)
            return profiles.to_srgb(numbers, statement, white)
        except profiles.ProfileError as error:
            remarks.append(f"its colour profile {error} and was ignored")
    if stored.shape[2:] == (4,):
        remarks.append("CMYK without a profile: colours are approximate")
    return profiles.untagged_to_srgb(stored)


def _exif(picture: Image.Image, remarks: list[str]) -> Image.Exif:
    """The EXIF of an opened picture, of which the tags have been read; empty if it is broken.

    XMP can ask for a turn too, but browsers and libvips ask EXIF alone: who made such a photo saw it as it is stored.
    """
    xmp = picture.info.pop("xmp", None) or b""  # Pillow turns a TIFF by it
    try:
        if headers.exif_is_broken(picture.info.get("exif")):
            remarks.append(_BROKEN_EXIF)
            return Image.Exif()
        exif = picture.getexif() if picture.format in {"TIFF", tiff.BY_TIFFFILE} else tags.exif_of(picture)
        if ExifTags.Base.Orientation not in exif and re.search(rb"tiff:Orientation\W{1,4}[2-8]", xmp):
            remarks.append("only its XMP asks for a turn, which viewers ignore: left as it is")
    except _BAD_DATA:
        remarks.append(_BROKEN_EXIF)
        return Image.Exif()
    return exif


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """H×W or H×W×3 pixels, rotated and mirrored from an EXIF orientation to upright."""
    if orientation in {5, 7}:
        image = cv2.transpose(image)
    mirror = {2: 1, 4: 0, 7: -1}.get(orientation)
    if mirror is not None:
        return cv2.flip(image, mirror)
    turn = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}.get(orientation)
    return image if turn is None else cv2.rotate(image, turn)
