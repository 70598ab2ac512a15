"""From arrays to the bytes of a JPEG, PNG, WebP, TIFF or AVIF that says it is sRGB.

imagecodecs writes JPEG, cv2 PNG, and the tags are inserted afterwards: for 1600×1200 product photos on white, Pillow
takes 1.2 times as long to write JPEG and more than twice as long for PNG; cv2 writes the same JPEG, but from a copy in
BGR. Pillow writes WebP, whose effort cv2 can't set, and AVIF, to which imagecodecs adds no tags; tifffile writes
TIFF, with a faster deflate than theirs.
"""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import threading
import zlib
from typing import Any, Final

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

from glasseg.errors import PhotoError
from glasseg.formats import CLIPPING_FORMATS
from glasseg.images import photoshop, readback
from glasseg.images import tags as tags_
from glasseg.images.tags import Tags

_LONGEST_SIDE: Final = {  # pixels: the limits of their libraries, and of Photoshop for TIFF
    **{"jpeg": 65_500, "png": 1_000_000, "webp": 16_383},
    **{"tiff": 300_000, "avif": 32_768},
}
_LARGE_AVIF: Final = 8_000_000
"""Pixels. AVIF takes 34 bytes for each, three times what making the picture does: of large ones, one at a time."""
_ONE_LARGE_AVIF: Final = threading.Lock()
_METRES_PER_INCH: Final = 0.0254
_IMAGE_RESOURCES: Final = 34377  # the tag in which a TIFF holds those of Photoshop
_NO_TAGS: Final = Tags()


def encode(image: np.ndarray, format: str, quality: int, tags: Tags = _NO_TAGS, resources: bytes = b"") -> bytes:
    """Encode an image as one of `formats.FileFormat`.

    `image` is H×W×3 uint8 RGB, or H×W×4 uint8 RGB with straight alpha (not jpeg; the alpha is decoded exactly),
    or H×W uint8, a mask. Pictures in colour carry `tags` and an sRGB profile (avif: the codes of ITU-T H.273 for it); a
    mask carries neither. `quality` is 1 to 100 and is ignored for png and tiff, which are lossless. The same arguments
    always give the same bytes.

    `resources`: those of Photoshop, as `photoshop.clipping_path` makes them; only jpeg and tiff hold them.

    The colours of transparent pixels are written too, exactly in png and tiff: clear them first, or the background that
    was cut out can be recovered.

    Raises:
        PhotoError: "side_too_long" when a side is longer than the format can hold (16383 pixels for webp).
        ValueError: for another format, a quality out of range, an alpha in a jpeg, or resources where they can't be.
    """
    if format not in _LONGEST_SIDE:
        raise ValueError(f"can't write {format!r}, only {tuple(_LONGEST_SIDE)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is 1 to 100, not {quality}")
    channels = image.shape[2] if image.ndim == 3 else 1
    if format == "jpeg" and channels == 4:
        raise ValueError("jpeg can't hold transparency")
    if resources and format not in CLIPPING_FORMATS:
        raise ValueError(f"{format} can't hold a clipping path")
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST_SIDE[format]:
        raise PhotoError(
            "side_too_long", f"{width}×{height}: {format} holds {_LONGEST_SIDE[format]} pixels a side at most"
        )
    if format == "png":
        return _png(image, tags)
    if format == "tiff":
        return _tiff(image, tags, resources)
    if format == "jpeg":
        return _jpeg(image, quality, tags, resources)
    return (_webp if format == "webp" else _avif)(image, quality, tags)


def _jpeg(image: np.ndarray, quality: int, tags: Tags, resources: bytes) -> bytes:
    # 4:4:4, because halved chroma smears the frame's colour into the white around it.
    # Huffman tables made for the picture: the same pixels in a fifth fewer bytes, for 5 of 13 ms at 1600×1200. For a
    # million pictures 1.4 hours of a core save 27 GB, which would cost ten times as much in a bucket every month.
    data = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(image), quality, subsampling="444", optimize=True))
    return data if image.ndim == 2 else _tagged_jpeg(data, tags, resources)


def _png(image: np.ndarray, tags: Tags) -> bytes:
    if image.ndim == 3:
        image = cv2.cvtColor(image, {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[image.shape[2]])
    # cv2's defaults (one filter, run lengths): 2.5 times as fast as with any explicit level, about 15 % larger.
    done, encoded = cv2.imencode(".png", image)
    if not done:
        raise RuntimeError(f"cv2 could not write a {image.shape[1]}×{image.shape[0]} picture as png")
    data = encoded.tobytes()
    return data if image.ndim == 2 else _tagged_png(data, tags)


def _webp(image: np.ndarray, quality: int, tags: Tags) -> bytes:
    buffer = io.BytesIO()
    described = {} if image.ndim == 2 else {"icc_profile": srgb_profile(), "exif": tags_.exif(tags) or b""}
    # Method 2 takes 0.7 of the time of cv2's fixed method 4, for as many bytes. Alpha is lossless unless asked for.
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=2, **described)
    return buffer.getvalue()


def _avif(image: np.ndarray, quality: int, tags: Tags) -> bytes:
    buffer = io.BytesIO()
    # 4:4:4 as in JPEG. Speed 8 takes half the time of 6, the default, for a tenth more bytes. Several threads would
    # give other bytes. Without a profile, Pillow states sRGB by its codes, which every reader of AVIF heeds.
    options: dict[str, Any] = {"subsampling": "4:4:4", "speed": 8, "codec": "aom", "max_threads": 1}
    exif = b"" if image.ndim == 2 else tags_.exif(tags) or b""
    alone = _ONE_LARGE_AVIF if image.shape[0] * image.shape[1] > _LARGE_AVIF else contextlib.nullcontext()
    with alone, readback.memory_errors():
        Image.fromarray(image).save(
            buffer, "AVIF", quality=quality, advanced={"alpha:lossless": "1"}, exif=exif, **options
        )
    return buffer.getvalue()


def _tiff(image: np.ndarray, tags: Tags, resources: bytes) -> bytes:
    """A baseline TIFF (6.0) with ZIP compression and the horizontal predictor, its alpha unassociated.

    ZIP, not LZW: less than half the time, and fewer bytes. Whatever reads one of today's TIFFs reads both.
    """
    buffer, texts = io.BytesIO(), {tags_.COPYRIGHT: tags.copyright, tags_.ARTIST: tags.artist}
    written = image.ndim == 3
    extra = [(tag, 2, 0, text.encode("utf-8", "replace"), True) for tag, text in texts.items() if written and text]
    if resources:
        extra.append((_IMAGE_RESOURCES, 1, len(resources), resources, True))
    tifffile.imwrite(
        buffer,
        image,
        photometric="rgb" if written else "minisblack",
        extrasamples=["unassalpha"] if image.shape[2:] == (4,) else None,
        compression="adobe_deflate",
        predictor=True,
        iccprofile=srgb_profile() if written else None,
        resolution=tags.dpi if written else None,
        resolutionunit="inch" if written and tags.dpi else None,
        extratags=extra,
        byteorder="<",
        metadata=None,  # its own notes on the shape of the array
        software=False,
        maxworkers=1,
    )
    return buffer.getvalue()


def _tagged_jpeg(data: bytes, tags: Tags, resources: bytes) -> bytes:
    """A JPEG as libjpeg writes it (the first 20 bytes are its JFIF header), with what describes it.

    JFIF 1.02: unit 1 is dots per inch. The segments are those of EXIF 2.3 and of annex B.4 of ICC.1:2010.
    """
    density = struct.pack(">BHH", 1, *(round(value) for value in tags.dpi)) if tags.dpi else data[13:18]
    segments = [(0xED, body) for body in photoshop.jpeg_segments(resources)]
    segments.append((0xE2, b"ICC_PROFILE\0\1\1" + srgb_profile()))
    if exif := tags_.exif(tags):
        segments.insert(0, (0xE1, exif))
    inserted = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body for marker, body in segments)
    return b"".join((data[:13], density, data[18:20], inserted, data[20:]))


def _tagged_png(data: bytes, tags: Tags) -> bytes:
    """A PNG with profile, resolution (pHYs, pixels per metre) and EXIF between its header and its pixels.

    A profile says no more than the sRGB chunk would, but programs that look for a profile find one.
    """
    # Not compressed, since the bytes would depend on the version of zlib.
    chunks = [(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile(), 0))]
    if tags.dpi:
        per_metre = (round(value / _METRES_PER_INCH) for value in tags.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if exif := tags_.exif(tags):
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    inserted = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    header = 8 + 25  # signature, IHDR
    return b"".join((data[:header], inserted, data[header:]))


@functools.cache
def decoded_colour(colour: tuple[int, int, int], format: str, quality: int) -> tuple[int, int, int]:
    """The RGB colour to which a plain area of `colour` decodes: lossy formats round most by a level or two."""
    red, green, blue = (int(value) for value in _plain(colour, format, quality)[-1, -1])
    return red, green, blue


@functools.cache
def decoded_white(format: str, quality: int) -> int:
    """The darkest value, 0 to 255, in what plain white decodes to; AVIF spoils only the first block of a picture."""
    return int(_plain((255, 255, 255), format, quality).min())


def _plain(colour: tuple[int, int, int], format: str, quality: int) -> np.ndarray:
    """A plain area, decoded again, in the size of the largest blocks that AVIF codes it in."""
    decoded = readback.colours(encode(np.full((64, 64, 3), colour, np.uint8), format, quality))
    assert decoded is not None
    return decoded


@functools.cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB (IEC 61966-2-1), under 600 bytes, always and everywhere the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # ICC.1:2010, table 17: creation date at 24, primary platform at 40; LittleCMS writes its own.
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    profile[40:44] = bytes(4)
    return bytes(profile)
