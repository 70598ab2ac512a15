"""Numbers as people write them in a list."""

from __future__ import annotations

import pytest

from glasseg.lists import numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("140", 140.0),
        ("138.5", 138.5),
        ("138,5", 138.5),
        (" 138,25 mm", 138.25),
        ("140MM", 140.0),
        ("0.5", 0.5),
        ("138.499999999999", 138.499999999999),
    ],
)
def test_a_width_is_read_with_a_point_or_a_comma(text: str, number: float) -> None:
    assert numbers.positive(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wide",
        "0",
        "0,00",
        "-140",
        "1,400",
        "1.400,5",
        "1e3",
        "140 cm",
        "140-145",
        "14 0",
        "٣",
        "nan",
        "inf",
        "9" * 7,
    ],
)
def test_what_may_be_something_else_is_no_width(text: str) -> None:
    assert numbers.positive(text) is None
