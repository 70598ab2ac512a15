"""Curves keep their tolerance all along, both ways, and use few knots where the outline is smooth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout import clipping, curves


def along(knots: np.ndarray, steps: int = 16) -> np.ndarray:
    """Points all along a closed curve."""
    u = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = knots[:, 1], knots[:, 2], np.roll(knots[:, 0], -1), np.roll(knots[:, 1], -1)
    points = (1 - u) ** 3 * a + 3 * u * (1 - u) ** 2 * b + 3 * u * u * (1 - u) * c + u**3 * d
    return points.T.ravel()


def farthest(points: np.ndarray, polygon: np.ndarray) -> float:
    """How far the farthest of some points is from a closed polygon."""
    edge = np.roll(polygon, -1) - polygon
    length = np.maximum(np.abs(edge), 1e-12)
    worst = 0.0
    for some in np.array_split(points, max(1, len(points) // 200)):
        way = np.clip(((some[:, None] - polygon) * edge.conj()).real / length**2, 0, 1)
        worst = max(worst, float(np.abs(some[:, None] - polygon - way * edge).min(axis=1).max()))
    return worst


def clouds(seed: int, kind: str) -> np.ndarray:
    """A small alpha of random parts: soft, hard, or noise in every pixel."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((24, 32), dtype=np.float32), (0, 0), 0.1 if kind == "noise" else 2)
    steep = {"soft": 60, "hard": 1e6, "noise": 60}[kind]
    return np.clip((noise - noise.mean()) / noise.std() * steep + 127, 0, 255).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(["soft", "hard", "noise"]), st.sampled_from([0.1, 0.25, 0.5, 1.0, 3.0])
)
def test_no_point_of_a_curve_and_none_of_its_polygon_is_farther_than_the_tolerance(
    seed: int, kind: str, tolerance: float
) -> None:
    polygons = [one for one in clipping._contours(clouds(seed, kind)) if len(one) > 2]
    found = curves.fit(polygons, tolerance)
    assert len(found) == len(polygons)
    for knots, polygon in zip(found, polygons, strict=True):
        assert farthest(along(knots), polygon) <= tolerance + 1e-9
        assert farthest(polygon, along(knots)) <= tolerance + 0.05  # `along` has gaps


def test_between_its_points_a_curve_is_held_too() -> None:
    """The points of a saw with long teeth are far apart: a curve through them could swing out between them."""
    x = np.arange(40.0)
    saw = np.concatenate([x * 9 + 1j * 40 * (x % 2), [400 - 300j, -100 - 300j]])
    [knots] = curves.fit([saw], 0.5)
    assert farthest(along(knots), saw) <= 0.5


@pytest.mark.parametrize(("radius", "most"), [(20, 8), (200, 12), (1000, 24)])
def test_a_circle_takes_few_knots(radius: float, most: int) -> None:
    circle = 1100 * (1 + 1j) + radius * np.exp(2j * np.pi * np.arange(0, 1, 0.7 / (2 * np.pi * radius)))
    [knots] = curves.fit([circle], 0.5)
    assert len(knots) <= most
    assert abs(np.abs(along(knots) - 1100 * (1 + 1j)) - radius).max() <= 0.5


def test_a_rectangle_has_its_corners() -> None:
    sides = np.concatenate(
        [np.arange(0, 90), 90 + 1j * np.arange(0, 50), 90 + 50j - np.arange(0, 90), 1j * np.arange(50, 0, -1)]
    )
    [knots] = curves.fit([sides + 0j], 0.5)
    for corner in (0, 90, 90 + 50j, 50j):
        assert np.abs(knots[:, 1] - corner).min() < 1e-9
    assert len(knots) <= 6


def test_nothing_is_no_curve() -> None:
    assert curves.fit([], 0.5) == []
