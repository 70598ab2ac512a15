"""An image composited by its alpha: on a colour, or as a cut-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

_AT_ONCE: Final = 1 << 15
"""Pixels composited together."""


def bounding_box(alpha: np.ndarray) -> tuple[int, int, int, int] | None:
    """The half-open box (x0, y0, x1, y1) of the pixels where `alpha` (H×W uint8) is not 0; None if there are none."""
    x, y, width, height = cv2.boundingRect(alpha)
    return (x, y, x + width, y + height) if width else None


def compose(
    image: np.ndarray,
    alpha: np.ndarray,
    colour: tuple[int, int, int] = (255, 255, 255),
    shade: np.ndarray | None = None,
) -> np.ndarray:
    """Composite an image (H×W×3 uint8 RGB) by its alpha (H×W uint8) on a colour (RGB), white by default: H×W×3 uint8.

    `shade` (H×W uint8, 255 for none) darkens the colour. Where alpha is 0, the result is exactly the darkened colour;
    where alpha is 255, it is exactly the image.
    """
    return blend(multiplied(image, alpha), alpha, colour, shade)


def multiplied(image: np.ndarray, alpha: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The premultiplied foreground, round(image * alpha / 255): H×W×3 uint8, in `out` if given, such as the image."""
    product = np.empty_like(image) if out is None else out
    for rows in _bands(alpha):
        cv2.multiply(image[rows], _thrice(alpha[rows]), dst=product[rows], scale=1 / 255)
    return product


def bound(foreground: np.ndarray, alpha: np.ndarray) -> None:
    """Bound a premultiplied foreground (H×W×3 uint8), in place: no colour is stronger than its alpha."""
    for rows in _bands(alpha):
        cv2.min(foreground[rows], _thrice(alpha[rows]), dst=foreground[rows])


def blend(
    foreground: np.ndarray, alpha: np.ndarray, colour: tuple[int, int, int], shade: np.ndarray | None = None
) -> np.ndarray:
    """Composite a premultiplied foreground (H×W×3 uint8) on a colour darkened by `shade`; see `compose`.

    The foreground becomes the result.
    """
    white = shade is None and min(colour) == 255
    for rows in _bands(alpha):
        behind = _thrice(cv2.bitwise_not(alpha[rows]))
        if not white:
            ground = np.empty_like(behind)
            ground[0] = colour
            ground[1:] = ground[0]  # whole rows: numpy takes 7 ms to repeat three values over 2 megapixels
            if shade is not None:
                cv2.multiply(ground, _thrice(shade[rows]), dst=ground, scale=1 / 255)
            cv2.multiply(ground, behind, dst=behind, scale=1 / 255)
        cv2.add(behind, foreground[rows], dst=foreground[rows])
    return foreground


def _thrice(plane: np.ndarray) -> np.ndarray:
    """H×W uint8 as three equal channels."""
    return cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB)


def _bands(plane: np.ndarray) -> Iterator[slice]:
    """The rows of H×W uint8, as few at a time as stay in the processor's cache: a third of the time."""
    height, width = plane.shape
    step = max(1, _AT_ONCE // width)
    return (slice(top, top + step) for top in range(0, height, step))


def cut_out(foreground: np.ndarray, alpha: np.ndarray, shade: np.ndarray | None = None) -> np.ndarray:
    """A premultiplied foreground as H×W×4 uint8 RGB with straight alpha; all four are 0 where there is nothing.

    A shade becomes black with an alpha that darkens any background as much.
    """
    if shade is not None:
        # over: α + (1 - α) (1 - shade); the shadow's own colour is black and adds nothing to the foreground
        alpha = cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(alpha), shade, scale=1 / 255))
    straight = np.empty((*alpha.shape, 4), np.uint8)
    for rows in _bands(alpha):
        colours = cv2.divide(foreground[rows], _thrice(alpha[rows]), scale=255)
        cv2.merge([*cv2.split(colours), alpha[rows]], dst=straight[rows])
    return straight
