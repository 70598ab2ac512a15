"""`glasseg train`: options in, a job called."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import cloup

from glasseg.config import PRESETS, TrainConfig, TrainJob
from jobs.options import Sides, address_option, endpoint_url_option, max_bad_option, verbose_option

_JOB = TrainJob()


@cloup.command(short_help="Train the network on labelled photos.")
@cloup.argument("data")
@cloup.argument("out")
@cloup.option_group(
    "Data",
    cloup.option("--cutouts", help="Folder or s3:// of RGBA pictures, laid on backgrounds on the fly."),
    cloup.option("--backgrounds", help="Folder or s3:// of photos without glasses, to lay products and cutouts on."),
    cloup.option("--val", help="Labelled photos to validate on; then all of DATA is trained on."),
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
    cloup.option("--epochs", type=click.IntRange(min=1), help="Largest number of epochs."),
    cloup.option("--batch", type=click.IntRange(min=1), help="Pictures per step, over all workers."),
    cloup.option(
        "--patience", type=click.IntRange(min=0), help="Stop after this many epochs without a better one; 0: never."
    ),
    cloup.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="The rate at its highest."),
    cloup.option("--cooldown", type=click.IntRange(min=0), help="The last epochs, in which the rate falls to zero."),
    cloup.option("--sides", type=Sides(), help="Sides of the training pictures, in turn, as in 256,384,512."),
    cloup.option(
        "--loss", type=click.Choice(["bce", "bce_dice"]), help="Cross-entropy of each pixel, or that and the overlap."
    ),
    cloup.option(
        "--precision", type=click.Choice(["mixed", "float32"]), help="mixed: bfloat16 where the hardware has it."
    ),
    cloup.option(
        "--validation-share",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="Share of the groups to validate on, where DATA does not name splits.",
    ),
    cloup.option("--drawn", type=click.IntRange(min=0), help="Drawn photos in an epoch."),
    cloup.option("--scene-repeats", type=click.IntRange(min=1), help="Times an epoch shows each labelled photo."),
    cloup.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of the split, the order and the augmentation."
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
