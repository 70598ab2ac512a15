"""`glasseg evaluate`: how well a model's masks fit labelled photos, at full size and with the alpha of whiten."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import Any, Final

import click
import pyarrow as pa
import pyarrow.parquet as pq

from glasseg.config import EvaluateConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.evaluation import metrics
from glasseg.evaluation.testset import Composites, settings_of
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
from jobs.evaluate.judge import BATCH_ROWS, SCORES, Judged, Task, judge
from jobs.evaluate.table import table
from jobs.terminal import progress, say

SCORES_NAME: Final = "scores.parquet"
SUMMARY, WORST, RANDOM, CURVE = FILES = ("summary.json", "worst.png", "random.png", "precision-recall.png")
"""The files that are written next to the scores."""
NAMED: Final = 20


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
    out = _out(config.out, data, overwrite=config.overwrite, endpoint_url=config.endpoint_url) if config.out else None
    found = pairs.find(data, endpoint_url=config.endpoint_url)
    if config.composites:
        Composites(found, config.endpoint_url, settings_of(found))  # raises here what a worker would
    problems = [] if config.composites else [one for one in found.problems if config.split in {None, one.split}]
    if len(problems) > config.max_bad:  # otherwise they are named at the end, with those found on the way
        refuse_bad(problems, config.max_bad)
    numbers = [] if config.composites else _numbers(data, found, config.split)
    _say_caveats(folder, data, found, numbers)
    with judging_pool(
        config.address,
        workers=config.workers,
        cpus=config.cpus_per_worker,
        gpus=config.gpus_per_worker,
        verbose=config.verbose,
    ) as pool:
        judged = judge_all(
            folder,
            replace(found, problems=problems),
            numbers,
            pool,
            workers=config.workers,
            composites=config.composites,
            shown=config.worst,
            max_bad=config.max_bad,
            endpoint_url=config.endpoint_url,
        )
    if not judged.rows:
        raise GlassegError(f"nothing in {data} could be judged")
    name = name_of(data)
    command = _command(name, config.composites, config.split)
    found_out = {"model": folder.spec.model_id, "data": name, "command": command, **judged.summary()}
    if out:
        write(out, judged, found_out, folder.spec.threshold)
    click.echo(json.dumps(_json(found_out, judged), indent=1, allow_nan=False) if as_json else table(found_out))
    if config.record:
        record(model, found_out, config.endpoint_url)


@contextmanager
def judging_pool(
    address: str | None, *, workers: int | None, cpus: int | None, gpus: float | None, verbose: bool
) -> Iterator[sizing.Pool]:
    """Connect to Ray for the time of the block; what its nodes have room for. `cpus` and `gpus`: of each worker."""
    with engine(address, cpus=max(available_cpus(), (workers or 1) * (cpus or 1)), verbose=verbose):
        yield sizing.connected(cpus, gpus)


def judge_all(
    model: ModelFolder,
    found: pairs.Found,
    numbers: Sequence[int],
    pool: sizing.Pool,
    *,
    workers: int | None,
    composites: int,
    shown: int,
    max_bad: int,
    endpoint_url: str | None,
) -> Judged:
    """Judge the pairs with these numbers and this many composites by Ray, with `workers` of `pool`, None for all.

    `shown` panels are kept of the worst photos and of others. Names what can't be judged, and raises GlassegError when
    that is more than `max_bad`.
    """
    settings = settings_of(found) if composites else ()
    task = Task(found, settings, endpoint_url, cpus=pool.cpus, gpus=pool.gpus)
    total = len(numbers) + composites
    most, _ = pool.bounds(workers, max(1, math.ceil(total / BATCH_ROWS)))
    with nullcontext() if total < BATCH_ROWS else progress(total, "judge") as bar:
        judged = judge(
            model,
            task,
            pairs=numbers,
            composites=composites,
            workers=most,
            shown=shown,
            max_bad=max_bad,
            progress=bar,
        )
    refuse_bad(judged.problems, max_bad)
    return judged


def refuse_unwritable(model: str, what: str, endpoint_url: str | None) -> None:
    """Raises GlassegError when `what`, an option or a command, can't write into the model's folder."""
    if model == model_folder.PACKAGED:
        raise GlassegError(f"{what} writes into the model's folder: give that folder instead of packaged")
    check_writable(open_root(model, endpoint_url=endpoint_url))


def _out(uri: str, data: str, *, overwrite: bool, endpoint_url: str | None) -> Root:
    """Where the files go. Raises GlassegError when one of them exists, or the place can't be written to."""
    refuse_nested(data, uri)
    out = open_root(uri, endpoint_url=endpoint_url)
    check_writable(out)
    taken = [name for name in (SCORES_NAME, *FILES) if out.exists(name)]
    if taken and not overwrite:
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
    seen = sum(found.pairs[number].split == Split.TRAIN for number in numbers)
    if numbers and others:
        say(f"  {others} products and cutouts left out: --composites N judges them on backgrounds")
    if seen:
        say(f"  {seen} of these {len(numbers)} photos are in the split train: their scores say little about others")
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


def _command(name: str, composites: int, split: str | None) -> str:
    options = [f"--composites {composites}"] if composites else []
    options += [f"--split {split}"] if split else []
    return " ".join(["glasseg evaluate MODEL", name, *options])


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
        out.sync(files)
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
