"""`glasseg bench training`: what Ray costs training, and whether pictures come fast enough, on this machine's CPUs.

Keras's own `fit`, one Ray Train worker with all cores and two with half of them take turns, on the same pictures by the
same recipe, with the same number of threads making pictures. Then pictures are made alone, for a step that does
nothing. Steady state: a run's first `WARM_UP` steps are not timed, and pictures are made until the end. Validation and
checkpoints are not included.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from glasseg.config import INPUT_SIDE, PRESETS, BenchConfig, TrainConfig
from glasseg.images import encoder
from glasseg.labels import pairs
from glasseg.labels.pairs import Found, Kind, Pair, Split
from glasseg.training.epochs import Epochs, Step
from jobs.bench import machine, spread
from jobs.bench.pipeline import stay_here
from jobs.bench.process import process, receive
from jobs.engine import available_cpus, engine, quiet_stderr
from jobs.terminal import say
from jobs.train.loader import Load, stream

WARM_UP: Final = 4
"""Steps during which the network is traced and the read-ahead fills."""
READ_AHEAD: Final = 64
"""Steps whose pictures are made after the last timed one, so that the load stays the same until then."""
LEAST_ALONE: Final = 12
"""Fewest steps whose pictures are made alone: with fewer, all are ready before the first one is taken."""
CUTOUTS: Final = 24
SIZE: Final = (480, 640)

SIDE: Final = INPUT_SIDE["compact"]
RECIPE: Final = replace(PRESETS["compact"], drawn=0, scene_repeats=1, sides=(SIDE,), deep_supervision=False)

FIT, ONE, TWO, ALONE = "Keras fit", "one worker", "two workers", "pictures alone"


@dataclass(frozen=True)
class Training:
    """What all measurements have in common."""

    found: Found
    config: TrainConfig
    steps: int
    """Timed steps."""
    cores: int
    verbose: bool

    def load(self, worker: int, workers: int) -> Load:
        """What one of `workers` loads: an epoch longer than the run, with its share of the cores."""
        samples = (WARM_UP + self.steps + READ_AHEAD) * self.config.batch
        repeated = [self.found.pairs[i % len(self.found.pairs)] for i in range(samples)]
        epochs = Epochs(samples, 1, self.config.batch, workers, self.config.seed, self.config.sides, SIDE)
        found = replace(self.found, pairs=repeated)
        return Load(found, self.config, epochs, worker, max(1, self.cores // workers), None)


def training(data: Path | None, config: BenchConfig) -> dict[str, Any]:
    """Measure training on the labelled photos of `data`, or on drawn cutouts; what `--json` prints.

    Raises GlassegError when there is nothing to train on, or when a process dies.
    """
    stay_here(config.verbose)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="glasseg-bench-") as temporary:
        found = pairs.find(str(data)) if data else drawn_glasses(Path(temporary) / "drawn", CUTOUTS)
        found = Found([replace(one, split=Split.TRAIN) for one in found.pairs], found.backdrops)
        steps = max(1, round(config.training_photos / RECIPE.batch))
        rates = _rounds(Training(found, RECIPE, steps, available_cpus(), config.verbose), config.rounds)
    return {
        "one_worker_to_fit": spread.ratios(rates[ONE], rates[FIT]),
        "two_workers_to_one": spread.ratios(rates[TWO], rates[ONE]),
        "pictures_to_training": spread.ratios(rates[ALONE], rates[ONE]),
        "pictures_per_s": {name: spread.spread(values) for name, values in rates.items()},
        "steps": steps,
        "batch": RECIPE.batch,
        "rounds": config.rounds,
        "side": RECIPE.sides[0],
        "preset": RECIPE.preset,
        "machine": {**machine.facts(), "load_before": round(load, 2)},
    }


def drawn_glasses(folder: Path, count: int) -> Found:
    """Draw `count` glasses with their alpha, as cutouts in a new `folder`."""
    from glasseg.drawing.photo import draw_photo

    say(f"drawing {count} glasses")
    folder.mkdir()
    for number in range(count):
        drawn = draw_photo(np.random.default_rng(number), SIZE)
        alpha = np.rint(drawn.coverage * 255).astype(np.uint8)
        (folder / f"{number:02d}.png").write_bytes(encoder.encode(np.dstack([drawn.image, alpha]), "png", 100))
    root = str(folder.resolve())
    names = sorted(path.name for path in folder.iterdir())
    return Found([Pair(root, name, None, Kind.CUTOUT, name, Split.TRAIN) for name in names])


def _rounds(one: Training, rounds: int) -> dict[str, list[float]]:
    """Pictures/s of each way in every round; the ways take turns."""
    ways: dict[str, Callable[[], list[float]]] = {
        FIT: partial(_by_fit, one),
        ONE: partial(_by_ray_train, one, 1),
        TWO: partial(_by_ray_train, one, 2),
        ALONE: partial(_alone, one),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            say(f"round {number} of {rounds}: {name}")
            rates[name].append(steady(way(), one.config.batch))
    return rates


def steady(ends: Sequence[float], batch: int) -> float:
    """Pictures/s from the times (seconds) at which steps of `batch` pictures ended, without the `WARM_UP` ones."""
    timed = ends[WARM_UP - 1 :]
    return batch * (len(timed) - 1) / (timed[-1] - timed[0])


# --- the ways: each returns the times at which its steps ended ---


def _by_fit(one: Training) -> list[float]:
    with process(one.verbose, _fit, one) as pipe:
        ends: list[float] = receive(pipe)
    return ends


def _fit(pipe: Connection, one: Training) -> None:
    """Keras the way its documentation shows it, with our network, loss, optimizer and pictures."""
    import keras

    from glasseg.model import losses, unet
    from glasseg.model.segmenter import compute_policy, prepare_tensorflow
    from jobs.train.loader import Loader, batch_of

    prepare_tensorflow(one.cores, gpu=False)
    keras.mixed_precision.set_global_policy(
        "mixed_bfloat16" if compute_policy(on_gpu=False) != "float32" else "float32"
    )
    config, load, ends = one.config, one.load(0, 1), []

    class Pictures(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(workers=load.cpus)
            self._loader = Loader(replace(load, cpus=1))  # the threads that call it provide the parallelism

        def __len__(self) -> int:
            return load.epochs.training_steps

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            made = self._loader({"data": np.array([number])})
            columns = {name: made[name].to_numpy(zero_copy_only=False) for name in made.column_names}
            image, coverage, _, weight, _ = batch_of(columns, one.config.sides[0])
            return image, np.stack([coverage, weight], axis=-1)

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append(time.monotonic())

    def loss(truth: Any, probability: Any) -> Any:
        truth = truth / 255
        return losses.bce_dice(truth[..., :1], probability, truth[..., 1:])

    network = unet.build(config.preset)
    optimizer = keras.optimizers.AdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        use_ema=True,
        ema_momentum=config.averaging,
    )
    network.compile(optimizer=optimizer, loss=loss)
    network.fit(Pictures(), steps_per_epoch=WARM_UP + one.steps, callbacks=[Clock()], verbose=0)
    pipe.send(ends)


def _by_ray_train(one: Training, workers: int) -> list[float]:
    from ray.train import RunConfig, ScalingConfig

    with quiet_stderr(one.verbose):
        from ray.train.tensorflow import TensorflowTrainer

    cpus = max(1, one.cores // workers)
    with (
        engine("local", cpus=2 * cpus * workers + 1, verbose=one.verbose),
        tempfile.TemporaryDirectory(prefix="glasseg-bench-") as folder,
    ):
        ends = Path(folder) / "ends.json"
        TensorflowTrainer(
            _train,
            train_loop_config={"training": one, "cpus": cpus, "ends": ends},
            scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": cpus}),
            run_config=RunConfig(storage_path=folder),
        ).fit()
        moments: list[float] = json.loads(ends.read_text())
    return moments


def _train(settings: dict[str, Any]) -> None:
    """The steps of the training loop without validation and checkpoints; the first worker records when they ended."""
    import ray.train

    from jobs.train.learner import Learner

    one: Training = settings["training"]
    context = ray.train.get_context()
    worker, workers = context.get_world_rank(), context.get_world_size()
    load, steps = one.load(worker, workers), WARM_UP + one.steps
    learner = Learner(one.config, workers=workers, steps=steps, threads=settings["cpus"], gpu=False)
    ends = _taken(stream(load, first=0, last=steps + READ_AHEAD), steps, lambda batch: learner.train(*batch))
    if not worker:
        settings["ends"].write_text(json.dumps(ends))


def _alone(one: Training) -> list[float]:
    with engine("local", cpus=one.cores + 1, verbose=one.verbose):
        steps = WARM_UP + max(LEAST_ALONE, one.steps)
        return _taken(stream(one.load(0, 1), first=0, last=steps), steps, lambda batch: None)


def _taken(
    loaded: Iterable[tuple[Step, tuple[np.ndarray, ...]]],
    steps: int,
    take: Callable[[tuple[np.ndarray, ...]], object],
) -> list[float]:
    """The times at which the first `steps` steps ended, when `take` is called with every batch."""
    ends: list[float] = []
    for _, batch in loaded:
        take(batch)
        ends.append(time.monotonic())
        if len(ends) == steps:
            break
    return ends


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    cores, side, rates = result["machine"]["cores"], result["side"], result["pictures_per_s"]
    steady = {
        f"{FIT}, {cores} threads": rates[FIT],
        f"{ONE}, {cores} CPUs": rates[ONE],
        f"{TWO}, {max(1, cores // 2)} CPU each": rates[TWO],
        f"{ALONE}, {cores} threads": rates[ALONE],
    }
    ratios = {
        f"{ONE} / {FIT}": result["one_worker_to_fit"],
        f"{TWO} / {ONE}": result["two_workers_to_one"],
        f"{ALONE} / {ONE}": result["pictures_to_training"],
    }
    blocks = [
        f"{result['steps']} steps of {result['batch']} pictures, {side}×{side}, {result['rounds']} rounds, network "
        f"{result['preset']}\n{machine.lines(result['machine'])}",
        spread.table("steady state", "pictures/s", steady),
        spread.table("compared", "times", ratios, digits=3),
    ]
    return "\n\n".join(blocks)
