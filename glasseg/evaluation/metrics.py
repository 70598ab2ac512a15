"""How well masks fit, for one photo and for whole sets, by the field's definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.labels.pairs import Label

TOLERANCE: Final = 0.003
"""How far from the truth a boundary may lie, as a share of the photo's diagonal."""
COUNTS: Final = ("photos", "scored", "found", "truth", "both", "photo_iou", "boundary_f", "share_95")
"""What `count` returns for a photo, in this order: the number of photos (1), of pixels (scored, found, true, both found
and true), and scores to be averaged over photos. All can be summed over photos and workers; float32 suffices for it.
"""
LEVELS: Final = 256
"""Values of a mask that `histogram` distinguishes."""


@dataclass(frozen=True)
class PhotoScore:
    """Scores of one photo, each in [0, 1]; ignored pixels never count.

    `iou` leaves the see-through openings unscored, `strict_iou` counts them as background, `openings_left_out` is the
    share of opening pixels that the mask leaves out (nan without openings); precision, recall, F1, accuracy and
    `boundary_f` (see that function) are strict too. `alpha_error` is the mean absolute error of alpha against the
    label. If nothing is true and nothing is found, every score is perfect.
    """

    iou: float
    strict_iou: float
    openings_left_out: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    boundary_f: float
    alpha_error: float


def score(alpha: np.ndarray, label: Label) -> PhotoScore:
    """Score `alpha` (H×W uint8) against a label of the same size; a pixel is found where alpha ≥ 128.

    Raises ValueError when the sizes differ.
    """
    _refuse_other_size(alpha, label)
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
        boundary_f=boundary_f(strict, truth, scored),
        alpha_error=float(error.sum(where=scored, dtype=np.float64)) / n_scored,
    )


def _refuse_other_size(mask: np.ndarray, label: Label) -> None:
    if mask.shape != label.material.shape:
        raise ValueError(f"a mask of {mask.shape} and a label of {label.material.shape} differ in size")


def _ratio(part: float, whole: float) -> float:
    """`part / whole`; 1 for an empty whole, since finding nothing where nothing is true is perfect."""
    return part / whole if whole else 1.0


def boundary_f(found: np.ndarray, truth: np.ndarray, scored: np.ndarray, *, tolerance: float = TOLERANCE) -> float:
    """F measure of the boundary of `found` against that of `truth`, each H×W bool, where `scored`.

    A boundary pixel is right when the other boundary passes within `tolerance` of the diagonal, at least one pixel.
    Pixels that are not scored count as outside in both. Without any boundary it is 1 if the masks agree, else 0.
    F. Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", 2016, after
    G. Csurka et al., "What is a good evaluation measure for semantic segmentation?", 2013.
    """
    reach = max(1.0, tolerance * float(np.hypot(*found.shape)))
    found, truth = found & scored, truth & scored
    x, y, w, h = cv2.boundingRect((found | truth).view(np.uint8))
    window = (slice(max(0, y - 1), y + h + 1), slice(max(0, x - 1), x + w + 1))
    edges = [_boundary(mask[window]) for mask in (found, truth)]
    lengths = [np.count_nonzero(edge) for edge in edges]
    if not all(lengths):  # a mask without a boundary is empty, or fills the frame
        return float(not any(lengths) and np.array_equal(found, truth))
    precision, recall = (
        np.count_nonzero(edge & _near(other, reach)) / length
        for edge, other, length in zip(edges, reversed(edges), lengths, strict=True)
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: np.ndarray) -> np.ndarray:
    """The pixels of an H×W bool mask that share a side with one outside it; the photo's border is not a boundary."""
    grown = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    eroded = cv2.erode(grown, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))[1:-1, 1:-1]
    return mask & (eroded == 0)


def _near(edge: np.ndarray, reach: float) -> np.ndarray:
    """Which pixels lie within `reach` pixels of one of `edge`; both H×W bool."""
    y, x = np.mgrid[-int(reach) : int(reach) + 1, -int(reach) : int(reach) + 1]
    disc = x * x + y * y <= reach * reach + 1e-6  # a reach of 3 pixels may come as 2.9999999
    # takes a fraction of a distance transform's time at 2 MP
    return np.asarray(cv2.dilate(edge.view(np.uint8), disc.astype(np.uint8)) > 0)


RIM: Final = 5
"""Pixels to either side of the true edge that make up the rim."""


@dataclass(frozen=True)
class RimScore:
    """How clean the rim of a cut-out is, compared with the same glasses shot on white; in levels, 0–255.

    `rim_error`: mean absolute difference within `RIM` pixels of the true edge. `halo`: by how much the part of the rim
    outside the edge is darker than it should be, on average; below 0 it is paler.
    """

    rim_error: float
    halo: float


def rim_score(picture: np.ndarray, original: np.ndarray, material: np.ndarray) -> RimScore:
    """Score a cut-out against its on-white original (both H×W×3 uint8); `material` is H×W bool, the truth.

    Both scores are nan if the material has no edge.
    """
    mask = material.astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1))
    grown = cv2.dilate(mask, disc) > 0
    rim, outside = grown & (cv2.erode(mask, disc) == 0), grown & ~material
    if not rim.any() or not outside.any():
        return RimScore(float("nan"), float("nan"))
    off = original.astype(np.int16) - picture
    return RimScore(rim_error=float(np.abs(off[rim]).mean()), halo=float(off[outside].mean()))


@dataclass(frozen=True)
class SetScore:
    """Scores of a set of photos: the first five over all its pixels, the others averaged over its photos.

    `share_95`: photos with a strict IoU of .95 or more.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    iou: float
    photo_iou: float
    boundary_f: float
    share_95: float


def count(found: np.ndarray, label: Label) -> np.ndarray:
    """`COUNTS` of one photo as float64, strict; `set_score` takes the sum over photos. `found` is H×W bool.

    Raises ValueError when the sizes differ.
    """
    _refuse_other_size(found, label)
    scored = ~label.ignored
    truth, found = label.material & scored, found & scored
    n_found, n_truth, both = (int(np.count_nonzero(mask)) for mask in (found, truth, found & truth))
    iou = _ratio(both, n_found + n_truth - both)
    edge = boundary_f(found, truth, scored)
    return np.array([1, np.count_nonzero(scored), n_found, n_truth, both, iou, edge, iou >= 0.95], np.float64)


def set_score(counts: np.ndarray) -> SetScore:
    """The scores of a set, from the sum of its photos' `count`. Raises ValueError for no photos."""
    photos, scored, found, truth, both, photo_iou, edge, share_95 = (float(value) for value in counts)
    if not photos:
        raise ValueError("a set without photos has no score")
    empty = 1.0 if not found and not truth else 0.0
    return SetScore(
        accuracy=1 - (found + truth - 2 * both) / max(scored, 1),
        precision=both / found if found else empty,
        recall=both / truth if truth else empty,
        f1=_ratio(2 * both, found + truth),
        iou=_ratio(both, found + truth - both),
        photo_iou=photo_iou / photos,
        boundary_f=edge / photos,
        share_95=share_95 / photos,
    )


def histogram(values: np.ndarray, label: Label) -> np.ndarray:
    """Pixels by value, 2×`LEVELS` int64, to be summed over photos: first those that are material, then the others.

    `values`: H×W uint8, a probability or an alpha. Raises ValueError when the sizes differ.
    """
    _refuse_other_size(values, label)
    scored = ~label.ignored
    masks = (label.material & scored, ~label.material & scored)
    return np.stack([np.bincount(values[mask], minlength=LEVELS) for mask in masks])


@dataclass(frozen=True)
class Curve:
    """Precision and recall at each threshold (a share, ascending), from which on pixels count as found."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    average_precision: float


def precision_recall(histogram: np.ndarray) -> Curve:
    """The curve of a set, from the sum of its photos' `histogram`.

    The average precision is the step-wise area Σ (Rₙ − Rₙ₋₁) Pₙ from the highest threshold down, nothing interpolated,
    as scikit-learn's `average_precision_score` defines it. Precision is 1 if nothing is found. Raises ValueError for a
    set without material.
    """
    right, wrong = (np.cumsum(part[::-1])[::-1].astype(np.float64) for part in histogram)
    if not right[0]:
        raise ValueError("recall is not defined without material")
    precision = np.where(right + wrong > 0, right / np.maximum(right + wrong, 1), 1.0)
    recall = right / right[0]
    steps = recall - np.append(recall[1:], 0.0)
    return Curve(np.arange(LEVELS) / (LEVELS - 1), precision, recall, float(np.sum(steps * precision)))
