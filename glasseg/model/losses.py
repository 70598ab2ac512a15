"""Losses for soft masks, as pure functions of keras tensors."""

from __future__ import annotations

from typing import Any

from keras import ops


def binary_cross_entropy(coverage: Any, probability: Any, weight: Any) -> Any:
    """Weighted mean of the cross-entropy, one value per photo.

    `coverage`, `probability`, `weight`: N×h×w×1 float32 in [0, 1]; weight 0 leaves a pixel out. Returns N float32.
    """
    p = ops.clip(probability, 1e-6, 1 - 1e-6)
    entropy = -(coverage * ops.log(p) + (1 - coverage) * ops.log(1 - p))
    return ops.sum(entropy * weight, axis=(1, 2, 3)) / ops.maximum(ops.sum(weight, axis=(1, 2, 3)), 1.0)


def dice(coverage: Any, probability: Any, weight: Any) -> Any:
    """Soft Dice loss with squared terms, one value in [0, 1] per photo; shapes as in `binary_cross_entropy`.

    F. Milletari, N. Navab, S. Ahmadi, "V-Net", 2016. The constant keeps a photo without glasses defined.
    """
    both = ops.sum(weight * coverage * probability, axis=(1, 2, 3))
    squares = ops.sum(weight * (ops.square(coverage) + ops.square(probability)), axis=(1, 2, 3))
    return 1 - (2 * both + 1.0) / (squares + 1.0)


def bce_dice(coverage: Any, probability: Any, weight: Any) -> Any:
    """Sum of `binary_cross_entropy` (smooth gradients) and `dice` (thin glasses in a large photo count); N float32."""
    return binary_cross_entropy(coverage, probability, weight) + dice(coverage, probability, weight)


def coarse(coverage: Any, opening: Any, weight: Any, shares: Any) -> Any:
    """Cross-entropy of a head of `glasseg.model.unet.deeply_supervised`, summed over material and openings; N float32.

    `coverage`, `opening`, `weight`: N×h×w×1 as above; `shares`: N×h/k×w/k×2 float32 in [0, 1]. Labels need not name
    openings: if a photo's label names none, only its material is known not to be one.
    """
    times = coverage.shape[1] // shares.shape[1]
    material, openings, scored = (ops.average_pool(part, times, strides=times) for part in (coverage, opening, weight))
    named = ops.cast(ops.max(opening, axis=(1, 2, 3), keepdims=True) > 0, "float32")
    known = scored * ops.maximum(named, material)
    return binary_cross_entropy(material, shares[..., :1], scored) + binary_cross_entropy(
        openings, shares[..., 1:], known
    )
