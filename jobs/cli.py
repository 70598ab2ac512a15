"""The command line: options in, a job called, one exit code out. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from glasseg import __version__
from glasseg.config import (
    LENSES,
    MARKETPLACES,
    PRESETS,
    SHADOWS,
    BenchConfig,
    DemoConfig,
    EvaluateConfig,
    TrainConfig,
    TrainJob,
    WhitenConfig,
)
from glasseg.errors import GlassegError
from jobs.options import Background, GroupedCommand, Marketplaces, Ratio, Workers

_WHITEN, _JOB, _BENCH = WhitenConfig(), TrainJob(), BenchConfig()
_DEMO, _EVALUATE = DemoConfig(), EvaluateConfig()
_MAX_BAD = "Stop when more photos than this can't be used."


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glasseg")
def cli() -> None:
    """Put catalog photos of eyeglasses on pure white: one folder, or millions of objects on S3."""


@cli.command(cls=GroupedCommand, short_help="Put photos on pure white, with a manifest.")
@click.argument("src")
@click.argument("dst")
@click.option("--model", default=_WHITEN.model, show_default=True, help="Model folder, local or s3://.")
@click.option("--mask", is_flag=True, help="Also write the alpha as 8-bit PNG, under DST/_glasseg/masks/.")
@click.option(
    "--format",
    type=click.Choice(["keep", "jpeg", "png", "webp"]),
    default=_WHITEN.format,
    show_default=True,
    help="Format of the pictures; keep writes PNG for TIFF, BMP, AVIF and HEIC.",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=_WHITEN.quality, show_default=True, help="Of JPEG and WebP."
)
@click.option(
    "--background",
    type=Background(),
    metavar="COLOUR",
    default=_WHITEN.background,
    show_default=True,
    help="white, transparent, or a colour such as '#f5f5f5'; transparent writes PNG for JPEG.",
)
@click.option(
    "--lenses",
    type=click.Choice(LENSES),
    default=_WHITEN.lenses,
    show_default=True,
    help="See-through parts: background, or the photo's own pixels.",
)
@click.option(
    "--shadow",
    type=click.Choice(SHADOWS),
    default=_WHITEN.shadow,
    show_default=True,
    help="soft keeps the natural shadow as a neutral grey that fades to the background.",
)
@click.option("--frame", type=Ratio(), help="Width to height of the picture, such as 1:1.  [default: the photo's]")
@click.option(
    "--fill",
    type=click.FloatRange(0.05, 1),
    help="Share of the picture's width or height that the glasses take, such as 0.85.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 20_000),
    help="Longest side in pixels, such as 1600.  [default: the photo's scale]",
)
@click.option("--straighten", is_flag=True, help="Level glasses that are tilted by up to 10 degrees.")
@click.option(
    "--max-upscale",
    type=click.FloatRange(1, 100),
    default=_WHITEN.max_upscale,
    show_default=True,
    help="Enlarge no photo by more; its picture is smaller than --size instead.",
)
@click.option(
    "--for",
    "market",
    type=click.Choice(MARKETPLACES),
    help="Set frame, fill, size, format and check for a marketplace; options given beside it count.",
)
@click.option(
    "--check",
    type=Marketplaces(),
    default=(),
    help="Hold this run's pictures against marketplaces' rules: check_NAME.",
)
@click.option("--overwrite", is_flag=True, help="Replace files in DST that glasseg did not write.")
@click.option("--limit", type=click.IntRange(min=1), help="Do only the first N pending photos.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=_WHITEN.max_pixels,
    show_default=True,
    help="Larger photos are not decoded; they fail as too_large.",
)
@click.option(
    "--max-flagged",
    type=click.FloatRange(0, 1),
    default=_WHITEN.max_flagged,
    show_default=True,
    help="Exit code 3 when more than this share (and at least 5 photos) failed or need review.",
)
@click.option(
    "--workers", type=Workers(), default="auto", show_default=True, help="Worker processes that hold the model."
)
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    default=_WHITEN.cpus_per_worker,
    show_default=True,
    help="CPUs that each worker takes and uses.",
)
@click.option(
    "--gpus-per-worker",
    type=click.FloatRange(min=0),
    default=_WHITEN.gpus_per_worker,
    show_default=True,
    help="GPUs that each worker takes, or a share of one.",
)
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--summary-json", type=click.Path(dir_okay=False), help="Write the summary of the run to this file.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
@click.pass_context
def whiten(context: click.Context, src: str, dst: str, market: str | None, **options: Any) -> None:
    """Put the photos of SRC on white, into DST, with a parquet manifest.

    SRC and DST are folders or s3://bucket/prefix; SRC may be one photo. Photos that are done and have not changed are
    left alone.

    \b
    Examples:
      glasseg whiten photos white
      glasseg whiten s3://shop/raw s3://shop/white --mask
      glasseg whiten photos square --frame 1:1 --fill 0.85 --size 1600 --straighten
      glasseg whiten photos cut-out --background transparent --shadow soft
      glasseg whiten photos amazon --for amazon --check google
    """
    from jobs.whiten import whiten as run

    if market:
        options |= _preset(market, context, options)
    sys.exit(run(src, dst, WhitenConfig(**options)))


def _preset(market: str, context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """What `--for` sets: options of the marketplace's preset that were not given, and its check beside others."""
    from glasseg.marketplaces import preset

    chosen = {name: value for name, value in preset(market).items() if name != "check"}
    given = [name for name in chosen if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if options["background"] == "transparent":
        given.append("format")  # not the preset's, which can't be transparent
    wanted = {name: value for name, value in chosen.items() if name not in given}
    return wanted | {"check": tuple(name for name in MARKETPLACES if name in {*options["check"], market})}


@cli.command(cls=GroupedCommand, short_help="Train the network on labelled photos.")
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
    default=TrainConfig.preset,
    show_default=True,
    help="A whole recipe: ours, or the classic small U-Net.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="At most so many.")
@click.option("--batch", type=click.IntRange(min=1), help="Pictures per step, over all workers.")
@click.option("--patience", type=click.IntRange(min=0), help="Epochs without a better one before it stops; 0: never.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="At its highest.")
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
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--overwrite", is_flag=True, help="Start anew in an OUT that holds a model or an unfinished run.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def train(data: str, out: str, preset: str, preview: Path | None, **options: Any) -> None:
    """Train the network on the labelled photos of DATA and write a model folder, with metrics and pictures, to OUT.

    DATA is a folder or s3://bucket/prefix with NAME.jpg and NAME_mask.png (or .jpg) side by side, or in images/ and
    masks/; or a list (csv, xlsx, parquet) with the columns image and mask, and optionally group, split and kind. OUT is
    a folder or s3://. The same command goes on with a run that was stopped.

    \b
    Examples:
      glasseg train labelled models/mine
      glasseg train s3://shop/labelled s3://shop/models/mine --workers 4 --gpus-per-worker 1
      glasseg train labelled models/classic --preset baseline
    """
    names = {field.name for field in fields(TrainConfig)}
    chosen = {name: options.pop(name) for name in list(options) if name in names}
    config = replace(PRESETS[preset], **{name: value for name, value in chosen.items() if value is not None})
    job = TrainJob(**options)
    if preview:
        from jobs.preview import preview as draw

        draw(data, preview, config, job)
        return
    from jobs.train import train as run

    run(data, out, config, job)


@cli.command(short_help="See it work, without photos of your own.")
@click.option("--out", type=click.Path(file_okay=False), default=_DEMO.out, show_default=True, help="Folder to make.")
@click.option("--photos", type=click.IntRange(min=1), default=_DEMO.photos, show_default=True, help="How many to draw.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=_DEMO.seed, show_default=True, help="Another seed, other glasses."
)
@click.option("--model", default=_DEMO.model, show_default=True, help="Model folder, local or s3://.")
@click.option("--overwrite", is_flag=True, help="Draw and whiten all again, also in a folder that is not from a demo.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def demo(**options: Any) -> None:
    """See it work, without photos of your own: draw a small catalog, put it on white, show both.

    OUT gets photos, white, before-after.png and looks.png (what the picture options do); the manifest is printed as a
    table. A second run does what is new: more drawings, or photos of your own that you put into OUT/photos.

    \b
    Examples:
      glasseg demo
      glasseg demo --photos 30 --seed 1 --out /tmp/demo
    """
    from jobs.demo import demo as run

    sys.exit(run(DemoConfig(**options)))


@cli.command(short_help="Measure how fast this machine is.")
@click.argument("photos_folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--photos", type=click.IntRange(min=8), default=_BENCH.photos, show_default=True, help="Photos timed.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=_BENCH.rounds,
    show_default=True,
    help="How often each way is timed.",
)
@click.option("--model", default=_BENCH.model, show_default=True, help="Model folder, local or s3://.")
@click.option("--workers", type=Workers(), default="auto", show_default=True, help="As with `glasseg whiten`.")
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    default=_BENCH.cpus_per_worker,
    show_default=True,
    help="As with `glasseg whiten`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def bench(photos_folder: Path | None, as_json: bool, **options: Any) -> None:
    """Measure this machine's CPUs: each stage alone, a plain loop, the Ray pipeline, and the start-up.

    Takes the photos of PHOTOS_FOLDER, repeated as needed, or drawn ones of 1600×1200. Let nothing else run meanwhile.

    \b
    Examples:
      glasseg bench
      glasseg bench photos --model models/mine --json
    """
    from jobs.bench import bench as run
    from jobs.benchtable import table

    result = run(photos_folder, BenchConfig(**options))
    click.echo(json.dumps(result, indent=2) if as_json else table(result))


@cli.command(cls=GroupedCommand, short_help="Score a model on labelled photos.")
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
@click.option("--workers", type=Workers(), default="auto", show_default=True, help="As with `glasseg whiten`.")
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    default=_EVALUATE.cpus_per_worker,
    show_default=True,
    help="As with `glasseg whiten`.",
)
@click.option(
    "--gpus-per-worker",
    type=click.FloatRange(min=0),
    default=_EVALUATE.gpus_per_worker,
    show_default=True,
    help="As with `glasseg whiten`.",
)
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
    from jobs.evaluate import evaluate as run

    run(model, data, EvaluateConfig(**options), as_json=as_json)


def main() -> None:
    """Console entry: user's mistakes as one line and exit code 1, interruptions as 130 and 143."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort as abort:  # what click makes of a KeyboardInterrupt
        sys.exit(143 if isinstance(abort.__cause__, Terminated) else 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GlassegError as error:
        click.echo(f"glasseg: {error}", err=True)
        sys.exit(error.exit_code)


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated as Ctrl-C is, with an exit code of its own."""


def _terminate(signum: int, frame: object) -> None:
    raise Terminated


if __name__ == "__main__":
    main()
