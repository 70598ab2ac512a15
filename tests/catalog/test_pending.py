"""What counts as a photo, what is pending and why, and what has gone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.catalog import clashes, gone, pending
from glasseg.catalog import state as states
from glasseg.catalog.pending import RETRIED_CODES, Wanted, difference, photos
from glasseg.catalog.schema import SCHEMA
from glasseg.errors import FAILURE_CODES, GlassegError
from glasseg.formats import FORMATS, PHOTO_EXTENSIONS, is_photo, output_name
from glasseg.storage import listing
from glasseg.storage.naming import EXACT
from glasseg.storage.roots import Entry

WANTED = Wanted("m", "o", max_pixels=100)
KNOWN = {"status": "ok", "source_etag": "1-1", "model_id": "m", "options_id": "o", "run_id": "run1", "reason": "new"}


def listed(*keys: str, etag: str = "1-1") -> pa.Table:
    return listing.table(Entry(key, 1, etag) for key in keys)


def row(**facts: Any) -> dict[str, Any]:
    """A row of the manifest as `state` reads it: of the photo a.jpg that is done, published and unchanged."""
    status = facts.get("status", "ok")
    return {
        "key": "a.jpg",
        "run_seq": 1,
        "published": status in {"ok", "review"},
        "source_uri": "/in/a.jpg",
        **KNOWN,
        **facts,
    }


def state(*rows: dict[str, Any]) -> pa.Table:
    schema = pa.schema([SCHEMA.field(name).with_nullable(True) for name in states._READ])
    table = states._slim(pa.Table.from_pylist(list(rows), schema=schema), "/in")
    return states._photos(table, *states._encoded(table["key"]))


def existing(found: pa.Table, there: pa.ChunkedArray, *rows: dict[str, Any]) -> pa.Table:
    """`found` with its clashes and what exists, in a bucket."""
    done = [(row["key"], row["key"], row["run_id"]) for row in rows if row["published"]]
    schema = pa.schema([(name, pa.string()) for name in ("key", "output_key", "run_id")])
    places = pa.Table.from_pylist([dict(zip(schema.names, one, strict=True)) for one in done], schema=schema)
    return pending.with_existing(clashes.with_clashes(found, EXACT, folders=False), there, places)


def known(
    found: pa.Table, *rows: dict[str, Any], outputs: set[str] | None = None, wanted: Wanted = WANTED
) -> list[Any]:
    there = pa.chunked_array([found["output"].to_pylist() if outputs is None else sorted(outputs)], pa.string())
    return difference(existing(found, there, *rows), state(*rows), wanted).to_pylist()


def reason_of(
    *rows: dict[str, Any], outputs: set[str] | None = None, redo: str | None = None, etag: str = "1-1"
) -> str:
    """Why the photo a.jpg is pending."""
    found, _ = photos(listed("a.jpg", etag=etag), "keep")
    [one] = known(found, *rows, outputs=outputs, wanted=Wanted("m", "o", 100, redo))
    return str(one["reason"])


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
    found, others = photos(
        listed("a.JPG", "b/c.tif", "notes.txt", "b/._c.tif", "_glasseg/runs/x.json", "_glasseg/masks/a.png"), "keep"
    )
    assert list(zip(found["key"].to_pylist(), found["output"].to_pylist(), strict=True)) == [
        ("a.JPG", "a.JPG"),
        ("b/c.tif", "b/c.png"),
    ]
    assert others.to_pylist() == ["notes.txt", "b/._c.tif"]


NAMES = st.lists(st.text("aÉ._/ -\n", min_size=1, max_size=8), min_size=1, max_size=6)
ENDINGS = st.sampled_from([*sorted(PHOTO_EXTENSIONS), "JPG", "Tif", "txt", "jpgx", ""])


@given(NAMES, ENDINGS, st.sampled_from(FORMATS), st.booleans())
def test_a_million_names_are_judged_as_one_is(stems: list[str], ending: str, format: str, transparent: bool) -> None:
    if transparent and format == "jpeg":
        return
    keys = list(dict.fromkeys(f"{stem}.{ending}" for stem in stems))
    column = pa.chunked_array([keys], pa.string())
    chosen = [key for key in keys if is_photo(key)]
    outputs = [output_name(key, format, transparent) for key in chosen]
    if len(set(outputs)) == len(outputs):
        assert photos(listed(*keys), format, transparent)[0]["key"].to_pylist() == chosen
    renamed = dict(zip(keys, pending.outputs(column, format, transparent).to_pylist(), strict=True))
    assert [renamed[key] for key in chosen] == outputs


def test_a_photo_without_a_row_is_new_even_if_a_file_is_there() -> None:
    assert reason_of() == "new"
    assert reason_of(outputs=set()) == "new"


@pytest.mark.parametrize("status", ["ok", "review"])
def test_what_is_done_waits_until_something_changes(status: str) -> None:
    assert reason_of(row(status=status)) == "unchanged"
    assert reason_of(row(status=status, source_etag="2-2")) == "changed"
    assert reason_of(row(status=status, source_etag=None)) == "changed"
    assert reason_of(row(status=status, model_id="older")) == "model"
    assert reason_of(row(status=status, options_id="other")) == "options"
    assert reason_of(row(status=status), outputs=set()) == "missing"


def test_the_first_reason_counts() -> None:
    other = row(source_etag="2-2", model_id="older", options_id="other")
    assert reason_of(other, outputs=set()) == "changed"
    assert reason_of({**other, "source_etag": "1-1"}, outputs=set()) == "model"
    assert reason_of(row(options_id="other"), outputs=set()) == "options"


@pytest.mark.parametrize("code", sorted(FAILURE_CODES))
def test_a_failure_is_retried_only_when_it_may_be_over(code: str) -> None:
    failed = row(status="failed", error_code=code)
    expected = "retry" if code in RETRIED_CODES or code == "same_name" else "unchanged"  # no other photo is here
    assert reason_of(failed) == expected and reason_of(failed, outputs=set()) == expected
    assert reason_of({**failed, "model_id": "older"}) == expected  # a new model reads no broken file
    assert reason_of({**failed, "source_etag": "2-2"}) == "changed"


@pytest.mark.parametrize(
    ("listed_etag", "inventory", "reason"),
    [
        (None, None, "changed"),
        ("1-1", None, "unchanged"),  # behind a proxy that gives photos other etags than they are listed with
        ("1-1", "ab12", "unchanged"),
        ("1-1@ab12", "ab12", "unchanged"),  # an inventory that was written before the photo was replaced
        ("1-1@ab12", "cd34", "changed"),
        ("1-1@ab12", None, "changed"),
        ("3-3", None, "changed"),
        ("3-3@ab12", "ab12", "changed"),
    ],
)
def test_what_is_compared_is_what_the_same_listing_said(
    listed_etag: str | None, inventory: str | None, reason: str
) -> None:
    found, _ = photos(listed("a.jpg", "b.jpg"), "keep")
    rows = row(source_etag="2-2", listed_etag=listed_etag), row(key="b.jpg")
    reasons = [one["reason"] for one in known(found, *rows, wanted=Wanted("m", "o", 100, None, inventory))]
    assert reasons == [reason, "unchanged"]


@pytest.mark.parametrize(("inventory", "reason"), [("ab12", "unchanged"), ("cd34", "retry"), (None, "retry")])
def test_a_photo_that_left_after_an_inventory_was_written_waits_for_another_one(
    inventory: str | None, reason: str
) -> None:
    found, _ = photos(listed("a.jpg"), "keep")
    gone = row(status="failed", error_code="vanished", listed_etag="1-1@ab12")
    for one, expected in ((gone, reason), ({**gone, "error_code": "read_error"}, "retry")):
        [judged] = known(found, one, wanted=Wanted("m", "o", 100, None, inventory))
        assert judged["reason"] == expected


def test_a_photo_that_was_too_large_is_tried_again_when_the_limit_allows_it() -> None:
    failed = row(status="failed", error_code="too_large", width=20, height=5)
    assert reason_of(failed) == "retry"
    assert reason_of({**failed, "width": 21}) == "unchanged"
    assert reason_of({**failed, "width": 2**31 - 1, "height": 2**31 - 1}) == "unchanged"


@pytest.mark.parametrize("code", ["side_too_long", "too_long_name"])
def test_a_photo_that_a_format_could_not_hold_is_tried_again_with_other_options(code: str) -> None:
    failed = row(status="failed", error_code=code)
    assert reason_of(failed) == "unchanged" and reason_of({**failed, "options_id": "other"}) == "retry"
    assert reason_of(row(status="failed", error_code="unreadable", options_id="other")) == "unchanged"


def test_a_photo_that_clashed_waits_as_long_as_it_does() -> None:
    found, _ = photos(listed("a.jpg", "a.png"), "jpeg")
    failed = row(status="failed", error_code="same_name")
    assert [one["reason"] for one in known(found, failed)] == ["unchanged", "new"]


def test_a_photo_that_came_back_is_new() -> None:
    gone = row(status="gone", run_seq=2, run_id="run2")
    assert reason_of(row(), gone, outputs=set()) == "new"
    assert reason_of(row(), gone) == "new", "its picture was kept"


def test_a_picture_that_an_unfinished_run_replaced_is_made_again() -> None:
    """After a return to the old model nothing else would find it: its row says that all is as it should be."""
    found, _ = photos(listed("a.jpg", "b.jpg", "c.jpg"), "keep")
    rows = [row(key=key, run_id=run) for key, run in (("a.jpg", "run1"), ("b.jpg", "run2"), ("c.jpg", "run3"))]
    names = {"output": ["a.jpg", "b.jpg", "c.jpg", "a.jpg"], "run_id": ["run2", "run2", "run2", "run0"]}
    touched = pa.table({**names, "run_seq": pa.nulls(4, pa.int64())})
    there = pa.chunked_array([["a.jpg", "b.jpg", "c.jpg"]])
    reasons = difference(existing(found, there), state(*rows), WANTED, touched)["reason"].to_pylist()
    assert reasons == ["unfinished", "unchanged", "unchanged"]


def test_an_unfinished_run_is_later_by_its_number_whatever_its_clock_said() -> None:
    found, _ = photos(listed("a.jpg", "b.jpg"), "keep")
    rows = row(run_id="run9", run_seq=1), row(key="b.jpg", run_id="run1", run_seq=3)
    touched = pa.table({"output": ["a.jpg", "b.jpg"], "run_id": ["run2", "run2"], "run_seq": [2, 2]})
    there = pa.chunked_array([["a.jpg", "b.jpg"]])
    reasons = difference(existing(found, there), state(*rows), WANTED, touched)["reason"].to_pylist()
    assert reasons == ["unfinished", "unchanged"]


HELD = row(status="review", published=False, error_code="coverage_jump")


@pytest.mark.parametrize(
    ("redo", "last", "forced"),
    [
        ("all", row(), True),
        ("all", row(status="failed", error_code="unreadable"), True),
        ("failed", row(), False),
        ("failed", row(status="failed", error_code="unreadable"), True),
        ("review", row(status="review", error_code="cut_off"), True),
        ("held", HELD, True),
        ("held", row(status="review", error_code="cut_off"), False),
        ("cut_off", row(status="review", error_code="cut_off"), True),
        ("unreadable", row(status="review", error_code="cut_off"), False),
        ("options", row(reason="options"), True),
        ("options", row(), False),
    ],
)
def test_redo_forces_what_it_names_and_nothing_else(redo: str, last: dict[str, Any], forced: bool) -> None:
    pending.check_redo(redo)
    assert (reason_of(last, redo=redo) == "redo") is forced
    assert reason_of(last, redo=redo, etag="9-9") == "changed", "the better reason is kept"
    assert reason_of(redo=redo) == "new"


def test_a_redo_that_means_nothing_is_wrong_usage() -> None:
    with pytest.raises(GlassegError, match="--redo everything") as caught:
        pending.check_redo("everything")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "key",
    [
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "d/@EADIR/a.jpg", "#recycle/a.jpg", "@Recycle/a.jpg", "#snapshot/a.jpg",
        ".Trash-1000/files/a.jpg", ".Trashes/501/a.jpg", ".thumbnails/large/a.png", "__MACOSX/deep/a.jpg",
        "$RECYCLE.BIN/S-1-5/a.jpg", "System Volume Information/a.png", "lost+found/a.jpg", ".AppleDouble/a.jpg",
        "a/.snapshot/hourly.0/a.jpg", ".snapshots/1/a.jpg", "~snapshot/a.jpg", ".zfs/snapshot/x/a.jpg", ".git/a.png",
        "x/.@__thumb/a.jpg", ".recycle/user/a.jpg", "Network Trash Folder/a.jpg", ".TemporaryItems/a.jpg",
        ".picasaoriginals/a.jpg", "_vti_cnf/a.jpg", ".stversions/a~20260101.jpg", "a/~$a.jpg", ".trashed-1700-a.jpg",
        "@SynoResource/a.jpg", ".SynologyWorkingDirectory/a.jpg", ".wdcache/a.jpg", "trashbox/a.jpg", ".in.a.jpg",
        ".sh_thumbnails/normal/a.png", "wysiwyg/.thumbs/a.jpg", ".tmb/a.png", ".cache/thumbnails/a.png",
        "a/.rsync-partial/a.jpg", "a/.~tmp~/a.jpg", ".sync/Archive/a.jpg", "files_trashbin/files/x.d17/a.jpg",
    ],
)  # fmt: skip
def test_what_systems_keep_for_themselves_is_no_photo_unless_asked_for(key: str) -> None:
    assert not is_photo(key) and is_photo(key, all_folders=True)
    found, others = photos(listed(key, "b.jpg"), "keep")
    assert found["key"].to_pylist() == ["b.jpg"] and others.to_pylist() == [key]
    assert len(photos(listed(key, "b.jpg"), "keep", all_folders=True)[0]) == 2


@pytest.mark.parametrize(
    "key",
    [
        "trash/a.jpg", "recycle/a.jpg", "x@eaDir/a.jpg", "git/a.jpg", ".hidden/a.jpg", "@eaDir.jpg", "a~$b.jpg",
        "recycled/a.jpg", "thumbs/a.jpg", "cache/a.jpg", "sync/a.jpg", ".sync.jpg", "a.in.b.jpg", ".inside.jpg",
    ],
)  # fmt: skip
def test_folders_with_names_like_these_are_a_catalog(key: str) -> None:
    assert is_photo(key) and len(photos(listed(key), "keep")[0]) == 1


def test_our_own_files_are_no_photos_even_in_all_folders() -> None:
    keys = ("_glasseg/masks/a.png", "._a.jpg", "a.txt")
    assert not any(is_photo(key, all_folders=True) for key in keys)
    assert not len(photos(listed(*keys), "keep", all_folders=True)[0])


def test_what_is_skipped_now_is_not_gone_and_is_counted() -> None:
    """A version that knew no system folders made pictures of what is in them."""
    kept, left = "@eaDir/a.jpg", "@eaDir/b.jpg"
    rows = [row(key=key, source_uri=f"/in/{key}") for key in (kept, left, "c.jpg")]
    found, others = photos(listed(kept, "d.jpg"), "keep")
    assert gone.photos(found, state(*rows), delete=True, skipped=others)["key"].to_pylist() == [left, "c.jpg"]
    assert gone.kept(state(*rows), others) == 1


def test_what_left_the_source_is_gone_once_and_only_if_it_was_there() -> None:
    found, _ = photos(listed("b.jpg"), "keep")
    rows = [
        row(),
        row(key="b.jpg", source_uri="/in/b.jpg"),
        row(key="c.jpg", source_uri="/elsewhere/c.jpg"),
        row(key="d.jpg", source_uri="/in/deeper/d.jpg"),
        row(key="e.jpg", source_uri="/in/e.jpg", status="gone", reason="gone"),
        row(key="f.jpg", source_uri="/in/f.jpg", status="gone", reason="deleted"),
    ]
    assert gone.photos(found, state(*rows), delete=False)["key"].to_pylist() == ["a.jpg"]
    assert gone.photos(found, state(*rows), delete=True)["key"].to_pylist() == ["a.jpg", "e.jpg"]


def test_every_retried_code_exists() -> None:
    assert FAILURE_CODES.keys() >= RETRIED_CODES


ROWS = st.builds(
    row,
    key=st.sampled_from([f"{i}.jpg" for i in range(6)]),
    status=st.sampled_from(["ok", "review", "failed", "gone"]),
    error_code=st.sampled_from([None, *FAILURE_CODES]),
    source_etag=st.sampled_from(["1-1", "2-2", None]),
    model_id=st.sampled_from(["m", "older"]),
    options_id=st.sampled_from(["o", "other"]),
)


@given(st.lists(ROWS, max_size=8), st.sets(st.integers(0, 5)))
def test_every_new_photo_is_pending_and_none_that_is_done(rows: list[dict[str, Any]], written: set[int]) -> None:
    rows = [{**one, "run_seq": seq} for seq, one in enumerate(rows)]
    outputs = {f"{i}.jpg" for i in written}
    found, _ = photos(listed(*(f"{i}.jpg" for i in range(6))), "keep")
    last = {one["key"]: one for one in rows}
    current = {"source_etag": "1-1", "model_id": "m", "options_id": "o"}
    for one in known(found, *rows, outputs=outputs):
        mine = last.get(one["key"])
        if mine is None:
            assert one["reason"] == "new"
        elif current.items() <= mine.items() and mine["status"] in {"ok", "review"} and one["key"] in outputs:
            assert one["reason"] == "unchanged"
        alone = found.filter(pa.compute.equal(found["key"], one["key"]))
        assert [one] == known(alone, *rows, outputs=outputs), "what is decided of a photo does not depend on others"
