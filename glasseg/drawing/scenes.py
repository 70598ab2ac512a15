"""Backgrounds of drawn photos: the ground under the glasses, its texture, and the light that falls on it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

Array = np.ndarray

SCENES: Final[tuple[str, ...]] = (
    "white", "sweep", "gradient", "colour", "paper", "dark", "wood", "fabric", "stone", "concrete",
)  # fmt: skip
FLAT: Final = ("white", "sweep", "gradient", "colour", "dark")  # no texture: any camera angle suits
COLOURS: Final = (
    (0.93, 0.80, 0.74), (0.72, 0.83, 0.90), (0.20, 0.55, 0.72), (0.95, 0.78, 0.25),
    (0.78, 0.86, 0.76), (0.88, 0.55, 0.48), (0.55, 0.50, 0.66), (0.92, 0.88, 0.80),
    (0.35, 0.48, 0.42), (0.80, 0.30, 0.28), (0.83, 0.75, 0.85), (0.64, 0.66, 0.68),
)  # fmt: skip
WOODS: Final = (
    ((0.36, 0.21, 0.11), (0.66, 0.43, 0.25)),
    ((0.62, 0.46, 0.29), (0.86, 0.70, 0.50)),
    ((0.20, 0.13, 0.09), (0.42, 0.29, 0.20)),
    ((0.66, 0.62, 0.56), (0.88, 0.85, 0.80)),
)


def noise(rng: np.random.Generator, size: tuple[int, int], cells: tuple[float, float], octaves: int = 3) -> Array:
    """Smooth noise of `size`, roughly in [0, 1], float32: `cells` (down, across) blobs, then finer and fainter ones."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        rows, columns = (int(min(side, max(2, count * 2**octave))) for side, count in zip(size, cells, strict=True))
        layer = rng.random((rows, columns), dtype=np.float32) - 0.5
        total += cv2.resize(layer, size[::-1], interpolation=cv2.INTER_CUBIC) * 0.55**octave
    return total + 0.5


def ramp(field: Array, low: tuple[float, ...], high: tuple[float, ...]) -> Array:
    """Colours H×W×3 uint8 for a field H×W: 0 gives `low`, 1 gives `high` (both RGB in [0, 1])."""
    share = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    table = np.array(low, np.float32) * (1 - share) + np.array(high, np.float32) * share
    index = cv2.convertScaleAbs(np.clip(field, 0, 1), alpha=255)
    return cv2.LUT(cv2.merge([index] * 3), np.round(table * 255).astype(np.uint8)[None])


def backdrop(rng: np.random.Generator, scene: str, size: tuple[int, int], ground: Array, horizon: float) -> Array:
    """The empty scene, H×W×3 uint8 RGB.

    `ground` 3×3 maps mm on the ground (x, depth) to pixels; `horizon` is the row (in pixels, any float) where it ends.
    """
    if scene in FLAT:
        return _studio(rng, scene, size, horizon)
    texture, per_mm = _texture(rng, scene, max(size))
    turn = rng.uniform(-0.5, 0.5) + rng.choice([0.0, np.pi / 2])
    cos, sin, half = np.cos(turn), np.sin(turn), texture.shape[0] / 2
    shift = rng.uniform(-0.2, 0.2, 2) * half
    place = np.array([[cos, -sin, half + shift[0]], [sin, cos, half + shift[1]], [0, 0, 1]])
    warp = ground @ np.linalg.inv(place @ np.diag([per_mm, per_mm, 1]))
    picture = cv2.warpPerspective(texture, warp, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return _faded(rng, picture, ground)


def _faded(rng: np.random.Generator, picture: Array, ground: Array) -> Array:
    """Let the far end of the ground fade into a blurred wall, so that no texture runs to the horizon."""
    height, width = picture.shape[:2]
    inverse = np.linalg.inv(ground)
    inverse = inverse / (inverse[2] @ np.array([width / 2, height * 0.6, 1.0]))
    rows, columns = np.mgrid[0:32, 0:32].astype(np.float32) / 31
    near = inverse[2, 0] * columns * width + inverse[2, 1] * rows * height + inverse[2, 2]
    far = np.clip((0.72 - near) / 0.30, 0, 1)
    if far.max() <= 0:
        return picture
    colour = picture[height // 2 :].mean((0, 1)) * rng.uniform(0.55, 1.25)
    share = cv2.resize((far * far * (3 - 2 * far)).astype(np.float32), (width, height))
    haze = cv2.blur(picture, (max(3, width // 130),) * 2)  # out of focus, which also hides the warp's moiré
    unsharp = np.sqrt(share)
    picture = cv2.blendLinear(picture, haze, 1 - unsharp, unsharp)
    wall = np.empty_like(picture)
    wall[:] = np.clip(colour, 0, 245)
    return cv2.blendLinear(picture, wall, 1 - share, share)


def _studio(rng: np.random.Generator, scene: str, size: tuple[int, int], horizon: float) -> Array:
    """Plain paper under soft light: a floor, a wall, and a round corner between them."""
    height, width = size
    if scene == "white":
        base = np.full(3, rng.uniform(0.93, 1.0))
    elif scene == "dark":
        base = np.full(3, rng.uniform(0.10, 0.25)) * rng.uniform(0.9, 1.1, 3)
    elif scene == "colour":
        base = np.array(COLOURS[int(rng.integers(len(COLOURS)))])
    else:
        base = np.full(3, rng.uniform(0.62, 0.92)) * rng.uniform(0.98, 1.02, 3)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None]
    edge = float(np.clip(horizon / height, 0.05, 0.6)) if scene in ("sweep", "colour") else 0.3
    spread = rng.uniform(0.05, 0.25)
    step = 1 / (1 + np.exp(-(rows - edge) / (spread / 3)))
    light = 1 + (step - 0.5) * rng.uniform(-0.02, 0.14) + np.zeros_like(columns)
    if scene in ("gradient", "dark"):
        x, y = rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.7)
        glow = np.exp(-(((columns - x) / 0.5) ** 2) - ((rows - y) / 0.5) ** 2)
        light = light * (0.80 + rng.uniform(0.2, 0.4) * glow) * (1 if scene == "gradient" else 0.8 + 0.9 * glow)
    picture = np.clip(light[..., None] * base.astype(np.float32), 0, 1)
    return cv2.convertScaleAbs(picture, alpha=255)


def _texture(rng: np.random.Generator, scene: str, longest: int) -> tuple[Array, float]:
    """A square texture, side×side×3 uint8, and its pixels per mm."""
    side = int(np.clip(longest, 256, 1280))
    per_mm = side / 340
    if scene == "wood":
        return _wood(rng, side), per_mm
    if scene == "fabric":
        return _fabric(rng, side), per_mm
    if scene == "stone":
        return _stone(rng, side), per_mm
    grain = noise(rng, (side, side), (side / 4, side / 4), 2) - 0.5
    clouds = noise(rng, (side, side), (3, 3), 3) - 0.5
    if scene == "paper":
        base = np.array(COLOURS[int(rng.integers(len(COLOURS)))]) * rng.uniform(0.9, 1.05)
        return ramp(0.5 + 0.5 * grain + 0.35 * clouds, tuple(base * 0.92), tuple(np.clip(base * 1.08, 0, 1))), per_mm
    grey = rng.uniform(0.45, 0.72)
    stains = noise(rng, (side, side), (18, 18), 4) - 0.5
    field = 0.5 + 0.45 * clouds + 0.4 * stains + 0.45 * grain
    return ramp(field, (grey * 0.72, grey * 0.72, grey * 0.70), (grey * 1.22, grey * 1.21, grey * 1.18)), per_mm


def _wood(rng: np.random.Generator, side: int) -> Array:
    """Planks along x, with curved growth rings, fine fibres, a different shade for each plank, and dark joints."""
    planks = int(rng.integers(3, 6))
    rows = np.linspace(0, planks, side, endpoint=False, dtype=np.float32)
    plank = np.floor(rows).astype(int)
    flow = noise(rng, (side, side), (planks * 2, 2), 1)
    flow += rng.uniform(0, 9, planks).astype(np.float32)[plank][:, None] + rows[:, None] * rng.uniform(0.5, 2)
    rings = np.sin(flow * rng.uniform(14, 24))
    fibres = noise(rng, (side, side), (side / 3, 9), 2) - 0.5
    shade = rng.uniform(-0.13, 0.13, planks).astype(np.float32)[plank][:, None]
    field = 0.5 + 0.09 * rings + 0.5 * fibres + shade
    joint = np.abs(rows - np.round(rows)) * side / planks
    field -= (0.6 * np.exp(-((joint / (side / 400)) ** 2)))[:, None]
    low, high = WOODS[int(rng.integers(len(WOODS)))]
    return ramp(field, low, high)


def _fabric(rng: np.random.Generator, side: int) -> Array:
    """A plain weave of uneven threads, with soft folds."""
    threads = rng.uniform(90, 150)
    step = np.arange(side, dtype=np.float32) / side * threads * np.pi
    wobble = (noise(rng, (side, side), (20, 20), 2) - 0.5) * 2.0
    down, across = np.sin(step[:, None] + wobble), np.sin(step[None] + wobble)
    weave = np.maximum(np.abs(down) * (0.8 + 0.2 * across), np.abs(across) * (0.8 - 0.2 * down))
    folds = noise(rng, (side, side), (3, 4), 2) - 0.5
    slubs = noise(rng, (side, side), (threads, 12), 1) + noise(rng, (side, side), (12, threads), 1) - 1
    base = np.array(COLOURS[int(rng.integers(len(COLOURS)))]) * rng.uniform(0.6, 1.0)
    field = 0.45 * weave + 0.35 * folds + 0.25 * slubs + 0.15
    return ramp(field, tuple(base * 0.72), tuple(np.clip(base * 1.12, 0, 1)))


def _stone(rng: np.random.Generator, side: int) -> Array:
    """Marble: thin veins where noise crosses its mean, over faint clouds."""
    clouds = noise(rng, (side, side), (3, 3), 4)
    field = noise(rng, (side, side), (2.5, 4), 5) - 0.5
    other = noise(rng, (side, side), (5, 3), 5) - 0.5
    veins = np.exp(-np.abs(field) * 22) * 0.6 + np.exp(-np.abs(other) * 34) * 0.3
    field = 0.95 - veins * (0.4 + 0.6 * clouds) + 0.25 * (clouds - 0.5)
    if rng.random() < 0.3:  # black marble with light veins
        return ramp(1 - field, (0.10, 0.10, 0.11), (0.85, 0.83, 0.80))
    return ramp(field, (0.48, 0.47, 0.46), (0.97, 0.96, 0.95))


def add_clutter(rng: np.random.Generator, picture: Array, ground: Array) -> Array:
    """Add one thing to the scene: a card or a cloth on the ground, the shadow of leaves, or a shop's badge."""
    kind = int(rng.integers(4))
    if kind == 0:
        return _leaves(rng, picture)
    if kind == 1:
        return _mark(rng, picture)
    return _sheet(rng, picture, ground, cloth=kind == 2)


def _leaves(rng: np.random.Generator, picture: Array) -> Array:
    """Soft shadows of leaves on a twig."""
    height, width = picture.shape[0] // 4, picture.shape[1] // 4
    mask = np.zeros((height, width), np.uint8)
    start, lean = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, 2 * np.pi)
    for number in range(int(rng.integers(7, 14))):
        middle = start + np.array([np.cos(lean), np.sin(lean)]) * (number - 4) * width * 0.07
        turn = np.degrees(lean) + (50 if number % 2 else -50)
        length = width * rng.uniform(0.05, 0.11)
        middle = middle + length * np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
        cv2.ellipse(mask, (middle, (2 * length, length * 0.7), turn), 255, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), width * rng.uniform(0.010, 0.025)) * np.float32(rng.uniform(0.12, 0.28) / 255)
    left = cv2.resize(1 - soft, picture.shape[1::-1])
    return cv2.multiply(picture, cv2.merge([left] * 3), dtype=cv2.CV_8U)


def _mark(rng: np.random.Generator, picture: Array) -> Array:
    """A round badge in a corner, as shops put on their pictures."""
    height, width = picture.shape[:2]
    radius = int(width * rng.uniform(0.03, 0.06))
    x = int(rng.choice([radius * 1.6, width - radius * 1.6]))
    y = int(rng.choice([radius * 1.6, height - radius * 1.6]))
    dark, bright = (25, 25, 28), tuple(int(255 * value) for value in COLOURS[int(rng.integers(len(COLOURS)))])
    cv2.circle(picture, (x, y), radius, dark, -1, cv2.LINE_AA)
    cv2.circle(picture, (x, y), int(radius * 0.86), bright, max(1, radius // 14), cv2.LINE_AA)
    size = radius / 62
    (wide, tall), _ = cv2.getTextSize("OPTIK", cv2.FONT_HERSHEY_DUPLEX, size, 1)
    cv2.putText(picture, "OPTIK", (x - wide // 2, y + tall // 2), cv2.FONT_HERSHEY_DUPLEX, size, bright, 1, cv2.LINE_AA)
    return picture


def _sheet(rng: np.random.Generator, picture: Array, ground: Array, *, cloth: bool) -> Array:
    """A printed card, or a cleaning cloth with wavy edges, that lies partly under the glasses."""
    half = np.array([rng.uniform(55, 85), rng.uniform(45, 70)]) if cloth else np.array([43.0, 27.0])
    edge = np.linspace(-1, 1, 24, endpoint=False)
    one = np.ones_like(edge)
    sides = (edge, -one), (one, edge), (-edge, one), (-one, -edge)
    outline = np.concatenate([np.stack(side, 1) for side in sides]) * half
    if cloth:
        turns = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
        outline *= 1 + 0.02 * (np.sin(5 * turns + rng.uniform(0, 6)) + np.sin(9 * turns + rng.uniform(0, 6)))[:, None]
    turn, shift = rng.uniform(0, np.pi), rng.uniform(-70, 70, 2) + np.array([0, 20])
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    colour = np.array(COLOURS[int(rng.integers(len(COLOURS)))]) if cloth else np.full(3, rng.uniform(0.85, 0.97))
    shadow = _laid(picture.shape[:2], outline @ spin.T + shift + [1.0, -1.5], ground)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(1.0, picture.shape[1] / 300)) * np.float32(0.45)
    mask = _laid(picture.shape[:2], outline @ spin.T + shift, ground)
    shaded = cv2.multiply(picture, cv2.merge([1 - shadow] * 3), dtype=cv2.CV_8U)
    paper = np.empty_like(picture)
    paper[:] = colour * 250
    if cloth:
        folds = noise(rng, picture.shape[:2], (6, 8), 2) * np.float32(0.3) + np.float32(0.8)
        paper = cv2.multiply(paper, cv2.merge([folds] * 3), dtype=cv2.CV_8U)
    return cv2.blendLinear(shaded, paper, 1 - mask, mask)


def _laid(size: tuple[int, int], outline: Array, ground: Array) -> Array:
    """A filled polygon n×2 mm on the ground: H×W float32 [0, 1]; empty if it would reach behind the camera."""
    seen = np.concatenate([outline, np.ones((len(outline), 1))], 1) @ ground.T
    mask = np.zeros(size, np.uint8)
    if (seen[:, 2] > 0.05).all():
        corners = np.clip(seen[:, :2] / seen[:, 2:], -20000, 20000)
        cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return mask * np.float32(1 / 255)
