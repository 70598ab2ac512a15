"""Corrections as people hand them in: exports of the editor and masks of other tools, from wherever they come."""

from __future__ import annotations

import os
import struct
import unicodedata
import uuid
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from handedin import MAP, approval, export, folder, mask, photo, png, statement, zipped
from s3server import S3Server

from glasseg.catalog.reviewed import Word
from glasseg.errors import GlassegError
from glasseg.images import png as png_format
from glasseg.labels import correction_files, corrections
from glasseg.labels.corrections import Offer

KEYS = ["a/b.jpg", "c.jpg", "sub/AB 12.jpg", "sub/AB 12.png", "sub/👓 ß.jpg", "x" * 251 + ".jpg", "../out.jpg"]
MASK = png(mask())
MOST = 1_000_000
EXPORT = zipped(export(photo("a/b.jpg"), approval("c.jpg")))


def by_key(offers: list[Offer]) -> dict[str, Offer]:
    return {offer.key: offer for offer in offers}


def test_an_export_says_what_was_corrected_and_what_is_right(tmp_path: Path) -> None:
    uri = folder(tmp_path, {"corrections-1.zip": EXPORT})
    offers, refused = corrections.read(f"{uri}/corrections-1.zip", KEYS)
    saw = ("e1", "m1", "r1", (30, 40), "2026-11-30T06:00:00.000000+00:00", "s3://shop/white")
    assert by_key(offers) == {
        "a/b.jpg": Offer("corrections-1.zip: maps/0001.png", "a/b.jpg", Word.CORRECTED, MAP, *saw),
        "c.jpg": Offer("corrections-1.zip: c.jpg", "c.jpg", Word.APPROVED, None, *saw),
    }
    assert not refused and all(offer.is_export for offer in offers)


@pytest.mark.parametrize("above", ["", "corrections-1/"])
@pytest.mark.parametrize("packed", [True, False])
def test_an_export_that_was_unpacked_or_packed_again_says_the_same(tmp_path: Path, above: str, packed: bool) -> None:
    files = {f"{above}{name}": data for name, data in export(photo("a/b.jpg"), approval("c.jpg")).items()}
    files |= {f"__MACOSX/{above}._corrections.json": b"\0\5\x16\7", f"{above}.DS_Store": b"1"}
    uri = folder(tmp_path, {"again.zip": zipped(files)} if packed else files)
    offers, refused = corrections.read(uri, KEYS)
    assert {(offer.key, offer.data) for offer in offers} == {("a/b.jpg", MAP), ("c.jpg", None)} and not refused


def test_a_folder_may_hold_exports_and_masks_and_the_latest_comes_last(tmp_path: Path) -> None:
    early, late = photo("c.jpg"), photo("c.jpg", source_etag="e2")
    uri = folder(
        tmp_path,
        {
            "9.zip": zipped(export(early, exported_at="2026-11-28T23:00:00-05:00")),  # the 29th, four in the morning
            "1.zip": zipped(export(late, exported_at="2026-11-29T05:00:00Z")),
            "more/masks.zip": zipped({"AB 12.jpg_mask.png": MASK}),
            "c_mask.png": MASK,
        },
    )
    os.utime(tmp_path / "c_mask.png", (1, 1))
    offers, refused = corrections.read(uri, KEYS)
    assert not refused
    assert [offer.name for offer in offers if offer.key == "c.jpg"] == [
        "c_mask.png",
        "9.zip: maps/0001.png",
        "1.zip: maps/0001.png",
    ]
    assert by_key(offers)["c.jpg"].source_etag == "e2"
    assert by_key(offers)["sub/AB 12.jpg"].name == "more/masks.zip: AB 12.jpg_mask.png"


def test_a_mask_of_another_tool_is_a_correction(tmp_path: Path) -> None:
    uri = folder(tmp_path, {"b_mask.png": MASK})
    [offer], refused = corrections.read(f"{uri}/b_mask.png", KEYS)
    assert (offer.name, offer.key, offer.word, offer.data) == ("b_mask.png", "a/b.jpg", Word.CORRECTED, MASK)
    assert not offer.is_export and offer.exported_at > "2026" and not refused


def test_photos_between_the_masks_are_no_masks(tmp_path: Path) -> None:
    uri = folder(tmp_path, {"sub/AB 12.png": MASK, "a/b.jpg": MASK, "sub/AB 12.jpg_mask.png": MASK})
    offers, refused = corrections.read(uri, KEYS)
    assert [offer.key for offer in offers] == ["sub/AB 12.jpg"] and not refused


def test_keys_of_all_scripts_and_lengths_are_found(tmp_path: Path) -> None:
    long = KEYS[5]
    decomposed = unicodedata.normalize("NFD", "Größe é.jpg")
    stated = zipped(export(photo("sub/👓 ß.jpg"), photo(long, map="maps/0002.png"), approval(decomposed)))
    offers, refused = corrections.read(folder(tmp_path, {"1.zip": stated}), [*KEYS, "Größe é.jpg"])
    assert by_key(offers).keys() == {"sub/👓 ß.jpg", long, "Größe é.jpg"} and not refused


def test_one_bucket_gives_what_a_folder_gives(s3: S3Server) -> None:
    prefix = uuid.uuid4().hex
    files = {"1.zip": EXPORT, "sub/👓 ß_mask.png": MASK, "sub/bad.zip": b"no zip"}
    for name, data in files.items():
        s3.client().put_object(Bucket=s3.bucket, Key=f"{prefix}/{name}", Body=data)
    offers, refused = corrections.read(f"s3://{s3.bucket}/{prefix}", KEYS, endpoint_url=s3.endpoint_url)
    assert by_key(offers).keys() == {"a/b.jpg", "c.jpg", "sub/👓 ß.jpg"} and list(refused) == ["sub/bad.zip"]
    assert all(offer.exported_at for offer in offers)
    alone, _ = corrections.read(f"s3://{s3.bucket}/{prefix}/1.zip", KEYS, endpoint_url=s3.endpoint_url)
    assert by_key(alone).keys() == {"a/b.jpg", "c.jpg"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a zip"),
        (b"<html>", "not a zip"),
        (EXPORT[:-30], "not a zip"),
        (EXPORT.replace(b'"key"', b'"yek"'), "damaged"),
        (zipped({"corrections.json": statement(approval("c.jpg"))}, zipfile.ZIP_BZIP2), "rare way"),
        (zipped({}), "neither corrections.json nor a mask"),
        (zipped({"notes.txt": b"hello", "._a_mask.png": b"1"}), "neither corrections.json nor a mask"),
    ],
)
def test_a_single_zip_that_can_not_be_used_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    uri = folder(tmp_path, {"my export.zip": data})
    with pytest.raises(GlassegError, match=words) as caught:
        corrections.read(f"{uri}/my export.zip", KEYS)
    assert "my export.zip" in str(caught.value) and "\n" not in str(caught.value)


def test_a_zip_that_can_not_be_used_between_others_costs_only_itself(tmp_path: Path) -> None:
    offers, refused = corrections.read(folder(tmp_path, {"bad.zip": b"no", "good.zip": EXPORT}), KEYS)
    assert len(offers) == 2 and list(refused) == ["bad.zip"]


@pytest.mark.parametrize(
    ("files", "name", "words"),
    [
        (export(photo("unknown.jpg")), "maps/0001.png", "knows no photo unknown.jpg; it was exported for s3://shop"),
        (export(photo("../out.jpg")), "../out.jpg", "folder in the name"),
        ({"corrections.json": statement(photo("c.jpg"))}, "maps/0001.png", "the map of c.jpg is not there"),
        (export(photo("c.jpg", map="../maps/0001.png")), "../maps/0001.png", "the map of c.jpg is not there"),
        (export(photo("c.jpg", map="/etc/passwd")), "/etc/passwd", "the map of c.jpg is not there"),
        (export(approval("c.jpg")) | {"maps/7.png": MAP}, "maps/7.png", "corrections.json does not name it"),
        (export(approval("c.jpg"), version=2), "corrections.json", "newer glasseg"),
        ({"corrections.json": b"{", "maps/0001.png": MAP}, "corrections.json", "no JSON"),
        ({"corrections.json": statement()}, "corrections.json", "no photo was corrected"),
        ({"../../c_mask.png": MASK}, "../../c_mask.png", "leads out of the zip"),
        ({"/c_mask.png": MASK}, "/c_mask.png", "leads out of the zip"),
        ({"C:\\c_mask.png": MASK}, "C:/c_mask.png", "leads out of the zip"),
        ({"..\\c_mask.png": MASK}, "../c_mask.png", "leads out of the zip"),
        ({"out_mask.png": MASK}, "out_mask.png", "can't be that of a picture"),
        ({"in.zip": EXPORT}, "in.zip", "a zip within a zip"),
        ({"who_mask.png": MASK}, "who_mask.png", "knows no photo"),
    ],
)
def test_what_can_not_be_used_of_a_zip_is_refused_by_name(
    tmp_path: Path, files: dict[str, bytes], name: str, words: str
) -> None:
    uri = folder(tmp_path / "here" / "in", {"1.zip": zipped(files)})
    _, refused = corrections.read(uri, KEYS)
    assert words in refused[f"1.zip: {name}"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [Path(uri, "1.zip")]  # nothing is unpacked


def test_a_mask_that_can_not_be_read_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_files, "MOST_BYTES", len(MASK))
    uri = folder(tmp_path, {"a/b_mask.png": MASK, "c_mask.png": MASK + b"1"})
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "👓 ß_mask.png").symlink_to("nowhere")
    offers, refused = corrections.read(uri, KEYS)
    assert [offer.key for offer in offers] == ["a/b.jpg"]
    assert "larger than" in refused["c_mask.png"] and "can't be read" in refused["sub/👓 ß_mask.png"]


def test_more_than_memory_should_hold_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correction_files, "MOST_TOTAL", 2 * len(MASK) - 1)
    with pytest.raises(GlassegError, match="hand in less"):
        corrections.read(folder(tmp_path, {"a/b_mask.png": MASK, "c_mask.png": MASK}), KEYS)


@pytest.mark.parametrize("files", [{}, {"notes.txt": b"hello"}, {"a/b.jpg": MASK}, {"_glasseg/masks/c.png": MASK}])
def test_a_place_without_corrections_is_an_error_that_says_what_they_are(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    with pytest.raises(GlassegError, match=r"no corrections in .*: hand in the zip .* NAME_mask\.png"):
        corrections.read(folder(tmp_path, files), KEYS)


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match=r"nothing\.zip does not exist"):
        corrections.read(str(tmp_path / "nothing.zip"), KEYS)


@pytest.mark.parametrize("size", [(30, 40), (300, 400), (299, 399), (31, 41)])
def test_a_map_fits_a_photo_of_its_shape(size: tuple[int, int]) -> None:
    drawn = corrections.labels(MAP, size, MOST, is_export=True)
    assert drawn.shape == (30, 40) and drawn.dtype == np.uint8 and {*np.unique(drawn)} == {64, 255}


@pytest.mark.parametrize("size", [(29, 40), (30, 39), (40, 30), (300, 300), (300, 500), (15, 20)])
@pytest.mark.parametrize("is_export", [True, False])
def test_a_mask_of_another_shape_or_larger_is_refused_with_both_sizes(size: tuple[int, int], is_export: bool) -> None:
    with pytest.raises(ValueError, match=f"^the mask is 40×30 pixels, the photo {size[1]}×{size[0]}$"):
        corrections.labels(MAP if is_export else MASK, size, MOST, is_export=is_export)


@pytest.mark.parametrize("side", [7, 33, 100, 641, 1600, 4001])
@pytest.mark.parametrize("aspect", [0.1, 0.4, 0.75, 1.0, 1.333, 3.1])
def test_every_copy_that_the_editor_makes_fits(side: int, aspect: float) -> None:
    photo = (max(1, round(side * min(1, aspect))), max(1, round(side * min(1, 1 / aspect))))
    for longest in (5, 500, 1600):
        scale = min(1, longest / max(photo))
        size = (max(1, round(photo[0] * scale)), max(1, round(photo[1] * scale)))
        assert corrections.labels(png(mask(size) | 128), photo, 100_000_000, is_export=True).shape == size


def test_a_map_holds_all_four_values() -> None:
    drawn = np.repeat(np.array([0, 64, 128, 255], np.uint8), 10)[None].repeat(30, 0)
    for is_export in (True, False):
        assert np.array_equal(corrections.labels(png(drawn), (30, 40), MOST, is_export=is_export), drawn)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(mask(colour=254)), "other values"),
        (png(mask(colour=(255, 255, 255))), "grey PNG of 8 bits"),
        (png(mask().astype(np.uint16) * 257), "grey PNG of 8 bits"),
        (cv2.imencode(".jpg", mask())[1].tobytes(), "grey PNG of 8 bits"),
        (png(np.full((30, 40), 64, np.uint8)), "says nothing"),
        (MAP[:60], "can't be read"),
        (b"", "neither PNG nor JPEG"),
        (cv2.imencode(".webp", mask())[1].tobytes(), "neither PNG nor JPEG"),
    ],
)
def test_a_map_that_the_editor_did_not_write_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        corrections.labels(data, (30, 40), MOST, is_export=True)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data",
    [
        MASK,
        png(mask(colour=200)),
        png(mask(colour=1)),
        png(mask(colour=(0, 0, 128))),
        png(mask().astype(np.uint16) * 257),
        cv2.imencode(".jpg", mask())[1].tobytes(),
    ],
)
def test_masks_of_other_tools_mean_material_and_background_everywhere(data: bytes) -> None:
    assert np.array_equal(corrections.labels(data, (30, 40), MOST, is_export=False), mask())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(255 - mask()), "is it inverted"),
        (png(np.zeros((30, 40), np.uint8)), "empty"),
        (png(mask(colour=128)), "empty"),
        (png(np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)), "colour photo"),
        (b"GIF89a", "neither PNG nor JPEG"),
    ],
)
def test_what_is_no_mask_of_another_tool_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        corrections.labels(data, (30, 40), MOST, is_export=False)


@pytest.mark.parametrize("is_export", [True, False])
def test_a_picture_bomb_is_not_decoded(is_export: bool) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    chunks = [png_format.Chunk(name, data, True) for name, data in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))]
    bomb = png_format.SIGNATURE + b"".join(chunk.written() for chunk in chunks)
    with pytest.raises(ValueError, match="3,600,000,000 pixels, the limit is 1,000,000"):
        corrections.labels(bomb, (60_000, 60_000), MOST, is_export=is_export)


def test_a_label_map_is_read_back_as_it_was_encoded() -> None:
    drawn = np.random.default_rng(1).choice(np.array([0, 64, 128, 255], np.uint8), (30, 40))
    for is_export in (True, False):
        assert np.array_equal(corrections.labels(corrections.encode(drawn), (30, 40), MOST, is_export=is_export), drawn)
