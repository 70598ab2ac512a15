"""One training worker's network, in step with the other workers': steps, averaged weights, predictions, state.

Data-parallel by tf.distribute: every worker holds the whole network and sees its share of each global batch.
"""

from __future__ import annotations

import functools
from typing import Any, Final, assert_never

import keras
import numpy as np
import tensorflow as tf

from glasseg.config import TrainConfig
from glasseg.model import losses, unet
from glasseg.model.segmenter import compute_policy, prepare_tensorflow

TOTALS: Final = ("loss", "photos", "both", "found", "truth", "scored")
"""What `train` and `predict` add up: losses, photos, and pixels that are found and true, found, true, scored."""

_LOSSES: Final = {"bce": losses.binary_cross_entropy, "bce_dice": losses.bce_dice}
_HEADS_WEIGHT: Final = 0.3
"""Weight of the loss of each head of deep supervision; that of the mask is 1."""


class Learner:
    """The network of one worker. Create it before anything else uses TensorFlow in the process.

    `steps`: training steps per epoch, for the learning rate; `threads` and `gpu` as for a `Segmenter`.
    """

    def __init__(self, config: TrainConfig, *, workers: int, steps: int, threads: int, gpu: bool) -> None:
        on_gpu = prepare_tensorflow(threads, gpu)
        mixed = config.precision == "mixed" and compute_policy(on_gpu) != "float32"
        keras.mixed_precision.set_global_policy("mixed_bfloat16" if mixed else "float32")
        keras.utils.set_random_seed(config.seed)  # all workers begin with the same weights
        self._config, self._loss = config, _LOSSES[config.loss]
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=_communication(on_gpu))
        with self._strategy.scope():
            self._network = unet.build(config.preset, synchronized=workers > 1)
            trained = unet.deeply_supervised(self._network) if config.deep_supervision else self._network
            self._trained = trained  # the network, with the heads that only training has, if any
            self._optimizer = _optimizer(config, steps)
            self._optimizer.build(self._trained.trainable_variables)
        self.averaged = unet.build(config.preset)
        self.averaged.set_weights(self._network.get_weights())
        # no autograph: there is nothing to translate, and it would leave files in the temporary folder
        graph = functools.partial(tf.function, autograph=False)
        self._step, self._total = graph(self._distributed_step), graph(self._distributed_total)
        self._average, self._judge = graph(self._averaging_step), graph(self._judging_step)

    def start_from(self, network: keras.Model) -> None:
        """Start from the weights of another network of the same preset."""
        for mine in (self._network, self.averaged):
            mine.set_weights(network.get_weights())

    def train(
        self, image: np.ndarray, coverage: np.ndarray, opening: np.ndarray, weight: np.ndarray, real: np.ndarray
    ) -> np.ndarray:
        """One step on this worker's k of the global batch; `TOTALS` over all workers, float64.

        `image` k×s×s×3, `coverage`, `opening` and `weight` k×s×s uint8, `real` k bool: the others never count.
        """
        totals = self._step(image, coverage, opening, weight, real)
        done = float(_array(self._optimizer.iterations))
        # early on, the average forgets the start quickly; without averaging only the newest weights count
        self._average(tf.constant(max(1 - self._config.averaging, 1 / done), tf.float32))
        return np.asarray(totals)

    def predict(
        self, image: np.ndarray, coverage: np.ndarray, weight: np.ndarray, real: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the averaged network as k×s×s uint8 (255 is 1), and this worker's `TOTALS`; see `train`."""
        probability, totals = self._judge(image, coverage, weight, real)
        return np.asarray(probability), np.asarray(totals)

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.learning_rate)

    def total(self, vector: np.ndarray) -> np.ndarray:
        """The sum of all workers' `vector`, float64; all must call this."""
        return np.asarray(self._total(tf.constant(vector, tf.float64)))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that training resumes from."""
        return {f"{name}-{i:04}": _array(v) for name, i, v in self._variables()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Resume from what `state` returned, on any number of workers."""
        for name, i, variable in self._variables():
            variable.assign(state[f"{name}-{i:04}"])

    def _variables(self) -> list[tuple[str, int, Any]]:
        parts = {"network": self._trained, "averaged": self.averaged, "optimizer": self._optimizer}
        return [(name, i, v) for name, part in parts.items() for i, v in enumerate(part.variables)]

    def _distributed_step(self, *batch: Any) -> Any:
        return self._strategy.run(self._replica_step, args=batch)

    def _replica_step(self, image: Any, coverage: Any, opening: Any, weight: Any, real: Any) -> Any:
        context = tf.distribute.get_replica_context()
        opening = _share(opening)
        coverage, weight, real = _floats(coverage, weight, real)
        with tf.GradientTape() as tape:
            outputs = self._trained(tf.cast(image, tf.float32), training=True)
            probability, *heads = outputs if self._config.deep_supervision else [outputs]
            each = self._loss(coverage, probability, weight) * real
            taught = [losses.coarse(coverage, opening, weight, head) * real for head in heads]
            total = tf.reduce_sum(each) + _HEADS_WEIGHT * sum(tf.reduce_sum(head) for head in taught)
            loss = total / self._config.batch  # the global batch: gradients are summed over workers
        variables = self._trained.trainable_variables
        gradients = tape.gradient(loss, variables)
        if self._config.clip_norm:
            # clipped by the norm of the whole gradient, or the number of workers would matter; keras sums again
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            gradients, _ = tf.clip_by_global_norm(gradients, self._config.clip_norm)
            gradients = [gradient / context.num_replicas_in_sync for gradient in gradients]
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, _totals(each, real, coverage, probability, weight))

    def _distributed_total(self, vector: Any) -> Any:
        def total(vector: Any) -> Any:
            here = tf.identity(vector)  # on one of this replica's devices, as all_reduce requires
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

        return self._strategy.run(total, args=(vector,))

    def _averaging_step(self, share: Any) -> None:
        for mean, value in zip(self.averaged.variables, self._network.variables, strict=True):
            if mean.dtype.startswith("float"):
                mean.assign(mean + share * (tf.convert_to_tensor(value.value) - mean))

    def _judging_step(self, image: Any, coverage: Any, weight: Any, real: Any) -> tuple[Any, Any]:
        coverage, weight, real = _floats(coverage, weight, real)
        image = tf.cast(image, tf.float32)
        # without the mirror image that inference may use: it takes twice the time and does not change the ranking
        probability = self.averaged(image, training=False)
        each = self._loss(coverage, probability, weight) * real
        levels = tf.cast(tf.round(probability[..., 0] * 255), tf.uint8)
        return levels, _totals(each, real, coverage, probability, weight)


def _communication(on_gpu: bool) -> Any:
    """How workers sum their gradients: NCCL between GPUs, rings of gRPC between CPUs."""
    ways = tf.distribute.experimental.CommunicationImplementation
    return tf.distribute.experimental.CommunicationOptions(implementation=ways.NCCL if on_gpu else ways.RING)


def _array(variable: Any) -> np.ndarray:
    """The value of a keras variable, even if tf.distribute has wrapped it."""
    return np.asarray(tf.convert_to_tensor(variable.value))


def _floats(coverage: Any, weight: Any, real: Any) -> tuple[Any, Any, Any]:
    """Coverage and weight as k×s×s×1 float32 in [0, 1], `real` as k float32; what is not real has weight 0."""
    real = tf.cast(real, tf.float32)
    return _share(coverage), _share(weight) * real[:, None, None, None], real


def _share(levels: Any) -> Any:
    """k×s×s uint8 as k×s×s×1 float32 in [0, 1]."""
    return tf.cast(levels, tf.float32)[..., None] / 255


def _totals(each: Any, real: Any, coverage: Any, probability: Any, weight: Any) -> Any:
    scored = weight > 0
    found, truth = (scored & (value >= 0.5) for value in (probability, coverage))
    pixels = (tf.math.count_nonzero(mask, dtype=tf.float64) for mask in (found & truth, found, truth, scored))
    return tf.stack([*(tf.cast(tf.reduce_sum(v), tf.float64) for v in (each, real)), *pixels])


class Rate(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises over `warmup` steps, stays, and falls to zero over the last `cooldown` of `steps`.

    A run can continue indefinitely and be cooled down from any point: the rate falls as 1 - √share, after A. Hägele et
    al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations", 2024.
    """

    def __init__(self, highest: float, *, steps: int, warmup: int, cooldown: int) -> None:
        self._highest, self._steps, self._warmup, self._cooldown = highest, steps, warmup, cooldown

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1) / (self._warmup + 1), 1.0)
        fallen = tf.clip_by_value((done - (self._steps - self._cooldown)) / max(self._cooldown, 1), 0.0, 1.0)
        return self._highest * rise * (1 - tf.sqrt(fallen))


def _optimizer(config: TrainConfig, steps: int) -> keras.Optimizer:
    """The optimizer of a run with `steps` training steps per epoch."""
    cooldown = min(config.cooldown, config.epochs) * steps
    rate = Rate(config.learning_rate, steps=config.epochs * steps, warmup=config.warmup_steps, cooldown=cooldown)
    match config.optimizer:
        case "adamw":
            return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)
        case "adam":
            return keras.optimizers.Adam(rate)
        case _:
            assert_never(config.optimizer)
