"""Charts of a training run and of a model's scores, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glasseg.evaluation.metrics import Curve

PANELS: Final = ("loss", "accuracy", "precision", "recall", "f1", "iou")
_TITLES: Final = {"loss": "Loss", "f1": "F1", "iou": "IoU"}
_TRAINING, _VALIDATION, _BEST, _INK = "#9a9a9a", "#0072b2", "#d55e00", "#333333"
_DPI: Final = 110


def training_curves(history: Sequence[dict[str, Any]], monitor: str) -> bytes:
    """Training and validation over the epochs as a PNG: a panel for each of `PANELS`, the best epoch marked.

    `history`: one row per epoch with `epoch`, `best`, each of `PANELS` and the same with the prefix `val_`; `monitor`:
    the name of the measure by which the best epoch was chosen. Raises ValueError for an empty history.
    """
    if not history:
        raise ValueError("a history without epochs has no curves")
    best = max((row for row in history if row.get("best")), key=lambda row: row["epoch"], default=history[-1])
    figure = Figure(figsize=(13, 7.2), dpi=_DPI, layout="constrained")
    for axes, name in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        _panel(axes, history, name, best)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=12)
    figure.suptitle(f"{len(history)} epochs, the best by {monitor.replace('_', ' ')} is {best['epoch']}", fontsize=14)
    return _png(figure)


def _panel(axes: Axes, history: Sequence[dict[str, Any]], name: str, best: dict[str, Any]) -> None:
    epochs = [row["epoch"] for row in history]
    seen = []
    for column, colour, label in ((name, _TRAINING, "training"), (f"val_{name}", _VALIDATION, "validation")):
        values = np.array([row[column] for row in history], float)
        dot = "o" if len(history) < 3 else ""
        axes.plot(epochs, values, color=colour, label=label, linewidth=2, marker=dot)
        seen.append(values)
    at = best[f"val_{name}"]
    axes.plot([best["epoch"]], [at], "o", color=_BEST, markersize=8, label="best epoch", zorder=3)
    digits = 4 if name == "loss" else 3
    axes.set_title(f"{_TITLES.get(name, name.capitalize())}   {at:.{digits}f}", loc="left", fontsize=13, color=_INK)
    axes.set_ylim(*_limits(np.concatenate(seen), share=name != "loss"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _plain(axes)


def _limits(values: np.ndarray, *, share: bool) -> tuple[float, float]:
    """Limits of the y axis that show most epochs well; the first ones, which are far off, may lie outside.

    `share`: whether the values lie in [0, 1] and are the better the higher they are.
    """
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.1, 1.0] if share else [0.0, 0.9]) if values.size else (0.0, 1.0)
    room = max(0.02 if share else 1e-3, 0.12 * float(high - low))
    return max(0.0, float(low) - room), min(1.0, float(high) + room) if share else float(high) + room


def precision_recall_chart(curve: Curve, threshold: float) -> bytes:
    """Precision against recall as a PNG, with the model's `threshold` marked and the average precision in the title."""
    figure = Figure(figsize=(7, 6.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.plot(curve.recall, curve.precision, color=_VALIDATION, linewidth=2.2)
    at = int(np.argmin(np.abs(curve.thresholds - threshold)))
    x, y = float(curve.recall[at]), float(curve.precision[at])
    axes.plot([x], [y], "o", color=_BEST, markersize=9)
    axes.annotate(
        f"threshold {threshold:g}\nprecision {y:.3f}\nrecall {x:.3f}",
        (x, y),
        xytext=(-16, -16),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=12,
        color=_BEST,
    )
    low = max(0.0, min(x, y, 0.8) - 0.1)
    axes.set(xlim=(low, 1.003), ylim=(low, 1.003), xlabel="recall", ylabel="precision")
    axes.set_title(
        f"Pixels of glasses   average precision {curve.average_precision:.4f}", loc="left", fontsize=13, color=_INK
    )
    _plain(axes)
    return _png(figure)


def memory_chart(photos: Sequence[int], resident: dict[str, list[int]]) -> bytes:
    """Resident memory of each kind of process over the photos done, as a PNG.

    `photos`: how many were done at each measurement; `resident`: by kind of process, the bytes at each of them, 0 if
    there was no such process.
    """
    figure = Figure(figsize=(8.5, 4.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    for kind, values in resident.items():
        there = [(x, y / 2**20) for x, y in zip(photos, values, strict=True) if y]
        axes.plot([x for x, _ in there], [y for _, y in there], linewidth=2, label=kind)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("photos done")
    axes.set_title("Resident memory, MB", loc="left", fontsize=13, color=_INK)
    figure.legend(frameon=False, ncols=len(resident), loc="outside lower center")
    _plain(axes)
    return _png(figure)


def _plain(axes: Axes) -> None:
    axes.grid(color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=11, colors=_INK)


def _png(figure: Figure) -> bytes:
    sink = io.BytesIO()
    FigureCanvasAgg(figure).print_png(sink, metadata={"Software": None})
    return sink.getvalue()
