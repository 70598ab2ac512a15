"""The command line: options in, a job called, one exit code out. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

import click

from glasseg import __version__
from glasseg.config import BenchConfig, DemoConfig, TrainConfig, WhitenConfig
from glasseg.errors import GlassegError

_WHITEN, _TRAIN, _BENCH = WhitenConfig(), TrainConfig(), BenchConfig()
_DEMO = DemoConfig()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glasseg")
def cli() -> None:
    """Put catalog photos of eyeglasses on pure white: one folder, or millions of objects on S3."""


class Workers(click.ParamType):
    """`auto` or a number of workers; auto is None."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        return int(click.IntRange(min=1).convert(value, param, ctx))


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings."""

    headings: ClassVar = {
        "Pictures": ("--model", "--mask", "--format", "--quality"),
        "Photos": ("--limit", "--overwrite", "--max-pixels", "--max-flagged"),
        "Workers": ("--workers", "--cpus-per-worker", "--gpus-per-worker", "--address"),
    }

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each heading with its options, and `Other` with the rest, in the order in which they are defined."""
        heading_of = {option: heading for heading, options in self.headings.items() for option in options}
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*self.headings, "Other")}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                groups[heading_of.get(param.opts[-1], "Other")].append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


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
    help="Format of the pictures; keep writes PNG for TIFF, BMP and AVIF.",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=_WHITEN.quality, show_default=True, help="Of JPEG and WebP."
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
def whiten(src: str, dst: str, **options: Any) -> None:
    """Put the photos of SRC on white, into DST, with a parquet manifest.

    SRC and DST are folders or s3://bucket/prefix; SRC may be one photo. Photos that are done and have not changed are
    left alone.

    \b
    Examples:
      glasseg whiten photos white
      glasseg whiten s3://shop/raw s3://shop/white --mask
    """
    from jobs.whiten import whiten as run

    sys.exit(run(src, dst, WhitenConfig(**options)))


@cli.command(short_help="Train the network on labelled photos.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--preset",
    type=click.Choice(["compact", "baseline"]),
    default=_TRAIN.preset,
    show_default=True,
    help="The network: ours, or the classic small U-Net.",
)
@click.option(
    "--minutes", type=click.FloatRange(min=0.01), default=_TRAIN.minutes, show_default=True, help="Length of the run."
)
@click.option("--batch", type=click.IntRange(min=1), default=_TRAIN.batch, show_default=True, help="Photos per step.")
@click.option(
    "--learning-rate", type=float, default=_TRAIN.learning_rate, show_default=True, help="Of AdamW, at its highest."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=_TRAIN.seed, show_default=True, help="Another seed, other composites."
)
@click.option("--start-from", help="Model folder whose weights are the start.")
@click.option("--overwrite", is_flag=True, help="Replace the model in OUT.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def train(data: Path, out: Path, start_from: str | None, overwrite: bool, verbose: bool, **options: Any) -> None:
    """Train the network on the labelled photos of DATA and write a model folder to OUT.

    DATA holds index.csv with the columns file, kind (product, cutout, scene, background), product_group and split
    (train, validation); the mask of NAME.jpg is NAME_mask.png beside it.

    \b
    Example:
      glasseg train eyewear models/mine --minutes 90
    """
    from jobs.train import train as run

    run(data, out, TrainConfig(**options), start_from=start_from, overwrite=overwrite, verbose=verbose)


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

    OUT gets photos, white and before-after.png; the manifest is printed as a table. A second run does what is new:
    more drawings, or photos of your own that you put into OUT/photos.

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


@cli.command(short_help="Score a model on labelled photos.")
@click.argument("model")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--composites", type=click.IntRange(min=0), default=0, help="Score N composites of DATA's validation split."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the scores of every photo.")
def evaluate(model: str, data: Path, composites: int, as_json: bool) -> None:
    """Score MODEL on the labelled photos of DATA, at full resolution.

    The mask of NAME.jpg is NAME_mask.png beside it. IoU leaves see-through openings unscored, strict IoU counts them as
    background.

    \b
    Example:
      glasseg evaluate packaged labelled
    """
    from jobs.evaluate import evaluate as run

    run(model, data, composites, as_json)


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
