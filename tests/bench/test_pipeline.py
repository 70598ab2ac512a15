"""`glasseg bench`: its arithmetic and its table, and one tiny real run. Nothing here judges a speed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

from glasseg.config import BenchConfig, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.images import encoder
from jobs import sizing
from jobs.bench import machine, photos, pipeline, plain_loop, spread, stages, table, timed_photos, ways
from jobs.bench.steps import Steps
from jobs.engine import available_cpus

RATES = {
    "1 process × 2 cores": [10.0, 12.0, 11.0],
    "2 processes × 1 core": [12.0, 16.0, 14.0],
    "pipeline": [12.6, 13.0, 13.3],
    "rembg": [0.5, 0.52, 0.51],
}


def result() -> dict[str, Any]:
    """What a bench of a small machine might find."""
    here = {"cpu": "Zilog Z80", "cores": 2, "memory_gb": 23.4, "compute_dtype": "float32", "load_before": 0.1}
    versions = {"python": "3.11.9", "ray": "2.60.0", "tensorflow": "2.21.0", "keras": "3.15.0", "opencv": "5.0.0"}
    return {
        **table.summary(RATES),
        "startup_s": 16.25,
        "command_s": 31.5,
        "stages": dict.fromkeys(stages.STAGES, 100.0),
        "all_stages_one_core": 16.67,
        "photos": 192,
        "rounds": 3,
        "size": [1200, 1600],
        "model_id": "compact-0123456789ab",
        "workers": 2,
        "cpus_per_worker": 1,
        "rembg": {"model": "isnet-general-use.onnx", "rembg": "2.0.86", "onnxruntime": "1.32.0"},
        "machine": {**here, **versions},
    }


def test_steady_rate_counts_photos_after_the_first() -> None:
    """What a turn begins with and what it ends with change nothing, nor does the order in which files are found."""
    start, middle, end = [1.0, 9.0, 10.0], [10.5, 11.0, 11.5, 12.0], [20.0, 40.0]
    times = [*end, *reversed(middle), *start]
    assert timed_photos.steady(times, skip=3, count=4) == pytest.approx(2.0)


@pytest.mark.parametrize("seconds_a_photo", [0.13, 0.2, 0.4])
@pytest.mark.parametrize(("versus", "start"), [(False, 8.0), (True, 8.0), (False, 12.0), (True, 12.0)])
def test_two_slow_cores_are_done_within_five_minutes(seconds_a_photo: float, versus: bool, start: float) -> None:
    """Drawing takes 10 seconds, every process `start` until it is ready, and each way does what its stages promise."""
    config = BenchConfig(versus=versus)
    plans, rate = ways.plans(config, 2, 2), 2 / seconds_a_photo
    spent = 10 + start + stages.ENOUGH_SECONDS + 4 * seconds_a_photo
    seconds = pipeline.turn_seconds(plans, config.rounds, start, spent) - 2 * ways.SKIP / rate
    count = timed_photos.affordable(rate, seconds, 2)
    turn = (2 * ways.SKIP + count) / rate
    warming = sum(2 * (plan.warm - plan.skip) for plan in plans.values()) / rate
    assert count >= 32
    assert spent + sum(pipeline.expected(plans, config.rounds, start, turn)) + warming < 300


@pytest.mark.parametrize(("rate", "photos"), [(1.0, 32), (5.0, 32), (7.0, 64), (10.0, 64), (16.0, 128), (40.0, 384)])
def test_turns_are_made_of_whole_ray_tasks_where_there_is_time(rate: float, photos: int) -> None:
    assert timed_photos.affordable(rate, 10.0, 2) == photos


@pytest.mark.parametrize(("wanted", "photos"), [(8, 32), (32, 32), (33, 64), (200, 224)])
def test_a_wanted_number_of_photos_is_rounded_up_to_what_processes_finish_together(wanted: int, photos: int) -> None:
    assert timed_photos.whole_clumps(wanted, 2) == photos


@pytest.mark.parametrize("processes", [1, 2, 3, 12])
def test_every_process_of_the_plain_loop_has_all_photos_in_its_share(processes: int) -> None:
    names = [f"{number % 12}.jpg" for number in range(240)]
    for work in (names, pa.table({"key": names})):
        shares = plain_loop.shares(work, processes)
        keys = [share if isinstance(share, list) else share["key"].to_pylist() for share in shares]
        assert [key for share in keys for key in share] == names
        assert all(set(share) == set(names) for share in keys)


def test_photos_that_failed_stop_the_bench() -> None:
    timed_photos.refuse_failed([{"status": "ok", "fatal": None}])
    with pytest.raises(GlassegError, match="disk is full"):
        timed_photos.refuse_failed([{"fatal": "the disk is full"}])
    with pytest.raises(GlassegError, match="no picture"):
        timed_photos.refuse_failed([{"status": "failed", "error": "no picture"}])


def test_steps_say_how_many_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(3)
    steps.next("photos")
    steps.expect([31.0, 4.0])
    steps.next("first photo")
    steps.next("round 1 of 1: pipeline")
    assert capsys.readouterr().err.splitlines() == [
        "step 1 of 3: photos",
        "step 2 of 3, about 40 s left: first photo",
        "step 3 of 3, about 10 s left: round 1 of 1: pipeline",
    ]


def test_spread_is_median_and_extremes() -> None:
    assert spread.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert spread.spread([5.0]) == {"median": 5.0, "min": 5.0, "max": 5.0}


def test_summary_compares_with_the_better_loop() -> None:
    """The better one by its median; the ratio's spread comes from the rounds, each side against its neighbour."""
    found = table.summary(RATES)
    assert found["plain_loop"] == "2 processes × 1 core"
    assert (found["plain_photos_per_s"], found["pipeline_photos_per_s"]) == (14.0, 13.0)
    assert found["ratio"] == pytest.approx(13 / 14, abs=1e-4)
    assert found["spread"]["ratio"] == {"median": 0.95, "min": 0.812, "max": 1.05}
    assert found["versus"]["rembg"] == {"median": 25.2, "min": 25.0, "max": 26.078}
    assert found["spread"]["pipeline"] == {"median": 13.0, "min": 12.6, "max": 13.3}


def test_table_says_it_all_in_aligned_lines() -> None:
    text = table.table(result())
    lines = text.splitlines()
    for words in (
        "192 photos of 1600×1200",
        "compact-0123456789ab",
        "Zilog Z80, 2 cores",
        "ray 2.60.0",
        "rembg 2.0.86",
    ):
        assert words in text
    rows = {line.split("  ")[0]: line for line in lines}
    assert set(stages.STAGES) < set(rows)
    assert rows["better plain loop"].split()[-2:] == ["0.929", "0.812–1.050"]
    assert rows["first photo"].split()[-1] == "16.2"
    assert len({len(rows[stage]) for stage in stages.STAGES}) == 1
    assert max(map(len, lines)) <= 120


def test_result_is_plain_json() -> None:
    assert json.loads(json.dumps(result())) == result()


def test_machine_names_what_numbers_depend_on() -> None:
    found = machine.facts()
    assert found["cores"] == os.cpu_count() and found["memory_gb"] > 0
    assert all(found[name] for name in ("cpu", "python", "ray", "tensorflow", "keras", "opencv", "compute_dtype"))


def test_only_photos_that_decode_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = encoder.encode(np.full((30, 40, 3), 200, np.uint8), "png", 95)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "good.png").write_bytes(picture)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "list.csv").write_text("a,b")
    good, size = photos.usable(tmp_path, 10)
    assert [path.name for path in good] == ["good.png"] and size == (30, 40)
    assert "1 photos" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "deep")
    with pytest.raises(GlassegError, match="no photos"):
        photos.usable(tmp_path, 10)


def test_workers_are_as_large_as_those_of_whiten() -> None:
    assert WhitenConfig().cpus_per_worker is None
    assert BenchConfig().cpus_per_worker == sizing.pool([{"CPU": 16.0}], [], None, None).cpus


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights, made in another process: TensorFlow stays out of this one."""
    folder = tmp_path_factory.mktemp("model")
    code = (
        "import sys; from pathlib import Path; from glasseg.model import folder, unet\n"
        "folder.save(Path(sys.argv[1]), unet.build('compact'), resize='letterbox', passes=1,"
        " threshold=0.5, ramp=0.3, training={})"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, timeout=200)
    return folder


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tiny_bench_prints_one_json_object(random_model: Path, tmp_path: Path) -> None:
    """All ways but rembg are suspended and go on, Ray's clusters, too; then none of their processes is left."""
    command = [sys.executable, "-m", "jobs.cli", "bench", "pipeline", "--photos=16", "--rounds=2", "--versus", "--json"]
    with tempfile.TemporaryDirectory(dir=tempfile.gettempdir()) as short:  # Ray's sockets allow only short paths
        environment = {**os.environ, "TMPDIR": str(tmp_path), "RAY_TMPDIR": short}
        done = subprocess.run(
            [*command, f"--model={random_model}"],
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        running = [one.info for one in psutil.process_iter(["cmdline", "environ"])]
        assert not [
            one["cmdline"]
            for one in running
            if short in " ".join(one["cmdline"] or []) or (one["environ"] or {}).get("TMPDIR") == str(tmp_path)
        ]
    found = json.loads(done.stdout)
    assert set(found) == set(result())
    assert set(found["stages"]) == set(stages.STAGES)
    assert set(found["machine"]) == set(result()["machine"])
    assert found["photos"] == 16 * available_cpus() and found["size"] == [1200, 1600]
    assert 0 < found["startup_s"] <= found["command_s"]
    assert found["ratio"] > 0 and all(ratios["min"] > 0 for ratios in found["versus"].values())
    assert list(found["versus"]) == [table.ONE_ACTOR, table.RECIPE, table.POOL]
    assert not list(tmp_path.glob("glasseg-bench-*"))
    lines = done.stderr.splitlines()
    assert all(line.startswith(("step ", "drawing ")) for line in lines), "the screen is for steps"
    assert len(lines) == 1 + 3 + 2 * 6 or os.cpu_count() == 1
