"""An image composited by its alpha: on a colour, or as a cut-out."""

from __future__ import annotations

import cv2
import numpy as np


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


def multiplied(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The premultiplied foreground, round(image * alpha / 255): H×W×3 uint8."""
    product = np.zeros_like(image)
    if box := bounding_box(alpha):
        x0, y0, x1, y1 = box
        weights = cv2.cvtColor(alpha[y0:y1, x0:x1], cv2.COLOR_GRAY2RGB)
        product[y0:y1, x0:x1] = cv2.multiply(image[y0:y1, x0:x1], weights, scale=1 / 255)
    return product


def blend(
    foreground: np.ndarray, alpha: np.ndarray, colour: tuple[int, int, int], shade: np.ndarray | None = None
) -> np.ndarray:
    """Composite a premultiplied foreground (H×W×3 uint8) on a colour darkened by `shade`; see `compose`."""
    ground = np.empty_like(foreground)
    ground[0] = colour
    ground[1:] = ground[0]  # whole rows: numpy takes 7 ms to repeat three values over 2 megapixels
    if shade is not None:
        cv2.multiply(ground, cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB), dst=ground, scale=1 / 255)
    if box := bounding_box(alpha):  # outside it there is nothing to compute
        x0, y0, x1, y1 = box
        rest = cv2.cvtColor(cv2.bitwise_not(alpha[y0:y1, x0:x1]), cv2.COLOR_GRAY2RGB)
        behind = cv2.multiply(ground[y0:y1, x0:x1], rest, dst=rest, scale=1 / 255)
        ground[y0:y1, x0:x1] = cv2.add(behind, foreground[y0:y1, x0:x1], dst=behind)
    return ground


def cut_out(foreground: np.ndarray, alpha: np.ndarray, shade: np.ndarray | None = None) -> np.ndarray:
    """A premultiplied foreground as H×W×4 uint8 RGB with straight alpha; all four are 0 where there is nothing.

    A shade becomes black with an alpha that darkens any background as much.
    """
    if shade is not None:
        # over: α + (1 - α) (1 - shade); the shadow's own colour is black and adds nothing to the foreground
        alpha = cv2.bitwise_not(cv2.multiply(cv2.bitwise_not(alpha), shade, scale=1 / 255))
    straight = np.zeros((*alpha.shape, 4), np.uint8)
    if box := bounding_box(alpha):
        x0, y0, x1, y1 = box
        part = alpha[y0:y1, x0:x1]
        weights = cv2.cvtColor(part, cv2.COLOR_GRAY2RGB)
        colours = cv2.divide(foreground[y0:y1, x0:x1], weights, scale=255)
        straight[y0:y1, x0:x1] = cv2.merge([*cv2.split(colours), part])
    return straight
