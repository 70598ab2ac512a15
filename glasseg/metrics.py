"""How well a mask fits, per photo, by the field's definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glasseg.pairs import Label


@dataclass(frozen=True)
class PhotoScore:
    """Scores of one photo, each in [0, 1]; ignored pixels count nowhere.

    `iou` leaves the see-through openings unscored, `strict_iou` counts them as background, `openings_left_out` is the
    share of opening pixels that the mask leaves out (nan without openings); precision, recall, F1 and accuracy are
    strict as well. `alpha_error` is the mean absolute error of alpha against the label. Where nothing is true and
    nothing is found every score is perfect.
    """

    iou: float
    strict_iou: float
    openings_left_out: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    alpha_error: float


def score(alpha: np.ndarray, label: Label) -> PhotoScore:
    """Score `alpha` (H×W uint8) against a label of the same size; a pixel is found where alpha ≥ 128.

    Raises ValueError when the sizes differ.
    """
    if alpha.shape != label.material.shape:
        raise ValueError(f"an alpha of {alpha.shape} and a label of {label.material.shape} differ in size")
    found, scored = alpha >= 128, ~label.ignored
    truth = label.material & scored
    strict = found & scored
    lenient = strict & ~label.opening
    both = int(np.count_nonzero(strict & truth))
    n_found, n_truth = int(np.count_nonzero(strict)), int(np.count_nonzero(truth))
    openings = label.opening & scored
    n_openings = int(np.count_nonzero(openings))
    n_scored = max(1, int(np.count_nonzero(scored)))
    empty = 0.0 if n_found or n_truth else 1.0
    error = np.abs(alpha.astype(np.float32) / 255 - label.material)
    return PhotoScore(
        iou=_ratio(both, int(np.count_nonzero(lenient)) + n_truth - both),
        strict_iou=_ratio(both, n_found + n_truth - both),
        openings_left_out=1 - np.count_nonzero(openings & found) / n_openings if n_openings else float("nan"),
        precision=both / n_found if n_found else empty,
        recall=both / n_truth if n_truth else empty,
        f1=_ratio(2 * both, n_found + n_truth),
        accuracy=1 - (n_found + n_truth - 2 * both) / n_scored,
        alpha_error=float(error.sum(where=scored, dtype=np.float64)) / n_scored,
    )


def _ratio(part: int, whole: int) -> float:
    """`part / whole`; nothing found where nothing is true is a perfect score."""
    return part / whole if whole else 1.0
