"""`glasseg calibrate`: how a model predicts the quality of its masks, fitted on photos it was not trained on."""

from __future__ import annotations

import click

from glasseg.config import CalibrateConfig
from glasseg.errors import GlassegError
from glasseg.evaluation import calibration
from glasseg.evaluation.calibration import Evidence
from glasseg.labels import pairs
from glasseg.labels.pairs import Found, Kind, Split
from glasseg.model import card as model_card
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage.roots import name_of
from jobs.evaluate.run import judge_all, judging_pool, refuse_unwritable, unchanged
from jobs.evaluate.table import quality_table
from jobs.terminal import say


def calibrate(model: str, data: str, config: CalibrateConfig) -> None:
    """Judge the validation photos of `data`, fit a calibration, write it into `model`, and print how good it is.

    Raises GlassegError when there are too few photos, too many can't be used, or a place can't be used.
    """
    folder = model_folder.load(model, endpoint_url=config.endpoint_url)
    refuse_unwritable(model, "calibrate", config.endpoint_url)
    found = pairs.find(data, endpoint_url=config.endpoint_url)
    numbers, composites = _photos(folder, data, found), _composites(found, config.composites)
    if len(numbers) + composites < calibration.LEAST:
        raise _too_few(len(numbers) + composites, data)
    with judging_pool(
        config.address,
        workers=config.workers,
        cpus=config.cpus_per_worker,
        gpus=config.gpus_per_worker,
        verbose=config.verbose,
    ) as pool:
        judged = judge_all(
            folder,
            found,
            numbers,
            pool,
            workers=config.workers,
            composites=composites,
            shown=0,
            max_bad=config.max_bad,
            endpoint_url=config.endpoint_url,
        )
    evidence = Evidence.of(judged.rows)
    if not evidence.enough:
        raise _too_few(len(evidence.truth), data)
    fitted, worth = calibration.calibrate(evidence)
    spec = unchanged(model, folder.spec.model_id, config.endpoint_url)
    training = {**spec.training, "quality": {"data": name_of(data), **worth}}
    model_card.renew(model, training, calibration=fitted, endpoint_url=config.endpoint_url)
    say(f"  {spec.model_id} predicts quality by calibration {fitted.id} from now on")
    click.echo(quality_table(worth))


def _too_few(count: int, data: str) -> GlassegError:
    return GlassegError(
        f"{count} masks of {data} can be judged, and a calibration takes {calibration.LEAST}, of two groups or more: "
        "label more photos, or let --composites make them"
    )


def _photos(model: ModelFolder, data: str, found: Found) -> list[int]:
    """The numbers of the photos with a background of their own: of the split validation, where it has photos."""
    named = any(pair.split == Split.VALIDATION for pair in found.pairs)
    if not named and model.spec.training.get("data", {}).get("name") == name_of(data):
        say(f"  {model.spec.model_id} was trained on data of this name: the calibration will be too optimistic")
    return [
        number
        for number, pair in enumerate(found.pairs)
        if pair.kind == Kind.SCENE and pair.split == (Split.VALIDATION if named else "")
    ]


def _composites(found: Found, wanted: int) -> int:
    """How many composites can be made: as many as are wanted, or none without products."""
    products = any(pair.split == Split.VALIDATION and pair.kind != Kind.SCENE for pair in found.pairs)
    if wanted and not products:
        say("  no composites: no product or cutout is in the split validation")
    return wanted if products else 0
