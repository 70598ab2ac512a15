"""TIFFs: opened by Pillow, which reads most of them, or by tifffile, which reads the kinds that Pillow can't.

Those are planes stored one after the other (Pillow 13 garbles some), and grey, RGB, CMYK or Lab with more channels or
bits than Pillow has a mode for. tifffile with imagecodecs was chosen over pyvips, which is smaller but reads neither
planes in tiles nor Lab with 8 bits, and over OpenCV, which reads at most 4 channels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from glasseg.errors import PhotoError
from glasseg.images import directories
from glasseg.images.directories import Directory

BY_TIFFFILE: Final = "TIFF, by tifffile"
"""The `format` of an opened picture whose pixels `read` decodes, and not Pillow."""

_WAY_OUT: Final = "save it with 8 or 16 bits and LZW or ZIP compression"

_COMPRESSIONS: Final = {  # those that can't be read, by the names under which people know them
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "LogLuv",
    34677: "LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy DNG",
    34933: "PNG",
    34934: "JPEG XR",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_BY_BOTH: Final = {1, 5, 7, 8, 32773, 32946, 34925, 50000}  # none, LZW, JPEG, deflate, PackBits, LZMA, Zstandard
_BY_PILLOW: Final = _BY_BOTH | {2, 3, 4, 6, 32771}  # also CCITT's, old JPEG and words of 16 bits

_OTHER_NUMBERS: Final = {2: "signed", 3: "float", 5: "complex", 6: "complex"}  # sample formats without an agreed white
_RAW: Final = {32803, 34892}  # photometric interpretations of a sensor's values
_WHITE_IS_ZERO, _PALETTE, _CMYK, _CIELAB, _ICCLAB = 0, 3, 5, 8, 9
_CHANNELS: Final = {_WHITE_IS_ZERO: 1, 1: 1, 2: 3, _CMYK: 4, _CIELAB: 3, _ICCLAB: 3}  # without extra samples
_MOST_CHANNELS: Final = 16

_PREMULTIPLIED, _STRAIGHT = 1, 2  # extra samples that are an alpha
_INK_SET: Final = 332
_MOST_BYTES: Final = 2**32 - 1
_JPEG, _JPEG_TABLES = 7, 347
_END_OF_JPEG: Final = b"\xff\xd9"


def opened(data: bytes) -> Image.Image:
    """A TIFF of which only the header has been read, with size and tags of its first page.

    Raises:
        PhotoError: "unreadable" for a kind that can't be read; its message names the kind.
        ValueError, UnidentifiedImageError: for damage.
    """
    page = directories.first(data)
    if page is None:
        raise ValueError("no directory")
    if kind := _unreadable_kind(page):
        raise PhotoError("unreadable", kind)
    picture = _opened(page)
    if page.number(directories.PHOTOMETRIC, 1) in {_CIELAB, _ICCLAB}:
        picture.info.pop("icc_profile", None)  # Lab needs none, and becomes sRGB
    return picture


def _opened(page: Directory) -> Image.Image:
    """The page as `opened` returns it."""
    if page.number(directories.PLANAR, 1) == 1 or page.number(directories.SAMPLES, 1) == 1:
        try:
            return _with_8_bit_palette(Image.open(io.BytesIO(page.data), formats=("TIFF",)))
        except UnidentifiedImageError:
            if page.number(directories.PHOTOMETRIC, 1) not in _CHANNELS:
                raise
    if page.number(directories.COMPRESSION, 1) not in _BY_BOTH:
        raise PhotoError("unreadable", f"a TIFF of a rare kind: {_WAY_OUT}")
    picture = Image.open(io.BytesIO(_plain_header(page)), formats=("TIFF",))
    picture.format = BY_TIFFFILE
    return picture


def _unreadable_kind(page: Directory) -> str | None:
    """What kind of TIFF this is, if its pixels can't be read."""
    compression, bits = page.number(directories.COMPRESSION, 1), page.number(directories.BITS, 1)
    if page.number(directories.PHOTOMETRIC, 1) in _RAW or page.data[8:10] == b"CR":  # which is Canon's CR2
        return "a camera's raw photo (DNG, NEF, CR2 or the like): develop it first"
    if numbers := _OTHER_NUMBERS.get(page.number(directories.SAMPLE_FORMAT, 1)):
        return f"{numbers} TIFF ({bits} bits): {_WAY_OUT}"
    if compression not in _BY_PILLOW:
        name = _COMPRESSIONS.get(compression, f"compression {compression}")
        return f"{name} in TIFF: {_WAY_OUT}"
    if page.number(directories.PHOTOMETRIC, 1) == _CMYK and page.number(_INK_SET, 1) != 1:
        return "a TIFF in inks other than CMYK: save it as RGB"
    return _unreadable_depth(page, bits)


def _unreadable_depth(page: Directory, bits: int) -> str | None:
    if page.number(directories.PHOTOMETRIC, 1) == _PALETTE and bits > 8:
        return f"a TIFF with a palette of {bits} bits: save it as RGB"
    if 16 < bits <= 64:
        return f"TIFF with {bits} bits a sample, which have no agreed white: {_WAY_OUT}"
    return None


def _with_8_bit_palette(picture: Image.Image) -> Image.Image:
    """The picture, whose palette may have been written with 0 to 255 where TIFF has 0 to 65535; libtiff accepts it."""
    levels = getattr(picture, "tag_v2", {}).get(TiffImagePlugin.COLORMAP)
    if picture.mode == "P" and picture.palette and levels and max(levels) < 256:
        picture.palette.palette = bytes(levels)
    return picture


def _plain_header(page: Directory) -> bytes:
    """The file with a directory that claims the simplest pixels of the same size, so that Pillow opens it."""
    width, height = page.size
    tile = {tag: page.number(tag, 1) for tag in (directories.TILE_WIDTH, directories.TILE_HEIGHT)}
    plain = directories.with_numbers(
        directories.classic(page),  # Pillow 13 does not know a BigTIFF whose bytes are in big-endian order
        {
            **tile,
            directories.WIDTH: width,
            directories.HEIGHT: height,
            directories.BITS: 8,
            directories.COMPRESSION: 1,
            directories.PHOTOMETRIC: 1,
            directories.SAMPLES: 1,
            directories.STRIPS: 8,
            directories.STRIP_ROWS: max(1, height),
            directories.STRIP_BYTES: min(width * height, _MOST_BYTES),
            **dict.fromkeys((directories.PLANAR, directories.PREDICTOR, directories.TILES, directories.TILE_BYTES)),
            **dict.fromkeys((directories.EXTRA_SAMPLES, directories.SAMPLE_FORMAT)),
        },
    )
    return directories.written(plain)


def read(data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels of the first page, and its alpha or None, as `pixels.read` returns them; Lab becomes RGB.

    Raises:
        PhotoError: "unreadable" for a kind that can't be read.
        ValueError: for damage.
        Others: what tifffile and imagecodecs raise: RuntimeError, LookupError and the like.
    """
    page = directories.first(data)
    if page is None:
        raise ValueError("no directory")
    photometric = page.number(directories.PHOTOMETRIC, 1)
    samples, channels = _samples(page), _CHANNELS.get(photometric, 0)
    if not 0 < channels <= samples.shape[2]:
        raise PhotoError(
            "unreadable", f"a TIFF of a rare kind (photometric interpretation {photometric}): save it as RGB"
        )
    colours = samples[..., :channels]
    if photometric in {_CIELAB, _ICCLAB}:
        stored = _lab_to_rgb(colours, photometric)
    else:
        stored = _eight_bits(colours, page)
        stored = cv2.bitwise_not(stored) if photometric == _WHITE_IS_ZERO else stored
    kinds = page.numbers(directories.EXTRA_SAMPLES)
    place = next((i for i, kind in enumerate(kinds) if kind in {_PREMULTIPLIED, _STRAIGHT}), None)
    if place is None or channels + place >= samples.shape[2]:
        return stored, None
    alpha = _eight_bits(samples[..., channels + place : channels + place + 1], page)
    return _straight(stored, alpha) if kinds[place] == _PREMULTIPLIED else stored, alpha


def jpegs(data: bytes) -> Iterator[bytes]:
    """The JPEGs that the first page is made of, each with the tables that they share, and with an end."""
    page = directories.first(data)
    if page is None or page.number(directories.COMPRESSION, 1) != _JPEG:
        return
    tables = bytes(page.numbers(_JPEG_TABLES)).removesuffix(_END_OF_JPEG)
    places, lengths = _places(page)
    for place, length in zip(places, lengths, strict=False):
        piece = data[place : place + length] + _END_OF_JPEG
        yield tables + piece[2:] if tables else piece


def _samples(page: Directory) -> np.ndarray:
    """All samples of a page as they are stored, H×W×C."""
    width, height = page.size
    channels = page.number(directories.SAMPLES, 1)
    if channels > _MOST_CHANNELS:
        raise PhotoError("unreadable", f"a TIFF with {channels} channels")
    _check_whole(page)
    try:
        with tifffile.TiffFile(io.BytesIO(page.data)) as file:
            stored = file.pages.first.asarray(maxworkers=1)
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error
    stored = stored.view(np.uint8) if stored.dtype.kind == "b" else stored
    if stored.dtype.kind != "u" or stored.itemsize > 2:
        raise PhotoError("unreadable", f"TIFF of {stored.dtype.name} samples: {_WAY_OUT}")
    if page.number(directories.PLANAR, 1) == 1:
        return stored.reshape(height, width, channels)
    return np.moveaxis(stored.reshape(channels, height, width), 0, 2)


def _check_whole(page: Directory) -> None:
    """ValueError if pixels lie outside the file or nowhere; tifffile would fill in black."""
    width, height = page.size
    tiled = page.number(directories.TILE_WIDTH, 0) > 0
    if tiled:
        tile_height = max(1, page.number(directories.TILE_HEIGHT, 1))
        expected = math.ceil(width / page.number(directories.TILE_WIDTH, 1)) * math.ceil(height / tile_height)
    else:
        expected = math.ceil(height / max(1, min(height, page.number(directories.STRIP_ROWS, height))))
    if page.number(directories.PLANAR, 1) == 2:
        expected *= page.number(directories.SAMPLES, 1)
    places, lengths = _places(page)
    ends = [place + length for place, length in zip(places, lengths, strict=False) if place and length]
    if len(ends) < expected or max(ends) > len(page.data):
        raise ValueError("pixels outside of file bounds")


def _places(page: Directory) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the tiles or strips are, and how long."""
    if page.number(directories.TILE_WIDTH, 0) > 0:
        return page.numbers(directories.TILES), page.numbers(directories.TILE_BYTES)
    return page.numbers(directories.STRIPS), page.numbers(directories.STRIP_BYTES)


def _eight_bits(samples: np.ndarray, page: Directory) -> np.ndarray:
    """Samples as uint8, 16 bits rounded; H×W for a single channel."""
    white = (1 << page.number(directories.BITS, 8)) - 1
    plain = np.ascontiguousarray(samples)
    plain = plain if white == 255 else cv2.convertScaleAbs(plain, alpha=255 / white)
    return plain.reshape(plain.shape[:2]) if samples.shape[2] == 1 else plain.reshape(samples.shape)


def _lab_to_rgb(lab: np.ndarray, photometric: int) -> np.ndarray:
    """L*a*b* as TIFF 6.0 (CIELAB: a* and b* are signed) or ICC profiles (ICCLAB) store it, to sRGB, H×W×3 uint8."""
    if lab.itemsize == 2:
        light = cv2.convertScaleAbs(_plane(lab, 0), alpha=255 / (65535 if photometric == _CIELAB else 65280))
        flip = 0x8000 if photometric == _CIELAB else 0
        opponents = [cv2.convertScaleAbs(_plane(lab, place) ^ np.uint16(flip), alpha=1 / 256) for place in (1, 2)]
    else:
        flip = 128 if photometric == _CIELAB else 0
        light, opponents = lab[..., 0], [lab[..., place] ^ np.uint8(flip) for place in (1, 2)]
    signed = np.dstack([light, *(plane ^ np.uint8(128) for plane in opponents)])  # as Pillow's raw mode has it
    return np.array(Image.frombytes("LAB", (lab.shape[1], lab.shape[0]), signed.data).convert("RGB"))


def _plane(samples: np.ndarray, place: int) -> np.ndarray:
    return np.ascontiguousarray(samples[..., place])


def _straight(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by their alpha, divided by it."""
    weights = alpha if colours.ndim == 2 else cv2.merge([alpha] * colours.shape[2])
    return cv2.divide(colours, weights, scale=255)
