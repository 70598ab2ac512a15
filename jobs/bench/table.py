"""What `glasseg bench pipeline` found, in numbers for `--json` and as a table for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

PIPELINE: Final = "pipeline"
ONE_ACTOR: Final = "pipeline, one actor"
RECIPE: Final = "Ray Data's recipe"
POOL: Final = "multiprocessing.Pool"
"""Names of what is measured beside the bare loops; the last three only by `--versus`."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest, to three decimals."""
    return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def summary(rates: dict[str, list[float]], price_per_hour: float | None = None) -> dict[str, Any]:
    """The pipeline against the better bare loop (by its median) and the rivals, from the photos/s of each round.

    `price_per_hour`: of the machine, in dollars.
    """
    ours, loops = rates[PIPELINE], {name: rates[name] for name in loop_names(rates)}
    best = max(loops, key=lambda name: median(loops[name]))
    bare, pipeline = median(loops[best]), median(ours)
    others = [name for name in (ONE_ACTOR, RECIPE, POOL) if name in rates]
    return {
        "ratio": round(pipeline / bare, 4),
        "bare_photos_per_s": round(bare, 2),
        "pipeline_photos_per_s": round(pipeline, 2),
        "bare_loop": best,
        "versus": {name: ratios(ours, rates[name]) for name in others},
        "photos_per_dollar": round(pipeline * 3600 / price_per_hour) if price_per_hour else None,
        "spread": {
            "ratio": ratios(ours, loops[best]),
            **{name: spread(values) for name, values in rates.items()},
        },
    }


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The `spread` of the quotients, round by round."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def loop_names(rates: Iterable[str]) -> list[str]:
    """Those of the names that are bare loops."""
    return [name for name in rates if name not in {"ratio", PIPELINE, ONE_ACTOR, RECIPE, POOL}]


def machine() -> dict[str, Any]:
    """What the numbers depend on: processor, memory, versions, and the arithmetic of the network."""
    from glasseg.model.segmenter import compute_policy

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "ray": _version("ray"),
        "tensorflow": _version("tensorflow", "tensorflow-cpu"),
        "keras": _version("keras"),
        "opencv": _version("opencv-python-headless", "opencv-python"),
        "compute_dtype": compute_policy(on_gpu=False),
    }


def _version(*names: str) -> str:
    """The version of the first of these distributions that is installed."""
    installed = [found.version for name in names for found in metadata.distributions(name=name)]
    return installed[0] if installed else "unknown"


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    here, rates = result["machine"], result["spread"]
    others = [name for name in (ONE_ACTOR, RECIPE, POOL) if name in rates]
    height, width = result["size"]
    stages = {**result["stages"], "one after the other": result["all_stages_one_core"]}
    lines = [
        f"{result['photos']} photos of {width}×{height}, {result['rounds']} rounds, model {result['model_id']}",
        *machine_lines(here),
        "",
        f"{'one stage alone, one core':<34}{'photos/s':>9}{'ms a photo':>13}",
        *(f"  {name:<32}{rate:>9.1f}{1000 / rate:>13.1f}" for name, rate in stages.items()),
        "",
        f"{'steady state':<34}{'photos/s':>9}{'min–max':>13}",
        *(line(f"bare loop, {name}", rates[name]) for name in loop_names(rates)),
        line(f"pipeline, {result['workers']} × {result['cpus_per_worker']} CPU", rates[PIPELINE]),
        *(line(name, rates[name]) for name in others),
        "",
        line("pipeline / better bare loop", {**rates["ratio"], "median": result["ratio"]}, digits=3),
        *(line(f"pipeline / {name}", result["versus"][name], digits=3) for name in others if name != ONE_ACTOR),
        f"  {'first photo after':<32}{result['startup_s']:>7.1f} s",
        f"  {'whole `glasseg whiten` in':<32}{result['command_s']:>7.1f} s",
        *([f"  {'photos per dollar':<32}{result['photos_per_dollar']:>9,}"] if result["photos_per_dollar"] else []),
    ]
    return "\n".join(lines)


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """A `machine` for people."""
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['compute_dtype']}, "
        f"load {machine['load_before']}",
        f"python {machine['python']}, ray {machine['ray']}, tensorflow {machine['tensorflow']}, "
        f"keras {machine['keras']}, opencv {machine['opencv']}",
    ]


def line(name: str, rates: dict[str, float], digits: int = 1) -> str:
    """One row of a table: median, smallest and largest."""
    low_high = f"{rates['min']:.{digits}f}–{rates['max']:.{digits}f}"
    return f"  {name:<32}{rates['median']:>9.{digits}f}{low_high:>13}"
