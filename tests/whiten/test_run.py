"""`glasseg whiten` end to end: real Ray, a real S3 server, real files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from raycluster import below, command_of

from glasseg.catalog import claims, manifest
from glasseg.config import WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.errors import ERROR_CODES, GlassegError
from glasseg.images import decoder
from glasseg.model import folder as model_folder
from glasseg.model import quality
from glasseg.storage.roots import Entry, Folder, Root, open_root
from jobs.whiten import plan, rescue, stream
from jobs.whiten import run as job
from jobs.whiten.worker import Whitener

pytestmark = pytest.mark.usefixtures("ray_session")

SIZE = (240, 320)
AWKWARD = (
    "plain.jpg",
    "two words.jpg",
    "a+b%20c#d?e&f.jpg",
    "folder/with/Ünïcode é.png",
    "nfc-" + unicodedata.normalize("NFC", "é") + ".jpg",
    "nfd-" + unicodedata.normalize("NFD", "é") + ".jpg",
    ".leading.jpg",
    "UPPER.JPEG",
    "picture.webp",
    "scan.tif",
    "old.bmp",
)


def drawn(seed: int, name: str = "x.jpg", size: tuple[int, int] = SIZE) -> bytes:
    """A drawn photo, encoded as the extension of `name` says."""
    import cv2

    image = draw_photo(np.random.default_rng(seed), size).image
    done, data = cv2.imencode(Path(name).suffix.lower(), image[..., ::-1])
    assert done
    return data.tobytes()


def rows_of(destination: Root) -> dict[str, dict[str, Any]]:
    rows = manifest.read(destination).to_pylist()
    assert len({(row["key"], row["run_id"]) for row in rows}) == len(rows), "one row per photo and run"
    return {row["key"]: row for row in rows}


def outputs(destination: Root) -> set[str]:
    return {e.key for e in destination.list() if not e.key.startswith("_glasseg/")}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos with awkward names, bad ones, and things that are no photos."""
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate(AWKWARD):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn(seed, name))
    (folder / "truncated.jpg").write_bytes(drawn(1)[:2000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "words.png").write_text("not a picture")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "back\\slash.jpg").write_bytes(drawn(2))
    (folder / "notes.txt").write_text("no photo")
    (folder / "._plain.jpg").write_bytes(b"resource fork")
    return folder


def huge_png() -> bytes:
    """A 200-megapixel PNG of a few hundred kilobytes."""
    import cv2

    done, data = cv2.imencode(".png", np.zeros((10_000, 20_000), np.uint8))
    assert done
    return data.tobytes()


BAD = {
    "truncated.jpg": "unreadable",
    "empty.jpg": "empty",
    "words.png": "unreadable",
    "gone.jpg": "vanished",
    "huge.png": "too_large",
    "back\\slash.jpg": "unsafe_name",
}


@pytest.fixture(scope="module")
def whitened(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, int]:
    """The photos whitened into a folder once, with masks; the destination and the exit code."""
    destination = tmp_path_factory.mktemp("white") / "deep" / "er"
    code = job.whiten(str(photos), str(destination), WhitenConfig(mask=True))
    return Folder(destination), code


def test_every_photo_gets_one_row(whitened: tuple[Folder, int]) -> None:
    rows = rows_of(whitened[0])
    assert set(rows) == {*AWKWARD, *BAD}
    assert {row["run_seq"] for row in rows.values()} == {1}
    assert all(row["error_code"] in ERROR_CODES for row in rows.values() if row["status"] != "ok")


def test_bad_photos_become_rows_that_say_why(whitened: tuple[Folder, int]) -> None:
    rows = rows_of(whitened[0])
    assert {key: rows[key]["error_code"] for key in BAD} == BAD
    assert all(rows[key]["status"] == "failed" and rows[key]["output_uri"] is None for key in BAD)


def test_too_many_bad_photos_are_exit_code_3(whitened: tuple[Folder, int]) -> None:
    assert whitened[1] == 3


def test_names_are_kept_and_only_foreign_formats_become_png(whitened: tuple[Folder, int]) -> None:
    renamed = {"scan.tif": "scan.png", "old.bmp": "old.png"}
    assert outputs(whitened[0]) == {renamed.get(name, name) for name in AWKWARD}


def test_pixels_outside_the_mask_are_exactly_white_and_inside_the_photo(
    whitened: tuple[Folder, int], photos: Path
) -> None:
    destination, key = whitened[0], "folder/with/Ünïcode é.png"  # png: lossless on both sides
    alpha = decoder.decode_on_white(destination.read(manifest.mask_key(key))[0], max_pixels=10**6)[..., 0]
    before = decoder.decode_on_white((photos / key).read_bytes(), max_pixels=10**6)
    after = decoder.decode_on_white(destination.read(key)[0], max_pixels=10**6)
    assert after.shape == before.shape == (*SIZE, 3)
    assert (after[alpha == 0] == 255).all()
    assert (after[alpha == 255] == before[alpha == 255]).all()


def test_rows_describe_the_mask(whitened: tuple[Folder, int]) -> None:
    destination, key = whitened[0], "plain.jpg"
    row = rows_of(destination)[key]
    alpha = decoder.decode_on_white(destination.read(manifest.mask_key(key))[0], max_pixels=10**6)[..., 0]
    assert row["mask_coverage"] == pytest.approx(alpha.mean() / 255, abs=1e-6)
    assert (row["height"], row["width"]) == SIZE
    ys, xs = np.nonzero(alpha)
    box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert tuple(row[f"bbox_{edge}"] for edge in ("x0", "y0", "x1", "y1")) == box
    assert row["source_bytes"] > 0 and row["read_ms"] > 0 and row["segment_ms"] > 0 and row["write_ms"] > 0


def test_nothing_but_outputs_and_our_folder_is_left(whitened: tuple[Folder, int]) -> None:
    ours = {e.key.split("/")[1] for e in whitened[0].list("_glasseg/")}
    assert ours == {"manifest", "runs", "masks", "report"}


def test_a_second_run_finds_nothing_to_do(whitened: tuple[Folder, int], photos: Path) -> None:
    before = rows_of(whitened[0])
    transient = {key for key, row in before.items() if row["error_code"] == "vanished"}
    job.whiten(str(photos), whitened[0].uri, WhitenConfig(mask=True))
    again = [row for row in manifest.read(whitened[0]).to_pylist() if row["run_seq"] == 2]
    assert {row["key"]: row["reason"] for row in again} == dict.fromkeys(transient, "retry")


def test_folder_to_s3_to_folder_gives_the_same_pictures(
    whitened: tuple[Folder, int], photos: Path, s3: Any, tmp_path: Path
) -> None:
    prefix = f"s3://{s3.bucket}/roundtrip"
    bucket = open_root(f"{prefix}/raw")
    for name in (*AWKWARD, "truncated.jpg"):
        bucket.write(name, (photos / name).read_bytes())
    assert job.whiten(f"{prefix}/raw", f"{prefix}/white", WhitenConfig(max_flagged=1.0)) == 0
    assert job.whiten(f"{prefix}/raw", str(tmp_path / "back"), WhitenConfig(max_flagged=1.0)) == 0
    on_s3, back = open_root(f"{prefix}/white"), Folder(tmp_path / "back")
    assert outputs(on_s3) == outputs(back) == outputs(whitened[0])
    for key in outputs(back):
        assert on_s3.read(key)[0] == back.read(key)[0] == whitened[0].read(key)[0]
    assert rows_of(on_s3)["truncated.jpg"]["error_code"] == "unreadable"
    etags = {e.key: e.etag for e in bucket.list()}
    assert {key: row["source_etag"] for key, row in rows_of(on_s3).items()} == etags


def test_keys_that_would_leave_the_destination_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 itself allows such keys; the test server refuses to store them, so they come from the listing only."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/ok.jpg").write_bytes(drawn(3))
    listed = ["../up.jpg", "/abs.jpg", "a/../../up.jpg", "ok.jpg"]
    monkeypatch.setattr(plan, "_entries", lambda *_: (Entry(key, 1, "etag") for key in listed))
    job.whiten(str(tmp_path / "in/ok.jpg"), str(tmp_path / "white"), WhitenConfig())
    codes = {key: row["error_code"] for key, row in rows_of(Folder(tmp_path / "white")).items()}
    assert set(codes) == set(listed)
    assert {codes.pop(key) for key in listed[:3]} == {"unsafe_name"}
    assert outputs(Folder(tmp_path / "white")) == {"ok.jpg"}
    assert {p.name for p in tmp_path.iterdir()} == {"in", "white"}


def test_one_photo_alone_gives_the_same_bytes_as_in_a_batch(
    whitened: tuple[Folder, int], photos: Path, tmp_path: Path
) -> None:
    job.whiten(str(photos / "two words.jpg"), str(tmp_path), WhitenConfig())
    assert outputs(Folder(tmp_path)) == {"two words.jpg"}
    assert Folder(tmp_path).read("two words.jpg")[0] == whitened[0].read("two words.jpg")[0]


def test_only_what_changed_is_done_again(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(4):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    job.whiten(str(source), str(destination), WhitenConfig())
    (source / "1.jpg").write_bytes(drawn(11))
    (source / "4.jpg").write_bytes(drawn(4))
    (destination / "2.jpg").unlink()
    config = WhitenConfig(summary_json=str(tmp_path / "summary.json"), gates=False)
    job.whiten(str(source), str(destination), config)
    again = [row for row in manifest.read(Folder(destination)).to_pylist() if row["run_seq"] == 2]
    assert {row["key"]: row["reason"] for row in again} == {"1.jpg": "changed", "2.jpg": "missing", "4.jpg": "new"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["processed"] == 3 and summary["unchanged"] == 2
    assert {row["replaced_run_id"] for row in again if row["key"] == "1.jpg"} == {first_run(destination)}


def calibrated(folder: Path, review_below: float) -> str:
    """A copy of the packaged model with a calibration of its own."""
    weights = {"worst": -0.9, "left_out": -0.6}
    calibration = quality.Calibration(
        tuple(weights), (-0.5, -3.0), (1.0, 1.0), tuple(weights.values()), 1.5, review_below
    )
    shutil.copytree(model_folder.packaged_folder(), folder, dirs_exist_ok=True)
    spec = replace(model_folder.load(str(folder)).spec, quality=calibration.to_dict())
    (folder / "model.json").write_text(json.dumps(asdict(spec)))
    return str(folder)


def test_little_quality_is_for_a_person_and_another_calibration_makes_nothing_stale(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    model = calibrated(tmp_path / "model", review_below=1.0)
    job.whiten(str(source), str(destination), WhitenConfig(model=model))
    rows = rows_of(Folder(destination))
    spec = model_folder.load(model).spec
    assert spec.calibration is not None and spec.model_id == model_folder.load(model_folder.PACKAGED).spec.model_id
    assert {row["error_code"] for row in rows.values()} == {"uncertain_mask"}, "nothing reaches the model's own line"
    assert {row["quality_id"] for row in rows.values()} == {spec.calibration.id}
    qualities = {key: row["quality"] for key, row in rows.items()}
    assert len(set(qualities.values())) == 3 and all(0 < one < 1 for one in qualities.values())
    middle = sorted(qualities.values())[1]
    job.whiten(str(source), str(destination), WhitenConfig(model=model, redo="all", review_below=middle))
    again = rows_of_last_run(destination)
    assert {key: row["quality"] for key, row in again.items()} == qualities
    flagged = {key for key, row in again.items() if row["error_code"] == "uncertain_mask"}
    assert flagged == {key for key, one in qualities.items() if one < middle}
    calibrated(tmp_path / "model", review_below=0.5)
    job.whiten(str(source), str(destination), WhitenConfig(model=model))
    assert rows_of_last_run(destination) == again, "the third run had nothing to do"


def test_a_line_for_a_quality_that_the_model_does_not_tell_is_refused(tmp_path: Path) -> None:
    model = calibrated(tmp_path / "model", review_below=1.0)
    spec = replace(model_folder.load(model).spec, quality=None)
    (tmp_path / "model/model.json").write_text(json.dumps(asdict(spec)))
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="--review-below needs a quality") as caught:
        job.whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(model=model, review_below=0.5))
    assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()


def first_run(destination: Path) -> str:
    return min(p.name for p in (destination / "_glasseg/manifest").iterdir())


def test_files_of_others_are_never_overwritten_unless_told(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    destination.mkdir()
    (source / "a.jpg").write_bytes(drawn(1))
    (destination / "a.jpg").write_bytes(b"precious")
    with pytest.raises(GlassegError, match="--overwrite"):
        job.whiten(str(source), str(destination), WhitenConfig())
    assert (destination / "a.jpg").read_bytes() == b"precious"
    assert not (destination / "_glasseg/manifest").exists()
    assert job.whiten(str(source), str(destination), WhitenConfig(overwrite=True)) == 0
    assert (destination / "a.jpg").read_bytes() != b"precious"


def test_our_own_pictures_are_never_in_the_way(tmp_path: Path) -> None:
    """Of a photo that failed once since, in a format that was changed and changed back, in a place that was moved."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    photo = source / "a.jpg"
    photo.write_bytes(drawn(1))
    assert job.whiten(str(source), str(destination), WhitenConfig()) == 0
    photo.write_bytes(b"broken for a night")
    job.whiten(str(source), str(destination), WhitenConfig(format="png"))
    assert rows_of_last_run(destination)["a.jpg"]["error_code"] == "unreadable"
    photo.write_bytes(drawn(1))
    destination = destination.rename(tmp_path / "moved")
    job.whiten(str(source), str(destination), WhitenConfig())
    assert rows_of_last_run(destination)["a.jpg"]["status"] in {"ok", "review"}


def rows_of_last_run(destination: Path) -> dict[str, dict[str, Any]]:
    rows = manifest.read(Folder(destination)).to_pylist()
    last = max(row["run_seq"] for row in rows)
    return {row["key"]: row for row in rows if row["run_seq"] == last}


def test_a_limit_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    job.whiten(str(source), str(destination), WhitenConfig(limit=1))
    assert outputs(Folder(destination)) == {"0.jpg"}
    job.whiten(str(source), str(destination), WhitenConfig())
    assert set(rows_of_last_run(destination)) == {"1.jpg", "2.jpg"}
    assert not list((destination / "_glasseg/claims").iterdir())


@pytest.mark.parametrize("asked", [{"cpus_per_worker": 64}, {"gpus_per_worker": 8.0, "workers": 1}])
def test_a_worker_that_fits_nowhere_is_refused_instead_of_waited_for(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="one worker wants"):
        job.whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(**asked))


def test_an_output_of_a_killed_run_is_not_somebody_elses(tmp_path: Path) -> None:
    """A run that was killed after a picture and before its row left only a claim."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.jpg").write_bytes(drawn(1))
    Folder(destination).write("a.jpg", b"half a night's work")
    claims.claim(Folder(destination), "20260101T000000.000Z", pa.chunked_array([["a.jpg"]]))
    assert job.whiten(str(source), str(destination), WhitenConfig()) == 0


def worker_pids() -> list[int]:
    """Processes of this session's Ray that hold the model: descendants of this one."""
    return [pid for pid in below(os.getpid()) if command_of(pid).startswith("ray::MapWorker(MapBatches")]


def test_a_worker_killed_in_mid_run_costs_no_photo(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    data = [drawn(seed, size=(600, 800)) for seed in range(4)]
    for n in range(96):
        (source / f"{n:03}.jpg").write_bytes(data[n % 4])
    killed: list[int] = []

    def kill_one() -> None:
        while not (destination / "010.jpg").exists():
            time.sleep(0.02)
        killed.append(worker_pids()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    assert job.whiten(str(source), str(destination), WhitenConfig(workers=1, max_flagged=1.0)) == 0
    killer.join(timeout=1)
    assert killed
    rows = rows_of(Folder(destination))
    assert set(rows) == outputs(Folder(destination)) == {f"{n:03}.jpg" for n in range(96)}
    assert {row["status"] for row in rows.values()} <= {"ok", "review"}


def test_a_photo_that_kills_its_worker_is_the_only_one_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs do crash. The class is made here so that Ray carries it, crash and all, into real processes."""

    class Deadly(Whitener):
        def _open(self, pending: dict[str, Any]) -> Any:
            if pending["key"] == "poison.jpg":
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._open(pending)

    monkeypatch.setattr(stream, "Whitener", Deadly)
    monkeypatch.setattr(rescue, "Whitener", Deadly)
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    names = [*(f"{n}.jpg" for n in range(9)), "poison.jpg"]
    for seed, name in enumerate(names):
        (source / name).write_bytes(drawn(seed))
    assert job.whiten(str(source), str(destination), WhitenConfig()) == 0
    rows = rows_of(Folder(destination))
    assert set(rows) == set(names)
    assert rows["poison.jpg"]["error_code"] == "worker_died"
    assert outputs(Folder(destination)) == set(names) - {"poison.jpg"}


def test_a_photo_that_needs_too_much_memory_alone_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Whitener):
        def _open(self, pending: dict[str, Any]) -> Any:
            os.kill(os.getpid(), signal.SIGKILL)

    class Hungry(Whitener):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            decode = decoder.decode

            def greedy(data: bytes, *, max_pixels: int) -> decoder.Photo:
                if len(data) == hungry:
                    np.ones(rescue.MEMORY * 2, np.uint8)
                return decode(data, max_pixels=max_pixels)

            decoder.decode = greedy

    monkeypatch.setattr(stream, "Whitener", Dying)
    monkeypatch.setattr(rescue, "Whitener", Hungry)
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed, name in enumerate(("fine.jpg", "hungry.jpg")):
        (source / name).write_bytes(drawn(seed))
    hungry = (source / "hungry.jpg").stat().st_size
    assert job.whiten(str(source), str(destination), WhitenConfig()) == 0
    codes = {key: row["error_code"] for key, row in rows_of(Folder(destination)).items()}
    assert codes == {"fine.jpg": None, "hungry.jpg": "out_of_memory"}


def test_a_fault_of_our_own_costs_one_photo_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(Whitener):
        def _write(self, photo: Any, probability: np.ndarray) -> dict[str, Any]:
            if photo.pending["key"] == "odd.jpg":
                raise RuntimeError("a bug")
            return super()._write(photo, probability)

    monkeypatch.setattr(stream, "Whitener", Faulty)
    monkeypatch.setattr(rescue, "Whitener", Faulty)
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed, name in enumerate(("fine.jpg", "odd.jpg", "also-fine.jpg")):
        (source / name).write_bytes(drawn(seed))
    assert job.whiten(str(source), str(destination), WhitenConfig()) == 0
    rows = rows_of(Folder(destination))
    assert {key for key, row in rows.items() if row["status"] == "failed"} == {"odd.jpg"}
    assert rows["odd.jpg"]["error_code"] == "internal_error"
    assert rows["odd.jpg"]["error"] == "RuntimeError: a bug"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_the_run_in_one_line_and_keeps_no_half_picture(tmp_path: Path) -> None:
    source, disk = tmp_path / "in", tmp_path / "disk"
    source.mkdir()
    disk.mkdir()
    for seed in range(16):
        (source / f"{seed}.png").write_bytes(drawn(seed, "x.png", (600, 800)))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs here")
    try:
        with pytest.raises(GlassegError, match="disk is full"):
            job.whiten(str(source), str(disk / "white"), WhitenConfig())
        for key in outputs(Folder(disk / "white")):
            decoder.decode_on_white(Folder(disk / "white").read(key)[0], max_pixels=10**6)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


REFUSALS = {
    "a source that is not there": ("{tmp}/nowhere", "{tmp}/out", "does not exist"),
    "an empty source": ("{tmp}/empty", "{tmp}/out", "no photos"),
    "the source itself": ("{tmp}/in", "{tmp}/in", "source"),
    "inside the source": ("{tmp}/in", "{tmp}/in/white", "source"),
    "around the source": ("{tmp}/in", "{tmp}", "source"),
    "a bucket that is not there": ("s3://no-such-bucket/x", "{tmp}/out", "bucket does not exist"),
    "a destination bucket that is not there": ("{tmp}/in", "s3://no-such-bucket/x", "bucket does not exist"),
    "a file as destination": ("{tmp}/in", "{tmp}/in.txt", "is a file"),
}


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("what", REFUSALS)
def test_impossible_places_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in.txt").write_text("a file")
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    source, destination, words = (text.format(tmp=tmp_path) for text in REFUSALS[what])
    with pytest.raises(GlassegError, match=words) as refusal:
        job.whiten(source, destination, WhitenConfig())
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 1
    assert {p.name for p in tmp_path.iterdir()} == {"empty", "in", "in.txt"}


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="no model in"):
        job.whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(model=str(tmp_path)))


def test_two_photos_with_one_output_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "a.png"):
        (tmp_path / "in" / name).write_bytes(drawn(1, name))
    with pytest.raises(GlassegError, match=r"a\.jpg, a\.png would all become a\.webp"):
        job.whiten(str(tmp_path / "in"), str(tmp_path / "out"), WhitenConfig(format="webp"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_an_interrupted_run_keeps_its_rows_and_goes_on_later(sent: signal.Signals, code: int, tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    data = [drawn(seed, size=(1200, 1600)) for seed in range(2)]
    for n in range(200):
        (source / f"{n:03}.jpg").write_bytes(data[n % 2])
    command = [sys.executable, "-m", "jobs.cli", "whiten", str(source), str(destination)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        while len(list(destination.glob("*.jpg"))) < 100:  # some batches are done, whoever did them
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        # a terminal sends Ctrl-C to the whole group, a scheduler ends the process it started
        (os.killpg if sent == signal.SIGINT else os.kill)(run.pid, sent)
        words = run.communicate(timeout=60)[1]
    assert run.returncode == code, words
    assert "Traceback" not in words
    kept = rows_of(Folder(destination))
    assert 0 < len(kept) < 200
    [record] = (destination / "_glasseg/runs").glob("*.json")
    assert json.loads(record.read_text())["ended"] == "interrupted"
    assert job.whiten(str(source), str(destination), WhitenConfig(max_flagged=1.0)) == 0
    assert len({row["key"] for row in manifest.read(Folder(destination)).to_pylist()}) == 200


def test_frames_checks_and_backgrounds_reach_pictures_rows_and_summary(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, white = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("plain.jpg", "picture.webp"):
        (source / name).write_bytes((photos / name).read_bytes())
    config = WhitenConfig(frame=(1, 1), fill=0.85, size=800, format="png", background="#f5f5f5", check=("ebay",))
    job.whiten(str(source), str(white), replace(config, summary_json=str(tmp_path / "summary.json")))
    rows = rows_of(Folder(white))
    for key, row in rows.items():
        picture = decoder.decode_on_white((white / key).with_suffix(".png").read_bytes(), max_pixels=10**6)
        side = row["output_width"]
        assert picture.shape == (side, side, 3) and row["output_height"] == side < 500
        assert "enlargement" in row["warnings"][0], "the photos are too small for this size"
        assert (row["height"], row["width"]) == SIZE, "the photo's own size"
        assert row["fill"] == pytest.approx(0.85, abs=0.01)
        assert row["background_exact"] == 1 and row["ring_exact"] == 1 and row["background_deviation"] == 0
        assert (picture[0] == 245).all()
        assert row["check_ebay"] == f"longest side {side}, at least 500" and row["check_amazon"] is None
        assert row["output_bytes"] == (white / key).with_suffix(".png").stat().st_size
    checks = json.loads((tmp_path / "summary.json").read_text())["checks"]
    assert checks == {"ebay": {"pass": 0, "fail": 2, "broken": {"longest side …, at least 500": 2}}}
    assert "ebay: 0 of 2 pass; most often: longest side …, at least 500 (2)" in capsys.readouterr().err
    job.whiten(str(source), str(white), config)
    assert {row["run_seq"] for row in rows_of(Folder(white)).values()} == {1}, "nothing is pending"


def test_a_transparent_run_writes_png_and_webp_with_alpha(photos: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("plain.jpg", "picture.webp"):
        (source / name).write_bytes((photos / name).read_bytes())
    job.whiten(str(source), str(out), WhitenConfig(background="transparent"))
    assert outputs(Folder(out)) == {"plain.png", "picture.webp"}
    for name in ("plain.png", "picture.webp"):
        alpha = decoder.decode((out / name).read_bytes(), max_pixels=10**6).alpha
        assert alpha is not None and (alpha == 0).mean() > 0.5
    assert all(row["background_deviation"] == 0 for row in rows_of(Folder(out)).values())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (WhitenConfig(background="transparent", format="jpeg"), "a JPEG can't be transparent"),
        (WhitenConfig(background="grey"), "is no background"),
        (WhitenConfig(fill=0.6, check=("amazon",)), "the rules of amazon contradict the other options: fill 0.60"),
        (WhitenConfig(frame=(99, 1)), "a frame is at most"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_any_work(
    config: WhitenConfig, words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(GlassegError, match=re.escape(words)) as caught:
        job.whiten(str(photos), str(tmp_path / "out"), config)
    assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()


def test_remarks_on_a_photo_are_warnings_of_its_row(tmp_path: Path) -> None:
    from corpus import samples

    source = tmp_path / "in"
    source.mkdir()
    told = [sample for sample in samples() if sample.warns]
    for sample in told:
        (source / sample.name).write_bytes(sample.data)
    job.whiten(str(source), str(tmp_path / "out"), WhitenConfig(max_flagged=1.0))
    rows = rows_of(Folder(tmp_path / "out"))
    for sample in told:
        assert any(str(sample.warns) in remark for remark in rows[sample.name]["warnings"]), sample.name
