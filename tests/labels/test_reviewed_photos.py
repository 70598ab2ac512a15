"""Corrected and approved photos of destinations as labelled photos: which, of what group, and with which label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifestrows import row

from glasseg.catalog import manifest, reviewed
from glasseg.catalog.reviewed import Word
from glasseg.errors import GlassegError, PhotoError
from glasseg.labels import reading, reviewed_photos, splits
from glasseg.labels.pairs import Correction, Found, Kind, Pair
from glasseg.storage.roots import Root, open_root

GREY = np.full((40, 60, 3), 128, np.uint8)
LABEL = np.zeros((40, 60), np.uint8)
LABEL[10:30, 10:50], LABEL[15:25, 20:30] = 255, 128


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def reviewed_row(source: Root, key: str, seq: int = 1, word: str = "corrected", **facts: Any) -> dict[str, Any]:
    """The row of a photo of `source` on which a person has said a word, in the run of this number."""
    etag = source.read(key)[1]
    said = dict(zip(reviewed.of({}), (word, f"run{seq}", etag, "compact-0", "o0"), strict=True))
    return row(key, seq, **{"source_uri": source.uri_of(key), "source_etag": etag, **said, **facts})


def put(root: Root, *rows: dict[str, Any], label: np.ndarray | None = LABEL) -> Root:
    """Rows in a destination, and the label that each of them with a word promises."""
    for number, one in enumerate(rows):
        manifest.write_part(root, one["run_id"], number, [one])  # type: ignore[list-item]
        if one.get("reviewed") and label is not None:
            root.write(reviewed.label_key(one["key"], one["reviewed_run"]), png(label))
    return root


@pytest.fixture
def source(new_folder: Callable[[], str]) -> Root:
    root = open_root(new_folder())
    for key in ("a.jpg", "b/c d.jpg", "e.jpg"):
        root.write(key, png(GREY))
    return root


def test_a_corrected_photo_is_read_from_its_source_and_its_label_from_the_destination(
    new_uri: Callable[[], str],
) -> None:
    source, out = open_root(new_uri()), open_root(new_uri())
    source.write("b/c d.jpg", png(GREY))
    put(out, reviewed_row(source, "b/c d.jpg"))
    (pair,) = reviewed_photos.find([out.uri, out.uri]).pairs
    etag = source.read("b/c d.jpg")[1]
    said = Correction(out.uri, Word.CORRECTED, "run1", etag)
    label = "_glasseg/corrections/b/c d.jpg/run1.label.png"
    assert pair == Pair(source.uri, "b/c d.jpg", label, Kind.SCENE, "b/c d.jpg", "", said)
    scene = reading.read_scene(*reading.files(pair, open_root))
    assert (scene.coverage == np.where(LABEL == 255, 255, 0)).all() and (scene.opening[15:25, 20:30] == 255).all()


def test_the_last_row_of_a_photo_says_whether_a_word_is_in_force_and_which(source: Root, folder_uri: str) -> None:
    """Their numbers say which is the last, not their names: a clock may have been wrong."""
    later = reviewed_row(source, "a.jpg", 3, reason="model", reviewed_run="run2", list_columns=[("sku", "new")])
    changed = row("e.jpg", 2, source_uri=source.uri_of("e.jpg"))
    first = reviewed_row(source, "a.jpg", 1, run_id="run9", list_columns=[("sku", "old")])
    rows = [first, later, reviewed_row(source, "e.jpg", 1), changed]
    [pair] = reviewed_photos.find([put(open_root(folder_uri), *rows).uri]).pairs
    assert (pair.photo, pair.correction and pair.correction.run_id, pair.group) == ("a.jpg", "run2", "new")


@pytest.mark.parametrize("status", ["failed", "gone"])
def test_photos_that_failed_or_left_are_left_out_and_counted(source: Root, folder_uri: str, status: str) -> None:
    rows = [reviewed_row(source, "a.jpg", status="review"), reviewed_row(source, "e.jpg", 2, status=status)]
    found = reviewed_photos.find([put(open_root(folder_uri), *rows).uri])
    assert [pair.photo for pair in found.pairs] == ["a.jpg"]
    assert found.left_out == {"corrected or approved, but failed or gone since": 1}


def test_masks_that_are_perhaps_of_another_photo_are_left_out_and_counted(source: Root, folder_uri: str) -> None:
    rows = [reviewed_row(source, "a.jpg"), reviewed_row(source, "e.jpg", 2, status="review", reviewed_model=None)]
    found = reviewed_photos.find([put(open_root(folder_uri), *rows).uri])
    assert [pair.photo for pair in found.pairs] == ["a.jpg"]
    assert found.left_out == {"with a mask that is perhaps of another photo": 1}


@pytest.mark.parametrize("rows", [[], [row("a.jpg")]])
def test_a_place_where_nobody_said_a_word_is_refused(folder_uri: str, rows: list[dict[str, Any]]) -> None:
    put(open_root(folder_uri), *rows)
    with pytest.raises(GlassegError, match=f"nobody has corrected or approved a photo in {folder_uri}: is it the"):
        reviewed_photos.find([folder_uri])


@pytest.mark.parametrize(
    ("columns", "group"),
    [
        ([("SKU", "A 1"), ("name", "x")], "A 1"),
        ([("sku", "A 1"), ("Model", "Ray")], "Ray"),
        ([("model", ""), ("sku", "A 1")], "A 1"),
        ([("name", "x")], "a.jpg"),
        (None, "a.jpg"),
    ],
)
def test_photos_of_a_product_that_the_list_named_are_a_group(
    source: Root, folder_uri: str, columns: Any, group: str
) -> None:
    put(open_root(folder_uri), reviewed_row(source, "a.jpg", list_columns=columns))
    assert [pair.group for pair in reviewed_photos.find([folder_uri]).pairs] == [group]


def test_a_photo_that_has_changed_since_or_lost_its_label_is_refused(source: Root, folder_uri: str) -> None:
    out = put(open_root(folder_uri), reviewed_row(source, "a.jpg"), reviewed_row(source, "e.jpg", word="approved"))
    source.write("e.jpg", png(GREY // 2))
    out.delete(reviewed.label_key("a.jpg", "run1"))
    lost, changed = reviewed_photos.find([out.uri]).pairs
    with pytest.raises(ValueError, match="the photo has changed since it was approved"):
        reading.files(changed, open_root)
    with pytest.raises(PhotoError, match=r"run1\.label\.png is gone"):
        reading.files(lost, open_root)


# --- one label for a photo ---


def labelled(name: str, split: str = "", group: str = "", **others: Any) -> Pair:
    return replace(Pair("/data", name, f"{name}.png", Kind.SCENE, group or name, split), **others)


def said(name: str, run_id: str = "run1", word: str = "corrected", root: str = "/out", group: str = "") -> Pair:
    correction = Correction(root, Word(word), run_id, "etag")
    return Pair("/in", name, f"{root}/{name}.png", Kind.SCENE, group or name, "", correction)


def settled(*pairs: tuple[str, Pair]) -> tuple[list[Pair], dict[str, int]]:
    """What is used of pairs that are given with the content of their photo."""
    used, left_out = reviewed_photos.settled(
        dict(enumerate(pair for _, pair in pairs)), dict(enumerate(content for content, _ in pairs))
    )
    return list(used.values()), left_out


def test_of_two_words_on_one_photo_the_newest_counts_whatever_it_is_called_there() -> None:
    older, newer = said("a.jpg", "run1", root="/one"), said("z.jpg", "run2", "approved", root="/two")
    for pairs in ([older, newer], [newer, older]):
        assert settled(*(("x", pair) for pair in pairs)) == ([newer], {"with a newer word on the same photo": 1})


def test_a_correction_replaces_the_label_of_other_data_and_takes_over_its_role() -> None:
    product = labelled("p.jpg", "train", "shop", kind=Kind.PRODUCT)
    used, left_out = settled(("x", product), ("y", labelled("q.jpg")), ("x", said("a.jpg")))
    assert used[1] == replace(said("a.jpg"), kind=Kind.PRODUCT, group="shop", split="train")
    assert used[0].photo == "q.jpg" and left_out == {"labelled anew by a correction": 1}


def test_a_cutout_that_was_corrected_is_used_as_it_looks_on_white() -> None:
    used, _ = settled(("x", labelled("p.png", mask=None, kind=Kind.CUTOUT)), ("x", said("p.png")))
    assert [(pair.kind, pair.mask) for pair in used] == [(Kind.SCENE, "/out/p.png.png")]


def test_an_approval_says_no_more_than_a_label_of_other_data() -> None:
    data = labelled("p.jpg")
    assert settled(("x", data), ("x", said("a.jpg", word="approved"))) == (
        [data],
        {"approved, but labelled by other data": 1},
    )


@pytest.mark.parametrize("split", ["validation", "test"])
def test_what_is_held_out_keeps_its_label_and_is_not_trained_on_under_another_name(split: str) -> None:
    data = [("x", labelled("p.jpg", split)), ("y", labelled("q.jpg", split, "A 1"))]
    words = [("x", said("a.jpg")), ("z", said("b.jpg", group="A 1")), ("w", said("q.jpg"))]
    used, left_out = settled(*data, *words)
    assert used == [pair for _, pair in data] + [said("q.jpg")]  # the name of a photo elsewhere is no group
    assert left_out == {"corrected or approved, but of a product that is held out": 2}


SPLITS = st.sampled_from(["", "train", "validation", "test"])
CONTENTS = st.sampled_from("abcdefgh")
GROUPS = st.sampled_from(["", "g", "h"])
DATA = st.lists(st.tuples(CONTENTS, SPLITS), max_size=8)
WORDS = st.lists(st.tuples(CONTENTS, st.integers(1, 4), st.sampled_from([*Word]), GROUPS), max_size=8)


@given(DATA, WORDS, st.integers(0, 9))
def test_a_corrected_photo_is_on_one_side_with_one_label_and_all_others_are_counted(
    data: list[tuple[str, str]], words: list[tuple[str, int, Word, str]], seed: int
) -> None:
    pairs = [(content, labelled(f"d{n}.jpg", split)) for n, (content, split) in enumerate(data)]
    pairs += [
        (content, said(f"c{n}.jpg", f"run{run}", word, "/out", g)) for n, (content, run, word, g) in enumerate(words)
    ]
    used, left_out = settled(*pairs)
    assert len(used) + sum(left_out.values()) == len(pairs) and all(left_out.values())
    content_of = {pair.photo: content for content, pair in pairs}
    for pair in used:
        if pair.correction:
            assert [content_of[one.photo] for one in used].count(content_of[pair.photo]) == 1
    ends = [labelled("t.jpg", "train"), labelled("v.jpg", "validation")]
    decided = splits.assign(Found([*used, *ends]), share=0.5, seed=seed).pairs
    sides: dict[str, set[str]] = {}
    for pair in decided:
        sides.setdefault(pair.group, set()).add(pair.split)
    assert all(len(side) == 1 for group, side in sides.items() if group in {"g", "h"})
