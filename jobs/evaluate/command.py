"""`glasseg evaluate` and `glasseg calibrate`: options in, a job called."""

from __future__ import annotations

from typing import Any

import click
import cloup

from glasseg.config import CalibrateConfig, EvaluateConfig
from jobs.options import endpoint_url_option, max_bad_option, verbose_option, worker_options

_EVALUATE, _CALIBRATE = EvaluateConfig(), CalibrateConfig()


@cloup.command(short_help="Score a model on labelled photos.")
@cloup.argument("model")
@cloup.argument("data")
@cloup.option_group(
    "Data",
    cloup.option(
        "--composites",
        type=click.IntRange(min=0),
        default=_EVALUATE.composites,
        help="Score N composites instead, made of DATA's validation products and backgrounds.",
    ),
    cloup.option("--split", help="Only the photos of this split of DATA's list."),
    max_bad_option,
)
@cloup.option_group(
    "Results",
    cloup.option("--out", help="Folder or s3:// for scores.parquet, sheets of photos, and the precision-recall curve."),
    cloup.option("--worst", type=click.IntRange(min=1), default=_EVALUATE.worst, help="Photos on each sheet."),
    cloup.option("--record", is_flag=True, help="Note the result in MODEL's model.json and MODEL_CARD.md."),
    cloup.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the scores of every photo."),
    cloup.option("--overwrite", is_flag=True, help="Replace the scores in --out."),
)
@worker_options
@endpoint_url_option
@verbose_option
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


@cloup.command(short_help="Fit a model's estimate of the quality of its masks.")
@cloup.argument("model")
@cloup.argument("data")
@cloup.option_group(
    "Data",
    cloup.option(
        "--composites",
        type=click.IntRange(min=0),
        default=_CALIBRATE.composites,
        help="Composites in addition to the photos, made of DATA's validation products and backgrounds.",
    ),
    max_bad_option,
)
@worker_options
@endpoint_url_option
@verbose_option
def calibrate(model: str, data: str, **options: Any) -> None:
    """Fit MODEL's estimate of the quality of its masks on the labelled photos of DATA, and store it in MODEL.

    MODEL is a model folder; DATA is laid out as for `glasseg train`. The photos of the split validation are used, or
    all of them where DATA names no such split: give photos that the model was not trained on. The pictures that MODEL
    makes stay the same, so no photo becomes pending. `glasseg train` does the same at its end.

    \b
    Examples:
      glasseg calibrate models/mine labelled-others
      glasseg calibrate models/mine s3://shop/labelled-others --composites 0
    """
    from jobs.evaluate.calibrate import calibrate as run

    run(model, data, CalibrateConfig(**options))
