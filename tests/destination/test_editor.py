"""The editor's files: copies of the photos, masks by the model that made the pictures, and nothing of older editors."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from drawnphotos import SIZE, drawn
from editorpages import edited, files, folder_of, one_model, page, whose
from inprocess import in_process, whiten
from manifestrows import row
from painted import zipped
from PIL import Image
from s3server import S3Server

from glasseg.catalog import manifest, reviewed, runs
from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.images import encoder
from glasseg.storage.roots import Folder, open_root
from jobs.cli import cli
from jobs.correct import run as correct
from jobs.destination import editor
from jobs.destination.report import report

DOUBTED = WhitenConfig(review_below=1.0, max_flagged=1.0)
"""Every picture needs a look."""
LIKE = 0.75
"""The least IoU of masks of photos so small with the truth."""
HOSTILE = (
    "</script><script>alert(1)</script>.jpg",
    '"><img src=x onerror=alert(1)>.jpg',
    "\u202egpj.a'b&amp;é 眼鏡.jpg",
)


@pytest.fixture(autouse=True)
def model(tensorflow: Any) -> Iterator[None]:
    with one_model():
        yield


def truth(seed: int) -> np.ndarray:
    return draw_photo(np.random.default_rng(seed), SIZE).coverage


def catalog(folder: Path, photos: dict[str, bytes], config: WhitenConfig = DOUBTED) -> tuple[Folder, Folder, str]:
    """Source and destination of a run over some photos, and its name."""
    source, destination = Folder(folder / "photos"), Folder(folder / "white")
    for key, data in photos.items():
        source.write(key, data)
    whiten(source.uri, destination.uri, config)
    return source, destination, runs.names(destination)[-1]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


# --- what is in it ---


def test_after_some_corrections_the_editor_has_the_rest_of_the_run_before(tmp_path: Path) -> None:
    _, destination, run = catalog(tmp_path, {f"{seed}.jpg": drawn(seed) for seed in (1, 2, 4)})
    (tmp_path / "right.csv").write_text("photo\n2.jpg\n")
    correct.correct(destination.uri, None, CorrectConfig(approve=str(tmp_path / "right.csv")), executor=in_process)
    report(destination.uri, None, None, edit=True)
    assert {one["key"] for one in edited(destination, run)} == {"1.jpg", "4.jpg"}


def test_each_photo_in_review_is_there_with_its_mask_the_worst_first(tmp_path: Path) -> None:
    masked = WhitenConfig(review_below=1.0, max_flagged=1.0, mask=True)
    _, destination, run = catalog(tmp_path, {f"{seed}.jpg": drawn(seed) for seed in (1, 2, 4)}, masked)
    report(destination.uri, None, None, edit=True)
    photos = edited(destination, run)
    rows = {one["key"]: one for one in manifest.of_run(destination, run).to_pylist()}
    assert files(destination, run) == {"index.html", "0001.html", "0002.html", "0003.html"}
    assert [whose(destination, run, number) for number in (1, 2, 3)] == [
        (one["key"], one["source_etag"]) for one in photos
    ]
    assert [one["key"] for one in photos] == sorted(rows, key=lambda key: rows[key]["quality"])
    for number, one in enumerate(photos, 1):
        mine = rows[one["key"]]
        assert {name: one[name] for name in ("source_etag", "model_id", "run_id", "quality")} == {
            name: mine[name] for name in ("source_etag", "model_id", "run_id", "quality")
        }
        assert (tuple(one["size"]), one["state"], one["code"]) == (SIZE, "review", "uncertain_mask")
        assert one["why"] == mine["error"] and one["corrected"] is False
        found, seed = page(destination, run, number), int(one["key"][0])
        assert found["picture"].shape == (*SIZE, 3) and found["alpha"].shape == SIZE and found["labels"] is None
        written = np.asarray(Image.open(io.BytesIO(destination.read(manifest.mask_key(one["key"]))[0])))
        assert np.array_equal(found["alpha"], written) and iou(written / 255, truth(seed)) > LIKE
        assert np.abs(found["picture"].astype(int) - draw_photo(np.random.default_rng(seed), SIZE).image).mean() < 4


def test_a_large_photo_is_copied_small_and_its_size_is_told(tmp_path: Path) -> None:
    _, destination, run = catalog(tmp_path, {"large.jpg": drawn(4, (1500, 2001))})
    report(destination.uri, run, None, edit=True)
    [one], found = edited(destination, run), page(destination, run, 1)
    assert one["size"] == [1500, 2001]
    assert found["picture"].shape == (1199, 1600, 3) and found["alpha"].shape == (1199, 1600)
    small = cv2.resize(draw_photo(np.random.default_rng(4), (1500, 2001)).coverage, (1600, 1199))
    assert iou(found["alpha"] / 255, small) > LIKE


def test_the_mask_is_that_of_the_photo_however_its_picture_is_framed(tmp_path: Path) -> None:
    framed = WhitenConfig(review_below=1.0, max_flagged=1.0, frame=(1, 1), fill=0.9, size=600)
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)}, framed)
    report(destination.uri, run, None, edit=True)
    assert iou(page(destination, run, 1)["alpha"] / 255, truth(1)) > LIKE


def test_a_transparent_photo_is_shown_on_white(tmp_path: Path) -> None:
    photo = draw_photo(np.random.default_rng(5), SIZE)
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[:40] = 0
    hidden = encoder.encode(np.dstack([photo.image, alpha]), "png", 90)
    _, destination, run = catalog(tmp_path, {"hidden.png": hidden})
    report(destination.uri, run, None, edit=True)
    found = page(destination, run, 1)
    assert found["picture"][:32].min() > 245 and not found["alpha"][:40].any()


def test_what_a_person_painted_earlier_comes_back_over_the_mask_without_it(tmp_path: Path) -> None:
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1, (480, 640))})
    report(destination.uri, run, None, edit=True)
    [shown], before = edited(destination, run), page(destination, run, 1)
    labels = np.full((240, 320), 64, np.uint8)  # half as large as the copy
    labels[:21], labels[21:40] = 255, 128
    said = {name: shown[name] for name in ("key", "source_etag", "model_id", "run_id", "size")}
    (tmp_path / "export.zip").write_bytes(zipped({**said, "png": encoder.encode(labels, "png", 90)}))
    correct.correct(destination.uri, str(tmp_path / "export.zip"), CorrectConfig(), executor=in_process)
    run = runs.names(destination)[-1]
    (tmp_path / "marked.csv").write_text("photo\n1.jpg\n")
    report(destination.uri, run, None, edit=True, marked=str(tmp_path / "marked.csv"))
    [shown], after = edited(destination, run), page(destination, run, 1)
    assert shown["corrected"] is True and shown["run_id"] == run and before["labels"] is None
    assert np.array_equal(after["labels"], labels.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(after["alpha"], before["alpha"])
    text = (destination.path / f"_glasseg/report/{run}/index.html").read_text()
    assert '<span class="badge reviewed">corrected</span>' in text


@pytest.mark.parametrize(("data", "words"), [(None, "is gone"), (b"no picture", "neither PNG nor JPEG")])
def test_a_photo_whose_earlier_correction_is_damaged_is_not_offered_without_it(
    tmp_path: Path, data: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1), "2.jpg": drawn(2)})
    if data:
        destination.write(reviewed.map_key("1.jpg", "R"), data)
    say_corrected(destination, run, "1.jpg", "R")
    report(destination.uri, run, None, edit=True)
    assert [one["key"] for one in edited(destination, run)] == ["2.jpg"]
    assert re.search(rf"left out  1.jpg: its correction .*{words}.*withdraw", capsys.readouterr().err)


def say_corrected(destination: Folder, run: str, key: str, by: str) -> None:
    """Have the rows of a run say that a photo was corrected by the run `by`."""
    rows = manifest.of_run(destination, run).to_pylist()
    for one in rows:
        if one["key"] == key:
            one |= {"reviewed": "corrected", "reviewed_run": by, "reviewed_etag": one["source_etag"]}
    manifest.write_part(destination, run, 0, rows)


def test_names_that_are_code_stay_names(tmp_path: Path) -> None:
    _, destination, run = catalog(tmp_path, dict.fromkeys(HOSTILE, drawn(1)))
    report(destination.uri, run, None, edit=True)
    assert {one["key"] for one in edited(destination, run)} == set(HOSTILE)
    assert b"<script>alert" not in destination.read(folder_of(run) + "index.html")[0]
    assert files(destination, run) == {"index.html", "0001.html", "0002.html", "0003.html"}


def test_a_picture_that_was_held_back_says_so(tmp_path: Path) -> None:
    _, destination, _ = catalog(tmp_path, {"1.jpg": drawn(1)}, WhitenConfig(review_below=0.0))
    again = WhitenConfig(review_below=1.0, max_flagged=1.0, redo="all")
    _, destination, run = catalog(tmp_path, {}, again)
    report(destination.uri, run, None, edit=True)
    assert [one["state"] for one in edited(destination, run)] == ["held"]


# --- what is left out ---


def test_photos_that_are_not_the_ones_that_the_run_saw_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination, run = catalog(tmp_path, {f"{seed}.jpg": drawn(seed) for seed in range(1, 5)})
    source.write("1.jpg", drawn(9))
    source.delete("2.jpg")
    manifest.write_part(destination, "later", 0, [row("3.jpg", 99, run_id="later", status="failed")])
    capsys.readouterr()
    report(destination.uri, run, None, edit=True)
    said = capsys.readouterr().err
    assert [one["key"] for one in edited(destination, run)] == ["4.jpg"]
    assert "left out  1.jpg: the photo has changed since: whiten it again first" in said
    assert re.search(r"left out  2.jpg: .*/2.jpg is gone", said)
    assert "left out  3.jpg: done again by a later run" in said


def test_photos_of_another_model_are_left_out_with_the_way_out(
    tmp_path: Path, untrained_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)})
    record = runs.read(destination, run)
    runs.write(destination, run, {**record, "options": {"model": str(untrained_folder)}})
    report(destination.uri, run, None, edit=True)
    said = capsys.readouterr().err
    assert f"left out  1.jpg: its picture was made by {record['model_id']}, and the model " in said
    assert "whiten it again first" in said and "Nothing to edit" in said
    assert not files(destination, run)


def test_a_run_with_its_own_model_is_edited_by_that(
    tmp_path: Path, untrained_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(untrained_folder, tmp_path / "model")
    mine = WhitenConfig(model=str(tmp_path / "model"), max_flagged=1.0, stop_above=1.0)
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)}, mine)
    row_of = manifest.of_run(destination, run).to_pylist()[0]
    assert row_of["status"] == "review"
    report(destination.uri, run, None, edit=True)
    assert [one["model_id"] for one in edited(destination, run)] == [row_of["model_id"]]
    shutil.rmtree(tmp_path / "model")
    report(destination.uri, run, None, edit=True)
    assert "left out  1.jpg: no model in" in capsys.readouterr().err


def test_a_run_without_doubts_has_nothing_to_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)}, WhitenConfig(review_below=0.0))
    capsys.readouterr()
    report(destination.uri, run, None, edit=True)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"Nothing to edit: run {run} has no picture in review or held back."]
    assert not files(destination, run)
    assert "Correct masks" not in (destination.path / f"_glasseg/report/{run}/index.html").read_text()


# --- photos that a person marked ---


def test_marked_photos_are_edited_too_and_others_on_the_list_are_named(tmp_path: Path) -> None:
    photos = {"a/1.jpg": drawn(1), "-2.jpg": drawn(2), "3.jpg": drawn(3), "broken.jpg": b"\xff\xd8\xff"}
    fine = WhitenConfig(review_below=0.0, max_flagged=1.0)
    _, destination, run = catalog(tmp_path, photos, fine)
    marked = tmp_path / "marked.csv"
    names = ("a/1.jpg", "'-2.jpg", "broken.jpg", "of another run.jpg")
    marked.write_text("\ufeffphoto,status,error_code,note\r\n" + "".join(f"{name},ok,,\r\n" for name in names))
    result = CliRunner().invoke(cli, ["report", destination.uri, run, "--editor", "--marked", str(marked)])
    assert result.exit_code == 0, result.output
    assert {one["key"] for one in edited(destination, run)} == {"a/1.jpg", "-2.jpg"}
    assert "left out  broken.jpg: there is no picture of it" in result.stderr
    assert "of another run.jpg', names no photo" in result.stderr
    assert result.stdout == f"{destination.uri}/_glasseg/report/{run}/index.html\n"


def test_marked_photos_without_an_editor_are_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["report", str(tmp_path), "--marked", "marked.csv"])
    assert getattr(result.exception, "exit_code", 0) == 2
    assert str(result.exception) == "--marked names photos for --editor: give both, or neither"


# --- where it is, and what becomes of older ones ---


def test_it_is_told_and_linked_and_the_link_stays_while_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)})
    index = destination.path / f"_glasseg/report/{run}/index.html"
    assert "edit/index.html" not in index.read_text()
    report(destination.uri, run, None, edit=True)
    size = sum(entry.size for entry in destination.list(folder_of(run))) / 1e6
    assert f"Editor: {index.parent}/edit/index.html (1 photo, {size:.1f} MB)" in capsys.readouterr().err
    assert 'href="edit/index.html"' in index.read_text()
    report(destination.uri, run, None)
    assert 'href="edit/index.html"' in index.read_text()
    shutil.rmtree(index.parent / "edit")
    report(destination.uri, run, None)
    assert "edit/index.html" not in index.read_text()


def test_only_the_newest_editor_stays(tmp_path: Path) -> None:
    _, destination, first = catalog(tmp_path, {f"{seed}.jpg": drawn(seed) for seed in (1, 2, 3)})
    report(destination.uri, first, None, edit=True)
    destination.write(folder_of(editor.NEXT) + "0001.html", b"of another editor")
    source, _, second = catalog(tmp_path, {"4.jpg": drawn(4), "5.jpg": drawn(5)})
    report(destination.uri, second, None, edit=True)
    assert files(destination, second) == {"index.html", "0001.html", "0002.html"}
    assert files(destination, first) == {"index.html"} and not files(destination, editor.NEXT)
    left = destination.path / folder_of(first) / "index.html"
    [link] = re.findall(r'<a href="([^"]*)"', left.read_text())
    assert (left.parent / link).resolve() == (destination.path / folder_of(second) / "index.html").resolve()
    report(destination.uri, first, None)
    assert "Correct masks" not in (destination.path / f"_glasseg/report/{first}/index.html").read_text()
    source.delete("4.jpg")
    report(destination.uri, second, None, edit=True)  # a smaller one in its own place
    assert files(destination, second) == {"index.html", "0001.html"}


def test_an_editor_that_is_interrupted_leaves_no_index_that_shows_other_photos(tmp_path: Path) -> None:
    _, destination, run = catalog(tmp_path, {f"{seed}.jpg": drawn(seed) for seed in (1, 2)})
    report(destination.uri, run, None, edit=True)
    with mock.patch("glasseg.report.editor.shell", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        report(destination.uri, run, None, edit=True)
    assert "index.html" not in files(destination, run)


def test_an_editor_on_s3(s3: S3Server, tmp_path: Path) -> None:
    source, destination = Folder(tmp_path / "photos"), f"s3://{s3.bucket}/edited"
    source.write("a b.jpg", drawn(1))
    whiten(source.uri, destination, DOUBTED)
    root = open_root(destination)
    [run] = runs.names(root)
    report(destination, None, None, edit=True)
    assert files(root, run) == {"index.html", "0001.html"}
    assert iou(page(root, run, 1)["alpha"] / 255, truth(1)) > LIKE
    whiten(source.uri, destination, WhitenConfig(review_below=1.0, max_flagged=1.0, redo="all", editor=True))
    assert files(root, run) == {"index.html"} and files(root, runs.names(root)[-1]) == {"index.html", "0001.html"}


# --- at the end of a run ---


def test_a_run_makes_its_editor_and_its_page_links_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = WhitenConfig(review_below=1.0, max_flagged=1.0, editor=True)
    _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)}, wanted)
    assert [one["key"] for one in edited(destination, run)] == ["1.jpg"]
    assert 'href="edit/index.html"' in (destination.path / f"_glasseg/report/{run}/index.html").read_text()
    assert f"Editor: {destination.uri}/{folder_of(run)}index.html (1 photo, " in capsys.readouterr().err


def test_a_run_whose_editor_can_not_be_made_is_done_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Folder.write

    def full(self: Folder, key: str, data: bytes) -> None:
        real(self, f"{'x' * 300}" if "/edit/" in key else key, data)  # a name that no disk takes

    wanted = WhitenConfig(review_below=1.0, max_flagged=1.0, editor=True)
    with mock.patch.object(Folder, "write", full):
        _, destination, run = catalog(tmp_path, {"1.jpg": drawn(1)}, wanted)
    said = capsys.readouterr().err
    assert "warning: the editor can't be made: " in said
    assert f"`glasseg report {destination.uri} {run} --editor` makes it when that is mended" in said
    assert "Page: " in said
