"""What `--versus` compares the pipeline with: how people first write such a job, with our functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from glasseg import formats
from glasseg.cutout import finished, picture
from glasseg.images import decoder
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags
from glasseg.model.folder import ModelFolder
from jobs.bench.process import lower
from jobs.heap import keep_freed
from jobs.whiten.order import Order
from jobs.whiten.worker import GROUP

RECIPE_BATCH: Final = 16
"""Photos per batch of the recipe: they are decoded, so larger batches would fill the object store."""


def recipe(order: Order, model: ModelFolder, actors: int) -> None:
    """Put the photos of `order.source` on white by Ray Data's recipe: `read_images`, then `map_batches` over actors.

    Ray must be connected. Each actor asks for half a CPU, since reading needs the other half of them.
    """
    import ray.data
    from ray.data import ActorPoolStrategy, DataContext

    DataContext.get_current().enable_progress_bars = False
    done = ray.data.read_images(order.source.uri, mode="RGB", include_paths=True, num_cpus=0.5).map_batches(
        Predictor,
        fn_constructor_args=(order, model),
        batch_size=RECIPE_BATCH,
        num_cpus=0.5,
        compute=ActorPoolStrategy(size=actors),
    )
    for _ in done.iter_rows():
        pass


class Predictor:
    """Called by Ray Data with batches of decoded images, the way its documentation shows it."""

    def __init__(self, order: Order, model: ModelFolder) -> None:
        self._order, self._segmenter = order, _segmenter(model)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        photos = [Photo(image, None, Tags(), ()) for image in batch["image"]]
        _whiten(self._order, self._segmenter, [PurePosixPath(path).name for path in batch["path"]], photos)
        return {"path": batch["path"]}


def pool(order: Order, model: ModelFolder, keys: Sequence[str], processes: int) -> None:
    """Put the photos called `keys` on white by a `multiprocessing.Pool`, a few at a time."""
    groups = [list(keys[first : first + GROUP]) for first in range(0, len(keys), GROUP)]
    with get_context("spawn").Pool(processes, _start, (model,)) as running:
        for _ in running.imap_unordered(partial(_whiten_group, order), groups):
            pass


_of_process: dict[str, Any] = {}
"""Where a process of the pool keeps its segmenter: a global, as in such scripts."""


def _start(model: ModelFolder) -> None:
    lower(verbose=False)
    _of_process["segmenter"] = _segmenter(model)


def _whiten_group(order: Order, keys: list[str]) -> None:
    photos = [decoder.decode(order.source.read(key)[0], max_pixels=order.max_pixels) for key in keys]
    _whiten(order, _of_process["segmenter"], keys, photos)


def _segmenter(model: ModelFolder) -> Any:
    import cv2

    from glasseg.model.segmenter import Segmenter

    keep_freed()
    cv2.setNumThreads(1)
    return Segmenter(model, threads=1)


def _whiten(order: Order, segmenter: Any, keys: Sequence[str], photos: Sequence[Photo]) -> None:
    """Put photos on white and write them one by one."""
    found = segmenter.segment([photo.on_white() for photo in photos])
    for key, photo, seen in zip(keys, photos, found, strict=True):
        made = picture.compose(photo, seen, segmenter.spec, order.look)
        sent = finished.finish(made, order.look, formats.format_of(key), order.quality, photo.tags)
        order.destination.write(key, sent.data)
