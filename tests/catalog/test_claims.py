"""Files that glasseg did not write are never replaced; its own, from whatever run, always may."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from manifestrows import row

from glasseg.catalog import claims, manifest, state
from glasseg.errors import GlassegError
from glasseg.storage.roots import Root, open_root


@pytest.fixture
def root(root_uri: str) -> Root:
    return open_root(root_uri)


def column(*names: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(names)], pa.string())


def refuse(root: Root, outputs: pa.ChunkedArray) -> None:
    claims.refuse_foreign(root, outputs, state.read(root).places)


def claimed(root: Root) -> set[str]:
    return {name for chunk in claims.claimed(root) for name in chunk.to_pylist()}


def test_claims_last_until_they_are_released(root: Root) -> None:
    assert claimed(root) == set()
    claims.claim(root, "run1", column("a.jpg", "two words/é.png"))
    claims.claim(root, "run2", column("b.jpg", "a.jpg"))
    claims.claim(root, "run3", column())
    root.write("_glasseg/claims/._run1.parquet", b"left by macOS")
    assert claimed(root) == {"a.jpg", "two words/é.png", "b.jpg"}
    claims.drop(root, "run1")
    assert claimed(root) == {"a.jpg", "b.jpg"}
    for run_id in ("run2", "run3", "run3"):
        claims.drop(root, run_id)
        assert claimed(root) == set()
    assert [entry.key for entry in root.list(claims.CLAIMS)] == [f"{claims.CLAIMS}._run1.parquet"]


def test_claims_that_are_none_are_refused_naming_the_file(root: Root) -> None:
    for data in (b"no parquet", b""):
        root.write("_glasseg/claims/run1.parquet", data)
        with pytest.raises(GlassegError, match=r"claims/run1\.parquet"):
            claims.claimed(root)


def test_files_of_others_are_refused_naming_them_and_the_way_out(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row("ours.jpg", output_key="ours.jpg", output_uri="/out/ours.jpg")])
    claims.claim(root, "run2", column("claimed.jpg"))
    with pytest.raises(GlassegError, match=r"2 files in the way .*\(a\.jpg, b\.jpg\).*--overwrite"):
        refuse(root, column("b.jpg", "ours.jpg", "claimed.jpg", "a.jpg"))
    refuse(root, column("ours.jpg", "claimed.jpg"))
    refuse(root, column())


def test_many_files_of_others_are_counted_and_the_first_named(root: Root) -> None:
    with pytest.raises(GlassegError, match=r"1000 files") as caught:
        refuse(root, column(*(f"{i}.jpg" for i in range(1000))))
    assert len(str(caught.value)) < 300


def test_every_picture_that_a_row_names_is_ours_wherever_the_place_was_mounted(root: Root) -> None:
    rows = [
        row("a.jpg", output_uri="/old/mount/a.jpg"),
        row("deep/er/b.tif", output_uri="s3://bucket/prefix/deep/er/b.png"),
    ]
    old = manifest.table(rows).drop_columns(["output_key"])  # as the first releases wrote them
    manifest.write_table(root, f"{manifest.MANIFEST}run1/part-00000.parquet", old)
    manifest.write_part(root, "run2", 0, [row("a.jpg", run_seq=2, status="failed", output_uri=None, published=False)])
    refuse(root, column("a.jpg", "deep/er/b.png"))
    with pytest.raises(GlassegError, match=r"deep/er/b\.tif"):
        refuse(root, column("deep/er/b.tif"))


def test_where_a_held_picture_would_go_is_not_ours(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row(status="review", published=False, output_key="a.jpg")])
    with pytest.raises(GlassegError, match="did not write"):
        refuse(root, column("a.jpg"))


def test_what_stands_in_a_place_is_told_by_its_name_whatever_photo_it_was_of(root: Root) -> None:
    """The originals of a catalog are exported anew in another format, and one picture is of an earlier format."""
    rows = [
        row("a.png", output_key="a.jpg", run_id="run1", mask_coverage=0.1),
        row("b.jpg", output_key="b.jpg", run_id="run1", mask_coverage=0.2),
        row("b.jpg", 2, output_key="b.webp", run_id="run2", status="review", mask_coverage=0.01),
        row("b.jpg", 3, output_key="b.jpg", run_id="run3", status="review", published=False),
        row("b.jpg", 4, output_key=None, output_uri=None, run_id="run4", status="failed", published=False),
    ]
    for number, one in enumerate(rows):
        manifest.write_part(root, one["run_id"], number, [one])
    known = {one["output_key"]: one for one in state.read(root).places.to_pylist()}
    assert {name: (one["run_id"], one["status"], one["mask_coverage"]) for name, one in known.items()} == {
        "a.jpg": ("run1", "ok", 0.1),
        "b.jpg": ("run1", "ok", 0.2),
        "b.webp": ("run2", "review", 0.01),
    }


def test_a_file_where_we_deleted_a_picture_is_not_ours(root: Root) -> None:
    gone = {"status": "gone", "published": False, "output_uri": None}
    manifest.write_part(root, "run1", 0, [row("a.jpg", output_key="a.jpg"), row("b.jpg", output_key="b.jpg")])
    manifest.write_part(root, "run2", 0, [row("a.jpg", 2, reason="deleted", output_key=None, **gone)])
    manifest.write_part(root, "run3", 0, [row("b.jpg", 3, reason="gone", output_key=None, **gone)])
    refuse(root, column("b.jpg"))
    with pytest.raises(GlassegError, match=r"\(a\.jpg\)"):
        refuse(root, column("a.jpg", "b.jpg"))
    manifest.write_part(root, "run4", 0, [row("a.jpg", 4, output_key="a.jpg")])
    refuse(root, column("a.jpg"))


@pytest.mark.parametrize("few", [0, 100])
def test_pictures_written_since_they_were_claimed_are_told_with_the_last_such_run(
    root: Root, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_FEW", few)
    root.write("old.jpg", b"-")
    time.sleep(1.1)  # S3 counts whole seconds
    assert claims.touched(root).to_pylist() == []
    claims.claim(root, "run8", column("old.jpg", "a.jpg", "deep/é.jpg", "never.jpg"), 1)  # its clock was wrong
    claims.claim(root, "run2", column("a.jpg"), 2)
    claims.claim(root, "run3", column(), 3)
    for name in ("a.jpg", "deep/é.jpg", "unclaimed.jpg"):
        root.write(name, b"-")
    assert [tuple(one.values()) for one in claims.touched(root).to_pylist()] == [
        ("a.jpg", "run2", 2),
        ("a.jpg", "run8", 1),
        ("deep/é.jpg", "run8", 1),
    ]


def test_claims_are_settled_but_those_on_names_that_no_row_names(root: Root) -> None:
    claims.settle(root, "run0", state.read(root).places["output_key"])
    assert not list(root.list(claims.CLAIMS))
    root.write("away.jpg", b"-")
    claims.claim(root, "run1", column("a.jpg", "away.jpg", "never-written.jpg"))
    claims.claim(root, "run2", column("b.jpg", "away.jpg"))
    manifest.write_part(root, "run3", 0, [row("a.jpg", output_key="a.jpg"), row("b.jpg", output_key="b.jpg")])
    claims.settle(root, "run3", state.read(root).places["output_key"])
    assert claimed(root) == {"away.jpg"}
    assert [entry.key for entry in root.list(claims.CLAIMS)] == [f"{claims.CLAIMS}run3.parquet"]
