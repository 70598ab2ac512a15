"""A grid's tiles fit together without seams, whatever the photo's size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.grid import MARGIN, Grid


def test_the_grid_covers_the_glasses_with_a_margin() -> None:
    alpha = np.zeros((1200, 1600), np.uint8)
    alpha[500:700, 300:1300] = 255
    grid = Grid.over(alpha)
    assert grid is not None and grid.cell == round(1000 / 320)
    rows, columns = grid.window
    assert rows.start <= 500 - MARGIN * grid.cell and rows.stop >= 700
    assert columns.start <= 300 - MARGIN * grid.cell and columns.stop >= 1300
    assert (rows.stop - rows.start) % grid.cell == (columns.stop - columns.start) % grid.cell == 0


def test_nothing_has_no_grid() -> None:
    assert Grid.over(np.zeros((30, 40), np.uint8)) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(8, 64))
def test_tiles_cover_the_window_once_and_stay_inside_the_photo(height: int, width: int, cells: int) -> None:
    grid = Grid.over(np.full((height, width), 255, np.uint8), cells)
    if grid is None:
        return
    part = np.zeros((height, width), np.uint8)[grid.window]
    small = grid.shrink(part)
    for tile, pixels in grid.tiles(np.ones(small.shape, bool)):
        assert grid.enlarge(small, tile).shape == part[pixels].shape
        part[pixels] += 1
    assert (part == 1).all()


@pytest.mark.parametrize("cell", [1, 3, 5])
def test_enlarged_tiles_have_no_seams(cell: int) -> None:
    grid = Grid((slice(0, 50 * cell), slice(0, 70 * cell)), cell)
    ys, xs = np.mgrid[0:50, 0:70].astype(np.float32)
    plane = 3 * ys + 2 * xs
    whole = np.zeros((50 * cell, 70 * cell), np.float32)
    for tile, pixels in grid.tiles(np.ones(plane.shape, bool)):
        whole[pixels] = grid.enlarge(plane, tile)
    inner = whole[cell:-cell, cell:-cell]
    assert np.allclose(np.diff(inner, axis=0), 3 / cell, atol=1e-2)
    assert np.allclose(np.diff(inner, axis=1), 2 / cell, atol=1e-2)
