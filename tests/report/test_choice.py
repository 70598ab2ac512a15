"""Which photos a person is asked to look at: the worst, but not fifty of one kind."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.catalog.schema import SCHEMA
from glasseg.report.choice import editable, of_destination, worst

ROWS = pa.schema([SCHEMA.field(name).with_nullable(True) for name in ("key", "status", "quality")])


def rows(*given: tuple[str, str, float | None]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(ROWS.names, one, strict=True)) for one in given], schema=ROWS)


def keys(table: pa.Table) -> list[str]:
    return table["key"].to_pylist()


def test_photos_in_review_can_be_edited_and_marked_ones_with_a_picture() -> None:
    run = rows(("ok", "ok", 0.9), ("review", "review", 0.5), ("bad", "failed", None), ("fine", "ok", 0.99))
    assert keys(editable(run)) == ["review"]
    assert keys(editable(run, ["fine", "bad", "of another run"])) == ["review", "fine"]


def test_the_lowest_quality_comes_first_and_unknown_ones_last() -> None:
    run = rows(("b", "review", 0.5), ("none", "review", None), ("a", "review", 0.2), ("c", "review", 0.7))
    assert [one["key"] for one in worst(run)] == ["a", "b", "c", "none"]
    assert [one["key"] for one in worst(run, most=2)] == ["a", "b"]


def test_marked_photos_are_taken_before_worse_ones() -> None:
    run = rows(("a", "review", 0.2), ("b", "review", 0.3), ("marked", "ok", 0.9))
    assert [one["key"] for one in worst(run, ["marked"], most=2)] == ["a", "marked"]


def photos(*given: dict[str, Any]) -> pa.Table:
    """As `state.photos` gives them, with their quality."""
    words = pa.dictionary(pa.int32(), pa.string())
    types = {"key": pa.string(), "status": words, "error_code": words, "reviewed": words, "quality": pa.float64()}
    return pa.table(
        {name: pa.chunked_array([pa.array([one.get(name) for one in given], of)]) for name, of in types.items()}
    )


def photo(key: str, quality: float | None, **facts: Any) -> dict[str, Any]:
    return {"key": key, "quality": quality, "status": "ok", **facts}


def test_only_pictures_on_which_nobody_has_said_a_word_are_chosen() -> None:
    known = photos(
        photo("failed.jpg", 0.1, status="failed"),
        photo("gone.jpg", 0.1, status="gone"),
        photo("approved.jpg", 0.1, reviewed="approved\nR\nm\ne"),
        photo("review.jpg", 0.4, status="review"),
        photo("ok.jpg", 0.9),
    )
    assert [one["key"] for one in of_destination(known, 10)] == ["review.jpg", "ok.jpg"]


def test_a_folder_of_bad_photos_does_not_hide_the_others() -> None:
    known = photos(
        *(photo(f"bad/{i}.jpg", 0.1 + i / 1e4, status="review", error_code="uncertain_mask") for i in range(200)),
        *(photo(f"other/{i}.jpg", 0.5 + i / 1e4, status="review", error_code="uncertain_mask") for i in range(5)),
        *(photo(f"ok/{i}.jpg", 0.8 + i / 1e4) for i in range(100)),
        *(photo(f"bad/none-{i}.jpg", None, status="review", error_code="no_glasses") for i in range(40)),
    )
    chosen = of_destination(known, 30)
    assert Counter((one["key"].partition("/")[0], one["error_code"]) for one in chosen) == {
        ("bad", "uncertain_mask"): 5,
        ("other", "uncertain_mask"): 5,
        ("ok", None): 10,
        ("bad", "no_glasses"): 10,
    }
    assert {f"bad/{i}.jpg" for i in range(5)} < {one["key"] for one in chosen}
    quality = [np.inf if one["quality"] is None else one["quality"] for one in chosen]
    assert quality == sorted(quality)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a/", "b/", "c/d/", ""]),
            st.sampled_from(["cut_off", "sideways", None]),
            st.none() | st.floats(0, 1),
            st.sampled_from(["ok", "review", "failed"]),
        ),
        max_size=60,
    ),
    st.integers(1, 70),
)
def test_as_many_as_there_are_each_once_and_no_kind_is_left_out(
    given: list[tuple[str, str | None, float | None, str]], count: int
) -> None:
    known = [
        photo(f"{folder}{i}.jpg", quality, error_code=code, status=status)
        for i, (folder, code, quality, status) in enumerate(given)
    ]
    open_to = [one for one in known if one["status"] != "failed"]
    chosen = of_destination(photos(*known), count)
    assert len({one["key"] for one in chosen}) == len(chosen) == min(count, len(open_to))
    kinds = {one["error_code"] for one in open_to}
    assert count < 5 * len(kinds) or {one["error_code"] for one in chosen} == kinds


@pytest.mark.parametrize("count", [1, 50])
def test_a_destination_without_photos_gives_none(count: int) -> None:
    assert of_destination(photos(), count) == []
