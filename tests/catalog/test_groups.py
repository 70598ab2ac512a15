"""Which photos of a list have one scale, what of a list is refused, and when a group is decided anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import manifestrows
import pyarrow as pa
import pytest

from glasseg.catalog import clashes, groups, manifest, pending, state
from glasseg.catalog.groups import Groups, members_hash
from glasseg.catalog.pending import UNCHANGED, Wanted
from glasseg.errors import GlassegError
from glasseg.lists import selection
from glasseg.storage import listing
from glasseg.storage.naming import EXACT
from glasseg.storage.roots import Entry, open_root

LIST = "photo,Model,Width mm\n"
WANTED = Wanted("m", "o", max_pixels=100)


def read(text: str, width_by: str | None = None, keys: list[str] | None = None) -> Groups:
    """The groups by the column `model` of a list that begins with `LIST`."""
    names = keys or [line.split(",")[0] for line in text.splitlines()]
    chosen = selection.select("list.csv", (LIST + text).encode(), names, "/in")
    return groups.read(chosen, " MODEL", width_by, 170.0)


def refusal(text: str, width_by: str | None = "width mm") -> str:
    with pytest.raises(GlassegError) as caught:
        read(text, width_by)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_photos_are_grouped_by_a_column_whatever_its_case_and_those_without_a_value_are_alone() -> None:
    found = read("a.jpg,00123,\nb.jpg,00123,\nc.jpg,123,\nd.jpg,,\n")
    assert found.names == {"a.jpg": "00123", "b.jpg": "00123", "c.jpg": "123"} and found.alone == 1


def test_one_row_of_a_group_tells_its_width() -> None:
    found = read('front.jpg,A,"138,5 mm"\nside.jpg,A,\nc.jpg,B,140\n', "Width  MM")
    assert found.widths == {"front.jpg": 138.5, "c.jpg": 140.0}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.jpg,A,\nb.jpg,A,\nc.jpg,B,140\n", "the group 'A' (row 2) has no width"),
        ("a.jpg,A,140\nb.jpg,A,141\n", "the group 'A' (row 2) has several widths, 140 and 141 mm: give one"),
        ("a.jpg,A,140\nb.jpg,A,wide\n", "row 3, 'wide' is no width: give millimetres, such as 138.5"),
        ("a.jpg,A,0\n", "row 2, '0' is no width"),
        ("a.jpg,A,-5\n", "row 2, '-5' is no width"),
        ('a.jpg,A,"1,400"\n', "row 2, '1,400' is no width"),
        ("a.jpg,A,171\n", "row 2, 171 mm is more than --across-mm 170"),
        ("a.jpg,A,14.25\n", "row 2, '14.25' is no width: give millimetres"),
        ("".join(f"{i}.jpg,{i},x\n" for i in range(5)), "; and 2 more"),
    ],
)
def test_what_is_wrong_with_widths_is_one_line_with_the_row(text: str, told: str) -> None:
    assert told in refusal(text)


def test_a_group_has_64_photos_at_most() -> None:
    rows = [f"{i:02}.jpg,A,\n" for i in range(65)]
    assert len(read("".join(rows[:64])).names) == 64
    assert refusal("".join(rows), None) == "the group 'A' (row 2) has 65 photos: a group has 64 at most"


def test_a_column_that_the_list_does_not_have_is_wrong_usage() -> None:
    chosen = selection.select("list.csv", (LIST + "a.jpg,A,\n").encode(), ["a.jpg"], "/in")
    for by, width_by, option in (("sku", None, "--scale-by sku"), ("model", "sku", "--width-mm sku")):
        with pytest.raises(
            GlassegError, match=f"{option}: no photo .* has a value in such a column; its columns are model"
        ) as caught:
            groups.read(chosen, by, width_by, 170.0)
        assert caught.value.exit_code == 2


def test_the_members_hash_is_of_keys_etags_and_the_width() -> None:
    pairs = [("a.jpg", "1"), ("b.jpg", "2")]
    width = {"a.jpg": 140.0}
    same = members_hash(pairs, width)
    assert same == members_hash(pairs[::-1], width) and len(same) == 12
    others = [members_hash(pairs, {}), members_hash(pairs, {"a.jpg": 141.0}), members_hash(pairs[:1], width)]
    others += [members_hash(pairs, {"b.jpg": 140.0}), members_hash(pairs, dict.fromkeys(("a.jpg", "b.jpg"), 140.0))]
    others += [members_hash([("a.jpg", "1"), ("b.jpg", "3")], width)]
    others += [members_hash([("a.jpg", "12"), ("b.jpg", "")], width)]
    assert len({same, *others}) == 8


# ---- when a group is decided anew ----

ALL = {"a.jpg": "A", "b.jpg": "A", "c.jpg": "A", "x.jpg": "X", "y.jpg": "X"}
"""The photos that an earlier run has done, each with its group."""
DONE = {"group_scale": 0.5, "group_baseline": 0.7, "model_id": "m", "options_id": "o"}


class Catalog:
    """A destination in which all photos are done, and a source and a list that may have changed."""

    def __init__(self, folder: Path) -> None:
        self.root, self.seq = open_root(str(folder)), 0
        self.names, self.widths = dict(ALL), dict.fromkeys(("a.jpg", "x.jpg"), 140.0)
        self.etags = dict.fromkeys(ALL, "1")
        self.there = set(ALL)
        self.listed = set(ALL)
        self.done({key: {} for key in ALL})

    def found(self) -> pa.Table:
        entries = [Entry(key, 1, self.etags[key]) for key in sorted(self.listed & self.etags.keys())]
        photos, _ = pending.photos(listing.table(entries), "keep")
        photos = clashes.with_clashes(photos, EXACT, folders=False)
        return groups.with_groups(photos, Groups(self.names, self.widths))

    def done(self, facts: Mapping[str, Mapping[str, Any]]) -> None:
        """Rows of a run for some photos, with the hash of their groups as they are now unless `facts` say else."""
        self.seq += 1
        hashes = {row["key"]: row["group_members"] for row in self.found().to_pylist()}
        rows = [
            manifestrows.row(
                key,
                self.seq,
                output_key=key,
                **DONE | {"group_members": hashes[key], "source_etag": self.etags[key]} | some,
            )
            for key, some in facts.items()
        ]
        manifest.write_part(self.root, f"run{self.seq}", 0, rows)

    def plan(self, **wanted: Any) -> dict[str, tuple[str, str, float | None]]:
        """By key of the pending photos the reason, the unit and the scale."""
        asked = Wanted(**{"model_id": "m", "options_id": "o", "max_pixels": 100, **wanted})
        known = state.read(self.root, "/in", groups.COLUMNS)
        source = pa.chunked_array([sorted(self.etags)], pa.string())
        found, self.partial = groups.with_absent(self.found(), known.photos, source, asked)
        there = pa.chunked_array([sorted(self.there)], pa.string())
        compared = pending.difference(pending.with_existing(found, there, known.places), known.photos, asked)
        todo = pending.retries_last(groups.with_scales(compared, known.photos, asked))
        return {
            row["key"]: (row["reason"], row["unit"], row["group_scale"])
            for row in todo.to_pylist()
            if row["reason"] != UNCHANGED
        }


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


def whole(unit: str, keys: str = "abc", **reasons: str) -> dict[str, tuple[str, str, None]]:
    """A group that is decided anew: its photos, `group` those without another reason."""
    return {f"{key}.jpg": (reasons.get(key, "group"), unit, None) for key in keys}


def test_nothing_is_done_again_when_nothing_has_changed(catalog: Catalog) -> None:
    assert catalog.plan() == {}


def test_a_new_member_has_its_group_decided_anew_and_no_other(catalog: Catalog) -> None:
    catalog.etags["d.jpg"], catalog.names["d.jpg"] = "1", "A"
    catalog.listed.add("d.jpg")
    assert catalog.plan() == whole("a.jpg", "abcd", d="new")


def test_a_changed_member(catalog: Catalog) -> None:
    catalog.etags["b.jpg"] = "2"
    assert catalog.plan() == whole("a.jpg", b="changed")


def test_a_member_that_left_the_source(catalog: Catalog) -> None:
    del catalog.etags["a.jpg"]
    catalog.widths["b.jpg"] = 140.0
    assert catalog.plan() == whole("b.jpg", "bc")


def test_another_width(catalog: Catalog) -> None:
    catalog.widths["a.jpg"] = 139.0
    assert catalog.plan() == whole("a.jpg")


def test_a_member_that_moved_to_another_group(catalog: Catalog) -> None:
    catalog.names["c.jpg"] = "X"
    assert catalog.plan() == whole("a.jpg", "ab") | whole("c.jpg", "cxy")


def test_other_options_are_decided_anew_whatever_reason_is_told_first(catalog: Catalog) -> None:
    photos = whole("a.jpg", a="options", b="options", c="options") | whole("x.jpg", "xy", x="options", y="options")
    assert catalog.plan(options_id="other") == photos
    assert {scale for _, _, scale in catalog.plan(options_id="other", model_id="new").values()} == {None}
    assert {scale for _, _, scale in catalog.plan(options_id="other", redo="review").values()} == {None}


def test_another_model_does_not_move_the_line(catalog: Catalog) -> None:
    assert catalog.plan(model_id="new") == {key: ("model", key, 0.5) for key in ALL}


def test_a_missing_picture_is_made_alone(catalog: Catalog) -> None:
    catalog.there.remove("b.jpg")
    assert catalog.plan() == {"b.jpg": ("missing", "b.jpg", 0.5)}


def test_a_photo_that_is_redone_keeps_its_scale_and_redo_all_decides_every_one(catalog: Catalog) -> None:
    catalog.done({"b.jpg": {"status": "review", "error_code": "uncertain_mask"}})
    assert catalog.plan(redo="review") == {"b.jpg": ("redo", "b.jpg", 0.5)}
    assert catalog.plan(redo="all") == whole("a.jpg", a="redo", b="redo", c="redo") | whole(
        "x.jpg", "xy", x="redo", y="redo"
    )


FAILED = {"status": "failed", "published": False}


def test_a_member_that_fails_every_night_is_tried_alone_with_the_scale_of_its_group(catalog: Catalog) -> None:
    catalog.done({"b.jpg": {**FAILED, "error_code": "read_error"}})
    assert catalog.plan() == {"b.jpg": ("retry", "b.jpg", 0.5)}


def test_after_it_came_out_or_was_corrected_the_group_is_decided_anew(catalog: Catalog) -> None:
    catalog.done({"b.jpg": {"reason": "retry", "group_members": None}})
    assert catalog.plan() == whole("a.jpg")


def test_a_member_that_can_never_be_read_holds_nothing_up(catalog: Catalog) -> None:
    catalog.done({"b.jpg": {**FAILED, "error_code": "unreadable", "group_members": None}})
    assert catalog.plan() == {}
    catalog.etags["c.jpg"] = "2"
    assert catalog.plan() == whole("a.jpg", c="changed")


def test_a_group_in_which_nothing_was_found_is_at_rest_and_decides_with_what_is_tried_again(catalog: Catalog) -> None:
    empty = {"group_scale": None, "group_baseline": None}
    review = {**empty, "status": "review", "error_code": "no_glasses"}
    catalog.done({"x.jpg": review, "y.jpg": {**empty, **FAILED, "error_code": "read_error"}})
    assert catalog.plan() == {"y.jpg": ("retry", "x.jpg", None)}


def test_what_a_killed_run_left_of_a_group_is_not_joined_to_the_rest_of_it(catalog: Catalog) -> None:
    catalog.etags["b.jpg"] = "2"
    catalog.done({"a.jpg": {"reason": "group"}, "b.jpg": {"reason": "changed"}})
    assert catalog.plan() == whole("a.jpg"), "c has the old members"


def test_a_destination_from_before_groups(catalog: Catalog) -> None:
    catalog.done({key: dict.fromkeys(groups.COLUMNS) for key in ALL})
    assert catalog.plan() == whole("a.jpg") | whole("x.jpg", "xy")


def test_a_list_of_a_part_leaves_the_scale_of_its_groups(catalog: Catalog) -> None:
    catalog.etags |= {"b.jpg": "2", "d.jpg": "1"}
    catalog.names["d.jpg"] = "A"
    catalog.listed = {"b.jpg", "d.jpg", "x.jpg", "y.jpg"}
    assert catalog.plan() == {"b.jpg": ("changed", "b.jpg", 0.5), "d.jpg": ("new", "d.jpg", 0.5)}
    assert catalog.partial == 1
    catalog.listed = {*ALL, "d.jpg"}
    assert catalog.plan() == whole("a.jpg", "abcd", b="changed", d="new"), "with the whole list it is seen to"
    catalog.listed = {"b.jpg"}
    assert catalog.plan(redo="all") == {"b.jpg": ("changed", "b.jpg", None)}


def test_photos_that_moved_out_of_a_part_do_not_bring_its_scale_along(catalog: Catalog) -> None:
    catalog.names["c.jpg"] = "X"
    catalog.listed = {"c.jpg", "x.jpg", "y.jpg"}
    assert catalog.plan() == whole("c.jpg", "cxy")


def test_groups_are_neighbours_those_that_only_fail_come_last_and_no_limit_cuts_them() -> None:
    rows = [("a", "retry", "a"), ("b", "new", "b"), ("c", "group", "b"), ("d", "new", "d"), ("e", "group", "b")]
    rows += [("f", "retry", "f"), ("g", "group", "f")]
    table = pa.table(dict(zip(("key", "reason", "unit"), map(list, zip(*rows, strict=True)), strict=True)))
    todo = pending.retries_last(table)
    assert "".join(todo["key"].to_pylist()) == "bcedafg"
    taken = ["".join(pending.first(todo, n)["key"].to_pylist()) for n in range(1, 8)]
    assert taken == ["bce", "bce", "bce", "bced", "bceda", "bcedafg", "bcedafg"]
