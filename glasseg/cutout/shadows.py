"""The natural shadow of the glasses, kept as a neutral grey on white."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from glasseg.cutout.surroundings import Surroundings, smooth_background

DARKEST: Final = 120
"""Grey level below which no shadow goes: a darker one would look like a part of the glasses."""

_ROUGHEST: Final = 0.015
_DIMMEST: Final = 70
"""Grey level of the background below which its noise is as large as a shadow in it."""
_THINGS: Final = 0.03
"""Area darker than any shadow, or coloured, that can only be a box or a lost temple; share of the glasses' box."""
_LEAVING: Final = 0.05
"""Share of the photo's border that a shadow may reach; what continues outside is a wall or a prop."""
_FAINTEST: Final = 0.015
"""Depth that noise and an unevenly lit sweep reach; it is left out, softly up to three times that."""
_REACH: Final = 0.3
"""How far a shadow may extend, as a share of the glasses' longest side."""
_GAP: Final = 0.08
"""A cast shadow that begins this near belongs to the glasses; a share of their longest side."""
_FRAME_FADE: Final = 0.06
"""Width over which a cropped shade fades to its border, as a share of its shorter side."""
_STEPS: Final = 8
"""Dilations between two checks of whether they still change anything."""


def soft_shade(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The shadow in an image (H×W×3 uint8) of glasses with this alpha (H×W uint8): H×W uint8, `DARKEST` to 255.

    Put it behind the glasses in place of white: `alpha * image + (1 - alpha) * shade`. It is the photo's luminance over
    that of its smooth background, on a coarse grid, so that neither noise nor texture survive; it fades to exactly 255
    away from the glasses and at the border of the photo. All of it is 255 where a shadow can't be told from its ground:
    on textures, on dark grounds and next to things that are darker than any shadow.
    """
    around = smooth_background(image, alpha)
    depth = _depth(around)
    if depth is None:
        return np.full_like(alpha, 255)
    height, width = alpha.shape
    shade = np.rint(255 * (1 - depth)).astype(np.uint8)
    shade = cv2.resize(shade, None, fx=around.cell, fy=around.cell, interpolation=cv2.INTER_LINEAR)
    below, right = height - shade.shape[0], width - shade.shape[1]
    return cv2.copyMakeBorder(shade, 0, below, 0, right, cv2.BORDER_CONSTANT, value=255)


def faded(shade: np.ndarray) -> np.ndarray:
    """A shade (H×W uint8) that was cropped, faded to exactly 255 at its own border again."""
    height, width = shade.shape
    reach = max(1.0, _FRAME_FADE * min(height, width))
    rows, columns = (
        np.rint(255 * _step(np.minimum(np.arange(n), np.arange(n)[::-1]), 0, reach)).astype(np.uint8)
        for n in (height, width)
    )
    depth = cv2.multiply(cv2.bitwise_not(shade), np.minimum.outer(rows, columns), scale=1 / 255)
    return cv2.bitwise_not(depth)


def _depth(around: Surroundings) -> np.ndarray | None:
    """How much light the shadow takes, h×w float32 [0, 1 - DARKEST / 255]; None when there is no shadow to trust."""
    _, _, w, h = cv2.boundingRect((around.distance == 0).astype(np.uint8))
    longest = max(w, h)
    if not longest or around.roughness > _ROUGHEST:
        return None
    light = cv2.cvtColor(around.field, cv2.COLOR_RGB2GRAY)
    fade = 1 - _step(around.distance, 0.6 * _REACH * longest, _REACH * longest)
    if light[fade > 0].mean() < _DIMMEST:
        return None
    dark = np.maximum(1 - cv2.cvtColor(around.seen, cv2.COLOR_RGB2GRAY) / light, 0)
    dark = filled(dark * _step(dark, _FAINTEST, 3 * _FAINTEST), around.free)
    dark = _connected(dark, around.distance <= max(1.0, _GAP * longest))
    if _leaves(dark) or _is_thing(dark * (fade > 0), around, w * h):
        return None
    return np.minimum(dark, 1 - DARKEST / 255) * fade * _step(_to_border(dark.shape), 0.0, 0.08 * max(dark.shape))


def _is_thing(dark: np.ndarray, around: Surroundings, box: int) -> bool:
    """Whether much of what is dark is too dark or too coloured for a shadow; `box`: cells that the glasses span."""
    light = cv2.cvtColor(around.field, cv2.COLOR_RGB2GRAY)
    ratio = cv2.cvtColor(around.seen, cv2.COLOR_RGB2GRAY) / light
    tinge = np.abs(around.seen - ratio[..., None] * around.field).max(axis=-1) / light
    free = around.free > 0
    deep = free & (dark > 1 - DARKEST / 255)
    coloured = free & (dark > 0.08) & (tinge > 0.5 * dark)
    return bool(max(np.count_nonzero(deep), np.count_nonzero(coloured)) > _THINGS * box)


def _leaves(dark: np.ndarray) -> bool:
    border = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    return bool((border > 0.05).mean() > _LEAVING)


def _step(x: np.ndarray, start: float, stop: float) -> np.ndarray:
    """0 up to `start`, 1 from `stop` on, smooth in between."""
    t = np.clip((x - start) / (stop - start), 0, 1)
    result: np.ndarray = t * t * (3 - 2 * t)
    return result.astype(np.float32)


def _to_border(shape: tuple[int, ...]) -> np.ndarray:
    """Cells from each cell to the nearest at the border of the photo, which is 0 itself."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.minimum(np.minimum(y, shape[0] - 1 - y), np.minimum(x, shape[1] - 1 - x)).astype(np.float32)


def filled(dark: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The depth, smoothed a little, and carried on below the glasses, from near cells where there are some."""
    total = np.zeros_like(dark)
    weight = np.full_like(dark, 1e-6)
    for sigma, share in ((0.7, 1.0), (2.0, 1e-2), (6.0, 1e-4)):
        total += share * cv2.GaussianBlur(dark * free, (0, 0), sigma)
        weight += share * cv2.GaussianBlur(free, (0, 0), sigma)
    return total / weight


def _connected(dark: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Only what is connected to the glasses: grey-scale reconstruction by dilation from `start` (Vincent 1993).

    A dark thing elsewhere sinks to the level of the darkest way to it, without a cut line.
    """
    ceiling = np.rint(np.clip(dark, 0, 1) * 65535).astype(np.uint16)
    grown = np.where(start, ceiling, np.uint16(0))
    square = np.ones((3, 3), np.uint8)
    for _ in range(0, sum(dark.shape), _STEPS):
        before = grown
        for _ in range(_STEPS):
            grown = cv2.min(cv2.dilate(grown, square), ceiling)
        if np.array_equal(before, grown):
            break
    return grown.astype(np.float32) / 65535
