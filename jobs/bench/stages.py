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
from jobs.whiten.worker import GROUP

STAGES: Final = ("read", "decode", "segment", "cut out", "encode", "write")
"""`cut out`: alpha, colours and composing; `encode`: and decoding the result again."""
ENOUGH_SECONDS: Final = 6.0
LEAST_GROUPS: Final = 3
"""With fewer groups, some of the drawn photos would not be among them."""


def rates(
    order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]], *, verbose: bool
) -> tuple[dict[str, float], float]:
    """Photos/s of each of `STAGES`, in a process of its own, and the seconds that this took to be ready.

    `photos`: rows of `PENDING`; not all of them are done where that takes more than `ENOUGH_SECONDS`.
    """
    began = time.monotonic()
    with process(verbose, _measure, order, model, photos) as pipe:
        receive(pipe)
        start = time.monotonic() - began
        return receive(pipe), start


def _measure(pipe: Connection, order: Order, model: ModelFolder, photos: Sequence[dict[str, Any]]) -> None:
    import cv2

    from glasseg.model.segmenter import Segmenter

    keep_freed()  # as a worker does
    cv2.setNumThreads(1)
    segmenter = Segmenter(model, threads=1)
    groups = [photos[first : first + GROUP] for first in range(0, len(photos), GROUP)]
    _run(order, segmenter, groups[0])  # warms up
    pipe.send("ready")
    seconds, done = dict.fromkeys(STAGES, 0.0), 0
    for number, group in enumerate(groups):
        if number >= LEAST_GROUPS and sum(seconds.values()) > ENOUGH_SECONDS:
            break
        for stage, spent in _run(order, segmenter, group).items():
            seconds[stage] += spent
        done += len(group)
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
