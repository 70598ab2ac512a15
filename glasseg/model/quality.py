"""The strict IoU to expect of a mask, from what inference knows about it without a label.

`features` measures the signs of a bad mask. A `Calibration`, fitted by `glasseg.evaluation.calibration` on labelled
photos that the network was not trained on, weighs them. It is kept in `model.json`, outside `model_id`: masks do not
depend on it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike

from glasseg.images.window import Window
from glasseg.model.letterbox import halved

FEATURES: Final = ("undecided", "worst", "left_out", "edge", "parts", "sides", "finder")
"""What `features` measures, in this order; each grows as a mask gets worse.

undecided: how far alpha and probability are apart, as a share of the mask; a logarithm, like the next three.
worst: how undecided the worst tenth of the places is.
left_out: the probability outside the mask, as a share of the mask.
edge: how undecided the mask is along its edge, as a share of the mask; large for thin frames.
parts: the number of its parts, weighted by their size; a logarithm.
sides: the difference between its left and right half in how undecided they are.
finder: how far the first pass disagreed with the result; log-odds.

Calibrations name what they weigh, so a sign that is measured differently needs another name.
"""
CELLS: Final = 256
"""Cells along the longer side of the glasses, the grid on which they are measured whatever the photo's size."""
_PLACE: Final = 16
"""Cells along the side of one place."""
_SEEN: Final = 0.1
"""Probability from which a pixel outside the mask is taken into account."""
_EDGE: Final = np.ones((5, 5), np.uint8)
_REACH: Final = 4.0
"""Standard deviations at which a sign is clipped: no photo that was calibrated on is further out."""


def features(
    alpha: np.ndarray, probability: np.ndarray, agreement: float | None, window: Window | None = None
) -> np.ndarray:
    """The signs of a bad mask, float64 of the length and in the order of `FEATURES`; finite for every mask.

    `alpha` (H×W uint8) was made from `probability` (H×W float32 in [0, 1]); `agreement` as in a `Segmentation`.
    `window`: the part of the photo of which they are, if not of all; outside it there are no glasses.
    """
    small, p, middle = _shrunk(alpha, probability, window or Window.whole(alpha.shape))
    mask = (small >= 0.5).astype(np.uint8)
    area = float(small.sum()) + 1
    undecided = 1 - cv2.absdiff(2 * p, np.ones_like(p))
    edge = cv2.dilate(mask, _EDGE) != cv2.erode(mask, _EDGE)
    doubt = 1 - agreement if agreement is not None else 0.0
    return np.array(
        [
            _log(float(cv2.absdiff(small, p).sum()) / area),
            _log(_worst(undecided, small)),
            _log(float(p.sum(where=mask == 0)) / area),
            _log(float(undecided.sum(where=edge)) / area),
            _parts(mask),
            abs(_mean(undecided[:, :middle], small[:, :middle]) - _mean(undecided[:, middle:], small[:, middle:])),
            math.log((doubt + 0.01) / (1.01 - doubt)),
        ]
    )


def _shrunk(alpha: np.ndarray, probability: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray, int]:
    """The part of a photo that shows glasses, or might: alpha and probability, rows×columns float32 in [0, 1], with
    about `CELLS` cells along the glasses, and the column of the glasses' middle."""
    height, width = alpha.shape
    step = max(1, max(window.size) // 512)
    left, top = (-edge % step for edge in window.origin)  # the same pixels of the photo whatever the window
    found = cv2.boundingRect(alpha)
    x, y, w, h = cv2.boundingRect((probability[top::step, left::step] > _SEEN).astype(np.uint8))
    seen = (left + step * x, top + step * y, step * w, step * h)
    boxes = [box for box in (found, seen) if box[2]] or [(0, 0, width, height)]
    x0, y0 = (min(box[i] for box in boxes) for i in (0, 1))
    x1, y1 = (min(side, max(box[i] + box[i + 2] for box in boxes)) for i, side in ((0, width), (1, height)))
    glasses = max(boxes[0][2:])
    scale = min(CELLS / glasses, 2 * CELLS / max(x1 - x0, y1 - y0))
    trimmed = 2 ** max(0, math.floor(-math.log2(scale)))  # for `halved`, which is fast
    x1, y1 = (end - (end - start) % trimmed if end - start >= trimmed else end for start, end in ((x0, x1), (y0, y1)))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small, p = (
        cv2.resize(halved(part[y0:y1, x0:x1], size[::-1]), size, interpolation=how) for part in (alpha, probability)
    )
    middle = round((boxes[0][0] + boxes[0][2] / 2 - x0) * scale)
    return small.astype(np.float32) / 255, np.clip(p, 0, 1), middle


def _worst(undecided: np.ndarray, small: np.ndarray) -> float:
    """How undecided the places with glasses are, their .9 quantile; 0 if there are none."""
    size = (max(1, round(small.shape[1] / _PLACE)), max(1, round(small.shape[0] / _PLACE)))
    doubt, there = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (undecided, small))
    shares = (doubt / (there + 1 / _PLACE))[there > 0]
    return float(np.quantile(shares, 0.9)) if shares.size else 0.0


def _parts(mask: np.ndarray) -> float:
    """Minus the logarithm of the sum of the squared shares of a mask's parts (uint8); 0 for one part or none."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.float64)
    return math.log(areas.sum() ** 2 / np.square(areas).sum()) if len(areas) else 0.0


def _mean(undecided: np.ndarray, small: np.ndarray) -> float:
    """How undecided one side of the glasses is, weighted by alpha, [0, 1]; 1 if nothing was found there."""
    area = float(small.sum())
    return float((undecided * small).sum()) / area if area else 1.0


def _log(share: float) -> float:
    return math.log(share + 1e-3)


@dataclass(frozen=True)
class Calibration:
    """A logistic regression from signs to quality, and the quality below which a person should look.

    `features` are names of `FEATURES`, each with its mean, its standard deviation (above 0) and its weight. Raises
    ValueError for unknown or repeated names, lists of different lengths, numbers that are not finite, and a
    `review_below` outside [0, 1].
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    review_below: float

    def __post_init__(self) -> None:
        lists = (self.means, self.scales, self.weights)
        if unknown := set(self.features) - set(FEATURES):
            raise ValueError(f"the calibration of quality weighs {', '.join(sorted(unknown))}, which is not measured")
        if len(set(self.features)) < len(self.features) or any(len(one) != len(self.features) for one in lists):
            raise ValueError("the calibration of quality has lists of different lengths or repeated names")
        numbers = [*(number for one in lists for number in one), self.intercept, self.review_below]
        if not all(map(math.isfinite, numbers)) or min(self.scales, default=1) <= 0 or not 0 <= self.review_below <= 1:
            raise ValueError("the calibration of quality has numbers that are out of range")

    @property
    def id(self) -> str:
        """Twelve hex digits of all its numbers: `quality_id` in the manifest."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def predict(self, vector: np.ndarray) -> float:
        """The strict IoU to expect, [0, 1], of a mask with these `features`."""
        values = vector[[FEATURES.index(name) for name in self.features]]
        return float(expected(standardised(values, self.means, self.scales), self.weights, self.intercept))

    def to_dict(self) -> dict[str, Any]:
        """As written into `model.json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, found: Any) -> Calibration:
        """From what `to_dict` returned. Raises ValueError or TypeError for anything else."""
        names = [one.name for one in fields(cls)]
        if not isinstance(found, dict) or sorted(found) != sorted(names):
            raise ValueError(f"the calibration of quality needs exactly {', '.join(names)}")
        means, scales, weights = (tuple(map(float, found[name])) for name in ("means", "scales", "weights"))
        intercept, line = float(found["intercept"]), float(found["review_below"])
        return cls(tuple(map(str, found["features"])), means, scales, weights, intercept, line)


def standardised(values: np.ndarray, means: ArrayLike, scales: ArrayLike) -> np.ndarray:
    """Signs (… × features) in standard deviations from their means, [-`_REACH`, `_REACH`]."""
    return np.clip((values - np.array(means)) / np.array(scales), -_REACH, _REACH)


def expected(standard: np.ndarray, weights: ArrayLike, intercept: float) -> np.ndarray:
    """The logistic function of the weighted signs (… × features): …, in [0, 1]."""
    return 1 / (1 + np.exp(-(standard @ np.array(weights) + intercept)))
