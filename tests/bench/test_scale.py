"""`glasseg bench scale`: what it makes of what it saw, and one short real run with sleepers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from glasseg.catalog.schema import Row
from glasseg.errors import GlassegError
from jobs.bench.scale import Pace, Watch, _apart, computed, figures, text


def run(actors: int, rows_per_s: float, busy: float) -> dict[str, float]:
    return {"actors": actors, "rows_per_s": rows_per_s, "busy": busy}


def test_the_cost_of_many_actors_lies_on_the_line_through_those_measured() -> None:
    """Here a hundredth of a core, 200 µs a row, and 1 µs more for each actor."""
    runs = [run(n, r, 0.01 + r * (200e-6 + n * 1e-6)) for n, r in ((1, 80), (4, 320), (8, 640), (16, 1280), (4, 3000))]
    far = computed(runs, 256, photos_per_s=10)
    assert far is not None and far["rows_per_s"] == 2560
    assert far["busy"] == pytest.approx(0.01 + 2560 * 456e-6, abs=1e-3)
    assert far["driver_s"] == pytest.approx(1000 * far["busy"] / 2560, abs=1e-3)
    assert far["most_rows_per_s"] == pytest.approx(0.99 / 456e-6, abs=1)


def test_a_cost_that_falls_by_actors_is_computed_from_the_rows_alone() -> None:
    """An actor cannot cost less than nothing: the other terms are fitted as if actors were free."""
    runs = [run(1, 80, 0.07), run(8, 640, 0.18), run(32, 2500, 0.4), run(4, 2500, 0.5)]
    rates = np.array([80, 640, 2500, 2500])
    row, idle = np.polyfit(rates, [0.07, 0.18, 0.4, 0.5], 1)
    far = computed(runs, 256, photos_per_s=10)
    assert far is not None and far["busy"] == pytest.approx(idle + 2560 * row, abs=1e-3)
    assert far["most_rows_per_s"] == pytest.approx((1 - idle) / row, abs=1)


def test_nothing_is_computed_from_two_runs() -> None:
    """They would fit any line."""
    assert computed([run(1, 80, 0.1), run(4, 320, 0.2)], 256, photos_per_s=10) is None


def test_costs_are_those_of_the_time_in_which_all_actors_worked() -> None:
    watch = Watch(
        actors=2, photos=3000, began=100.0, rows=3000, first={"a": 104.1, "b": 106.1}, last={"a": 128.0, "b": 130.0}
    )
    watch.steady = {"rows": 1000, "time": 110.0, "driver": 5.0, "bytes": 1_000_000, "raylet": 1.0, "head": 1.0}
    watch.end = {"rows": 3000, "time": 130.0, "driver": 6.0, "bytes": 1_200_000, "raylet": 1.2, "head": 1.1}
    found = figures(watch, ended=131.5, pace=Pace(8, 0.1))
    assert found == {
        **{"actors": 2, "workers": 16, "rows": 3000, "rows_per_s": 100.0, "busy": 0.05},
        **{"driver_s": 0.5, "raylet_s": 0.1, "head_s": 0.05, "driver_kb": 100},
        **{"start_s": 5.0, "idle_s": 1.0, "end_s": 1.5},
    }


def test_a_run_whose_actors_never_all_worked_measures_nothing() -> None:
    def rows() -> Iterator[list[Row]]:
        return iter(())

    watch = Watch(actors=2, photos=0)
    assert list(watch.taken(rows())) == []
    with pytest.raises(GlassegError, match="--seconds"):
        figures(watch, ended=1.0, pace=Pace(8, 0.1))


def test_the_error_of_a_run_is_that_of_the_command() -> None:
    with pytest.raises(GlassegError, match="no photos in"):
        _apart(1, Pace(8, 0.1), 0, verbose=False)


def test_a_run_whose_process_dies_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def kill() -> None:
        while not (begun := [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]):
            time.sleep(0.05)
        begun[0].kill()

    with ThreadPoolExecutor(1) as pool, pytest.raises(GlassegError, match="a process of the bench died"):
        pool.submit(kill)
        _apart(1, Pace(8, 0.1), 10, verbose=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.ray
@pytest.mark.slow
def test_a_short_run_of_sleepers_is_measured() -> None:
    command = [sys.executable, "-m", "jobs.cli", "bench", "scale", "--actors=1", "--actors=2", "--seconds=30"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    one, two, eager = found["runs"]
    assert (one["rows"], two["rows"], one["workers"], two["workers"], eager["workers"]) == (2400, 4800, 8, 16, None)
    assert 0 < one["rows_per_s"] < 90 and two["rows_per_s"] > 0 < eager["rows_per_s"]  # a sleep takes 100 ms at least
    assert one["driver_s"] > 0 < one["raylet_s"] and found["computed"]["actors"] == 256
    assert "no sleep" in text(found)
