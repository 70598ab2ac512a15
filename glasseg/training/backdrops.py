"""Backdrops to lay glasses on: studio sweeps, photos of textures and scenes, and objects that are not glasses."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import cv2
import numpy as np


class Style(StrEnum):
    """What a backdrop is made from."""

    STUDIO = "studio"
    PHOTO = "photo"


def draw(rng: np.random.Generator, side: int, photos: Sequence[np.ndarray], style: Style | None = None) -> np.ndarray:
    """A side×side×3 uint8 RGB backdrop without glasses.

    `photos`: h×w×3 uint8 scenes to crop from; without any, every backdrop is a studio's. `style`: None for a mix.
    """
    if style is None:
        style = Style.PHOTO if photos and rng.random() < 0.6 else Style.STUDIO
    backdrop = _photo(rng, side, photos) if Style(style) is Style.PHOTO and photos else studio(rng, side)
    if rng.random() < 0.4:
        backdrop = _with_boxes(rng, backdrop, photos)
    if rng.random() < 0.25:
        backdrop = _with_print(rng, backdrop)
    if rng.random() < 0.3:
        backdrop = _with_light(rng, backdrop)
    return backdrop


def _photo(rng: np.random.Generator, side: int, photos: Sequence[np.ndarray]) -> np.ndarray:
    """A random crop, sharp or out of focus: if all were upscaled, the network would learn that sharp means glasses."""
    photo = photos[int(rng.integers(len(photos)))]
    size = int(min(photo.shape[:2]) * rng.uniform(0.45, 1.0))
    y, x = (int(rng.integers(0, n - size + 1)) for n in photo.shape[:2])
    crop = cv2.resize(photo[y : y + size, x : x + size], (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        crop = cv2.flip(crop, 1)
    if rng.random() < 0.3:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(1, 8))
    elif rng.random() < 0.5:
        crop = cv2.addWeighted(crop, 1.8, cv2.GaussianBlur(crop, (0, 0), 2), -0.8, 0)
    return crop


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A studio colour, RGB: most often near white or grey, sometimes dark, sometimes saturated."""
    chance = rng.random()
    if chance < 0.45:
        return rng.uniform(190, 255) + rng.normal(0, 4, 3)
    if chance < 0.6:
        return rng.uniform(60, 190) + rng.normal(0, 6, 3)
    if chance < 0.72:
        return rng.uniform(5, 60) + rng.normal(0, 4, 3)
    return rng.uniform(20, 255, 3)


def studio(rng: np.random.Generator, side: int) -> np.ndarray:
    """A studio sweep, side×side×3 uint8 RGB: one or two colours over a soft horizon, a gradient, a vignette, grain."""
    first = _colour(rng)
    second = first * rng.uniform(0.75, 1.15) if rng.random() < 0.7 else _colour(rng)
    y, x = np.ogrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    slope = rng.normal(0, 0.15)
    softness = rng.choice([0.004, 0.03, 0.15, 0.5])
    distance = ((y - rng.uniform(0.2, 0.9)) / softness + x * (slope / softness)).astype(np.float32)
    share = 1 / (1 + cv2.exp(np.clip(-distance, -30, 30)))
    light = cv2.resize(_light(rng, side // 4), (side, side), interpolation=cv2.INTER_LINEAR)
    out = cv2.merge([light * (share * np.float32(b - a) + np.float32(a)) for a, b in zip(first, second, strict=True)])
    if rng.random() < 0.4:
        noise = np.empty((side, side), np.float32)
        cv2.setRNGSeed(int(rng.integers(2**31)))
        cv2.randn(noise, 0, float(rng.uniform(1, 8)))
        out += noise[..., None]
    return np.clip(out, 0, 255, out=out).astype(np.uint8)


def _light(rng: np.random.Generator, side: int) -> np.ndarray:
    """A gradient across the picture and a vignette, as side×side float32 gains about 1."""
    y, x = np.ogrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    gradient = (np.cos(direction) * (x - 0.5) + np.sin(direction) * (y - 0.5)) * rng.uniform(0, 0.5)
    cx, cy = rng.uniform(0.2, 0.8, 2)
    vignette = ((x - cx) ** 2 + (y - cy) ** 2) * rng.uniform(-0.2, 0.9)
    return (1 + gradient - vignette).astype(np.float32)


def _with_boxes(rng: np.random.Generator, backdrop: np.ndarray, photos: Sequence[np.ndarray]) -> np.ndarray:
    """The backdrop with cases, boxes, podiums, books: filled quadrangles, plain or textured, some printed on."""
    side = backdrop.shape[0]
    for _ in range(rng.integers(1, 4)):
        centre = rng.uniform(0, 1, 2) * side
        half = rng.uniform(0.1, 0.45, 2) * side
        angle = rng.normal(0, 0.3)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + rng.normal(0, 0.05, (4, 2)) * side
        quad = np.rint(corners @ turn.T + centre).astype(np.int32)
        mask = np.zeros((side, side), np.uint8)
        if rng.random() < 0.2:
            cv2.ellipse(mask, (centre, half * 1.2, float(np.rad2deg(angle))), 255, -1, cv2.LINE_AA)
        else:
            cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA)
        textured = bool(photos) and rng.random() < 0.4
        fill = _photo(rng, side, photos) if textured else studio(rng, side)
        if rng.random() < 0.4:
            fill = _with_print(rng, fill)
        if rng.random() < 0.5:
            shadow = cv2.GaussianBlur(np.roll(mask, (8, 6), (0, 1)), (0, 0), rng.uniform(2, 12))
            backdrop = cv2.multiply(backdrop, cv2.merge([255 - shadow // 2] * 3), scale=1 / 255)
        backdrop = np.where(mask[..., None] > 127, fill, backdrop)
    return backdrop


_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)


def _with_print(rng: np.random.Generator, backdrop: np.ndarray) -> np.ndarray:
    """The backdrop with words, rings, discs and lines, as on packages: thin and dark, yet not glasses."""
    side = backdrop.shape[0]
    out = backdrop.copy()
    for _ in range(rng.integers(1, 4)):
        colour = tuple(float(c) for c in (rng.uniform(0, 70, 3) if rng.random() < 0.5 else rng.uniform(0, 255, 3)))
        at = tuple(int(v) for v in rng.uniform(0, 0.9, 2) * side)
        thickness = int(rng.integers(1, 9))
        shape = rng.integers(4)
        if shape == 0:
            text = "".join(chr(c) for c in rng.integers(65, 122, rng.integers(2, 10)))
            font = _FONTS[rng.integers(len(_FONTS))]
            cv2.putText(out, text, at, font, rng.uniform(0.4, 3.0), colour, thickness, cv2.LINE_AA)
        elif shape == 1:
            cv2.circle(out, at, int(rng.uniform(0.02, 0.15) * side), colour, -1, cv2.LINE_AA)
        elif shape == 2:
            cv2.circle(out, at, int(rng.uniform(0.02, 0.2) * side), colour, thickness, cv2.LINE_AA)
        else:
            end = tuple(int(v) for v in rng.uniform(0, 1, 2) * side)
            cv2.line(out, at, end, colour, thickness, cv2.LINE_AA)
    return out


def _with_light(rng: np.random.Generator, backdrop: np.ndarray) -> np.ndarray:
    """The backdrop under light through a window or leaves: soft bands and blobs, brighter or darker."""
    side = backdrop.shape[0]
    small = np.zeros((side // 8, side // 8), np.uint8)
    for _ in range(rng.integers(1, 7)):
        centre = rng.uniform(0, 1, 2) * side / 8
        axes = np.array([rng.uniform(0.02, 0.15), rng.uniform(0.2, 1.2)]) * side / 8
        cv2.ellipse(small, (centre, axes, float(rng.uniform(0, 180))), 255, -1)
    blurred = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 4))
    mask = cv2.resize(blurred, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    gain = rng.uniform(0.4, 0.85) if rng.random() < 0.7 else rng.uniform(1.1, 1.5)
    return np.clip(backdrop * (1 + mask * (gain - 1)), 0, 255).astype(np.uint8)
