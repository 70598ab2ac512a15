"""Labels and the lists of labelled photos, as users hand them in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glasseg.errors import GlassegError
from glasseg.pairs import find_pairs, read_index, read_label

HEADER = "file,kind,product_group,split\n"


def encoded(mask: np.ndarray, suffix: str = ".png") -> bytes:
    done, data = cv2.imencode(suffix, mask)
    assert done
    return data.tobytes()


def picture(path: Path, value: int = 200) -> Path:
    """A small grey picture at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.full((6, 8, 3), value, np.uint8), path.suffix))
    return path


def data_folder(folder: Path, rows: list[str], files: list[str], header: str = HEADER) -> Path:
    for name in files:
        picture((folder / name).resolve())
    (folder / "index.csv").write_text(header + "".join(row + "\n" for row in rows), encoding="utf-8")
    return folder


def test_a_label_map_tells_material_openings_and_what_is_not_scored() -> None:
    label = read_label(encoded(np.uint8([[255, 128], [64, 0]])))
    assert label.material.tolist() == [[True, False], [False, False]]
    assert label.opening.tolist() == [[False, True], [False, False]]
    assert label.ignored.tolist() == [[False, False], [True, False]]


def test_in_a_plain_mask_what_is_above_127_is_material() -> None:
    label = read_label(encoded(np.uint8([[127, 128, 64], [129, 255, 1]])))
    assert label.material.tolist() == [[False, True, False], [True, True, False]]
    assert not label.opening.any() and not label.ignored.any()


def test_a_jpeg_is_never_a_label_map() -> None:
    label = read_label(encoded(np.full((8, 8), 128, np.uint8), ".jpg"))
    assert label.material.all() and not label.opening.any()


def test_black_and_white_mean_the_same_in_both_kinds() -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    for suffix in (".png", ".jpg"):
        assert (read_label(encoded(mask, suffix)).material == (mask > 0)).all()


def test_a_colour_file_of_grey_values_is_read_as_well() -> None:
    label = read_label(encoded(np.dstack([np.uint8([[255, 128, 64, 0]])] * 3)))
    assert (label.material.sum(), label.opening.sum(), label.ignored.sum()) == (1, 1, 1)


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_bytes_that_are_no_mask_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a picture"):
        read_label(data)


@pytest.mark.parametrize("mask", ["a_mask.png", "a_mask.jpg", "../in_masks/a_mask.png", "../in_masks/a_mask.jpg"])
def test_a_mask_is_found_beside_the_photo_and_in_the_sibling_folder(tmp_path: Path, mask: str) -> None:
    photo, expected = picture(tmp_path / "in" / "a.jpg"), (tmp_path / "in" / mask)
    (tmp_path / "in_masks").mkdir()
    picture(expected)
    [pair] = find_pairs(tmp_path)
    assert pair.photo == photo and pair.mask is not None and pair.mask.samefile(expected)


def test_a_lossless_mask_comes_before_a_jpeg(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg"), picture(tmp_path / "a_mask.jpg"), picture(tmp_path / "a_mask.png")
    assert [pair.mask for pair in find_pairs(tmp_path)] == [tmp_path / "a_mask.png"]


def test_pairs_of_a_tree_are_photos_that_have_masks(tmp_path: Path) -> None:
    for name in ("b/x.JPG", "b/x_mask.png", "a.png", "a_mask.png", "alone.jpg", "._a.jpg", "._a_mask.png"):
        picture(tmp_path / name)
    (tmp_path / "a.txt").write_text("a note on a.png")
    assert [pair.photo.relative_to(tmp_path).as_posix() for pair in find_pairs(tmp_path)] == ["a.png", "b/x.JPG"]


def test_the_working_folder_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = data_folder(tmp_path / "in", ["a.jpg,product,,train"], ["a.jpg", "../in_masks/a_mask.png"])
    monkeypatch.chdir(photos)
    assert [pair.photo for pair in find_pairs(Path())] == [Path("a.jpg")]
    assert [pair.photo for pair in read_index(Path()).pairs] == [Path("a.jpg")]


def test_an_index_gives_pairs_and_backgrounds_with_their_splits(tmp_path: Path) -> None:
    rows = [
        "p/a.jpg,product,aviator,train",
        "p/b.jpg,product,,validation",
        "c.png,cutout,,train",
        "s.jpg,catalog photo,,look",
        "bg.jpg,background,,validation",
        "no-mask.jpg,product,,train",
        "elsewhere.gif,something else,,train",
    ]
    photos = ["p/a.jpg", "p/b.jpg", "c.png", "s.jpg", "bg.jpg", "no-mask.jpg"]
    masks = ["p/a_mask.png", "p/b_mask.jpg", "s_mask.png", "c_mask.png"]
    index = read_index(data_folder(tmp_path, rows, photos + masks))
    assert [(pair.photo.name, pair.kind, pair.group, pair.split) for pair in index.pairs] == [
        ("a.jpg", "product", "aviator", "train"),
        ("b.jpg", "product", "p/b.jpg", "validation"),
        ("c.png", "cutout", "c.png", "train"),
        ("s.jpg", "scene", "s.jpg", "look"),
    ]
    assert [pair.mask and pair.mask.name for pair in index.pairs] == ["a_mask.png", "b_mask.jpg", None, "s_mask.png"]
    assert index.backgrounds == [(tmp_path / "bg.jpg", "validation")]


def test_an_index_saved_by_excel_is_read(tmp_path: Path) -> None:
    folder = data_folder(tmp_path, ["a.jpg,product,,train"], ["a.jpg", "a_mask.png"], "\ufeff" + HEADER)
    assert len(read_index(folder).pairs) == 1


@pytest.mark.parametrize("kind", ["product", "cutout", "background"])
def test_an_index_that_lists_a_missing_photo_is_refused_naming_it(tmp_path: Path, kind: str) -> None:
    rows = ["a.jpg,product,,train", f"lost.jpg,{kind},,train"]
    with pytest.raises(GlassegError, match=r"lost\.jpg"):
        read_index(data_folder(tmp_path, rows, ["a.jpg", "a_mask.png", "lost_mask.png"]))


def test_a_folder_without_index_is_refused_naming_it(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match=rf"no index\.csv in {tmp_path}"):
        read_index(tmp_path)


def test_an_index_without_a_column_is_refused_naming_it(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match="no column kind, split"):
        read_index(data_folder(tmp_path, ["a.jpg,x"], ["a.jpg"], "file,product_group\n"))


def test_an_index_of_photos_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match="no photo that has a mask"):
        read_index(data_folder(tmp_path, ["a.jpg,product,,train"], ["a.jpg"]))


def test_an_index_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(GlassegError, match=r"index\.csv is no csv"):
        read_index(tmp_path)
