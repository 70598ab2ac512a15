"""`glasseg train`: options in, a job called."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import click
import cloup

from glasseg.config import PRESETS, Loss, Precision, TrainConfig, TrainJob
from jobs.options import Sides, address_option, endpoint_url_option, max_bad_option, verbose_option

_JOB = TrainJob()


def _recipe(help: str, name: str) -> str:
    """`help` with the default preset's value; click's own default is None, so that options not given are known."""
    value = getattr(PRESETS[TrainConfig.preset], name)
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return f"{help}  [default: {shown}, preset {TrainConfig.preset}]"


@cloup.command(short_help="Train the network on labelled photos.")
@cloup.argument("data")
@cloup.argument("out")
@cloup.option_group(
    "Data",
    cloup.option("--cutouts", help="Folder or s3:// of RGBA pictures, laid on backgrounds on the fly."),
    cloup.option("--backgrounds", help="Folder or s3:// of photos without glasses, to lay products and cutouts on."),
    cloup.option("--val", help="Labelled photos to validate on; then all of DATA is trained on."),
    cloup.option(
        "--corrections",
        multiple=True,
        help="Folder or s3:// written by `glasseg whiten`: learn from what people corrected or approved there, too. "
        "May be given several times.",
    ),
    max_bad_option,
    cloup.option(
        "--preview",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Draw 32 training pairs into this file, then exit.",
    ),
    cloup.option(
        "--overwrite", is_flag=True, help="Start from scratch in an OUT that holds a model or an unfinished run."
    ),
)
@cloup.option_group(
    "Recipe",
    cloup.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        help=f"A whole recipe: ours, or the classic small U-Net.  [default: {TrainConfig.preset}]",
    ),
    cloup.option("--epochs", type=click.IntRange(min=1), help=_recipe("Largest number of epochs.", "epochs")),
    cloup.option("--batch", type=click.IntRange(min=1), help=_recipe("Pictures per step, over all workers.", "batch")),
    cloup.option(
        "--patience",
        type=click.IntRange(min=0),
        help=_recipe("Stop after this many epochs without a better one; 0: never.", "patience"),
    ),
    cloup.option(
        "--learning-rate",
        type=click.FloatRange(min=0, min_open=True),
        help=_recipe("The rate at its highest.", "learning_rate"),
    ),
    cloup.option(
        "--cooldown",
        type=click.IntRange(min=0),
        help=_recipe("The last epochs, in which the rate falls to zero.", "cooldown"),
    ),
    cloup.option("--sides", type=Sides(), help=_recipe("Sides of the training pictures in pixels, in turn.", "sides")),
    cloup.option(
        "--loss",
        type=click.Choice(get_args(Loss)),
        help=_recipe("Cross-entropy of each pixel, or that and the overlap.", "loss"),
    ),
    cloup.option(
        "--precision",
        type=click.Choice(get_args(Precision)),
        help=_recipe("mixed: bfloat16 where the hardware has it.", "precision"),
    ),
    cloup.option(
        "--validation-share",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help=_recipe("Share of the groups to validate on, where DATA does not name splits.", "validation_share"),
    ),
    cloup.option("--drawn", type=click.IntRange(min=0), help=_recipe("Drawn photos in an epoch.", "drawn")),
    cloup.option(
        "--scene-repeats",
        type=click.IntRange(min=1),
        help=_recipe("Times an epoch shows each labelled photo.", "scene_repeats"),
    ),
    cloup.option(
        "--correction-repeats",
        type=click.IntRange(min=1),
        help=_recipe("Times an epoch shows each photo that a person corrected.", "correction_repeats"),
    ),
    cloup.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        help=_recipe("Seed of the split, the order and the augmentation.", "seed"),
    ),
    cloup.option("--start-from", help="Model folder whose weights are the start."),
)
@cloup.option_group(
    "Workers",
    cloup.option("--workers", type=click.IntRange(min=1), default=_JOB.workers, help="Processes that train."),
    cloup.option(
        "--cpus-per-worker",
        type=click.IntRange(min=1),
        help="CPUs of each process.  [default: an even share of this machine, 1 on a cluster]",
    ),
    cloup.option(
        "--gpus-per-worker", type=click.IntRange(0, 1), default=_JOB.gpus_per_worker, help="GPUs of each process."
    ),
    cloup.option(
        "--loader-cpus",
        type=click.IntRange(min=1),
        default=_JOB.loader_cpus,
        help="CPUs for each worker to make its pictures.",
    ),
    cloup.option(
        "--checkpoint-minutes",
        type=click.FloatRange(min=0),
        default=_JOB.checkpoint_minutes,
        help="Keep a checkpoint this often within an epoch, too.",
    ),
    address_option,
)
@endpoint_url_option
@verbose_option
def train(data: str, out: str, preview: Path | None, **options: Any) -> None:
    """Train the network on the labelled photos of DATA and write a model folder, with metrics and pictures, to OUT.

    DATA is a folder or s3://bucket/prefix with NAME.jpg and NAME_mask.png (or .jpg) side by side, or in images/ and
    masks/; or a list (csv, xlsx, parquet) with the columns image and mask, and optionally group, split and kind. OUT is
    a folder or s3://. The same command resumes a run that was stopped, with the options that the run began with except
    --epochs, --cooldown, --sides, --learning-rate and --patience, where given: so a long run can be brought to an end.

    \b
    Examples:
      glasseg train labelled models/mine
      glasseg train s3://shop/labelled s3://shop/models/mine --workers 4 --gpus-per-worker 1
      glasseg train labelled models/classic --preset baseline
    """
    names = {field.name for field in fields(TrainConfig)}
    given = {name: options.pop(name) for name in list(options) if name in names}
    chosen = {name: value for name, value in given.items() if value is not None}
    config = replace(PRESETS[chosen.get("preset", TrainConfig.preset)], **chosen)
    job = TrainJob(**options)
    if preview:
        from jobs.train.preview import preview as draw

        draw(data, preview, config, job)
        return
    from jobs.train.run import train as run

    run(data, out, config, job, chosen=chosen.keys())
