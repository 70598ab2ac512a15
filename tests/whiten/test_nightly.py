"""What an operator relies on every night: nothing done twice, nothing good replaced, nothing deleted by mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import inprocess
import numpy as np
import openpyxl
import pyarrow as pa
import pytest
from drawnphotos import BLANK, drawn, drawn_as, rows

from glasseg.catalog import claims, lock, manifest, pictures, runs
from glasseg.catalog.tally import OLDER_STAYS
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.images.encoder import encode
from glasseg.model import folder as model_folder
from glasseg.storage.roots import Folder, Root, open_root
from jobs.destination.release import release
from jobs.destination.report import report
from jobs.destination.status import overview, status
from jobs.whiten import ending
from jobs.whiten import places as places_of_a_run
from jobs.whiten import run as job
from jobs.whiten.executor import Executor

pytestmark = pytest.mark.usefixtures("tensorflow")


def shrunk(data: bytes) -> bytes:
    """The same photo, small in the middle of a large one."""
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    h, w = image.shape[:2]
    around = cv2.copyMakeBorder(image, h, h, w, w, cv2.BORDER_REPLICATE)
    return encode(around[..., ::-1].copy(), "jpeg", 90)


def whiten(source: str, destination: str, executor: Executor = inprocess.in_process, **options: Any) -> int:
    config = WhitenConfig(**{"report": False, "max_flagged": 1.0, **options})
    return job.whiten(source, destination, config, executor=executor)


def finish(source: Root, destination: Root, seconds: float = 60.0) -> None:
    """Leave a destination as a run does that found every photo of the source good, without the work."""
    last = runs.latest(destination, 1)
    seq = last[0]["run_seq"] + 1 if last else 1
    facts = {"model_id": model_folder.load("packaged").spec.model_id, "options_id": WhitenConfig().options_id}
    facts |= {"status": "ok", "reason": "new", "run_id": f"20260101T00000{seq}.000Z", "run_seq": seq}
    facts |= {"published": True, "mask_coverage": 0.15, "finished_at": datetime.now(UTC)}
    done = []
    for entry in source.list():
        destination.write(entry.key, b"a picture")
        place = {"source_uri": source.uri_of(entry.key), "output_uri": destination.uri_of(entry.key)}
        done.append({"key": entry.key, "output_key": entry.key, "source_etag": entry.etag, **place, **facts})
    manifest.write_part(destination, facts["run_id"], 0, done)
    record = {"run_seq": seq, "processed": len(done), "seconds": seconds, "source": source.uri, "ended": "done"}
    runs.write(destination, facts["run_id"], {**record, "reasons": {"new": len(done)}})


def done_in(root_uri: str) -> tuple[Root, Root]:
    """A source with three photos, and a destination where they are done."""
    source, destination = open_root(f"{root_uri}/in"), open_root(f"{root_uri}/out")
    for seed in range(3):
        source.write(f"{seed}.jpg", drawn(seed))
    finish(source, destination)
    return source, destination


@pytest.fixture
def places(tmp_path: Path) -> tuple[Root, Root]:
    return done_in(str(tmp_path))


@pytest.fixture
def any_places(root_uri: str) -> tuple[Root, Root]:
    """As `places`, in folders and on S3."""
    return done_in(root_uri)


def test_a_picture_that_got_worse_is_held_back_and_can_be_released(
    any_places: tuple[Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = any_places
    good = destination.read("1.jpg")[0]
    source.write("1.jpg", BLANK)
    source.write("new.jpg", BLANK)
    whiten(source.uri, destination.uri, mask=False)
    held, new = rows(destination, "1.jpg")[-1], rows(destination, "new.jpg")[-1]
    assert (held["status"], held["error_code"], held["published"]) == ("review", "no_glasses", False)
    assert held["replaced_run_id"] is None and held["previous_coverage"] > 0.01
    assert destination.read("1.jpg")[0] == good, "the older picture stays"
    assert (new["status"], new["published"]) == ("review", True), "where none was, it is published for review"
    assert whiten(source.uri, destination.uri) == 0
    assert len(rows(destination, "1.jpg")) == 2, "what is held back is not done again every night"
    said = capsys.readouterr().err
    assert "of those up to date" in said and "1 held back" in said and "1 review" in said, said

    run = held["run_id"]
    assert overview(destination)["held"] == {run: ["1.jpg"]}
    status(destination.uri, None, endpoint_url=None, as_json=False)
    assert f"{run}       1  1.jpg\nto publish them: glasseg release {destination.uri} RUN" in capsys.readouterr().out
    picture = destination.read(manifest.held_folder(run) + "1.jpg")[0]
    with pytest.raises(GlassegError, match=r"'0\.jpg'"):
        release(destination.uri, run, ["0.jpg"], endpoint_url=None)
    release(destination.uri, run, [], endpoint_url=None)
    assert destination.read("1.jpg")[0] == picture != good
    last = rows(destination, "1.jpg")[-1]
    assert (last["status"], last["reason"], last["published"]) == ("ok", "released", True)
    assert last["replaced_run_id"] == rows(destination, "1.jpg")[0]["run_id"]
    assert last["output_uri"] == destination.uri_of("1.jpg") and last["run_seq"] > held["run_seq"]
    assert not overview(destination)["held"]
    assert not list(destination.list(manifest.HELD)) and not destination.exists(lock.LOCK)
    assert whiten(source.uri, destination.uri) == 0 and len(rows(destination, "1.jpg")) == 3


def test_a_mask_that_is_suddenly_much_smaller_is_held_back_with_its_mask(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    photo = drawn(1, (480, 640))
    (source / "a.jpg").write_bytes(photo)
    whiten(str(source), str(destination), mask=True)
    (source / "a.jpg").write_bytes(shrunk(photo))
    whiten(str(source), str(destination), mask=True)
    held = rows(Folder(destination))[-1]
    assert (held["error_code"], held["published"]) == ("coverage_jump", False)
    folder = destination / manifest.held_folder(held["run_id"])
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "a.jpg",
        "_glasseg/masks/a.jpg.png",
    }
    whiten(str(source), str(destination), mask=True, redo="held", gates=False)
    assert rows(Folder(destination))[-1]["published"] and rows(Folder(destination))[-1]["reason"] == "redo"
    with pytest.raises(GlassegError, match="holds no"):
        release(str(destination), held["run_id"], ["b.jpg"], endpoint_url=None)
    before = (destination / "a.jpg").read_bytes()
    release(str(destination), held["run_id"], ["a.jpg"], endpoint_url=None)  # a later run did it again
    assert (destination / "a.jpg").read_bytes() == before and len(rows(Folder(destination))) == 3


def test_a_picture_that_a_stopped_run_left_without_a_row_is_made_again(places: tuple[Root, Root]) -> None:
    """Also when nothing else has changed: the model of that run was taken back, say."""
    source, destination = places
    claims.claim(destination, "20260102T000000.000Z", pa.chunked_array([["0.jpg", "1.jpg", "away.jpg"]]))
    destination.write("1.jpg", b"made by another model")
    destination.write("away.jpg", b"made by another model, of a photo that is away tonight")
    before = destination.read("0.jpg")[0]
    whiten(source.uri, destination.uri)
    made = {row["key"]: row["reason"] for row in rows(destination) if row["run_seq"] == 2}
    assert made.pop("1.jpg") == "unfinished" and destination.read("1.jpg")[0].startswith(b"\xff\xd8")
    assert made in ({}, {"0.jpg": "unfinished"}) and (made or destination.read("0.jpg")[0] == before)
    source.write("away.jpg", drawn(9))
    assert whiten(source.uri, destination.uri) == 0, "what is in its place is not somebody else's"
    assert [row["status"] for row in rows(destination, "away.jpg")] == ["ok"]
    assert not list(destination.list(claims.CLAIMS))


@pytest.mark.parametrize("limit", [None, 1])
def test_a_picture_whose_write_was_never_confirmed_is_not_somebody_elses(
    limit: int | None, any_places: tuple[Root, Root], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the server was lost, or the worker died after it; that photo was new, and its row says failed."""
    source, destination = any_places
    source.write("new.jpg", drawn(5))
    put = pictures.put

    def unconfirmed(*given: Any, **options: Any) -> None:
        put(*given, **options)
        raise PhotoError("write_error", "the connection broke off")

    with monkeypatch.context() as patched:
        patched.setattr(pictures, "put", unconfirmed)
        whiten(source.uri, destination.uri, limit=limit)
    assert destination.exists("new.jpg") and rows(destination, "new.jpg")[-1]["status"] == "failed"
    whiten(source.uri, destination.uri)
    assert [row["status"] for row in rows(destination, "new.jpg")] == ["failed", "ok"]
    assert not list(destination.list(claims.CLAIMS))


def test_what_fails_every_night_does_not_keep_a_run_from_what_is_new(tmp_path: Path) -> None:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "out")
    facts = {"status": "failed", "reason": "new", "error_code": "denied", "error": "no permission", "published": False}
    facts |= {"model_id": model_folder.load("packaged").spec.model_id, "options_id": WhitenConfig().options_id}
    facts |= {"run_id": "20260101T000000.000Z", "run_seq": 1, "finished_at": datetime.now(UTC)}
    for n in range(60):
        source.write(f"a/{n:02}.jpg", b"no picture")
    failed = [
        {"key": entry.key, "source_uri": source.uri_of(entry.key), "source_etag": entry.etag, **facts}
        for entry in source.list()
    ]
    manifest.write_part(destination, "20260101T000000.000Z", 0, failed)
    for seed in range(3):
        source.write(f"z/{seed}.jpg", drawn(seed))
    assert whiten(source.uri, destination.uri, limit=3) == 0
    assert {row["key"] for row in rows(destination) if row["run_seq"] == 2} == {f"z/{seed}.jpg" for seed in range(3)}
    assert whiten(source.uri, destination.uri) == 3, "all of them failed"
    assert runs.latest(destination, 1)[0]["ended"] == "done", "not stopped by photos that failed before"
    assert [row["run_seq"] for row in rows(destination, "a/59.jpg")] == [1, 3]


def test_a_new_export_of_the_catalog_passes_the_same_gate(tmp_path: Path) -> None:
    """What stands in the place of a picture counts, not under which name its photo was known."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.png").write_bytes(drawn(1))
    whiten(str(source), str(destination), format="jpeg")
    good = (destination / "a.jpg").read_bytes()
    (source / "a.png").unlink()
    (source / "a.jpg").write_bytes(BLANK)
    whiten(str(source), str(destination), format="jpeg")
    held = rows(Folder(destination), "a.jpg")[-1]
    assert (held["reason"], held["error_code"], held["published"]) == ("new", "no_glasses", False)
    assert (destination / "a.jpg").read_bytes() == good


def test_a_release_says_that_the_source_is_still_that_of_the_last_run(places: tuple[Root, Root]) -> None:
    source, destination = places
    source.write("1.jpg", BLANK)
    whiten(source.uri, destination.uri)
    [run] = overview(destination)["held"]
    record = {"run_seq": 7, "source": "s3://moved/in", "ended": "done", "processed": 0}
    runs.write(destination, "29990101T000000.000Z", record)
    release(destination.uri, run, [], endpoint_url=None)
    assert {one["source"] for one in runs.latest(destination, 2)} == {"s3://moved/in"}


def test_one_night_with_a_clock_a_year_ahead_changes_nothing_for_the_later_ones(
    places: tuple[Root, Root], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = places
    moved = open_root(f"{source.uri}-moved")
    for key in ("0.jpg", "2.jpg"):
        moved.write(key, source.read(key)[0])
    with monkeypatch.context() as night:
        night.setattr(runs, "new_id", lambda: "20270601T000000.000Z")
        source.write("1.jpg", BLANK)
        whiten(source.uri, destination.uri)
    whiten(moved.uri, destination.uri, new_source=True)
    moved.write("2.jpg", BLANK)
    whiten(moved.uri, destination.uri)  # would be refused if the last run were the one with the last name
    assert [one["source"] for one in runs.latest(destination, 3)] == [moved.uri, moved.uri, source.uri]
    last = runs.latest(destination, 1)[0]["run_id"]
    assert f"/report/{last}/" in report(destination.uri, None, None)
    assert list(overview(destination)["held"]) == [last, "20270601T000000.000Z"]
    release(destination.uri, last, [], endpoint_url=None)
    assert runs.latest(destination, 1)[0]["source"] == moved.uri


def test_a_run_that_goes_wrong_is_stopped_and_goes_on_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(140):
        (source / f"{n:03}.jpg").write_bytes(BLANK)
    assert whiten(str(source), str(destination)) == ending.EXIT_FLAGGED
    assert "photos failed or need review" in capsys.readouterr().err
    done = len(rows(Folder(destination)))
    [record] = runs.latest(Folder(destination), 1)
    assert 50 <= done < 140 and record["ended"] == "stopped" and record["processed"] == done
    assert whiten(str(source), str(destination), stop_above=1.0) == 0
    assert len({row["key"] for row in rows(Folder(destination))}) == len(rows(Folder(destination))) == 140


def test_what_left_the_source_is_told_once_and_deleted_only_when_asked(
    any_places: tuple[Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = any_places
    destination.write("not-ours.jpg", b"precious")
    source.delete("1.jpg")
    for _ in range(2):
        whiten(source.uri, destination.uri)
    gone = [row for row in rows(destination) if row["status"] == "gone"]
    assert [(row["key"], row["reason"], row["published"]) for row in gone] == [("1.jpg", "gone", False)]
    assert destination.exists("1.jpg")

    with pytest.raises(GlassegError, match=r"1 of 3 known photos .*--yes"):
        whiten(source.uri, destination.uri, gone="delete")
    capsys.readouterr()
    assert whiten(source.uri, destination.uri, gone="delete", dry_run=True) == 0
    looked = capsys.readouterr()
    assert "gone (delete)       1  1.jpg" in looked.out
    assert "would be refused: 1 of 3 known photos" in looked.err and "--yes" in looked.err
    assert destination.exists("1.jpg")
    whiten(source.uri, destination.uri, gone="delete", yes=True, limit=1)
    assert "nothing is deleted: only a run over the whole source" in capsys.readouterr().err
    assert destination.exists("1.jpg"), "a part of the source says nothing of the rest"
    whiten(f"{source.uri}/2.jpg", destination.uri, gone="delete", yes=True)
    assert destination.exists("1.jpg")
    capsys.readouterr()
    whiten(source.uri, destination.uri, gone="delete", yes=True)
    assert not destination.exists("1.jpg") and destination.exists("not-ours.jpg")
    said = capsys.readouterr().err
    assert "1 gone from the source, their pictures deleted" in said and "Nothing to do" not in said
    assert rows(destination, "1.jpg")[-1]["reason"] == "deleted"
    source.write("1.jpg", drawn(1))
    whiten(source.uri, destination.uri)
    assert rows(destination, "1.jpg")[-1]["reason"] == "new" and destination.exists("1.jpg")


def test_a_picture_that_another_photo_has_now_is_not_deleted(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    import cv2

    image = cv2.imdecode(np.frombuffer(drawn(1), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(source / "a.tif"), image)
    whiten(str(source), str(destination))
    (source / "a.tif").unlink()
    cv2.imwrite(str(source / "a.png"), image)
    whiten(str(source), str(destination), gone="delete", yes=True)
    assert (destination / "a.png").exists()
    assert {row["key"]: row["status"] for row in rows(Folder(destination))} == {"a.tif": "gone", "a.png": "ok"}


@pytest.mark.parametrize("other", [b"broken", BLANK], ids=["failed", "held back"])
def test_a_picture_in_the_place_of_one_that_could_not_be_made_stays_ours(
    other: bytes, places: tuple[Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    """The originals are exported anew, and of one of them nothing good can be made yet."""
    source, destination = places
    source.delete("1.jpg")
    source.write("1.JPEG", drawn(1))
    whiten(source.uri, destination.uri, format="png")
    source.delete("1.JPEG")
    source.write("1.tif", other)
    good = destination.read("1.png")[0]
    for _ in range(2):
        whiten(source.uri, destination.uri, format="png", gone="delete", yes=True)
        assert destination.read("1.png")[0] == good
    source.write("1.tif", drawn(1))  # for which the picture that stands there was somebody else's, and in the way
    whiten(source.uri, destination.uri, format="png", gone="delete", yes=True)
    assert rows(destination, "1.tif")[-1]["status"] == "ok"
    assert "of a photo that is gone stays" in capsys.readouterr().err
    assert [row["reason"] for row in rows(destination, "1.JPEG")] == ["new", "gone"], "told once"
    whiten(source.uri, destination.uri, format="png", gone="delete", yes=True)
    assert rows(destination, "1.JPEG")[-1]["reason"] == "deleted" and destination.exists("1.png")


def test_an_empty_picture_is_made_again_and_an_empty_file_of_others_is_in_the_way(
    any_places: tuple[Root, Root],
) -> None:
    source, destination = any_places
    destination.write("1.jpg", b"")
    source.write("2.jpg", BLANK)  # changed: what is empty does not hold back what is worse than it was
    destination.write("2.jpg", b"")
    whiten(source.uri, destination.uri)
    made = {row["key"]: (row["reason"], row["published"]) for row in rows(destination) if row["run_seq"] == 2}
    assert made == {"1.jpg": ("missing", True), "2.jpg": ("changed", True)}
    assert destination.read("1.jpg")[0].startswith(b"\xff\xd8") and destination.read("2.jpg")[0]
    source.write("new.jpg", drawn(1))
    destination.write("new.jpg", b"")
    with pytest.raises(GlassegError, match=r"did not write \(new\.jpg\)"):
        whiten(source.uri, destination.uri)


def test_a_photo_that_comes_back_gets_its_picture_back_from_the_one_that_took_its_place(tmp_path: Path) -> None:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "out")

    def night(name: str, seed: int, **options: Any) -> bytes:
        """The picture after a run in which the source has one photo, as old as ever."""
        source.write(name, drawn_as(name, seed))
        os.utime(source.path / name, (1e9, 1e9))
        whiten(source.uri, destination.uri, format="png", **options)
        source.delete(name)
        return destination.read("0.png")[0]

    first = night("0.jpg", 0)
    assert night("0.webp", 3, limit=1) != first  # with a limit it is not recorded that the first is gone
    assert night("0.jpg", 0) == first
    assert [row["reason"] for row in rows(destination) if row["key"] == "0.jpg"] == ["new", "missing"]
    assert night("0.jpg", 0) == first and len(rows(destination)) == 4, "nothing is done again"


def test_a_picture_with_a_name_too_long_for_a_mask_is_deleted_with_its_photo(tmp_path: Path) -> None:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "out")
    for name in ("a.jpg", "b" * 248 + ".jpg"):
        source.write(name, drawn(1))
    whiten(source.uri, destination.uri)
    assert destination.exists("b" * 248 + ".jpg")
    source.delete("b" * 248 + ".jpg")
    whiten(source.uri, destination.uri, gone="delete", yes=True)
    assert not destination.exists("b" * 248 + ".jpg")


def test_a_changed_photo_whose_picture_fails_keeps_the_older_mask_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "out")
    source.write("a.jpg", drawn(1))
    whiten(source.uri, destination.uri, mask=True)
    before = {key: destination.read(key)[0] for key in ("a.jpg", manifest.mask_key("a.jpg"))}
    source.write("a.jpg", drawn(2))
    write = Folder.write

    def full(self: Folder, key: str, data: bytes) -> None:
        if key == "a.jpg":
            raise PhotoError("write_error", "no")
        write(self, key, data)

    monkeypatch.setattr(Folder, "write", full)
    whiten(source.uri, destination.uri, mask=True, gates=False)
    last = rows(destination)[-1]
    assert (last["status"], last["warnings"]) == ("failed", [OLDER_STAYS])
    assert {key: destination.read(key)[0] for key in before} == before


def test_a_source_that_is_suddenly_empty_is_not_taken_for_a_catalog_that_is_gone(
    places: tuple[Root, Root], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = places
    peek = places_of_a_run.entries

    def emptied(*arguments: Any) -> Any:
        found = list(peek(*arguments))
        for entry in found:
            source.delete(entry.key)
        return found

    monkeypatch.setattr(places_of_a_run, "entries", emptied)
    with pytest.raises(GlassegError, match="no photos in"):
        whiten(source.uri, destination.uri, gone="delete", yes=True)
    assert all(destination.exists(f"{n}.jpg") for n in range(3))


def test_a_claim_ends_with_its_run_also_when_that_did_a_part_only(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(2):
        (source / f"{n}.jpg").write_bytes(b"broken")
    whiten(str(source), str(destination), limit=1)
    (destination / "0.jpg").write_bytes(b"the shop's own")
    (source / "0.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="did not write"):
        whiten(str(source), str(destination))


@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
def test_a_held_picture_that_is_lost_does_not_keep_the_others(left: bytes | None, places: tuple[Root, Root]) -> None:
    source, destination = places
    for n in range(3):
        source.write(f"{n}.jpg", BLANK)
    whiten(source.uri, destination.uri)
    run = rows(destination)[-1]["run_id"]
    destination.delete(f"{manifest.held_folder(run)}1.jpg")
    if left is not None:
        destination.write(f"{manifest.held_folder(run)}1.jpg", left)
    old = destination.read("1.jpg")[0]
    with pytest.raises(GlassegError, match="1 pictures can't be released"):
        release(destination.uri, run, [], endpoint_url=None)
    last = {row["key"]: row["reason"] for row in rows(destination)}
    assert last == {"0.jpg": "released", "1.jpg": "changed", "2.jpg": "released"}
    assert destination.read("1.jpg")[0] == old


def test_a_summary_goes_to_s3_and_a_refused_run_leaves_the_last_one(s3: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    for uri in (f"s3://{s3.bucket}/summaries/last.json", str(tmp_path / "last.json")):
        root, name = open_root(uri.rpartition("/")[0]), uri.rpartition("/")[2]
        whiten(str(tmp_path / "in"), str(tmp_path / "out"), summary_json=uri, redo="all")
        summary = json.loads(root.read(name)[0])
        assert summary["processed"] == 1 and summary["held"] == summary["gone"] == 0 and summary["ended"] == "done"
        with pytest.raises(GlassegError, match="does not exist"):
            whiten(str(tmp_path / "nowhere"), str(tmp_path / "out"), summary_json=uri)
        assert json.loads(root.read(name)[0]) == summary
    with pytest.raises(GlassegError, match="--summary-json"):
        whiten(str(tmp_path / "in"), str(tmp_path / "out"), summary_json=str(tmp_path / "no/folder.json"))


def test_another_source_is_refused_also_after_a_run_that_was_killed(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(drawn(1))
    finish(open_root(str(tmp_path / "one")), open_root(str(tmp_path / "out")))
    for record in (tmp_path / "out/_glasseg/runs").iterdir():
        record.unlink()  # what a killed run does not come to write
    with pytest.raises(GlassegError, match="made from another source"):
        whiten(str(tmp_path / "two"), str(tmp_path / "out"))
    assert whiten(str(tmp_path / "one"), str(tmp_path / "out")) == 0


def test_another_source_is_refused_unless_it_is_said(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.jpg").write_bytes(drawn(1))
    finish(open_root(str(tmp_path / "one")), open_root(str(tmp_path / "out")))
    with pytest.raises(GlassegError, match=r"made from .*/one, not from .*/two: .*--new-source"):
        whiten(str(tmp_path / "two"), str(tmp_path / "out"))
    whiten(str(tmp_path / "two"), str(tmp_path / "out"), new_source=True)
    whiten(str(tmp_path / "two"), str(tmp_path / "out"), gone="delete", yes=True)
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == {"one.jpg", "two.jpg"}, "one is not gone"


def files(root: Root) -> dict[str, str]:
    return {entry.key: entry.etag for entry in root.list()}


def test_a_dry_run_says_what_and_why_and_writes_nothing(
    places: tuple[Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = places
    for n in range(20):
        source.write(f"more/{n}.jpg", BLANK)
    finish(source, destination)
    source.write("1.jpg", drawn(11))
    source.write("9.jpg", drawn(9))
    source.delete("2.jpg")
    before = files(destination)
    capsys.readouterr()
    assert whiten(source.uri, destination.uri, dry_run=True, price_per_hour=36.0) == 0
    shown = capsys.readouterr().out
    assert files(destination) == before
    table = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert table["new"] == ["1", "9.jpg"] and table["changed"] == ["1", "1.jpg"]
    assert table["gone"] == ["(keep)", "1", "2.jpg"] and table["unchanged"] == ["21"]
    assert "2 photos take about 1 min at the rate of the last run" in shown and "at 36 an hour" in shown


def test_a_dry_run_needs_no_destination(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    assert whiten(str(tmp_path / "in"), str(tmp_path / "out"), dry_run=True) == 0
    assert not (tmp_path / "out").exists() and "not known before a run" in capsys.readouterr().out


def sheet(path: Path, *lines: tuple[str, ...]) -> str:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    book.save(path)
    return str(path)


def test_a_list_says_which_photos_and_its_columns_reach_the_manifest(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    source.write("deep/er/5.jpg", drawn(5))
    source.write("deep/er/6.jpg", drawn(6))
    names = ("Photo", "SKU", "Season"), ("5", "A-5", "spring"), ("1.JPG", "A-1", ""), ("7.jpg", "A-7", "spring")
    whiten(source.uri, destination.uri, photos=sheet(tmp_path / "list.xlsx", *names), redo="all")
    last = max(row["run_seq"] for row in rows(destination))
    done = {row["key"]: dict(row["list_columns"]) for row in rows(destination) if row["run_seq"] == last}
    assert done == {"deep/er/5.jpg": {"sku": "A-5", "season": "spring"}, "1.jpg": {"sku": "A-1"}}
    [unmatched] = [e.key for e in destination.list("_glasseg/report/")]
    assert unmatched.endswith("/unmatched.csv")
    assert "7.jpg,names no photo" in destination.read(unmatched)[0].decode("utf-8-sig")
    assert not [row for row in rows(destination) if row["status"] == "gone"]


def test_a_list_that_fits_nothing_is_refused(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    before = files(destination)
    with pytest.raises(GlassegError, match="no row of"):
        whiten(source.uri, destination.uri, photos=sheet(tmp_path / "list.xlsx", ("photo",), ("x.jpg",)))
    with pytest.raises(GlassegError, match="--photos"):
        whiten(source.uri, destination.uri, column="sku")
    assert files(destination) == before


def test_an_inventory_is_taken_for_the_listing(s3: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    source, destination = open_root(f"s3://{s3.bucket}/stocked/raw"), Folder(tmp_path / "out")
    for seed in range(3):
        source.write(f"{seed}.jpg", drawn(seed))
    listed = {"bucket": s3.bucket, "size": 1}
    stock = [{**listed, "key": f"stocked/raw/{e.key}", "e_tag": e.etag} for e in source.list() if e.key != "2.jpg"]
    pq.write_table(pa.Table.from_pylist(stock), tmp_path / "stock.parquet")
    finish(source, destination)
    source.delete("0.jpg")
    whiten(source.uri, destination.uri, listing=str(tmp_path / "stock.parquet"), redo="all")
    assert [row["error_code"] for row in rows(destination, "0.jpg")] == [None, "vanished"]
    assert len(rows(destination, "1.jpg")) == 2 and len(rows(destination, "2.jpg")) == 1
    assert not [row for row in rows(destination) if row["status"] == "gone"], "an inventory is of yesterday"


def test_the_state_of_a_destination_and_of_one_photo(
    places: tuple[Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    source, destination = places
    source.write("0.jpg", b"broken")
    source.delete("2.jpg")
    whiten(source.uri, destination.uri)
    found = overview(destination)
    assert found["photos"] == 2 and found["status"]["ok"] == 1 and found["error_codes"] == {"unreadable": 1}
    assert found["status"]["failed"] == 1 and found["status"]["gone"] == 1 and found["status"]["held"] == 0
    assert [run["reasons"] for run in found["runs"]] == [{"changed": 1}, {"new": 3}]
    assert rows(destination, "0.jpg")[-1]["warnings"] == ["the older picture stays where it is"]
    assert "1 failed whose older picture stays" in capsys.readouterr().err
    status(destination.uri, None, endpoint_url=None, as_json=False)
    shown = capsys.readouterr().out
    assert "2 photos" in shown and "unreadable" in shown and "1 changed" in shown
    status(destination.uri, "0.jpg", endpoint_url=None, as_json=True)
    assert [row["status"] for row in json.loads(capsys.readouterr().out)] == ["ok", "failed"]
    with pytest.raises(GlassegError, match=r"knows no photo 'x\.jpg'"):
        status(destination.uri, "x.jpg", endpoint_url=None, as_json=False)
    with pytest.raises(GlassegError, match="has not worked in"):
        status(f"{destination.uri}-elsewhere", None, endpoint_url=None, as_json=False)


def test_a_second_run_exits_with_4_and_says_who_works_there(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    command = [sys.executable, "-m", "jobs.cli"]
    with lock.taken(Folder(tmp_path / "out"), "20260101T000000.000Z"):
        for words in (["whiten", str(tmp_path / "in")], ["release"]):
            more = [str(tmp_path / "out"), *(["20260101T000000.000Z"] if words == ["release"] else [])]
            second = subprocess.run([*command, *words, *more], capture_output=True, text=True, check=False)
            assert second.returncode == 4, second.stderr
            assert (
                second.stderr.startswith("glasseg: run 20260101T000000.000Z works on")
                and second.stderr.count("\n") == 1
            )
        looked = subprocess.run(
            [*command, "whiten", str(tmp_path / "in"), str(tmp_path / "out"), "--dry-run"], check=False
        )
        assert looked.returncode == 4


def test_a_run_that_loses_its_lock_stops_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(20):
        (source / f"{n:03}.jpg").write_bytes(drawn(n % 4))

    def rob(_: object) -> None:
        """Another run takes the lock; the thread that renews it ends when it finds out."""
        Folder(destination).write(lock.LOCK, b'{"run_id": "thief", "seen": "2026-01-01T00:00:00+00:00"}')
        for thread in threading.enumerate():
            if thread.name == "lock":
                thread.join(20)
                assert not thread.is_alive()

    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    with pytest.raises(GlassegError, match="lost its lock"):
        whiten(str(source), str(destination), executor=inprocess.watched(rob))
    kept = rows(Folder(destination))
    assert 0 < len(kept) < 20 and json.loads((destination / lock.LOCK).read_text())["run_id"] == "thief"
