"""The U-Net: two presets, both trained from scratch, built with keras operations only.

O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015.
"""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import layers

from glasseg.config import INPUT_SIDE


class FusedBatchNormalization(layers.BatchNormalization):
    """Batch normalisation with the weights and the arithmetic of keras' own, through TensorFlow's fused kernel.

    Keras 3 normalises in several float32 passes over the whole tensor; in mixed bfloat16 on a CPU they took two thirds
    of a training step. The fused kernel reads the tensor once. Synchronised statistics (several training workers) and
    other backends go the keras way.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if keras.backend.backend() != "tensorflow" or self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # noqa: PLC0415  (the network itself stays free of it)

        scale, offset = (tf.cast(v, tf.float32) for v in (self.gamma, self.beta))
        moving = [tf.cast(v, tf.float32) for v in (self.moving_mean, self.moving_variance)]
        if not (training and self.trainable):
            return tf.compat.v1.nn.fused_batch_norm(
                inputs, scale, offset, *moving, epsilon=self.epsilon, is_training=False
            )[0]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        values = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance *= (values - 1) / values  # the kernel's is the unbiased one, keras keeps the other
        for value, batch in zip((self.moving_mean, self.moving_variance), (mean, variance), strict=True):
            value.assign(value * self.momentum + tf.cast(batch, value.dtype) * (1 - self.momentum))
        return outputs


def build(preset: str, *, synchronized: bool = False) -> keras.Model:
    """Build an untrained network.

    `preset` is a key of `INPUT_SIDE`. The model maps N×side×side×3 in [0, 255], RGB, to N×side×side×1 float32 in
    (0, 1), the probability of glasses. `synchronized` shares batch statistics between training workers
    (tensorflow backend only).
    """
    if preset == "baseline":
        return _baseline()
    if preset == "compact":
        return _compact(synchronized)
    raise ValueError(f"unknown preset {preset!r}; known: {', '.join(INPUT_SIDE)}")


def _baseline() -> keras.Model:
    """The classic small U-Net: 64-64, 128-128, a middle of 256-256, and back; 1,862,849 parameters."""

    def two_convolutions(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    inputs = keras.Input((INPUT_SIDE["baseline"],) * 2 + (3,))
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
"""Residual blocks a level, going down, in the middle and coming up: at small sizes more depth costs little time."""


def _compact(synchronized: bool) -> keras.Model:
    """Deeper and narrower, with batch normalisation: two strided convolutions let it see 512 pixels at the cost of 128.

    Thin temples need the 512 pixels, the rest of the work is done at a quarter of them; the first stem level returns as
    a skip, and a 2×2 transposed convolution writes the logits at full size.
    """

    def convolve(x: Any, filters: int, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(
            x
        )
        x = FusedBatchNormalization(momentum=0.99, synchronized=synchronized)(x)
        return layers.Activation("relu")(x)

    def enlarge(x: Any, filters: int, skip: Any) -> Any:
        x = layers.Conv2DTranspose(filters, 2, strides=2, kernel_initializer="he_normal")(x)
        return layers.Concatenate()([x, skip])

    def deepen(x: Any, blocks: int) -> Any:
        filters = x.shape[-1]
        for _ in range(blocks):
            y = convolve(x, filters)
            y = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(y)
            # gamma starts at 0, so an untrained block changes nothing: P. Goyal et al., "Accurate, Large Minibatch SGD:
            # Training ImageNet in 1 Hour", 2017
            y = FusedBatchNormalization(momentum=0.99, gamma_initializer="zeros", synchronized=synchronized)(y)
            x = layers.Activation("relu")(layers.Add()([x, y]))
        return x

    inputs = keras.Input((INPUT_SIDE["compact"],) * 2 + (3,))
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
    x = convolve(enlarge(x, COMPACT_STEM, stem), COMPACT_STEM)
    x = layers.Conv2DTranspose(1, 2, strides=2, dtype="float32")(x)
    outputs = layers.Activation("sigmoid", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="compact")
