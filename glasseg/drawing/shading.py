"""From a mesh to shaded pixels: a camera, polygons painted from far to near, and light looked up by surface normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.drawing.glasses import Material, Mesh

Array = np.ndarray
Box = tuple[int, int, int, int]  # x0, y0, x1, y1, half-open pixels
TABLE: Final = 96  # steps per component of a surface normal in the shading tables
FIXED: Final = 4  # fractional bits of polygon corners, as cv2 takes them


@dataclass(frozen=True)
class View:
    """A camera: rotates model points by `turn` 3×3, looks from `away` mm; `scale` and `shift` place the picture."""

    turn: Array
    away: float
    scale: float
    shift: Array

    def project(self, points: Array) -> Array:
        """Project points …×3 in mm to pixels …×2 (x, y)."""
        seen = points @ self.turn.T.astype(np.float32)
        depth = np.maximum(self.away - seen[..., 2:], 1.0)
        return seen[..., :2] * np.array([1, -1], np.float32) * (self.scale / depth) + self.shift.astype(np.float32)


@dataclass(frozen=True)
class Layer:
    """A painted part of the photo: `colour` h×w×3 float32 [0, 255], premultiplied by `mask` h×w float32 [0, 1].

    `passes` h×w×3 float32 [0, 1]: the light that the material itself lets through, premultiplied by `mask`.
    """

    colour: Array
    mask: Array
    passes: Array


def supersampling(size: tuple[int, int]) -> int:
    """The supersampling factor for a picture of `size`: small pictures can afford more."""
    return 2 if max(size) > 800 else 3


def raster(mesh: Mesh, view: View, box: Box, factor: int) -> Array:
    """The mesh in `box` at `factor` times its size: h×w×4 uint8 (normal x, normal y, pattern, material + 1)."""
    towards = np.array([0, 0, view.away], np.float32) - mesh.corners.mean(1) @ view.turn.T
    normals = mesh.normals @ view.turn.T
    facing = np.sum(normals * towards, axis=1) > 0
    order = np.flatnonzero(facing)[np.argsort(-np.linalg.norm(towards[facing], axis=1), kind="stable")]
    seen = (view.project(mesh.corners[order]) - np.array(box[:2], np.float32) + 0.5) * factor - 0.5
    corners = np.round(seen * 2**FIXED).astype(np.int32)
    paint = np.empty((len(order), 4), np.int32)
    paint[:, :2] = np.round(127.5 + 127.5 * normals[order, :2])
    paint[:, 2] = np.round(255 * mesh.pattern[order])
    paint[:, 3] = mesh.material[order] + 1
    canvas = np.zeros(((box[3] - box[1]) * factor, (box[2] - box[0]) * factor, 4), np.uint8)
    for quad, colour in zip(corners, paint.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, quad, colour, shift=FIXED)
    return canvas


def table(material: Material, light: Array) -> Array:
    """Shading by normal, TABLE×TABLE×2 float32: the factor of the material's colour, and the highlight on top."""
    ny, nx = np.meshgrid(*[np.linspace(-1, 1, TABLE, dtype=np.float32)] * 2, indexing="ij")
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0, 1))
    mirror = np.stack([2 * nz * nx, 2 * nz * ny, 2 * nz * nz - 1], -1)
    key = mirror @ light
    fill = mirror @ np.array([-light[0] * 1.2, 0.1, 0.55], np.float32) / np.hypot(light[0] * 1.2, 0.56)
    lamp = step(key, 0.80, 0.93) + 0.30 * step(fill, 0.88, 0.97)
    sky = 0.25 + 0.55 * step(mirror[..., 1], -0.2, 0.9)
    fresnel = 0.06 + 0.5 * (1 - nz) ** 4
    diffuse = 0.50 + 0.55 * np.clip(nx * light[0] + ny * light[1] + nz * light[2], -0.3, 1)
    if material.metal:
        room = 0.25 + 0.55 * step(mirror[..., 1], -0.15, 0.25) + 0.25 * step(-mirror[..., 1], 0.45, 0.8)
        body = room * (0.55 + 0.45 * material.gloss) + 0.25 * diffuse
        return np.stack([body, 0.55 * lamp * material.gloss], -1).astype(np.float32)
    shine = fresnel * (0.8 * sky + 9.0 * lamp) * material.gloss + (1 - material.gloss) * 0.22 * step(key, 0.0, 1.0)
    return np.stack([diffuse, np.minimum(shine, 0.85)], -1).astype(np.float32)


def step(value: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth in between (smoothstep)."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def paint(
    mesh: Mesh, view: View, box: Box, factor: int, *, materials: tuple[Material, ...], light: Array, facet: float = 0.4
) -> Layer:
    """The mesh shaded under `light` 3 (towards the lamp) at the photo's size, h×w of `box`.

    `facet`: over how many mm the shading of the flat quads is smoothed; about the size of a quad.
    """
    canvas = raster(mesh, view, box, factor)
    mask = (canvas[..., 3] > 0).view(np.uint8) * np.uint8(255)
    reach = int(max(3, round(view.scale / view.away * factor * facet))) | 1
    soft, weight = cv2.blur(canvas, (reach, reach)), cv2.blur(mask, (reach, reach))  # flat quads become round
    at = np.flatnonzero(mask)
    kind = canvas.reshape(-1, 4)[at, 3] - 1
    values = soft.reshape(-1, 4)[at, :2] * (1 / weight.reshape(-1)[at].astype(np.float32))[:, None]
    index = np.clip(values * (TABLE - 1), 0, TABLE - 1).astype(np.intp)
    body, shine = np.stack([table(material, light) for material in materials])[kind, index[:, 1], index[:, 0]].T
    colours = np.stack([material.colours for material in materials])
    solid = np.array([1 - material.clear for material in materials], np.float32)[kind]
    rim = np.clip(np.hypot(values[:, 0] - 0.5, values[:, 1] - 0.5) * 2, 0, 1) ** 3
    solid = solid + (1 - solid) * 0.5 * rim  # light travels further through the edge of clear plastic
    colour = colours[kind, 0]
    if np.ptp(colours, axis=1).any():
        share = step(_pattern(canvas, mask, at, 3 * reach), 0.38, 0.62)[:, None]
        colour = colour * (1 - share) + colours[kind, 1] * share
    lit = np.zeros((mask.size, 3), np.uint8)
    lit[at] = np.clip(colour * (body * solid * 255)[:, None] + shine[:, None] * 255, 0, 255)
    through = np.zeros((mask.size, 3), np.uint8)
    through[at] = np.sqrt(colour) * ((1 - solid) * 255)[:, None]
    small = (box[2] - box[0], box[3] - box[1])
    planes = lit.reshape(*mask.shape, 3), mask, through.reshape(*mask.shape, 3)
    colour, mask, passes = (cv2.resize(plane, small, interpolation=cv2.INTER_AREA) for plane in planes)
    return Layer(colour.astype(np.float32), mask * np.float32(1 / 255), passes * np.float32(1 / 255))


def _pattern(canvas: Array, mask: Array, at: Array, reach: int) -> Array:
    """The pattern at the flat indices `at`, float32 [0, 1], without the steps between the quads."""
    soft, weight = cv2.blur(canvas[..., 2], (reach, reach)), cv2.blur(mask, (reach, reach))
    return soft.reshape(-1)[at] / np.maximum(weight.reshape(-1)[at], 1).astype(np.float32)


def over(picture: Array, layer: Layer) -> Array:
    """Composite `layer` on `picture` h×w×3 float32 [0, 255]; clear material blurs what is seen through it."""
    bare = cv2.multiply(picture, cv2.merge([1 - layer.mask] * 3))
    if layer.passes.any():
        bare += cv2.GaussianBlur(picture, (0, 0), 2.0) * layer.passes
    return bare + layer.colour
