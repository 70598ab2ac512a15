"""Which pictures a training worker sees in which step: every sample once per epoch, in an order given by the seed.

A run is one sequence of steps: those of the first epoch, those of its validation, those of the second epoch, and so on.
A step's global batch is shared evenly, each worker taking consecutive places of it, so that any number of workers sees
the same global batches. The last batch of a pass is filled up with samples of weight zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One step of one worker: `epoch` from 0, the `indices` of its samples, and which of them are `real` (bool).

    The others only fill up the batch. `last`: whether a pass ends here. `side`: of its square pictures, in pixels.
    """

    number: int
    epoch: int
    side: int
    validation: bool
    last: bool
    indices: np.ndarray
    real: np.ndarray


@dataclass(frozen=True)
class Epochs:
    """The plan of a run: `samples` and `validation` pictures an epoch, `batch` of them a step over `workers` workers.

    Training steps cycle through `sides`, the sides of their pictures in pixels; validation has one, whatever they are,
    so that its scores can be compared. Raises ValueError when the batch can't be shared evenly or there is nothing to
    train or validate on.
    """

    samples: int
    validation: int
    batch: int
    workers: int
    seed: int
    sides: tuple[int, ...]
    validation_side: int

    def __post_init__(self) -> None:
        if self.samples < 1 or self.validation < 1:
            raise ValueError(f"{self.samples} samples to train and {self.validation} to validate on")
        if self.batch < 1 or self.batch % self.workers:
            raise ValueError(f"a batch of {self.batch} can't be shared by {self.workers} workers")

    @property
    def training_steps(self) -> int:
        """Steps of one pass over the samples."""
        return -(-self.samples // self.batch)

    @property
    def steps(self) -> int:
        """Steps of an epoch, validation included."""
        return self.training_steps + -(-self.validation // self.batch)

    def step(self, number: int, worker: int) -> Step:
        """Step `number` of the run, from 0, as `worker` sees it, from 0."""
        epoch, inside = divmod(number, self.steps)
        validation = inside >= self.training_steps
        place = inside - self.training_steps if validation else inside
        order = np.arange(self.validation) if validation else self._order(epoch)
        share = self.batch // self.workers
        places = place * self.batch + worker * share + np.arange(share)
        last = inside + 1 in {self.training_steps, self.steps}
        side = self.validation_side if validation else self.sides[place % len(self.sides)]
        return Step(number, epoch, side, validation, last, order[places % len(order)], places < len(order))

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(self.samples)
