"""One scale for the pictures of a group, such as all photos of a product, and the line on which its glasses stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """How large the glasses of a photo are, in photo pixels, once they are level."""

    width: float
    height: float


@dataclass(frozen=True)
class Scale:
    """What the pictures of a group have in common."""

    scale: float
    """Picture pixels per photo pixel."""
    baseline: float
    """Where the lower edge of the glasses is: the share of the picture's height that is above it."""
    needed: float | None = None
    """The scale that was asked for, where it would enlarge the photos too much; None where it is `scale`."""


def common(
    extents: Sequence[Extent],
    canvas: tuple[int, int],
    *,
    fill: float | None,
    max_upscale: float,
    width: float | None = None,
) -> Scale | None:
    """The scale and the baseline of a group whose members have these extents; None when there are none.

    `canvas`: (height, width) of every picture. The member that needs most room fills the share `fill` of it; or, with
    `width`, the widest member is so many picture pixels wide: that is the one from the front, if there is one, and the
    others follow. The tallest one is in the middle of the picture, and all stand on its line. The scale is at most
    `max_upscale`. With neither `fill` nor `width`, as when that is not known, the largest member is as large as fits.
    """
    if not extents:
        return None
    tallest = max(extent.height for extent in extents)
    if width is not None:
        wanted = width / max(extent.width for extent in extents)
    else:
        room = min(min(canvas[1] / extent.width, canvas[0] / extent.height) for extent in extents)
        wanted = (fill or 1.0) * room
    # less than a pixel of difference is not worth resampling every pixel
    longest = max(canvas) / wanted
    scale = 1.0 if abs(wanted - 1) * longest < 1 else min(wanted, max_upscale)
    needed = wanted if (wanted - scale) * longest >= 1 else None
    return Scale(scale, 0.5 + scale * tallest / (2 * canvas[0]), needed)
