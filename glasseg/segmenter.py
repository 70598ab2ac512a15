"""Photos in, probability of glasses at photo size out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from glasseg.images import Letterbox, letterbox, unletterbox
from glasseg.modelfolder import ModelFolder

BATCH: Final = 8
"""Photos per network call. Always this many, padded: then a photo gives the same bytes alone and at any place."""

_FOUND: Final = 0.3
"""Probability from which a pixel counts for the crop of the second look; low, so that faint temples stay inside."""
_MARGIN: Final = 0.08
_WORTHWHILE: Final = 0.8
"""Largest share of the photo's longest side that a second look's crop may have: more would show the same pixels."""


class Segmenter:
    """A network ready to run: one per process, called from one thread.

    `threads` fixes TensorFlow's threads, so that a photo gives the same bytes whatever else runs; TensorFlow takes it
    once per process, before its first operation (RuntimeError for another number later).
    """

    def __init__(self, model: ModelFolder, threads: int, gpu: bool = False) -> None:
        import keras  # noqa: PLC0415
        import tensorflow as tf  # noqa: PLC0415

        on_gpu = prepare_tensorflow(threads, gpu)
        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy(compute_policy(on_gpu))
        try:
            network = model.network()
        finally:
            keras.mixed_precision.set_dtype_policy(before)
        self.spec = model.spec
        side = model.spec.input_side
        signature = tf.TensorSpec((BATCH, side, side, 3), tf.uint8)
        self._run = tf.function(
            lambda squares: network(tf.cast(squares, tf.float32), training=False)[..., 0], input_signature=[signature]
        )
        self._squares = np.zeros((BATCH, side, side, 3), np.uint8)
        self._network(list(self._squares[:1]))  # compiles, so that the first photo does not wait

    def probabilities(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The probability of glasses, H×W float32 in [0, 1], of each H×W×3 uint8 RGB photo."""
        found = []
        for first in range(0, len(images), BATCH):
            found += self._group(list(images[first : first + BATCH]))
        return found

    def _group(self, images: list[np.ndarray]) -> list[np.ndarray]:
        boxed = [self._square(image) for image in images]
        maps = self._network([square for square, _ in boxed])
        crops = [_crop(map, box) if self.spec.looks == 2 else None for map, (_, box) in zip(maps, boxed, strict=True)]
        looked = [i for i, crop in enumerate(crops) if crop is not None]
        second = [self._square(images[i][crops[i]]) for i in looked]
        nearer = self._network([square for square, _ in second])
        found = [
            unletterbox(map, box) if crop is None else np.zeros(box.size, np.float32)
            for map, (_, box), crop in zip(maps, boxed, crops, strict=True)
        ]
        for i, map, (_, box) in zip(looked, nearer, second, strict=True):
            found[i][crops[i]] = unletterbox(map, box)
        return found

    def _square(self, image: np.ndarray) -> tuple[np.ndarray, Letterbox]:
        side = self.spec.input_side
        if self.spec.resize == "letterbox":
            return letterbox(image, side)
        shrinks = side < max(image.shape[:2])
        square = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return square, Letterbox((image.shape[0], image.shape[1]), side, (side, side), 0, 0)

    def _network(self, squares: list[np.ndarray]) -> np.ndarray:
        """The maps, n×side×side float32, of up to `BATCH` squares (side×side×3 uint8)."""
        if not squares:
            return np.empty((0, *self._squares.shape[1:3]), np.float32)
        self._squares[: len(squares)] = squares
        self._squares[len(squares) :] = 0
        maps = self._run(self._squares).numpy()
        if self.spec.mirror:
            mirrored = self._run(self._squares[:, :, ::-1]).numpy()
            maps = (maps + mirrored[:, :, ::-1]) / 2
        return maps[: len(squares)]


def _crop(map: np.ndarray, box: Letterbox) -> tuple[slice, slice] | None:
    """Where the photo is worth a second look, as (rows, columns) of the photo; None when the crop would show it all.

    `map`: side×side float32 [0, 1] of the square that `box` describes. The crop is never empty.
    """
    height, width = box.inner
    inner = map[box.top : box.top + height, box.left : box.left + width]
    x, y, w, h = cv2.boundingRect((inner > _FOUND).astype(np.uint8))
    margin = _MARGIN * max(w, h) + 2
    if not w or max(w, h) + 2 * margin > _WORTHWHILE * max(height, width):
        return None
    rows, columns = ((y - margin, y + h + margin), (x - margin, x + w + margin))
    return _widened(*rows, box.size[0] / height, box.size[0]), _widened(*columns, box.size[1] / width, box.size[1])


def _widened(start: float, stop: float, scale: float, length: int) -> slice:
    """The photo's whole pixels, of `length`, that model pixels [start, stop) touch."""
    return slice(math.floor(max(start, 0) * scale), min(length, math.ceil(stop * scale)))


def prepare_tensorflow(threads: int, gpu: bool) -> bool:
    """Fix TensorFlow's threads, and its GPUs if `gpu`; whether one will be used. RuntimeError when it is too late."""
    import tensorflow as tf  # noqa: PLC0415

    _limit_threads(tf, threads)
    return _choose_gpus(tf, gpu)


def _choose_gpus(tf: Any, gpu: bool) -> bool:
    """Hide the GPUs from a worker that was given none, let the others share theirs; whether one will be used."""
    if not gpu:
        tf.config.set_visible_devices([], "GPU")
        return False
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)  # else the first worker takes all of its memory
    return bool(devices)


def _limit_threads(tf: Any, threads: int) -> None:
    wanted = {"inter": 1, "intra": threads}
    for name, value in wanted.items():
        if getattr(tf.config.threading, f"get_{name}_op_parallelism_threads")() != value:
            getattr(tf.config.threading, f"set_{name}_op_parallelism_threads")(value)


def compute_policy(on_gpu: bool) -> str:
    """Keras dtype policy for inference: half precision where the hardware has it, float32 elsewhere."""
    if on_gpu:
        return "mixed_float16"
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return "mixed_bfloat16" if "avx512_bf16" in flags else "float32"
