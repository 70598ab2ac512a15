"""The natural shadow as a neutral grey that ends in exact white, and none where it would be dirt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasseg.cutout.shadows import DARKEST, soft_shade
from glasseg.drawing.photo import draw_photo

SIZE = (600, 800)


def _alpha() -> np.ndarray:
    """Two rims and a bridge, H×W uint8."""
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    rims = [np.abs(np.hypot(y - 280, x - centre) - 90) < 8 for centre in (280, 520)]
    bridge = (abs(y - 260) < 8) & (abs(x - 400) < 40)
    return np.where(rims[0] | rims[1] | bridge, 255, 0).astype(np.uint8)


def _below() -> np.ndarray:
    """How much light the shadow at the foot of the rims takes, H×W float."""
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    return 0.3 * np.exp(-(((x - 400) / 150) ** 2) - ((y - 385) / 22) ** 2)


def _photo(ground: np.ndarray | float, light: np.ndarray | float = 1.0, noise: float = 2.0) -> np.ndarray:
    """The glasses in black on `ground` (a grey, or …×3), H×W×3 uint8."""
    rng = np.random.default_rng(5)
    full = np.zeros((*SIZE, 3)) + ground
    lit = full * (light[..., None] if isinstance(light, np.ndarray) else light)
    image = np.where(_alpha()[..., None] > 0, 20, lit) + rng.normal(0, noise, full.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("ground", [235.0, 140.0, np.array([90.0, 170.0, 210.0]), np.array([240.0, 225.0, 200.0])])
def test_a_contact_shadow_comes_back_as_its_neutral_grey(ground: np.ndarray | float) -> None:
    shade = soft_shade(_photo(ground, 1 - _below()), _alpha())
    free = _alpha() == 0
    true = 255 * (1 - _below())
    assert np.abs(shade - true)[free].mean() < 0.25 * (255 - true)[free].mean()
    assert abs(int(shade[385, 400]) - true[385, 400]) < 10


def test_it_fades_to_exact_white_before_the_border() -> None:
    shade = soft_shade(_photo(220.0, 1 - _below()), _alpha())
    assert shade.min() < 200
    for edge in (shade[:20], shade[-20:], shade[:, :20], shade[:, -20:]):
        assert (edge == 255).all()
    down = shade[400:, 400].astype(int)  # from the middle of the shadow to the lower border
    assert (np.diff(down) >= 0).all()
    assert np.abs(np.diff(shade.astype(int), axis=0)).max() <= 8  # no cut line
    assert np.abs(np.diff(shade.astype(int), axis=1)).max() <= 8


def test_noise_without_a_shadow_leaves_exact_white() -> None:
    assert (soft_shade(_photo(200.0, noise=8.0), _alpha()) == 255).all()


def test_a_light_falling_off_is_not_a_shadow() -> None:
    y, x = np.ogrid[0 : 1 : SIZE[0] * 1j, 0 : 1 : SIZE[1] * 1j]
    assert (soft_shade(_photo(240.0, 1 - 0.3 * x - 0.2 * y * y), _alpha()) == 255).all()


def test_a_shadow_inside_a_lens_is_kept() -> None:
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    light = 1 - 0.25 * np.exp(-(((x - 300) / 40) ** 2) - ((y - 340) / 30) ** 2)
    assert soft_shade(_photo(225.0, light), _alpha())[340, 300] < 220


def test_a_dark_thing_elsewhere_is_not_kept() -> None:
    light = np.ones(SIZE)
    light[470:520, 600:660] = 0.6
    assert (soft_shade(_photo(225.0, light), _alpha()) == 255).all()


def test_no_shade_is_darker_than_the_limit() -> None:
    assert soft_shade(_photo(235.0, 1 - 2.4 * _below()), _alpha()).min() >= DARKEST


def _stripes() -> np.ndarray:
    return np.where(np.arange(SIZE[1]) // 25 % 2, 1.0, 0.8)[None].repeat(SIZE[0], axis=0)


def _box() -> np.ndarray:
    light = np.ones(SIZE)
    light[200:480, 150:640] = 0.1
    return light


@pytest.mark.parametrize(
    ("ground", "light"),
    [(200.0, _stripes()), (40.0, 1 - _below()), (235.0, _box())],
    ids=["texture", "dark ground", "a black box"],
)
def test_no_shadow_rather_than_dirt(ground: np.ndarray | float, light: np.ndarray) -> None:
    assert (soft_shade(_photo(ground, light), _alpha()) == 255).all()


def test_a_coloured_box_behind_the_glasses_is_not_a_shadow() -> None:
    ground = np.full((*SIZE, 3), 240.0)
    ground[200:470, 150:650] = [230, 210, 120]
    assert (soft_shade(_photo(ground), _alpha()) == 255).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 255))
def test_any_photo_gets_a_shade_of_its_size_that_ends_white(height: int, width: int, grey: int) -> None:
    rng = np.random.default_rng(grey)
    image = np.clip(rng.normal(grey, 5, (height, width, 3)), 0, 255).astype(np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 4 : height // 2, width // 5 : width // 2] = 255
    shade = soft_shade(image, alpha)
    assert shade.shape == (height, width)
    assert shade.dtype == np.uint8
    assert (shade[0] == 255).all() and (shade[-1] == 255).all()
    assert (shade[:, 0] == 255).all() and (shade[:, -1] == 255).all()


def test_shadows_of_drawn_photos_are_kept() -> None:
    kept = 0
    for seed in range(1, 5):
        photo = draw_photo(np.random.default_rng(seed), (450, 600), scene="white")
        kept += int(soft_shade(photo.image, np.rint(photo.coverage * 255).astype(np.uint8)).min() < 230)
    assert kept >= 3
