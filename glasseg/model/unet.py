"""The U-Net: two presets, both trained from scratch, built from keras operations only.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import keras
import numpy as np
from keras import layers

from glasseg.config import INPUT_SIDE


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalisation with the weights and arithmetic of keras, through TensorFlow's fused kernel.

    Keras 3 normalises in several float32 passes over the whole tensor; in mixed bfloat16 on a CPU they took two thirds
    of a training step. The fused kernel reads the tensor once. `synchronized` statistics are those of all training
    workers, whose batches must have the same size. On other backends it is keras' own.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # noqa: PLC0415  (other backends do without it)

        scale, offset = (tf.cast(v, tf.float32) for v in (self.gamma, self.beta))
        if not (training and self.trainable):
            moving = tf.cast(self.moving_mean, tf.float32), tf.cast(self.moving_variance, tf.float32)
            return _normalized(inputs, scale, offset, moving, self.epsilon)
        if self.synchronized:
            outputs, mean, variance = _normalized_together(inputs, scale, offset, self.epsilon)
        else:
            outputs, mean, variance = _normalized_alone(inputs, scale, offset, self.epsilon)
        for value, batch in zip((self.moving_mean, self.moving_variance), (mean, variance), strict=True):
            value.assign(value * self.momentum + tf.cast(batch, value.dtype) * (1 - self.momentum))
        return outputs


def _normalized(inputs: Any, scale: Any, offset: Any, statistics: tuple[Any, Any], epsilon: float) -> Any:
    """`inputs` (N×h×w×c) normalised by given `statistics`: mean and variance, c float32, like `scale` and `offset`."""
    import tensorflow as tf  # noqa: PLC0415

    mean, variance = statistics
    kernel = tf.compat.v1.nn.fused_batch_norm
    return kernel(inputs, scale, offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False)[0]


def _normalized_alone(inputs: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """`inputs` normalised by their own mean and (biased) variance, and these two."""
    import tensorflow as tf  # noqa: PLC0415

    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=epsilon)
    values = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
    return outputs, mean, variance * (values - 1) / values  # the kernel returns the unbiased one


def _normalized_together(inputs: Any, scale: Any, offset: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Like `_normalized_alone`, but by mean and variance of all replicas' inputs.

    C. Peng et al., "MegDet: A Large Mini-Batch Object Detector", 2018. The kernel's gradient treats the statistics as
    given; their own dependence on the inputs adds x̂ times the mean of dy·x̂ and the mean of dy, which the kernel
    computes as well.
    """
    import tensorflow as tf  # noqa: PLC0415

    context = tf.distribute.get_replica_context()

    def mean_of_all(*vectors: Any) -> list[Any]:
        reduced: list[Any] = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stack(vectors)))
        return reduced

    @tf.custom_gradient
    def normalize(x: Any, scale: Any, offset: Any) -> tuple[Any, Any]:
        _, mean, variance = _normalized_alone(x, scale, offset, epsilon)
        mean, square = mean_of_all(mean, variance + tf.square(mean))
        variance = tf.maximum(square - tf.square(mean), 0.0)

        def gradient(dy: Any, *_of_statistics: Any) -> tuple[Any, Any, Any]:
            dx, d_scale, d_offset, *_ = tf.raw_ops.FusedBatchNormGradV2(
                y_backprop=dy,
                x=x,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                epsilon=epsilon,
                is_training=False,
            )
            values = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
            slope = scale * tf.math.rsqrt(variance + epsilon) / values
            by_scale, by_offset = mean_of_all(d_scale, d_offset)
            owed = _normalized(x, slope * by_scale, slope * by_offset, (mean, variance), epsilon)
            return dx - owed, d_scale, d_offset

        return (_normalized(x, scale, offset, (mean, variance), epsilon), mean, variance), gradient

    outputs: tuple[Any, Any, Any] = normalize(inputs, scale, offset)
    return outputs


def build(preset: str, *, synchronized: bool = False) -> keras.Model:
    """Build an untrained network.

    `preset` is a key of `INPUT_SIDE`, ValueError otherwise. The model maps N×h×w×3 RGB in [0, 255] to N×h×w×1
    float32 in (0, 1), the probability of glasses; sides are multiples of `SIDE_MULTIPLE`. `synchronized`
    shares batch statistics between training workers (tensorflow backend only).
    """
    if preset == "baseline":
        return _baseline()
    if preset == "compact":
        return _compact(partial(_normalized_convolution, synchronized=synchronized))
    raise ValueError(f"unknown preset {preset!r}; known: {', '.join(INPUT_SIDE)}")


def folded(network: keras.Model) -> keras.Model:
    """A trained `network` of `build` for inference: its batch normalisation is part of the convolutions before it.

    It computes the same with fewer operations; in half precision its weights are rounded once instead of twice.
    """
    if network.name != "compact":
        return network
    weights: list[Any] = []
    for layer in network.layers:
        if isinstance(layer, FusedBatchNormalization):  # of the convolution whose kernel came last
            gain = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
            weights[-1] = weights[-1] * gain
            weights.append(np.asarray(layer.beta) - np.asarray(layer.moving_mean) * gain)
        else:
            weights += [np.asarray(one) for one in layer.weights]
    plain = _compact(_biased_convolution)
    plain.set_weights(weights)
    return plain


def deeply_supervised(network: keras.Model) -> keras.Model:
    """`network`, a `compact` one, with additional heads for training; its weights are shared.

    C. Lee et al., "Deeply-Supervised Nets", 2015. Returns [probability, head, head]; a head maps N×side×side×3 to
    N×s×s×2 float32 in (0, 1), with s = side / `SUPERVISED_AT`: the shares of material and of see-through opening. At
    that size a lens is an object of a few pixels, tinted or clear as a whole.
    """
    heads = [
        layers.Conv2D(2, 1, activation="sigmoid", dtype="float32", name=f"head_{part}")(
            network.get_layer(f"decoded_{part}").output
        )
        for part in SUPERVISED_AT
    ]
    return keras.Model(network.input, [network.output, *heads])


def _baseline() -> keras.Model:
    """The classic small U-Net: 64-64, 128-128, a middle of 256-256, and back; 1,862,849 parameters."""

    def two_convolutions(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    inputs = keras.Input((None, None, 3))
    skips = []
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (64, 128):
        x = two_convolutions(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = two_convolutions(x, 256)
    for filters in (128, 64):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same", kernel_initializer="he_normal")(x)
        x = two_convolutions(layers.Concatenate()([x, skips.pop()]), filters)
    outputs = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="baseline")


COMPACT_WIDTHS: Final = (32, 64, 96, 128, 160)
COMPACT_STEM: Final = 16
COMPACT_DOWN: Final = (0, 0, 1, 2)
COMPACT_MIDDLE: Final = 3
COMPACT_UP: Final = (0, 0, 1, 1)
"""Residual blocks per level, going down, in the middle and coming up: depth costs little time at small sizes."""


SUPERVISED_AT: Final = (4, 8)
"""The divisors of the side at which `deeply_supervised` has heads."""


def _normalized_convolution(x: Any, filters: int, strides: int, gamma: str = "ones", *, synchronized: bool) -> Any:
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return FusedBatchNormalization(momentum=0.99, gamma_initializer=gamma, synchronized=synchronized)(x)


def _biased_convolution(x: Any, filters: int, strides: int, gamma: str = "ones") -> Any:
    return layers.Conv2D(filters, 3, strides=strides, padding="same")(x)


def _compact(convolution: Callable[..., Any]) -> keras.Model:
    """Deeper and narrower, with batch normalisation: two strided convolutions let it see 512 pixels at the cost of 128.

    Thin temples need the 512 pixels; the rest of the work is done at a quarter of that. The first stem level comes back
    as a skip connection, and a 2×2 transposed convolution writes the logits at full size. `convolution`: what is before
    each activation.
    """

    def convolve(x: Any, filters: int, strides: int = 1) -> Any:
        return layers.Activation("relu")(convolution(x, filters, strides))

    def enlarge(x: Any, filters: int, skip: Any) -> Any:
        x = layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal")(x)
        return layers.Concatenate()([x, skip])

    def deepen(x: Any, blocks: int) -> Any:
        filters = x.shape[-1]
        for _ in range(blocks):
            y = convolve(x, filters)
            # gamma starts at 0, so an untrained block changes nothing: P. Goyal et al., "Accurate, Large Minibatch SGD:
            # Training ImageNet in 1 Hour", 2017
            y = convolution(y, filters, 1, "zeros")
            x = layers.Activation("relu")(layers.Add()([x, y]))
        return x

    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    stem = convolve(x, COMPACT_STEM, strides=2)
    x = convolve(stem, COMPACT_WIDTHS[0], strides=2)
    skips = []
    for filters, blocks in zip(COMPACT_WIDTHS[:-1], COMPACT_DOWN, strict=True):
        x = deepen(convolve(convolve(x, filters), filters), blocks)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    for _ in range(3):
        x = convolve(x, COMPACT_WIDTHS[-1])
    x = deepen(x, COMPACT_MIDDLE)
    for filters, blocks in zip(reversed(COMPACT_WIDTHS[:-1]), reversed(COMPACT_UP), strict=True):
        x = enlarge(x, filters, skips.pop())
        x = deepen(convolve(convolve(x, filters), filters), blocks)
        x = layers.Identity(name=f"decoded_{4 << len(skips)}")(x)
    x = convolve(enlarge(x, COMPACT_STEM, stem), COMPACT_STEM)
    x = layers.Conv2DTranspose(1, 2, strides=2, dtype="float32")(x)
    outputs = layers.Activation("sigmoid", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="compact")
