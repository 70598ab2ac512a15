"""A photo in its picture: cropped, padded, scaled and turned, in one resampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image

from glasseg.images.window import Window

Box = tuple[float, float, float, float]
"""Half-open (x0, y0, x1, y1) in pixels: a pixel (x, y) covers x to x + 1, so its centre is at x + 0.5."""

Border = int | tuple[int, int, int]
"""What surrounds a photo: one value for every channel, or RGB."""

# Blur before a turned picture is made smaller: sigma is this times sqrt(1 / scale² - 1), in photo pixels. Between .3
# and .4 the error against a Lanczos reference was the least for scales from .2 to .8.
_PREBLUR: Final = 0.35
_REACH: Final = 2  # picture pixels that a cubic kernel reaches to either side


@dataclass(frozen=True)
class Placement:
    """How a photo lies in its picture. Photo point p goes to scale · R · p + shift, with R turning by -`angle`."""

    source: tuple[int, int]
    """(height, width) of the photo."""
    size: tuple[int, int]
    """(height, width) of the picture."""
    scale: float = 1.0
    """Picture pixels per photo pixel."""
    angle: float = 0.0
    """Degrees by which the glasses hung down on the right, now level; 0 when not straightened."""
    shift: tuple[float, float] = (0.0, 0.0)
    """(x, y) in picture pixels; whole numbers when nothing is resampled."""
    glasses: Box | None = None
    """The box of the glasses in the picture, to a fraction of a pixel; None when none were found."""
    cut: tuple[str, ...] = ()
    """Edges of the photo ("left", "top", "right", "bottom") that the glasses touch, and so may extend beyond."""
    warnings: tuple[str, ...] = ()
    """What a person may want to know, each in one line."""

    @property
    def exact(self) -> bool:
        """Whether no pixel is resampled: the picture is cropped or padded, or it is the photo."""
        return self.scale == 1 and self.angle == 0

    @property
    def unchanged(self) -> bool:
        """Whether the picture is the photo, pixel by pixel."""
        return self.exact and self.shift == (0, 0) and self.size == self.source

    @property
    def fill(self) -> float | None:
        """The larger share of the picture's width or height that the glasses take; None when none were found."""
        if self.glasses is None:
            return None
        x0, y0, x1, y1 = self.glasses
        return min(1.0, max((x1 - x0) / self.size[1], (y1 - y0) / self.size[0]))

    @property
    def overflow(self) -> tuple[str, ...]:
        """Edges of the picture beyond which the glasses go by more than a pixel: at a scale that others decided."""
        if self.glasses is None:
            return ()
        (height, width), (x0, y0, x1, y1) = self.size, self.glasses
        over = {"left": -x0, "top": -y0, "right": x1 - width, "bottom": y1 - height}
        return tuple(edge for edge, pixels in over.items() if pixels > 1)

    def box_after(self, box: Box) -> tuple[int, int, int, int] | None:
        """The pixels of the picture that a box of the photo covers, half-open; None when it fell outside.

        When the photo was turned, that is the upright box around the turned one. For the glasses themselves, `glasses`
        is tighter.
        """
        height, width = self.size
        x0, y0, x1, y1 = extent(_corners(box) @ rotation(self.angle).T * self.scale + self.shift)
        left, top = max(0, math.floor(x0 + 1e-6)), max(0, math.floor(y0 + 1e-6))
        right, bottom = min(width, math.ceil(x1 - 1e-6)), min(height, math.ceil(y1 - 1e-6))
        return (left, top, right, bottom) if left < right and top < bottom else None


def place(array: np.ndarray, placement: Placement, border: Border = 255, window: Window | None = None) -> np.ndarray:
    """Carry an array of the photo (H×W or H×W×3 uint8) over into its picture, of the same dtype and depth.

    `border` is what surrounds the photo, 255 by default; it is also the background, and where only background
    reaches, the result is exactly that. A picture on white is placed as it was composed. For another background or
    none, place the premultiplied foreground (image · alpha / 255) and the alpha, each with border 0, and compose
    afterwards: that cuts off a cubic kernel's overshoot next to dark rims, which on white is cut off at 255.

    `window`: the part of the photo of which `array` is, if not of all; around it is `border`.

    Cubic with antialiasing (Keys, 1981); an exact copy where the scale is 1 and nothing turns, and `array` itself,
    not a copy, where the picture is the photo.
    """
    if array.dtype != np.uint8 or array.ndim not in {2, 3} or array.shape[2:] not in {(), (3,)}:
        raise ValueError(f"H×W or H×W×3 uint8 is placed, not {array.shape} {array.dtype}")
    window = window or Window.whole(array.shape)
    if array.shape[:2] != window.shape or window.size != placement.source:
        raise ValueError(f"planned for {placement.source}, not {array.shape[:2]} in {window.size}")
    if placement.unchanged:
        return window.on(array, border)
    region = _region(array, border)
    picture = _filled(placement.size, array, border)
    if region is None:
        return picture
    view = _View(array, window.origin, border)
    # One output pixel of the kernel is 1 / scale photo pixels when the photo shrinks.
    margin = math.ceil((_REACH + 1) * max(1, 1 / placement.scale))
    (x0, y0, x1, y1), (left, top) = region, window.origin
    x0, y0, x1, y1 = x0 + left, y0 + top, x1 + left, y1 + top
    grown = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
    target = placement.box_after(grown)
    if target is None:
        return picture
    left, top, right, bottom = target
    if placement.exact:
        dx, dy = (round(part) for part in placement.shift)
        picture[top:bottom, left:right] = view.part((left - dx, top - dy, right - dx, bottom - dy))
    elif placement.angle == 0:
        picture[top:bottom, left:right] = _resized(view, placement, target, margin)
    else:
        picture[top:bottom, left:right] = _warped(view, placement, grown, target)
    return picture


@dataclass(frozen=True)
class _View:
    """An array of a photo's part that begins at `origin` (x, y); around it is `border`."""

    array: np.ndarray
    origin: tuple[int, int]
    border: Border

    def planes(self) -> list[_View]:
        """A view of each channel."""
        borders = (self.border,) * 3 if isinstance(self.border, int) else self.border
        return [_View(self.array[..., i], self.origin, border) for i, border in enumerate(borders)]

    def part(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """The photo's part in `box`, which may reach beyond the array."""
        (x0, y0, x1, y1), (left, top) = box, self.origin
        x0, y0, x1, y1 = x0 - left, y0 - top, x1 - left, y1 - top
        height, width = self.array.shape[:2]
        inside = self.array[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
        if min(x0, y0) >= 0 and x1 <= width and y1 <= height:
            return inside
        part = _filled((y1 - y0, x1 - x0), self.array, self.border)
        if inside.size:
            top, left = max(0, -y0), max(0, -x0)
            part[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        return part


def _resized(view: _View, placement: Placement, target: tuple[int, int, int, int], margin: int) -> np.ndarray:
    """The part `target` of the picture, not turned. Pillow's kernel widens as it shrinks; cv2's does so only by area,
    which was 4 to 7 dB further from a Lanczos reference."""
    if view.array.ndim == 3:  # one after the other: Pillow holds four bytes for a pixel of three
        return cv2.merge([_resized(plane, placement, target, margin) for plane in view.planes()])
    shift = (*placement.shift, *placement.shift)
    x0, y0, x1, y1 = ((side - part) / placement.scale for side, part in zip(target, shift, strict=True))
    left, top = math.floor(x0) - margin, math.floor(y0) - margin
    part = view.part((left, top, math.ceil(x1) + margin, math.ceil(y1) + margin))
    size = (target[2] - target[0], target[3] - target[1])
    box = (x0 - left, y0 - top, x1 - left, y1 - top)
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))


def _warped(
    view: _View, placement: Placement, grown: tuple[int, int, int, int], target: tuple[int, int, int, int]
) -> np.ndarray:
    """The part `target` of the picture, turned, from the part `grown` of the photo."""
    part = view.part(grown)
    if placement.scale < 1:
        part = cv2.GaussianBlur(part, (0, 0), max(0.1, _PREBLUR * math.sqrt(1 / placement.scale**2 - 1)))
    turn = placement.scale * rotation(placement.angle)
    # from this part's pixel centres to the target's: (0.5, 0.5) is the centre of the first pixel
    shift = turn @ (np.array(grown[:2]) + 0.5) + placement.shift - np.array(target[:2]) - 0.5
    return cv2.warpAffine(
        part,
        np.hstack([turn, shift[:, None]]),
        (target[2] - target[0], target[3] - target[1]),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_scalar(view.border),
    )


def _filled(size: tuple[int, int], like: np.ndarray, border: Border) -> np.ndarray:
    return np.full((*size, *like.shape[2:]), border, dtype=np.uint8)


def _scalar(border: Border) -> tuple[float, ...]:
    """A value for every channel, since cv2 applies a bare number to the first one only."""
    return (float(border),) * 4 if isinstance(border, int) else (*border, 0.0)


def _region(array: np.ndarray, border: Border) -> tuple[int, int, int, int] | None:
    """The half-open box of where an array is not `border`; None where it is all border."""
    height, width = array.shape[:2]
    depth = 1 if array.ndim == 2 else array.shape[2]
    # not by cv2.compare, which takes four pixels in a column for a scalar
    other = array if border == 0 else np.not_equal(array, border).view(np.uint8)
    x, y, wide, tall = cv2.boundingRect(other.reshape(height, width * depth))
    return (x // depth, y, -(-(x + wide) // depth), y + tall) if wide else None


def rotation(angle: float) -> np.ndarray:
    """The 2×2 matrix that turns an axis `angle` degrees down on the right (y points down) level."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.array([[cosine, sine], [-sine, cosine]])


def extent(points: np.ndarray) -> Box:
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1


def _corners(box: Box) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
