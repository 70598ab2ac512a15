"""The order of training pictures: every sample once an epoch, whatever the numbers of workers and samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.training.epochs import Epochs

sizes = st.integers(1, 70)


@given(sizes, sizes, st.integers(1, 8), st.integers(1, 4), st.tuples(st.integers(0, 9), st.integers(0, 3)))
def test_every_sample_is_real_exactly_once_in_every_epoch(
    samples: int, validation: int, share: int, workers: int, seed_and_epoch: tuple[int, int]
) -> None:
    seed, epoch = seed_and_epoch
    plan = Epochs(samples, validation, share * workers, workers, seed, (64,), 64)
    seen: dict[bool, list[int]] = {False: [], True: []}
    for number in range(epoch * plan.steps, (epoch + 1) * plan.steps):
        for worker in range(workers):
            step = plan.step(number, worker)
            assert step.epoch == epoch and len(step.indices) == len(step.real) == share
            seen[step.validation] += step.indices[step.real].tolist()
    assert sorted(seen[False]) == list(range(samples))
    assert sorted(seen[True]) == list(range(validation))


@given(sizes, st.integers(1, 4), st.integers(0, 40))
def test_any_number_of_workers_sees_the_same_global_batches(samples: int, share: int, number: int) -> None:
    one, two = (Epochs(samples, 5, 2 * share, workers, 42, (64,), 64) for workers in (1, 2))
    parts = [two.step(number, worker) for worker in range(2)]
    whole = one.step(number, 0)
    assert np.array_equal(np.concatenate([p.indices for p in parts]), whole.indices)
    assert np.array_equal(np.concatenate([p.real for p in parts]), whole.real)


def test_epochs_differ_in_order_and_a_seed_tells_it() -> None:
    plan, other = (Epochs(50, 1, 50, 1, seed, (64,), 64) for seed in (1, 2))
    first, second = (plan.step(epoch * plan.steps, 0).indices for epoch in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.step(0, 0).indices)
    assert np.array_equal(first, Epochs(50, 1, 50, 1, 1, (64,), 64).step(0, 0).indices)


def test_validation_follows_training_in_its_own_order_and_ends_the_epoch() -> None:
    plan = Epochs(samples=5, validation=3, batch=2, workers=1, seed=0, sides=(64,), validation_side=64)
    steps = [plan.step(number, 0) for number in range(plan.steps)]
    assert [step.validation for step in steps] == [False, False, False, True, True]
    assert [step.last for step in steps] == [False, False, True, False, True]
    assert [step.indices.tolist() for step in steps[3:]] == [[0, 1], [2, 0]]
    assert steps[4].real.tolist() == [True, False]


def test_training_steps_take_turns_with_the_sides_and_validation_keeps_to_one() -> None:
    plan = Epochs(samples=8, validation=4, batch=2, workers=2, seed=0, sides=(128, 256, 64), validation_side=512)
    for worker in range(2):
        steps = [plan.step(number, worker) for number in range(2 * plan.steps)]
        assert [step.side for step in steps] == [128, 256, 64, 128, 512, 512] * 2
        assert [step.number for step in steps] == list(range(12))


@pytest.mark.parametrize("numbers", [(0, 1, 2, 1), (1, 0, 2, 1), (5, 5, 3, 2), (5, 5, 0, 1)])
def test_what_can_not_be_shared_is_refused(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError):
        Epochs(*numbers, seed=0, sides=(64,), validation_side=64)
