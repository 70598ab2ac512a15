"""The outline of a mask as curves: what a clipping path is made of."""

from __future__ import annotations

from typing import Final, cast

import contourpy
import cv2
import numpy as np

from glasseg.cutout import curves

_LEVEL: Final = 127.5
_LEAST_AREA: Final = 2.0
"""In square pixels: what encloses less is dust."""


def outline(alpha: np.ndarray, tolerance: float) -> list[np.ndarray]:
    """Closed curves around all that is more than half opaque in an alpha (H×W uint8), in pixels: k×3 complex128 each.

    The knots are those of `curves.fit`, in a plane in which the centre of the pixel in row 0 and column 0 is
    0.5 + 0.5i. Outlines and holes turn in opposite directions. `tolerance`: the largest distance, in pixels, between a
    curve and the line at which the alpha, interpolated between the centres of pixels, is one half. Parts and holes of
    less than two square pixels are left out; the list is empty where nothing else is.
    """
    return curves.fit([one for one in _contours(alpha) if abs(_area(one)) >= _LEAST_AREA], tolerance)


def _contours(alpha: np.ndarray) -> list[np.ndarray]:
    """Each contour as n complex128, its first point not repeated."""
    left, top, width, height = cv2.boundingRect(cv2.compare(alpha, _LEVEL, cv2.CMP_GT))
    if not width:
        return []
    rows, columns = (slice(max(0, begin - 1), begin + size + 1) for begin, size in ((top, height), (left, width)))
    padded = cv2.copyMakeBorder(alpha[rows, columns], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    lines = cast("list[np.ndarray]", contourpy.contour_generator(z=padded, line_type="Separate").lines(_LEVEL))
    corner = complex(columns.start, rows.start) - (0.5 + 0.5j)
    return [line[:-1].view(np.complex128)[:, 0] + corner for line in lines]


def _area(polygon: np.ndarray) -> float:
    return float((polygon.conj() * np.roll(polygon, -1)).imag.sum()) / 2
