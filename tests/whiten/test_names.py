"""Names that can't be next to each other: two pictures for one file. Nothing is lost, and the night goes on."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import inprocess
import pyarrow as pa
import pytest
from drawnphotos import by_key, drawn, outputs, rows
from foldingdisk import make_folding
from PIL import Image

from glasseg.catalog import claims, manifest, runs
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.images.decoder import decode_on_white
from glasseg.storage import listing
from glasseg.storage.roots import Entry, Folder
from jobs.destination.status import status

pytestmark = pytest.mark.usefixtures("tensorflow")

COMPOSED = unicodedata.normalize("NFC", "Lunetté.jpg")
APART = unicodedata.normalize("NFD", "Lunetté.jpg")


@pytest.fixture
def source(tmp_path: Path) -> Folder:
    (tmp_path / "in").mkdir()
    return Folder(tmp_path / "in")


@pytest.fixture
def destination(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


@pytest.fixture
def folding(destination: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The destination, on a disk that ignores case, Unicode forms, and dots at the end of a name."""
    make_folding(monkeypatch, destination.path)
    return destination


def whiten(source: Folder, destination: Folder, **options: Any) -> int:
    return inprocess.whiten(source.uri, destination.uri, WhitenConfig(**{"report": False, **options}))


def seed_of(root: Folder, output: str) -> int:
    """Which of the drawn photos a picture shows: kept pixels keep their colour."""
    after = decode_on_white(root.read(output)[0], max_pixels=10**6)
    kept = (after < 150).any(axis=2)
    photos = [decode_on_white(drawn(seed), max_pixels=10**6) for seed in range(4)]
    errors = [abs(photo[kept].astype(int) - after[kept]).mean() for photo in photos]
    return errors.index(min(errors))


def test_a_photo_renamed_in_case_only_is_gone_under_its_old_name_though_the_disk_finds_it(
    source: Folder, destination: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folding(monkeypatch, source.path)
    source.write("Front.jpg", drawn(1))
    whiten(source, destination)
    source.delete("Front.jpg")
    source.write("front.jpg", drawn(1))
    whiten(source, destination, gone="delete", yes=True)
    assert fates(destination) == {"Front.jpg": "gone", "front.jpg": "ok"} and outputs(destination) == {"front.jpg"}


def fates(root: Folder) -> dict[str, str]:
    return {key: row["error_code"] or row["status"] for key, row in by_key(root).items()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Front.jpg", "front.jpg"),
        ("SHOP/a.jpg", "shop/a.jpg"),
        (COMPOSED, APART),
        ("Σ.jpg", "ς.jpg"),
        ("straße.jpg", "STRASSE.jpg"),
        ("case./a.jpg", "case/a.jpg"),
    ],
)
def test_names_that_are_one_file_on_the_disk_fail_and_the_rest_is_done(
    source: Folder, folding: Folder, one: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate((one, other, "side.jpg")):
        source.write(name, drawn(seed))
    assert whiten(source, folding) == 0
    assert fates(folding) == {one: "same_name", other: "same_name", "side.jpg": "ok"}
    assert outputs(folding) == {"side.jpg"}
    said = capsys.readouterr()
    assert one in said.err and other in said.err and "rename one" in said.err
    whiten(source, folding)
    assert len(rows(folding)) == 3, "they do not come back every night"


def test_a_photo_that_came_first_keeps_its_picture_until_the_other_is_renamed(source: Folder, folding: Folder) -> None:
    source.write("Front.jpg", drawn(0))
    whiten(source, folding)
    source.write("front.jpg", drawn(1))
    for _ in range(2):
        whiten(source, folding)
    assert [(row["key"], row["status"]) for row in rows(folding)] == [("Front.jpg", "ok"), ("front.jpg", "failed")]
    assert seed_of(folding, "Front.jpg") == 0
    (source.path / "front.jpg").rename(source.path / "side.jpg")
    (source.path / "Front.jpg").rename(source.path / "FRONT.JPG")
    whiten(source, folding)
    assert fates(folding) == {"Front.jpg": "gone", "front.jpg": "gone", "FRONT.JPG": "ok", "side.jpg": "ok"}


def test_a_photo_whose_name_clashes_no_longer_is_done(source: Folder, folding: Folder) -> None:
    for seed, name in enumerate(("Front.jpg", "front.jpg")):
        source.write(name, drawn(seed))
    whiten(source, folding)
    source.delete("Front.jpg")
    whiten(source, folding)
    assert fates(folding) == {"Front.jpg": "gone", "front.jpg": "ok"} and seed_of(folding, "front.jpg") == 1


@pytest.mark.parametrize(("before", "after"), [("Front.jpg", "front.jpg"), (COMPOSED, APART), ("a/b.jpg", "A/B.jpg")])
@pytest.mark.parametrize("mask", [False, True])
def test_a_rename_that_the_disk_does_not_see_deletes_no_picture(
    source: Folder, folding: Folder, before: str, after: str, mask: bool
) -> None:
    source.write(before, drawn(0))
    source.write("side.jpg", drawn(1))
    whiten(source, folding, mask=mask)
    (source.path / after).parent.mkdir(exist_ok=True)
    (source.path / before).rename(source.path / after)
    whiten(source, folding, gone="delete", yes=True, mask=mask)
    assert by_key(folding)[before]["reason"] == "deleted" and by_key(folding)[after]["status"] == "ok"
    assert len(outputs(folding)) == 2 and len(list(folding.list(manifest.MASKS))) == 2 * mask
    whiten(source, folding, gone="delete", yes=True, mask=mask)
    assert len(rows(folding)) == 4, "nothing is left to do"


def test_a_file_of_others_in_another_case_is_not_overwritten(source: Folder, folding: Folder) -> None:
    source.write("Front.jpg", drawn(0))
    folding.write("front.JPG", b"somebody's")
    with pytest.raises(GlassegError, match="did not write"):
        whiten(source, folding)
    assert folding.read("front.JPG")[0] == b"somebody's"


def test_a_killed_run_is_noticed_whatever_the_spelling(source: Folder, folding: Folder) -> None:
    source.write("Front.jpg", drawn(0))
    whiten(source, folding)
    (source.path / "Front.jpg").rename(source.path / "front.jpg")
    whiten(source, folding)
    claims.claim(folding, "20990101T000000.000Z", pa.chunked_array([["front.jpg"]]))
    folding.write("Front.jpg", b"of a killed run")
    whiten(source, folding)
    assert by_key(folding)["front.jpg"]["reason"] == "unfinished" and seed_of(folding, "Front.jpg") == 0
    assert not list(folding.list(claims.CLAIMS))


def test_photos_never_land_among_the_records(source: Folder, folding: Folder) -> None:
    source.write("_Glasseg/masks/a.jpg.png", drawn(0))
    source.write("a.jpg", drawn(0))
    whiten(source, folding)
    assert fates(folding) == {"_Glasseg/masks/a.jpg.png": "same_name", "a.jpg": "ok"}


def test_on_a_disk_that_tells_them_apart_both_are_done(source: Folder, destination: Folder) -> None:
    for seed, name in enumerate(("Front.jpg", "front.jpg")):
        source.write(name, drawn(seed))
    whiten(source, destination)
    assert outputs(destination) == {"Front.jpg", "front.jpg"}
    assert all(seed_of(destination, name) == seed for seed, name in enumerate(("Front.jpg", "front.jpg")))


def test_a_dry_run_knows_the_disk_and_writes_nothing(
    source: Folder, folding: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write("Front.jpg", drawn(0))
    whiten(source, folding)
    source.write("front.jpg", drawn(1))
    before = sorted(folding.path.rglob("*"))
    capsys.readouterr()
    whiten(source, folding, dry_run=True)
    assert "1 photo will fail for its name" in capsys.readouterr().err and sorted(folding.path.rglob("*")) == before


# ---- one output for two photos, whatever the disk ----


def test_two_photos_for_one_output_fail_and_the_night_goes_on(source: Folder, destination: Folder) -> None:
    for seed, name in enumerate(("sku.jpg", "other.png")):
        source.write(name, drawn(seed))
    whiten(source, destination, format="jpeg")
    source.write("sku.png", drawn(2))
    source.write("new.jpg", drawn(3))
    whiten(source, destination, format="jpeg")
    assert fates(destination) == {"sku.jpg": "ok", "other.png": "ok", "sku.png": "same_name", "new.jpg": "ok"}
    error = by_key(destination)["sku.png"]["error"]
    assert "sku.jpg" in error and "sku.png" in error and "--format" in error
    assert seed_of(destination, "sku.jpg") == 0
    whiten(source, destination, format="jpeg")
    assert len(rows(destination)) == 4
    whiten(source, destination, format="keep")
    assert fates(destination)["sku.png"] == "ok"


def test_a_photo_with_the_name_of_a_folder_fails_and_the_night_goes_on(source: Folder, destination: Folder) -> None:
    for seed, name in enumerate(("a.tif.jpg/inner.jpg", "a.tif.png", "b.jpg")):
        source.write(name, drawn(seed))
    whiten(source, destination, format="jpeg")
    assert outputs(destination) == {"b.jpg"}
    assert {key: fate for key, fate in fates(destination).items() if fate != "ok"} == {
        "a.tif.jpg/inner.jpg": "same_name",
        "a.tif.png": "same_name",
    }


def test_a_mask_with_the_name_of_a_folder_of_masks_fails_too(source: Folder, destination: Folder) -> None:
    for seed, name in enumerate(("a.jpg", "a.jpg.png/inner.jpg")):
        source.write(name, drawn(seed))
    whiten(source, destination, mask=True)
    assert set(fates(destination).values()) == {"same_name"}
    (source.path / "a.jpg.png").rename(source.path / "inner")
    whiten(source, destination, mask=True)
    assert fates(destination) == {"a.jpg": "ok", "a.jpg.png/inner.jpg": "gone", "inner/inner.jpg": "ok"}


def test_the_summary_counts_what_fails_by_its_name(source: Folder, destination: Folder, tmp_path: Path) -> None:
    for seed, name in enumerate(("sku.jpg", "sku.png", "new.jpg")):
        source.write(name, drawn(seed))
    whiten(source, destination, format="jpeg", summary_json=str(tmp_path / "summary.json"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["processed"] == 3 and summary["failed"] == 2 and summary["ok"] == 1


# ---- what is a photo by its name ----


def test_photos_by_their_rarer_suffixes_are_done_under_a_name_that_fits(source: Folder, destination: Folder) -> None:
    for seed, name in enumerate(("sku1.jfif", "sku2.JPE", "sku4.pjpeg")):
        source.write(name, drawn(seed))
    frames = [Image.open(io.BytesIO(drawn(seed))) for seed in range(2)]
    frames[0].save(source.path / "sku3.gif", save_all=True, append_images=frames[1:])
    whiten(source, destination)
    assert outputs(destination) == {"sku1.jfif", "sku2.JPE", "sku4.pjpeg", "sku3.png"}
    assert Image.open(io.BytesIO(destination.read("sku1.jfif")[0])).format == "JPEG"
    assert seed_of(destination, "sku3.png") == 0 and "first frame" in by_key(destination)["sku3.gif"]["warnings"][0]


def test_skipped_files_are_named_with_counts_in_the_first_line_the_dry_run_and_the_record(
    source: Folder, destination: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write("a.jpg", drawn(0))
    for name in ("b.jxl", "c.psd", "d.psd", "e", "f.jpg?v=1", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "~$a.jpg"):
        source.write(name, b"x")
    whiten(source, destination, dry_run=True)
    dry = capsys.readouterr()
    whiten(source, destination)
    named = "7 other files skipped (2 .psd, 1 .jpg?…, 1 .jxl, 1 in @eaDir, 1 without a suffix, 1 ~$…)"
    first = capsys.readouterr().err.splitlines()[0]
    assert named in first and named in dry.err and "skipped: .psd" in dry.out
    [name] = runs.names(destination)
    record = runs.read(destination, name)
    assert record["others"] == 7 and record["skipped"][".psd"] == 2 and record["skipped"]["in @eaDir"] == 1


def test_a_picture_of_a_photo_that_is_skipped_now_is_never_deleted(
    source: Folder, destination: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("a.jpg", "@eaDir/b.jpg")):
        source.write(name, drawn(seed))
    whiten(source, destination, all_folders=True)
    whiten(source, destination, gone="delete", yes=True)
    assert outputs(destination) == {"a.jpg", "@eaDir/b.jpg"} and len(rows(destination)) == 2
    assert "1 skipped now whose pictures stay" in capsys.readouterr().err
    whiten(source, destination, all_folders=True)
    assert len(rows(destination)) == 2, "nothing is done again"


def test_a_source_with_nothing_but_other_files_says_what_they_are(source: Folder, destination: Folder) -> None:
    for name in ("a.jxl", "#recycle/b.jpg"):
        source.write(name, drawn(0))
    with pytest.raises(GlassegError, match=r"1 \.jxl, 1 in #recycle.*--all-folders"):
        whiten(source, destination)


def test_a_name_is_never_printed_as_it_is_but_kept(
    source: Folder, destination: Folder, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "a\x1b]0;owned\x07\u202egpj.exe.png"
    source.write("fine\u202e.jpg", b"not a picture")
    (source.path / name).write_bytes(drawn(0))
    (source.path / "two\nlines.jpg").write_bytes(drawn(0))
    whiten(source, destination, dry_run=True)
    whiten(source, destination, report=True)
    status(destination.uri, None, endpoint_url=None, as_json=False)
    status(destination.uri, name, endpoint_url=None, as_json=False)
    said = "".join(capfd.readouterr())
    assert r"two\nlines.jpg" in said and all(line.isprintable() for line in said.split("\n"))
    assert {name, "two\nlines.jpg", "fine\u202e.jpg"} == set(by_key(destination))


def test_a_mask_whose_name_is_too_long_does_not_cost_the_photo(source: Folder, destination: Folder) -> None:
    name = f"{'n' * 251}.jpg"
    for seed, key in enumerate(("ok.jpg", name)):
        source.write(key, drawn(seed))
    whiten(source, destination, mask=True)
    done = by_key(destination)[name]
    assert done["status"] == "ok" and seed_of(destination, name) == 1
    assert done["mask_uri"] is None and "mask was not written" in done["warnings"][0]
    assert by_key(destination)["ok.jpg"]["mask_uri"] and not by_key(destination)["ok.jpg"]["warnings"]
    source.delete(name)
    whiten(source, destination, mask=True, gone="delete", yes=True)
    assert outputs(destination) == {"ok.jpg"}


def test_a_name_that_is_too_long_says_so(source: Folder, destination: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No disk holds such a name, but S3 does; here it comes from the listing only."""
    names = ["ok.jpg", f"{'n' * 252}.jpg"]
    source.write("ok.jpg", drawn(0))
    table = listing.table(Entry(name, 1, "1") for name in names)
    monkeypatch.setattr(listing, "read", lambda root, without=None: table.slice(0, 0) if without else table)
    whiten(source, destination)
    assert fates(destination) == dict(zip(names, ("ok", "too_long_name"), strict=True))


def test_the_numbers_of_a_run_agree(source: Folder, destination: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("sku.jpg", "sku.png", "back\\slash.jpg", "a.jpg", "b.jpg")):
        (source.path / name).write_bytes(drawn(seed))
    whiten(source, destination, format="jpeg")
    said = capsys.readouterr().err
    assert "Whitening 5 photos" in said and "5 of 5 photos" in said and "2 of 2" not in said


@pytest.mark.parametrize(("photos", "code"), [(2, 0), (3, 3)])
def test_a_run_in_which_all_photos_failed_ends_with_code_3(
    source: Folder, destination: Folder, photos: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(photos):
        source.write(f"{number}.jpg", b"no picture")
    assert whiten(source, destination) == code
    assert ("All 3 photos" in capsys.readouterr().err) is (code == 3)
    assert whiten(source, destination) == 0, "nothing is left to do"


def test_the_share_that_is_flagged_is_said_as_it_was_given(
    source: Folder, destination: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write("a.jpg", drawn(0))
    for number in range(5):
        source.write(f"b{number}.jpg", b"no picture")
    assert whiten(source, destination, max_flagged=0.005) == 3
    assert "More than 0.5% (--max-flagged) failed or need review" in capsys.readouterr().err


def test_a_folder_renamed_in_case_only_is_told_once(
    source: Folder, folding: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write("Front/a.jpg", drawn(0))
    whiten(source, folding)
    (source.path / "Front").rename(source.path / "FRONT")
    whiten(source, folding)
    for told in (True, False):
        capsys.readouterr()
        assert whiten(source, folding, gone="delete", yes=True) == 0
        said = capsys.readouterr().err
        assert ("1 gone from the source" in said) is told and "can take" not in said
    assert folding.read("Front/a.jpg")[0]


def test_one_is_said_of_one(source: Folder, destination: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    source.write("a.jpg", drawn(0))
    source.write("a.psd", b"layers")
    assert whiten(source, destination, dry_run=True) == 0
    said, told = capsys.readouterr()
    assert "\n1 photo; how long it takes is not known" in said
    assert "(1 new), 1 other file skipped (1 .psd)" in told
