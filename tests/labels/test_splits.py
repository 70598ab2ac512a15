"""Splits: stable, by group, and readable again."""

from __future__ import annotations

from dataclasses import replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.errors import GlassegError
from glasseg.labels import splits
from glasseg.labels.pairs import Backdrop, Found, Pair, Problem, Split, find
from glasseg.storage.roots import open_root

GROUPS = [f"g{i}" for i in range(40)]


def pair(name: str, group: str, split: str = "") -> Pair:
    return Pair("/data", name, f"{name}_mask.png", "scene", group, split)


def found(groups: list[str], photos: int = 2) -> Found:
    return Found([pair(f"{g}-{i}.jpg", g) for g in groups for i in range(photos)], [Backdrop("/data", "b.jpg", "")])


@given(st.permutations(GROUPS), st.integers(0, 5))
def test_a_photo_stays_on_its_side_whatever_the_order_and_the_company(groups: list[str], left_out: int) -> None:
    everything = {p.photo: p.split for p in splits.assign(found(GROUPS), share=0.4, seed=1).pairs}
    some = splits.assign(found(groups[left_out:]), share=0.4, seed=1).pairs
    assert all(everything[p.photo] == p.split for p in some)


@given(st.integers(0, 10**6), st.floats(0.2, 0.8))
def test_no_group_is_on_both_sides(seed: int, share: float) -> None:
    sides: dict[str, set[str]] = {}
    for one in splits.assign(found(GROUPS), share=share, seed=seed).pairs:
        sides.setdefault(one.group, set()).add(one.split)
    assert all(len(side) == 1 for side in sides.values())


def test_the_share_is_about_kept_and_the_seed_matters() -> None:
    many = found([f"g{i}" for i in range(2000)], photos=1)
    one, other = (splits.assign(many, share=0.1, seed=seed).pairs for seed in (42, 43))
    assert 150 < sum(p.split == "validation" for p in one) < 250
    assert [p.split for p in one] != [p.split for p in other]


def test_splits_that_the_data_names_stand() -> None:
    said = Found([pair("a", "a", "validation"), pair("b", "b", "train"), pair("c", "c", "test")])
    assert splits.assign(said, share=0.5, seed=1) == said


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_undecided_photos_go_where_the_decided_ones_of_their_group_are(split: str) -> None:
    """Not where a hash would send them: they would train on what validates, or on what is kept for a test."""
    photos = [pair(f"{group}-{s}.jpg", group, s) for group in GROUPS for s in (split, "")]
    sides = [pair("t", "t", "train"), pair("v", "v", "validation")]
    decided = splits.assign(Found(photos + sides), share=0.5, seed=1).pairs
    assert {p.split for p in decided if p.group in GROUPS} == {split}


def test_a_decided_side_comes_before_other_words() -> None:
    photos = [pair("a", "g", "look"), pair("b", "g", "validation"), pair("c", "g"), pair("d", "h", "train")]
    assert [p.split for p in splits.assign(Found(photos), share=0.5, seed=1).pairs][2] == "validation"


def test_backdrops_are_split_by_their_names_unless_the_data_names_a_split() -> None:
    backdrops = [Backdrop("/data", f"b{i}.jpg", "") for i in range(200)] + [Backdrop("/data", "said.jpg", "validation")]
    decided = splits.assign(replace(found(GROUPS), backdrops=backdrops), share=0.2, seed=1).backdrops
    assert decided[-1] == backdrops[-1]
    assert 20 < sum(b.split == "validation" for b in decided[:-1]) < 60 and {b.split for b in decided} == set(Split)
    assert (
        splits.assign(replace(found(GROUPS), backdrops=backdrops[::-1]), share=0.2, seed=1).backdrops == decided[::-1]
    )


def test_photos_of_two_roots_that_only_share_a_name_are_not_a_group() -> None:
    photos = [pair("1.jpg", "1.jpg", "train"), replace(pair("1.jpg", "1.jpg", "validation"), root="/elsewhere")]
    assert splits.assign(Found(photos), share=0.5, seed=1).pairs == photos


def test_problems_are_kept() -> None:
    problems = [Problem("x.jpg", "has no mask")]
    assert splits.assign(replace(found(GROUPS), problems=problems), share=0.4, seed=1).problems == problems


def test_a_group_on_both_sides_is_refused() -> None:
    with pytest.raises(GlassegError, match=r"the group g is in train \(b\) and in validation \(a\)"):
        splits.assign(Found([pair("a", "g", "validation"), pair("b", "g", "train")]), share=0.5, seed=1)


@pytest.mark.parametrize("seed", range(8))
def test_a_few_photos_are_enough(seed: int) -> None:
    """Ten percent of three groups would often be none; which one validates does not depend on their order."""
    pairs = [pair(name, name, "") for name in "abc"]
    sides = {p.photo: p.split for p in splits.assign(Found(pairs), share=0.1, seed=seed).pairs}
    assert sorted(sides.values()) in (["train", "train", "validation"], ["train", "validation", "validation"])
    assert {p.photo: p.split for p in splits.assign(Found(pairs[::-1]), share=0.1, seed=seed).pairs} == sides


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_side_is_refused_with_a_way_out(split: str) -> None:
    with pytest.raises(GlassegError, match=r"no photo for the split .*--val"):
        splits.assign(Found([pair("a", "a", split)]), share=0.5, seed=1)


def test_other_words_for_a_side_show_in_what_is_said() -> None:
    photos = [pair(f"{i}.jpg", f"g{i}", "train" if i else "val") for i in range(5)]
    with pytest.raises(GlassegError, match=r"validation among 5 labelled photos in 5 groups \(4 train, 1 val\)"):
        splits.assign(Found(photos), share=0.5, seed=1)


WORDS = st.text("ab Z09é漢,;\"'#%+&_-.", max_size=12).map(lambda text: f"x{text}x")
MASKS_AND_KINDS = st.sampled_from([("m/mask.png", "scene"), ("m/mask.png", "product"), (None, "cutout")])
ANY_SPLIT = st.sampled_from(["", "train", "validation", "test"])


@st.composite
def any_found(draw: st.DrawFn) -> Found:
    """Pairs and backdrops of any names, groups, kinds and splits, sorted; no name twice."""
    names = draw(st.lists(WORDS, min_size=2, max_size=6, unique=True))
    pairs = [
        Pair("", f"{name}.jpg", *draw(MASKS_AND_KINDS), draw(WORDS), draw(ANY_SPLIT)) for name in sorted(names[1:])
    ]
    return Found(pairs, [Backdrop("", f"bg/{names[0]}.jpg", draw(ANY_SPLIT), draw(WORDS))])


@given(any_found())
def test_the_list_gives_the_same_splits_again(found: Found) -> None:
    with TemporaryDirectory() as name:
        folder = open_root(name)
        for key in ["m/mask.png", *(one.photo for one in (*found.pairs, *found.backdrops))]:
            folder.write(key, b"x")
        folder.write("split.csv", splits.as_csv(found))
        again = find(f"{folder.uri}/split.csv")
    assert again == Found(
        [replace(p, root=folder.uri) for p in found.pairs], [replace(b, root=folder.uri) for b in found.backdrops]
    )


def test_the_file_is_the_same_whatever_the_order() -> None:
    decided = splits.assign(found(GROUPS[:6]), share=0.4, seed=1)
    text = splits.as_csv(decided).decode()
    assert text.startswith("image,mask,kind,group,source,split\nb.jpg,,background,,,")
    assert splits.as_csv(replace(decided, pairs=decided.pairs[::-1])).decode() == text


def test_a_name_that_is_no_unicode_does_no_harm() -> None:
    """Such files exist on disks; storage refuses to read them."""
    name = "\udcff.jpg"
    assert b"\\xff.jpg" in splits.as_csv(
        splits.assign(Found([pair(name, name), *found(GROUPS).pairs]), share=0.4, seed=1)
    )
