"""Photos in, probability of glasses at photo size out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from glasseg.config import SIDE_MULTIPLE
from glasseg.model import turns
from glasseg.model.folder import ModelFolder
from glasseg.model.letterbox import Letterbox, halved, letterbox, unletterbox

BATCH: Final = 4
"""Photos that are best segmented together."""
_CALL: Final = 2
"""Frames per network call on a CPU: larger calls are no faster there, calls of one take up to 1.7 times as long.

Always this many of one shape, padded, so that a photo gives the same bytes alone and at any place.
"""
_GPU_CALL: Final = 4
"""The same on a GPU."""

_FOUND: Final = 0.3
"""Probability from which a pixel belongs inside the second pass's crop; low, to include faint temples."""
_MARGIN: Final = 0.08
_WORTHWHILE: Final = 0.8
"""Largest share of the photo's longest side for which a crop is worth a second pass: more would show the same."""


@dataclass(frozen=True)
class Segmentation:
    """The network's result for one photo."""

    probability: np.ndarray
    """Probability of glasses at photo size: H×W float32 in [0, 1]."""
    agreement: float | None
    """Soft IoU, [0, 1], of the first of two passes with `probability`; None if there was only one."""
    sideways: bool = False
    """Whether the photo seems to be stored sideways; `probability` lies as the photo does all the same."""


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
        self._call = _GPU_CALL if on_gpu else _CALL
        weights, others = (
            [np.asarray(one) for one in of] for of in (network.trainable_variables, network.non_trainable_variables)
        )

        def run(frames: Any) -> Any:
            constant = [tf.constant(one) for one in weights]  # so that TensorFlow prepares them once, not at every call
            found, _ = network.stateless_call(
                constant, [tf.constant(one) for one in others], tf.cast(frames, tf.float32), training=False
            )
            return found[..., 0]

        # no autograph: there is nothing to translate, and it would leave files in the temporary folder; one signature:
        # all shapes share a graph, since tracing delays the start of a worker
        frames = tf.TensorSpec([self._call, None, None, 3], tf.uint8)
        self._run = tf.function(run, autograph=False, input_signature=[frames])
        side = self._first_side
        self._network([np.zeros((side, side, 3), np.uint8)])  # compiles, so that the first photo need not wait

    @property
    def _first_side(self) -> int:
        """Longer side of the frame in the first pass; the first of two only finds the glasses, and can be coarser."""
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
        first = turns.shape(seen.probability, self.spec.threshold)
        if not first.doubted:
            return seen
        again = self._as_stored([turns.turned(image, quarters) for quarters in turns.QUARTERS])
        shapes = [turns.shape(one.probability, self.spec.threshold) for one in again]
        best = max(range(len(again)), key=lambda i: shapes[i].sureness)
        if not shapes[best].surer_than(first):
            return replace(seen, sideways=first.tall)
        probability = turns.turned(again[best].probability, -turns.QUARTERS[best])
        return Segmentation(probability, again[best].agreement, sideways=True)

    def _group(self, images: list[np.ndarray]) -> list[Segmentation]:
        coarse = self._first_pass(images) if self.spec.passes == 2 else [None] * len(images)
        crops = [None if seen is None else _crop(*seen) for seen in coarse]
        parts = [image if crop is None else image[crop] for image, crop in zip(images, crops, strict=True)]
        boxed = [self._frame(part, self.spec.input_side) for part in parts]
        maps = self._maps([frame for frame, _ in boxed])
        placed = [
            _placed(unletterbox(map, box), crop, image.shape[:2])
            for image, crop, map, (_, box) in zip(images, crops, maps, boxed, strict=True)
        ]
        return [
            Segmentation(p, None if seen is None else _agreement(*seen, p))
            for p, seen in zip(placed, coarse, strict=True)
        ]

    def _first_pass(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, Letterbox]]:
        """The first pass over each photo: its map, float32, and how the photo lies in it."""
        boxed = [self._frame(image, self._first_side) for image in images]
        maps = self._network([frame for frame, _ in boxed])
        return [(map, box) for map, (_, box) in zip(maps, boxed, strict=True)]

    def _frame(self, image: np.ndarray, side: int) -> tuple[np.ndarray, Letterbox]:
        if self.spec.resize == "letterbox":
            return letterbox(image, side, SIDE_MULTIPLE)
        shrinks = side < max(image.shape[:2])
        square = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return square, Letterbox((image.shape[0], image.shape[1]), (side, side), (side, side), 0, 0)

    def _maps(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """The maps of some frames, as `_network` gives them; if asked for, the mean of a frame and its mirror image."""
        if not self.spec.mirror:
            return self._network(frames)
        maps = self._network([image for frame in frames for image in (frame, frame[:, ::-1])])
        return [(map + other[:, ::-1]) / 2 for map, other in zip(maps[::2], maps[1::2], strict=True)]

    def _network(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """The map, h×w float32, of each frame, h×w×3 uint8; frames of one shape share calls."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for number, frame in enumerate(frames):
            alike.setdefault(frame.shape, []).append(number)
        maps: dict[int, np.ndarray] = {}
        for shape, numbers in alike.items():
            for first in range(0, len(numbers), self._call):
                some = numbers[first : first + self._call]
                batch = np.zeros((self._call, *shape), np.uint8)
                batch[: len(some)] = [frames[number] for number in some]
                maps |= zip(some, self._run(batch).numpy(), strict=False)
        return [maps[number] for number in range(len(frames))]


def _placed(part: np.ndarray, crop: tuple[slice, slice] | None, size: tuple[int, ...]) -> np.ndarray:
    """The map of a photo's crop placed in the photo, H×W float32, 0 around it."""
    if crop is None:
        return part
    whole = np.zeros(size, np.float32)
    whole[crop] = part
    return whole


def _agreement(map: np.ndarray, box: Letterbox, probability: np.ndarray) -> float:
    """Soft IoU, [0, 1], of a pass's map (float32) with the final probability (H×W float32), at the pass's
    size; 1 if both see nothing."""
    height, width = box.inner
    seen = map[box.top : box.top + height, box.left : box.left + width]
    last = cv2.resize(halved(probability, box.inner), (width, height), interpolation=cv2.INTER_LINEAR)
    either = float(np.maximum(seen, last).sum())
    return float(np.minimum(seen, last).sum()) / either if either else 1.0


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
