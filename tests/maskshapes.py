"""Masks of simple shapes, for what depends on nothing but where a mask is."""

from __future__ import annotations

import cv2
import numpy as np


def boxed(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """An alpha of `size` that is full in `box`."""
    alpha = np.zeros(size, np.uint8)
    alpha[box[1] : box[3], box[0] : box[2]] = 255
    return alpha


def wire_glasses(size: tuple[int, int] = (600, 800), tilt: float = 0.0) -> np.ndarray:
    """The alpha of a round pair of rims and a bridge, `tilt` degrees down on the right."""
    height, width = size
    alpha = np.zeros(size, np.uint8)
    y = height // 2
    for x in (width * 3 // 10, width * 7 // 10):
        cv2.ellipse(alpha, (x, y), (width // 8, height // 8), 0, 0, 360, 255, 9, cv2.LINE_AA)
    cv2.line(alpha, (width * 42 // 100, y), (width * 58 // 100, y), 255, 9, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((width / 2, y), -tilt, 1)
    return cv2.warpAffine(alpha, turn, (width, height))
