"""What is done together stays together, whatever the destinations have to do."""

from __future__ import annotations

from itertools import groupby

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.whiten import units, worker
from jobs.whiten.order import PENDING

PHOTOS = [f"{letter}.jpg" for letter in "abcdefgh"]
REASONS = ("new", "retry", "options")


def work(place: int, rows: list[tuple[str, str]], groups: dict[str, str] | None = None) -> pa.Table:
    """The work of a destination: photos, each with its reason; `groups` are those of some of them."""
    units = groups or {}
    return pa.Table.from_pylist(
        [
            {"key": key, "reason": reason, "place": place, "unit": units.get(key, key), "unit_rows": 1}
            for key, reason in rows
        ],
        schema=PENDING,
    )


def places(table: pa.Table) -> list[tuple[str, int]]:
    return list(zip(table["key"].to_pylist(), table["place"].to_pylist(), strict=True))


def test_the_pictures_of_a_photo_are_neighbours_and_what_failed_everywhere_comes_last() -> None:
    amazon = work(0, [("b.jpg", "new"), ("c.jpg", "new"), ("a.jpg", "retry"), ("d.jpg", "retry")])
    web = work(1, [("a.jpg", "new"), ("b.jpg", "new"), ("d.jpg", "retry")])
    done = units.merged([amazon, web])
    together = [("b.jpg", 0), ("b.jpg", 1), ("c.jpg", 0), ("a.jpg", 0), ("a.jpg", 1), ("d.jpg", 0), ("d.jpg", 1)]
    assert places(done) == together
    assert done["unit_rows"].to_pylist() == [2, 2, 1, 2, 2, 2, 2]


def test_a_photo_goes_with_its_group_where_one_destination_needs_that() -> None:
    grouped = work(0, [("a.jpg", "new"), ("b.jpg", "retry"), ("c.jpg", "new")], {"a.jpg": "pair", "c.jpg": "pair"})
    done = units.merged([grouped, work(1, [("c.jpg", "redo"), ("b.jpg", "new")])])
    assert places(done) == [("a.jpg", 0), ("c.jpg", 0), ("c.jpg", 1), ("b.jpg", 0), ("b.jpg", 1)]
    assert done["unit"].to_pylist() == ["pair", "pair", "pair", "b.jpg", "b.jpg"]
    assert done["unit_rows"].to_pylist() == [3, 3, 3, 2, 2]


def test_the_work_of_one_destination_is_not_copied() -> None:
    only = work(0, [("a.jpg", "new"), ("b.jpg", "retry")])
    assert units.merged([only]) is only


def test_a_worker_refuses_a_part_of_a_unit() -> None:
    """Two halves would be two groups, each with a scale of its own."""
    done = units.merged([work(0, [("a.jpg", "new")]), work(1, [("a.jpg", "new"), ("b.jpg", "new")])])
    worker.refuse_torn(done)
    with pytest.raises(ValueError, match=r"a\.jpg has 2 rows, and 1 of them are in this batch"):
        worker.refuse_torn(done.slice(1))


rows = st.lists(st.tuples(st.sampled_from(PHOTOS), st.sampled_from(REASONS)), unique_by=lambda row: row[0])


@given(
    st.lists(rows, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(PHOTOS), st.sampled_from(["left", "right"])),
    st.integers(1, 6),
    st.integers(1, 5),
)
def test_no_row_is_lost_and_no_unit_cut(
    asked: list[list[tuple[str, str]]], groups: dict[str, str], photos: int, step: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(units, "_STEP", step)
        done = units.merged([work(place, some, groups if place == 0 else None) for place, some in enumerate(asked)])
    assert sorted(places(done)) == sorted((key, place) for place, some in enumerate(asked) for key, _ in some)
    assert len(list(groupby(done["key"].to_pylist()))) == len(set(done["key"].to_pylist())) == units.count(done)
    cut = units.tables(done, photos)
    assert pa.concat_tables([done.slice(0, 0), *cut]) == done
    for table in cut:
        names = table["unit"].to_pylist()
        assert [names.count(name) for name in names] == table["unit_rows"].to_pylist()
        assert units.count(table) >= photos or table is cut[-1]
