"""What is given to the workers that judge."""

from __future__ import annotations

from typing import Any

import pytest

from glasseg.labels.pairs import Found, Pair
from glasseg.model.folder import ModelFolder, ModelSpec
from jobs.evaluate.judge import Judge, Task, judge


@pytest.mark.usefixtures("ray_session")
def test_workers_are_given_references_not_copies_of_model_and_task(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray
    import ray.cloudpickle
    import ray.data

    given: dict[str, Any] = {}

    class Pipeline:
        def map_batches(self, worker: type, **options: Any) -> Pipeline:
            given.update(options, worker=worker)
            return self

        def iter_batches(self, **_: Any) -> list[Any]:
            return []

    monkeypatch.setattr(ray.data, "from_blocks", lambda _: Pipeline())
    model = ModelFolder(ModelSpec("compact", 512, "letterbox", 1, 0.5, 0.5, "0"), bytes(1_000_000))
    pairs = [Pair("/r", f"{i}.jpg", f"{i}_mask.png", "scene", f"{i}.jpg", "") for i in range(1000)]
    task = Task(Found(pairs), (), None, cpus=1, gpus=0)
    assert judge(model, task, pairs=range(1000), workers=2).rows == []
    assert given["worker"] is Judge
    assert len(ray.cloudpickle.dumps(given["fn_constructor_args"])) < 2000
    assert ray.get(list(given["fn_constructor_args"])) == [task, model]
