"""`glasseg evaluate` and `glasseg calibrate`: options in, a job called."""

from __future__ import annotations

from typing import Any

import click

from glasseg.config import CalibrateConfig, EvaluateConfig, TrainJob
from jobs.options import GroupedCommand, of_workers

_JOB, _EVALUATE, _CALIBRATE = TrainJob(), EvaluateConfig(), CalibrateConfig()
_MAX_BAD = "Stop when more photos than this can't be used."


@click.command(cls=GroupedCommand, short_help="Score a model on labelled photos.")
@click.argument("model")
@click.argument("data")
@click.option(
    "--composites",
    type=click.IntRange(min=0),
    default=_EVALUATE.composites,
    help="Score N test pictures instead, made of DATA's validation products and backgrounds.",
)
@click.option("--split", help="Only the photos of this split of DATA's list.")
@click.option("--max-bad", type=click.IntRange(min=0), default=_EVALUATE.max_bad, show_default=True, help=_MAX_BAD)
@click.option("--out", help="Folder or s3:// for scores.parquet, sheets of photos, and the precision-recall curve.")
@click.option(
    "--worst", type=click.IntRange(min=1), default=_EVALUATE.worst, show_default=True, help="Photos on each sheet."
)
@click.option("--record", is_flag=True, help="Note the result in MODEL's model.json and MODEL_CARD.md.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the scores of every photo.")
@click.option("--overwrite", is_flag=True, help="Replace the scores in --out.")
@of_workers
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def evaluate(model: str, data: str, as_json: bool, **options: Any) -> None:
    """Score MODEL on the labelled photos of DATA, at full resolution and with the alpha that whiten would use.

    MODEL is a model folder or packaged; DATA is laid out as for `glasseg train`. IoU leaves see-through openings
    unscored, strict IoU counts them as background.

    \b
    Examples:
      glasseg evaluate packaged labelled
      glasseg evaluate models/mine s3://shop/labelled-others --out judged --json
    """
    from jobs.evaluate.run import evaluate as run

    run(model, data, EvaluateConfig(**options), as_json=as_json)


@click.command(cls=GroupedCommand, short_help="Fit what a model says of the quality of its masks.")
@click.argument("model")
@click.argument("data")
@click.option(
    "--composites",
    type=click.IntRange(min=0),
    default=_CALIBRATE.composites,
    show_default=True,
    help="Test pictures beside the photos, made of DATA's validation products and backgrounds.",
)
@click.option("--max-bad", type=click.IntRange(min=0), default=_CALIBRATE.max_bad, show_default=True, help=_MAX_BAD)
@of_workers
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def calibrate(model: str, data: str, **options: Any) -> None:
    """Fit on the labelled photos of DATA what MODEL says of the quality of its masks, and note it in MODEL.

    MODEL is a model folder; DATA is laid out as for `glasseg train`. Photos of the split validation count, or all of
    them where DATA names no such split: give photos that the model has not learnt. Its pictures stay as they are, and
    no photo is worked on again for it. `glasseg train` does the same at its end.

    \b
    Examples:
      glasseg calibrate models/mine labelled-others
      glasseg calibrate models/mine s3://shop/labelled-others --composites 0
    """
    from jobs.evaluate.calibrate import calibrate as run

    run(model, data, CalibrateConfig(**options))
