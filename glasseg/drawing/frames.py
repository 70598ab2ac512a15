"""The frame of one drawn pair of glasses: rims, bridge, end pieces, hinges, pads and temples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from glasseg.drawing.glasses import (
    ACETATE,
    METALS,
    SHAPES,
    TINTS,
    Array,
    Glasses,
    Material,
    Mesh,
    bent,
    lens_curve,
    patterned,
    pebble,
    resample,
    smooth,
    swept,
)

WORDS: Final = ("oak", "linden", "harbor", "meadow", "ember", "nordic", "sol", "vega", "atlas", "fjord", "luna")
FRAME, TRIM, TIP, PAD, THREAD = range(5)  # places in Glasses.materials


@dataclass(frozen=True)
class Plan:
    """The dimensions of one pair in mm: `curve` n×2 is the right lens, `reach` the height of the hinges."""

    shape: str
    metal: bool
    curve: Array
    gap: float
    wrap: float
    rim: tuple[float, float]
    reach: float
    temple: tuple[float, float]
    around: int


def draw_glasses(rng: np.random.Generator, detail: float = 1.0) -> Glasses:
    """A random pair. `detail` scales the number of quads: 0.5 suits thumbnails, 1 suits 1600 pixels."""
    shape = str(rng.choice(list(SHAPES)))
    metal = shape in ("aviator", "rimless") or (
        shape in ("round", "oval", "panto", "rectangle", "halfrim", "square") and rng.random() < 0.45
    )
    materials, wording = _materials(rng, shape, metal)
    plan = _plan(rng, shape, metal, detail)
    folded = bool(rng.random() < 0.22)
    rims, lenses = _rims(rng, plan)
    sides = [_end_piece(rng, plan)]
    front = Mesh.join([rims, _bridge(rng, plan), *sides, *[side.mirrored() for side in sides]])
    back = Mesh.join([*_temples(rng, plan, folded), *_pads(plan)])
    tinted = bool(rng.random() < (0.9 if shape in ("aviator", "shield", "oversized") else 0.45))
    tint = str(rng.choice(list(TINTS)))
    above, below, mirror, shine = TINTS[tint] if tinted else ((0.97, 0.98, 0.98),) * 2 + ((0.9, 0.95, 1.0), 0.1)
    word = str(rng.choice(WORDS))
    return Glasses(
        patterned(rng, front),
        patterned(rng, back),
        lenses,
        materials,
        np.array([above, below], np.float32),
        np.array(mirror, np.float32),
        shine,
        tinted,
        folded,
        "-".join([shape, wording, tint, word] if tinted else [shape, wording, word]),
    )


def _materials(rng: np.random.Generator, shape: str, metal: bool) -> tuple[tuple[Material, ...], str]:
    """The materials of frame, trim, temple tips, pads and thread, and the word a catalog would use for the frame's."""
    plastic = str(rng.choice(list(ACETATE), p=_weights()))
    alloy = str(rng.choice(list(METALS)))
    first, second, clear = ACETATE[plastic]
    gloss = float(rng.choice([0.5, 1.0], p=[0.2, 0.8]))
    acetate = Material(np.array([first, second], np.float32), 0.0, gloss, clear)
    bare = Material(np.array([METALS[alloy]] * 2, np.float32), 1.0, 1.0 if alloy != "matte-black" else 0.4, 0.0)
    pads = Material(np.array([[0.90, 0.90, 0.86]] * 2, np.float32), 0.0, 1.0, 0.7)
    thread = Material(np.array([[0.80, 0.84, 0.84]] * 2, np.float32), 0.0, 0.6, 0.55)
    if metal:
        return (bare, bare, acetate, pads, thread), alloy
    return (acetate, bare, acetate, pads, thread), plastic


def _weights() -> Array:
    """How often each acetate is drawn: black and tortoise are what shops sell most."""
    weights = np.array([6.0 if name == "black" else 3.0 if name in ("tortoise", "havana") else 1.0 for name in ACETATE])
    return weights / weights.sum()


def _plan(rng: np.random.Generator, shape: str, metal: bool, detail: float) -> Plan:
    curve = lens_curve(rng, shape, int(max(48, 150 * detail)))
    rim = (rng.uniform(1.0, 1.7), rng.uniform(1.5, 2.2)) if metal else (rng.uniform(2.6, 5.4), rng.uniform(3.2, 4.6))
    if shape in ("browline", "halfrim"):
        rim = (1.2, 1.7)
    if shape == "shield":
        rim = (rng.uniform(1.8, 3.0), 3.0)
    temple = (rng.uniform(0.7, 1.3), rng.uniform(0.5, 0.7)) if metal else (rng.uniform(1.9, 3.9), rng.uniform(1.4, 1.9))
    wrap = {"shield": 85.0, "aviator": 190.0}.get(shape, 260.0) * rng.uniform(0.9, 1.2)
    reach = SHAPES[shape][1] * (rng.uniform(0.35, 0.62) if not metal else rng.uniform(0.25, 0.5))
    gap = rng.uniform(15, 19) if metal else rng.uniform(16, 20)
    return Plan(shape, metal, curve, gap, wrap, rim, reach, temple, int(max(8, 18 * detail)))


def _centre(plan: Plan) -> float:
    """The x coordinate of the right lens's centre."""
    return 0.0 if plan.shape == "shield" else plan.gap / 2 - float(plan.curve[:, 0].min())


def _rims(rng: np.random.Generator, plan: Plan) -> tuple[Mesh, tuple[Array, ...]]:
    """The rims of both lenses (or of the only one of a shield), and the lens curves themselves."""
    right = plan.curve + np.array([_centre(plan), 0.0])
    width, depth = plan.rim
    ahead = np.roll(right, -1, 0) - np.roll(right, 1, 0)
    outward = np.stack([ahead[:, 1], -ahead[:, 0]], 1) / np.linalg.norm(ahead, axis=1, keepdims=True)
    top = np.clip(outward[:, 1], 0, 1)
    wide = width * (1 + (0.0 if plan.metal else 0.45) * top)
    if plan.shape == "cateye":  # the wing
        wide = wide * (1 + 0.6 * np.exp(-((1 - outward @ [0.6, 0.8]) / 0.25)))
    meshes = []
    if plan.shape == "rimless":
        meshes.append(_ring(right, outward, np.full(len(right), 0.7), 1.6, plan, material=THREAD))
    elif plan.shape in ("halfrim", "browline"):
        turned = np.roll(np.arange(len(right)), len(right) // 4)  # begins and ends at the bottom
        above = outward[turned, 1] > -0.05
        brow, wire = turned[above], np.roll(turned, len(right) // 2)[np.roll(~above, len(right) // 2)]
        meshes.append(_ring(right[wire], outward[wire], wide[wire] * 0.9, depth, plan, material=THREAD, closed=False))
        bulge = rng.uniform(3.5, 5.5) if plan.shape == "browline" else rng.uniform(1.4, 2.6)
        swell = bulge * (0.45 + 0.55 * np.sin(np.linspace(0.25, np.pi, len(brow))) ** 0.7)
        meshes.append(_ring(right[brow], outward[brow], swell, depth + 1.6, plan, material=FRAME, closed=False))
    else:
        meshes.append(_ring(right, outward, wide, depth, plan, material=FRAME))
    lens = bent(resample(right + outward * (width * 0.5), 160, closed=True), plan.wrap)
    if plan.shape == "shield":
        return meshes[0], (lens,)
    return Mesh.join([*meshes, *[mesh.mirrored() for mesh in meshes]]), (lens, lens * np.array([-1, 1, 1], np.float32))


def _ring(
    curve: Array, outward: Array, wide: Array, depth: float, plan: Plan, *, material: int, closed: bool = True
) -> Mesh:
    """A rim around `curve` n×2, `wide` n mm across and `depth` mm thick."""
    middle = bent(curve + outward * wide[:, None] / 2, plan.wrap)
    up = np.concatenate([outward, np.zeros((len(outward), 1))], 1).astype(np.float32)
    half = np.stack([wide / 2, np.full(len(wide), depth / 2)], 1).astype(np.float32)
    return swept(middle, up, half, 2.2 if plan.metal else 4.5, plan.around, material=material, closed=closed)


def _level(count: int) -> Array:
    return np.repeat(np.array([[0, 1, 0]], np.float32), count, 0)


def _tube(points: list[tuple[float, float, float]], half: tuple[float, float], plan: Plan, material: int) -> Mesh:
    """A smooth bar through `points`, thinnest in its middle."""
    path = bent(smooth(points, max(14, plan.around * 2)), plan.wrap)
    waist = 1 + 0.35 * np.abs(np.linspace(-1, 1, len(path))) ** 2
    power = 2.2 if plan.metal else 3.0
    return swept(path, _level(len(path)), waist[:, None] * np.array([half]), power, plan.around, material=material)


def _side_x(plan: Plan, height: float, outer: bool) -> float:
    """The x coordinate at which the right lens's outer (or nasal) side passes `height`."""
    side = plan.curve[(plan.curve[:, 0] > 0) == outer]
    return _centre(plan) + float(side[np.argmin(np.abs(side[:, 1] - height)), 0])


def _bridge(rng: np.random.Generator, plan: Plan) -> Mesh:
    if plan.shape == "shield":  # a shield has no bridge, only the nose piece behind its notch
        y = float(plan.curve[np.abs(plan.curve[:, 0]) < 4, 1].min())
        return _tube([(-10, y - 7, -2), (-4, y + 0, -3), (4, y + 0, -3), (10, y - 7, -2)], (1.4, 2.4), plan, TIP)
    if not plan.metal and plan.shape not in ("browline", "halfrim"):
        y = plan.reach * rng.uniform(0.5, 1.0)
        end = _side_x(plan, y, outer=False) - 0.45 * plan.rim[0]
        arch = rng.uniform(0.5, 3.0)
        size = (plan.rim[0] * rng.uniform(0.6, 0.9), plan.rim[1] * 0.36)
        points = [(-end, y, 0), (-end / 2, y + arch, 0.5), (end / 2, y + arch, 0.5), (end, y, 0)]
        return _tube(points, size, plan, FRAME)
    y = plan.reach * rng.uniform(0.2, 0.9)
    end = _side_x(plan, y, outer=False) - 0.4 * plan.rim[0]
    arch, thick = rng.uniform(1.5, 4.5), (0.7, 0.65)
    bars = [_tube([(-end, y, 0), (-end * 0.6, y + arch, 2), (end * 0.6, y + arch, 2), (end, y, 0)], thick, plan, TRIM)]
    if plan.shape == "aviator" or (plan.shape == "square" and rng.random() < 0.4):
        y = float(plan.curve[:, 1].max()) * 0.86
        end = _side_x(plan, y, outer=False) + 1.0
        points = [(-end, y, 0), (-end / 2, y + 2, 1.5), (end / 2, y + 2, 1.5), (end, y, 0)]
        bars.append(_tube(points, thick, plan, TRIM))
    return Mesh.join(bars)


def _hinge(plan: Plan) -> tuple[float, float, float]:
    """Where the right temple starts, on the flat front."""
    x = _side_x(plan, plan.reach, outer=True) + plan.rim[0]
    return x + (2.8 if plan.shape != "shield" else 0.5), plan.reach, -6.5


def _end_piece(rng: np.random.Generator, plan: Plan) -> Mesh:
    """The part between the right rim and the hinge, with its rivets."""
    x, y, z = _hinge(plan)
    inner = _side_x(plan, y, outer=True) + 0.45 * plan.rim[0]
    tall = max(plan.temple[0], 1.0 if plan.metal else 2.4) * 0.8
    points = [(inner, y, 0.0), (x - 1.2, y, 0.0), (x + 0.3, y, -0.8), (x, y, z)]
    material = TRIM if plan.metal else FRAME
    parts = [_tube(points, (tall, max(plan.temple[1], 0.8) * 0.8), plan, material)]
    if not plan.metal and rng.random() < 0.4:  # a pair of rivets
        for offset in (-1.1, 1.1):
            centre = bent(np.array([[x - 4.0, y + offset, plan.rim[1] / 2]]), plan.wrap)[0]
            parts.append(pebble(centre, np.diag([0.5, 0.9, 0.6]), 8, TRIM))
    return Mesh.join(parts)


def _temples(rng: np.random.Generator, plan: Plan, folded: bool) -> list[Mesh]:
    """Both temples: open, running back and a little inwards, or folded behind the front."""
    start = bent(np.array([_hinge(plan)]), plan.wrap)[0]
    length, hook = rng.uniform(88, 102), rng.uniform(0.45, 0.8)
    bow, drop = rng.uniform(-10, 2), rng.uniform(2, 6)
    along = [(0, 0, 0), (20, 0, 0.5), (55, bow / 2, 0), (length, bow, -drop)]
    along += [(length + 16, bow, -drop - 7), (length + 40, bow - 2, -drop - 10 - 34 * hook)]
    path = smooth([(float(across), float(y), -float(s)) for s, across, y in along], int(max(36, plan.around * 5)))
    tall, thick = plan.temple
    share = np.linspace(0, 1, len(path))
    profile = np.interp(share, [0, 0.08, 0.5, 0.7, 0.93, 1], [1.05, 1.0, 0.85, 0.8, 1.05, 0.75])
    material = TRIM if plan.metal else FRAME
    parts = []
    for mirror, turn in ((False, 1.50), (True, 1.56)):
        angle = turn if folded else rng.uniform(-0.04, 0.05)
        x = path[:, 0] * np.cos(angle) + path[:, 2] * np.sin(angle)
        z = (
            path[:, 2] * np.cos(angle)
            - path[:, 0] * np.sin(angle) * 0.3
            - (4.0 + 2 * thick if folded and mirror else 0.0)
        )
        turned = (np.stack([x, path[:, 1], z], 1) + start).astype(np.float32)
        half = (profile[:, None] * np.array([[tall, thick]])).astype(np.float32)
        mesh = swept(turned, _level(len(path)), half, 2.2 if plan.metal else 3.2, plan.around, material=material)
        joint = pebble(start + np.array([-1.0, 0, -0.5]), np.diag([1.2, tall * 0.9, 1.6]), 8, TRIM, 3.0)
        pieces = [mesh, joint]
        if plan.metal:  # plastic sleeves over the ends of a wire
            tip = share > 0.68
            tall_tip = np.interp(share[tip], [0.68, 0.75, 0.95, 1], [1.3, 1.7, 2.3, 1.6])
            sleeve = tall_tip[:, None] * np.array([[1.0, 0.75]])
            pieces.append(swept(turned[tip], _level(int(tip.sum())), sleeve, 2.4, plan.around, material=TIP))
        whole = Mesh.join(pieces)
        parts.append(whole.mirrored() if mirror else whole)
    return parts


def _pads(plan: Plan) -> list[Mesh]:
    """Nose pads on their arms, for metal fronts only: in acetate the pads are part of the rim."""
    if not plan.metal and plan.shape not in ("browline", "halfrim"):
        return []
    root = _side_x(plan, -3.0, outer=False)
    wire = [(root, -2, -0.5), (root - 1, -1, -5), (root - 3.0, -3.5, -8), (root - 2.2, -6, -6.5)]
    arm = _tube(wire, (0.4, 0.4), plan, TRIM)
    axes = np.array([[1.5, 5.6, 0.5], [1.0, -0.5, 3.0], [1.15, 0.1, -0.4]])
    pad = pebble(np.array([root - 2.4, -6.5, -6.0]), axes, 12, PAD)
    return [arm, pad, arm.mirrored(), pad.mirrored()]
