"""Photos in, probability of glasses at photo size out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from glasseg.config import SIDE_MULTIPLE
from glasseg.images.window import Window
from glasseg.model import turns
from glasseg.model.folder import ModelFolder
from glasseg.model.islands import decided
from glasseg.model.letterbox import Letterbox, letterbox
from glasseg.model.segmentation import Segmentation

_ROOM: Final = 16
"""Rows or columns on both sides of a frame, at least, that repeat the edge, as far as the square that the network
learned on has them …"""
_FIRST_ROOM: Final = 32
"""… and in the first of two passes, which decides on the crop: with less it loses some of several pairs."""

_FOUND: Final = 0.3
"""Probability from which a pixel belongs inside the second pass's crop; low, to include faint temples."""
_MARGIN: Final = 0.08
_WORTHWHILE: Final = 0.8
"""Largest share of the photo's longest side for which a crop is worth a second pass: more would show the same."""
_DOUBTED: Final = 0.16
"""How undecided a map is, as a share of what was found, from which on the mirror image is looked at as well.

Of 79 shop photos and 150 composites two in three are; the others gain nothing from it (strict IoU).
"""


class Segmenter:
    """A network ready to run: one per process, called from one thread.

    `threads` fixes TensorFlow's threads, so that a photo gives the same bytes whatever else runs. TensorFlow accepts it
    once per process, before its first operation (RuntimeError for another number later). `gpu`: whether to use one.
    """

    def __init__(self, model: ModelFolder, threads: int, gpu: bool = False) -> None:
        import keras  # noqa: PLC0415
        import tensorflow as tf  # noqa: PLC0415

        from glasseg.model import unet  # noqa: PLC0415

        on_gpu = prepare_tensorflow(threads, gpu)
        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy(compute_policy(on_gpu))
        try:
            network = unet.folded(model.network())
        finally:
            keras.mixed_precision.set_dtype_policy(before)
        self.spec = model.spec
        weights, others = (
            [np.asarray(one) for one in of] for of in (network.trainable_variables, network.non_trainable_variables)
        )

        def run(frames: Any) -> Any:
            # constants, which TensorFlow converts once and not at every call
            constants = [[tf.constant(one) for one in of] for of in (weights, others)]
            found, _ = network.stateless_call(*constants, tf.cast(frames, tf.float32), training=False)
            return found[..., 0]

        # no autograph: there is nothing to translate, and it would leave files in the temporary folder; one signature:
        # all shapes share a graph, since tracing delays the start of a worker; one frame a call: several are no faster
        # on a CPU, and an unknown number of them takes up to sixteen times as long
        self._run = tf.function(run, autograph=False, input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        # compiles, so that the first photo need not wait
        self._map(np.zeros((SIDE_MULTIPLE, SIDE_MULTIPLE, 3), np.uint8))

    @property
    def _first_side(self) -> int:
        """Longer side of the frame in the first pass; the first of two only finds the glasses, and can be coarser."""
        side = self.spec.input_side
        if self.spec.passes == 1:
            return side
        return self.spec.first_side or max(1, side * 3 // 4 // SIDE_MULTIPLE) * SIDE_MULTIPLE

    def segment(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        """The segmentation of each H×W×3 uint8 RGB photo, which may be stored sideways."""
        found = (self._in_best_turn(image, self._look(image)) for image in images)
        return [replace(seen, map=decided(seen.map, self.spec.threshold, self.spec.ramp)) for seen in found]

    def _in_best_turn(self, image: np.ndarray, seen: Segmentation) -> Segmentation:
        """What is seen in a photo, or in the photo turned by a quarter where the network is surer of that."""
        first = seen.shape(self.spec.threshold)
        if not first.doubted:
            return seen
        again = [self._look(turns.turned(image, quarters)) for quarters in turns.QUARTERS]
        shapes = [one.shape(self.spec.threshold) for one in again]
        best = max(range(len(again)), key=lambda i: shapes[i].sureness)
        if not shapes[best].surer_than(first):
            return replace(seen, sideways=first.tall)
        return replace(again[best], quarters=turns.QUARTERS[best], sideways=True)

    def _look(self, image: np.ndarray) -> Segmentation:
        """What is seen in a photo as it is stored, in one pass over it or two."""
        first = self._first_pass(image) if self.spec.passes == 2 else None
        crop = _crop(*first) if first else None
        window = Window(*crop, (image.shape[0], image.shape[1])) if crop else Window.whole(image.shape)
        frame, box = self._frame(window.of(image), self.spec.input_side, _ROOM)
        map = self._map(frame)
        if self.spec.mirror and _undecided(map, self.spec.threshold) > _DOUBTED:
            map = (map + self._map(frame[:, ::-1])[:, ::-1]) / 2
        return Segmentation(map, box, window, first)

    def _first_pass(self, image: np.ndarray) -> tuple[np.ndarray, Letterbox]:
        """The first of two passes over a photo: its map, float32, and how the photo lies in it."""
        frame, box = self._frame(image, self._first_side, _FIRST_ROOM)
        return self._map(frame), box

    def _frame(self, image: np.ndarray, side: int, room: int) -> tuple[np.ndarray, Letterbox]:
        if self.spec.resize == "letterbox":
            return letterbox(image, side, SIDE_MULTIPLE, room)
        shrinks = side < max(image.shape[:2])
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return small, Letterbox((image.shape[0], image.shape[1]), (side, side), (side, side), 0, 0)

    def _map(self, frame: np.ndarray) -> np.ndarray:
        """The network's map, h×w float32 in [0, 1], of a frame, h×w×3 uint8 RGB."""
        found: np.ndarray = self._run(frame[None]).numpy()
        return found[0]


def _undecided(map: np.ndarray, threshold: float) -> float:
    """How far a map (float32, [0, 1]) is from 0 and 1, summed, as a share of the pixels above `threshold`."""
    return float((1 - np.abs(2 * map - 1)).sum() / (np.count_nonzero(map > threshold) + 1))


def _crop(map: np.ndarray, box: Letterbox) -> tuple[slice, slice] | None:
    """The part of the photo for the second pass, as (rows, columns); None when a crop would show nearly all of it.

    `map`: float32 in [0, 1], of the frame that `box` describes. The crop is never empty.
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
