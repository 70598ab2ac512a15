"""Photos that come with transparency: cut-outs with a shadow, and transparency that does not fit the glasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from glasseg.cutout import picture
from glasseg.cutout.finished import finish
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look
from glasseg.cutout.picture import Picture
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags

SIZE = (480, 640)
BROWN = (120, 70, 40)
AMAZON = Look(framing=Framing((1, 1), 0.88, 1000, max_upscale=4), checks=("amazon", "google"))


def glasses() -> np.ndarray:
    """The alpha of two dark lenses in brown rims, with a bridge: H×W uint8."""
    alpha = np.zeros(SIZE, np.uint8)
    for x in (220, 420):
        cv2.ellipse(alpha, (x, 200), (84, 60), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.line(alpha, (300, 185), (340, 185), 255, 12, cv2.LINE_AA)
    return alpha


def rims() -> np.ndarray:
    """The same with openings in place of lenses."""
    alpha = glasses()
    for x in (220, 420):
        cv2.ellipse(alpha, (x, 200), (68, 44), 0, 0, 360, 0, -1, cv2.LINE_AA)
    return alpha


def seen(alpha: np.ndarray) -> np.ndarray:
    """What a network says of glasses with this alpha."""
    return cv2.GaussianBlur(alpha, (0, 0), 1.5).astype(np.float32) / 255


def photo(alpha: np.ndarray, image: np.ndarray | tuple[int, int, int] = BROWN) -> Photo:
    colours = np.full((*SIZE, 3), image, np.uint8) if isinstance(image, tuple) else image
    return Photo(colours, alpha, Tags(), ())


def above(alpha: np.ndarray, below: np.ndarray, grey: int = 0) -> Photo:
    """Brown glasses of this alpha above a grey layer with the alpha `below` (float, [0, 1]), as one layer."""
    share = alpha[..., None] / 255.0
    rest = (1 - share) * below[..., None]
    total = share + rest
    colours = (share * np.array(BROWN) + rest * grey) / np.maximum(total, 1e-6)
    return photo(np.rint(255 * total[..., 0]).astype(np.uint8), np.rint(colours).astype(np.uint8))


def cast(alpha: np.ndarray, shift: tuple[int, int], blur: float, opacity: float) -> np.ndarray:
    """The drop shadow of an alpha, float [0, 1]."""
    moved = cv2.warpAffine(alpha, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32), SIZE[::-1])
    return opacity * cv2.GaussianBlur(moved, (0, 0), blur).astype(np.float64) / 255


def table(alpha: np.ndarray, shift: tuple[int, int], blur: float, opacity: float) -> np.ndarray:
    """The shadow of glasses that stand on a table: a flat ellipse below them."""
    dark = np.zeros(SIZE, np.uint8)
    cv2.ellipse(dark, (320 + shift[0], 262 + shift[1]), (190, 14), 0, 0, 360, 255, -1)
    return opacity * cv2.GaussianBlur(dark, (0, 0), blur).astype(np.float64) / 255


def made(of: Photo, look: Look | None = None, truth: np.ndarray | None = None) -> Picture:
    probability = seen(glasses() if truth is None else truth)
    return picture.make(of, probability, threshold=0.45, ramp=0.4, look=look or Look())


Shadow = Callable[[np.ndarray, tuple[int, int], float, float], np.ndarray]
SHADOWS: list[tuple[Shadow, tuple[int, int], float, float, int]] = [
    (cast, (10, 14), 8, 0.5, 0),
    (cast, (0, 60), 12, 0.4, 0),  # apart from the glasses
    (cast, (12, 12), 1, 0.35, 0),  # a hard edge
    (cast, (8, 16), 8, 0.9, 0),
    (cast, (10, 14), 8, 0.6, 90),  # grey
    (cast, (0, 0), 16, 0.6, 0),  # a glow to all sides
    (table, (0, 0), 9, 0.5, 0),
]


@pytest.mark.parametrize("material", [glasses, rims])
@pytest.mark.parametrize("case", SHADOWS)
def test_a_cut_outs_own_shadow_is_no_part_of_its_glasses(
    material: Callable[[], np.ndarray], case: tuple[Shadow, tuple[int, int], float, float, int]
) -> None:
    alpha, (shadow, shift, blur, opacity, grey) = material(), case
    with_shadow, without = (made(above(alpha, below, grey), AMAZON, alpha) for below in (
        shadow(alpha, shift, blur, opacity), np.zeros(SIZE)
    ))  # fmt: skip
    assert with_shadow.own_mask and with_shadow.own_shadow and not with_shadow.shadow and not with_shadow.misfit
    assert "but for the shadow in it" in with_shadow.warnings[0]
    assert with_shadow.mask.coverage == pytest.approx(without.mask.coverage, rel=0.03)
    height, width = (side[1] - side[0] for side in (sides(with_shadow)[:2], sides(with_shadow)[2:]))
    true_height, true_width = (side[1] - side[0] for side in (sides(without)[:2], sides(without)[2:]))
    assert (height, width) == (pytest.approx(true_height, rel=0.03), pytest.approx(true_width, rel=0.03))
    sent = finish(with_shadow, AMAZON, "jpeg", 95, Tags())
    assert sent.verdicts == {"amazon": "pass", "google": "pass"}
    assert (sent.whiteness.ring_share, with_shadow.placement.fill) == (1, pytest.approx(0.88, abs=0.01))


def sides(one: Picture) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is clearly not background."""
    x, y, width, height = cv2.boundingRect((one.alpha > 60).astype(np.uint8))
    return y, y + height, x, x + width


def test_a_cut_outs_own_shadow_is_kept_as_a_shadow_when_one_is_asked_for() -> None:
    of = above(glasses(), cast(glasses(), (10, 14), 8, 0.5))
    for background in ("white", "transparent", "#f5f5f5"):
        one = made(of, replace(AMAZON, background=background, shadow="soft"))
        plain = made(of, replace(AMAZON, background=background))
        assert one.shadow and not plain.shadow
        assert one.placement == plain.placement, "the glasses fill the frame, not their shadow"
        below = (one.pixels != plain.pixels).any(axis=-1)
        assert below.sum() > 5000
        if background == "white":
            assert np.ptp(one.pixels[below & (plain.alpha == 0)].astype(int), axis=-1).max() == 0, "neutral"
        verdict = finish(one, replace(AMAZON, background=background, shadow="soft"), "png", 95, Tags()).verdicts
        assert verdict["amazon"] != "pass"
    whole = made(of, Look(shadow="soft")).pixels
    assert (whole[[0, -1]] == 255).all() and (whole[:, [0, -1]] == 255).all()


def test_a_shadow_that_glasseg_wrote_into_a_cut_out_is_found_again() -> None:
    ground = np.full((*SIZE, 3), 205.0) * (1 - table(glasses(), (0, 14), 9, 0.35)[..., None])
    share = glasses()[..., None] / 255
    image = np.rint(share * np.array(BROWN) + (1 - share) * ground).astype(np.uint8)
    first = made(Photo(image, None, Tags(), ()), Look("transparent", shadow="soft"))
    assert first.shadow
    of = Photo(np.ascontiguousarray(first.pixels[..., :3]), np.ascontiguousarray(first.pixels[..., 3]), Tags(), ())
    again = made(of)
    assert again.own_mask and again.own_shadow and (again.pixels[285:] == 255).all()
    assert again.mask.coverage == pytest.approx(first.mask.coverage, rel=0.02)


@pytest.mark.parametrize(("lens", "colour"), [(80, 235), (190, 30), (120, 90)])
def test_half_transparent_lenses_stay_as_they_are(lens: int, colour: int) -> None:
    alpha = cv2.max(rims(), np.where(glasses() == 255, lens, 0).astype(np.uint8))
    image = np.full((*SIZE, 3), BROWN, np.uint8)
    image[rims() < 128] = colour
    clear = colour > 200
    for below in (np.zeros(SIZE), cast(rims(), (4, 40), 6, 0.4)):
        outside = np.where(glasses() > 0, 0, below)
        total = np.maximum(alpha / 255, outside)
        black = np.where((outside > alpha / 255)[..., None], 0, image).astype(np.uint8)
        one = made(photo(np.rint(255 * total).astype(np.uint8), black), truth=rims() if clear else glasses())
        assert one.own_mask and one.own_shadow == bool(below.any())
        inside = cv2.erode(glasses(), np.ones((31, 31), np.uint8)) > 0
        assert np.array_equal(one.alpha[inside], alpha[inside])


def test_a_shadow_seen_through_half_transparent_lenses_leaves_no_holes_in_them() -> None:
    lens = np.where((glasses() > 127) & (rims() < 128), 50, 0).astype(np.uint8)
    share = np.maximum(rims(), lens)[..., None] / 255
    rest = (1 - share) * cast(rims(), (20, 30), 8, 0.4)[..., None]
    own = np.where((rims() > 127)[..., None], np.array(BROWN), 225)
    colours = np.rint(share * own / np.maximum(share + rest, 1e-6)).astype(np.uint8)
    of = photo(np.rint(255 * (share + rest)[..., 0]).astype(np.uint8), colours)
    one = made(of, truth=rims())
    inside = cv2.erode(glasses(), np.ones((51, 51), np.uint8)) > 0
    assert one.own_shadow and of.alpha is not None and np.array_equal(one.alpha[inside], of.alpha[inside])


def test_a_cut_out_without_a_shadow_keeps_every_pixel() -> None:
    for alpha in (glasses(), rims(), np.where(glasses() > 127, 255, 0).astype(np.uint8)):
        one = made(photo(alpha), Look("transparent"), alpha)
        assert one.own_mask and not one.own_shadow and not one.misfit
        assert np.array_equal(one.alpha, alpha) and np.array_equal(one.pixels[..., 3], alpha)


def scene() -> np.ndarray:
    """Brown glasses on grey."""
    share = glasses()[..., None] / 255
    return np.rint(share * np.array(BROWN) + (1 - share) * 190).astype(np.uint8)


@pytest.mark.parametrize(
    "alpha",
    [
        cv2.bitwise_not(glasses()),  # the wrong way round
        np.where(cv2.dilate(glasses(), np.ones((15, 15), np.uint8)) > 0, 0, 255).astype(np.uint8),
        np.where(cv2.bitwise_not(glasses()) > 127, 255, 0).astype(np.uint8),
        np.where(np.indices(SIZE)[1] < 380, 0, 255).astype(np.uint8),  # the larger part of them
        np.full(SIZE, 90, np.uint8),
        glasses() // 5 * 4,  # a layer that was exported half transparent
    ],
)
def test_transparency_that_hides_the_glasses_is_for_a_person(alpha: np.ndarray) -> None:
    assert made(photo(alpha, scene())).misfit


def baked() -> np.ndarray:
    """Glasses and their shadow in opaque greys, the shadow's brightness 0 to 255."""
    return 255 * (1 - cast(glasses(), (10, 40), 6, 0.6))


def test_a_cut_out_that_keeps_more_than_its_glasses_is_for_a_person() -> None:
    share = glasses()[..., None] / 255
    grey = np.rint(share * np.array(BROWN) + (1 - share) * baked()[..., None]).astype(np.uint8)
    opaque = np.where((baked() < 250) | (glasses() > 0), 255, 0).astype(np.uint8)
    assert made(photo(opaque, grey)).misfit, "a shadow in opaque greys"
    dots = np.random.default_rng(2).random(SIZE) < cast(glasses(), (10, 40), 6, 0.6)
    dithered = np.where((glasses() > 127) | dots, 255, 0).astype(np.uint8)
    assert made(photo(dithered, np.where(glasses()[..., None] > 127, np.array(BROWN), 0).astype(np.uint8))).misfit, (
        "a shadow in the one bit of a GIF"
    )
    mirrored = np.roll(glasses()[::-1], 40, axis=0)
    fading = np.where(glasses() > 0, glasses(), mirrored // 2).astype(np.uint8)
    assert made(photo(fading, (200, 90, 40))).misfit, "a reflection in colours"
    hull = cv2.rectangle(glasses(), (280, 130), (360, 400), 255, -1)
    white = np.where((glasses() > 0)[..., None], np.array(BROWN), 255).astype(np.uint8)
    assert made(photo(hull, white)).misfit, "white that was not cut away, by which it would be framed"
    assert not made(photo(glasses(), white)).misfit


@pytest.mark.parametrize("lowest", [254, 245])
def test_nearly_opaque_everywhere_is_opaque(lowest: int) -> None:
    noise = np.random.default_rng(3).integers(lowest, 255, SIZE, dtype=np.uint8)
    plain, one = (made(Photo(scene(), alpha, Tags(), ()), Look("transparent")) for alpha in (None, noise))
    assert np.array_equal(plain.pixels, one.pixels)


def test_noise_in_the_transparency_of_a_cut_out_is_background() -> None:
    noise = np.random.default_rng(3).integers(0, 6, SIZE, dtype=np.uint8)
    of = photo(np.where(glasses() > 0, glasses(), noise).astype(np.uint8), (20, 20, 20))
    one = made(of)
    assert one.own_mask and not one.own_shadow
    far = cv2.dilate(glasses(), np.ones((15, 15), np.uint8)) == 0
    assert (one.pixels[far] == 255).all() and (one.alpha[far] == 0).all()
