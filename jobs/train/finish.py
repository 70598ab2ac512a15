"""The last part of training: the best model is judged at full resolution, and its charts, sheets and card written."""

from __future__ import annotations

from typing import Any, Final

from glasseg.errors import GlassegError, PhotoError
from glasseg.evaluation import calibration, metrics
from glasseg.evaluation.calibration import Evidence
from glasseg.evaluation.testset import settings_of
from glasseg.images import encoder
from glasseg.labels.pairs import Found, Kind, Split
from glasseg.model import card as model_card
from glasseg.model import folder as model_folder
from glasseg.report import charts, contact_sheets
from glasseg.storage import parquet
from glasseg.storage.roots import Root
from jobs.evaluate.judge import Judged, Task, judge
from jobs.terminal import say
from jobs.train.course import Course
from jobs.train.history import HISTORY

SPLIT: Final = "split.csv"
COMPOSITES: Final = 120
"""The most composites that are made of the validation products to judge the model on."""
WEAK: Final = 4
"""The most classes that the card names as weak, and the fewest photos that such a class has."""


def finish(root: Root, course: Course) -> None:
    """Judge the model in `root` on the validation split, and write curves, sheets and the card next to it.

    Ray must be connected. Raises GlassegError when the folder can't be read or written to.
    """
    say("  judging the best epoch on the validation photos, at full resolution")
    model = model_folder.load(root.uri, endpoint_url=course.endpoint_url)
    task, scenes, composites = _task(course)
    judged = judge(model, task, pairs=scenes, composites=composites, workers=course.workers)
    for problem in judged.problems:
        say(f"  not judged: {problem.name}: {problem.reason}")
    if not judged.rows:
        raise GlassegError("no validation photo can be judged: are they still there?")
    try:
        history = parquet.read(root.read(HISTORY)[0]).to_pylist()
        for name, data in _pictures(judged, history, course.config.monitor, model.spec.threshold).items():
            root.write(name, data)
    except PhotoError as error:
        raise GlassegError(f"can't finish the model in {root.uri}: {error}") from error
    training = {**model.spec.training, "history": _totals(history), **_results(judged)}
    evidence, fitted = Evidence.of(judged.rows), None
    if evidence.enough:
        fitted, worth = calibration.calibrate(evidence)
        training["quality"] = {"data": training["data"]["name"], **worth}
    else:
        say(f"  not calibrated: fewer than {calibration.LEAST} validation pictures; see `glasseg calibrate`")
    model_card.renew(root.uri, training, calibration=fitted, endpoint_url=course.endpoint_url)
    scores = training["validation"]
    say(
        f"  best epoch {training['history']['best_epoch']}, {len(judged.rows)} validation pictures: strict IoU "
        f"{scores['photo_iou']:.3f}, boundary F {scores['boundary_f']:.3f}, {scores['share_95']:.0%} at .95 or more"
    )


def _task(course: Course) -> tuple[Task, list[int], int]:
    """What the judging workers must know, the numbers of the validation scenes, and the number of composites to make of
    the validation products and cutouts."""
    found = course.found
    validation = [(i, pair) for i, pair in enumerate(found.pairs) if pair.split == Split.VALIDATION]
    scenes = [i for i, pair in validation if pair.kind == Kind.SCENE]
    products = len(validation) - len(scenes)
    settings = settings_of(found) if products else ()
    task = Task(Found(found.pairs, found.backdrops), settings, course.endpoint_url, course.cpus, course.gpus)
    return task, scenes, min(COMPOSITES, len(settings) * products)


def _pictures(judged: Judged, history: list[dict[str, Any]], monitor: str, threshold: float) -> dict[str, bytes]:
    curve = metrics.precision_recall(judged.histogram)
    return {
        "curves.png": charts.training_curves(history, monitor),
        "precision-recall.png": charts.precision_recall_chart(curve, threshold),
        "worst.png": encoder.encode(contact_sheets.panel_sheet(judged.worst, "Worst validation photos"), "png", 100),
        "random.png": encoder.encode(
            contact_sheets.panel_sheet(judged.random, "Validation photos at random"), "png", 100
        ),
    }


def _totals(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The history summed up in a few numbers."""
    return {
        "epochs": len(history),
        "best_epoch": max(row["epoch"] for row in history if row["best"]),
        "seconds": round(sum(row["seconds"] for row in history)),
        "photos_seen": sum(row["photos"] for row in history),
    }


def _results(judged: Judged) -> dict[str, Any]:
    """What the card says about the validation photos, and where the model is weakest."""
    found = judged.summary()
    classes = [
        {"condition": condition, "bin": word, "n": row["n"], "strict_iou": row["strict_iou"]}
        for condition, rows in found["breakdown"].items()
        for word, row in rows.items()
        if row["n"] >= WEAK
    ]
    mean = found["set"]["photo_iou"]
    weak = sorted((one for one in classes if one["strict_iou"] < mean), key=lambda one: float(one["strict_iou"]))
    return {"validation": {**found["set"], "photos": found["photos"]}, "weak_at": weak[:WEAK]}
