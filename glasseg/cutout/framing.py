"""Where the glasses go in the picture: its ratio and size, how much of it they fill, and levelling, by their mask.

`plan` decides from the alpha alone; `glasseg.cutout.placement.place` then carries every array of the photo over.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from glasseg.cutout.placement import Box, Placement, extent, rotation
from glasseg.images.window import Window

_SEEN: Final = 25  # out of 255: anything fainter than a tenth is a veil, not an edge to frame by
_SPECK: Final = 0.02  # share of the longest piece: shorter ones are dirt, and must not shift the frame
_LEAST_LENGTH: Final = 8  # pixels; anything shorter on both sides is not glasses
_SMALL_PICTURE: Final = 100  # pixels, longest side; below it a picture comes with a warning
_MOST_PIXELS: Final = 100_000_000
_MOST_STRETCHED: Final = 10  # the longer side of a frame over the shorter
_LONGEST_SIDE: Final = 20_000

# Real glasses from the front or from the side: 1.7 to 4.0 on 64 labelled catalog photos. Rounder shapes turn at random.
_LEAST_ELONGATION: Final = 1.5
_MOST_TILT: Final = 10.0  # degrees
_LEAST_TILT: Final = 0.2  # degrees: 5 pixels over 1400, not worth the resampling


@dataclass(frozen=True)
class Framing:
    """What the user asked for; ValueError, one line, for a value out of its range."""

    frame: tuple[int, int] | None = None
    """width : height of the picture; None keeps the photo's."""
    fill: float | None = None
    """The larger of the glasses' width over the picture's and their height over the picture's, (0, 1]. None crops
    nothing: the frame is the smallest of its ratio that is as large as the photo."""
    size: int | None = None
    """Longest side of the picture in pixels; None leaves the scale of the photo."""
    straighten: bool = False
    max_upscale: float = 1.0
    """The most that photo pixels may be enlarged, at least 1."""

    def __post_init__(self) -> None:
        if self.frame is not None:
            low, high = sorted(self.frame)
            if low < 1 or high > _MOST_STRETCHED * low:
                raise ValueError(f"a frame is at most {_MOST_STRETCHED}:1 or 1:{_MOST_STRETCHED}, not {self.frame}")
        if self.fill is not None and not 0 < self.fill <= 1:
            raise ValueError(f"the fill is above 0 and at most 1, not {self.fill}")
        if self.size is not None and not 16 <= self.size <= _LONGEST_SIDE:
            raise ValueError(f"the size is 16 to {_LONGEST_SIDE} pixels, not {self.size}")
        if not 1 <= self.max_upscale <= 100:
            raise ValueError(f"the largest enlargement is 1 to 100, not {self.max_upscale}")

    @property
    def changes(self) -> bool:
        """Whether anything is asked for; if not, every photo keeps its pixels."""
        return self.frame is not None or self.fill is not None or self.size is not None or self.straighten


def parse_ratio(text: str) -> tuple[int, int]:
    """ "1:1.44" as whole numbers (25, 36), in lowest terms; ValueError, one line, for anything else."""
    match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,4})?):(\d{1,5}(?:\.\d{1,4})?)", text.strip(), re.ASCII)
    width, height = (Fraction(number) for number in match.groups()) if match else (Fraction(0), Fraction(0))
    if not width or not height:
        raise ValueError(f"{text!r} is not a ratio; give width:height, as in 1:1 or 1:1.44")
    ratio = width / height
    if not Fraction(1, _MOST_STRETCHED) <= ratio <= _MOST_STRETCHED:
        raise ValueError(f"{text!r} is longer than {_MOST_STRETCHED}:1 or 1:{_MOST_STRETCHED}")
    return ratio.numerator, ratio.denominator


def plan(alpha: np.ndarray, framing: Framing, window: Window | None = None) -> Placement:
    """Decide where a photo goes in its picture, from its alpha (H×W uint8).

    `window`: the part of the photo of which that is, if not of all; outside it there are no glasses.

    With a ratio or a fill the glasses' box is in the middle; with a size alone, or straightened alone, the glasses
    stay where the photo has them. The picture is smaller than `size`, at the same ratio and fill, where photo pixels
    would be enlarged beyond `max_upscale`. It is never above 100 megapixels.

    Where no glasses are found, the whole photo takes their place: `fill` has no effect then.
    """
    window = window or Window.whole(alpha.shape)
    height, width = source = window.size
    outline = _outline(alpha)
    warnings: list[str] = []
    angle = 0.0
    if framing.straighten and outline is not None:
        angle, refusal = _tilt(alpha, outline)
        warnings += [refusal] if refusal else []
    if outline is not None:
        outline += window.origin
    if outline is None:
        turned = upright = (0.0, 0.0, float(width), float(height))
        warnings.append("no glasses found to frame by: the whole photo is in the frame")
    else:
        turned, upright = _turned_box(outline, angle), _turned_box(outline, 0.0)
    cut = () if outline is None else _edges(upright, source)
    if not framing.changes:
        return Placement(source, source, glasses=None if outline is None else upright, cut=cut)
    if cut:
        warnings.append(f"the glasses reach the photo's edge ({', '.join(cut)}) and may be cut off")
    fill = framing.fill if outline is not None else None
    size, scale, remarks = _fit(turned, source, framing, fill)
    middle = _middle(turned)
    if framing.frame is None and fill is None:
        middle = _stay(turned, upright, source, size, scale)
    shift = (size[1] / 2 - scale * middle[0], size[0] / 2 - scale * middle[1])
    if scale == 1 and angle == 0:
        shift = (float(round(shift[0])), float(round(shift[1])))
    x0, y0, x1, y1 = turned
    glasses = (x0 * scale + shift[0], y0 * scale + shift[1], x1 * scale + shift[0], y1 * scale + shift[1])
    found = None if outline is None else glasses
    return Placement(source, size, scale, angle, shift, found, cut, (*warnings, *remarks))


def _fit(
    box: Box, source: tuple[int, int], framing: Framing, fill: float | None
) -> tuple[tuple[int, int], float, list[str]]:
    """(height, width) of the picture, the scale, and what could not be done as requested."""
    height, width = source
    box_width, box_height = box[2] - box[0], box[3] - box[1]
    ratio = framing.frame[0] / framing.frame[1] if framing.frame else width / height
    if fill is None:
        wide = max(width, height * ratio, box_width, box_height * ratio)
    else:
        wide = max(box_width, box_height * ratio) / fill
    tall = wide / ratio
    longest = max(wide, tall)
    scale, remarks = _allowed(longest, math.sqrt(_MOST_PIXELS / (wide * tall)), framing)
    pixels = framing.size if framing.size and not remarks else max(1, round(longest * scale))
    out_width = pixels if wide >= tall else max(1, round(pixels * ratio))
    out_height = pixels if tall > wide else max(1, round(pixels / ratio))
    if framing.size and not remarks:  # a requested size is met exactly, and the glasses fit its rounded sides
        if fill is None:
            scale = min(out_width / wide, out_height / tall)
        else:
            scale = fill * min(out_width / box_width, out_height / box_height)
        # less than a pixel of difference is not worth resampling every pixel
        scale = 1.0 if abs(scale - 1) * longest < 1 else min(scale, framing.max_upscale)
    if pixels < _SMALL_PICTURE and pixels != framing.size:
        remarks.append(f"the picture is only {pixels} pixels long")
    return (out_height, out_width), scale, remarks


def _allowed(longest: float, most: float, framing: Framing) -> tuple[float, list[str]]:
    """The scale for a frame of `longest` photo pixels, at most `most`, and why it is not the requested one."""
    scale, remarks = framing.size / longest if framing.size else 1.0, []
    if framing.size and (scale - framing.max_upscale) * longest >= 1:
        needed, scale = scale, framing.max_upscale
        pixels = max(1, round(longest * scale))
        remarks.append(
            f"would need {needed:.2f}× enlargement, see --max-upscale: {pixels} pixels instead of {framing.size}"
        )
    if scale > most:
        scale = most
        remarks.append(f"more than {_MOST_PIXELS // 10**6} megapixels: {round(longest * scale)} pixels a side instead")
    return scale, remarks


def _stay(
    turned: Box, upright: Box, source: tuple[int, int], size: tuple[int, int], scale: float
) -> tuple[float, float]:
    """What is to be in the middle so that the glasses stay where the photo has them, but not outside the picture."""
    middle = []
    for axis, (now, was) in enumerate(zip(_middle(turned), _middle(upright), strict=True)):
        room = size[1 - axis] / scale / 2
        wanted = now - was + source[1 - axis] / 2
        low, high = turned[axis + 2] - room, turned[axis] + room
        middle.append(min(max(wanted, low), high) if low <= high else now)
    return middle[0], middle[1]


def _outline(alpha: np.ndarray) -> np.ndarray | None:
    """The convex hull of the glasses in an alpha (H×W uint8): N×2 float, (x, y) of pixel centres. None for nothing.

    Specks that are short against the longest piece don't count: one stray pixel in a corner would shrink the glasses.
    """
    seen = cv2.threshold(alpha, _SEEN - 1, 255, cv2.THRESH_BINARY)[1]
    pieces = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    lengths = [max(cv2.boundingRect(piece)[2:]) for piece in pieces]
    longest = max(lengths, default=0)
    if longest < _LEAST_LENGTH:
        return None
    kept = [piece for piece, length in zip(pieces, lengths, strict=True) if length >= _SPECK * longest]
    return cv2.convexHull(np.concatenate(kept)).reshape(-1, 2) + 0.5


def _tilt(alpha: np.ndarray, outline: np.ndarray) -> tuple[float, str | None]:
    """Degrees by which the glasses' long axis hangs down on the right, or 0 and why they are not straightened.

    The axis is that of the alpha's second central moments, ½ atan2(2 μ11, μ20 - μ02) (Hu, Visual pattern recognition
    by moment invariants, 1962); the elongation is the root of the moments' ratio along and across it.
    """
    x0, y0, x1, y1 = (int(side) for side in _turned_box(outline, 0.0))
    moments = cv2.moments(alpha[y0:y1, x0:x1])
    difference, mixed = moments["mu20"] - moments["mu02"], 2 * moments["mu11"]
    total, spread = moments["mu20"] + moments["mu02"], math.hypot(difference, mixed)
    angle = math.degrees(math.atan2(mixed, difference) / 2)
    if total + spread < _LEAST_ELONGATION**2 * (total - spread):
        return 0.0, "not straightened: too round to have an axis"
    if abs(angle) > _MOST_TILT:
        return 0.0, f"not straightened: tilted by {abs(angle):.1f}°, more than {_MOST_TILT:.0f}°"
    return (angle, None) if abs(angle) >= _LEAST_TILT else (0.0, None)


def _turned_box(outline: np.ndarray, angle: float) -> Box:
    """The box around pixels whose centres have the hull `outline`, after they turned about the photo's corner."""
    x0, y0, x1, y1 = extent(outline @ rotation(angle).T)
    half = (abs(math.cos(math.radians(angle))) + abs(math.sin(math.radians(angle)))) / 2  # a pixel is a square
    return x0 - half, y0 - half, x1 + half, y1 + half


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _edges(box: Box, source: tuple[int, int]) -> tuple[str, ...]:
    height, width = source
    touched = {"left": box[0] <= 0, "top": box[1] <= 0, "right": box[2] >= width, "bottom": box[3] >= height}
    return tuple(side for side, touches in touched.items() if touches)
