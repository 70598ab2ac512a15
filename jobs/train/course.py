"""What a training run is, sent to its workers, and how far it has come, kept with its checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from glasseg.config import TrainConfig
from glasseg.errors import GlassegError
from glasseg.labels.pairs import Found
from glasseg.model.folder import ModelFolder


@dataclass(frozen=True)
class Course:
    """What every training worker must know; `cpus`, `gpus` and `loader_cpus` are those of each of the `workers`."""

    found: Found
    config: TrainConfig
    out: str
    about: dict[str, Any]
    """What is recorded in `model.json` besides the results."""
    start: ModelFolder | None
    workers: int
    cpus: int
    gpus: int
    loader_cpus: int
    checkpoint_minutes: float
    endpoint_url: str | None
    board: Any = None
    """Ray actor that shows lines to people; set when the workers start."""


@dataclass
class Progress:
    """How far a run has come; kept with each checkpoint."""

    epoch: int = 0
    step: int = 0
    """The next step of the run, validation included; `training` and `seconds` are the totals of its epoch so far."""
    training: list[float] = field(default_factory=lambda: [0.0] * 6)
    seconds: float = 0.0
    best: float | None = None
    waited: int = 0
    """Epochs since the best one."""
    history: list[dict[str, Any]] = field(default_factory=list)

    def take(self, row: dict[str, Any], config: TrainConfig) -> bool:
        """Add an epoch's row; whether it is the best so far. Raises GlassegError when its loss is not a number."""
        if not (math.isfinite(row["loss"]) and math.isfinite(row["val_loss"])):
            raise GlassegError(f"the loss is no longer a number in epoch {row['epoch']}: lower --learning-rate")
        value = row["val_loss"] if config.monitor == "loss" else -row[f"val_{config.monitor}"]
        better = self.best is None or value < self.best
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        self.epoch += 1
        self.training, self.seconds = [0.0] * 6, 0.0
        self.history.append({**row, "best": better})
        return better

    def ended(self, config: TrainConfig) -> bool:
        """Whether the last epoch is done, or patience has run out."""
        return self.epoch >= config.epochs or (config.patience > 0 and self.waited >= config.patience)
