"""Files that glasseg did not write are never replaced; its own, from whatever run, always may."""

from __future__ import annotations

import pyarrow as pa
import pytest
from test_manifest import row

from glasseg import manifest, ownership
from glasseg.errors import GlassegError
from glasseg.storage import Root, open_root


@pytest.fixture
def root(root_uri: str) -> Root:
    return open_root(root_uri)


def column(*names: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(names)], pa.string())


def claimed(root: Root) -> set[str]:
    return {name for chunk in ownership.claimed(root) for name in chunk.to_pylist()}


def test_claims_last_until_they_are_released(root: Root) -> None:
    assert claimed(root) == set()
    ownership.claim(root, "run1", column("a.jpg", "two words/é.png"))
    ownership.claim(root, "run2", column("b.jpg", "a.jpg"))
    ownership.claim(root, "run3", column())
    root.write("_glasseg/claims/._run1.parquet", b"left by macOS")
    assert claimed(root) == {"a.jpg", "two words/é.png", "b.jpg"}
    ownership.release(root, "run1")
    assert claimed(root) == {"a.jpg", "b.jpg"}
    for _ in range(2):
        ownership.release(root)
        assert claimed(root) == set()


def test_claims_that_are_none_are_refused_naming_the_file(root: Root) -> None:
    for data in (b"no parquet", b""):
        root.write("_glasseg/claims/run1.parquet", data)
        with pytest.raises(GlassegError, match=r"claims/run1\.parquet"):
            ownership.claimed(root)


def test_files_of_others_are_refused_naming_them_and_the_way_out(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row("ours.jpg", output_key="ours.jpg", output_uri="/out/ours.jpg")])
    ownership.claim(root, "run2", column("claimed.jpg"))
    with pytest.raises(GlassegError, match=r"2 files in the way .*\(a\.jpg, b\.jpg\).*--overwrite"):
        ownership.refuse_foreign(root, column("b.jpg", "ours.jpg", "claimed.jpg", "a.jpg"))
    ownership.refuse_foreign(root, column("ours.jpg", "claimed.jpg"))
    ownership.refuse_foreign(root, column())


def test_many_files_of_others_are_counted_and_the_first_named(root: Root) -> None:
    with pytest.raises(GlassegError, match=r"1000 files") as caught:
        ownership.refuse_foreign(root, column(*(f"{i}.jpg" for i in range(1000))))
    assert len(str(caught.value)) < 300


def test_every_picture_that_a_row_names_is_ours_wherever_the_place_was_mounted(root: Root) -> None:
    rows = [
        row("a.jpg", output_uri="/old/mount/a.jpg"),
        row("deep/er/b.tif", output_uri="s3://bucket/prefix/deep/er/b.png"),
    ]
    old = manifest.table(rows).drop_columns(["output_key"])  # as the first releases wrote them
    manifest.write_table(root, f"{manifest.MANIFEST}run1/part-00000.parquet", old)
    manifest.write_part(root, "run2", 0, [row("a.jpg", run_seq=2, status="failed", output_uri=None, published=False)])
    ownership.refuse_foreign(root, column("a.jpg", "deep/er/b.png"))
    with pytest.raises(GlassegError, match=r"deep/er/b\.tif"):
        ownership.refuse_foreign(root, column("deep/er/b.tif"))


def test_where_a_held_picture_would_go_is_not_ours(root: Root) -> None:
    manifest.write_part(root, "run1", 0, [row(status="review", published=False, output_key="a.jpg")])
    with pytest.raises(GlassegError, match="did not write"):
        ownership.refuse_foreign(root, column("a.jpg"))
