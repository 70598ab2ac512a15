"""`glasseg bench memory`: whether a run stays small however long it gets; N small photos, watched from outside.

Sampled every second: the resident memory and open files of each of the run's processes, and the number of pictures.
Checked at the end: what Ray spilled, and which temporary files are left, including those of other libraries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

import jobs
from glasseg.errors import GlassegError
from glasseg.report import charts
from glasseg.storage.keys import TMP_PREFIX
from jobs.bench.photos import draw, repeat
from jobs.terminal import columns, progress

SIZE: Final = (96, 128)
SECONDS: Final = 1.0
"""Time between two samples."""
SETTLED: Final = 1000
"""Photos after which memory should no longer grow."""
PROCESSES: Final = {
    "driver": f"-m {jobs.__name__} whiten",
    "workers": "MapWorker",
    "raylet": "raylet/raylet",
    "head": "gcs_server",
}
"""What the command line of each kind of process contains."""


def bounded(photos: int, model: str, chart: Path) -> dict[str, Any]:
    """Watch one `glasseg whiten` of `photos` drawn photos; what `--json` prints. The plot goes to `chart`, a PNG.

    Raises GlassegError when the run fails.
    """
    with tempfile.TemporaryDirectory(prefix="gs-", dir="/tmp") as folder:  # Ray's sockets allow only short paths
        place = Path(folder)
        repeat(draw(place / "drawn", SIZE), photos, place / "in")
        seen = list(_watch(place, photos, model))
        left = [path.name for folder in (place / "out" / TMP_PREFIX, place / "tmp") for path in folder.glob("*")]
        spilled = sum(path.stat().st_size for path in (place / "ray").rglob("ray_spilled_objects*/*"))
        summary = json.loads((place / "summary.json").read_text())
    chart.write_bytes(charts.memory_chart([one["photos"] for one in seen], _by_kind(seen, "bytes")))
    return {
        "photos": photos,
        "photos_per_second": summary["photos_per_second"],
        "failed": summary["failed"],
        "memory_mb": {kind: _settled(seen, values, 2**20) for kind, values in _by_kind(seen, "bytes").items()},
        "open_files": {kind: _settled(seen, values, 1) for kind, values in _by_kind(seen, "files").items()},
        "spilled_bytes": spilled,
        "temporary_files_left": left,
        "chart": str(chart),
    }


def _watch(place: Path, photos: int, model: str) -> Iterator[dict[str, Any]]:
    """Start the run, and yield a sample of it every second until it ends."""
    out = place / "out"
    command = [sys.executable, "-P", "-m", jobs.__name__, "whiten", str(place / "in"), str(out), f"--model={model}"]
    command += ["--max-flagged=1", "--stop-above=1", f"--summary-json={place / 'summary.json'}"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
        "RAY_TMPDIR": f"{place}/ray",
        "TMPDIR": f"{place}/tmp",
    }
    (place / "tmp").mkdir()
    with (place / "words").open("w+b") as words, progress(photos, "whiten") as bar:
        process = subprocess.Popen(command, stdout=words, stderr=words, env=environment)
        done = 0
        try:
            while process.poll() is None:
                there = sum(1 for one in os.scandir(out) if one.is_file()) if out.exists() else 0
                if there > done:
                    bar.update(there - done)
                done = there
                yield {"photos": done, **_sample(process.pid)}
                time.sleep(SECONDS)
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            words.seek(0)
            raise GlassegError(f"`glasseg whiten` ended with {process.returncode}: {words.read().decode()[-300:]}")


def _sample(pid: int) -> dict[str, dict[str, int]]:
    """Bytes and open files of the processes at and below `pid`, by kind; the largest where there are several."""
    found: dict[str, dict[str, int]] = {"bytes": {}, "files": {}}
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with suppress(psutil.Error):  # it has ended in the meantime
                command = " ".join(process.cmdline())
                measured = {"bytes": process.memory_info().rss, "files": process.num_fds()}
                for kind in (kind for kind, words in PROCESSES.items() if words in command):
                    for what, value in measured.items():
                        found[what][kind] = max(value, found[what].get(kind, 0))
    return found


def _by_kind(seen: Sequence[dict[str, Any]], what: str) -> dict[str, list[int]]:
    """For each kind of process its values in all samples; 0 before it started."""
    return {kind: [one[what].get(kind, 0) for one in seen] for kind in PROCESSES}


def _settled(seen: Sequence[dict[str, Any]], values: Sequence[int], unit: int) -> dict[str, float]:
    """The medians during the second thousand and the last tenth of the photos, and the largest, in `unit`s."""
    last = seen[-1]["photos"] if seen else 0
    early = [value for one, value in zip(seen, values, strict=True) if SETTLED <= one["photos"] < 2 * SETTLED and value]
    late = [value for one, value in zip(seen, values, strict=True) if one["photos"] >= 0.9 * last and value]
    middle = {
        "early": median(early) if early else 0,
        "late": median(late) if late else 0,
        "largest": max(values, default=0),
    }
    return {name: round(value / unit, 1) for name, value in middle.items()}


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    heads = ("MB, second 1,000", "MB, last tenth", "files, second 1,000", "files, last tenth")
    rows = []
    for kind in PROCESSES:
        memory, files = result["memory_mb"][kind], result["open_files"][kind]
        rows.append((kind, memory["early"], memory["late"], files["early"], files["late"]))
    left = ", ".join(result["temporary_files_left"]) or "none"
    return (
        f"{result['photos']:,} photos, {result['photos_per_second']:.1f} photos/s, {result['failed']} failed\n\n"
        f"{columns({'process': '', **dict.fromkeys(heads, ',.0f')}, rows)}\n\n"
        f"spilled: {result['spilled_bytes']:,} bytes; temporary files left: {left}\nplot: {result['chart']}"
    )
