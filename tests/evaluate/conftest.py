"""Judging without Ray, for all that is not about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from inprocess import Remembering

from glasseg.model.folder import ModelFolder
from jobs import sizing
from jobs.evaluate import judge, run


@pytest.fixture
def judged_here(tensorflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands judge with the real worker in the tests' own process, which counts as a cluster of two CPUs."""

    def stream(
        model: ModelFolder, task: judge.Task, todo: Sequence[tuple[int, bool]], workers: int
    ) -> Iterator[dict[str, Any]]:
        with (
            mock.patch("glasseg.model.segmenter.Segmenter", Remembering),
            mock.patch("ray.get", lambda given: given),  # the worker's references are the things themselves
        ):
            worker = judge.Judge(task, model)
        table = pa.table({"number": [number for number, _ in todo], "composite": [composite for _, composite in todo]})
        for first in range(0, len(table), judge.BATCH_ROWS):
            yield from worker(table.slice(first, judge.BATCH_ROWS)).to_pylist()

    monkeypatch.setattr(judge, "_stream", stream)
    monkeypatch.setattr(run, "engine", lambda *_, **__: nullcontext())
    monkeypatch.setattr(sizing, "connected", lambda cpus, gpus: sizing.pool([{"CPU": 2.0}], [], cpus, gpus))
