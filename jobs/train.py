"""`glasseg train`: a Ray Train job that fits the U-Net on composites and labelled photos."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from glasseg.config import TrainConfig
from glasseg.errors import GlassegError
from jobs.engine import engine
from jobs.report import say

LOG = "log.jsonl"
"""One line per validation, in the model folder."""


def train(
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    start_from: str | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> None:
    """Fit `config.preset` on the labelled photos of `data` (see `pairs.read_index`) and write a model folder to `out`.

    `start_from` is a model folder whose weights are the start. Raises GlassegError for unusable data or a used `out`.
    """
    from glasseg import modelfolder, pairs

    if (out / modelfolder.SPEC_NAME).exists() and not overwrite:
        raise GlassegError(f"{out} already holds a model: choose another folder, or add --overwrite")
    index = pairs.read_index(data)
    for split in ("train", "validation"):
        if not any(p.split == split and p.kind != "scene" for p in index.pairs):
            raise GlassegError(f"{data / 'index.csv'} lists no product or cutout with split {split}")
    if start_from:
        modelfolder.load(start_from)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LOG).unlink(missing_ok=True)
    except OSError as error:
        raise GlassegError(f"can't write to {out}: {error.strerror}") from error
    say(f"Training {config.preset} on {data} for {config.minutes:g} minutes, into {out}")
    settings = {"data": str(data.resolve()), "out": str(out.resolve()), "start_from": start_from, **asdict(config)}
    with (
        engine("local", cpus=config.cpus + 1, verbose=verbose),
        _followed(out / LOG),
    ):  # one CPU for Ray Train's controller
        _run(settings, config.cpus)


def _run(settings: dict[str, Any], cpus: int) -> None:
    """One Ray Train run of `fit`, with one worker; what Ray keeps about it goes with the block.

    Raises the GlassegError that the worker raised.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.tensorflow import TensorflowTrainer
    from ray.train.v2.api.exceptions import WorkerGroupError

    with TemporaryDirectory() as records:
        trainer = TensorflowTrainer(
            fit,
            train_loop_config=settings,
            scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": cpus}),
            run_config=RunConfig(name="train", storage_path=records),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            for cause in error.worker_failures.values():
                told = getattr(cause, "cause", cause)
                if isinstance(told, GlassegError):
                    raise told from error
            raise


@contextmanager
def _followed(log: Path) -> Iterator[None]:
    """Show the lines of `log` on the screen as the worker writes them."""
    ended = Event()

    def follow() -> None:
        shown = 0
        while True:
            last = ended.wait(1)  # before reading, so that the last lines are read too
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
            for line in lines[shown:]:
                say("  " + ", ".join(f"{name} {value}" for name, value in json.loads(line).items()))
            shown = len(lines)
            if last:
                return

    follower = Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def fit(settings: dict[str, Any]) -> None:
    """The loop of one Ray Train worker: train until the minutes are over, keep the best averaged weights in `out`."""
    import cv2
    import keras
    import ray.train

    from glasseg import modelfolder, pairs, stock, unet

    data, out, start_from = Path(settings.pop("data")), Path(settings.pop("out")), settings.pop("start_from")
    config = TrainConfig(**settings)
    cv2.setNumThreads(1)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    keras.utils.set_random_seed(config.seed)
    network, averaged = unet.build(config.preset), unet.build(config.preset)
    if start_from:
        network.set_weights(modelfolder.load(start_from).network().get_weights())
    averaged.set_weights(network.get_weights())
    optimizer = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=5.0)
    step = _step(network, averaged, optimizer, config.averaging)

    index, side = pairs.read_index(data), network.input_shape[1]
    material = stock.load_stock(index, "train", config.drawn)
    batches = _batches(material, config, side)
    validation = validation_set(stock.load_stock(index, "validation"), config.validation_photos, side)
    about = {**asdict(config), "data": data.name, "trained_on": _counts(material), "started_from": bool(start_from)}
    best, began, validated, losses = -1.0, time.monotonic(), time.monotonic(), []
    for number, batch in zip(count(1), batches, strict=False):
        elapsed = (time.monotonic() - began) / 60 / config.minutes
        optimizer.learning_rate.assign(_learning_rate(config, number, elapsed))
        losses.append(float(step(*batch)))
        if elapsed < 1 and time.monotonic() - validated < config.validate_minutes * 60:
            continue
        progress = {"step": number, "photos": number * config.batch, "minutes": round(elapsed * config.minutes, 1)}
        row = {**progress, "loss": round(sum(losses) / len(losses), 4), **_validate(averaged, validation)}
        if row["iou"] > best:
            best = row["iou"]
            modelfolder.save(
                out, averaged, resize="letterbox", looks=1, mirror=True,
                threshold=row["threshold"], ramp=row["ramp"], training={**about, **row},
            )  # fmt: skip
        with (out / LOG).open("a", encoding="utf-8") as log:
            print(json.dumps(row), file=log)
        ray.train.report(row)
        losses, validated = [], time.monotonic()
        if elapsed >= 1:
            return


def _learning_rate(config: TrainConfig, number: int, elapsed: float) -> float:
    """Up in the first steps, then down along a cosine of the time that has elapsed (0 to 1), never quite to 0."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed)))
    return config.learning_rate * min(1.0, number / config.warmup_steps) * max(0.005, cosine)


def _counts(material: Any) -> dict[str, int]:
    """How many things of each kind training pictures are made of."""
    return {
        "products_and_cutouts": sum(len(layers) for layers in material.layers),
        "labelled_photos": len(material.scenes),
        "drawn_photos": len(material.drawn),
        "backgrounds": len(material.backgrounds),
    }


def _validate(network: Any, validation: Any) -> dict[str, float]:
    """Threshold and ramp that suit the network best, and its mean IoU with them."""
    probability = predict(network, validation.image)
    threshold, ramp = fit_alpha(probability, validation.coverage)
    iou = mean_iou(probability >= threshold, validation.coverage)
    return {"iou": round(iou, 4), "threshold": threshold, "ramp": ramp}


def _step(network: Any, averaged: Any, optimizer: Any, momentum: float) -> Any:
    """One compiled training step: (image, coverage, weight) → loss; moves the averaged weights as well."""
    import tensorflow as tf

    from glasseg.losses import bce_dice

    optimizer.build(network.trainable_variables)
    done = tf.Variable(0.0)

    @tf.function
    def step(image: Any, coverage: Any, weight: Any) -> Any:
        coverage, weight = (tf.cast(v, tf.float32)[..., None] / 255 for v in (coverage, weight))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(bce_dice(coverage, network(tf.cast(image, tf.float32), training=True), weight))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        done.assign_add(1.0)
        share = tf.maximum(1.0 - momentum, 1.0 / done)  # young averages forget the start quickly
        for mean, value in zip(averaged.variables, network.variables, strict=True):
            if mean.dtype.startswith("float"):
                mean.assign(mean + share * (value - mean))
        return loss

    return step


def _batches(stock: Any, config: TrainConfig, side: int) -> Iterator[tuple[Any, Any, Any]]:
    """Endless training batches, made a few ahead by threads; picture i of a seed is always the same."""
    import numpy as np

    from glasseg.composites import make_sample

    def make(number: int) -> tuple[Any, Any, Any]:
        first = number * config.batch
        samples = [
            make_sample(stock, np.random.default_rng([config.seed, first + i]), side) for i in range(config.batch)
        ]
        return tuple(np.stack([getattr(s, name) for s in samples]) for name in ("image", "coverage", "weight"))  # type: ignore[return-value]

    with ThreadPoolExecutor(config.cpus) as pool:
        ahead = [pool.submit(make, i) for i in range(config.cpus * 2)]
        for number in count(len(ahead)):
            yield ahead.pop(0).result()
            ahead.append(pool.submit(make, number))


def validation_set(stock: Any, photos: int, side: int) -> Any:
    """A fixed set of composites as one stacked Sample: the same pictures in every run."""
    import numpy as np

    from glasseg.backdrops import KINDS
    from glasseg.composites import Sample, composite

    samples = [composite(stock, np.random.default_rng([1, i]), side, KINDS[i % len(KINDS)]) for i in range(photos)]
    return Sample(*(np.stack([getattr(s, name) for s in samples]) for name in ("image", "coverage", "weight")))


def predict(network: Any, images: Any, batch: int = 16) -> Any:
    """Probabilities N×s×s float32 of N×s×s×3 uint8 pictures, the mean over each and its mirror image."""
    import numpy as np
    import tensorflow as tf

    run = tf.function(partial(network, training=False))
    both = [
        [run(tf.cast(view[i : i + batch], tf.float32)).numpy()[..., 0] for i in range(0, len(images), batch)]
        for view in (images, images[:, :, ::-1])
    ]
    straight, mirrored = (np.concatenate(parts) for parts in both)
    return (straight + mirrored[:, :, ::-1]) / 2


def mean_iou(found: Any, coverage: Any) -> float:
    """Mean over photos of the strict IoU of N×s×s bool against N×s×s uint8 coverage."""
    import numpy as np

    truth = coverage >= 128
    both = np.count_nonzero(found & truth, axis=(1, 2))
    either = np.count_nonzero(found | truth, axis=(1, 2))
    return float(np.mean(np.where(either > 0, both / np.maximum(either, 1), 1.0)))


def fit_alpha(probability: Any, coverage: Any) -> tuple[float, float]:
    """Threshold with the best mean IoU, then the ramp with the least mean absolute error of alpha."""
    import numpy as np

    threshold = max((mean_iou(probability >= t, coverage), t) for t in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6))[1]
    truth = coverage.astype(np.float32) / 255

    def error(ramp: float) -> float:
        return float(np.abs(np.clip((probability - threshold) / ramp + 0.5, 0, 1) - truth).mean())

    return threshold, min((0.3, 0.4, 0.5, 0.6, 0.7, 0.8), key=error)
