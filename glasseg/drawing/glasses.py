"""One drawn pair of glasses: its shape in millimetres, its materials and its lenses.

Axes: x to the viewer's right, y up, z towards the viewer; the front lies near z = 0, the temples run towards -z.
Everything is a mesh of small quads, swept along the curves of the frame, that `shading` projects and shades.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

Array = np.ndarray

SHAPES: Final = {  # half width, half height, squareness above and below, taper, lift of the outer top, teardrop
    "round": (23.5, 23.0, 2.0, 2.0, 0.0, 0.0, 0.0),
    "oval": (26.0, 18.5, 2.1, 2.1, 0.0, 0.0, 0.0),
    "panto": (24.5, 22.5, 2.7, 2.05, 0.06, 0.3, 0.0),
    "rectangle": (27.0, 16.5, 3.8, 3.6, 0.04, 0.6, 0.0),
    "square": (26.0, 20.5, 4.2, 3.8, 0.05, 0.5, 0.0),
    "wayfarer": (26.0, 19.5, 4.0, 2.7, 0.12, 2.5, 0.0),
    "aviator": (29.0, 24.0, 2.9, 2.1, 0.09, 0.5, 5.5),
    "cateye": (27.0, 16.5, 2.35, 2.1, 0.07, 9.0, 0.0),
    "browline": (25.5, 20.0, 3.2, 2.2, 0.07, 1.0, 0.0),
    "rimless": (26.5, 17.0, 2.9, 2.7, 0.03, 0.5, 0.0),
    "halfrim": (26.5, 17.5, 3.4, 2.5, 0.05, 0.8, 0.0),
    "oversized": (30.0, 25.0, 3.2, 2.4, 0.06, 2.5, 0.0),
    "shield": (66.0, 23.0, 3.4, 2.6, 0.0, 0.0, 0.0),
}
ACETATE: Final = {  # the two colours of the pattern (equal: plain), the share of light that passes
    "black": ((0.035, 0.035, 0.04), (0.035, 0.035, 0.04), 0.0),
    "tortoise": ((0.10, 0.05, 0.03), (0.55, 0.27, 0.08), 0.0),
    "havana": ((0.19, 0.08, 0.04), (0.78, 0.50, 0.22), 0.12),
    "navy": ((0.05, 0.08, 0.20), (0.05, 0.08, 0.20), 0.0),
    "bordeaux": ((0.30, 0.04, 0.08), (0.36, 0.06, 0.10), 0.1),
    "olive": ((0.22, 0.22, 0.10), (0.27, 0.27, 0.13), 0.1),
    "ivory": ((0.86, 0.81, 0.70), (0.90, 0.86, 0.77), 0.0),
    "white": ((0.90, 0.90, 0.90), (0.90, 0.90, 0.90), 0.0),
    "red": ((0.68, 0.05, 0.06), (0.68, 0.05, 0.06), 0.0),
    "crystal": ((0.93, 0.94, 0.95), (0.93, 0.94, 0.95), 0.85),
    "smoke": ((0.42, 0.43, 0.47), (0.42, 0.43, 0.47), 0.55),
    "honey": ((0.80, 0.52, 0.20), (0.86, 0.60, 0.28), 0.55),
    "rose": ((0.88, 0.62, 0.60), (0.92, 0.70, 0.67), 0.6),
    "marbled-grey": ((0.12, 0.12, 0.13), (0.55, 0.55, 0.57), 0.0),
}
METALS: Final = {
    "gold": (0.93, 0.74, 0.42),
    "silver": (0.82, 0.83, 0.85),
    "gunmetal": (0.34, 0.35, 0.38),
    "copper": (0.83, 0.55, 0.42),
    "matte-black": (0.09, 0.09, 0.10),
}
TINTS: Final = {  # the colour of light that passes at the top and the bottom, the colour and strength of the mirror
    "grey": ((0.10, 0.10, 0.11), (0.16, 0.16, 0.17), (0.75, 0.80, 0.85), 0.12),
    "brown": ((0.16, 0.09, 0.05), (0.26, 0.16, 0.09), (0.80, 0.78, 0.72), 0.12),
    "green": ((0.08, 0.13, 0.08), (0.14, 0.21, 0.13), (0.75, 0.82, 0.78), 0.12),
    "grey-fade": ((0.08, 0.08, 0.09), (0.55, 0.55, 0.57), (0.75, 0.80, 0.85), 0.10),
    "brown-fade": ((0.18, 0.09, 0.05), (0.74, 0.56, 0.44), (0.80, 0.80, 0.75), 0.10),
    "rose-fade": ((0.42, 0.16, 0.22), (0.88, 0.62, 0.62), (0.85, 0.80, 0.80), 0.10),
    "yellow": ((0.85, 0.68, 0.12), (0.88, 0.74, 0.20), (0.95, 0.95, 0.85), 0.12),
    "blue-mirror": ((0.03, 0.05, 0.09), (0.03, 0.05, 0.09), (0.25, 0.50, 0.90), 0.85),
    "gold-mirror": ((0.06, 0.04, 0.02), (0.06, 0.04, 0.02), (0.95, 0.62, 0.20), 0.85),
    "silver-mirror": ((0.05, 0.05, 0.06), (0.05, 0.05, 0.06), (0.78, 0.82, 0.88), 0.85),
    "pink-mirror": ((0.06, 0.03, 0.05), (0.06, 0.03, 0.05), (0.90, 0.42, 0.60), 0.85),
}


@dataclass(frozen=True)
class Material:
    """How a surface looks: `colours` 2×3 float32 [0, 1] are the ends of the pattern, the rest are shares in [0, 1]."""

    colours: Array
    metal: float
    gloss: float
    clear: float


@dataclass(frozen=True)
class Mesh:
    """M quads: `corners` M×4×3 mm, outward unit `normals` M×3, `pattern` M [0, 1], `material` M (index)."""

    corners: Array
    normals: Array
    pattern: Array
    material: Array

    @staticmethod
    def join(meshes: list[Mesh]) -> Mesh:
        """The quads of several meshes as one mesh."""
        return Mesh(
            np.concatenate([mesh.corners for mesh in meshes]),
            np.concatenate([mesh.normals for mesh in meshes]),
            np.concatenate([mesh.pattern for mesh in meshes]),
            np.concatenate([mesh.material for mesh in meshes]),
        )

    def mirrored(self) -> Mesh:
        """The same part on the other side (x negated)."""
        flip = np.array([-1, 1, 1], np.float32)
        return Mesh(self.corners * flip, self.normals * flip, self.pattern, self.material)


@dataclass(frozen=True)
class Glasses:
    """One pair: `back` (temples, pads) is painted first, then the lenses, then `front` (rims, bridge, end pieces).

    `lenses`: closed curves n×3 mm. `passes` 2×3: the colour that a lens lets through at its top and bottom; `mirror` 3
    and `shine`: the colour and the strength of what it reflects. `tinted`: whether the lenses count as material.
    """

    front: Mesh
    back: Mesh
    lenses: tuple[Array, ...]
    materials: tuple[Material, ...]
    passes: Array
    mirror: Array
    shine: float
    tinted: bool
    folded: bool
    name: str


def resample(path: Array, count: int, *, closed: bool = False) -> Array:
    """`count` points at equal steps along a polyline n×d: count×d float32."""
    path = np.concatenate([path, path[:1]]) if closed else path
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    steps = np.linspace(0, along[-1], count, endpoint=not closed)
    return np.stack([np.interp(steps, along, column) for column in path.T], 1).astype(np.float32)


def smooth(points: list[tuple[float, float, float]], count: int) -> Array:
    """A path of `count` points along a polyline with rounded corners (Chaikin's algorithm); the ends stay."""
    path = np.array(points, np.float32)
    for _ in range(4):
        cut = np.stack([0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]], 1).reshape(-1, 3)
        path = np.concatenate([path[:1], cut[1:-1], path[-1:]])
    return resample(path, count)


def lens_curve(rng: np.random.Generator, shape: str, count: int) -> Array:
    """The outline of the right lens around its centre, counter-clockwise from the outer side: count×2 mm."""
    half_w, half_h, above, below, taper, lift, drop = SHAPES[shape]
    half_w, half_h = half_w * rng.uniform(0.94, 1.06), half_h * rng.uniform(0.93, 1.07)
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    power = 2 / np.where(np.sin(angle) >= 0, above, below) * rng.uniform(0.94, 1.06)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    px = half_w * x * (1 + taper * y) + drop * np.clip(-y, 0, None) ** 1.3 * np.clip(-x, -0.25, 1)
    py = half_h * y + lift * ((x + 1) / 2) ** 2 * (0.55 + 0.45 * y)
    if shape == "shield":  # one lens for both eyes, notched for the nose
        notch, ends = np.exp(-((px / 11.0) ** 2)), (px / half_w) ** 2
        py = py + np.where(y < 0, 17.0 * notch + 7.0 * ends**2, -3.0 * ends)
    return resample(np.stack([px, py], 1), count, closed=True)


def swept(
    path: Array, up: Array, half: Array, power: float, around: int, *, material: int, closed: bool = False
) -> Mesh:
    """A tube along `path` n×3: `half` n×2 is its half size along `up` n×3 and across; open ends get caps."""
    if not closed:
        path, up = (np.concatenate([rows[:1], rows, rows[-1:]]) for rows in (path, up))
        half = np.concatenate([half[:1] * 0, half, half[-1:] * 0])
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    side = np.cross(along, up)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    up = np.cross(side, along)
    up /= np.linalg.norm(up, axis=1, keepdims=True) + 1e-9
    angle = np.linspace(0, 2 * np.pi, 16 * around, endpoint=False)
    sin, cos = np.sin(angle), np.cos(angle)
    outline = np.stack([np.sign(sin) * np.abs(sin) ** (2 / power), np.sign(cos) * np.abs(cos) ** (2 / power)], 1)
    tall, wide = resample(outline, around, closed=True).T
    rings = up[:, None] * (half[:, :1] * tall)[..., None] + side[:, None] * (half[:, 1:] * wide)[..., None]
    return quads(path[:, None] + rings, path, material, closed)


def quads(grid: Array, spine: Array, material: int, closed: bool = False) -> Mesh:
    """The mesh of a grid n×around×3 whose rows are rings around the points `spine` n×3."""
    last = len(grid) if closed else len(grid) - 1
    here, ahead = np.arange(last), (np.arange(last) + 1) % len(grid)
    turned = np.roll(grid, -1, 1)
    corners = np.stack([grid[here], turned[here], turned[ahead], grid[ahead]], 2)
    inside = (spine[here] + spine[ahead])[:, None] / 2
    if not closed:  # an end cap is level with the end of the spine: take a point further inside
        inside[[0, -1]] = spine[[min(2, last), max(last - 2, 0)]][:, None]
    normals = np.cross(corners[:, :, 2] - corners[:, :, 0], corners[:, :, 3] - corners[:, :, 1])
    outward = np.sum(normals * (corners.mean(2) - inside), axis=2, keepdims=True)
    normals *= np.sign(outward) / (np.linalg.norm(normals, axis=2, keepdims=True) + 1e-9)
    flat = corners.reshape(-1, 4, 3).astype(np.float32)
    zeros = np.zeros(len(flat), np.float32)
    return Mesh(flat, normals.reshape(-1, 3).astype(np.float32), zeros, np.full(len(flat), material, np.uint8))


def pebble(centre: Array, axes: Array, around: int, material: int, power: float = 2.0) -> Mesh:
    """A rounded block around `centre` 3: the rows of `axes` 3×3 are its half axes; a high `power` makes it boxy."""
    steps = np.linspace(-1, 1, max(6, around // 2 * 2 + 1))
    width = np.clip(1 - np.abs(steps) ** power, 0, 1) ** (1 / power)
    path = (centre + steps[:, None] * axes[0]).astype(np.float32)
    length = np.linalg.norm(axes, axis=1)
    up = np.repeat(axes[1:2] / length[1], len(steps), 0)
    return swept(path, up, width[:, None] * length[None, 1:], power, around, material=material)


def bent(points: Array, wrap: float) -> Array:
    """Points n×2 or n×3 of a flat front, bent to a curve of radius `wrap` mm: n×3."""
    depth = points[:, 2] if points.shape[1] == 3 else 0.0
    return np.stack([points[:, 0], points[:, 1], depth - points[:, 0] ** 2 / (2 * wrap)], 1).astype(np.float32)


def patterned(rng: np.random.Generator, mesh: Mesh) -> Mesh:
    """The mesh with a blotchy pattern: a smooth random field in space, as in a block of tortoiseshell."""
    waves = rng.normal(size=(3, 14)) * rng.uniform(0.25, 0.75, 14) / np.sqrt(3) * np.array([[0.9], [0.7], [0.5]])
    field = np.cos(mesh.corners.mean(1) @ waves + rng.uniform(0, 2 * np.pi, 14)).sum(1) / np.sqrt(14 / 2)
    return Mesh(mesh.corners, mesh.normals, np.clip(0.5 + 0.30 * field, 0, 1).astype(np.float32), mesh.material)
