"""The statement of an export, which anybody may have changed: what is not ours gets a line, never a traceback."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from handedin import approval, photo, statement
from hypothesis import example, given
from hypothesis import strategies as st

from glasseg.labels import exports

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ("key", "map", "approved", "size", "source_etag", "model_id", "run_id", "more")


def test_an_export_says_what_its_person_saw() -> None:
    found = exports.read(statement(photo("a/b.jpg"), approval("c.jpg")))
    corrected, approved = found.said
    assert corrected == exports.Said("a/b.jpg", "maps/0001.png", "e1", "m1", "r1", (30, 40))
    assert approved.key == "c.jpg" and approved.map is None
    assert found.exported_at == datetime(2026, 11, 30, 6, tzinfo=UTC) and not found.refused


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 1_000_000, "no JSON"),
        (b'{"a":' * 1_000_000, "no JSON"),
        (b"9" * 100_000, "no JSON"),
        (statement().replace(b'"version": 1', b'"version": NaN'), "no JSON"),
        (statement().replace(b'"version": 1', b'"version": 1, "version": 1'), "no JSON"),
        (b"[]", "not a statement"),
        (b'{"photos": []}', "not a statement"),
        (statement(photo("a.jpg"), format="another"), "not a statement"),
        (statement(photo("a.jpg"), version=True), "not a statement"),
        (statement(photo("a.jpg"), version="1"), "not a statement"),
        (statement(photo("a.jpg"), version=0), "not a statement"),
        (statement(photo("a.jpg"), photos={"a.jpg": 1}), "not a statement"),
        (statement(photo("a.jpg"), version=2), r"newer glasseg \(version 2\): update"),
        (statement(), "no photo was corrected"),
    ],
)
def test_what_is_not_our_statement_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        exports.read(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"key": 7}, "key is no text"),
        ({"key": None}, "without a key"),
        ({"key": "../a.jpg"}, "folder in the name"),
        ({"key": "/etc/passwd"}, "root of the disk"),
        ({"key": "a\\b.jpg"}, "backslash"),
        ({"key": "a\nb.jpg"}, "control character"),
        ({"key": "\ud800.jpg"}, "key is no text"),
        ({"map": ["maps/0001.png"]}, "map is no text"),
        ({"map": None}, "either approved or have a map"),
        ({"approved": True}, "either approved or have a map"),
        ({"map": None, "approved": 1}, "either approved or have a map"),
        ({"source_etag": {}}, "source_etag is no text"),
        ({"size": [30]}, "size is not"),
        ({"size": [0, 40]}, "size is not"),
        ({"size": [True, 40]}, "size is not"),
        ({"size": [30.0, 40]}, "size is not"),
        ({"size": [2**31, 40]}, "size is not"),
        ({"size": "30"}, "size is not"),
    ],
)
def test_a_photo_that_can_not_be_used_costs_only_itself(wrong: dict[str, Any], words: str) -> None:
    found = exports.read(statement(photo("good.jpg"), photo("bad.jpg", **wrong)))
    assert [said.key for said in found.said] == ["good.jpg"]
    [(name, reason)] = found.refused.items()
    assert words in reason and name.isprintable()
    assert ("bad.jpg" in name) == ("key" not in wrong)


def test_a_photo_without_a_key_is_named_by_its_number() -> None:
    assert list(exports.read(statement(photo("a.jpg"), 3, {})).refused) == ["photo 2", "photo 3"]


@pytest.mark.parametrize("moment", [None, 5, "", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_none_leaves_it_to_the_file(moment: object) -> None:
    assert exports.read(statement(photo("a.jpg"), exported_at=moment)).exported_at is None


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING), st.dictionaries(st.text(max_size=9), ANYTHING, max_size=3))
@example({"key": "\udcff"}, {"destination": "\udcff"})
def test_any_json_in_place_of_ours_is_read_or_refused(said: dict[str, Any], around: dict[str, Any]) -> None:
    for data in (statement(said, **around), statement(photo("a.jpg") | said), json.dumps(around).encode()):
        try:
            found = exports.read(data)
        except ValueError as error:
            assert str(error).isprintable()
        else:
            assert len(found.said) + len(found.refused) == 1
            assert all(name.isprintable() and reason.isprintable() for name, reason in found.refused.items())


@given(st.binary())
def test_any_bytes_in_place_of_a_statement_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        exports.read(data)
