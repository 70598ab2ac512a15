"""What lies on and in front of glasses in real photos: glare and print on clear lenses, price tags, fingers."""

from __future__ import annotations

import cv2
import numpy as np

_SKIN = ((236, 198, 172), (214, 164, 132), (176, 124, 92), (120, 80, 58), (78, 52, 40))
"""From light to dark, RGB."""
_COATINGS = ((90, 200, 120), (90, 120, 230), (170, 90, 220), (230, 190, 110))
"""Colours in which anti-reflective coatings shine: green, blue, violet, gold."""


def on_clear_lenses(image: np.ndarray, opening: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image (s×s×3 uint8 RGB) with what clear lenses show: a hint of tint, glare, print and stickers.

    `opening` (s×s uint8): the see-through parts, which remain background whatever is on them.
    """
    if not opening.any():
        return image
    out = image
    if rng.random() < 0.3:
        out = _over(out, _plain(image, _COATINGS[rng.integers(len(_COATINGS))]), opening, rng.uniform(0.02, 0.14))
    if rng.random() < 0.2:
        out = _over(out, np.zeros_like(out), opening, rng.uniform(0.02, 0.12))
    if rng.random() < 0.35:
        light, strength = _glare(opening, rng), rng.uniform(0.15, 0.8)
        shine = (255, 255, 255) if rng.random() < 0.7 else _COATINGS[rng.integers(len(_COATINGS))]
        out = _over(out, _plain(image, shine), cv2.multiply(light, opening, scale=1 / 255), strength)
    if rng.random() < 0.25:
        ink, where = _print(opening, rng)
        out = _over(out, ink, cv2.min(where, opening), rng.uniform(0.5, 1.0))
    return out


def in_front(
    image: np.ndarray, coverage: np.ndarray, opening: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three arrays (s×s×3 and s×s uint8), sometimes with a price tag or a finger in front of the glasses.

    What they cover is background.
    """
    for chance, prop in ((0.06, _tag), (0.05, _finger)):
        if rng.random() < chance and coverage.any():
            picture, where = prop(coverage, rng)
            image = _over(image, picture, where, 1.0)
            rest = cv2.bitwise_not(where)
            coverage, opening = (cv2.multiply(part, rest, scale=1 / 255) for part in (coverage, opening))
    return image, coverage, opening


def _over(image: np.ndarray, other: np.ndarray, where: np.ndarray, strength: float) -> np.ndarray:
    """`other` blended over the image by `where` (s×s uint8) times `strength`; s×s×3 uint8."""
    share = where.astype(np.float32)[..., None] * np.float32(strength / 255)
    return np.rint(image + (other.astype(np.float32) - image) * share).astype(np.uint8)


def _plain(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), image.shape)


def _somewhere(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """A random (x, y) where the mask is above one half; the centre of the square if it is nowhere."""
    inside = np.flatnonzero(mask > 127)
    if not inside.size:
        return mask.shape[1] // 2, mask.shape[0] // 2
    y, x = divmod(int(inside[rng.integers(inside.size)]), mask.shape[1])
    return x, y


def _glare(opening: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Soft or sharp windows of light, s×s uint8: one to three ellipses or slanted bands."""
    side = opening.shape[0]
    light = np.zeros_like(opening)
    for _ in range(rng.integers(1, 4)):
        axes = rng.uniform(0.01, 0.12, 2) * side
        if rng.random() < 0.4:
            axes[1] = 0.3 * side
        cv2.ellipse(light, (_somewhere(opening, rng), axes, float(rng.uniform(0, 180))), 255, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(light, (0, 0), rng.uniform(0.003, 0.03) * side)


def _print(opening: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Words, or a sticker with words, on a lens: its picture (s×s×3) and its mask (s×s), both uint8."""
    side = opening.shape[0]
    picture, where = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    x, y = _somewhere(opening, rng)
    ink = rng.uniform(0, 90, 3) if rng.random() < 0.5 else rng.uniform(180, 255, 3)
    picture[:] = ink
    scale = rng.uniform(0.0006, 0.0018) * side
    text = "".join(chr(c) for c in rng.integers(48, 91, rng.integers(2, 9)))
    if rng.random() < 0.3:
        half = rng.uniform(0.01, 0.06, 2) * side
        corners = tuple(int(v) for v in (x - half[0], y - half[1])), tuple(int(v) for v in (x + half[0], y + half[1]))
        cv2.rectangle(where, *corners, 255, -1)
        cv2.rectangle(picture, *corners, tuple(float(v) for v in rng.uniform(60, 255, 3)), -1)
        cv2.putText(picture, text, (corners[0][0], y), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 1, cv2.LINE_AA)
        return picture, where
    for line in range(rng.integers(1, 3)):
        at = (int(x - 0.05 * side), int(y + line * 26 * scale))
        cv2.putText(where, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, int(rng.integers(1, 3)), cv2.LINE_AA)
    return picture, where


def _tag(coverage: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A printed card on a string tied to the glasses: its picture (s×s×3) and its mask (s×s), both uint8."""
    side = coverage.shape[0]
    picture, where = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    knot = _somewhere(coverage, rng)
    centre = np.array(knot) + rng.normal(0, 0.12, 2) * side
    half, angle = rng.uniform(0.025, 0.09, 2) * side, rng.normal(0, 0.4)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    quad = np.rint(np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + centre).astype(np.int32)
    cv2.line(where, knot, tuple(int(v) for v in quad[0]), 255, max(1, side // 256), cv2.LINE_AA)
    picture[:] = rng.uniform(60, 255)
    cv2.fillConvexPoly(where, quad, 255, cv2.LINE_AA)
    card = rng.uniform(225, 255) + rng.normal(0, 5, 3) if rng.random() < 0.7 else rng.uniform(20, 255, 3)
    cv2.fillConvexPoly(picture, quad, tuple(float(v) for v in np.clip(card, 0, 255)))
    text = "".join(chr(c) for c in rng.integers(48, 91, rng.integers(2, 7)))
    at = tuple(int(v) for v in centre - half * [0.8, 0])
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.0015 * side, (30, 30, 30), 1, cv2.LINE_AA)
    return picture, where


def _finger(coverage: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One or two fingers that reach in and hold the glasses: their picture (s×s×3) and their mask (s×s), both uint8."""
    side = coverage.shape[0]
    where = np.zeros((side, side), np.uint8)
    tip, width = np.array(_somewhere(coverage, rng)), rng.uniform(0.05, 0.13) * side
    angle = rng.uniform(0, 2 * np.pi)
    for finger in range(rng.integers(1, 3)):
        across = finger * width * 0.95 * np.array([-np.sin(angle), np.cos(angle)])
        root = tip + 2 * side * np.array([np.cos(angle), np.sin(angle)]) + across
        ends = (tuple(int(v) for v in tip + across), tuple(int(v) for v in root))
        cv2.line(where, *ends, 255, int(width), cv2.LINE_AA)
    skin = np.array(_SKIN[rng.integers(len(_SKIN))]) * rng.uniform(0.85, 1.1)
    # round, not flat: darker toward the sides
    depth = cv2.GaussianBlur(where, (0, 0), width / 3).astype(np.float32)[..., None] / 255
    picture = np.clip(skin * (0.55 + 0.5 * depth), 0, 255).astype(np.uint8)
    return picture, where
