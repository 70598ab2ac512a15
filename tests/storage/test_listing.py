"""A listing holds every name once, of a folder or of a bucket however its prefixes lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from glasseg.storage import listing
from glasseg.storage.bucket import Bucket
from glasseg.storage.roots import Entry, open_root


def keys(root_uri: str, without: str | None = None) -> list[str]:
    return sorted(listing.read(open_root(root_uri), without)["key"].to_pylist())


NAMES = [
    *("a.jpg", "z/y/x/w/deep.jpg", "z/y/x.jpg", "z/y/x/v.jpg", "two words/é.jpg", "_glasseg.jpg", "_glasseg2/a.jpg"),
    *(f"sku-{n:02}/front.jpg" for n in range(40)),
    *(f"sku-07/views/{n}.jpg" for n in range(5)),
]


def test_every_name_is_listed_once_with_size_and_etag(root_uri: str) -> None:
    root = open_root(root_uri)
    for name in NAMES:
        root.write(name, name.encode())
    found = listing.read(root)
    assert found.schema.equals(listing.SCHEMA)
    listed = {one["key"]: (one["size"], one["etag"]) for one in found.to_pylist()}
    assert len(found) == len(NAMES) and listed == {e.key: (e.size, e.etag) for e in root.list()}
    assert keys(root_uri) == sorted(NAMES)


@pytest.mark.parametrize("many", [2, 40])
def test_what_is_to_be_left_out_is_not_looked_into(root_uri: str, many: int) -> None:
    root = open_root(root_uri)
    names = ["a.jpg", "b/_glasseg/x.jpg", "_glasseg2/a.jpg", *(f"{n}/c.jpg" for n in range(many))]
    for name in (*names, "_glasseg/lock.json", "_glasseg/masks/a/b.png"):
        root.write(name, b"x")
    assert keys(root_uri, "_glasseg/") == sorted(names)


def test_nothing_is_an_empty_table(root_uri: str) -> None:
    assert len(listing.read(open_root(root_uri))) == 0 and len(listing.table([])) == 0


@pytest.mark.parametrize("per_page", [1, 3, 7])
def test_a_level_that_is_longer_than_a_page_loses_nothing(
    s3: Any, monkeypatch: pytest.MonkeyPatch, per_page: int
) -> None:
    """Servers give a thousand names an answer; here it is a few."""
    bucket = Bucket(s3.bucket, f"pages-{per_page}")
    for name in NAMES[:20]:
        bucket.write(name, b"x")
    pages = Bucket._pages
    monkeypatch.setattr(Bucket, "_pages", lambda self, prefix, **more: pages(self, prefix, MaxKeys=per_page, **more))
    assert sorted(listing.read(bucket)["key"].to_pylist()) == sorted(NAMES[:20])


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_name_that_is_not_text_is_listed_so_that_it_can_be_reported(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad-\xff.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("the disk takes only text")
    assert keys(str(tmp_path)) == ["bad-\\xff.jpg"]


def test_more_than_a_chunk_of_names_is_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 10)
    table = listing.table(Entry(str(n), n, "e") for n in range(25))
    assert table["size"].to_pylist() == list(range(25))
