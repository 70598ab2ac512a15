"""Cubic Bézier curves through closed polygons, within a tolerance that holds everywhere, not only at their points.

P. J. Schneider, "An Algorithm for Automatically Fitting Digitized Curves", Graphics Gems, 1990: a stretch of points
gets the curve with given tangents that fits best by least squares; while it is a little too far off, the parameters of
the points are improved; after that, or if it is far off, the stretch is split where it is worst. Here all stretches of
an outline are fitted at once, as arrays. A point (x, y) of the plane is the complex number x + iy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

_REACH: Final = 4
"""How many points to either side say how a polygon runs: about three pixels of an outline."""
_CORNER: Final = float(np.cos(np.radians(55.0)))
"""The cosine of the turn within that reach from which on a point is a corner, where curves need not join smoothly."""
_LONGEST: Final = 400
"""Points in a stretch to begin with; hardly any longer one is a single curve."""
_TRIES: Final = 3
"""How often the parameters of a stretch are improved …"""
_NEARLY: Final = 4.0
"""… while its curve is off by no more than this many tolerances."""


def fit(polygons: list[np.ndarray], tolerance: float) -> list[np.ndarray]:
    """A closed curve through each closed polygon: k×3 complex128, its knots.

    `polygons`: n complex128 each, three different points or more, the last one not the first again. A knot is the
    control point before it, itself, and the control point after it; from knot to knot runs a cubic Bézier curve. No
    point of the polygon is farther than `tolerance` from the curve, and no point of the curve from the polygon.
    """
    if not polygons:
        return []
    ring = _Ring(polygons)
    todo, starts, curves = _Stretches.of(ring, *ring.stretches()), [], []
    while len(todo.start):
        found = todo.curves()
        off, apart = todo.errors(found)
        good = apart <= tolerance
        starts.append(todo.start[good])
        curves.append(found[good])
        again = ~good & (apart <= _NEARLY * tolerance) & (todo.tries < _TRIES)
        todo = todo.improved(found, again).and_those_of(todo.split(off, ~good & ~again))
    order = np.argsort(np.concatenate(starts))
    ends = np.searchsorted(np.concatenate(starts)[order], ring.first[1:])
    return [_knots(part) for part in np.split(np.concatenate(curves)[order], ends)]


def _knots(curves: np.ndarray) -> np.ndarray:
    """Curves that follow one another all around, k×4, as knots."""
    return np.stack([np.roll(curves[:, 2], 1), curves[:, 0], curves[:, 1]], axis=1)


class _Ring:
    """The points of all polygons in one array, each polygon with its first point again at its end."""

    def __init__(self, polygons: list[np.ndarray]) -> None:
        sizes = np.array([len(polygon) for polygon in polygons])
        self.points = np.concatenate([part for polygon in polygons for part in (polygon, polygon[:1])])
        self.last = np.cumsum(sizes + 1) - 1
        self.first = self.last - sizes
        self.along = np.append(0, np.cumsum(np.abs(np.diff(self.points))))
        """How far along the polygons each point is."""
        begin, size = np.repeat(self.first, sizes + 1), np.repeat(sizes, sizes + 1)
        place, reach = np.arange(len(self.points)) - begin, np.minimum(_REACH, (size - 1) // 2)
        to = _unit(self.points[begin + (place + reach) % size] - self.points)
        back = _unit(self.points[begin + (place - reach) % size] - self.points)
        straight = -_dot(to, back)
        around = [straight[begin + (place + step) % size] for step in range(-_REACH, _REACH + 1)]
        self.corner = (straight < _CORNER) & (straight == np.minimum.reduce(around))
        through = _unit(to - back)
        self.ahead, self.behind = np.where(self.corner, to, through), np.where(self.corner, back, -through)
        """Unit tangents with which curves leave a point, and, backwards, arrive: opposites, but not at a corner."""

    def stretches(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the first stretches start and end: at corners, and every `_LONGEST` points, at two of a polygon."""
        ends = self.corner.copy()
        for first, last in zip(self.first, self.last, strict=True):
            ends[np.linspace(first, last, max(3, (last - first) // _LONGEST), dtype=int)] = True
        breaks = np.flatnonzero(ends)
        inside = ~np.isin(breaks[:-1], self.last)
        return breaks[:-1][inside], breaks[1:][inside]


@dataclass(frozen=True)
class _Stretches:
    """Some stretches of polygons. `start`, `end`, `tries`: of each; `spot`, `at`: of each point of each, in turn."""

    ring: _Ring
    start: np.ndarray
    """The place of its first point in the ring, and below of its last."""
    end: np.ndarray
    tries: np.ndarray
    spot: np.ndarray
    """The place of a point in the ring."""
    at: np.ndarray
    """Its parameter on the curve, [0, 1]."""

    @classmethod
    def of(cls, ring: _Ring, start: np.ndarray, end: np.ndarray) -> _Stretches:
        """Stretches with parameters in proportion to the way along the polygon."""
        count = end - start + 1
        spot = np.arange(count.sum()) + np.repeat(start - (np.cumsum(count) - count), count)
        length = ring.along[end] - ring.along[start]
        at = (ring.along[spot] - np.repeat(ring.along[start], count)) / np.repeat(length, count)
        return cls(ring, start, end, np.zeros(len(start), int), spot, at)

    @cached_property
    def count(self) -> np.ndarray:
        return self.end - self.start + 1

    @cached_property
    def offset(self) -> np.ndarray:
        """Where the points of each stretch begin in `spot`."""
        return np.cumsum(self.count) - self.count

    @cached_property
    def points(self) -> np.ndarray:
        return self.ring.points[self.spot]

    def curves(self) -> np.ndarray:
        """The curve through each stretch that fits best: S×4 complex128, its control points."""
        first, last = self.ring.points[self.start], self.ring.points[self.end]
        chord, single = last - first, self.count == 2
        ahead = np.where(single, _unit(chord), self.ring.ahead[self.start])
        behind = np.where(single, -_unit(chord), self.ring.behind[self.end])
        u, v = self.at, 1 - self.at
        b1, b2 = 3 * u * v * v, 3 * u * u * v
        rest = self.points - self._each(first) - (b2 + u * u * u) * self._each(chord)
        c11, c22 = self._sum(b1 * b1), self._sum(b2 * b2)
        c12 = self._sum(b1 * b2) * _dot(ahead, behind)
        x1, x2 = _dot(self._sum(b1 * rest), ahead), _dot(self._sum(b2 * rest), behind)
        third, determinant = np.abs(chord) / 3, c11 * c22 - c12 * c12
        solvable = determinant > 1e-9 * c11 * c22
        divisor = np.where(solvable, determinant, 1.0)
        a1, a2 = (x1 * c22 - x2 * c12) / divisor, (x2 * c11 - x1 * c12) / divisor
        sane = solvable & (a1 > 1e-3 * third) & (a2 > 1e-3 * third)
        a1, a2 = (np.where(sane, a, third) for a in (a1, a2))
        return np.stack([first, first + a1 * ahead, last + a2 * behind, last], axis=1)

    def errors(self, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far each point is from its place on the curve, and how far each curve is anywhere from its polygon.

        Between two parameters h apart a curve is at most max |B″| h² / 8 from the straight line between its two points
        there, and that line is no farther from the polygon's edge than its ends are from the edge's.
        """
        off = np.abs(self._on(curves) - self.points)
        bend = 6 * np.abs(np.diff(curves, n=2)).max(axis=1)
        step = np.diff(self.at, append=1.0)
        step[self.offset[1:] - 1] = 0  # from one stretch to the next
        between = np.maximum(off, np.append(off[1:], 0)) + self._each(bend) * step * step / 8
        return off, np.maximum.reduceat(between, self.offset)

    def improved(self, curves: np.ndarray, which: np.ndarray) -> _Stretches:
        """Some of these stretches, their parameters nearer to the nearest points of the curves: a step of Newton's."""
        kept = self._some(which)
        curves, u = curves[which], kept.at
        off = kept._on(curves) - kept.points
        sides, turns = 3 * np.diff(curves), 6 * np.diff(curves, n=2)
        slope = kept._polynomial(
            sides[:, 0], 2 * (sides[:, 1] - sides[:, 0]), sides[:, 0] - 2 * sides[:, 1] + sides[:, 2]
        )
        second = kept._polynomial(turns[:, 0], turns[:, 1] - turns[:, 0])
        below = _dot(slope, slope) + _dot(off, second)
        at = u - np.divide(_dot(off, slope), below, out=np.zeros_like(u), where=below > 1e-12)
        at = np.clip(at, 0, 1)
        at[kept.offset], at[kept.offset + kept.count - 1] = 0, 1
        return _Stretches(self.ring, kept.start, kept.end, kept.tries + 1, kept.spot, at)

    def split(self, off: np.ndarray, which: np.ndarray) -> _Stretches:
        """The halves of some of these stretches, split at the point that is farthest off."""
        worst = np.flatnonzero(off == self._each(np.maximum.reduceat(off, self.offset)))
        inside = worst[np.searchsorted(worst, self.offset)] - self.offset
        middle = (self.start + np.clip(inside, 1, self.count - 2))[which]
        start, end = np.concatenate([self.start[which], middle]), np.concatenate([middle, self.end[which]])
        return _Stretches.of(self.ring, start, end)

    def and_those_of(self, other: _Stretches) -> _Stretches:
        mine, theirs = ((one.start, one.end, one.tries, one.spot, one.at) for one in (self, other))
        return _Stretches(self.ring, *(np.concatenate(pair) for pair in zip(mine, theirs, strict=True)))

    def _some(self, which: np.ndarray) -> _Stretches:
        points = self._each(which)
        return _Stretches(
            self.ring, self.start[which], self.end[which], self.tries[which], self.spot[points], self.at[points]
        )

    def _on(self, curves: np.ndarray) -> np.ndarray:
        """The points of the curves at the parameters."""
        first, second, third = np.diff(curves), np.diff(curves, n=2), np.diff(curves, n=3)
        return self._polynomial(curves[:, 0], 3 * first[:, 0], 3 * second[:, 0], third[:, 0])

    def _polynomial(self, *coefficients: np.ndarray) -> np.ndarray:
        """At each parameter, the value of its stretch's polynomial, of which the constant comes first."""
        value = self._each(coefficients[-1])
        for one in coefficients[-2::-1]:
            value = value * self.at + self._each(one)
        return value

    def _each(self, values: np.ndarray) -> np.ndarray:
        """What is known of each stretch, for each of its points."""
        return np.repeat(values, self.count)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, self.offset)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a.real * b.real + a.imag * b.imag


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.abs(vectors)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
