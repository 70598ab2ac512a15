"""From a picture's own colours to sRGB, by the ICC profile that it carries."""

from __future__ import annotations

import functools
import io
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageCms

from glasseg.images.pixels import bands

_SPACES: Final = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_NAMES: Final = {"GRAY": "grey", "RGB ": "RGB", "CMYK": "CMYK"}

# Photoshop's default for a conversion: paper white becomes screen white, black becomes black, and colours that sRGB can
# hold stay the same. Perceptual would move the colours inside the gamut too, and profiles with a matrix and curves, as
# most are, have no perceptual tables anyway.
_INTENT: Final = ImageCms.Intent.RELATIVE_COLORIMETRIC
# For grey, LittleCMS' short cut is up to 10 levels off in the dark parts; only 256 shades are converted anyway.
_FLAGS: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION

# A step between two of 256 levels that the eye sees as a step, in levels of sRGB. Linear profiles make steps of 13.
_STEEP: Final = 4


class ProfileError(ValueError):
    """The profile can't be used on this picture; the message says why, as the end of "its colour profile …"."""


def to_srgb(pixels: np.ndarray, profile: bytes, white: int = 255) -> np.ndarray:
    """Convert grey (H×W), RGB (H×W×3) or CMYK (H×W×4, 255 is full ink) uint8 pixels to sRGB, H×W×3 uint8.

    Grey and RGB may be uint16, with the value `white` for white. By LittleCMS, relative colorimetric with black point
    compensation. A profile that would move no colour by more than one level is sRGB whatever its name, and 8-bit pixels
    are returned unchanged. Thread-safe.

    Raises:
        ProfileError: for a profile that is broken or made for another kind of pixels.
    """
    mode = _mode(pixels)
    transform = _transform(profile, mode)
    if transform is None:
        return untagged_to_srgb(pixels)
    if mode == "L" and white == 255:
        curves = _apply(transform, mode, np.arange(256, dtype=np.uint8)[None])
        return cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), curves)
    srgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in bands(pixels.shape[:2]):
        part = pixels[rows]
        srgb[rows] = _apply(transform, mode, part) if white == 255 else _interpolated(transform, mode, part, white)
    return srgb


def needs_all_bits(pixels: np.ndarray, profile: bytes) -> bool:
    """Whether 8 bits of pixels like these would show as steps in sRGB, as those of a linear profile do.

    Raises:
        ProfileError: as `to_srgb`.
    """
    mode = _mode(pixels)
    transform = _transform(profile, mode)
    if transform is None or mode == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)[None]
    shades = _apply(transform, mode, ramp if mode == "L" else cv2.merge([ramp] * 3))[0].astype(int)
    return bool(np.diff(shades, axis=0).max() > _STEEP)


def untagged_to_srgb(pixels: np.ndarray) -> np.ndarray:
    """Convert pixels without a profile, as in `to_srgb`: grey and RGB are taken for sRGB, CMYK is only approximated."""
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if pixels.shape[2] == 3:
        return pixels
    srgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in bands(pixels.shape[:2]):
        paper = cv2.bitwise_not(pixels[rows])
        black = cv2.cvtColor(cv2.extractChannel(paper, 3), cv2.COLOR_GRAY2RGB)
        srgb[rows] = cv2.multiply(cv2.cvtColor(paper, cv2.COLOR_RGBA2RGB), black, scale=1 / 255)
    return srgb


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion of pixels of `mode` from `profile` to sRGB; None if there is nothing to do.

    Cached, because a catalog has few profiles and one for CMYK takes 25 ms to prepare. LittleCMS keeps the state of a
    conversion on the stack, so threads can share it.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space
        if space == _SPACES[mode]:
            flags = _FLAGS | ImageCms.Flags.NOOPTIMIZE if mode == "L" else _FLAGS
            transform = ImageCms.ImageCmsTransform(opened, _srgb(), mode, "RGB", _INTENT, flags=flags)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ProfileError("is broken") from error
    if space != _SPACES[mode]:
        raise ProfileError(f"is for {_NAMES.get(space, space.strip())} pictures")
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(17, -1, 3)
    colours = np.arange(256, dtype=np.uint8)[None] if mode == "L" else grid
    unmoved = colours[..., None] if mode == "L" else colours
    moved = np.abs(_apply(transform, mode, colours).astype(np.int16) - unmoved).max()
    return transform if moved > 1 else None


def _mode(pixels: np.ndarray) -> str:
    return {2: "L", 3: "RGB"}.get(pixels.shape[2] if pixels.ndim == 3 else 2, "CMYK")


def _interpolated(transform: ImageCms.ImageCmsTransform, mode: str, pixels: np.ndarray, white: int) -> np.ndarray:
    """The conversion of uint16 pixels, linear between those of 8 bits, since Pillow hands LittleCMS no more."""
    levels = np.minimum(pixels, white) * np.float32(255 / white)
    below = np.minimum(levels, 254).astype(np.uint8)
    rest = (levels - below).reshape(*pixels.shape[:2], -1)
    start = _apply(transform, mode, below).astype(np.float32)
    converted = start.copy()
    for channel in range(rest.shape[2]):
        above = below.copy()
        above.reshape(rest.shape)[..., channel] += 1
        converted += rest[..., channel, None] * (_apply(transform, mode, above) - start)
    return np.clip(converted + 0.5, 0, 255).astype(np.uint8)


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _apply(transform: ImageCms.ImageCmsTransform, mode: str, pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    picture = Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).data)
    return np.asarray(transform.apply(picture))
