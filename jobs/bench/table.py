"""What `glasseg bench pipeline` found, in numbers for `--json` and as a table for people."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any, Final

from jobs.bench import machine
from jobs.bench.spread import ratios, spread
from jobs.bench.spread import table as spread_table
from jobs.terminal import columns

PIPELINE: Final = "pipeline"
ONE_ACTOR: Final = "pipeline, one actor"
RECIPE: Final = "Ray Data's recipe"
POOL: Final = "multiprocessing.Pool"
REMBG: Final = "rembg"
"""Names of what is measured in addition to the plain loops."""
OTHERS: Final = (ONE_ACTOR, RECIPE, POOL, REMBG)
"""What the pipeline is compared with where it was measured: three with `--versus`, rembg with `--versus-rembg`."""


def summary(rates: dict[str, list[float]], price_per_hour: float | None = None) -> dict[str, Any]:
    """The pipeline against the better plain loop (by its median) and the alternatives, from the photos/s of each round.

    `price_per_hour` of the machine in dollars.
    """
    ours, loops = rates[PIPELINE], {name: rates[name] for name in loop_names(rates)}
    best = max(loops, key=lambda name: median(loops[name]))
    plain, pipeline = median(loops[best]), median(ours)
    others = [name for name in OTHERS if name in rates]
    return {
        "ratio": round(pipeline / plain, 4),
        "plain_photos_per_s": round(plain, 2),
        "pipeline_photos_per_s": round(pipeline, 2),
        "plain_loop": best,
        "versus": {name: ratios(ours, rates[name]) for name in others},
        "photos_per_dollar": round(pipeline * 3600 / price_per_hour) if price_per_hour else None,
        "spread": {
            "ratio": ratios(ours, loops[best]),
            **{name: spread(values) for name, values in rates.items()},
        },
    }


def loop_names(rates: Iterable[str]) -> list[str]:
    """Those of the names that are plain loops."""
    return [name for name in rates if name not in {"ratio", PIPELINE, *OTHERS}]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    rates = result["spread"]
    others = [name for name in OTHERS if name in rates]
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
        + machine.lines(result["machine"])
        + ("\nrembg {rembg}, onnxruntime {onnxruntime}, {model}".format(**result["rembg"]) if result["rembg"] else ""),
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
