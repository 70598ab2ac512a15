"""Drawn photos of glasses and their exact masks.

A small model in millimetres (`frames`) is posed (`stage`), projected and shaded by its surface normals (`shading`), and
painted on a scene (`scenes`) with the shadow that it casts there. The mask comes from the same polygons as the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from glasseg.drawing.frames import draw_glasses
from glasseg.drawing.glasses import Glasses, Material, Mesh, pebble
from glasseg.drawing.scenes import COLOURS, SCENES, add_clutter, backdrop
from glasseg.drawing.shading import FIXED, Box, View, over, paint, step, supersampling
from glasseg.drawing.stage import Ground, Stage, bounds, floor_map, pose, turned

__all__ = ["SCENES", "DrawnPhoto", "draw_photo", "draw_views"]

Array = np.ndarray


@dataclass(frozen=True)
class DrawnPhoto:
    """A drawn photo and its truth.

    `image`: H×W×3 uint8 RGB. `coverage`: H×W float32 [0, 1], the share of each pixel that is material of the glasses.
    `opening`: H×W float32 [0, 1], the share that is see-through (a clear lens, an enclosed gap); the sum of the two
    never exceeds 1. `name`: a name as in a catalog, without extension.
    """

    image: Array
    coverage: Array
    opening: Array
    name: str


def draw_photo(
    rng: np.random.Generator, size: tuple[int, int] = (1200, 1600), *, scene: str | None = None
) -> DrawnPhoto:
    """Draw a random photo of `size` (height, width) on `scene`, one of SCENES, by default a random one."""
    scene = str(rng.choice(list(SCENES))) if scene is None else scene
    glasses = draw_glasses(rng, _detail(size))
    view, ground = pose(rng, glasses, size, scene)
    return _drawn(rng, glasses, (view, ground), size, scene)


def draw_views(
    seed: int, yaws: Sequence[float], size: tuple[int, int] = (1200, 1600), *, scene: str = "sweep", share: float = 0.7
) -> list[DrawnPhoto]:
    """Draw the same pair from several sides, by the same camera at the same distance, as a shop photographs a product.

    `yaws`: how far the pair is turned, in radians; 0 is the front, which takes the `share` of the photo's width.
    """
    photos = []
    for yaw in yaws:
        rng = np.random.default_rng(seed)
        glasses = replace(draw_glasses(rng, _detail(size)), folded=False)
        photos.append(_drawn(rng, glasses, turned(glasses, yaw, size, share), size, scene))
    return photos


def _detail(size: tuple[int, int]) -> float:
    return float(np.clip(max(size) / 1400, 0.35, 1.0))


def _drawn(
    rng: np.random.Generator, glasses: Glasses, posed: tuple[View, Ground], size: tuple[int, int], scene: str
) -> DrawnPhoto:
    """The photo of glasses on a scene, from where `pose` or `turned` puts the camera."""
    view, ground = posed
    light = np.array([rng.uniform(-0.7, 0.7), rng.uniform(0.55, 0.9), rng.uniform(0.3, 0.7)])
    stage = Stage(view, ground, (light / np.linalg.norm(light)).astype(np.float32))
    floor, horizon = floor_map(view, ground, size)
    picture = backdrop(rng, scene, size, floor, horizon)
    picture = add_clutter(rng, picture, floor) if rng.random() < 0.35 else picture
    mesh = Mesh.join([glasses.front, glasses.back])
    shade = _shadows(rng, mesh, glasses.lenses if glasses.tinted else (), stage, size)
    prop = _prop(rng, mesh, stage) if rng.random() < 0.25 else None
    if prop is not None:
        shade *= _shadows(rng, prop[0], (), stage, size)
    picture = cv2.multiply(picture, cv2.merge([shade] * 3), dtype=cv2.CV_32F)
    if prop is not None:
        _paint_prop(picture, prop, stage)
    box = bounds(mesh, view, size)
    window = (slice(box[1], box[3]), slice(box[0], box[2]))
    part, coverage, lens = _paint_glasses(rng, picture[window], glasses, stage, box)
    picture[window] = part
    truth, clear = np.zeros((2, *size), np.float32)
    truth[window] = coverage
    image, truth = _photograph(rng, picture, truth)
    clear[window] = _opening(truth[window], lens)
    return DrawnPhoto(image, truth, clear, glasses.name)


# --- objects ---


def _prop(rng: np.random.Generator, mesh: Mesh, stage: Stage) -> tuple[Mesh, tuple[Material, ...]]:
    """A case or a box behind the glasses, which counts as background."""
    ground, ahead = stage.ground, stage.view.turn[2]
    up = ground.axes[2]
    back = up * (ahead @ up) - ahead  # away from the camera, along the ground
    back = back / np.linalg.norm(back) if np.linalg.norm(back) > 0.1 else ground.axes[1]
    side = np.cross(back, up)
    turn = rng.uniform(-0.5, 0.5)
    along, deep = side * np.cos(turn) + back * np.sin(turn), back * np.cos(turn) - side * np.sin(turn)
    half = np.array([rng.uniform(70, 85), rng.uniform(24, 34), rng.uniform(18, 30)])
    behind = float(((mesh.corners - ground.point).reshape(-1, 3) @ back).max()) + 8
    centre = (
        ground.point
        + back * (behind + half[1] + half[0] * abs(np.sin(turn)))
        + up * half[2]
        + side * rng.uniform(-90, 90)
    )
    axes = np.stack([along, up, deep]) * half[[0, 2, 1], None]
    colour = np.array(COLOURS[int(rng.integers(len(COLOURS)))], np.float32) * rng.uniform(0.15, 0.9)
    material = Material(np.stack([colour, colour * 0.8]), 0.0, 0.5, 0.0)
    return pebble(centre, axes, 36, 0, float(rng.choice([2.6, 9.0]))), (material,)


def _paint_prop(picture: Array, prop: tuple[Mesh, tuple[Material, ...]], stage: Stage) -> None:
    """Paint a prop on `picture` H×W×3 float32, in place."""
    box = bounds(prop[0], stage.view, picture.shape[:2])
    if box[0] == box[2] or box[1] == box[3]:
        return
    window = (slice(box[1], box[3]), slice(box[0], box[2]))
    layer = paint(prop[0], stage.view, box, 2, materials=prop[1], light=stage.light, facet=5.0)
    picture[window] = over(picture[window], layer)


def _paint_glasses(
    rng: np.random.Generator, picture: Array, glasses: Glasses, stage: Stage, box: Box
) -> tuple[Array, Array, Array]:
    """Paint the glasses on `picture`, the part in `box`; return it, its coverage, and the share under a clear lens."""
    factor = supersampling((box[3] - box[1], box[2] - box[0]))
    back, front = (
        paint(mesh, stage.view, box, factor, materials=glasses.materials, light=stage.light)
        for mesh in (glasses.back, glasses.front)
    )
    picture = over(picture, back)
    lens = np.zeros(picture.shape[:2], np.float32)
    streaks = np.array([rng.uniform(-0.7, 0.7), rng.uniform(0.0, 0.45), rng.uniform(0.1, 0.4), rng.uniform(0.0, 1.0)])
    for curve in glasses.lenses:
        _paint_lens(picture, stage.view.project(curve) - np.array(box[:2], np.float32), glasses, lens, streaks)
    picture = over(picture, front)
    bare = 1 - back.mask
    if glasses.tinted:
        bare = bare * (1 - lens)
    return picture, 1 - bare * (1 - front.mask), np.zeros_like(lens) if glasses.tinted else lens


def _paint_lens(picture: Array, outline: Array, glasses: Glasses, lens: Array, streaks: Array) -> None:
    """Paint one lens on `picture` and its mask on `lens`, in place. `outline`: n×2 pixels; `streaks`: see `_gleam`."""
    low = np.clip(np.floor(outline.min(0)).astype(int) - 1, 0, None)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, lens.shape[::-1])
    (width, height), window = high - low, (slice(low[1], high[1]), slice(low[0], high[0]))
    canvas = np.zeros((height * 4, width * 4), np.uint8)
    corners = np.round(((outline - low + 0.5) * 4 - 0.5) * 2**FIXED).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, shift=FIXED)
    mask = cv2.resize(canvas, (int(width), int(height)), interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    np.maximum(lens[window], mask, out=lens[window])
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    passes = glasses.passes[0] + (glasses.passes[1] - glasses.passes[0]) * step(y, 0.15, 0.95)[..., None]
    gleam = _gleam(x, y, glasses.shine, streaks)
    shone = picture[window] * passes + (255 * gleam)[..., None] * glasses.mirror
    picture[window] += mask[..., None] * (np.minimum(shone, 255) - picture[window])


def _gleam(x: Array, y: Array, shine: float, streaks: Array) -> Array:
    """What a lens reflects, h×w: the sky in its upper part and the two slanting bars of a window.

    `x` 1×w and `y` h×1 run over the lens from 0 to 1; `streaks` 4: slant, start, width and strength of the bars.
    """
    slant, start, width, strength = (float(value) for value in streaks)
    across = x + slant * y
    bar = step(across, start, start + 0.05) * (1 - step(across, start + width, start + width + 0.08))
    begin = start + width + 0.13
    thin = step(across, begin, begin + 0.04) * (1 - step(across, begin + width * 0.3, begin + width * 0.3 + 0.05))
    sky = 1 - step(y - 0.15 * x, 0.0, 0.95)
    if shine > 0.5:
        return shine * (0.45 + 0.6 * sky + 0.12 * strength * bar)
    return shine * (0.15 + 0.35 * sky + strength * (bar + 0.6 * thin) * (1 - step(y, 0.3, 1.0)))


# --- light on the ground, camera, truth ---


def _shadows(
    rng: np.random.Generator, mesh: Mesh, lenses: tuple[Array, ...], stage: Stage, size: tuple[int, int]
) -> Array:
    """The share of light that reaches the ground, H×W float32 [0, 1]; `lenses` n×3 mm cast shadows of their own."""
    factor = -(-max(size) // 450)  # shadows are soft: a small canvas will do
    small = (size[0] // factor + 1, size[1] // factor + 1)
    per_mm = stage.view.scale / stage.view.away / factor
    up = stage.ground.axes[2].astype(np.float32)
    ray = stage.light @ stage.view.turn  # towards the light, in the model
    ray = ray + up * max(0.0, 0.75 - float(ray @ up))  # the lamp is well above the ground
    lit = mesh.corners[mesh.normals @ ray > 0]
    height = _cast([curve[None] for curve in lenses] + [lit], ray, stage, small, factor)
    dark = _soften(height, per_mm)
    low = (mesh.corners.mean(1) - stage.ground.point) @ up < 4
    contact = (_cast([mesh.corners[low]], up, stage, small, factor) > 0).astype(np.float32)
    contact = cv2.GaussianBlur(contact, (0, 0), max(per_mm * 1.8, 0.6))
    left = (1 - rng.uniform(0.25, 0.6) * dark) * (1 - 0.5 * contact)
    return cv2.resize(left, (small[1] * factor, small[0] * factor), interpolation=cv2.INTER_LINEAR)[
        : size[0], : size[1]
    ]


def _cast(groups: list[Array], ray: Array, stage: Stage, size: tuple[int, int], factor: int) -> Array:
    """Project polygons m×n×3 mm along `ray` onto the ground: h×w uint8, 0 where there is none, else 1 + height in mm.

    Where several overlap, the last group wins, and in it the lowest polygon.
    """
    up = stage.ground.axes[2].astype(np.float32)
    canvas = np.zeros(size, np.uint8)
    for polygons in groups:
        heights = (polygons - stage.ground.point.astype(np.float32)) @ up
        fallen = polygons - ray * (heights / float(ray @ up))[..., None]
        corners = np.round(stage.view.project(fallen) / factor * 2**FIXED).astype(np.int32)
        value = np.clip(1 + heights.mean(1), 1, 255)
        order = np.argsort(-value, kind="stable")
        for polygon, grey in zip(corners[order], value[order].tolist(), strict=True):
            cv2.fillPoly(canvas, [polygon], grey, shift=FIXED)
    return canvas


def _soften(height: Array, per_mm: float) -> Array:
    """A shadow h×w float32 [0, 1], the softer the higher its caster: blurs of several widths, mixed by height."""
    mask = (height > 0).astype(np.float32)
    wide = max(per_mm * 4, 1.0)
    local = cv2.GaussianBlur(height.astype(np.float32), (0, 0), wide) / (cv2.GaussianBlur(mask, (0, 0), wide) + 1e-3)
    level = np.log2(np.clip(0.4 + 0.10 * local, 0.6, 9.5) / 0.6)  # the blur at each pixel, as doublings of 0.6 mm
    total = np.zeros_like(mask)
    for doubling in range(5):
        blurred = cv2.GaussianBlur(mask, (0, 0), max(per_mm * 0.6 * 2**doubling, 0.5))
        total += blurred * np.clip(1 - np.abs(level - doubling), 0, 1)
    return total


def _photograph(rng: np.random.Generator, picture: Array, coverage: Array) -> tuple[Array, Array]:
    """What the camera adds: a little blur (to the truth as well), a vignette and noise."""
    height, width = coverage.shape
    sigma = rng.uniform(0.35, 0.75)
    picture, coverage = (cv2.GaussianBlur(plane, (5, 5), sigma) for plane in (picture, coverage))
    y, x = np.mgrid[-1:1:24j, -1:1:24j].astype(np.float32)
    fall = cv2.resize(1 - rng.uniform(0, 0.10) * (x * x + y * y), (width, height))
    half = rng.standard_normal((height // 2 + 1, width // 2 + 1), dtype=np.float32) * rng.uniform(0.6, 2.2)
    grain = np.block([[half, half[:, ::-1]], [half[::-1], half[::-1, ::-1]]])[:height, :width]
    image = cv2.multiply(picture, cv2.merge([fall] * 3))
    image = cv2.add(image, cv2.merge([grain] * 3))
    return cv2.convertScaleAbs(np.maximum(image, 0)), np.clip(coverage, 0, 1)


def _opening(coverage: Array, lens: Array) -> Array:
    """The share of each pixel that is see-through: a clear lens, or background enclosed by material."""
    bare = (coverage < 0.5).view(np.uint8)
    count, labels = cv2.connectedComponents(bare, connectivity=4)
    outside = np.zeros(count, bool)
    outside[0] = True
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    gaps = (~outside)[labels].astype(np.uint8)
    gaps = cv2.dilate(gaps, np.ones((5, 5), np.uint8)).astype(np.float32)
    return np.minimum(np.maximum(gaps, lens), 1 - coverage)
