"""What the executor of production asks of Ray, before there is any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from glasseg.catalog.writer import Writer
from glasseg.model.folder import ModelFolder
from glasseg.storage.roots import Folder
from jobs import sizing
from jobs.whiten import executor, stream
from jobs.whiten.executor import Workforce, on_ray
from jobs.whiten.order import PENDING, Order, Orders

NODES = [{"CPU": 8.0}, {"CPU": 8.0}]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked for when there were two nodes of 8 CPUs."""
    said: dict[str, Any] = {}

    @contextmanager
    def engine(address: str | None, *, cpus: int, verbose: bool) -> Iterator[None]:
        said.update(address=address, cluster_cpus=cpus, verbose=verbose, connected=True)
        yield
        said["connected"] = False

    def rows_of(
        orders: Orders, model: object, work: pa.Table, workers: tuple[int, int], writers: object, *, worker: type
    ) -> Iterator[Any]:
        order = orders[0]
        said.update(cpus=order.cpus, gpus=order.gpus, metered=order.metered, workers=workers)

        def each() -> Iterator[Any]:
            try:
                yield from ([{"key": key}] for key in work["key"].to_pylist())
            finally:
                said["connected_at_close"] = said["connected"]

        return each()

    monkeypatch.setattr(executor, "engine", engine)
    monkeypatch.setattr(executor, "available_cpus", lambda: 4)
    monkeypatch.setattr(executor, "rows_of", rows_of)
    monkeypatch.setattr(executor.preflight, "check", lambda orders, key: said.update(preflight=key))
    monkeypatch.setattr(sizing, "connected", lambda *wanted: sizing.pool(NODES, [], *wanted))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return said


THERE = Folder(Path("/nowhere"))
ORDER = Order(THERE, THERE, "run", 1, "model", "options", mask=False, quality=95, max_pixels=10**6)
MODEL = cast(ModelFolder, "the model")


def photos(count: int) -> pa.Table:
    return pa.Table.from_pylist([{"key": f"{n}.jpg", "unit": f"{n}.jpg"} for n in range(count)], schema=PENDING)


def work_on(count: int, workforce: Workforce) -> None:
    work = photos(count)
    with on_ray((ORDER,), MODEL, work, [Writer(THERE, "run", 30.0)], workforce) as done:
        assert [row["key"] for rows in done for row in rows] == work["key"].to_pylist()


def test_a_ray_of_our_own_has_the_workers_that_have_room(asked: dict[str, Any]) -> None:
    work_on(1000, Workforce())
    assert asked == {
        **{"address": None, "cluster_cpus": 4, "verbose": False, "connected": False},
        **{"cpus": 1, "gpus": 0.0, "metered": False, "workers": (16, 16), "connected_at_close": True},
    }


def test_a_ray_of_our_own_is_as_large_as_the_workers_that_were_asked_for(asked: dict[str, Any]) -> None:
    work_on(1000, Workforce(workers=3, cpus=2))
    assert (asked["cluster_cpus"], asked["cpus"], asked["workers"]) == (6, 2, (3, 3))


def test_a_given_cluster_is_asked_first_counted_and_used_as_it_grows(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    work_on(1000, Workforce("head:6379"))
    assert (asked["address"], asked["preflight"], asked["metered"]) == ("head:6379", "0.jpg", True)
    assert asked["workers"] == (16, 125), "as many as there are groups of photos, once nodes join"
    asked.clear()
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    work_on(8, replace(Workforce(), verbose=True))
    assert (asked["preflight"], asked["verbose"], asked["workers"]) == ("0.jpg", True, (1, 1))


def test_ray_is_asked_for_workers_of_the_orders_size_whose_restarts_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bounds a photo that kills its worker would do so for ever."""
    import ray
    import ray.data

    said: dict[str, Any] = {}

    class Blocks:
        def __init__(self, tables: list[pa.Table]) -> None:
            said["photos"] = [len(table) for table in tables]

        def map_batches(self, _: object, **arguments: Any) -> Blocks:
            said.update(arguments)
            return self

        def iter_batches(self, **_: Any) -> Iterator[Any]:
            return iter(())

    monkeypatch.setattr(ray, "put", lambda given: f"a reference to {given}")
    monkeypatch.setattr(ray.data, "from_blocks", Blocks)
    order = replace(ORDER, cpus=3, gpus=0.5)
    assert list(stream.stream((order,), MODEL, photos(100), (2, 5))) == []
    assert said["photos"] == [16, 16, 16, 16, 16, 16, 4] and said["batch_size"] is None
    assert said["fn_constructor_args"] == ((order,), "a reference to the model"), "no copy for each worker"
    assert (said["num_cpus"], said["num_gpus"]) == (3, 0.5)
    assert (said["compute"].min_size, said["compute"].max_size) == (2, 5)
    each = [said["ray_remote_args_fn"]() for _ in range(2)]
    assert all(one | {"name": ""} == {"name": "", "max_restarts": 100, "max_task_retries": 0} for one in each)
    assert each[0]["name"] != each[1]["name"] and all(one["name"].startswith(ORDER.run_id) for one in each)


def test_a_run_that_stops_early_ends_its_stream_before_its_ray(asked: dict[str, Any]) -> None:
    """Else what Ray Data still does in a thread starts another Ray, with a dashboard and a greeting."""
    with (
        pytest.raises(RuntimeError),
        on_ray((ORDER,), MODEL, photos(2), [Writer(THERE, "run", 30.0)], Workforce()) as done,
    ):
        next(done)
        raise RuntimeError
    assert asked["connected_at_close"] is True and asked["connected"] is True
