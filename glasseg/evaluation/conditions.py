"""The conditions of a photo: how large and how tilted the glasses are in it, and how bright its background is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.labels.pairs import Label


@dataclass(frozen=True)
class Conditions:
    """Measurements of a photo; nan where there is nothing to measure.

    `scale`: longest side of the glasses as a share of the photo's. `tilt`: degrees (0–90) of their long axis from the
    horizontal. `brightness`: mean luma of the background, 0–255.
    """

    scale: float
    tilt: float
    brightness: float


CLASSES: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    "scale": ((0.5, "small, under half of the photo"), (0.8, "middling"), (math.inf, "large, over 80 % of the photo")),
    "tilt": ((5, "level, under 5°"), (15, "tilted 5° to 15°"), (math.inf, "tilted over 15°")),
    "brightness": ((85, "dark"), (170, "medium"), (math.inf, "bright")),
}
"""The classes of each condition in order, each with the value below which it ends."""


def conditions(image: np.ndarray, label: Label) -> Conditions:
    """Measure a photo, H×W×3 uint8 RGB, with its label of the same size.

    The long axis is the first principal axis of the material's pixels: temples seen at an angle skew it, and it means
    little for glasses as wide as they are high. Openings show what is behind them, so they count as background.
    """
    _, _, width, height = cv2.boundingRect(label.material.astype(np.uint8))
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    background = luma[~label.material & ~label.ignored]
    return Conditions(
        scale=max(width, height) / max(image.shape[:2]) if width else math.nan,
        tilt=_tilt(label.material),
        brightness=float(background.mean()) if background.size else math.nan,
    )


def classes_of(measured: Conditions) -> dict[str, str]:
    """The class of each condition; "" if it could not be measured."""
    return {name: _class_of(getattr(measured, name), classes) for name, classes in CLASSES.items()}


def _class_of(value: float, classes: tuple[tuple[float, str], ...]) -> str:
    return "" if math.isnan(value) else next(name for end, name in classes if value < end)


def _tilt(material: np.ndarray) -> float:
    moments = cv2.moments(material.astype(np.uint8), binaryImage=True)
    if not moments["m00"]:
        return math.nan
    angle = math.degrees(0.5 * math.atan2(2 * moments["mu11"], moments["mu20"] - moments["mu02"]))
    return abs(angle)
