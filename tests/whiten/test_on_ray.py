"""Runs on real Ray: the same pictures from any place, and what dies, is interrupted or asks too much."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import inprocess
import numpy as np
import pyarrow as pa
import pytest
from drawnphotos import AWKWARD, by_key, drawn, drawn_as, outputs
from raycluster import below, command_of
from s3server import S3Server

from glasseg.catalog import runs
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.images import decoder
from glasseg.storage.roots import Folder, open_root
from jobs.whiten import rescue, stream, units
from jobs.whiten.executor import on_ray
from jobs.whiten.order import PENDING, ROWS, Order
from jobs.whiten.run import whiten
from jobs.whiten.worker import Whitener, refuse_torn

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]

QUIET = WhitenConfig(max_flagged=1.0, report=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with awkward names, and one that can't be read."""
    folder = Folder(tmp_path_factory.mktemp("photos"))
    for seed, name in enumerate(AWKWARD):
        folder.write(name, drawn_as(name, seed))
    folder.write("truncated.jpg", drawn(1)[:2000])
    return folder.path


@pytest.fixture(scope="module")
def whitened(photos: Path, tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The photos whitened by one worker in this process, in batches."""
    destination = tmp_path_factory.mktemp("white")
    inprocess.whiten(str(photos), str(destination), QUIET)
    return Folder(destination)


def test_s3_to_s3_and_s3_to_folder_give_the_same_pictures_as_in_one_process(
    whitened: Folder, photos: Path, s3: S3Server, tmp_path: Path
) -> None:
    prefix = f"s3://{s3.bucket}/roundtrip"
    bucket = open_root(f"{prefix}/raw")
    for name in (*AWKWARD, "truncated.jpg"):
        bucket.write(name, (photos / name).read_bytes())
    assert whiten(f"{prefix}/raw", f"{prefix}/white", QUIET) == 0
    assert whiten(f"{prefix}/raw", str(tmp_path / "back"), QUIET) == 0
    on_s3, back = open_root(f"{prefix}/white"), Folder(tmp_path / "back")
    assert outputs(on_s3) == outputs(back) == outputs(whitened)
    for key in outputs(back):
        assert on_s3.read(key)[0] == back.read(key)[0] == whitened.read(key)[0]
    assert by_key(on_s3)["truncated.jpg"]["error_code"] == "unreadable"
    etags = {e.key: e.etag for e in bucket.list()}
    assert {key: row["source_etag"] for key, row in by_key(on_s3).items()} == etags


@pytest.mark.slow
def test_several_outputs_are_made_by_workers_each_photo_once(whitened: Folder, photos: Path, tmp_path: Path) -> None:
    several = {"white": QUIET, "cut-out": replace(QUIET, background="transparent", format="png")}
    assert whiten(str(photos), str(tmp_path / "out"), QUIET, outputs=several) == 0
    white, cut_out = Folder(tmp_path / "out/white"), Folder(tmp_path / "out/cut-out")
    assert outputs(white) == outputs(whitened) and len(outputs(cut_out)) == len(AWKWARD)
    for key in outputs(white):
        assert white.read(key)[0] == whitened.read(key)[0]
    read = [{key: row["read_ms"] for key, row in by_key(root).items()} for root in (white, cut_out)]
    assert read[0] == read[1], "rows of a photo tell of the same reading"


@pytest.mark.slow
def test_what_belongs_together_reaches_a_worker_together(tmp_path: Path) -> None:
    """With a batch size, Ray would cut and join tables that have another one."""

    class Strict:
        def __init__(self, orders: Any, model: Any, memory: int | None = None) -> None:
            self._order = orders[0]

        def __call__(self, batch: pa.Table) -> pa.Table:
            refuse_torn(batch)
            rows = [self._order.failed(one, "internal_error", str(len(batch))) for one in batch.to_pylist()]
            return pa.Table.from_pylist(rows, schema=ROWS)

    sizes = [40, 1, 24, 3, 64, 2, 7, 33, 8, 1]
    rows = [
        {"key": f"{unit}/{n:02}.jpg", "reason": "new", "place": 0, "unit": str(unit), "unit_rows": size}
        for unit, size in enumerate(sizes)
        for n in range(size)
    ]
    work, there = pa.Table.from_pylist(rows, schema=PENDING), Folder(tmp_path)
    order = Order(there, there, "run", 1, "model", "options", mask=False, quality=95, max_pixels=1)
    done = [row for some in stream.stream((order,), "no model", work, (1, 2), Strict) for row in some]
    assert sorted(row["key"] for row in done) == sorted(work["key"].to_pylist())
    assert {int(row["error"]) for row in done} == {len(table) for table in units.tables(work, stream.BATCH_PHOTOS)}


@pytest.mark.slow
def test_one_photo_alone_gives_the_same_bytes_as_in_a_batch(whitened: Folder, photos: Path, tmp_path: Path) -> None:
    whiten(str(photos / "two words.jpg"), str(tmp_path), WhitenConfig())
    assert outputs(Folder(tmp_path)) == {"two words.jpg"}
    assert Folder(tmp_path).read("two words.jpg")[0] == whitened.read("two words.jpg")[0]


@pytest.mark.parametrize("asked", [{"cpus_per_worker": 64}, {"gpus_per_worker": 8.0, "workers": 1}])
def test_a_worker_that_fits_nowhere_is_refused_instead_of_waited_for(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="one worker wants"):
        whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(**asked))


def worker_pids() -> list[int]:
    """Processes of this session's Ray that hold the model."""
    return [pid for pid in below(os.getpid()) if "MapWorker(MapBatches" in command_of(pid)]


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_costs_no_photo(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for n in range(24):
        (source / f"{n:03}.jpg").write_bytes(drawn(n % 4))
    killed: list[int] = []

    def kill_one() -> None:
        while not (destination / "004.jpg").exists():
            time.sleep(0.02)
        killed.append(worker_pids()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    assert whiten(str(source), str(destination), WhitenConfig(workers=1, max_flagged=1.0)) == 0
    killer.join(timeout=1)
    assert killed
    rows = by_key(Folder(destination))
    assert set(rows) == outputs(Folder(destination)) == {f"{n:03}.jpg" for n in range(24)}
    assert {row["status"] for row in rows.values()} <= {"ok", "review"}


def test_only_the_photos_that_kill_or_break_their_worker_are_lost(tmp_path: Path) -> None:
    """Codecs do crash. The class is made here so that Ray carries it, crash and all, into real processes.

    The first worker dies while it starts. One photo ends its process, one needs more memory than a photo may have
    alone, one meets a fault of our own.
    """
    notes = tmp_path / "notes"

    class Deadly(Whitener):
        def __init__(self, orders: Any, model: Any, memory: int | None = None) -> None:
            if not notes.exists():
                notes.mkdir()
                os.kill(os.getpid(), signal.SIGKILL)
            super().__init__(orders, model, memory)
            import ray

            note = f"{'alone' if memory else 'batches'} {os.getpid()}"
            (notes / note).write_text(json.dumps(ray.get_runtime_context().get_assigned_resources()))
            self.alone, decode = memory is not None, decoder.decode

            def greedy(data: bytes, *, max_pixels: int) -> decoder.Photo:
                if len(data) == hungry and self.alone:
                    np.ones(rescue.MEMORY * 2, np.uint8)
                return decode(data, max_pixels=max_pixels)

            decoder.decode = greedy

        def _open(self, rows: Any) -> Any:
            if rows[0]["key"] == "poison.jpg":
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._open(rows)

        def _write(self, opened: Any, seen: Any, **more: Any) -> Any:
            if opened.requests[0].pending["key"] == "odd.jpg":
                raise RuntimeError("a bug")
            return super()._write(opened, seen, **more)

    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    names = [*(f"{n}.jpg" for n in range(8)), "hungry.jpg", "poison.jpg", "odd.jpg"]
    for seed, name in enumerate(names):
        (source / name).write_bytes(drawn(seed))
    hungry = (source / "hungry.jpg").stat().st_size
    deadly = partial(on_ray, worker=Deadly)
    assert whiten(str(source), str(destination), WhitenConfig(cpus_per_worker=2), executor=deadly) == 0
    rows = by_key(Folder(destination))
    codes = {key: row["error_code"] for key, row in rows.items() if row["status"] == "failed"}
    assert set(rows) == set(names)
    assert codes == {"poison.jpg": "worker_died", "hungry.jpg": "out_of_memory", "odd.jpg": "internal_error"}
    assert rows["odd.jpg"]["error"] == "RuntimeError: a bug"
    assert outputs(Folder(destination)) == set(names) - set(codes)
    kinds = {note.name.split()[0]: json.loads(note.read_text()) for note in notes.iterdir()}
    asked = {"CPU": 2.0, "memory": 1.5 * 2**30}
    assert kinds == {"batches": asked, "alone": asked}, "what was asked for, with others and alone"


@pytest.mark.slow
def test_a_photo_that_hangs_its_worker_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Whitener):
        def _open(self, rows: Any) -> Any:
            if rows[0]["key"] == "endless.jpg":
                time.sleep(1000)
            return super()._open(rows)

    monkeypatch.setattr(stream, "STALLED_SECONDS", 40.0)
    monkeypatch.setattr(rescue, "SECONDS", 60.0)  # a busy machine takes half of it to load the model
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed, name in enumerate(("a.jpg", "b.jpg", "endless.jpg")):
        (source / name).write_bytes(drawn(seed))
    hanging = partial(on_ray, worker=Hanging)
    assert whiten(str(source), str(destination), WhitenConfig(cpus_per_worker=2), executor=hanging) == 0
    codes = {key: row["error_code"] for key, row in by_key(Folder(destination)).items() if row["status"] == "failed"}
    assert codes == {"endless.jpg": "timeout"} and outputs(Folder(destination)) == {"a.jpg", "b.jpg"}


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_the_run_in_one_line_and_keeps_no_half_picture(tmp_path: Path) -> None:
    source, disk = tmp_path / "in", tmp_path / "disk"
    source.mkdir()
    disk.mkdir()
    for seed in range(16):
        (source / f"{seed}.png").write_bytes(drawn_as("x.png", seed, (600, 800)))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs here")
    try:
        with pytest.raises(GlassegError, match="disk is full"):
            whiten(str(source), str(disk / "white"), WhitenConfig())
        for key in outputs(Folder(disk / "white")):
            decoder.decode_on_white(Folder(disk / "white").read(key)[0], max_pixels=10**6)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_rows_and_goes_on_later(
    sent: signal.Signals, code: int, tensorflow: Any, tmp_path: Path
) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    data = [drawn(seed, size=(480, 640)) for seed in range(2)]
    for n in range(64):
        (source / f"{n:03}.jpg").write_bytes(data[n % 2])
    command = [sys.executable, "-m", "jobs.cli", "whiten", str(source), str(destination)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        while len(list(destination.glob("*.jpg"))) < 32:  # some batches are done, whoever did them
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        # a terminal sends Ctrl-C to the whole group, a scheduler ends the process it started
        (os.killpg if sent == signal.SIGINT else os.kill)(run.pid, sent)
        words = run.communicate(timeout=60)[1]
    assert run.returncode == code, words
    assert "Traceback" not in words
    kept = by_key(Folder(destination))
    assert 0 < len(kept) < 64
    [record] = runs.latest(Folder(destination), 1)
    assert record["ended"] == "interrupted"
    assert inprocess.whiten(str(source), str(destination), WhitenConfig(max_flagged=1.0)) == 0
    assert len(by_key(Folder(destination))) == 64


@pytest.mark.slow
def test_a_run_that_the_breaker_stops_leaves_no_ray_behind(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for n in range(160):
        (source / f"{n:03}.jpg").write_bytes(b"not a picture")
    command = [sys.executable, "-m", "jobs.cli", "whiten", str(source), str(tmp_path / "out"), "--no-report"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 3 and "Stopped: " in done.stderr
    assert "ray" not in done.stderr.replace("Starting Ray", "").lower().replace(str(tmp_path).lower(), "")
