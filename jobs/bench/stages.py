"""How fast each stage of whitening is alone, on one core."""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from glasseg import formats
from glasseg.cutout import finished, picture
from glasseg.images import decoder
from glasseg.model.folder import ModelFolder
from jobs.bench.process import process, receive
from jobs.heap import keep_freed
from jobs.whiten.order import Order

STAGES: Final = ("read", "decode", "segment", "cut out", "encode", "write")
"""`cut out`: alpha, colours and composing; `encode`: and decoding the result again."""


def rates(order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]], *, verbose: bool) -> dict[str, float]:
    """Photos/s of each of `STAGES` over `photos` (rows of `PENDING`), in a process of its own."""
    with process(verbose, _measure, order, model, photos) as pipe:
        return receive(pipe)


def _measure(pipe: Connection, order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]]) -> None:
    import cv2

    from glasseg.model.segmenter import BATCH, Segmenter

    keep_freed()  # as a worker does
    cv2.setNumThreads(1)
    segmenter = Segmenter(model, threads=1)
    groups = [photos[first : first + BATCH] for first in range(0, len(photos), BATCH)]
    whole = [group for group in groups if len(group) == BATCH] or groups  # a part-filled network call would look slow
    _run(order, segmenter, whole[0])  # warms up
    seconds = dict.fromkeys(STAGES, 0.0)
    for group in whole:
        for stage, spent in _run(order, segmenter, group).items():
            seconds[stage] += spent
    done = sum(map(len, whole))
    pipe.send({stage: done / seconds[stage] for stage in STAGES})


def _run(order: Order, segmenter: Any, photos: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Seconds that each stage takes for a group of photos, one stage after the other."""
    spec, outputs, clock = segmenter.spec, [photo["output"] for photo in photos], [time.perf_counter()]

    def lap(result: list[Any]) -> list[Any]:
        clock.append(time.perf_counter())
        return result

    data = lap([order.source.read(photo["key"])[0] for photo in photos])
    opened = lap([decoder.decode(one, max_pixels=order.max_pixels) for one in data])
    found = lap(segmenter.segment([one.on_white() for one in opened]))
    made = lap([picture.compose(*one, spec, order.look) for one in zip(opened, found, strict=True)])
    files = lap(
        [
            finished.finish(one, order.look, formats.format_of(output), order.quality, photo.tags).data
            for one, output, photo in zip(made, outputs, opened, strict=True)
        ]
    )
    lap([order.destination.write(output, one) for output, one in zip(outputs, files, strict=True)])
    return {stage: end - begin for stage, begin, end in zip(STAGES, clock, clock[1:], strict=False)}
