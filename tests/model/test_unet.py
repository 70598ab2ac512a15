"""The two networks: their size, what goes in and out, and that the fused normalisation is keras' own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(3).normal(2, 3, (4, 40, 40, 6)).astype(np.float32)


def normalisations(*, synchronized: bool = False) -> tuple[Any, Any]:
    """The fused layer and keras' own, with the same unusual weights."""
    import keras

    from glasseg.model.unet import FusedBatchNormalization

    rng = np.random.default_rng(4)
    weights = [rng.uniform(0.5, 2, 6).astype(np.float32) for _ in range(4)]
    pair = (
        FusedBatchNormalization(momentum=0.9, dtype="float32", synchronized=synchronized),
        keras.layers.BatchNormalization(momentum=0.9, dtype="float32"),
    )
    for layer in pair:
        layer.build((None, 40, 40, 6))
        layer.set_weights(weights)
    return pair


def test_baseline_is_the_classic_network_to_the_parameter() -> None:
    from glasseg.model import unet

    network = unet.build("baseline")
    assert network.count_params() == 1_862_849


@pytest.mark.parametrize(("preset", "side"), [("baseline", 256), ("baseline", 192), ("compact", 512), ("compact", 384)])
def test_a_square_becomes_probabilities_of_the_same_size(preset: str, side: int) -> None:
    from glasseg.model import unet

    network = unet.build(preset)
    assert network.name == preset
    square = np.random.default_rng(1).integers(0, 256, (1, side, side, 3)).astype(np.float32)
    probability = np.asarray(network(square, training=False))
    assert probability.shape == (1, side, side, 1) and probability.dtype == np.float32
    assert 0 < probability.min() < probability.max() < 1


def test_probabilities_are_float32_in_half_precision_too() -> None:
    import keras

    from glasseg.model import unet

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = unet.build("compact")
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert network.layers[2].compute_dtype == "bfloat16"
    assert network.output.dtype == "float32"


@pytest.mark.parametrize("preset", ["compact", "baseline"])
def test_a_folded_network_gives_what_the_trained_one_gives(preset: str) -> None:
    from glasseg.model import unet

    rng, network = np.random.default_rng(2), unet.build(preset)
    network.set_weights(
        [w + rng.uniform(0.05, 0.3, w.shape).astype(w.dtype) if w.ndim == 1 else w for w in network.get_weights()]
    )
    square = rng.integers(0, 256, (1, 128, 192, 3)).astype(np.float32)
    found, expected = (np.asarray(one(square, training=False)) for one in (unet.folded(network), network))
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_folded_network_has_no_normalisation_left() -> None:
    from glasseg.model import unet

    network = unet.build("compact")
    folded = unet.folded(network)
    assert not any(isinstance(layer, unet.FusedBatchNormalization) for layer in folded.layers)
    assert folded.count_params() < network.count_params()


def test_heads_of_deep_supervision_share_the_network_and_leave_its_output_alone() -> None:
    from glasseg.model import unet

    network = unet.build("compact")
    taught = unet.deeply_supervised(network)
    square = np.random.default_rng(1).integers(0, 256, (1, 128, 128, 3)).astype(np.float32)
    probability, *heads = (np.asarray(part) for part in taught(square, training=False))
    np.testing.assert_array_equal(probability, np.asarray(network(square, training=False)))
    assert [head.shape for head in heads] == [(1, 32, 32, 2), (1, 16, 16, 2)]
    assert all(head.dtype == np.float32 and 0 < head.min() < head.max() < 1 for head in heads)
    assert len(taught.weights) == len(network.weights) + 4


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    from glasseg.model import unet

    with pytest.raises(ValueError, match=r"'huge'.*baseline, compact"):
        unet.build("huge")


@pytest.mark.parametrize("training", [False, True])
def test_fused_normalisation_gives_what_keras_gives(training: bool, inputs: np.ndarray) -> None:
    fused, plain = normalisations()
    np.testing.assert_allclose(fused(inputs, training=training), plain(inputs, training=training), atol=1e-3)
    for ours, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_training_moves_the_statistics_of_fused_normalisation_and_inference_does_not(inputs: np.ndarray) -> None:
    fused, _ = normalisations()
    before = fused.get_weights()
    fused(inputs, training=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, fused.get_weights(), strict=True))
    fused(inputs, training=True)
    mean = 0.9 * before[2] + 0.1 * inputs.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(fused.get_weights()[2], mean, rtol=1e-4)


def test_frozen_fused_normalisation_behaves_as_in_inference(inputs: np.ndarray) -> None:
    fused, _ = normalisations()
    expected = np.asarray(fused(inputs, training=False))
    fused.trainable = False
    before = fused.get_weights()
    np.testing.assert_array_equal(fused(inputs, training=True), expected)
    assert all(np.array_equal(a, b) for a, b in zip(before, fused.get_weights(), strict=True))


@pytest.mark.parametrize("synchronized", [False, True])
def test_gradients_pass_fused_normalisation_as_they_pass_keras(
    inputs: np.ndarray, tensorflow: Any, synchronized: bool
) -> None:
    gradients = []
    for layer in normalisations(synchronized=synchronized):
        x = tensorflow.constant(inputs)
        with tensorflow.GradientTape() as tape:
            tape.watch(x)
            loss = tensorflow.reduce_mean(tensorflow.abs(layer(x, training=True)) ** 1.5)
        gradients.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3 * float(np.abs(theirs).max()))


def test_synchronised_networks_synchronise_every_normalisation() -> None:
    from glasseg.model import unet

    network = unet.build("compact", synchronized=True)
    flags = [layer.synchronized for layer in network.layers if isinstance(layer, unet.FusedBatchNormalization)]
    assert flags and all(flags)
    assert [w.shape for w in network.weights] == [w.shape for w in unet.build("compact").weights]


def test_the_moving_variance_is_keras_own_for_any_number_of_workers(inputs: np.ndarray) -> None:
    import keras

    from glasseg.model.unet import FusedBatchNormalization

    few = inputs[:1, :2, :2]
    moved = {}
    for name, layer in {
        "fused": FusedBatchNormalization(momentum=0.0, dtype="float32"),
        "shared": FusedBatchNormalization(momentum=0.0, dtype="float32", synchronized=True),
        "keras": keras.layers.BatchNormalization(momentum=0.0, dtype="float32"),
    }.items():
        layer(few, training=True)
        moved[name] = layer.get_weights()[3]
    np.testing.assert_allclose(moved["keras"], few.var(axis=(0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(moved["shared"], moved["keras"], rtol=1e-5)
    np.testing.assert_allclose(moved["fused"], moved["keras"], rtol=1e-5)
