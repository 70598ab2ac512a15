"""What the manifest records about a mask, and whether a person should look at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.errors import ReviewCode
from glasseg.images.compositing import bounding_box
from glasseg.images.window import Window

# Below this share of the frame nothing is glasses: 0.0005 is 960 of 1600×1200 pixels, less than one lens' rim drawn
# two pixels wide.
_LEAST_COVERAGE: Final = 0.0005

# In photos whose longer side is this short, glasses that do not fill them are a few pixels high. Of 24 real product
# photos, filled by their glasses, the packaged model found none of the glasses at 32 pixels and all at 64.
_LEAST_SIDE: Final = 160

# A product photo leaves a margin, and see-through lenses are not counted: a mask this full has taken the background
# for glasses.
_MOST_COVERAGE: Final = 0.85

# Edge pixels are undecided by nature, so thin frames score lower than sunglasses do with masks as good. Among 145
# real catalog photos under the first packaged model, all below this line were wrong (a lens lost, a veil kept, one pair
# of several); wrong ones reach up to about .7, but above this line good thin frames are among them.
_LEAST_CONFIDENCE: Final = 0.5

# Among 145 real catalog photos as JPEG, those with less than this were glasses that the photo cuts off, or leftovers of
# the background at its edge. Between this and 1 it is a speck, or compression next to glasses that end near the edge.
_LEAST_RING: Final = 0.995

_ROWS: Final = 32
"""Rows measured together, so that working memory is small."""


@dataclass(frozen=True)
class MaskFacts:
    """What the manifest records about a mask."""

    coverage: float
    """Mean alpha over the frame, [0, 1]."""
    bbox: tuple[int, int, int, int] | None
    """Half-open (x0, y0, x1, y1) of alpha above 0; None when nothing was found."""
    confidence: float | None
    """Mean of |2p - 1| where alpha is above 0, [0, 1]; None when nothing was found, or the mask is the photo's own."""
    quality: float | None = None
    """The strict IoU to expect, [0, 1]; None as confidence, when too little was found, and without a calibration.

    It is the network's mask that it is about, whatever a person painted."""
    touched_quality: float | None = None
    """The same with what was painted taken for certain; None when nothing was."""

    @property
    def no_glasses(self) -> bool:
        """Whether what was found is too little to be glasses."""
        return self.bbox is None or self.coverage < _LEAST_COVERAGE

    @property
    def fills_frame(self) -> bool:
        """Whether what was found is so much that the background is among it."""
        return self.coverage > _MOST_COVERAGE


def measure(alpha: np.ndarray, probability: np.ndarray, window: Window | None = None) -> MaskFacts:
    """The facts of an alpha (H×W uint8) made from a probability (H×W float32, [0, 1]).

    `window`: the part of the photo of which they are, if not of all; outside it there are no glasses.
    """
    window = window or Window.whole(alpha.shape)
    box = bounding_box(alpha)
    if box is None:
        return MaskFacts(coverage=0.0, bbox=None, confidence=None)
    x0, y0, x1, y1 = box
    found = alpha[y0:y1, x0:x1]
    coverage = cv2.sumElems(found)[0] / (255 * math.prod(window.size))
    distance = _distance(probability[y0:y1, x0:x1], found)
    left, top = window.origin
    bbox = (left + x0, top + y0, left + x1, top + y1)
    return MaskFacts(coverage=coverage, bbox=bbox, confidence=2 * distance / cv2.countNonZero(found))


def _distance(probability: np.ndarray, found: np.ndarray) -> float:
    """The sum of |p - 0.5| (p h×w float32) where `found` (h×w uint8) is above 0."""
    middle, total = np.full((_ROWS, found.shape[1]), 0.5, np.float32), 0.0
    for top in range(0, found.shape[0], _ROWS):
        there = found[top : top + _ROWS]
        total += cv2.norm(probability[top : top + _ROWS], middle[: len(there)], cv2.NORM_L1, mask=there)
    return total


def review_code(
    facts: MaskFacts,
    ring_share: float,
    *,
    framed_cut: bool,
    review_below: float | None = None,
    side: int | None = None,
    misfit: bool = False,
    sideways: bool = False,
    far_apart: bool = False,
    mask_seen: bool = False,
) -> ReviewCode | None:
    """Why a person should look at this photo; None when nobody needs to.

    `review_below`: the quality from which on a mask is good enough; without a quality its confidence decides.
    `ring_share`: the share of the written picture's outermost pixels that are background. `framed_cut`: whether
    glasses that the photo cuts off were framed, which puts the cut where it can be seen. `side`: the photo's longer
    side in pixels. `misfit`, `sideways`, `far_apart`: as in `picture.Picture`; the first that holds explains all that
    follow. `mask_seen`: whether a person has seen the mask, so that only its frame may need a look.
    """
    of_mask: dict[ReviewCode, bool] = {
        "mask_mismatch": far_apart,
        "transparency": misfit,
        "too_small": facts.no_glasses and side is not None and side < _LEAST_SIDE,
        "no_glasses": facts.no_glasses,
        "fills_frame": facts.fills_frame,
        "sideways": sideways,
        "uncertain_mask": _uncertain(facts, review_below),
    }
    of_frame: dict[ReviewCode, bool] = {"ring_not_clean": ring_share < _LEAST_RING, "cut_off": framed_cut}
    found = of_frame if mask_seen else of_mask | of_frame
    return next((code for code, applies in found.items() if applies), None)


def judged_quality(facts: MaskFacts) -> float | None:
    """The quality that says whether a person should look at a mask: with what one painted."""
    return facts.quality if facts.touched_quality is None else facts.touched_quality


def _uncertain(facts: MaskFacts, review_below: float | None) -> bool:
    quality = judged_quality(facts)
    if quality is not None and review_below is not None:
        return quality < review_below
    return facts.confidence is not None and facts.confidence < _LEAST_CONFIDENCE
