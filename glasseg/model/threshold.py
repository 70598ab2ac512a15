"""The best threshold and ramp for a network, from counts that can be summed over photos and workers."""

from __future__ import annotations

from typing import Final

import numpy as np

LEVELS: Final = 256
SHARES: Final = 17
"""Classes of coverage from 0 to 1."""
TALLY_LENGTH: Final = LEVELS * SHARES + LEVELS
"""Numbers in a `tally`."""
_RAMPS: Final = np.arange(0.2, 0.95, 0.1)


def tally(probability: np.ndarray, coverage: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What one picture contributes to the choice: `TALLY_LENGTH` float64, to be summed over pictures.

    `probability`, `coverage` and `weight` are s×s uint8; weight 0 is not scored. First the pixels by probability and
    coverage, then the IoU at each threshold: pixels of at least that probability against coverage ≥ 128.
    """
    scored = weight > 0
    classes = np.round(coverage[scored] * ((SHARES - 1) / 255)).astype(np.int32)
    pixels = np.bincount(probability[scored].astype(np.int32) * SHARES + classes, minlength=LEVELS * SHARES)
    truth = np.bincount(probability[scored & (coverage >= 128)], minlength=LEVELS)
    found = pixels.reshape(LEVELS, SHARES).sum(axis=1)
    both, found = (np.cumsum(part[::-1])[::-1] for part in (truth, found))
    either = found + truth.sum() - both
    return np.concatenate([pixels, np.where(either > 0, both / np.maximum(either, 1), 1.0)]).astype(np.float64)


def choose(tallies: np.ndarray) -> tuple[float, float]:
    """The threshold with the best mean IoU, and for it the ramp with the least mean absolute error of alpha.

    `tallies`: a sum of `tally`. The threshold is kept within [0.3, 0.7]: outside it, a network is not trained yet.
    """
    pixels, ious = tallies[: LEVELS * SHARES].reshape(LEVELS, SHARES), tallies[LEVELS * SHARES :]
    low, high = round(0.3 * 255), round(0.7 * 255)
    threshold = round((low + int(np.argmax(ious[low : high + 1]))) / 255, 2)
    p, c = np.linspace(0, 1, LEVELS)[:, None], np.linspace(0, 1, SHARES)

    def error(ramp: float) -> float:
        return float((np.abs(np.clip((p - threshold) / ramp + 0.5, 0, 1) - c) * pixels).sum())

    return threshold, round(float(min(_RAMPS, key=error)), 2)
