"""Photos in, probability of glasses at photo size out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from glasseg.images.window import Window
from glasseg.model import turns
from glasseg.model.folder import ModelFolder
from glasseg.model.letterbox import Letterbox, letterbox
from glasseg.model.segmentation import Segmentation

BATCH: Final = 4
"""Photos per network call. Always this many, padded, so that a photo gives the same bytes alone and at any place.

Few, because the last call of a run is padded; calls of 8 are no faster on a CPU.
"""

_FOUND: Final = 0.3
"""Probability from which a pixel belongs inside the second pass's crop; low, to include faint temples."""
_MARGIN: Final = 0.08
_WORTHWHILE: Final = 0.8
"""Largest share of the photo's longest side for which a crop is worth a second pass: more would show the same."""


class Segmenter:
    """A network ready to run: one per process, called from one thread.

    `threads` fixes TensorFlow's threads, so that a photo gives the same bytes whatever else runs. TensorFlow accepts it
    once per process, before its first operation (RuntimeError for another number later). `gpu`: whether to use one.
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
        # no autograph: there is nothing to translate, and it would leave files in the temporary folder; one signature:
        # both passes share a graph, since tracing delays the start of a worker
        self._run = tf.function(
            lambda squares: network(tf.cast(squares, tf.float32), training=False)[..., 0],
            autograph=False,
            input_signature=[tf.TensorSpec([BATCH, None, None, 3], tf.uint8)],
        )
        side = self._first_side
        self._network([np.zeros((side, side, 3), np.uint8)])  # compiles, so that the first photo need not wait

    @property
    def _first_side(self) -> int:
        """Side of the square in the first pass; the first of two only finds the glasses, and can be coarser."""
        side = self.spec.input_side
        return (self.spec.first_side or side * 3 // 4) if self.spec.passes == 2 else side

    def segment(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """The segmentation of each H×W×3 uint8 RGB photo, which may be stored sideways."""
        found = self._as_stored(images)
        return [self._in_best_turn(image, seen) for image, seen in zip(images, found, strict=True)]

    def _as_stored(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        found: list[Segmentation] = []
        for first in range(0, len(images), BATCH):
            found += self._group(list(images[first : first + BATCH]))
        return found

    def _in_best_turn(self, image: np.ndarray, seen: Segmentation) -> Segmentation:
        """What is seen in a photo, or in the photo turned by a quarter where the network is surer of that."""
        first = seen.shape(self.spec.threshold)
        if not first.doubted:
            return seen
        again = self._as_stored([turns.turned(image, quarters) for quarters in turns.QUARTERS])
        shapes = [one.shape(self.spec.threshold) for one in again]
        best = max(range(len(again)), key=lambda i: shapes[i].sureness)
        if not shapes[best].surer_than(first):
            return replace(seen, sideways=first.tall)
        return replace(again[best], quarters=turns.QUARTERS[best], sideways=True)

    def _group(self, images: list[np.ndarray]) -> list[Segmentation]:
        coarse = self._first_pass(images) if self.spec.passes == 2 else [None] * len(images)
        crops = [None if seen is None else _crop(*seen) for seen in coarse]
        parts = [image if crop is None else image[crop] for image, crop in zip(images, crops, strict=True)]
        boxed = [self._square(part, self.spec.input_side) for part in parts]
        maps = self._network([square for square, _ in boxed])
        if self.spec.mirror:
            mirrored = self._network([square[:, ::-1] for square, _ in boxed])
            maps = [(map + other[:, ::-1]) / 2 for map, other in zip(maps, mirrored, strict=True)]
        return [
            Segmentation(map, box, _window(crop, image), seen)
            for image, crop, map, (_, box), seen in zip(images, crops, maps, boxed, coarse, strict=True)
        ]

    def _first_pass(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, Letterbox]]:
        """The first pass over each photo: its map, side×side float32, and how the photo lies in it."""
        boxed = [self._square(image, self._first_side) for image in images]
        maps = self._network([square for square, _ in boxed])
        return [(map, box) for map, (_, box) in zip(maps, boxed, strict=True)]

    def _square(self, image: np.ndarray, side: int) -> tuple[np.ndarray, Letterbox]:
        if self.spec.resize == "letterbox":
            return letterbox(image, side)
        shrinks = side < max(image.shape[:2])
        square = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return square, Letterbox((image.shape[0], image.shape[1]), side, (side, side), 0, 0)

    def _network(self, squares: list[np.ndarray]) -> list[np.ndarray]:
        """The maps, side×side float32, of up to `BATCH` squares (side×side×3 uint8)."""
        if not squares:
            return []
        batch = np.zeros((BATCH, *squares[0].shape), np.uint8)
        batch[: len(squares)] = squares
        return list(self._run(batch).numpy()[: len(squares)])


def _window(crop: tuple[slice, slice] | None, image: np.ndarray) -> Window:
    """The part of an image that a crop shows; None for all of it."""
    return Window.whole(image.shape) if crop is None else Window(*crop, (image.shape[0], image.shape[1]))


def _crop(map: np.ndarray, box: Letterbox) -> tuple[slice, slice] | None:
    """The part of the photo for the second pass, as (rows, columns); None when a crop would show nearly all of it.

    `map`: side×side float32 in [0, 1], of the square that `box` describes. The crop is never empty.
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
    """The photo's pixels, of `length`, that model pixels [start, stop) touch, to multiples of 8, which shrink fast."""
    return slice(math.floor(max(start, 0) * scale / 8) * 8, min(length, math.ceil(stop * scale / 8) * 8))


def prepare_tensorflow(threads: int, gpu: bool) -> bool:
    """Fix TensorFlow's threads and whether it sees GPUs; whether one will be used. Raises RuntimeError if too late."""
    import tensorflow as tf  # noqa: PLC0415

    _limit_threads(tf, threads)
    return _choose_gpus(tf, gpu)


def _choose_gpus(tf: Any, gpu: bool) -> bool:
    """Hide the GPUs from a worker that was given none, let others share theirs; whether one will be used."""
    if not gpu:
        tf.config.set_visible_devices([], "GPU")
        return False
    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)  # otherwise the first worker takes all of its memory
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
