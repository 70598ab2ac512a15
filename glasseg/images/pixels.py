"""The pixels of an opened picture, in its own colours: each format is decoded by the library that does it best.

That is Pillow, with two exceptions. JPEG goes to simplejpeg, which is 1.3 to 2.8 times as fast (most with large
pictures) and reports missing or corrupt data, which Pillow hides as long as the file ends properly. WebP goes to cv2,
which is a little faster. Conversions work in bands, since another copy of 100 megapixels would take 400 MB.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
import pi_heif
import simplejpeg
from PIL import Image, JpegImagePlugin

from glasseg.errors import PhotoError
from glasseg.images import headers, jpeg, png, tiff

_BAND_PIXELS: Final = 1 << 18  # stays in the processor's cache: a third faster than a megapixel at a time

_SPACES: Final = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}  # simplejpeg's names for Pillow's modes

# libjpeg's warnings about a picture with holes. Its other warnings are about harmless oddities.
_HOLES: Final = ("remature end", "bad Huffman code", "instead of RST", "bad arithmetic code")
_LEFTOVERS: Final = "extraneous bytes"

_MEGAPIXEL: Final = 1 << 20

_TO_RGB: Final = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}

_ADOBE_YCCK: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x02"

# No press puts more ink on one spot, in percent: with more, the paper stays wet. Profiles stop at 300 to 340.
_MOST_INK: Final = 345


def read(data: bytes, picture: Image.Image, remarks: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode the picture that was opened from `data`; what a person should know is added to `remarks`.

    Returns:
        Grey (H×W), RGB (H×W×3) or CMYK (H×W×4, 255 is full ink) pixels, uint8, with 16 bits rounded to 8 (in colour
        to within a level: Pillow keeps the upper byte); and the alpha, H×W uint8, or None. Colours are not multiplied
        by it.

    Raises:
        PhotoError: "unreadable" for a kind of picture that can't be read.
        ValueError: for damage.
        Others: what Pillow's decoders raise, see `glasseg.images.decoder`.
    """
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        return (_cmyk_jpeg if picture.mode == "CMYK" else _jpeg)(data, picture, remarks), None
    if picture.format == "WEBP":
        return _webp(data, picture.size)
    inside = tiff.jpegs(data) if picture.format in {"TIFF", tiff.BY_TIFFFILE} else ()
    if any(_has_holes(one, max(_MEGAPIXEL, picture.width * picture.height)) for one in inside):
        raise ValueError("a JPEG inside has holes, which libtiff fills without a word")
    if picture.format == tiff.BY_TIFFFILE:
        return tiff.read(data)
    picture.load()
    if picture.format == "PNG" and _ends_in_zeros(picture) and not png.holds_all_rows(data):
        raise PhotoError("unreadable", "the PNG has fewer rows of pixels than it says")
    pixels, alpha = _loaded(picture)
    if picture.format == "BMP" and alpha is not None and not alpha.any():
        alpha = None  # programs that know no transparency leave 0 there, and all viewers show such a BMP
    return pixels, alpha


def _has_holes(data: bytes, most: int) -> bool:
    """Whether a JPEG that another decoder reads lacks some of its pixels; one of more than `most` is left to that."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if height * width > most:
            return False
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        return any(hole in str(error) for hole in _HOLES)
    return False


def _ends_in_zeros(picture: Image.Image) -> bool:
    """Whether a loaded picture has nothing but zeros in its last row."""
    last = picture.crop((0, picture.height - 1, picture.width, picture.height))
    return last.getbbox(alpha_only=False) is None


def deep(data: bytes, picture: Image.Image, stored: np.ndarray) -> tuple[np.ndarray, int] | None:
    """All bits of a picture of which `read` keeps 8 as `stored`: likewise grey or RGB, uint16; and the value of white.

    None if it has no more than 8, or if nobody here can read more.
    """
    if picture.format == "PNG" and data[24] == 16:
        return _deep(_by_cv2(png.only_pixels(data)), 16, stored)
    if picture.format == "TIFF" and set(headers.bits(picture)) == {16}:
        return _deep(_by_cv2(data), 16, stored)
    if picture.format in {"HEIF", "AVIF"}:
        opened = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        bits = int(opened.info["bit_depth"])
        if bits > 8 and picture.format == "AVIF":
            return _deep(_by_cv2(data), bits, stored)
        if bits > 8:
            return _deep(np.asarray(opened) >> 16 - bits, bits, stored)
    return None


def _by_cv2(data: bytes) -> np.ndarray | None:
    read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(read, _TO_RGB[read.shape[2]]) if read is not None and read.ndim == 3 else read


def _deep(read: np.ndarray | None, bits: int, stored: np.ndarray) -> tuple[np.ndarray, int] | None:
    """What was read with all bits, if it is the same picture: readers differ in what they rotate."""
    white = (1 << bits) - 1
    if read is None or read.dtype != np.uint16 or read.shape[:2] != stored.shape[:2]:
        return None
    read = read if read.ndim == stored.ndim == 2 else np.ascontiguousarray(read.reshape(*read.shape[:2], -1)[..., :3])
    if read.shape != stored.shape:
        return None
    every = slice(None, None, max(1, min(stored.shape[:2]) // 64))
    difference = np.abs(read[every, every] * (255 / white) - stored[every, every])
    return (read, white) if difference.mean() < 1 else None


def _jpeg(data: bytes, picture: Image.Image, remarks: list[str]) -> np.ndarray:
    """The pixels as they are stored: CMYK is not inverted."""
    channels = len(picture.getbands())
    pixels = np.empty((picture.height, picture.width, channels), np.uint8)  # a size other than Pillow's is refused
    try:
        simplejpeg.decode_jpeg(data, _SPACES[picture.mode], buffer=pixels)
    except ValueError as error:
        if any(hole in str(error) for hole in _HOLES):
            if not _decode_completed(data, picture, pixels):
                raise
            remarks.append("the JPEG lacks its end marker; its pixels are complete")
        else:
            _copy_odd(picture, pixels, str(error), remarks)
    return pixels[..., 0] if channels == 1 else pixels


def _decode_completed(data: bytes, picture: Image.Image, pixels: np.ndarray) -> bool:
    """Fill `pixels` from a JPEG that lacks only its end; False if it lacks more, or has anything else odd about it."""
    for whole in jpeg.completed(data):
        with contextlib.suppress(ValueError):
            simplejpeg.decode_jpeg(whole, _SPACES[picture.mode], buffer=pixels)
            return True
    return False


def _copy_odd(picture: Image.Image, pixels: np.ndarray, warning: str, remarks: list[str]) -> None:
    """Fill `pixels` by Pillow, which accepts what is merely odd."""
    _copy(picture, picture.mode, pixels)
    if picture.mode == "CMYK":
        cv2.bitwise_not(pixels, dst=pixels)
    if _LEFTOVERS in warning:
        remarks.append("the JPEG has bytes left over: parts of it may be damaged")


def _cmyk_jpeg(data: bytes, picture: JpegImagePlugin.JpegImageFile, remarks: list[str]) -> np.ndarray:
    """CMYK pixels, 255 is full ink. With Adobe's marker 255 is paper in the file; without it, it may be either."""
    marked = "adobe" in picture.info
    if not marked:
        remarks.append("CMYK without Adobe's marker: which of its values are ink was judged by what a press can print")
        cyan, magenta, yellow, black = (layer[1:] for layer in picture.layer)
        if cyan == black and magenta == yellow and cyan != magenta:
            # The two in the middle are stored more coarsely, as only chroma would be: this is YCCK.
            data, marked = data[:2] + _ADOBE_YCCK + data[2:], True
    pixels = _jpeg(data, picture, remarks)
    if marked or _overinked(pixels, stored_as_ink=True) >= _overinked(pixels, stored_as_ink=False):
        cv2.bitwise_not(pixels, dst=pixels)
    return pixels


def _overinked(pixels: np.ndarray, *, stored_as_ink: bool) -> int:
    """How many pixels would have more ink than any press prints."""
    most = _MOST_INK * 255 // 100
    sums = (pixels[rows].sum(axis=2, dtype=np.uint16) for rows in bands(pixels.shape[:2]))
    return sum(int(np.count_nonzero(s > most if stored_as_ink else s < 4 * 255 - most)) for s in sums)


def _webp(data: bytes, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    still, (left, top) = headers.first_webp(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(still, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if pixels is None:
        raise ValueError("cv2 can't decode it")
    if pixels.shape[1::-1] != size:  # the first picture of an animation may be a patch
        canvas = np.zeros((size[1], size[0], 4), np.uint8)
        canvas[top : top + len(pixels), left : left + pixels.shape[1], : pixels.shape[2]] = pixels
        if pixels.shape[2] == 3:
            canvas[top : top + len(pixels), left : left + pixels.shape[1], 3] = 255
        pixels = canvas
    if pixels.shape[2] == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), None
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), cv2.extractChannel(pixels, 3)


def _loaded(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """A loaded picture's pixels and alpha, as returned by `read`."""
    mode = picture.mode
    if mode.startswith("I;16"):
        return _sixteen_bits(picture)
    if mode in {"I", "F"}:
        raise PhotoError("unreadable", "its pixels are 32-bit numbers, which have no agreed white")
    if picture.has_transparency_data:
        key = picture.info.get("transparency")
        if isinstance(key, tuple) and max(key) > 255:  # the PNG has 16 bits, of which Pillow keeps the upper 8
            picture.info["transparency"] = tuple(value >> 8 for value in key)
        return _with_alpha(picture, "L" if mode in {"1", "L", "LA", "La"} else "RGB")
    mode = mode if mode in {"L", "RGB", "CMYK"} else "L" if mode == "1" else "RGB"
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    pixels = np.empty((picture.height, picture.width, *channels), np.uint8)
    _copy(picture, mode, pixels)
    return pixels, None


def _with_alpha(picture: Image.Image, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The colours, as "L" or "RGB", and the alpha of a loaded picture with any kind of transparency."""
    size = (picture.height, picture.width)
    pixels, alpha = np.empty(size if mode == "L" else (*size, 3), np.uint8), np.empty(size, np.uint8)
    for rows in bands(size):
        both = _band(picture, rows, mode + "A")
        pixels[rows] = both[..., 0] if mode == "L" else both[..., :3]
        alpha[rows] = both[..., -1]
    return pixels, alpha


def _sixteen_bits(picture: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey with more than 8 bits, rounded to 8: Pillow's own conversion clips at 255 instead of scaling."""
    numbers = np.asarray(picture).astype(np.uint16)
    grey = cv2.convertScaleAbs(numbers, alpha=255 / headers.white_level(picture))
    if headers.white_is_zero(picture):
        grey = cv2.bitwise_not(grey)
    key = picture.info.get("transparency")
    return grey, np.where(numbers == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None


def bands(size: tuple[int, int], pixels: int = _BAND_PIXELS) -> Iterator[slice]:
    """The rows of a picture of `size` (height, width) as slices, one band of about so many pixels at a time."""
    height, width = size
    step = max(1, pixels // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _copy(picture: Image.Image, mode: str, pixels: np.ndarray) -> None:
    """Fill `pixels`, H×W or H×W×C, with a picture converted to `mode`."""
    for rows in bands((picture.height, picture.width)):
        band = _band(picture, rows, mode)
        pixels[rows] = band.reshape(pixels[rows].shape)


def _band(picture: Image.Image, rows: slice, mode: str) -> np.ndarray:
    band = picture.crop((0, rows.start, picture.width, rows.stop))
    return np.asarray(band if band.mode == mode else band.convert(mode))
