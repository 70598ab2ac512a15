"""What `glasseg bench pipeline` found, in numbers for `--json` and as a table for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from jobs.terminal import columns

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
    rates = result["spread"]
    others = [name for name in (ONE_ACTOR, RECIPE, POOL) if name in rates]
    height, width = result["size"]
    stages = {**result["stages"], "one after the other": result["all_stages_one_core"]}
    steady = {
        **{f"plain loop, {name}": rates[name] for name in loop_names(rates)},
        f"pipeline, {result['workers']} × {result['cpus_per_worker']} CPU": rates[PIPELINE],
        **{name: rates[name] for name in others},
    }
    ratios = {"better plain loop": {**rates["ratio"], "median": result["ratio"]}}
    ratios |= {name: result["versus"][name] for name in others if name != ONE_ACTOR}
    once = {"first photo": result["startup_s"], "whole `glasseg whiten`": result["command_s"]}
    blocks = [
        f"{result['photos']} photos of {width}×{height}, {result['rounds']} rounds, model {result['model_id']}\n"
        + machine_lines(result["machine"]),
        columns(
            {"one stage alone, one core": "", "photos/s": ",.1f", "ms a photo": ".1f"},
            [(name, rate, 1000 / rate) for name, rate in stages.items()],
        ),
        spread_table("steady state", "photos/s", steady),
        spread_table("pipeline compared with", "times", ratios, digits=3),
        columns({"from the start to": "", "seconds": ".1f"}, once.items()),
    ]
    if dollars := result["photos_per_dollar"]:
        blocks.append(f"{dollars:,} photos per dollar")
    return "\n\n".join(blocks)


def machine_lines(machine: dict[str, Any]) -> str:
    """A `machine` for people, in two lines."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['compute_dtype']}, "
        f"load {machine['load_before']}\n"
        f"python {machine['python']}, ray {machine['ray']}, tensorflow {machine['tensorflow']}, "
        f"keras {machine['keras']}, opencv {machine['opencv']}"
    )


def spread_table(what: str, unit: str, measured: Mapping[str, Mapping[str, float]], digits: int = 1) -> str:
    """What was measured, by name, each with its median, and its smallest and largest value."""
    rows = [(name, one["median"], f"{one['min']:.{digits}f}–{one['max']:.{digits}f}") for name, one in measured.items()]
    return columns({what: "", unit: f".{digits}f", "min–max": ">"}, rows)
