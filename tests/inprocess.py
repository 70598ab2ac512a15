"""Runs of `glasseg whiten` whose worker is in the tests' own process: for all that is not about Ray."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pyarrow as pa

from glasseg.catalog.writer import Writer
from glasseg.config import WhitenConfig
from glasseg.model.folder import ModelFolder
from glasseg.model.segmentation import Segmentation
from glasseg.model.segmenter import Segmenter
from jobs.whiten import run, stream, units
from jobs.whiten.executor import Executor, Workforce
from jobs.whiten.order import Orders
from jobs.whiten.stream import Rows
from jobs.whiten.worker import Whitener


@contextmanager
def in_process(
    orders: Orders, model: ModelFolder, work: pa.Table, writers: Sequence[Writer], workforce: Workforce
) -> Iterator[Iterator[Rows]]:
    """An `Executor`: the real worker with the real model, batch by batch; its test asks for `tensorflow` first."""
    with mock.patch("glasseg.model.segmenter.Segmenter", Remembering):
        worker = Whitener(pickle.loads(pickle.dumps(orders)), model)  # a copy, as in another process

    def rows() -> Iterator[Rows]:
        for batch in units.tables(work, stream.GROUP_PHOTOS):
            yield from stream.checked(worker(batch).to_pylist())

    yield rows()


def watched(look: Callable[[Rows], None]) -> Executor:
    """`in_process`, with `look` called on the rows of each batch before the run gets them."""

    @contextmanager
    def executor(*given: Any) -> Iterator[Iterator[Rows]]:
        with in_process(*given) as stream:
            yield (look(rows) or rows for rows in stream)

    return executor


def whiten(source: str, destination: str, config: WhitenConfig, executor: Executor = in_process) -> int:
    """`jobs.whiten.run.whiten` without Ray."""
    return run.whiten(source, destination, config, executor=executor)


class Remembering:
    """A `Segmenter` that is set up once for a model, and segments a photo once: it always finds the same in it."""

    _segmenters: ClassVar[dict[tuple[str, int], Segmenter]] = {}
    _found: ClassVar[dict[tuple[str, int, bytes], Segmentation]] = {}

    def __init__(self, model: ModelFolder, threads: int, gpu: bool = False) -> None:
        self.spec = model.spec
        self._id = (model.spec.model_id, threads)
        if self._id not in self._segmenters:
            self._segmenters[self._id] = Segmenter(model, threads, gpu)

    def segment(self, images: Sequence[np.ndarray]) -> list[Segmentation]:
        keys = [(*self._id, _digest(image)) for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._found}
        self._found |= dict(zip(new, self._segmenters[self._id].segment(list(new.values())), strict=True))
        return [copy.deepcopy(self._found[key]) for key in keys]


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
