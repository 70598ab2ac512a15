"""Labels and labelled photos, as users hand them in: trees of files and lists, on a disk and on S3."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3server import S3Server

from glasseg.errors import GlassegError
from glasseg.labels.pairs import Pair, Problem, find, read_label
from glasseg.storage.roots import Root, open_root


def encoded(mask: np.ndarray, suffix: str = ".png") -> bytes:
    done, data = cv2.imencode(suffix, mask)
    assert done
    return data.tobytes()


def place(uri: str, *names: str, **texts: str) -> str:
    """Files without meaning at a place; finding pairs reads names only. `texts`: lists, by their stem."""
    root = open_root(uri)
    for name in names:
        root.write(name, b"x")
    for stem, text in texts.items():
        root.write(f"{stem}.csv", text.encode())
    return uri


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


@pytest.mark.parametrize("levels", [np.uint8, np.uint16])
def test_what_is_transparent_is_background(levels: type[np.generic]) -> None:
    """A white shape on nothing, as design tools export it."""
    most = np.iinfo(levels).max
    picture = np.full((4, 4, 4), most, levels)
    picture[:2, :, 3] = 0
    assert (read_label(encoded(picture)).material == (np.arange(4) >= 2)[:, None]).all()


def test_a_mask_that_claims_more_pixels_than_can_be_is_refused() -> None:
    data = bytearray(encoded(np.zeros((4, 4), np.uint8)))
    data[16:24] = struct.pack(">II", 2**16, 2**16)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ValueError, match="mask"):
        read_label(bytes(data))


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_bytes_that_are_no_mask_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a picture"):
        read_label(data)


def test_masks_lie_next_to_their_photos(new_uri: Callable[[], str]) -> None:
    uri = place(new_uri(), "a b.jpg", "a b_mask.png", "sub/c.PNG", "sub/c_mask.jpg", "d.jpg", "notes.txt")
    found = find(uri)
    assert [(p.photo, p.mask, p.kind, p.split) for p in found.pairs] == [
        ("a b.jpg", "a b_mask.png", "scene", ""),
        ("sub/c.PNG", "sub/c_mask.jpg", "scene", ""),
    ]
    assert found.problems == [Problem("d.jpg", "has no mask")]
    assert all(open_root(p.root).exists(p.photo) and open_root(p.root).exists(p.mask or "") for p in found.pairs)


def test_masks_may_lie_in_a_tree_of_their_own(new_folder: Callable[[], str]) -> None:
    uri = place(new_folder(), "images/a.jpg", "images/x/b.png", "masks/a.png", "masks/x/b_mask.jpg", "images/c.jpg")
    found = find(uri)
    assert [(p.photo, p.mask) for p in found.pairs] == [
        ("images/a.jpg", "masks/a.png"),
        ("images/x/b.png", "masks/x/b_mask.jpg"),
    ]
    assert found.problems == [Problem("images/c.jpg", "has no mask")]


@pytest.mark.parametrize("inside", ["", "shop/"])
@pytest.mark.parametrize("suffix", ["png", "JPG", "jpeg"])
def test_masks_may_lie_in_a_sibling_folder(inside: str, suffix: str, new_folder: Callable[[], str]) -> None:
    """Next to the folder that is given, or next to one below it."""
    mask = f"shop_masks/a_mask.{suffix}"
    uri = place(new_folder(), "shop/a.jpg", mask, "shop_masks/deeper/b_mask.png", "shopping_masks/a_mask.png")
    [pair] = find(f"{uri}/{'' if inside else 'shop'}").pairs
    assert pair == Pair(open_root(uri).uri, "shop/a.jpg", mask, "scene", "shop/a.jpg", "")


def test_a_list_finds_masks_in_a_sibling_folder_too(new_uri: Callable[[], str]) -> None:
    uri = place(new_uri(), "in/a.jpg", "in_masks/a_mask.png", "in/x/b.jpg", "in/x_masks/b_mask.png")
    place(f"{uri}/in", index="image\na.jpg\nx/b.jpg\n")
    assert [(p.root, p.photo, p.mask) for p in find(f"{uri}/in").pairs] == [
        (open_root(uri).uri, "in/a.jpg", "in_masks/a_mask.png"),
        (open_root(f"{uri}/in").uri, "x/b.jpg", "x_masks/b_mask.png"),
    ]


def test_the_working_folder_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(str(tmp_path), "in/a.jpg", "in_masks/a_mask.png")
    monkeypatch.chdir(tmp_path / "in")
    assert [p.photo for p in find(".").pairs] == ["in/a.jpg"]


def test_the_top_of_a_bucket_has_nothing_next_to_it(s3: S3Server) -> None:
    uri = "s3://only-pairs"
    s3.client().create_bucket(Bucket="only-pairs")
    place(uri, "pairs/a.jpg", "pairs_masks/a_mask.png", list="image\npairs/a.jpg\n")
    assert [p.photo for p in find(uri).pairs] == ["pairs/a.jpg"]
    assert [p.photo for p in find(f"{uri}/list.csv").pairs] == ["pairs/a.jpg"]


def test_a_lossless_mask_comes_before_a_jpeg_and_one_next_to_the_photo_before_all(
    new_folder: Callable[[], str],
) -> None:
    uri = place(
        new_folder(), "x/a.jpg", "x/a_mask.jpg", "x/a_mask.png", "x/b.jpg", "x/b_mask.jpg", "x_masks/b_mask.png"
    )
    assert [p.mask for p in find(uri).pairs] == ["x/a_mask.png", "x/b_mask.jpg"]


def test_what_is_no_photo_is_left_alone(new_folder: Callable[[], str]) -> None:
    ours, others = ("_glasseg/masks/z.png", "x/_glasseg/report/z.jpg"), ("notes.txt", "._a.jpg", "._a_mask.png")
    found = find(place(new_folder(), "a.jpg", "a_mask.png", "lonely_mask.png", *ours, *others))
    assert [p.photo for p in found.pairs] == ["a.jpg"] and found.problems == []


def test_files_outside_images_and_masks_are_no_photos_of_theirs(new_folder: Callable[[], str]) -> None:
    found = find(place(new_folder(), "images/a.jpg", "masks/a.png", "overview.jpg", "old/b.jpg", "old/b_mask.png"))
    assert [p.photo for p in found.pairs] == ["images/a.jpg"] and found.problems == []


LIST = (
    "image,mask,group,split,kind,source\n"
    "a.jpg,m/1.png,g1,train,product,\n"
    "b.jpg,,g2,validation,cutout,\n"
    "c.jpg,m/3.png,,,,\n"
    "bg.jpg,,,train,background,somewhere\n"
    "z.jpg,,,train,poster,\n"
)
NAMES = ("a.jpg", "b.jpg", "c.jpg", "bg.jpg", "z.jpg", "m/1.png", "m/3.png")


def test_a_list_names_kinds_groups_and_splits(new_folder: Callable[[], str]) -> None:
    uri = place(new_folder(), *NAMES, index=LIST)
    found = find(uri)
    assert [(p.photo, p.mask, p.kind, p.group, p.split) for p in found.pairs] == [
        ("a.jpg", "m/1.png", "product", "g1", "train"),
        ("b.jpg", None, "cutout", "g2", "validation"),
        ("c.jpg", "m/3.png", "scene", "c.jpg", ""),
    ]
    [backdrop] = found.backdrops
    assert (backdrop.photo, backdrop.split, backdrop.source) == ("bg.jpg", "train", "somewhere")
    assert found.problems == []


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_a_list_of_any_kind_may_be_given_itself(suffix: str, new_folder: Callable[[], str]) -> None:
    uri = place(new_folder(), "p/a.jpg", "p/a_mask.png")
    rows = [("file", "product_group"), ("p/a.jpg", 7)]
    if suffix == "csv":
        data = b"file,product_group\np/a.jpg,7\n"
    elif suffix == "xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        sink = io.BytesIO()
        book.save(sink)
        data = sink.getvalue()
    else:
        sink = io.BytesIO()
        pq.write_table(pa.table({"file": ["p/a.jpg"], "product_group": [7]}), sink)
        data = sink.getvalue()
    open_root(uri).write(f"mine.{suffix}", data)
    [pair] = find(f"{uri}/mine.{suffix}").pairs
    assert (pair.photo, pair.mask, pair.group) == ("p/a.jpg", "p/a_mask.png", "7")


def test_names_in_a_list_may_lead_up_and_be_written_as_on_windows(new_folder: Callable[[], str]) -> None:
    text = "image,mask\n../photos/a.jpg,../m/a.png\n..\\photos\\b.jpg,\n./c.jpg,../m/a.png\n"
    uri = place(new_folder(), "photos/a.jpg", "photos/b.jpg", "photos_masks/b_mask.png", "m/a.png", "lists/c.jpg")
    place(f"{uri}/lists", mine=text)
    found = find(f"{uri}/lists/mine.csv")
    assert {p.root for p in found.pairs} == {open_root(uri).uri} and not found.problems
    assert [(p.photo, p.mask, p.group) for p in found.pairs] == [
        ("photos/a.jpg", "m/a.png", "photos/a.jpg"),
        ("photos/b.jpg", "photos_masks/b_mask.png", "photos/b.jpg"),
        ("lists/c.jpg", "m/a.png", "lists/c.jpg"),
    ]


@pytest.mark.parametrize(
    "name", ["/etc/a.jpg", "../" * 40 + "a.jpg", "s3://b/a.jpg", "a\x01.jpg", "é.jpg", "C:\\a.jpg"]
)
def test_a_name_that_leads_nowhere_is_a_problem(name: str, new_folder: Callable[[], str]) -> None:
    found = find(place(new_folder(), "a.jpg", "a_mask.png", index=f"image\na.jpg\n{name}\n"))
    assert found.problems == [Problem(name, "is not there")]
    assert [open_root(p.root).uri_of(p.photo).rpartition("/")[2] for p in found.pairs] == ["a.jpg"]


def test_columns_kinds_and_splits_are_read_in_any_case(new_folder: Callable[[], str]) -> None:
    text = "Image,Kind,Split,Product_Group\na.jpg,Product,Train,G\nb.jpg,Background,Validation,\n"
    found = find(place(new_folder(), "a.jpg", "a_mask.png", "b.jpg", index=text))
    assert [(p.kind, p.split, p.group) for p in found.pairs] == [("product", "train", "G")]
    assert [b.split for b in found.backdrops] == ["validation"]


def test_a_row_without_an_image_is_a_problem(new_folder: Callable[[], str]) -> None:
    uri = place(new_folder(), "a.jpg", "a_mask.png", index="image,group\na.jpg,\n,total: 2\n,x\n")
    assert find(uri).problems == [Problem(open_root(uri).uri_of("index.csv"), "has a row without an image")] * 2


def test_files_are_looked_up_in_one_listing(new_folder: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And only in the part of the root that the list is about: a bucket may hold millions of other objects."""
    photos = [f"train/p/{i}.jpg" for i in range(12)]
    uri = place(new_folder(), *photos, "train/p_masks/0_mask.png", index="image\n" + "\n".join(photos))
    kind, asked = type(open_root(uri)), list[str]()

    def listing(root: Root, prefix: str = "", *, wrapped: Any = kind.list) -> Any:
        asked.append(f"list {prefix}")
        return wrapped(root, prefix)

    def exists(root: Root, key: str, *, wrapped: Any = kind.exists) -> Any:
        asked.append(f"exists {key}")
        return wrapped(root, key)

    monkeypatch.setattr(kind, "list", listing)
    monkeypatch.setattr(kind, "exists", exists)
    assert len(find(uri).pairs) == 1
    beside = uri.rpartition("/")[2]
    assert asked == ["exists index.csv", "list train/p", f"list {beside}_masks/"]


def test_what_a_list_names_and_is_not_there_is_a_problem(new_folder: Callable[[], str]) -> None:
    text = "image,mask\na.jpg,gone.png\nb.jpg,m.png\nc.jpg,m.png\n"
    found = find(place(new_folder(), "a.jpg", "c.jpg", "m.png", index=text))
    assert [p.photo for p in found.pairs] == ["c.jpg"]
    assert found.problems == [Problem("a.jpg", "has no mask: gone.png is not there"), Problem("b.jpg", "is not there")]


def test_photos_that_no_training_looks_at_need_no_mask(new_folder: Callable[[], str]) -> None:
    text = "file,kind,split\na.jpg,real,test\nb.jpg,catalog photo,look\nc.jpg,scene,train\n"
    found = find(place(new_folder(), "a.jpg", "a_mask.png", "b.jpg", "c.jpg", index=text))
    assert [(p.photo, p.kind) for p in found.pairs] == [("a.jpg", "scene")]
    assert found.problems == [Problem("c.jpg", "has no mask", "train")]


def test_what_is_left_out_is_counted(new_folder: Callable[[], str]) -> None:
    text = "image,kind\na.jpg,scene\nb.jpg,lifestyle\nc.jpg,Lifestyle\n"
    assert find(place(new_folder(), "a.jpg", "a_mask.png", "b.jpg", index=text)).left_out == {"of kind lifestyle": 2}
    uri = place(new_folder(), "images/a.jpg", "masks/a.png", "extra/b.jpg", "extra/b_mask.png")
    assert find(uri).left_out == {"not in images/": 1}


def test_the_usual_words_for_a_split_are_understood(new_folder: Callable[[], str]) -> None:
    text = "image,split\na.jpg,Val\nb.jpg,training\nc.jpg,test\n"
    files = [f"{name}{end}" for name in "abc" for end in (".jpg", "_mask.png")]
    found = find(place(new_folder(), *files, index=text))
    assert [pair.split for pair in found.pairs] == ["validation", "train", "test"]


def test_names_that_are_no_utf8_are_problems(tmp_path: Path) -> None:
    name = os.fsdecode(b"brille-\xe9")
    place(str(tmp_path), "a.jpg", "a_mask.png")
    try:
        for end in (".jpg", "_mask.png"):
            (tmp_path / f"{name}{end}").write_bytes(b"x")
    except OSError:
        pytest.skip("this disk takes only UTF-8 names")
    found = find(str(tmp_path))
    assert [pair.photo for pair in found.pairs] == ["a.jpg"]
    assert [problem.name for problem in found.problems] == ["brille-\\xe9.jpg"]


def test_cutouts_and_backgrounds_come_from_places_of_their_own(new_uri: Callable[[], str]) -> None:
    uri, cutouts, backgrounds = (new_uri() for _ in range(3))
    place(uri, "a.jpg", "a_mask.png")
    place(cutouts, "x/c.png")
    place(backgrounds, "b.jpg", "notes.txt")
    found = find(uri, cutouts=cutouts, backgrounds=backgrounds)
    assert [(p.kind, p.photo, p.mask) for p in found.pairs] == [
        ("scene", "a.jpg", "a_mask.png"),
        ("cutout", "x/c.png", None),
    ]
    assert [(b.photo, b.root) for b in found.backdrops] == [("b.jpg", open_root(backgrounds).uri)]


def test_backgrounds_within_the_data_are_no_photos_without_masks(new_folder: Callable[[], str]) -> None:
    uri = place(new_folder(), "a.jpg", "a_mask.png", "backgrounds/b.jpg", "cutouts/c.png")
    found = find(uri, cutouts=f"{uri}/cutouts", backgrounds=f"{uri}/backgrounds")
    assert found.problems == [] and len(found.pairs) == 2 and len(found.backdrops) == 1


def test_one_cutout_may_be_given_itself(new_folder: Callable[[], str]) -> None:
    uri, other = place(new_folder(), "a.jpg", "a_mask.png"), place(new_folder(), "c.png", "d.png")
    assert [p.photo for p in find(uri, cutouts=f"{other}/c.png").pairs] == ["a.jpg", "c.png"]


@pytest.mark.parametrize(
    ("names", "texts", "words"),
    [
        ([], {}, "there is nothing in"),
        (["readme.txt"], {}, "no labelled photos in"),
        (["a.jpg"], {"index": "image,mask\n"}, "no labelled photos in"),
        (["a.jpg"], {"index": "image,kind\na.jpg,poster\n"}, "has no photo of a known kind: use product, cutout"),
        (["a.jpg"], {"index": "image\n/data/a.jpg\n"}, "a.jpg is not there.*relative to its folder"),
        (["a.jpg", "a_mask.png"], {"index": "image\na.jpg\n./a.jpg\n"}, "names ./a.jpg twice"),
        (["a.jpg"], {}, "no labelled photos in .*a.jpg has no mask.*NAME_mask.png"),
        ([], {"index": "photo,mask\na.jpg,b.png\n"}, "has no column image"),
        (["a.jpg", "a_mask.png"], {"index": "image\na.jpg\na.jpg\n"}, "names a.jpg twice"),
        ([], {"index": ""}, "has no header"),
    ],
)
def test_what_can_not_be_used_is_one_line(
    names: list[str], texts: dict[str, str], words: str, new_folder: Callable[[], str]
) -> None:
    with pytest.raises(GlassegError, match=words) as caught:
        find(place(new_folder(), *names, **texts))
    assert "\n" not in str(caught.value)


def test_places_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    place(str(tmp_path), "a.jpg", "a_mask.png", "note.txt")
    with pytest.raises(GlassegError, match="does not exist"):
        find(str(tmp_path / "no"))
    with pytest.raises(GlassegError, match="neither a folder nor a list"):
        find(str(tmp_path / "note.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(GlassegError, match="no photos in"):
        find(str(tmp_path), backgrounds=str(tmp_path / "empty"))


def test_a_list_that_is_not_there_or_broken_is_one_line(new_uri: Callable[[], str]) -> None:
    uri = place(new_uri(), "a.jpg", "a_mask.png")
    with pytest.raises(GlassegError, match=r"does not exist|there is nothing in .*list\.xlsx"):
        find(f"{uri}/list.xlsx")
    open_root(uri).write("list.xlsx", b"PK\x03\x04 half a workbook")
    with pytest.raises(GlassegError, match=r"list\.xlsx can.t be read as a workbook"):
        find(f"{uri}/list.xlsx")


def test_a_photo_in_colour_is_no_mask() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="colour photo"):
        read_label(encoded(photo))
    grey = np.full((200, 200, 3), 200, np.uint8)
    grey[:10, :10] = (0, 0, 255)  # a scribble
    assert read_label(encoded(grey, ".jpg")).material.mean() > 0.99


def test_a_grey_mask_saved_as_a_poor_jpeg_is_no_colour_photo() -> None:
    mask = np.kron(np.random.default_rng(1).integers(0, 2, (25, 25)), np.ones((8, 8))).astype(np.uint8) * 255
    data = cv2.imencode(".jpg", cv2.merge([mask] * 3), [cv2.IMWRITE_JPEG_QUALITY, 30])[1].tobytes()
    assert (read_label(data).material == (mask > 0)).mean() > 0.99


def test_a_pair_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'poster' is not a valid Kind"):
        Pair("/r", "a.jpg", None, "poster", "a.jpg", "")  # type: ignore[arg-type]
