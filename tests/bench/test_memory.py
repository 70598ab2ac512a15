"""`glasseg bench memory`: what is made of its looks, and one short real run. Nothing here judges a size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobs.bench import memory


def look(photos: int, **held: int) -> dict[str, Any]:
    return {"photos": photos, "bytes": held, "files": dict.fromkeys(held, 10)}


def test_memory_is_compared_between_the_second_thousand_and_the_end() -> None:
    """What a worker takes while it starts says nothing of a leak."""
    seen = [look(0), look(0, workers=9), look(1000, workers=5), look(1500, workers=5), look(1999, workers=6)]
    seen += [look(5000, workers=7), look(9500, workers=8), look(10000, workers=8)]
    values = memory._by_kind(seen, "bytes")["workers"]
    assert memory._settled(seen, values, 1) == {"early": 5.0, "late": 8.0, "largest": 9.0}


def test_a_run_too_short_to_settle_has_no_early_memory() -> None:
    assert memory._settled([look(5, driver=3)], [3], 1) == {"early": 0.0, "late": 3.0, "largest": 3.0}


@pytest.mark.ray
@pytest.mark.slow
def test_a_short_run_is_watched_and_plotted(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "jobs.cli",
        "bench",
        "memory",
        "--photos=40",
        f"--chart={tmp_path / 'b.png'}",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["photos"] == 40 and found["failed"] == 0
    # the worker of so short a run may be gone at the last looks
    assert found["memory_mb"]["driver"]["late"] > 20 < found["memory_mb"]["workers"]["largest"]
    assert found["open_files"]["workers"]["largest"] > 3
    assert found["temporary_files_left"] == [] and found["spilled_bytes"] == 0
    assert Image.open(tmp_path / "b.png").width > 400
