"""Of all rows of a photo the last one counts, and the last that was published."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from manifestrows import NOW, row

from glasseg.catalog import manifest, state
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
                row(key, seq, run_id=name, status=data.draw(st.sampled_from(manifest.STATUSES)),
                    published=data.draw(st.booleans()), finished_at=NOW + timedelta(hours=hour))
                for key in keys
            ]  # fmt: skip
            parts = [rows[:1], rows[1:]] if data.draw(st.booleans()) else [rows]
            for number, part in enumerate(parts):
                manifest.write_part(root, name, number, part)
            for one in rows:
                expected[one["key"]] = (seq, one["status"])
                standing[one["key"]] = name if one["published"] else standing.get(one["key"])
        known = {one["key"]: one for one in state.read(root).to_pylist()}
        assert {key: (one["run_seq"], one["status"]) for key, one in known.items()} == expected
        assert {key: one["standing_run_id"] for key, one in known.items()} == standing


def test_a_destination_without_rows_has_a_state_without_photos(tmp_path: Path) -> None:
    assert len(state.read(Folder(tmp_path))) == 0


def test_only_photos_below_the_source_are_of_it(tmp_path: Path) -> None:
    rows = [row("a.jpg"), row("b.jpg", source_uri="s3://x/b.jpg"), row("c.jpg", source_uri="/in/deep/c.jpg")]
    manifest.write_part(Folder(tmp_path), "run1", 0, rows)
    known = state.read(Folder(tmp_path), "/in")
    assert dict(zip(known["key"].to_pylist(), known["of_source"].to_pylist(), strict=True)) == {
        "a.jpg": True,
        "b.jpg": False,
        "c.jpg": False,
    }
    assert not any(state.read(Folder(tmp_path))["of_source"].to_pylist())


def test_a_picture_that_was_held_back_is_told_from_one_for_review(tmp_path: Path) -> None:
    rows = [
        row("held.jpg", status="review", published=False),
        row("seen.jpg", status="review"),
        row("bad.jpg", status="failed", published=False),
    ]
    manifest.write_part(Folder(tmp_path), "run1", 0, rows)
    known = state.read(Folder(tmp_path))
    assert known.filter(known["held"])["key"].to_pylist() == ["held.jpg"]
