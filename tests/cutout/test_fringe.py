"""Cut-outs whose rim holds the colour that they were cut from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glasseg.cutout import fringe, picture
from glasseg.cutout.look import Look
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags

SIZE = (240, 320)


def glasses(soft: float = 1.0) -> np.ndarray:
    alpha = np.zeros(SIZE, np.uint8)
    for x in (105, 215):
        cv2.ellipse(alpha, (x, 120), (46, 34), 0, 0, 360, 255, 12, cv2.LINE_AA)
    cv2.line(alpha, (150, 112), (170, 112), 255, 10, cv2.LINE_AA)
    return cv2.GaussianBlur(alpha, (0, 0), soft)


def coloured(colour: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 3, (*SIZE, 3))
    return np.clip(np.rint(np.array(colour) + noise), 0, 255).astype(np.uint8)


def mixed(image: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    """The image as it looks on black or white, or as a program stores it multiplied."""
    share = alpha[..., None] / 255
    return np.rint(share * image + (1 - share) * ground).astype(np.uint8)


@pytest.mark.parametrize("soft", [0.7, 1.5, 2.5])
@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("colour", [(150, 90, 50), (220, 60, 60), (110, 110, 115), (60, 110, 190)])
def test_the_ground_that_glasses_were_cut_from_leaves_their_rim(
    colour: tuple[int, int, int], ground: int, soft: float
) -> None:
    alpha, image = glasses(soft), coloured(colour)
    clean = fringe.removed(mixed(image, alpha, ground), alpha)
    rim = (alpha > 40) & (alpha < 255)
    assert np.abs(clean[rim].astype(int) - image[rim]).max() <= 4, "divided by their alpha, colours are rounded"


@pytest.mark.parametrize(
    "colour", [(150, 90, 50), (12, 12, 14), (45, 30, 25), (250, 250, 250), (255, 255, 255), (0, 0, 0)]
)
def test_straight_colours_stay_as_they_are(colour: tuple[int, int, int]) -> None:
    image = coloured(colour)
    for soft in (0.7, 1.5, 3.0):
        assert fringe.removed(image, glasses(soft)) is image


def test_a_hard_alpha_has_no_fringe() -> None:
    alpha = np.where(glasses() > 127, 255, 0).astype(np.uint8)
    image = coloured((150, 90, 50))
    assert fringe.removed(image, alpha) is image
    assert fringe.removed(image, np.zeros(SIZE, np.uint8)) is image


def test_a_picture_of_a_multiplied_cut_out_has_no_dark_fringe() -> None:
    alpha, image = glasses(1.5), coloured((200, 120, 60))
    seen = cv2.GaussianBlur(alpha, (0, 0), 1).astype(np.float32) / 255
    straight, multiplied = (
        picture.make(Photo(colours, alpha, Tags(), ()), seen, threshold=0.45, ramp=0.4, look=Look())
        for colours in (image, mixed(image, alpha, 0))
    )
    assert multiplied.own_mask
    assert np.abs(straight.pixels.astype(int) - multiplied.pixels).max() <= 2
