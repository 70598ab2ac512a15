"""A picture passes, or the first rule it breaks is named; what can never pass is refused before any work."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from glasseg.cutout.framing import Framing, plan
from glasseg.cutout.marketplaces import RULES, PictureFacts, contradiction, preset, verdict
from glasseg.cutout.placement import place
from glasseg.cutout.whiteness import Whiteness, inspect, measure
from glasseg.images.compositing import compose
from glasseg.images.encoder import encode

GOOD = PictureFacts(2000, 2000, "jpeg", 400_000, "white", 0.87, white=Whiteness(0.98, 0.999, 1.0, 1.0, 15))


def facts_of(name: str, photo: tuple[int, int] = (3000, 4000)) -> PictureFacts:
    """The facts of drawn black glasses that were framed and written as the preset demands."""
    height, width = photo
    alpha = np.zeros(photo, np.uint8)
    for x in (width * 3 // 10, width * 7 // 10):
        cv2.ellipse(alpha, (x, height // 3), (width // 6, height // 8), 3, 0, 360, 255, width // 80, cv2.LINE_AA)
    options = preset(name)
    placement = plan(alpha, Framing(options["frame"], options["fill"], options["size"]))
    picture = place(compose(np.zeros((*photo, 3), np.uint8), alpha), placement)
    data = encode(picture, options["format"], 95)
    white = inspect(data, cv2.compare(place(alpha, placement, 0), 0, cv2.CMP_EQ), (255, 255, 255))
    return PictureFacts(
        picture.shape[1],
        picture.shape[0],
        options["format"],
        len(data),
        options["background"],
        placement.fill,
        white=white,
    )


@pytest.mark.parametrize("name", RULES)
def test_a_preset_passes_its_own_check(name: str) -> None:
    facts = facts_of(name)
    assert verdict(RULES[name], facts) == "pass"
    assert max(facts.width, facts.height) == preset(name)["size"]


@pytest.mark.parametrize("name", RULES)
def test_a_preset_does_not_contradict_its_own_check(name: str) -> None:
    options = preset(name)
    assert options["check"] == (name,) and options["shadow"] == "none"
    chosen = {key: options[key] for key in ("format", "background", "frame", "fill", "size")}
    assert contradiction(options["check"], **chosen) is None


def test_a_preset_of_one_square_marketplace_passes_the_other_square_ones() -> None:
    assert {verdict(RULES[name], facts_of("amazon")) for name in ("amazon", "google", "ebay")} == {"pass"}
    assert verdict(RULES["zalando"], facts_of("amazon")) == "ratio 1:1, only 1:1.44"


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("amazon", {}, "pass"),
        ("amazon", {"fill": 0.71}, "fill 0.71, at least 0.85"),
        ("amazon", {"fill": 0.8497}, "pass"),  # less than a pixel below
        ("amazon", {"fill": 0.849}, "fill 0.849, at least 0.85"),
        ("amazon", {"fill": None}, "no glasses found"),
        ("amazon", {"cut": True}, "glasses cut off by the photo's edge"),
        ("amazon", {"format": "webp"}, "format webp, only jpeg, png or tiff"),
        ("amazon", {"width": 900, "height": 800}, "longest side 900, at least 1000"),
        ("amazon", {"width": 10_001}, "longest side 10001, at most 10000"),
        ("amazon", {"bytes": 10_001_000}, "file of 10.001 MB, at most 10"),
        ("amazon", {"bytes": 12_345_678}, "file of 12.35 MB, at most 10"),
        ("amazon", {"background": "transparent"}, "background transparent, only white"),
        ("amazon", {"background": "#FFFFFF"}, "pass"),
        ("amazon", {"shadow": True}, "has a shadow, none allowed"),
        ("google", {"fill": 0.92}, "fill 0.92, at most 0.90"),
        ("google", {"background": "transparent", "format": "png", "white": None}, "pass"),
        ("google", {"background": "#f4f4f4"}, "background #f4f4f4, only white or transparent"),
        ("google", {"width": 480}, "shortest side 480, at least 500"),
        ("google", {"width": 8001, "height": 8000}, "64.01 megapixels, at most 64"),
        ("zalando", {}, "ratio 1:1, only 1:1.44"),
        ("ebay", {"width": 499, "height": 499}, "longest side 499, at least 500"),
        ("ebay", {"background": "#224466", "fill": 0.3, "format": "webp"}, "pass"),
    ],
)
def test_the_first_broken_rule_is_named(name: str, changes: dict[str, Any], expected: str) -> None:
    assert verdict(RULES[name], replace(GOOD, **changes)) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1801, 2600, "pass"),  # Zalando's own best size
        (762, 1100, "pass"),  # and its smallest
        (1000, 1440, "pass"),
        (761, 1099, "761×1099 pixels, at least 762×1100"),
        (2600, 1801, "ratio 1:0.693, only 1:1.44"),
        (1800, 2400, "ratio 1:1.33, only 1:1.44"),
    ],
)
def test_zalando_takes_its_own_sizes_and_no_other_ratio(width: int, height: int, expected: str) -> None:
    assert verdict(RULES["zalando"], replace(GOOD, width=width, height=height)) == expected


@pytest.mark.parametrize(
    ("white", "words"),
    [
        (Whiteness(0.99, 1.0, 0.999, 1.0, 5), "outer ring"),
        (Whiteness(0.6, 1.0, 1.0, 1.0, 5), "exactly white, at least 0.90"),
        (Whiteness(0.95, 0.96, 1.0, 1.0, 25), "250 or more"),
        (Whiteness(0.99, 0.999, 1.0, 1.0, 135), "darkest background 120"),
    ],
)
def test_a_background_that_is_not_white_fails_amazon_but_not_ebay(white: Whiteness, words: str) -> None:
    assert words in verdict(RULES["amazon"], replace(GOOD, white=white))
    assert verdict(RULES["ebay"], replace(GOOD, white=white)) == "pass"


def test_a_lossless_picture_gets_no_allowance_for_compression() -> None:
    nearly = replace(GOOD, format="png", white=Whiteness(0.99, 1.0, 1.0, 1.0, 1))
    assert "exactly white, at least 1.00" in verdict(RULES["amazon"], nearly)


@pytest.mark.parametrize("quality", [75, 95])
def test_compression_next_to_dark_rims_is_still_white(quality: int) -> None:
    alpha = np.zeros((800, 800), np.uint8)
    cv2.ellipse(alpha, (400, 400), (330, 120), 0, 0, 360, 255, 14, cv2.LINE_AA)
    picture = compose(np.zeros((800, 800, 3), np.uint8), alpha)
    white = inspect(encode(picture, "jpeg", quality), cv2.compare(alpha, 0, cv2.CMP_EQ), (255, 255, 255))
    assert white.ring_share == 1 and white.exact_share < 1
    assert verdict(RULES["amazon"], replace(GOOD, white=white)) == "pass"
    picture[alpha == 0] = 254
    grey = inspect(encode(picture, "jpeg", quality), cv2.compare(alpha, 0, cv2.CMP_EQ), (255, 255, 255))
    assert "white" in verdict(RULES["amazon"], replace(GOOD, white=grey))


def test_a_soft_shadow_that_was_left_is_not_white() -> None:
    alpha = np.zeros((800, 800), np.uint8)
    alpha[300:400, 50:750] = 255
    picture = np.full((800, 800, 3), 255, np.uint8)
    picture[400:450, 100:700] = 235
    white = measure(picture, cv2.compare(alpha, 0, cv2.CMP_EQ), (255, 255, 255))
    assert white == Whiteness(pytest.approx(1 - 30_000 / 570_000), pytest.approx(1 - 30_000 / 570_000), 1.0, 1.0, 20)
    assert verdict(RULES["amazon"], replace(GOOD, white=white)) != "pass"


@pytest.mark.parametrize(
    ("checks", "options", "words"),
    [
        (["amazon"], {"background": "transparent"}, "background transparent"),
        (["amazon"], {"background": "#eeeeee"}, "background #eeeeee"),
        (["google", "amazon"], {"format": "webp"}, "the rules of amazon contradict the other options: format webp"),
        (["amazon"], {"size": 400}, "longest side 400"),
        (["amazon"], {"fill": 0.6}, "fill 0.60, at least 0.85"),
        (["amazon"], {"shadow": True}, "shadow"),
        (["amazon", "google"], {"fill": 0.95}, "options: fill 0.95, at most 0.90"),
        (["zalando"], {"frame": (16, 9)}, "ratio 1:0.562, only 1:1.44"),
        (["zalando"], {"frame": (1, 1)}, "ratio"),
        (["zalando"], {"size": 1000}, "694×1000 pixels"),
        (["google"], {"frame": (1, 3), "size": 1200}, "shortest side 400"),
        (["amazon"], {"fill": 0.99}, "--fill 0.98 at most"),
        (["amazn"], {}, "--check knows amazon, google, zalando, ebay, not 'amazn'"),
    ],
)
def test_options_that_can_never_pass_are_refused(checks: list[str], options: dict[str, Any], words: str) -> None:
    message = contradiction(checks, **options)
    assert message is not None and words in message and "\n" not in message


@pytest.mark.parametrize(
    ("checks", "options"),
    [
        (list(RULES), {}),
        (list(RULES), {"frame": (25, 36), "fill": 0.87, "size": 2600, "format": "jpeg"}),
        (["amazon", "google"], {"frame": (1, 1), "fill": 0.85, "size": 1600}),
        (["google"], {"background": "transparent", "format": "png"}),
        (["ebay"], {"background": "#123456", "shadow": True, "format": "webp"}),
        ([], {"background": "transparent", "size": 20}),
    ],
)
def test_options_that_may_pass_are_not_refused(checks: list[str], options: dict[str, Any]) -> None:
    assert contradiction(checks, **options) is None


@pytest.mark.parametrize("name", RULES)
def test_every_entry_says_where_and_when_it_was_read(name: str) -> None:
    rules = RULES[name]
    assert rules.source.startswith("https://") and re.fullmatch(r"\d{4}-\d\d-\d\d", rules.checked)
    assert "page" in rules.note.lower() and "jpeg" in rules.formats
