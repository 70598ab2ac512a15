"""`glasseg train`: options in, a job called."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from glasseg.config import PRESETS, CalibrateConfig, EvaluateConfig, TrainConfig, TrainJob
from jobs.options import GroupedCommand, Sides

_JOB, _EVALUATE, _CALIBRATE = TrainJob(), EvaluateConfig(), CalibrateConfig()
_MAX_BAD = "Stop when more photos than this can't be used."


@click.command(cls=GroupedCommand, short_help="Train the network on labelled photos.")
@click.argument("data")
@click.argument("out")
@click.option("--cutouts", help="Folder or s3:// of RGBA pictures, laid on backgrounds on the fly.")
@click.option("--backgrounds", help="Folder or s3:// of photos without glasses, to lay products and cutouts on.")
@click.option("--val", help="Labelled photos to validate on; then all of DATA is trained on.")
@click.option(
    "--max-bad",
    type=click.IntRange(min=0),
    default=_JOB.max_bad,
    show_default=True,
    help="Stop when more can't be used.",
)
@click.option("--preview", type=click.Path(dir_okay=False, path_type=Path), help="Draw 32 training pairs, then exit.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    show_default=TrainConfig.preset,
    help="A whole recipe: ours, or the classic small U-Net.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="At most so many.")
@click.option("--batch", type=click.IntRange(min=1), help="Pictures per step, over all workers.")
@click.option("--patience", type=click.IntRange(min=0), help="Epochs without a better one before it stops; 0: never.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="At its highest.")
@click.option("--cooldown", type=click.IntRange(min=0), help="The last epochs, in which the rate falls to zero.")
@click.option("--sides", type=Sides(), help="Sides of the training pictures, in turn, as in 256,384,512.")
@click.option("--loss", type=click.Choice(["bce", "bce_dice"]), help="Of a pixel, or of pixels and overlap.")
@click.option("--precision", type=click.Choice(["mixed", "float32"]), help="mixed: bfloat16 where the hardware has it.")
@click.option("--validation-share", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Of the groups.")
@click.option("--drawn", type=click.IntRange(min=0), help="Drawn photos in an epoch.")
@click.option("--scene-repeats", type=click.IntRange(min=1), help="Times an epoch shows each labelled photo.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the split, the order and the augmentation.")
@click.option("--start-from", help="Model folder whose weights are the start.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=_JOB.workers, show_default=True, help="Processes that train."
)
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    help="Of each process; an even share of this machine, 1 on a cluster.",
)
@click.option(
    "--gpus-per-worker", type=click.IntRange(0, 1), default=_JOB.gpus_per_worker, show_default=True, help="0 or 1."
)
@click.option(
    "--loader-cpus",
    type=click.IntRange(min=1),
    default=_JOB.loader_cpus,
    show_default=True,
    help="For each worker, to make its pictures.",
)
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(min=0),
    default=_JOB.checkpoint_minutes,
    show_default=True,
    help="Keep a checkpoint this often within an epoch, too.",
)
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--overwrite", is_flag=True, help="Start anew in an OUT that holds a model or an unfinished run.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def train(data: str, out: str, preview: Path | None, **options: Any) -> None:
    """Train the network on the labelled photos of DATA and write a model folder, with metrics and pictures, to OUT.

    DATA is a folder or s3://bucket/prefix with NAME.jpg and NAME_mask.png (or .jpg) side by side, or in images/ and
    masks/; or a list (csv, xlsx, parquet) with the columns image and mask, and optionally group, split and kind. OUT is
    a folder or s3://. The same command goes on with a run that was stopped, as it was but for --epochs, --cooldown,
    --sides, --learning-rate and --patience, if they are given: so a long run is brought to its end.

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
