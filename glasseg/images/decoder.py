"""Any picture a catalog holds, from bytes to an upright sRGB photo, or a `PhotoError` that says why not.

Pillow opens every format and tells size, tags and profile before a pixel is decoded; `pixels` decodes them, `profiles`
brings them to sRGB.
"""

from __future__ import annotations

import functools
import io
import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pi_heif
from PIL import AvifImagePlugin, ExifTags, Image, JpegImagePlugin, UnidentifiedImageError

from glasseg.errors import PhotoError
from glasseg.images import compositing, headers, pixels, profiles, tags
from glasseg.images.tags import Tags

# A closed list: among Pillow's other plug-ins are some that start programs (EPS) or reach for other files. GIF is
# here because shops do hold GIFs that are named .jpg.
_READ_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "GIF")

# What Pillow's decoders and metadata readers raise for bytes that are not as they should be, found by truncating and
# corrupting files of every format.
_BAD_DATA: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,  # the AVIF and HEIF decoders
    struct.error,
    zlib.error,
    # Not seen in 60 000 corrupted files, but Pillow's own `open` expects such of its readers, and a catalog is larger.
    TypeError,
    LookupError,
    ArithmeticError,
)


_BROKEN_EXIF: Final = "its EXIF data are broken and were ignored"


@dataclass(frozen=True)
class Photo:
    """A decoded photo."""

    image: np.ndarray
    """H×W×3 uint8 sRGB, upright. Where there is an alpha, the colours are not multiplied by it."""
    alpha: np.ndarray | None
    """H×W uint8, the photo's own transparency; None when it has none or is opaque everywhere."""
    tags: Tags
    warnings: tuple[str, ...]
    """What a person should know of the reading, such as "3 pages: the first one is used"."""

    def on_white(self) -> np.ndarray:
        """H×W×3 uint8: the photo as it looks on white paper, which is what the network sees."""
        return self.image if self.alpha is None else compositing.compose(self.image, self.alpha)


@functools.cache
def _prepare() -> None:
    """Once per process, at the first decode: our pixel limit replaces Pillow's, and its remarks on odd metadata stop.

    Decoders get one thread each: a worker decodes several photos at a time. `warnings.catch_warnings` would be the
    local way, but it is not safe in a pool of threads.
    """
    Image.MAX_IMAGE_PIXELS = None
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def decode(data: bytes, *, max_pixels: int) -> Photo:
    """Decode a picture, upright as its EXIF orientation says, its colours converted to sRGB.

    16 bits become 8, grey, palette and CMYK become RGB. The format is told by the bytes, not by a name. Of a picture
    with several pages or frames, the first counts. What is broken beside the pixels (EXIF, profile) is left out.

    Raises:
        PhotoError: "empty" for no bytes; "too_large" for more than `max_pixels`, judged from the header before any
            pixel is decoded; "unreadable" for everything that is not a whole picture.
    """
    if not data:
        raise PhotoError("empty", "0 bytes")
    _prepare()
    try:
        return _decode(data, max_pixels)
    except UnidentifiedImageError:
        # The first bytes tell a saved HTML page or a renamed video at a glance.
        raise PhotoError("unreadable", f"no picture that can be decoded; it begins with {data[:16]!r}") from None
    except _BAD_DATA as error:
        text = " ".join(str(error).split())  # some decoders say it in several lines
        raise PhotoError("unreadable", f"damaged or unsupported picture: {type(error).__name__}: {text}") from error


def decode_on_white(data: bytes, *, max_pixels: int) -> np.ndarray:
    """A picture's bytes as H×W×3 uint8 RGB on white; `decode` in short, with the same errors."""
    return decode(data, max_pixels=max_pixels).on_white()


def _decode(data: bytes, max_pixels: int) -> Photo:
    remarks: list[str] = []
    if early := headers.size_before_opening(data):
        _check_size(early, max_pixels)
    with _open(data, remarks) as picture:
        _check_size(picture.size, max_pixels)
        if picture.format == "TIFF":
            _check_size(headers.tile_size(picture), max_pixels)
        remarks += headers.more_pictures(data, picture)
        if picture.format == "PNG":
            picture.load()  # its EXIF may come after the pixels
        orientation = _orientation(picture, remarks)
        found = tags.read(picture)
        stored, alpha = pixels.read(data, picture, remarks)
        image = _to_srgb(stored, picture, remarks)
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return Photo(
        image=_upright(image, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        tags=found,
        warnings=tuple(remarks),
    )


def _open(data: bytes, remarks: list[str]) -> Image.Image:
    """The opened picture, header only."""
    if data.startswith(b"\xff\xd8\xff"):
        # Not by Image.open, which takes a phone's JPEG for an MPO and fails where its index of pictures is broken.
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if data[4:8] == b"ftyp":
        headers.check_heif(data)
    try:
        return Image.open(io.BytesIO(data), formats=_READ_FORMATS)
    except (UnidentifiedImageError, ValueError):
        if data[4:8] != b"ftyp":
            raise
        # An AVIF opens only if its EXIF is whole.
        picture = Image.open(io.BytesIO(headers.heif_without_exif(data)), formats=_READ_FORMATS)
        remarks.append(_BROKEN_EXIF)
        return picture


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PhotoError("unreadable", f"a picture of {width}×{height} pixels")
    if width * height > max_pixels:
        message = f"{width}×{height} = {width * height:,} pixels, the limit is {max_pixels:,}"
        believable = max(width, height) < 2**31  # what the manifest can hold
        raise PhotoError("too_large", message, size=(height, width) if believable else None)


def _to_srgb(stored: np.ndarray, picture: Image.Image, remarks: list[str]) -> np.ndarray:
    """Pixels in the picture's own colours as H×W×3 uint8 sRGB, by its profile where there is one that can be used."""
    if "icc_profile" in picture.info:
        profile = picture.info["icc_profile"]  # None or of another type where Pillow could not put it together
        try:
            return profiles.to_srgb(stored, profile if isinstance(profile, bytes) else b"")
        except profiles.ProfileError as error:
            remarks.append(f"its colour profile {error} and was ignored")
    if stored.ndim == 3 and stored.shape[2] == 4:
        remarks.append("CMYK without a profile: colours are approximate")
    return profiles.untagged_to_srgb(stored)


def _orientation(picture: Image.Image, remarks: list[str]) -> int:
    """1 to 8 as the EXIF standard has it. Broken EXIF beside good pixels leaves the photo as it is stored."""
    try:
        if headers.exif_is_broken(picture.info.get("exif")):
            remarks.append(_BROKEN_EXIF)
            return 1
        exif = picture.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        if "icc_profile" not in picture.info and exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03":
            remarks.append("its EXIF says Adobe RGB without a profile: colours may be too pale")
    except _BAD_DATA:
        remarks.append(_BROKEN_EXIF)
        return 1
    # Pillow turns a TIFF itself, while loading it.
    return orientation if picture.format != "TIFF" and orientation in range(1, 9) else 1


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """H×W or H×W×3 pixels turned and mirrored from an EXIF orientation to upright."""
    if orientation in {5, 7}:
        image = cv2.transpose(image)
    mirror = {2: 1, 4: 0, 7: -1}.get(orientation)
    if mirror is not None:
        return cv2.flip(image, mirror)
    turn = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}.get(orientation)
    return image if turn is None else cv2.rotate(image, turn)
