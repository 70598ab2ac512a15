"""Colours by name and number, and looks that no picture can have."""

from __future__ import annotations

import pytest

from glasseg.config import MARKETPLACES
from glasseg.cutout import marketplaces
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look, colour_of, contradiction


@pytest.mark.parametrize(
    ("background", "colour"),
    [
        ("white", (255, 255, 255)),
        ("#f5f5f5", (245, 245, 245)),
        ("#0A141e", (10, 20, 30)),
        ("#fa0", (255, 170, 0)),
        ("transparent", None),
    ],
)
def test_a_background_is_a_colour_or_none(background: str, colour: tuple[int, int, int] | None) -> None:
    assert colour_of(background) == Look(background).colour == colour


@pytest.mark.parametrize("background", ["grey", "f5f5f5", "#f5f5f", "#f5f5f5 ", "", "#gggggg"])
def test_another_word_is_refused_in_one_line(background: str) -> None:
    with pytest.raises(ValueError, match="is not a background: give white, transparent or a colour"):
        colour_of(background)


@pytest.mark.parametrize(
    ("look", "format", "words"),
    [
        (Look("transparent"), "jpeg", "a JPEG can't be transparent"),
        (Look(framing=Framing(max_upscale=2.0)), "keep", "add --size"),
        (Look("transparent", checks=("amazon",)), "keep", "the rules of amazon"),
        (Look(shadow="soft", checks=("amazon",)), "keep", "options: has a shadow"),
        (
            Look(framing=Framing(frame=(16, 9)), checks=("zalando",)),
            "keep",
            "the rules of zalando contradict the other",
        ),
        (
            Look(framing=Framing(size=400), checks=("ebay",)),
            "keep",
            "options: longest side 400",
        ),
        (Look(lenses="keep", checks=("ebay", "amazon")), "keep", "amazon's rules do not allow"),
        (Look(framing=Framing(fill=1.0), checks=("amazon",)), "keep", "--fill 0.98 at most"),
        (Look(checks=("zalando",)), "png", "options: format png"),
    ],
)
def test_a_look_that_no_picture_can_have_is_said_before_any_work(look: Look, format: str, words: str) -> None:
    assert words in str(contradiction(look, format, 95))


@pytest.mark.parametrize(
    ("look", "format"),
    [
        (Look(framing=Framing(frame=(4, 1)), checks=("google",)), "keep"),
        (Look(framing=Framing(size=9000), checks=("google",)), "keep"),  # no photo is enlarged, so few are that large
        (Look(framing=Framing(size=12_000), checks=("amazon",)), "keep"),
        (Look("transparent", checks=("google",)), "png"),
    ],
)
def test_what_some_photo_can_pass_is_not_refused(look: Look, format: str) -> None:
    assert contradiction(look, format, 95) is None


def test_a_quality_at_which_white_is_not_white_is_refused() -> None:
    assert "--quality 34 makes white 254 in JPEG" in str(contradiction(Look(), "keep", 34))
    assert "--quality 30 makes white 254 in AVIF" in str(contradiction(Look(), "avif", 30))
    assert contradiction(Look(), "avif", 34) is None and contradiction(Look("transparent"), "avif", 30) is None
    assert contradiction(Look("#f5f5f5"), "jpeg", 34) is None and contradiction(Look(), "png", 34) is None


@pytest.mark.parametrize("format", ["keep", "png", "webp", "tiff", "avif"])
def test_what_can_be_is_not_refused(format: str) -> None:
    assert (
        contradiction(Look("transparent", "keep", "soft", Framing((1, 1), 0.85, 1600, True, 2.0)), format, 95) is None
    )


def test_every_marketplace_has_rules_and_a_column() -> None:
    assert tuple(marketplaces.RULES) == MARKETPLACES
