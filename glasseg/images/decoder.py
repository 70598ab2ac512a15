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
from glasseg.images import compositing, directories, headers, pixels, profiles, signatures, tags, tiff
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
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
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
    with _open(data, remarks) as picture:
        _check_size(picture.size, max_pixels)
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
    """The picture, of which only the header has been read."""
    if data.startswith(b"\xff\xd8\xff"):
        # Not Image.open, which takes a phone's JPEG for an MPO and fails if its index of pictures is broken.
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if directories.is_tiff(data):
        return tiff.opened(data)
    if data[4:8] == b"ftyp":
        headers.check_heif(data)
    try:
        return Image.open(io.BytesIO(data), formats=_READ_FORMATS)
    except (UnidentifiedImageError, ValueError):
        if data[4:8] != b"ftyp":
            raise
        # An AVIF opens only if its EXIF is intact.
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
    """Pixels in the picture's own colours as H×W×3 uint8 sRGB, by its profile if it has a usable one."""
    if "icc_profile" in picture.info:
        profile = picture.info["icc_profile"]  # None or of another type if Pillow could not assemble it
        try:
            return profiles.to_srgb(stored, profile if isinstance(profile, bytes) else b"")
        except profiles.ProfileError as error:
            remarks.append(f"its colour profile {error} and was ignored")
    if stored.ndim == 3 and stored.shape[2] == 4:
        remarks.append("CMYK without a profile: colours are approximate")
    return profiles.untagged_to_srgb(stored)


def _orientation(picture: Image.Image, remarks: list[str]) -> int:
    """1 to 8 as in the EXIF standard; 1 if the EXIF is broken, which leaves the photo as it is stored."""
    try:
        if headers.exif_is_broken(picture.info.get("exif")):
            remarks.append(_BROKEN_EXIF)
            return 1
        exif = picture.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        if "icc_profile" not in picture.info and exif.get_ifd(ExifTags.IFD.Interop).get(1) == "R03":
            remarks.append("its EXIF names Adobe RGB, but there is no profile: colours may be too pale")
    except _BAD_DATA:
        remarks.append(_BROKEN_EXIF)
        return 1
    # Pillow rotates a TIFF itself, while loading it.
    return orientation if picture.format != "TIFF" and orientation in range(1, 9) else 1


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """H×W or H×W×3 pixels, rotated and mirrored from an EXIF orientation to upright."""
    if orientation in {5, 7}:
        image = cv2.transpose(image)
    mirror = {2: 1, 4: 0, 7: -1}.get(orientation)
    if mirror is not None:
        return cv2.flip(image, mirror)
    turn = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}.get(orientation)
    return image if turn is None else cv2.rotate(image, turn)
