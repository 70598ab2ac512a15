"""`glasseg evaluate`: how well a model's masks fit labelled photos, at full size and with the alpha of whiten."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from typing import Any, Final

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.config import CalibrateConfig, EvaluateConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.evaluation import metrics
from glasseg.evaluation.conditions import CLASSES
from glasseg.evaluation.metrics import PhotoScore
from glasseg.evaluation.testset import Composites, Setting, settings_of
from glasseg.images import encoder
from glasseg.labels import pairs
from glasseg.labels.pairs import Kind, Problem, Split
from glasseg.model import card as model_card
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder, ModelSpec
from glasseg.report import charts, contact_sheets
from glasseg.storage.roots import Root, check_writable, name_of, open_root, refuse_nested, tidy
from jobs import sizing
from jobs.engine import available_cpus, engine
from jobs.evaluate.judge import BATCH_ROWS, RIM_SCORES, SCORES, Judged, Task, judge
from jobs.evaluate.table import table
from jobs.terminal import progress, say

SCORES_NAME: Final = "scores.parquet"
SUMMARY, WORST, RANDOM, CURVE = FILES = ("summary.json", "worst.png", "random.png", "precision-recall.png")
"""The files that are written next to the scores."""
NAMED: Final = 20
METRICS: Final = tuple(one.name for one in fields(PhotoScore))
LOWER_IS_BETTER: Final = {"alpha_error", *RIM_SCORES}
BROKEN_DOWN: Final = ("strict_iou", "openings_left_out", "boundary_f")


def evaluate(model: str, data: str, config: EvaluateConfig, *, as_json: bool) -> None:
    """Print the scores of `model` on the labelled photos of `data`, or on composites of its validation split.

    Raises GlassegError when there is nothing to judge, too many photos can't be used, or a place can't be used.
    """
    config = replace(config, split=config.split.lower() if config.split else None)
    if config.composites and config.split:
        raise GlassegError("--composites takes the validation split: leave out --split", 2)
    folder = model_folder.load(model, endpoint_url=config.endpoint_url)
    if config.record:
        refuse_unwritable(model, "--record", config.endpoint_url)
    out = _out(data, config)
    found = pairs.find(data, endpoint_url=config.endpoint_url)
    if config.composites:
        Composites(found, config.endpoint_url, settings_of(found))  # raises here what a worker would
    problems = [] if config.composites else [one for one in found.problems if config.split in {None, one.split}]
    if len(problems) > config.max_bad:  # otherwise they are named at the end, with those found on the way
        refuse_bad(problems, config.max_bad)
    numbers = [] if config.composites else _numbers(data, found, config.split)
    _say_caveats(folder, data, found, numbers)
    judged = judge_all(
        folder, replace(found, problems=problems), numbers, config, composites=config.composites, shown=config.worst
    )
    if not judged.rows:
        raise GlassegError(f"nothing in {data} could be judged")
    name = name_of(data)
    found_out = {"model": folder.spec.model_id, "data": name, "command": _command(name, config), **summary(judged)}
    if out:
        write(out, judged, found_out, folder.spec.threshold)
    click.echo(json.dumps(_json(found_out, judged), indent=1, allow_nan=False) if as_json else table(found_out))
    if config.record:
        record(model, found_out, config.endpoint_url)


def judge_all(
    model: ModelFolder,
    found: pairs.Found,
    numbers: Sequence[int],
    config: EvaluateConfig | CalibrateConfig,
    *,
    composites: int,
    shown: int,
) -> Judged:
    """Judge the pairs with these numbers and so many composites by Ray, with the workers that `config` asks for.

    `shown` panels are kept of the worst photos and of others. Names what can't be judged, and raises GlassegError when
    that is more than `config.max_bad`.
    """
    cpus = max(available_cpus(), (config.workers or 1) * (config.cpus_per_worker or 1))
    with engine(config.address, cpus=cpus, verbose=config.verbose):
        pool = sizing.connected(config.cpus_per_worker, config.gpus_per_worker)
        settings = settings_of(found) if composites else ()
        task = Task(found, settings, config.endpoint_url, cpus=pool.cpus, gpus=pool.gpus)
        total = len(numbers) + composites
        workers, _ = pool.bounds(config.workers, max(1, math.ceil(total / BATCH_ROWS)))
        with nullcontext() if total < BATCH_ROWS else progress(total, "judge") as bar:
            judged = judge(
                model,
                task,
                pairs=numbers,
                composites=composites,
                workers=workers,
                shown=shown,
                max_bad=config.max_bad,
                progress=bar,
            )
    refuse_bad(judged.problems, config.max_bad)
    return judged


def refuse_unwritable(model: str, what: str, endpoint_url: str | None) -> None:
    """Raises GlassegError when `what`, an option or a command, can't write into the model's folder."""
    if model == model_folder.PACKAGED:
        raise GlassegError(f"{what} writes into the model's folder: give that folder instead of packaged")
    check_writable(open_root(model, endpoint_url=endpoint_url))


def _out(data: str, config: EvaluateConfig) -> Root | None:
    """Where the files go. Raises GlassegError when one of them exists, or the place can't be written to."""
    if not config.out:
        return None
    refuse_nested(data, config.out)
    out = open_root(config.out, endpoint_url=config.endpoint_url)
    check_writable(out)
    taken = [name for name in (SCORES_NAME, *FILES) if out.exists(name)]
    if taken and not config.overwrite:
        raise GlassegError(f"{out.uri} already holds {taken[0]}: choose another place, or add --overwrite")
    return out


def _numbers(data: str, found: pairs.Found, split: str | None) -> list[int]:
    """The numbers of the pairs that are judged as they are. Raises GlassegError when there are none."""
    numbers = [
        number
        for number, pair in enumerate(found.pairs)
        if pair.kind == Kind.SCENE and (split is None or pair.split == split)
    ]
    if not numbers:
        where = f"of the split {split} " if split else ""
        raise GlassegError(
            f"no labelled photo {where}with a background of its own in {data}; products and cutouts are judged "
            "by --composites N"
        )
    return numbers


def _say_caveats(model: ModelFolder, data: str, found: pairs.Found, numbers: Sequence[int]) -> None:
    """Report what a reader of the scores should know about the photos `numbers`."""
    others = sum(pair.kind != Kind.SCENE for pair in found.pairs)
    learnt = sum(found.pairs[number].split == Split.TRAIN for number in numbers)
    if numbers and others:
        say(f"  {others} products and cutouts left out: --composites N judges them on backgrounds")
    if learnt:
        say(f"  {learnt} of these {len(numbers)} photos are in the split train: their scores say little about others")
    elif numbers and model.spec.training.get("data", {}).get("name") == name_of(data):
        say(f"  {model.spec.model_id} was trained on data of this name: if it is the same, its scores are too high")


def refuse_bad(problems: Sequence[Problem], max_bad: int) -> None:
    """Name what could not be judged. Raises GlassegError when that is more than `max_bad`."""
    for problem in problems[:NAMED]:
        say(f"  skipped {problem.name}: {problem.reason}")
    if len(problems) > NAMED:
        say(f"  … and {len(problems) - NAMED} more")
    if len(problems) > max_bad:
        raise GlassegError(
            f"{len(problems)} photos can't be judged, more than --max-bad {max_bad}: fix them, or raise it"
        )


def _command(name: str, config: EvaluateConfig) -> str:
    options = [f"--composites {config.composites}"] if config.composites else []
    options += [f"--split {config.split}"] if config.split else []
    return " ".join(["glasseg evaluate MODEL", name, *options])


def summary(judged: Judged) -> dict[str, Any]:
    """Every figure of the set by name; nan where there is none."""
    curve = metrics.precision_recall(judged.histogram)
    return {
        "photos": len(judged.rows),
        "skipped": len(judged.problems),
        "summary": {name: _spread(judged.rows, name) for name in (*METRICS, *_rim_scores(judged.rows))},
        "share_95": float(np.mean([row["strict_iou"] >= 0.95 for row in judged.rows])),
        "set": {**asdict(metrics.set_score(judged.counts)), "average_precision": curve.average_precision},
        "breakdown": breakdown(judged.rows),
    }


def _rim_scores(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The names of the rim's scores, if there are composites, which have them."""
    return RIM_SCORES if any(row["rim_error"] is not None for row in rows) else ()


def _spread(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Mean, median and worst of one score over the photos that have it."""
    values = {row["name"]: row[name] for row in rows if row[name] is not None}
    if not values:
        return {"mean": math.nan, "median": math.nan, "worst": math.nan, "worst_photo": ""}
    worst = (max if name in LOWER_IS_BETTER else min)(values, key=lambda photo: float(values[photo]))
    found = np.array(list(values.values()))
    return {
        "mean": float(found.mean()),
        "median": float(np.median(found)),
        "worst": values[worst],
        "worst_photo": worst,
    }


def breakdown(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By condition and class, in order: the number of photos, the means of `BROKEN_DOWN` and the share at .95."""
    kinds = {row["kind"] for row in rows}
    settings: list[str] = [setting for setting in Setting if setting in kinds]
    classes: dict[str, list[str]] = {"kind": settings} if settings else {}
    classes |= {name: [word for _, word in bins] for name, bins in CLASSES.items()}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for condition, words in classes.items():
        column = "kind" if condition == "kind" else f"{condition}_class"
        groups = {word: [row for row in rows if row[column] == word] for word in words}
        found[condition] = {
            word: {
                "n": len(some),
                **{name: _spread(some, name)["mean"] for name in BROKEN_DOWN},
                "share_95": float(np.mean([row["strict_iou"] >= 0.95 for row in some])),
            }
            for word, some in groups.items()
            if some
        }
    return found


def write(out: Root, judged: Judged, found: dict[str, Any], threshold: float) -> None:
    """Write scores, summary and pictures. Raises GlassegError when one can't be written."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(judged.rows, schema=SCORES), sink)
    files = {
        SUMMARY: json.dumps(_without_nan(found), indent=1, allow_nan=False).encode(),
        WORST: encoder.encode(contact_sheets.panel_sheet(judged.worst, "Worst by strict IoU"), "png", 100),
        RANDOM: encoder.encode(contact_sheets.panel_sheet(judged.random, "A random choice"), "png", 100),
        CURVE: charts.precision_recall_chart(metrics.precision_recall(judged.histogram), threshold),
        SCORES_NAME: sink.getvalue(),
    }
    try:
        for name, data in files.items():
            out.write(name, data)
        tidy(out)
    except PhotoError as error:
        raise GlassegError(f"can't write to {out.uri}: {error}") from error


def record(model: str, found: dict[str, Any], endpoint_url: str | None) -> None:
    """Record an evaluation in the model's json, replacing an earlier one by the same command, and renew its card.

    Raises GlassegError when the folder holds another model now, or can't be written to.
    """
    spec = unchanged(model, found["model"], endpoint_url)
    entry = {key: found[key] for key in ("command", "photos", "summary", "share_95", "set", "breakdown")}
    entry = _without_nan({"name": found["data"], **entry})
    tests = [test for test in spec.training.get("tests", []) if test["command"] != found["command"]]
    training = {**spec.training, "tests": [*tests, entry]}
    model_card.renew(model, training, endpoint_url=endpoint_url)


def unchanged(model: str, model_id: str, endpoint_url: str | None) -> ModelSpec:
    """The model's description as it is now. Raises GlassegError when it is not the model that was judged."""
    spec = model_folder.load(model, endpoint_url=endpoint_url).spec
    if spec.model_id != model_id:
        raise GlassegError(f"{model} has become {spec.model_id} meanwhile, but {model_id} was judged: run it again")
    return spec


def _json(found: dict[str, Any], judged: Judged) -> dict[str, Any]:
    problems = [asdict(problem) for problem in judged.problems]
    result: dict[str, Any] = _without_nan({**found, "problems": problems, "photos_judged": judged.rows})
    return result


def _without_nan(found: Any) -> Any:
    """`found` with None for every nan, which JSON does not have."""
    if isinstance(found, dict):
        return {name: _without_nan(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_without_nan(value) for value in found]
    return None if isinstance(found, float) and math.isnan(found) else found
