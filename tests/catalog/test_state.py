"""Of all rows of a photo the last one counts, and the last that was published."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifestrows import NOW, row

from glasseg.catalog import manifest, state
from glasseg.catalog.schema import Status
from glasseg.storage.roots import Folder


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_state_of_a_photo_is_its_row_with_the_highest_run_seq(data: st.DataObject) -> None:
    """Whatever the clock said: names of runs and times are shuffled against `run_seq`."""
    count = data.draw(st.integers(1, 5))
    names = data.draw(st.permutations([f"2026010{i}T000000.000Z" for i in range(count)]))
    hours = data.draw(st.permutations(range(count)))
    expected: dict[str, tuple[int, str]] = {}
    standing: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Folder(Path(folder).resolve())
        for seq, (name, hour) in enumerate(zip(names, hours, strict=True), 1):
            keys = data.draw(st.lists(st.sampled_from("abcd"), unique=True))
            rows = [
                row(key, seq, run_id=name, status=data.draw(st.sampled_from(list(Status))),
                    published=data.draw(st.booleans()), finished_at=NOW + timedelta(hours=hour))
                for key in keys
            ]  # fmt: skip
            parts = [rows[:1], rows[1:]] if data.draw(st.booleans()) else [rows]
            for number, part in enumerate(parts):
                manifest.write_part(root, name, number, part)
            for one in rows:
                expected[one["key"]] = (seq, one["status"])
                standing[one["key"]] = name if one["published"] else standing.get(one["key"])
        known = {one["key"]: one for one in state.read(root).photos.to_pylist()}
        assert {key: (one["run_seq"], one["status"]) for key, one in known.items()} == expected
        assert {key: one["standing_run_id"] for key, one in known.items()} == standing


def test_a_destination_without_rows_has_a_state_without_photos(tmp_path: Path) -> None:
    assert len(state.read(Folder(tmp_path)).photos) == 0


def test_only_photos_below_the_source_are_of_it(tmp_path: Path) -> None:
    rows = [row("a.jpg"), row("b.jpg", source_uri="s3://x/b.jpg"), row("c.jpg", source_uri="/in/deep/c.jpg")]
    manifest.write_part(Folder(tmp_path), "run1", 0, rows)
    known = state.read(Folder(tmp_path), "/in").photos
    assert dict(zip(known["key"].to_pylist(), known["of_source"].to_pylist(), strict=True)) == {
        "a.jpg": True,
        "b.jpg": False,
        "c.jpg": False,
    }
    assert not any(state.read(Folder(tmp_path)).photos["of_source"].to_pylist())


def test_a_picture_that_was_held_back_is_told_from_one_for_review(tmp_path: Path) -> None:
    rows = [
        row("held.jpg", status="review", published=False),
        row("seen.jpg", status="review"),
        row("bad.jpg", status="failed", published=False),
    ]
    manifest.write_part(Folder(tmp_path), "run1", 0, rows)
    known = state.read(Folder(tmp_path)).photos
    assert known.filter(known["held"])["key"].to_pylist() == ["held.jpg"]


@pytest.mark.parametrize("fold", [1, 10**6])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_state_of_a_place_is_the_row_that_published_there_last_until_its_picture_is_deleted(
    fold: int, data: st.DataObject
) -> None:
    """Photos change their format, take the name of another one, fail, are held back, and leave with their pictures."""
    expected: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(state, "_FOLD", fold)
        root = Folder(Path(folder).resolve())
        for seq in range(1, data.draw(st.integers(1, 6)) + 1):
            taken: set[str] = set()
            for number, key in enumerate(data.draw(st.lists(st.sampled_from("abc"), unique=True))):
                what = data.draw(st.sampled_from(["published", "held", "failed", "deleted"]))
                output = data.draw(st.sampled_from([key, f"{key}.png", "shared"]))
                if what == "published" and output not in taken:
                    taken.add(output)
                    made = row(key, seq, output_key=output, mask_coverage=seq / 10)
                    expected[output] = (key, f"run{seq}")
                elif what == "held":
                    made = row(key, seq, output_key=output, status="review", published=False)
                elif what == "deleted":
                    made = row(key, seq, status="gone", reason="deleted", published=False)
                    expected = {place: stands for place, stands in expected.items() if stands[0] != key}
                else:
                    made = row(key, seq, status="failed", published=False)
                manifest.write_part(root, f"run{seq}", number, [made])
        places = state.read(root).places.to_pylist()
        assert {one["output_key"]: (one["key"], one["run_id"]) for one in places} == expected
        assert all(one["mask_coverage"] == int(one["run_id"][3:]) / 10 for one in places)
