"""Charts: a picture comes out of short and long histories, and it says what matters."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from glasseg.evaluation.metrics import LEVELS, precision_recall
from glasseg.report import charts


def history(epochs: int) -> list[dict[str, Any]]:
    rows = []
    for epoch in range(1, epochs + 1):
        value = 1 - 0.9 / epoch
        row = dict.fromkeys(charts.PANELS, value) | {f"val_{name}": value - 0.02 for name in charts.PANELS}
        rows.append({**row, "loss": 9.0 / epoch, "val_loss": 10.0 / epoch, "epoch": epoch, "best": epoch != 2})
    return rows


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_curves_of_any_length_are_a_wide_picture_with_the_best_epoch_in_it(epochs: int) -> None:
    picture = decoded(charts.training_curves(history(epochs), "photo_iou"))
    assert picture.shape[1] > 1300 and picture.shape[0] > 700
    orange = (np.abs(picture[..., ::-1].astype(int) - [0xD5, 0x5E, 0x00]) < 20).all(axis=2)
    assert orange.sum() > 6 * 20


def test_the_same_history_gives_the_same_bytes() -> None:
    assert charts.training_curves(history(3), "loss") == charts.training_curves(history(3), "loss")


def test_a_history_without_epochs_is_refused() -> None:
    with pytest.raises(ValueError):
        charts.training_curves([], "loss")


def test_a_first_epoch_far_off_does_not_flatten_the_rest() -> None:
    values = np.array([500.0, *np.linspace(0.5, 0.3, 40)])
    assert charts._limits(values, share=False)[1] < 2
    assert charts._limits(np.array([0.01, *np.linspace(0.8, 0.9, 40)]), share=True)[0] > 0.6


def test_the_threshold_is_marked_on_the_precision_recall_curve() -> None:
    pixels = np.zeros((2, LEVELS), np.int64)
    pixels[0, 100:], pixels[1, :140] = 50, 60
    picture = decoded(charts.precision_recall_chart(precision_recall(pixels), 0.5))
    assert (np.abs(picture[..., ::-1].astype(int) - [0xD5, 0x5E, 0x00]) < 20).all(axis=2).sum() > 40
