"""What `glasseg bench` found, in numbers for `--json` and as a table for people."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest, to three decimals."""
    return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def summary(rates: dict[str, list[float]]) -> dict[str, Any]:
    """The better bare loop (by its median) against the pipeline, from the photos/s of each round."""
    loops = {name: values for name, values in rates.items() if name != "pipeline"}
    best = max(loops, key=lambda name: median(loops[name]))
    bare, pipeline = median(loops[best]), median(rates["pipeline"])
    return {
        "ratio": round(pipeline / bare, 4),
        "bare_photos_per_s": round(bare, 2),
        "pipeline_photos_per_s": round(pipeline, 2),
        "bare_loop": best,
        "spread": {
            "ratio": spread([p / b for p, b in zip(rates["pipeline"], loops[best], strict=True)]),
            **{name: spread(values) for name, values in rates.items()},
        },
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on: processor, memory, versions, and the arithmetic of the network."""
    from glasseg.segmenter import compute_policy

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
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
    loops = [name for name in rates if name not in {"ratio", "pipeline"}]
    height, width = result["size"]
    stages = {**result["stages"], "one after the other": result["all_stages_one_core"]}
    lines = [
        f"{result['photos']} photos of {width}×{height}, {result['rounds']} rounds, model {result['model_id']}",
        f"{here['cpu']}, {here['cores']} cores, {here['memory_gb']} GB, {here['compute_dtype']}, "
        f"load {here['load_before']}",
        f"python {here['python']}, ray {here['ray']}, tensorflow {here['tensorflow']}, keras {here['keras']}, "
        f"opencv {here['opencv']}",
        "",
        f"{'one stage alone, one core':<34}{'photos/s':>9}{'ms a photo':>13}",
        *(f"  {name:<32}{rate:>9.1f}{1000 / rate:>13.1f}" for name, rate in stages.items()),
        "",
        f"{'steady state':<34}{'photos/s':>9}{'min–max':>13}",
        *(_line(f"bare loop, {name}", rates[name]) for name in loops),
        _line(f"Ray, {result['workers']} × {result['cpus_per_worker']} CPU", rates["pipeline"]),
        "",
        _line("Ray / better bare loop", {**rates["ratio"], "median": result["ratio"]}, digits=3),
        f"  {'first photo after':<32}{result['startup_s']:>7.1f} s",
        f"  {'whole `glasseg whiten` in':<32}{result['command_s']:>7.1f} s",
    ]
    return "\n".join(lines)


def _line(name: str, rates: dict[str, float], digits: int = 1) -> str:
    low_high = f"{rates['min']:.{digits}f}–{rates['max']:.{digits}f}"
    return f"  {name:<32}{rates['median']:>9.{digits}f}{low_high:>13}"
