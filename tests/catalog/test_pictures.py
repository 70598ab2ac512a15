"""A picture and its mask are replaced together, or both stay as they are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from glasseg.catalog import claims, manifest, pictures
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Folder, Root, open_root

MASK = manifest.mask_key("a.jpg")


@pytest.fixture
def root(root_uri: str) -> Root:
    return open_root(root_uri)


def failing(monkeypatch: pytest.MonkeyPatch, root: Root, key: str, error: Exception) -> None:
    """From now on `key` can't be written there."""
    write = type(root).write

    def refuse(self: Any, name: str, data: bytes) -> None:
        if name == key:
            raise error
        write(self, name, data)

    monkeypatch.setattr(type(root), "write", refuse)


def test_a_picture_and_its_mask_are_put_in_their_places(root: Root) -> None:
    for word in (b"old", b"new"):
        pictures.put(root, "a.jpg", word + b" picture", word + b" mask")
        pictures.put(root, "a.jpg", word + b" held", word + b" mask", folder="_glasseg/held/run1/")
    assert (root.read("a.jpg")[0], root.read(MASK)[0]) == (b"new picture", b"new mask")
    assert root.read(f"_glasseg/held/run1/{MASK}")[0] == b"new mask"
    pictures.put(root, "b.jpg", b"picture", None)
    assert not root.exists(manifest.mask_key("b.jpg"))


@pytest.mark.parametrize("error", [PhotoError("write_error", "no"), MemoryError("no")])
def test_a_picture_that_can_not_be_written_leaves_the_old_one_its_mask(
    root: Root, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures.put(root, "a.jpg", b"old picture", b"old mask")
    failing(monkeypatch, root, "a.jpg", error)
    with pytest.raises(type(error), match="no"):
        pictures.put(root, "a.jpg", b"new picture", b"new mask")
    assert (root.read("a.jpg")[0], root.read(MASK)[0]) == (b"old picture", b"old mask")


def test_a_picture_that_can_not_be_written_leaves_no_mask_where_there_was_none(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, root, "a.jpg", PhotoError("write_error", "no"))
    with pytest.raises(PhotoError, match="no"):
        pictures.put(root, "a.jpg", b"picture", b"mask")
    assert not root.exists(MASK)


def test_a_place_that_is_taken_keeps_its_mask(root: Root) -> None:
    pictures.put(root, "a.jpg", b"old picture", b"old mask")
    with pytest.raises(PhotoError, match="is taken") as caught:
        pictures.put(root, "a.jpg", b"new picture", b"new mask", guarded=True)
    assert caught.value.code == "foreign"
    assert (root.read("a.jpg")[0], root.read(MASK)[0]) == (b"old picture", b"old mask")


def test_a_folder_in_the_place_of_a_picture_leaves_no_mask(folder_uri: str) -> None:
    root = Folder(Path(folder_uri))
    root.write("a.jpg/inner.jpg", b"-")
    with pytest.raises(PhotoError):
        pictures.put(root, "a.jpg", b"picture", b"mask")
    assert not root.exists(MASK)


@pytest.mark.parametrize("few", [0, 100])
def test_a_run_that_ends_between_a_mask_and_its_picture_is_noticed(
    root: Root, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_FEW", few)
    for name in ("a.jpg", "b.jpg"):
        pictures.put(root, name, b"old picture", b"old mask")
    time.sleep(1.1)  # S3 counts whole seconds
    claims.claim(root, "run2", pa.chunked_array([["a.jpg", "b.jpg"]]))
    failing(monkeypatch, root, "a.jpg", GlassegError("the disk is full"))
    with pytest.raises(GlassegError, match="full"):
        pictures.put(root, "a.jpg", b"new picture", b"new mask")
    assert claims.touched(root).to_pylist() == [{"output": "a.jpg", "run_id": "run2", "run_seq": None}]


def test_a_mask_that_can_not_be_put_back_stops_the_run(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claims then have the photo done again; a row would say that the older picture stays as it is."""
    pictures.put(root, "a.jpg", b"old picture", b"old mask")
    write, masks = type(root).write, []

    def once(self: Any, name: str, data: bytes) -> None:
        if name != MASK or masks:
            raise PhotoError("write_error", "no")
        masks.append(name)
        write(self, name, data)

    monkeypatch.setattr(type(root), "write", once)
    with pytest.raises(GlassegError, match="a mask can't be put back: no"):
        pictures.put(root, "a.jpg", b"new picture", b"new mask")
