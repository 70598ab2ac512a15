"""How many workers a cluster gets, and how large they are."""

from __future__ import annotations

import pytest

from glasseg.errors import GlassegError
from jobs.sizing import Pool, Resources, pool

LAPTOP: Resources = {"CPU": 2.0, "memory": 1e9}
WORKSTATION: Resources = {"CPU": 16.0, "GPU": 1.0}
HEAD: Resources = {"CPU": 0.0}
NODE: Resources = {"CPU": 16.0}


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "now"),
    [
        ([LAPTOP], 1, 0, 2),
        ([WORKSTATION], 4, 0.25, 4),
        ([{"CPU": 4.0, "GPU": 1.0}], 4, 1, 1),
        ([{"CPU": 2.0, "GPU": 1.0}], 2, 1, 1),
        ([{"CPU": 64.0, "GPU": 8.0}], 4, 0.5, 16),
        ([HEAD, *8 * [NODE]], 1, 0, 128),
        ([HEAD, *8 * [WORKSTATION]], 4, 0.25, 32),
        ([NODE, WORKSTATION], 4, 0.25, 4),
    ],
)
def test_workers_suit_the_nodes(nodes: list[Resources], cpus: int, gpus: float, now: int) -> None:
    assert pool(nodes, [], None, None) == Pool(cpus, gpus, now, growing=False)


@pytest.mark.parametrize(
    ("cpus", "gpus", "expected"),
    [
        (8, None, Pool(8, 0.5, 2, growing=False)),
        (None, 0.5, Pool(4, 0.5, 2, growing=False)),
        (2, 1.0, Pool(2, 1.0, 1, growing=False)),
        (None, 0.0, Pool(1, 0.0, 16, growing=False)),
        (3, 0.0, Pool(3, 0.0, 5, growing=False)),
    ],
)
def test_what_was_asked_for_is_kept(cpus: int | None, gpus: float | None, expected: Pool) -> None:
    assert pool([WORKSTATION], [], cpus, gpus) == expected


@pytest.mark.parametrize(("gib", "now", "kept"), [(1.5, 2 + 10, 1.5), (8, 0 + 2, 8), (64, 0 + 1, 16)])
def test_workers_share_a_node_by_its_memory_too(gib: float, now: int, kept: float) -> None:
    """Where not even one worker fits, it takes all there is."""
    nodes = [{"CPU": 2.0, "memory": 4 * 2.0**30}, {"CPU": 16.0, "memory": 16 * 2.0**30}]
    found = pool(nodes, [], None, None, int(gib * 2**30))
    assert (found.now, found.memory) == (now, kept * 2**30)


def test_a_node_whose_memory_is_not_known_is_filled_by_its_cpus() -> None:
    assert pool([NODE], [], None, None, 2**30).now == 16


def test_a_worker_that_wants_a_gpu_is_sized_by_the_nodes_that_have_one() -> None:
    assert pool([{"CPU": 8.0}], [WORKSTATION], None, 1.0) == Pool(4, 1.0, 0, growing=True)


def test_a_third_of_a_gpu_fits_three_times() -> None:
    assert pool([{"CPU": 16.0, "GPU": 1.0}], [], 4, 1 / 3).now == 3


@pytest.mark.parametrize(("cpus", "gpus"), [(32, None), (None, 2.0), (1, 1.5)])
def test_a_worker_that_never_fits_is_refused(cpus: int | None, gpus: float | None) -> None:
    with pytest.raises(GlassegError, match="16 CPUs and 1 GPUs, one worker wants"):
        pool([WORKSTATION], [NODE], cpus, gpus)


def test_an_autoscaler_may_be_waited_for() -> None:
    """A head that drives and no worker yet: the first one starts when it is asked for."""
    assert pool([HEAD], [WORKSTATION], None, None) == Pool(4, 0.25, 0, growing=True)
    assert pool([HEAD, NODE], [WORKSTATION], None, None) == Pool(1, 0.0, 16, growing=True)
    with pytest.raises(GlassegError, match="no node has more than 0 CPUs"):
        pool([HEAD], [], None, None)


@pytest.mark.parametrize(
    ("now", "asked", "batches", "bounds"),
    [(2, None, 100, (2, 100)), (128, None, 5, (5, 5)), (0, None, 9, (1, 9)), (2, 6, 100, (6, 6)), (4, 8, 3, (3, 3))],
)
def test_no_worker_goes_without_a_batch(now: int, asked: int | None, batches: int, bounds: tuple[int, int]) -> None:
    assert Pool(1, 0.0, now, growing=False).bounds(asked, batches) == bounds
