"""The edge at full resolution: from the network's probability to an 8-bit alpha."""

from __future__ import annotations

import cv2
import numpy as np


def to_alpha(probability: np.ndarray, threshold: float, ramp: float) -> np.ndarray:
    """Turn a probability (h×w float32, at photo size, about [0, 1]) into an alpha (h×w uint8).

    That is round(255 * clip((p - threshold) / ramp + 0.5, 0, 1)).
    The alpha is exactly 0 up to `threshold - ramp / 2` and exactly 255 from `threshold + ramp / 2` on, so that tails
    of the probability leave no veil. ValueError for a `ramp` below 0.001.
    """
    if not ramp >= 0.001:  # a nearly infinite slope would overflow the integers that the pass below saturates from
        raise ValueError(f"the ramp is at least 0.001, not {ramp}")
    gain = 255 / ramp
    # One saturating pass; the second picture of the weighted sum has weight 0.
    return cv2.addWeighted(probability, gain, probability, 0.0, 127.5 - gain * threshold, dtype=cv2.CV_8U)
