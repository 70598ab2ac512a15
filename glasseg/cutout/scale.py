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


def filling(extents: Sequence[Extent], canvas: tuple[int, int], fill: float) -> float:
    """The scale at which the member that needs most room fills the share `fill` of `canvas`, (height, width)."""
    return fill * min(min(canvas[1] / extent.width, canvas[0] / extent.height) for extent in extents)


def common(extents: Sequence[Extent], canvas: tuple[int, int], wanted: float, max_upscale: float) -> Scale:
    """The scale of a group whose members have these extents, `wanted` or at most `max_upscale`, and its baseline.

    The tallest member is in the middle of the picture, `canvas` (height, width), and all stand on its line.
    """
    longest = max(canvas) / wanted
    # less than a pixel of difference is not worth resampling every pixel
    scale = 1.0 if abs(wanted - 1) * longest < 1 else min(wanted, max_upscale)
    needed = wanted if (wanted - scale) * longest >= 1 else None
    tallest = max(extent.height for extent in extents)
    return Scale(scale, 0.5 + scale * tallest / (2 * canvas[0]), needed)
