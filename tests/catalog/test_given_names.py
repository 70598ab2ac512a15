"""Names from templates: cleaned, numbered, and in an order in which nobody's picture is lost."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.catalog import moves, names
from glasseg.catalog.moves import MOVES
from glasseg.errors import GlassegError
from glasseg.storage.keys import unsafe_reason
from glasseg.storage.naming import EXACT, Naming

FORBIDDEN = set('/\\:*?"<>|')
KEPT = pa.schema([("key", pa.string()), ("name_number", pa.int32()), ("name_series", pa.string())])
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(' ./\\:*?"<>|\t\n\r\u200b\u00a0é\u0301'), max_size=20
)


def cleaned(text: str, *, folders: bool = False) -> str:
    return str(names.cleaned(pa.chunked_array([[text]], pa.string()), folders=folders)[0].as_py())


@given(TEXTS)
def test_a_cleaned_value_is_a_name_on_every_disk(text: str) -> None:
    name = cleaned(text)
    assert not name or unsafe_reason(name) is None
    assert not FORBIDDEN & set(name) and name == name.strip(". ")
    assert not any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in name)
    assert cleaned(name) == name == unicodedata.normalize("NFC", name)


@given(st.lists(TEXTS, max_size=4))
def test_a_cleaned_folder_leads_nowhere_else(parts: list[str]) -> None:
    folder = cleaned("/".join(parts), folders=True)
    assert not folder or unsafe_reason(folder) is None
    assert not FORBIDDEN - {"/"} & set(folder)
    assert all(part and part == part.strip(". ") for part in folder.split("/")) or not folder


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("00123", "00123"),
        ("4012345678901", "4012345678901"),
        ("AB/12", "AB-12"),
        ("  two \t words\n", "two words"),
        ("e\u0301", "é"),
        ("a\u200bb\ufeff", "ab"),
        ("..", ""),
        ("Inc.", "Inc"),
    ],
)
def test_values_are_kept_as_far_as_disks_take_them(text: str, name: str) -> None:
    assert cleaned(text) == name


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("", "has no field"),
        ("picture.jpg", "has no field"),
        ("../{stem}", "leads out of the destination"),
        ("/{stem}", "leads out of the destination"),
        ("{stem}/", "leads out of the destination"),
        ("a//{stem}", "leads out of the destination"),
        ("_Glasseg/{stem}", "glasseg's own folder"),
        ("{stem}.gif", "no picture can be named .gif"),
        ("{stem", "can't be read"),
        ("{n:03}", "only the name of a field"),
        ("{stem}?", "take no '\\?' in a name"),
    ],
)
def test_templates_that_give_no_names_are_wrong_usage(template: str, message: str) -> None:
    with pytest.raises(GlassegError, match=message) as refused:
        names.parse(template)
    assert refused.value.exit_code == 2


def named(template: str, *keys: str, **columns: str) -> list[str]:
    """The names of photos with these values, and number 7."""
    listed = pa.array([list(columns.items())] * len(keys), MOVES.field("list_columns").type)
    photos = pa.table({"key": list(keys), "output": list(keys), "list_columns": listed})
    parsed = names.parse(template)
    found = names.open_names(photos, parsed, {})
    found = names.with_numbers(found, pa.array([7] * len(keys), pa.int32()))
    return list(names.with_suffixes(found, parsed, photos["output"]).to_pylist())


def test_fields_make_names() -> None:
    assert named("{folder}/{stem}", "x/y/a.b.JPG", "a.png") == ["x/y/a.b.JPG", "a.png"]
    assert named("{folder}/{sku}_{n}.jpg", "a.png", "x/a.png", sku="1") == ["1_7.jpg", "x/1_7.jpg"]
    assert named("{Brand }/{list.n} {{x}}", "a.png", brand="Né", n="2") == ["Né/2 {x}.png"]
    assert named("{file}", "a.jpg", file="b.JPG") == ["b.jpg"], "a suffix that is there is not added"
    assert named("{sku}.v2", "a.jpg", sku="1") == ["1.v2.jpg"]
    assert named("{n}", "a.jpg", "b.png") == ["7.jpg", "7.png"]


# ---- numbers ----

SERIES = st.sampled_from(["x_{n}", "y_{n}", "X_{n}"])


@given(st.lists(st.tuples(SERIES, st.booleans()), max_size=12), st.booleans(), st.randoms(use_true_random=False))
def test_numbers_are_kept_and_told_apart_night_after_night(photos: list[tuple[str, bool]], case: bool, chance) -> None:  # type: ignore[no-untyped-def]
    naming, kept = Naming(case=case), KEPT.empty_table()
    given_before: dict[str, int] = {}
    for night in (False, True):
        there = [(f"{i}.jpg", series) for i, (series, late) in enumerate(photos) if night or not late]
        chance.shuffle(there)
        keys, series = (
            pa.chunked_array([list(one)], pa.string()) for one in (zip(*there, strict=True) if there else ((), ()))
        )
        numbers = names.numbered(series, np.arange(len(there)), kept, keys, naming).to_pylist()
        folded = naming.folded(series).to_pylist()
        assert len({*zip(folded, numbers, strict=True)}) == len(there)
        found = dict(zip(keys.to_pylist(), numbers, strict=True))
        assert given_before.items() <= found.items()
        if not night:
            for name in set(folded):
                ordered = [number for one, number in zip(folded, numbers, strict=True) if one == name]
                assert ordered == list(range(1, len(ordered) + 1)), "1, 2, 3 in the order of the photos"
        given_before = found
        kept = pa.table([keys, pa.array(numbers, pa.int32()), series], schema=KEPT)


def test_a_number_counts_in_its_series_only() -> None:
    kept = pa.table([["a", "b", "gone"], pa.array([2, 5, 9], pa.int32()), ["x{n}", "y{n}", "x{n}"]], schema=KEPT)
    series = pa.chunked_array([["x{n}", "x{n}"]], pa.string())
    numbers = names.numbered(series, np.arange(2), kept, pa.chunked_array([["b", "a"]]), EXACT)
    assert numbers.to_pylist() == [10, 2]


# ---- the order of moves ----


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.permutations(range(n)), st.permutations(range(n + 2)))))
def test_no_picture_is_moved_onto_another(places: tuple[list[int], list[int]]) -> None:
    olds, news = places[0], places[1][: len(places[0])]
    disk = {str(old): key for key, old in enumerate(olds)}
    some = [(str(key), str(old), str(new)) for key, (old, new) in enumerate(zip(olds, news, strict=True)) if old != new]
    columns = {name: [row[i] for row in some] for i, name in enumerate(("key", "old", "new"))}
    columns |= dict.fromkeys(("row", "name_number"), [1] * len(some)) | {"name_series": [""] * len(some)}
    table = pa.table({**columns, "list_columns": pa.nulls(len(some))})
    table = table.set_column(0, "key", table["key"].cast(pa.string()))
    for name in ("old", "new"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.string()))
    found = moves.ordered(table, EXACT).to_pylist()
    assert len(found) == len(some)
    for row in sorted((one for one in found if one["cycle"] < 0), key=lambda one: one["level"]):
        assert row["new"] not in disk, "the place is free by then"
        disk[row["new"]] = disk.pop(row["old"])
    cycling = [one for one in found if one["cycle"] >= 0]
    assert {one["old"] for one in cycling} == {one["new"] for one in cycling}
    disk |= {one["new"]: int(one["key"]) for one in cycling}
    assert disk == {str(new): key for key, new in enumerate(news)}


def test_any_number_of_pictures_can_change_places() -> None:
    count = 1000
    olds = [str(n) for n in range(count)]
    columns = {"key": olds, "old": olds, "new": [*olds[1:], "0"], "row": [1] * count}
    table = pa.table({**columns, "name_number": [1] * count, "name_series": olds, "list_columns": pa.nulls(count)})
    assert set(moves.ordered(table, EXACT)["cycle"].to_pylist()) == {0}


def test_the_guide_shows_the_names_that_its_template_gives() -> None:
    guide = (Path(__file__).parents[2] / "docs/catalog.md").read_text(encoding="utf-8")
    template = names.parse(re.findall(r"--name '(.*?)'", guide)[0])
    rows = re.findall(r"^\| `(.+)` \| `(.+)` \| `(.+)` \| `(.+)` \|$", guide, re.MULTILINE)
    listed = pa.array([[("sku", sku), ("brand", brand)] for _, sku, brand, _ in rows], MOVES.field("list_columns").type)
    photos = pa.table({"key": [row[0] for row in rows], "list_columns": listed})
    found = names.open_names(photos, template, {})
    numbers = names.numbered(names.series_of(found), np.arange(len(rows)), KEPT.empty_table(), photos["key"], EXACT)
    made = names.with_suffixes(names.with_numbers(found, numbers), template, photos["key"])
    assert made.to_pylist() == [row[3] for row in rows] and len(rows) == 3
