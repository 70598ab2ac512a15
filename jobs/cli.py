"""The command line: options in, a job called, one exit code out. Heavy imports happen inside the commands."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from glasseg import __version__
from glasseg.config import BenchConfig, DemoConfig
from glasseg.errors import GlassegError
from jobs.catalogcommands import release, report, status
from jobs.evaluatecommand import calibrate, evaluate
from jobs.options import Auto
from jobs.traincommand import train
from jobs.whitencommand import whiten

_BENCH, _DEMO = BenchConfig(), DemoConfig()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glasseg")
def cli() -> None:
    """Put catalog photos of eyeglasses on pure white: one folder, or millions of objects on S3."""


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
@click.option(
    "--workers", type=Auto(click.IntRange(min=1)), default="auto", show_default=True, help="As with `glasseg whiten`."
)
@click.option(
    "--cpus-per-worker",
    type=click.IntRange(min=1),
    default=_BENCH.cpus_per_worker,
    show_default=True,
    help="As with `glasseg whiten`.",
)
@click.option("--versus", is_flag=True, help="Also measure Ray Data's own recipe and a multiprocessing.Pool.")
@click.option("--price-per-hour", type=click.FloatRange(min=0), help="Of this machine: says photos per dollar.")
@click.option(
    "--bookkeeping",
    metavar="N",
    type=click.IntRange(min=1000),
    help="Measure instead what it costs to find the pending ones of N photos.",
)
@click.option(
    "--nights",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Rows that --bookkeeping has of each photo.",
)
@click.option(
    "--bounded",
    metavar="N",
    type=click.IntRange(min=1),
    help="Measure instead whether memory and files stay bounded over N small photos.",
)
@click.option("--training", is_flag=True, help="Measure instead what Ray costs training, and how fast pictures come.")
@click.option(
    "--chart",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bounded.png"),
    show_default=True,
    help="The plot of --bounded.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow say.")
def bench(photos_folder: Path | None, as_json: bool, bookkeeping: int | None, nights: int, **options: Any) -> None:
    """Measure this machine's CPUs: each stage alone, a plain loop, the Ray pipeline, and the start-up.

    Takes the photos of PHOTOS_FOLDER, repeated as needed, or drawn ones of 1600×1200; --training takes labelled photos,
    or drawn cutouts. Let nothing else run meanwhile.

    \b
    Examples:
      glasseg bench
      glasseg bench --versus --price-per-hour 0.10
      glasseg bench photos --model models/mine --json
      glasseg bench --bookkeeping 1000000 --nights 5
      glasseg bench --bounded 20000
      glasseg bench --training
    """
    bounded, chart, training = options.pop("bounded"), options.pop("chart"), options.pop("training")
    if bookkeeping:
        from jobs import benchbooks

        result = benchbooks.bookkeeping(bookkeeping, nights)
        said = benchbooks.text(result)
    elif bounded:
        from jobs import benchbound

        result = benchbound.bounded(bounded, options["model"], chart)
        said = benchbound.text(result)
    elif training:
        from jobs import benchtraining

        result = benchtraining.training(photos_folder, BenchConfig(**options))
        said = benchtraining.text(result)
    else:
        from jobs.bench import bench as run
        from jobs.benchtable import table

        result = run(photos_folder, BenchConfig(**options))
        said = table(result)
    click.echo(json.dumps(result, indent=2) if as_json else said)


for command in (whiten, status, report, release, train, evaluate, calibrate):
    cli.add_command(command)


def main() -> None:
    """Console entry: mistakes of users as one line and exit code 1, or 2 for wrong usage; interrupted: 130 and 143."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(prog_name="glasseg", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort as abort:  # what click makes of a KeyboardInterrupt
        sys.exit(143 if isinstance(abort.__cause__, Terminated) else 130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "glasseg"
        click.echo(f"glasseg: {error.format_message().rstrip('.')} (see {command} --help)", err=True)
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
