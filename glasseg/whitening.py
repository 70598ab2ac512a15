"""The photo on white, and whether its mask is one a person should look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

# Below this share of the frame nothing is glasses: 0.0005 is 960 of 1600×1200 pixels, less than one lens' rim drawn
# two pixels wide.
_LEAST_COVERAGE: Final = 0.0005

# A product photo leaves a margin, and see-through lenses are not counted: a mask this full has taken the background
# for glasses.
_MOST_COVERAGE: Final = 0.85

# Edge pixels are undecided by nature, so thin frames score lower than sunglasses do with masks as good. Of 145 real
# catalog photos under the first packaged model, all below this line were wrong (a lens lost, a veil kept, one pair of
# several); wrong ones go on to about .7, but from here on good thin frames are among them.
_LEAST_CONFIDENCE: Final = 0.5


def bounding_box(alpha: np.ndarray) -> tuple[int, int, int, int] | None:
    """The half-open (x0, y0, x1, y1) of where `alpha` (H×W uint8) is above 0; None when it is 0 everywhere."""
    x, y, width, height = cv2.boundingRect(alpha)
    return (x, y, x + width, y + height) if width else None


def compose(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Put an image (H×W×3 uint8) on white by its alpha (H×W uint8); the result is H×W×3 uint8.

    That is round(255 - (255 - image) * alpha / 255). Where alpha is 0 the result is exactly 255, where alpha is
    255 it is exactly the photo.
    """
    white = np.full_like(image, 255)
    box = bounding_box(alpha)  # outside it there is nothing to compute
    if box is None:
        return white
    x0, y0, x1, y1 = box
    darkness = cv2.bitwise_not(image[y0:y1, x0:x1])
    weights = cv2.cvtColor(alpha[y0:y1, x0:x1], cv2.COLOR_GRAY2RGB)
    kept = cv2.multiply(darkness, weights, dst=darkness, scale=1 / 255)
    white[y0:y1, x0:x1] = cv2.bitwise_not(kept, dst=kept)
    return white


@dataclass(frozen=True)
class MaskFacts:
    """What the manifest says of a mask."""

    coverage: float
    """Mean alpha over the frame, [0, 1]."""
    bbox: tuple[int, int, int, int] | None
    """Half-open (x0, y0, x1, y1) of alpha above 0; None when nothing was found."""
    confidence: float | None
    """Mean of |2p - 1| where alpha is above 0, [0, 1]; None when nothing was found."""


def measure(alpha: np.ndarray, probability: np.ndarray) -> MaskFacts:
    """The facts of an alpha (H×W uint8) made from a probability (H×W float32, [0, 1])."""
    box = bounding_box(alpha)
    if box is None:
        return MaskFacts(coverage=0.0, bbox=None, confidence=None)
    x0, y0, x1, y1 = box
    found = alpha[y0:y1, x0:x1]
    coverage = cv2.sumElems(found)[0] / (255 * alpha.size)
    distance = cv2.absdiff(probability[y0:y1, x0:x1], 0.5)
    return MaskFacts(coverage=coverage, bbox=box, confidence=2 * cv2.mean(distance, mask=found)[0])


def review_code(facts: MaskFacts) -> str | None:
    """Why a person should look at this photo, a key of `glasseg.errors.REVIEW_CODES`; None when nobody needs to."""
    if facts.confidence is None or facts.coverage < _LEAST_COVERAGE:
        return "no_glasses"
    if facts.coverage > _MOST_COVERAGE:
        return "fills_frame"
    if facts.confidence < _LEAST_CONFIDENCE:
        return "uncertain_mask"
    return None
