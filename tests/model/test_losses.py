"""Losses: zero for what is right, blind for what has no weight, defined where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPE = (3, 8, 9, 1)
LOSSES = ("binary_cross_entropy", "dice", "bce_dice")

pytestmark = pytest.mark.usefixtures("tensorflow")


def loss(name: str, coverage: Any, probability: Any, weight: Any) -> np.ndarray:
    from glasseg.model import losses

    arrays = (np.asarray(a, np.float32) for a in (coverage, probability, weight))
    return np.asarray(getattr(losses, name)(*arrays))


def masks(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(SHAPE) < 0.3).astype(np.float32)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_costs_nothing_and_its_opposite_a_lot(name: str) -> None:
    truth = masks(1)
    perfect, opposite = loss(name, truth, truth, np.ones(SHAPE)), loss(name, truth, 1 - truth, np.ones(SHAPE))
    assert perfect.shape == (3,) and perfect.dtype == np.float32
    assert np.abs(perfect).max() < 1e-4 and opposite.min() > 0.9


@pytest.mark.parametrize("name", LOSSES)
def test_what_has_no_weight_does_not_count(name: str) -> None:
    rng, truth, weight = np.random.default_rng(2), masks(2), masks(3)
    first, second = rng.random(SHAPE), rng.random(SHAPE)
    mixed = np.where(weight > 0, first, second)
    other_truth = np.where(weight > 0, truth, 1 - truth)
    np.testing.assert_array_equal(loss(name, truth, first, weight), loss(name, other_truth, mixed, weight))
    assert (loss(name, truth, first, np.ones(SHAPE)) != loss(name, truth, mixed, np.ones(SHAPE))).all()


def test_cross_entropy_by_hand() -> None:
    one = np.full((1, 1, 2, 1), 0.25)
    truth = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    by_hand = -(np.log(0.25) + np.log(0.75)) / 2
    assert loss("binary_cross_entropy", truth, one, np.ones_like(one))[0] == pytest.approx(by_hand, rel=1e-5)


def test_dice_by_hand() -> None:
    truth, half = np.ones((1, 1, 4, 1)), np.full((1, 1, 4, 1), 0.5)
    assert loss("dice", truth, half, np.ones_like(half))[0] == pytest.approx(1 - (2 * 2 + 1) / (4 + 1 + 1))


def coarse(coverage: np.ndarray, opening: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    from keras import ops

    from glasseg.model import losses

    arrays = (ops.convert_to_tensor(np.asarray(a, np.float32)) for a in (coverage, opening, weight, shares))
    return np.asarray(losses.coarse(*arrays))


def test_a_coarse_head_learns_shares_of_material_and_of_named_openings() -> None:
    material, opening = np.zeros((1, 4, 8, 1)), np.zeros((1, 4, 8, 1))
    material[:, :, :4], opening[:, :2, 4:] = 1, 1
    right = np.concatenate([part.reshape(1, 1, 4, 2, 4, 1).mean(axis=(2, 4)) for part in (material, opening)], -1)
    weight = np.ones_like(material)
    wrong = 1 - right
    best = coarse(material, opening, weight, right)[0]
    assert best < coarse(material, opening, weight, 0.5 * right + 0.25)[0] < coarse(material, opening, weight, wrong)[0]


def test_where_a_label_names_no_opening_only_material_is_known_to_be_none() -> None:
    material, nothing, weight = np.zeros((1, 4, 8, 1)), np.zeros((1, 4, 8, 1)), np.ones((1, 4, 8, 1))
    material[:, :, :4] = 1
    shares = np.zeros((1, 1, 2, 2))
    shares[..., 0] = [[[1, 0]]]
    before = coarse(material, nothing, weight, shares)
    shares[0, 0, 1, 1] = 0.9  # an opening next to the material, perhaps a clear lens
    np.testing.assert_allclose(coarse(material, nothing, weight, shares), before)
    shares[0, 0, 0, 1] = 0.9  # an opening where there is material
    assert coarse(material, nothing, weight, shares)[0] > before[0] + 1


@pytest.mark.parametrize("name", LOSSES)
def test_each_photo_has_its_own_loss(name: str) -> None:
    truth, probability = masks(5), np.random.default_rng(5).random(SHAPE)
    together = loss(name, truth, probability, np.ones(SHAPE))
    alone = [loss(name, truth[i : i + 1], probability[i : i + 1], np.ones((1, *SHAPE[1:])))[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["nothing", "everything", "soft"]),
    st.sampled_from([0.0, 1.0]),
    st.booleans(),
)
def test_losses_are_finite_and_never_negative(seed: int, truth: str, weight: float, certain: bool) -> None:
    rng = np.random.default_rng(seed)
    coverage = {"nothing": np.zeros(SHAPE), "everything": np.ones(SHAPE), "soft": rng.random(SHAPE)}[truth]
    probability = rng.integers(0, 2, SHAPE) if certain else rng.random(SHAPE)
    for name in LOSSES:
        values = loss(name, coverage, probability, np.full(SHAPE, weight))
        assert np.isfinite(values).all() and (values >= -1e-6).all()
        assert name != "dice" or (values <= 1).all()
        assert weight or np.abs(values).max() == 0
