"""Where the glasses are in a photo, by their mask: the box around them, how they are tilted, which edges they reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.cutout.placement import Box, extent, rotation
from glasseg.cutout.scale import Extent
from glasseg.images.window import Window

_SEEN: Final = 25  # out of 255: anything fainter than a tenth is a veil, not an edge to frame by
_SPECK: Final = 0.02  # share of the longest piece: shorter ones are dirt, and must not shift the frame
_LEAST_LENGTH: Final = 8  # pixels; anything shorter on both sides is not glasses

# Real glasses from the front or from the side: 1.7 to 4.0 on 64 labelled catalog photos. Rounder shapes turn at random.
_LEAST_ELONGATION: Final = 1.5
_MOST_TILT: Final = 10.0  # degrees
_LEAST_TILT: Final = 0.2  # degrees: 5 pixels over 1400, not worth the resampling


@dataclass(frozen=True)
class Outline:
    """The glasses in a photo."""

    upright: Box
    """The box around them, in photo pixels."""
    turned: Box
    """That box once they are level."""
    angle: float = 0.0
    """Degrees by which they hang down on the right; 0 when they are not straightened."""
    cut: tuple[str, ...] = ()
    """Edges of the photo that they touch."""
    warnings: tuple[str, ...] = ()
    """What a person may want to know, each in one line."""

    @property
    def extent(self) -> Extent:
        """How large they are once they are level."""
        x0, y0, x1, y1 = self.turned
        return Extent(x1 - x0, y1 - y0)


def find(alpha: np.ndarray, window: Window, *, straighten: bool) -> Outline | None:
    """The glasses of an alpha (H×W uint8), that of the photo in `window`; None when there are none.

    `straighten`: whether they are to be levelled, as far as they can be.
    """
    hull = _hull(alpha)
    if hull is None:
        return None
    angle, refusal = _tilt(alpha, hull) if straighten else (0.0, None)
    hull += window.origin
    upright = _turned_box(hull, 0.0)
    cut = _edges(upright, window.size)
    reached = f"the glasses reach the photo's edge ({', '.join(cut)}) and may be cut off" if cut else None
    warnings = tuple(line for line in (refusal, reached) if line)
    return Outline(upright, _turned_box(hull, angle), angle, cut, warnings)


def _hull(alpha: np.ndarray) -> np.ndarray | None:
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


def _tilt(alpha: np.ndarray, hull: np.ndarray) -> tuple[float, str | None]:
    """Degrees by which the glasses' long axis hangs down on the right, or 0 and why they are not straightened.

    The axis is that of the alpha's second central moments, ½ atan2(2 μ11, μ20 - μ02) (Hu, Visual pattern recognition
    by moment invariants, 1962); the elongation is the root of the moments' ratio along and across it.
    """
    x0, y0, x1, y1 = (int(side) for side in _turned_box(hull, 0.0))
    moments = cv2.moments(alpha[y0:y1, x0:x1])
    difference, mixed = moments["mu20"] - moments["mu02"], 2 * moments["mu11"]
    total, spread = moments["mu20"] + moments["mu02"], math.hypot(difference, mixed)
    angle = math.degrees(math.atan2(mixed, difference) / 2)
    if total + spread < _LEAST_ELONGATION**2 * (total - spread):
        return 0.0, "not straightened: too round to have an axis"
    if abs(angle) > _MOST_TILT:
        return 0.0, f"not straightened: tilted by {abs(angle):.1f}°, more than {_MOST_TILT:.0f}°"
    return (angle, None) if abs(angle) >= _LEAST_TILT else (0.0, None)


def _turned_box(hull: np.ndarray, angle: float) -> Box:
    """The box around pixels whose centres have this hull, after they turned about the photo's corner."""
    x0, y0, x1, y1 = extent(hull @ rotation(angle).T)
    half = (abs(math.cos(math.radians(angle))) + abs(math.sin(math.radians(angle)))) / 2  # a pixel is a square
    return x0 - half, y0 - half, x1 + half, y1 + half


def _edges(box: Box, source: tuple[int, int]) -> tuple[str, ...]:
    height, width = source
    touched = {"left": box[0] <= 0, "top": box[1] <= 0, "right": box[2] >= width, "bottom": box[3] >= height}
    return tuple(side for side, touches in touched.items() if touches)
