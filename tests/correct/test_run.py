"""What a person said of a picture is published, and holds for every remake of its photo until that changes."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clippingpaths
import cv2
import inprocess
import numpy as np
import pytest
from correcting import correct, whiten
from drawnphotos import BLANK, by_key, drawn, outputs, rows
from painted import erased, export, kept, photo_of, zipped
from s3server import S3Server

from glasseg.catalog import lock, manifest, reviewed
from glasseg.config import WhitenConfig
from glasseg.cutout import picture as cutout
from glasseg.errors import GlassegError
from glasseg.images import decoder
from glasseg.labels.masks import read_label
from glasseg.storage.roots import Folder, Root, open_root
from jobs.destination.status import overview

pytestmark = pytest.mark.usefixtures("tensorflow")

MINE = "a.jpg"
OTHER = "b.jpg"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Root, Root]:
    """A source of three photos and a destination where they are done."""
    source, destination = open_root(str(tmp_path / "in")), open_root(str(tmp_path / "out"))
    for seed, key in enumerate((MINE, OTHER, "sub/two words.jpg")):
        source.write(key, drawn(seed))
    whiten((source, destination))
    return source, destination


def picture(destination: Root, key: str = MINE) -> np.ndarray:
    """H×W×3 uint8."""
    found = cv2.imdecode(np.frombuffer(destination.read(key)[0], np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


def white_left(destination: Root, key: str = MINE) -> bool:
    """Whether what `erased` erases is white."""
    one = picture(destination, key)
    return bool((one[:, : one.shape[1] // 2 - 16] > 250).all())


def said(destination: Root, key: str = MINE) -> tuple[Any, ...]:
    row = by_key(destination)[key]
    return row["status"], row["reason"], row["reviewed"]


# published ------------------------------------------------------------------------------------------------------------


def test_a_correction_is_published_and_all_else_stays(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    before, other = picture(destination), destination.read(OTHER)[0]
    assert not white_left(destination)
    assert correct(destination, export(tmp_path, destination, {MINE: erased})) == 0
    assert white_left(destination)
    half = before.shape[1] // 2 + 40
    assert np.abs(before[:, half:].astype(int) - picture(destination)[:, half:]).max() < 12  # it is a JPEG
    assert destination.read(OTHER)[0] == other
    row = by_key(destination)[MINE]
    assert said(destination) == ("ok", "corrected", "corrected") and row["published"]
    assert (row["reviewed_run"], row["reviewed_model"]) == (row["run_id"], row["model_id"])
    assert row["reviewed_etag"] == row["source_etag"] and not destination.exists(lock.LOCK)
    assert overview(destination)["reviewed"] == {"corrected": 1}


def test_a_corrected_picture_for_print_has_the_path_of_its_new_mask(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    whiten(places, format="tiff", dpi=300, clipping_path=True)
    assert correct(destination, export(tmp_path, destination, {MINE: erased})) == 0
    data = destination.read("a.tif")[0]
    size = picture(destination, "a.tif").shape[:2]
    points = np.concatenate([clippingpaths.points(curve, size) for curve in clippingpaths.read(data)])
    assert points.real.min() > size[1] // 2 - 16
    assert decoder.decode(data, max_pixels=10**6).tags.dpi == (300, 300)


def test_a_correction_brings_back_what_was_lost(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    assert (picture(destination)[20:30, 25:40] > 250).all()
    correct(destination, export(tmp_path, destination, {MINE: kept}))
    photo = picture(source)[20:30, 25:40].astype(int)
    assert np.abs(picture(destination)[20:30, 25:40].astype(int) - photo).max() < 25


def test_the_map_and_the_label_are_kept(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    run_id = by_key(destination)[MINE]["run_id"]
    map = read_label(destination.read(reviewed.map_key(MINE, run_id))[0])
    assert map.ignored[:, -1].all() and not map.ignored[:, 0].any()
    label = read_label(destination.read(reviewed.label_key(MINE, run_id))[0])
    half = label.material.shape[1] // 2
    assert label.material[:, half:].any() and not label.material[:, : half - 8].any()
    assert not label.ignored[:, : half - 8].any() and label.ignored[:, half:].any()


def test_a_correction_that_failed_for_the_moment_is_made_by_the_same_command(
    places: tuple[Root, Root], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    with monkeypatch.context() as patched:
        patched.setattr(cutout, "glasses_of", _no_memory)
        correct(destination, path)
    assert correct(destination, path) == 0 and white_left(destination)


def test_a_photo_that_can_not_be_read_is_not_corrected(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    source.write(MINE, b"no picture")
    whiten(places)
    with pytest.raises(GlassegError, match=r"a\.jpg: it failed \(unreadable\): whiten it first"):
        correct(destination, path)


def test_training_has_the_label_also_of_a_photo_that_failed_when_it_was_corrected(
    places: tuple[Root, Root], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, destination = places
    with monkeypatch.context() as patched:
        patched.setattr(cutout, "glasses_of", _no_memory)
        correct(destination, export(tmp_path, destination, {MINE: erased}))
    assert said(destination) == ("failed", "corrected", "corrected")
    whiten(places)
    row = by_key(destination)[MINE]
    assert said(destination) == ("ok", "retry", "corrected") and row["run_id"] != row["reviewed_run"]
    assert destination.exists(reviewed.label_key(MINE, row["reviewed_run"]))


def test_of_a_mask_of_another_model_training_learns_only_what_was_painted(
    places: tuple[Root, Root], tmp_path: Path, other_model: str
) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    whiten(places, model=other_model)
    correct(destination, path)
    row = by_key(destination)[MINE]
    assert row["reviewed_model"] != row["model_id"]
    label = read_label(destination.read(reviewed.label_key(MINE, row["reviewed_run"]))[0])
    half = label.ignored.shape[1] // 2
    assert label.ignored[:, half + 8 :].all() and not label.ignored[:, : half - 8].any()


def test_a_photo_for_review_is_ok_once_it_is_corrected(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    source.write(MINE, BLANK)
    whiten(places, gates=False)
    assert said(destination)[0] == "review"
    correct(destination, export(tmp_path, destination, {MINE: kept}))
    assert said(destination) == ("ok", "corrected", "corrected")


def test_what_a_list_said_of_a_photo_is_kept(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    (tmp_path / "list.csv").write_text("photo,sku\na.jpg,0042\n")
    whiten(places, photos=str(tmp_path / "list.csv"), redo="all")
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    assert by_key(destination)[MINE]["list_columns"] == [("sku", "0042")]


def test_a_held_picture_that_is_corrected_is_published(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    source.write(MINE, BLANK)
    whiten(places)
    assert not by_key(destination)[MINE]["published"]
    correct(destination, export(tmp_path, destination, {MINE: kept}))
    row = by_key(destination)[MINE]
    assert row["published"] and row["status"] == "ok" and (picture(destination)[18:36, 20:48] < 250).any()
    assert not overview(destination)["held"]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_correction_is_published_under_the_name_that_its_picture_has(
    suffix: str, places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    named = f"x/{Path(MINE).stem}{suffix}"
    whiten(places, name=f"x/{{stem}}{suffix}")
    there = outputs(destination)
    assert correct(destination, export(tmp_path, destination, {MINE: erased})) == 0
    assert outputs(destination) == there and white_left(destination, named)
    assert by_key(destination)[MINE]["output_key"] == named
    whiten(places)
    whiten(places, name=f"y/{{stem}}{suffix}")
    assert outputs(destination) - there == {name.replace("x/", "y/") for name in there if name.startswith("x/")}
    assert white_left(destination, named.replace("x/", "y/")) and said(destination)[2] == "corrected"


def test_a_correction_on_s3(s3: S3Server, tmp_path: Path) -> None:
    top = open_root(f"s3://{s3.bucket}/{uuid.uuid4().hex}")
    source, destination = open_root(f"{top.uri}/in"), open_root(f"{top.uri}/out")
    source.write(MINE, drawn(0))
    whiten((source, destination))
    path = export(tmp_path, destination, {MINE: erased})
    top.write("handed/corrections.zip", Path(path).read_bytes())
    assert correct(destination, f"{top.uri}/handed/corrections.zip") == 0
    assert white_left(destination)


# it holds whenever the photo is made again ----------------------------------------------------------------------------


def _other_options(places: tuple[Root, Root]) -> dict[str, Any]:
    return {"quality": 90}


def _missing(places: tuple[Root, Root]) -> dict[str, Any]:
    places[1].delete(MINE)
    return {}


def _empty(places: tuple[Root, Root]) -> dict[str, Any]:
    places[1].write(MINE, b"")
    return {}


def _redo(places: tuple[Root, Root]) -> dict[str, Any]:
    return {"redo": "all"}


def _another_output(places: tuple[Root, Root]) -> dict[str, Any]:
    return {"format": "png"}


def _framed(places: tuple[Root, Root]) -> dict[str, Any]:
    return {"redo": "all", "review_below": 1.0}


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (_other_options, "options"),
        (_missing, "missing"),
        (_empty, "missing"),
        (_redo, "redo"),
        (_another_output, "options"),
        (_framed, "redo"),
    ],
)
def test_a_correction_is_applied_whatever_the_photo_is_made_again_for(
    places: tuple[Root, Root], tmp_path: Path, why: Callable[[tuple[Root, Root]], dict[str, Any]], reason: str
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    taken = by_key(destination)[MINE]
    whiten(places, **why(places))
    row = by_key(destination)[MINE]
    assert said(destination) == ("ok", reason, "corrected")
    assert all(row[name] == taken[name] for name in ("reviewed_run", "reviewed_etag", "reviewed_model"))
    assert white_left(destination, row["output_key"])


def test_a_correction_is_applied_after_a_failure(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    whiten(places, redo="all", max_pixels=1000)
    assert said(destination) == ("failed", "redo", "corrected")
    whiten(places)
    assert said(destination) == ("ok", "retry", "corrected") and white_left(destination)


def test_a_correction_is_applied_after_an_unfinished_run(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))

    def die(rows: list[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inprocess.whiten(*(one.uri for one in places), WhitenConfig(redo="all", report=False), inprocess.watched(die))
    whiten(places)
    assert said(destination) == ("ok", "unfinished", "corrected") and white_left(destination)


def test_a_correction_outlives_that_its_photo_is_away(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    assert isinstance(source, Folder)
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    path, away = source.path / MINE, tmp_path / "away.jpg"
    path.rename(away)
    whiten(places, gone="delete", yes=True)
    assert said(destination) == ("gone", "deleted", "corrected")
    away.rename(path)
    whiten(places)
    assert said(destination) == ("ok", "new", "corrected") and white_left(destination)


def test_a_new_model_alone_makes_no_corrected_photo_again(
    places: tuple[Root, Root], tmp_path: Path, other_model: str
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    whiten(places, model=other_model)
    assert said(destination) == ("ok", "corrected", "corrected"), "it was not done again"
    assert by_key(destination)[OTHER]["reason"] == "model"
    whiten(places, model=other_model, redo="all")
    assert said(destination)[1:] == ("redo", "corrected") and white_left(destination)


def test_masks_that_nobody_has_seen_are_judged_also_where_a_person_painted(
    places: tuple[Root, Root], tmp_path: Path, other_model: str
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    whiten(places, redo="all", review_below=1.0)
    assert said(destination) == ("ok", "redo", "corrected"), "a person has seen this model's mask"
    whiten(places, model=other_model, redo="all", review_below=1.0, gates=False)
    assert said(destination) == ("review", "redo", "corrected")


def test_a_photo_that_changes_drops_its_correction_and_its_row_and_the_runs_last_lines_say_so(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    source.write(MINE, drawn(7))
    whiten(places, gates=False)
    row = by_key(destination)[MINE]
    assert row["reason"] == "changed" and row["reviewed"] is None and row["reviewed_run"] is None
    assert "the photo has changed since it was corrected" in " ".join(row["warnings"])
    assert not white_left(destination)
    assert "  a.jpg: was corrected or approved and has changed since: made anew" in capsys.readouterr().err
    whiten(places, redo="all")
    assert by_key(destination)[MINE]["warnings"] is None
    assert "changed since" not in capsys.readouterr().err


def test_a_correction_that_is_lost_fails_its_photo_and_its_picture_stays(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    before = destination.read(MINE)[0]
    destination.delete(reviewed.map_key(MINE, by_key(destination)[MINE]["reviewed_run"]))
    whiten(places, redo="all")
    row = by_key(destination)[MINE]
    assert (row["status"], row["error_code"], row["reviewed"]) == ("failed", "read_error", "corrected")
    assert "--withdraw" in row["error"] and destination.read(MINE)[0] == before
    assert correct(destination, withdraw=(MINE,)) == 0
    assert said(destination) == ("ok", "withdrawn", None)


def test_a_word_that_holds_no_longer_is_told_also_after_a_failure(
    places: tuple[Root, Root], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    source.write(MINE, drawn(7))
    with monkeypatch.context() as patched:
        patched.setattr(cutout, "glasses_of", _no_memory)
        whiten(places, gates=False)
    assert said(destination) == ("failed", "changed", "corrected")
    whiten(places, gates=False)
    row = by_key(destination)[MINE]
    assert row["reviewed"] is None and "changed since it was corrected" in " ".join(row["warnings"])


def _no_memory(*given: Any) -> None:
    raise MemoryError


# approved and withdrawn -----------------------------------------------------------------------------------------------


def test_an_approved_picture_stays_as_it_is_and_is_ok_from_then_on(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    whiten(places, redo="all", review_below=1.0)
    before = destination.read(MINE)[0]
    assert said(destination)[0] == "review"
    (tmp_path / "marked.csv").write_text("photo,status,error_code,note\r\na.jpg,review,uncertain_mask,x\r\n")
    assert correct(destination, approve=str(tmp_path / "marked.csv")) == 0
    assert said(destination) == ("ok", "approved", "approved") and destination.read(MINE)[0] == before
    assert destination.exists(reviewed.label_key(MINE, by_key(destination)[MINE]["run_id"]))
    whiten(places, redo="all", review_below=1.0, quality=90)
    assert said(destination) == ("ok", "redo", "approved") and said(destination, OTHER)[0] == "review"
    assert overview(destination)["reviewed"] == {"approved": 1}


def test_approving_a_picture_that_was_held_back_publishes_it(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    source.write(MINE, BLANK)
    whiten(places)
    assert correct(destination, export(tmp_path, destination, {MINE: None})) == 0
    row = by_key(destination)[MINE]
    assert row["published"] and said(destination) == ("ok", "approved", "approved")
    assert (picture(destination) > 250).all()


def test_a_picture_of_other_options_is_not_approved_since_nobody_saw_it(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    (tmp_path / "right.csv").write_text("photo\na.jpg\n")
    (tmp_path / "other.csv").write_text("photo\nb.jpg\n")
    whiten(places, photos=str(tmp_path / "other.csv"), frame=(1, 1))
    with pytest.raises(GlassegError, match=r"a\.jpg: its picture was made with other options"):
        correct(destination, approve=str(tmp_path / "right.csv"))
    assert len(rows(destination, MINE)) == 1


def test_a_file_that_is_not_there_is_named(places: tuple[Root, Root], tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match=r"typo\.zip does not exist"):
        correct(places[1], str(tmp_path / "typo.zip"))


def test_a_list_in_the_place_of_corrections_is_refused_with_the_way_out(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    (tmp_path / "marked.csv").write_text("photo\na.jpg\n")
    with pytest.raises(GlassegError, match=r"marked\.csv is a list: --approve .*marked\.csv takes") as error:
        correct(places[1], str(tmp_path / "marked.csv"))
    assert error.value.exit_code == 2


def test_a_picture_of_another_model_is_not_approved(
    places: tuple[Root, Root], tmp_path: Path, other_model: str
) -> None:
    _, destination = places
    (tmp_path / "marked.csv").write_text("photo\na.jpg\n")
    with pytest.raises(GlassegError, match=r"a\.jpg.*another model: run glasseg whiten first"):
        correct(destination, approve=str(tmp_path / "marked.csv"), model=other_model)


def test_a_picture_that_was_corrected_since_is_not_approved_by_an_older_export(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination = places
    older = export(tmp_path, destination, {MINE: None, OTHER: None}, "older.zip")
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    assert correct(destination, older) == 0
    assert said(destination) == ("ok", "corrected", "corrected") and said(destination, OTHER)[1] == "approved"
    told = capsys.readouterr().err
    assert "refused a.jpg: its picture was corrected since" in told
    assert told.rstrip().rpartition("\n")[2].startswith("Refused, not done: a.jpg: its picture was corrected since")


# what was seen, and what is there now ---------------------------------------------------------------------------------


def marked(folder: Path, destination: Root, key: str = MINE, name: str = "marked.csv") -> str:
    """The csv that the page of the run exports which made the picture of `key`."""
    row = by_key(destination)[key]
    (folder / name).write_text(f"photo,status,error_code,note,run_id\r\n{key},review,,x,{row['run_id']}\r\n")
    return str(folder / name)


def _corrected_since(places: tuple[Root, Root], folder: Path, other_model: str) -> None:
    correct(places[1], export(folder, places[1], {MINE: erased}))


def _withdrawn_since(places: tuple[Root, Root], folder: Path, other_model: str) -> None:
    correct(places[1], withdraw=(MINE,))


def _of_another_model_now(places: tuple[Root, Root], folder: Path, other_model: str) -> None:
    whiten(places, model=other_model, redo="all")


def _of_other_options_now(places: tuple[Root, Root], folder: Path, other_model: str) -> None:
    whiten(places, quality=90)


def _of_a_changed_photo_now(places: tuple[Root, Root], folder: Path, other_model: str) -> None:
    places[0].write(MINE, drawn(9))
    whiten(places, gates=False)


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (_corrected_since, "its picture was corrected since"),
        (_withdrawn_since, "its correction was withdrawn since"),
        (_of_another_model_now, "its picture was made again by another model since"),
        (_of_other_options_now, "its picture was made again with other options since"),
        (_of_a_changed_photo_now, "the photo has changed since"),
    ],
)
def test_a_list_of_a_runs_page_approves_no_picture_that_has_become_another_one(
    places: tuple[Root, Root],
    tmp_path: Path,
    other_model: str,
    since: Callable[[tuple[Root, Root], Path, str], None],
    why: str,
) -> None:
    _, destination = places
    if since is _withdrawn_since:
        _corrected_since(places, tmp_path, other_model)
    given = marked(tmp_path, destination)
    since(places, tmp_path, other_model)
    done = len(rows(destination))
    with pytest.raises(GlassegError, match=rf"nothing can be done as asked: a\.jpg: {why}"):
        correct(destination, approve=given)
    assert len(rows(destination)) == done


def test_a_list_of_a_runs_page_approves_the_same_picture_also_if_it_was_made_again(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    given = marked(tmp_path, destination)
    destination.delete(MINE)
    whiten(places)
    assert said(destination)[1] == "missing" and correct(destination, approve=given) == 0
    assert said(destination) == ("ok", "approved", "approved")


def test_a_list_of_names_approves_no_picture_that_is_newer_than_the_list(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    given = tmp_path / "right.csv"
    given.write_text("photo\na.jpg\n")
    os.utime(given, (0, by_key(destination)[MINE]["finished_at"].timestamp() - 60))
    with pytest.raises(GlassegError, match=r"a\.jpg: its picture was made after that list was saved: look at it"):
        correct(destination, approve=str(given))
    given.touch()
    assert correct(destination, approve=str(given)) == 0 and said(destination)[2] == "approved"


def test_what_was_made_for_a_destination_that_has_moved_is_taken_and_that_is_told(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    moved = open_root(str((tmp_path / "out").rename(tmp_path / "moved")))
    assert correct(moved, path) == 0 and white_left(moved)
    assert f"exported for {destination.uri}, and taken: its photos and runs" in capsys.readouterr().err
    correct(moved, export(tmp_path, moved, {OTHER: erased}))
    assert "exported for" not in capsys.readouterr().err


def test_what_a_copy_has_made_since_is_not_known_to_the_first_destination(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    source, destination = places
    copy = open_root(str(shutil.copytree(tmp_path / "out", tmp_path / "copy")))
    whiten((source, copy), redo="all")
    with pytest.raises(GlassegError, match=r"a\.jpg: run \S+ made no picture of it here"):
        correct(destination, export(tmp_path, copy, {MINE: erased}))


def test_the_same_file_handed_in_twice_does_nothing_the_second_time(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased, OTHER: None})
    correct(destination, path)
    done, files = len(rows(destination)), len(list(destination.list()))
    assert correct(destination, path) == 0
    assert (len(rows(destination)), len(list(destination.list()))) == (done, files)
    told = capsys.readouterr().err
    assert "left out  a.jpg and 1 more: just that was said before" in told and "Nothing to do" in told
    whiten(places, quality=90)
    correct(destination, withdraw=(MINE,))
    assert correct(destination, path) == 0 and white_left(destination), "withdrawn, and said again"


def test_approving_a_corrected_picture_keeps_its_correction(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    correct(destination, export(tmp_path, destination, {MINE: None}))
    assert said(destination) == ("ok", "approved", "corrected") and white_left(destination)
    whiten(places, redo="all")
    assert white_left(destination)


def test_a_withdrawn_correction_is_forgotten_and_the_photo_done_anew(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    before = destination.read(MINE)[0]
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    assert correct(destination, withdraw=(MINE,)) == 0
    assert said(destination) == ("ok", "withdrawn", None) and destination.read(MINE)[0] == before
    whiten(places, redo="all")
    assert destination.read(MINE)[0] == before and overview(destination)["reviewed"] == {}
    with pytest.raises(GlassegError, match=r"a\.jpg: nobody has corrected or approved"):
        correct(destination, withdraw=(MINE,))


def test_a_withdrawn_picture_does_not_stay_because_the_networks_own_needs_a_look(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    whiten(places, redo="all", review_below=1.0)
    before = destination.read(MINE)[0]
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    assert correct(destination, withdraw=(MINE,)) == 0
    row = by_key(destination)[MINE]
    assert said(destination) == ("review", "withdrawn", None) and row["published"]
    assert destination.read(MINE)[0] == before


def test_words_on_all_photos_of_a_list_are_withdrawn(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased, OTHER: None}))
    (tmp_path / "list.csv").write_text("photo\na.jpg\nb.jpg\nc.jpg\n")
    assert correct(destination, withdraw=(str(tmp_path / "list.csv"),)) == 0
    assert {said(destination, key)[1:] for key in (MINE, OTHER)} == {("withdrawn", None)}
    assert "list.csv, row 4: 'c.jpg' names no photo" in capsys.readouterr().err


@pytest.mark.parametrize("told", [True, False], ids=["gone", "not-noticed-yet"])
def test_a_word_on_a_photo_that_left_can_be_withdrawn(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str], told: bool
) -> None:
    source, destination = places
    before, mine = destination.read(MINE)[0], source.read(MINE)[0]
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    source.delete(MINE)
    if told:
        whiten(places)
    assert correct(destination, withdraw=(MINE,)) == 0
    assert said(destination) == ("gone", "gone", None)
    assert "1 gone from the source" in capsys.readouterr().err and white_left(destination), "its picture stays"
    source.write(MINE, mine)
    whiten(places)
    assert said(destination)[2] is None and destination.read(MINE)[0] == before


def test_of_a_photo_that_left_a_word_is_withdrawn_while_others_are_done(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    source, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    source.delete(MINE)
    assert correct(destination, export(tmp_path, destination, {OTHER: erased}), withdraw=(MINE,)) == 0
    assert said(destination) == ("gone", "gone", None) and said(destination, OTHER) == ("ok", "corrected", "corrected")


def test_of_two_exports_of_a_photo_the_later_counts_and_both_are_kept(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    folder = tmp_path / "handed"
    folder.mkdir()
    later, earlier = photo_of(destination, MINE, erased), photo_of(destination, MINE, kept)
    (folder / "1.zip").write_bytes(zipped(later, exported_at="2026-02-02T06:00:00Z"))
    (folder / "2.zip").write_bytes(zipped(earlier, exported_at="2026-02-01T06:00:00Z"))
    assert correct(destination, str(folder)) == 0
    assert white_left(destination)
    run_id = by_key(destination)[MINE]["run_id"]
    maps = {entry.key.rpartition("/")[2] for entry in destination.list(f"{reviewed.CORRECTIONS}{MINE}/")}
    assert maps == {f"{run_id}.png", f"{run_id}.1.png", f"{run_id}.label.png"}
    correct(destination, export(tmp_path, destination, {MINE: kept}))
    assert not white_left(destination) and len(list(destination.list(f"{reviewed.CORRECTIONS}{MINE}/"))) == 5


# refused --------------------------------------------------------------------------------------------------------------


def test_a_photo_that_changed_since_is_refused_and_the_others_done(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = places
    path = export(tmp_path, destination, {MINE: erased, OTHER: erased})
    source.write(MINE, drawn(9))
    before = destination.read(MINE)[0]
    assert correct(destination, path) == 0
    assert "refused a.jpg: the photo has changed since" in capsys.readouterr().err
    assert destination.read(MINE)[0] == before and len(rows(destination, MINE)) == 1
    assert said(destination, OTHER) == ("ok", "corrected", "corrected")


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"source_etag": "1-2"}, "the photo has changed since"),
        ({"run_id": "20200101T000000.000Z"}, "made for another destination"),
        ({"size": [10, 20]}, "made for a photo of 20×10 pixels, and this one has 320×240"),
    ],
)
def test_what_was_made_for_another_picture_is_refused(
    places: tuple[Root, Root], tmp_path: Path, facts: dict[str, Any], why: str
) -> None:
    _, destination = places
    (tmp_path / "c.zip").write_bytes(zipped(photo_of(destination, MINE, erased, **facts)))
    with pytest.raises(GlassegError, match=rf"nothing can be done as asked: a\.jpg: .*{why}"):
        correct(destination, str(tmp_path / "c.zip"))
    assert len(rows(destination, MINE)) == 1 and not destination.exists(lock.LOCK)
    assert not list(destination.list(reviewed.CORRECTIONS))


def test_a_photo_is_not_both_corrected_and_approved(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    (tmp_path / "right.csv").write_text("photo\na.jpg\n")
    path = export(tmp_path, destination, {MINE: erased})
    with pytest.raises(GlassegError, match=r"a\.jpg is both corrected and in --approve") as error:
        correct(destination, path, approve=str(tmp_path / "right.csv"))
    assert error.value.exit_code == 2 and not destination.exists(lock.LOCK)


def test_a_corrected_picture_of_another_model_says_how_it_is_made_again(
    places: tuple[Root, Root], tmp_path: Path, other_model: str
) -> None:
    _, destination = places
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    whiten(places, model=other_model)
    with pytest.raises(GlassegError, match=r"another model: run glasseg whiten with --redo all first"):
        correct(destination, export(tmp_path, destination, {MINE: None}))


def test_a_photo_that_is_gone_is_refused(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    source.delete(MINE)
    with pytest.raises(GlassegError, match=r"a\.jpg: it is not in the source any more"):
        correct(destination, path)


def test_many_refused_photos_count_as_failed_ones_do(tmp_path: Path) -> None:
    source, destination = open_root(str(tmp_path / "in")), open_root(str(tmp_path / "out"))
    for number in range(6):
        source.write(f"{number}.jpg", drawn(number))
    whiten((source, destination))
    path = export(tmp_path, destination, {f"{number}.jpg": erased for number in range(6)})
    for number in range(1, 6):
        source.delete(f"{number}.jpg")
    assert correct(destination, path) == 3
    assert said(destination, "0.jpg")[2] == "corrected"


def test_a_destination_without_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.zip").write_bytes(zipped())
    with pytest.raises(GlassegError, match="no run of glasseg whiten"):
        correct(open_root(str(tmp_path / "out")), str(tmp_path / "c.zip"))


def test_nothing_to_do_is_wrong_usage(places: tuple[Root, Root]) -> None:
    with pytest.raises(GlassegError, match="--approve or --withdraw") as error:
        correct(places[1])
    assert error.value.exit_code == 2


def test_another_run_in_the_destination_is_respected(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased})
    with lock.taken(destination, "20990101T000000.000Z"), pytest.raises(GlassegError) as error:
        correct(destination, path)
    assert error.value.exit_code == 4


# interrupted ----------------------------------------------------------------------------------------------------------


def test_an_interrupted_run_is_finished_by_the_same_command(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    path = export(tmp_path, destination, {MINE: erased, OTHER: erased})

    def die(rows: list[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        correct(destination, path, inprocess.watched(die))
    assert not destination.exists(lock.LOCK)
    assert correct(destination, path) == 0
    assert white_left(destination) and white_left(destination, OTHER)
    done = len(rows(destination))
    whiten(places)
    assert len(rows(destination)) == done and not list(destination.list("_glasseg/claims/"))


def test_the_options_are_those_of_the_last_run(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    whiten(places, mask=True, frame=(1, 1), fill=0.8, check=("ebay",))
    correct(destination, export(tmp_path, destination, {MINE: erased}))
    row = by_key(destination)[MINE]
    assert picture(destination).shape[0] == picture(destination).shape[1] and row["check_ebay"]
    assert destination.exists(manifest.mask_key(MINE))
    assert row["options_id"] == by_key(destination)[OTHER]["options_id"]
    before = len(rows(destination))
    whiten(places, mask=True, frame=(1, 1), fill=0.8, check=("ebay",))
    assert len(rows(destination)) == before, "it is up to date the next night"
    assert os.environ.get("RAY_ADDRESS") is None
