"""What counts as a photo, what is pending and why, and what must never be overwritten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg import catalog
from glasseg.catalog import RETRIED_CODES, Photo, is_photo, pending, photos, refuse_foreign
from glasseg.errors import FAILURE_CODES, GlassegError
from glasseg.images import PHOTO_EXTENSIONS
from glasseg.storage import Entry, open_root


def entry(key: str, etag: str = "1-1") -> Entry:
    return Entry(key, 1, etag)


def row(**facts: Any) -> dict[str, Any]:
    """The state of a photo that is done and unchanged."""
    return {
        "status": "ok",
        "error_code": None,
        "source_etag": "1-1",
        "model_id": "m",
        "options_id": "o",
        "run_id": "run1",
        "width": None,
        "height": None,
        **facts,
    }


def reason_of(row: dict[str, Any] | None, outputs: set[str] | None = None) -> tuple[str, str | None] | None:
    """Why the photo a.jpg is pending, and the run that it replaces; None when it is not pending."""
    state = {} if row is None else {"a.jpg": row}
    outputs = {"a.jpg"} if outputs is None else outputs
    work = pending([Photo(entry("a.jpg"), "a.jpg")], state, outputs, model_id="m", options_id="o", max_pixels=100)
    return (work[0].reason, work[0].replaced_run_id) if work else None


@pytest.mark.parametrize("extension", sorted(PHOTO_EXTENSIONS))
def test_a_photo_is_told_by_its_extension_whatever_its_case(extension: str) -> None:
    for written in (extension, extension.upper(), extension.title()):
        assert is_photo(f"a.{written}") and is_photo(f"deep/er/two words.{written}") and is_photo(f".a.{written}")


@pytest.mark.parametrize(
    "key",
    [
        "a.txt", "a", "jpg", ".jpg", "a.jpg.txt", "a.jpgx", "a.jpg/b", "a.jpg ", "Thumbs.db", ".DS_Store",
        "._a.jpg", "deep/._a.jpg", "_glasseg/masks/a.png", "_glasseg/a.jpg", "older/_glasseg/masks/a.png",
    ],
)  # fmt: skip
def test_what_is_no_photo(key: str) -> None:
    assert not is_photo(key)


@pytest.mark.parametrize("key", ["_glasseg.jpg", "_glasseg_photos/a.jpg", "my_glasseg/a.jpg", "a._b.jpg", "._d/a.jpg"])
def test_names_like_ours_are_photos(key: str) -> None:
    assert is_photo(key)


def test_photos_are_listed_with_their_outputs_and_the_rest_is_counted() -> None:
    names = ["a.JPG", "b/c.tif", "notes.txt", "b/._c.tif", "_glasseg/runs/x.json", "_glasseg/masks/a.png"]
    found, others = photos([entry(name) for name in names], "keep")
    assert [(photo.entry.key, photo.output) for photo in found] == [("a.JPG", "a.JPG"), ("b/c.tif", "b/c.png")]
    assert others == 2


@pytest.mark.parametrize(
    ("names", "format", "output"),
    [(["x/a.tif", "x/a.png"], "keep", "x/a.png"), (["a.jpg", "a.webp", "b.jpg"], "png", "a.png")],
)
def test_two_photos_for_one_output_are_refused_naming_both(names: list[str], format: str, output: str) -> None:
    with pytest.raises(GlassegError, match="would all become") as caught:
        photos([entry(name) for name in names], format)
    message = str(caught.value)
    assert all(name in message for name in (names[0], names[1], output)) and "b.jpg" not in message


def test_the_same_name_in_other_folders_is_no_collision() -> None:
    assert len(photos([entry("a.jpg"), entry("x/a.jpg"), entry("a.png"), entry("A.jpg")], "keep")[0]) == 4


def test_a_photo_without_a_row_is_new_even_if_a_file_is_there() -> None:
    assert reason_of(None) == ("new", None)
    assert reason_of(None, set()) == ("new", None)


@pytest.mark.parametrize("status", ["ok", "review"])
def test_what_is_done_waits_until_something_changes(status: str) -> None:
    assert reason_of(row(status=status)) is None
    assert reason_of(row(status=status, source_etag="2-2")) == ("changed", "run1")
    assert reason_of(row(status=status, model_id="older")) == ("model", "run1")
    assert reason_of(row(status=status, options_id="other")) == ("options", "run1")
    assert reason_of(row(status=status), set()) == ("missing", None)


def test_the_first_reason_counts() -> None:
    assert reason_of(row(source_etag="2-2", model_id="older", options_id="other"), set()) == ("changed", None)
    assert reason_of(row(model_id="older", options_id="other"), set()) == ("model", None)
    assert reason_of(row(options_id="other"), set()) == ("options", None)


@pytest.mark.parametrize("code", sorted(FAILURE_CODES))
def test_a_failure_is_retried_only_when_it_may_be_over(code: str) -> None:
    failed = row(status="failed", error_code=code)
    expected = ("retry", None) if code in RETRIED_CODES else None
    assert reason_of(failed) == expected and reason_of(failed, set()) == expected
    assert reason_of({**failed, "model_id": "older"}) == expected  # a new model reads no broken file
    assert reason_of({**failed, "source_etag": "2-2"}) == ("changed", None)


def test_a_photo_that_was_too_large_is_tried_again_when_the_limit_allows_it() -> None:
    failed = row(status="failed", error_code="too_large", width=20, height=5)
    assert reason_of(failed) == ("retry", None)
    assert reason_of({**failed, "width": 21}) is None


def test_a_photo_that_came_back_is_done_again_unless_its_output_is_there() -> None:
    assert reason_of(row(status="gone"), set()) == ("missing", None)


def test_every_retried_code_exists() -> None:
    assert FAILURE_CODES.keys() >= RETRIED_CODES


ROWS = st.builds(
    row,
    status=st.sampled_from(["ok", "review", "failed", "gone"]),
    error_code=st.sampled_from([None, *FAILURE_CODES]),
    source_etag=st.sampled_from(["1-1", "2-2", None]),
    model_id=st.sampled_from(["m", "older"]),
    options_id=st.sampled_from(["o", "other"]),
)


@given(st.dictionaries(st.sampled_from([f"{i}.jpg" for i in range(6)]), ROWS), st.sets(st.integers(0, 5)))
def test_pending_holds_every_new_photo_and_never_one_that_is_done(
    state: dict[str, dict[str, Any]], written: set[int]
) -> None:
    outputs = {f"{i}.jpg" for i in written}
    found = [Photo(entry(f"{i}.jpg"), f"{i}.jpg") for i in range(6)]
    work = pending(found, state, outputs, model_id="m", options_id="o", max_pixels=100)
    keys = {one.photo.entry.key for one in work}
    assert len(keys) == len(work)
    current = {"source_etag": "1-1", "model_id": "m", "options_id": "o"}
    for key in (photo.entry.key for photo in found):
        known = state.get(key)
        if known is None:
            assert key in keys
        elif current.items() <= known.items() and known["status"] in {"ok", "review"} and key in outputs:
            assert key not in keys
    # what is decided of a photo does not depend on the others
    assert work == [
        one for photo in found for one in pending([photo], state, outputs, model_id="m", options_id="o", max_pixels=100)
    ]


def test_outputs_are_all_files_but_ours(root_uri: str) -> None:
    root = open_root(root_uri)
    for key in ("a.jpg", "b/c.png", "notes.txt", "_glasseg/masks/a.png", "_glasseg/runs/x.json"):
        root.write(key, b"x")
    assert catalog.outputs_of(root) == {"a.jpg", "b/c.png", "notes.txt"}


def test_files_of_others_are_refused_naming_them_and_the_way_out() -> None:
    planned, there = ["a.jpg", "b.jpg", "new.jpg", "ours.jpg"], {"a.jpg", "b.jpg", "ours.jpg", "elsewhere.jpg"}
    with pytest.raises(GlassegError, match=r"2 files in the way in /white .*\(a\.jpg, b\.jpg\).*--overwrite"):
        refuse_foreign(planned, there, {"ours.jpg"}, "/white")
    refuse_foreign(planned, there, {"ours.jpg", "a.jpg", "b.jpg"}, "/white")
    refuse_foreign([], there, set(), "/white")


def test_many_files_of_others_are_counted_and_the_first_named() -> None:
    names = [f"{i}.jpg" for i in range(1000)]
    with pytest.raises(GlassegError, match=r"1000 files") as caught:
        refuse_foreign(names, set(names), set(), "/white")
    assert len(str(caught.value)) < 300
