"""`glasseg bench training`: its arithmetic, and one tiny real run. Nothing here judges a speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jobs.bench import training


def test_the_rate_counts_only_steps_after_the_warm_up() -> None:
    ends = [50.0, 51.0, 52.0, 60.0, 62.0, 64.0]  # the warm-up took a minute, the two timed steps 4 s
    assert training.WARM_UP == 4
    assert training.steady(ends, 16) == pytest.approx(8.0)


def test_each_worker_loads_its_share_of_the_same_long_epoch(tmp_path: Path) -> None:
    found = training.drawn_glasses(tmp_path / "drawn", 2)
    one = training.Training(found, training.RECIPE, steps=2, cores=2, verbose=False)
    whole, half = one.load(0, 1), one.load(1, 2)
    assert (whole.cpus, half.cpus) == (2, 1)
    assert len(half.epochs.step(0, 1).indices) == len(whole.epochs.step(0, 0).indices) / 2
    last = training.WARM_UP + 2 + training.READ_AHEAD
    assert whole.epochs.training_steps == last and whole.epochs.step(last - 1, 0).real.all()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tiny_training_bench_prints_one_json_object(tmp_path: Path) -> None:
    code = (
        "import dataclasses; from jobs import cli; from jobs.bench import training\n"
        "training.RECIPE = dataclasses.replace(training.RECIPE, sides=(128,), batch=4)\n"  # a tenth of the time
        "cli.main()"
    )
    command = [sys.executable, "-c", code, "bench", "training", "--photos=16", "--rounds=1", "--json"]
    # Ray's sockets allow only short paths
    environment = {**os.environ, "TMPDIR": str(tmp_path), "RAY_TMPDIR": tempfile.gettempdir()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(line.startswith(("drawing ", "round ")) for line in done.stderr.splitlines()), done.stderr
    found = json.loads(done.stdout)
    assert found["steps"] == 4 and found["batch"] == 4 and found["side"] == 128
    assert all(rate["median"] > 0 for rate in found["pictures_per_s"].values())
    assert list(found["pictures_per_s"]) == ["Keras fit", "one worker", "two workers", "pictures alone"]
    assert not list(tmp_path.glob("glasseg-bench-*"))
