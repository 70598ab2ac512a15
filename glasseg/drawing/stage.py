"""Where a photo is taken: the ground under the glasses, the camera and the light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from glasseg.drawing.glasses import Glasses, Mesh
from glasseg.drawing.scenes import FLAT
from glasseg.drawing.shading import Box, View

Array = np.ndarray


@dataclass(frozen=True)
class Ground:
    """The plane on which the glasses rest: a point on it in mm, and its unit axes (across, away, up) as rows."""

    point: Array
    axes: Array


@dataclass(frozen=True)
class Stage:
    """The camera, the ground, and the direction 3 towards the lamp as seen from the camera."""

    view: View
    ground: Ground
    light: Array


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The 3×3 rotation about y, then about x, then in the picture plane, all in radians."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (turn_z @ turn_x @ turn_y).astype(np.float32)


def pose(rng: np.random.Generator, glasses: Glasses, size: tuple[int, int], scene: str) -> tuple[View, Ground]:
    """How the glasses lie and from where they are seen: flat below the camera, or standing in front of it."""
    points = np.concatenate([glasses.front.corners.reshape(-1, 3), glasses.back.corners.reshape(-1, 3)])
    flat = glasses.folded or rng.random() < 0.08
    if flat:
        ground = Ground(np.array([0, 0, points[:, 2].min()]), np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
        angles = rng.uniform(-0.4, 0.4), rng.uniform(-0.3, 0.6), np.radians(rng.uniform(-25, 25))
    else:
        ground = _standing(points)
        yaw = rng.choice([rng.normal(0, 0.06), rng.uniform(0.25, 0.95) * rng.choice([-1, 1])], p=[0.3, 0.7])
        low = 0.06 if scene in FLAT else 0.30
        roll = rng.normal(0, 3) if rng.random() < 0.8 else rng.uniform(-25, 25)
        angles = float(yaw), rng.uniform(low, 0.60), np.radians(roll)
    turn = _rotation(*angles)
    away = rng.uniform(380, 800)
    raw = View(turn, away, 1.0, np.zeros(2)).project(points)
    low_corner, high_corner = raw.min(0), raw.max(0)
    extent = high_corner - low_corner
    share = rng.uniform(0.5, 0.9)
    scale = min(share * size[1] / extent[0], 0.84 * size[0] / extent[1])
    room = np.maximum(np.array(size[::-1]) - extent * scale, 0)
    middle = np.array(size[::-1]) / 2 + room * np.array([rng.uniform(-0.15, 0.15), rng.uniform(-0.08, 0.18)])
    return View(turn, away, scale, middle - scale * (low_corner + high_corner) / 2), ground


def turned(glasses: Glasses, yaw: float, size: tuple[int, int], share: float) -> tuple[View, Ground]:
    """Glasses that stand, turned by `yaw` radians, before a camera that stays where it is.

    `share`: that of the photo's width which they take from the front.
    """
    points = np.concatenate([glasses.front.corners.reshape(-1, 3), glasses.back.corners.reshape(-1, 3)])
    away, pitch = 700.0, 0.12
    front = View(_rotation(0.0, pitch, 0.0), away, 1.0, np.zeros(2)).project(points)
    scale = share * size[1] / float(np.ptp(front[:, 0]))
    seen = View(_rotation(yaw, pitch, 0.0), away, scale, np.zeros(2)).project(points)
    middle = np.array(size[::-1]) * (0.5, 0.52)
    return View(_rotation(yaw, pitch, 0.0), away, scale, middle - (seen.min(0) + seen.max(0)) / 2), _standing(points)


def _standing(points: Array) -> Ground:
    """The plane under the rims and the temple tips."""
    front = points[points[:, 2] > points[:, 2].min() * 0.25]
    toe = front[np.argmin(front[:, 1])]
    rear = points[points[:, 2] < points[:, 2].min() * 0.6]
    heel = rear[np.argmin(rear[:, 1])]
    slope = (toe[1] - heel[1]) / (toe[2] - heel[2])
    up = np.array([0, 1, -slope]) / np.hypot(1, slope)
    across = np.array([1.0, 0, 0])
    return Ground(np.array([0, toe[1], toe[2]]) - up * 0.2, np.stack([across, np.cross(up, across), up]))


def floor_map(view: View, ground: Ground, size: tuple[int, int]) -> tuple[Array, float]:
    """The 3×3 homography from mm on the ground to pixels, and the row of its horizon in the picture's middle column."""
    corners = np.array([[-20, -20], [20, -20], [20, 20], [-20, 20]], np.float32)
    seen = view.project((ground.point + corners @ ground.axes[:2]).astype(np.float32))
    floor = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    line = np.linalg.inv(floor)[2]
    row = -(line[0] * size[1] / 2 + line[2]) / line[1] if abs(line[1]) > 1e-12 else -1e6
    return floor, float(row)


def bounds(mesh: Mesh, view: View, size: tuple[int, int]) -> Box:
    """The pixel box around a mesh, with a small margin, clipped to the frame; empty if the mesh lies outside."""
    seen = view.project(mesh.corners.reshape(-1, 3))
    low = np.clip(np.floor(seen.min(0)) - 4, 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(seen.max(0)) + 4, low, size[::-1]).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
