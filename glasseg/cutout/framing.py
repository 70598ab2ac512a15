"""Where the glasses go in the picture: its ratio and size, how much of it they fill, and levelling, by their mask.

`plan` decides from the alpha alone; `glasseg.cutout.placement.place` then carries every array of the photo over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np

from glasseg.cutout import outline, scale
from glasseg.cutout.placement import Box, Placement
from glasseg.cutout.scale import Extent, Scale
from glasseg.images.window import Window

_SMALL_PICTURE: Final = 100  # pixels, longest side; below it a picture comes with a warning
_MOST_PIXELS: Final = 100_000_000
_MOST_STRETCHED: Final = 10  # the longer side of a frame over the shorter
_FILL: Final = 0.85  # of glasses that have no width, where widths decide instead of a fill
_LONGEST_SIDE: Final = 20_000


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
    one_scale: bool = False
    """Whether the photos of a group have one scale; every picture then has the very size of `canvas`."""

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
        if self.one_scale and math.prod(self.canvas) > _MOST_PIXELS:
            raise ValueError(f"--frame and --size make more than {_MOST_PIXELS // 10**6} megapixels: make one smaller")

    @property
    def changes(self) -> bool:
        """Whether anything is asked for; if not, every photo keeps its pixels."""
        return self.frame is not None or self.fill is not None or self.size is not None or self.straighten

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of a picture of this frame and size, both of which are given."""
        assert self.frame and self.size
        wide, tall = self.frame
        if wide >= tall:
            return max(1, round(self.size * tall / wide)), self.size
        return self.size, max(1, round(self.size * wide / tall))


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


def plan(alpha: np.ndarray, framing: Framing, window: Window | None = None, common: Scale | None = None) -> Placement:
    """Decide where a photo goes in its picture, from its alpha (H×W uint8).

    `window`: the part of the photo of which that is, if not of all; outside it there are no glasses.

    With a ratio or a fill the glasses' box is in the middle; with a size alone, or straightened alone, the glasses
    stay where the photo has them. The picture is smaller than `size`, at the same ratio and fill, where photo pixels
    would be enlarged beyond `max_upscale`. It is never above 100 megapixels.

    With `one_scale` the glasses have the scale of `common`, or that of a group of one, and stand on its line, in the
    middle between left and right.

    Where no glasses are found, the whole photo takes their place: `fill` has no effect then.
    """
    window = window or Window.whole(alpha.shape)
    source = window.size
    found = outline.find(alpha, window, straighten=framing.straighten)
    if not framing.changes:
        return Placement(source, source, glasses=found.upright if found else None, cut=found.cut if found else ())
    box = found.turned if found else (0.0, 0.0, float(source[1]), float(source[0]))
    angle = found.angle if found else 0.0
    if framing.one_scale:
        size = framing.canvas
        factor, shift, remarks = _on_line(box, framing, common, alone=found is None)
    else:
        size, factor, remarks = _fit(box, source, framing, framing.fill if found else None)
        middle = _middle(box)
        if found and framing.frame is None and framing.fill is None:
            middle = _stay(box, found.upright, source, size, factor)
        shift = (size[1] / 2 - factor * middle[0], size[0] / 2 - factor * middle[1])
    if factor == 1 and angle == 0:
        shift = (float(round(shift[0])), float(round(shift[1])))
    if found is None:
        lost = "no glasses found to frame by: the whole photo is in the frame"
        return Placement(source, size, factor, shift=shift, warnings=(lost, *remarks))
    x0, y0, x1, y1 = found.turned
    glasses = (x0 * factor + shift[0], y0 * factor + shift[1], x1 * factor + shift[0], y1 * factor + shift[1])
    placed = Placement(source, size, factor, angle, shift, glasses, found.cut, (*found.warnings, *remarks))
    if not placed.overflow:
        return placed
    beyond = f"at the scale of its group the glasses go beyond the picture ({', '.join(placed.overflow)})"
    return replace(placed, warnings=(*placed.warnings, beyond))


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


def _on_line(
    box: Box, framing: Framing, common: Scale | None, *, alone: bool
) -> tuple[float, tuple[float, float], list[str]]:
    """The scale and the shift of glasses that stand on their group's line, and what could not be done as requested.

    `alone`: there are none, and `box` is the photo.
    """
    (height, width), (x0, y0, x1, y1) = framing.canvas, box
    if alone:
        size = min(width / (x1 - x0), height / (y1 - y0), framing.max_upscale)
        return size, (width / 2 - size * _middle(box)[0], height / 2 - size * _middle(box)[1]), []
    common = common or group_scale([Extent(x1 - x0, y1 - y0)], framing)
    assert common is not None
    shift = (width / 2 - common.scale * _middle(box)[0], height * common.baseline - common.scale * y1)
    remarks = []
    if common.needed:
        what = f"{common.needed:.2f}× enlargement, see --max-upscale"
        remarks.append(f"its group would need {what}: its glasses are smaller in their pictures")
    return common.scale, shift, remarks


def group_scale(
    extents: Sequence[Extent], framing: Framing, width: float | None = None, fronts: Sequence[Extent] = ()
) -> Scale | None:
    """The scale of a group whose members have these extents; None when there are none.

    `width`: that of its glasses in picture pixels, where it decides instead of the fill; `fronts`: the members whose
    width that is, if it is known.
    """
    if not extents:
        return None
    if width is None:
        wanted = scale.filling(extents, framing.canvas, framing.fill or _FILL)
    else:
        wanted = width / max(extent.width for extent in fronts or extents)
    return scale.common(extents, framing.canvas, wanted, framing.max_upscale)


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


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
