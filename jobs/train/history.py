"""The history of a run, one row per epoch: the totals of an epoch, its row, and both as a file and for people."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.config import TrainConfig
from glasseg.evaluation import metrics
from glasseg.labels.pairs import Label
from glasseg.model import threshold
from jobs.train.course import Progress

HISTORY: Final = "history.parquet"
"""Its name in the model folder."""


class Tally:
    """The totals of one epoch: those of training over all workers, those of validation on this one."""

    def __init__(self, progress: Progress) -> None:
        self.training = np.array(progress.training)
        self._began = time.monotonic() - progress.seconds
        self.trained = progress.seconds
        """Seconds until the last training step was done."""
        self._totals, self._counts = np.zeros(6), np.zeros((2, len(metrics.COUNTS)))
        self._alpha = np.zeros(threshold.TALLY_LENGTH)

    @property
    def seconds(self) -> float:
        """Since the epoch began, interruptions not included."""
        return time.monotonic() - self._began

    def train(self, totals: np.ndarray) -> None:
        """Add a training step's totals, as `Learner.train` returns them."""
        self.training += totals
        self.trained = self.seconds

    def judge(
        self,
        probability: np.ndarray,
        totals: np.ndarray,
        coverage: np.ndarray,
        weight: np.ndarray,
        real: np.ndarray,
        *,
        with_background: np.ndarray,
    ) -> None:
        """Add a batch as `Learner.predict` takes and returns it; `with_background`: k bool, scenes, not composites."""
        self._totals += totals
        parts = (probability, coverage, weight, with_background)
        for p, c, w, kind in zip(*(part[real] for part in parts), strict=True):
            self._counts[int(kind)] += metrics.count(p >= 128, Label(c >= 128, np.zeros(c.shape, bool), w == 0))
            self._alpha += threshold.tally(p, c, w)

    def validation(self) -> np.ndarray:
        """The totals of validation as one vector, to be summed over workers."""
        return np.concatenate([self._totals, self._counts.ravel(), self._alpha])


def row(epoch: int, tally: Tally, validation: np.ndarray) -> dict[str, Any]:
    """One epoch's row of the history, from its tally and the sum of all workers' `validation`.

    Pixels count as found from a probability of one half. `val_photo_iou` is the mean of two means, over photos with a
    background of their own and over composites, so that whichever is more numerous does not outweigh the other.
    """
    loss, photos, both, found, truth, scored = (float(value) for value in tally.training)
    totals, counted, alpha = np.split(validation, [6, 6 + 2 * len(metrics.COUNTS)])
    counts = counted.reshape(2, -1)
    photo_iou = np.mean([metrics.set_score(kind).photo_iou for kind in counts if kind[0]])
    chosen, ramp = threshold.choose(alpha)
    judged = {f"val_{name}": float(value) for name, value in asdict(metrics.set_score(counts.sum(axis=0))).items()}
    return {
        "epoch": epoch,
        "loss": loss / photos,
        "accuracy": 1 - (found + truth - 2 * both) / max(scored, 1),
        "precision": both / found if found else 0.0,
        "recall": both / truth if truth else 0.0,
        "f1": 2 * both / (found + truth) if found + truth else 0.0,
        "iou": both / (found + truth - both) if found + truth else 0.0,
        "val_loss": float(totals[0] / totals[1]),
        **judged,
        "val_photo_iou": float(photo_iou),
        "threshold": chosen,
        "ramp": ramp,
        "photos": int(photos),
        "photos_per_second": photos / tally.trained,
        "seconds": tally.seconds,
    }


def table(rows: list[dict[str, Any]]) -> bytes:
    """The history as a parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def line(row: dict[str, Any], config: TrainConfig) -> str:
    """One epoch as a line for people."""
    width = len(str(config.epochs))
    shown = ("precision", "recall", "f1", "iou", "photo_iou", "boundary_f", "share_95")
    scores = "  ".join(f"{name} {row[f'val_{name}']:.3f}" for name in shown)
    return (
        f"epoch {row['epoch']:>{width}}/{config.epochs}  loss {row['loss']:.4f}  validation: loss {row['val_loss']:.4f}"
        f"  {scores}{' *' if row['best'] else ''}  {row['photos_per_second']:.1f} photos/s"
    )
