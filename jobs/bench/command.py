"""`glasseg bench`: options in, a measurement called. Its commands are named after what they measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import cloup

from glasseg.config import BenchConfig
from jobs.options import Auto, verbose_option

_BENCH = BenchConfig()

_rounds = cloup.option(
    "--rounds", type=click.IntRange(min=1), default=_BENCH.rounds, help="How often to time each way."
)
_model = cloup.option("--model", default=_BENCH.model, help="Model folder, local or s3://.")
_json = cloup.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")


@cloup.group(short_help="Measure how fast this machine is.")
def bench() -> None:
    """Measure this machine: the pipeline, training, memory over a long run, the bookkeeping of a large catalog, or what
    leading many workers costs.

    Run nothing else at the same time.

    \b
    Examples:
      glasseg bench pipeline
      glasseg bench bookkeeping --photos 1000000 --nights 5
    """


@bench.command(short_help="Photos/s of each stage, of a plain loop, and of the Ray pipeline.")
@cloup.argument("photos_folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@cloup.option(
    "--photos",
    type=Auto(click.IntRange(min=8)),
    default="auto",
    help="Photos to time in each turn, rounded up to a multiple of 16 for each process; auto: as many as let the bench "
    "end within five minutes.",
)
@_rounds
@_model
@cloup.option("--workers", type=Auto(click.IntRange(min=1)), default="auto", help="As for `glasseg whiten`.")
@cloup.option(
    "--cpus-per-worker", type=click.IntRange(min=1), default=_BENCH.cpus_per_worker, help="As for `glasseg whiten`."
)
@cloup.option("--versus", is_flag=True, help="Also measure Ray Data's own recipe and a multiprocessing.Pool.")
@cloup.option(
    "--versus-rembg",
    metavar="MODEL.onnx",
    type=click.Path(path_type=Path, resolve_path=True),
    help="Also measure the package rembg with this IS-Net or U²-Net model file.",
)
@cloup.option(
    "--price-per-hour", type=click.FloatRange(min=0), help="Price of this machine per hour, to print photos per dollar."
)
@_json
@verbose_option
def pipeline(photos_folder: Path | None, as_json: bool, **options: Any) -> None:
    """Measure this machine's CPUs: each stage alone, a plain loop, the Ray pipeline, and the start-up.

    Uses the photos of PHOTOS_FOLDER, repeated as needed, or drawn ones of 1600×1200.

    \b
    Examples:
      glasseg bench pipeline
      glasseg bench pipeline --versus --price-per-hour 0.10
      glasseg bench pipeline --versus-rembg ~/.u2net/isnet-general-use.onnx
      glasseg bench pipeline photos --model models/mine --json
    """
    from jobs.bench.pipeline import bench as run
    from jobs.bench.table import table

    result = run(photos_folder, BenchConfig(**options))
    click.echo(json.dumps(result, indent=2) if as_json else table(result))


@bench.command(short_help="What Ray costs in training, and how fast its pictures are made.")
@cloup.argument("data", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@cloup.option(
    "--photos", "training_photos", type=click.IntRange(min=8), default=_BENCH.training_photos, help="Photos to time."
)
@_rounds
@_json
@verbose_option
def training(data: Path | None, as_json: bool, **options: Any) -> None:
    """Compare training through Ray with Keras's own `fit`, and measure how fast training pictures are made.

    Uses the labelled photos of DATA, or drawn cutouts.

    \b
    Example:
      glasseg bench training
    """
    from jobs.bench.training import text
    from jobs.bench.training import training as run

    result = run(data, BenchConfig(**options))
    click.echo(json.dumps(result, indent=2) if as_json else text(result))


@bench.command(short_help="Whether memory and open files stay bounded over a long run.")
@cloup.option("--photos", type=click.IntRange(min=1), default=20_000, help="Small photos to draw and whiten.")
@_model
@cloup.option(
    "--chart", type=click.Path(dir_okay=False, path_type=Path), default=Path("bounded.png"), help="The plot to write."
)
@_json
def memory(photos: int, model: str, chart: Path, as_json: bool) -> None:
    """Watch the memory and open files of a run over many small drawn photos, and plot them.

    \b
    Example:
      glasseg bench memory --photos 20000
    """
    from jobs.bench.memory import bounded as run
    from jobs.bench.memory import text

    result = run(photos, model, chart)
    click.echo(json.dumps(result, indent=2) if as_json else text(result))


@bench.command(short_help="The cost of finding the pending photos of a large catalog.")
@cloup.option("--photos", type=click.IntRange(min=1000), default=1_000_000, help="Photos in the catalog.")
@cloup.option("--nights", type=click.IntRange(min=1), default=1, help="Rows in the manifest for each photo.")
@_json
def bookkeeping(photos: int, nights: int, as_json: bool) -> None:
    """Measure what it costs to find the pending photos of a generated catalog, without Ray and without pictures.

    \b
    Example:
      glasseg bench bookkeeping --photos 1000000 --nights 5
    """
    from jobs.bench.bookkeeping import bookkeeping as run
    from jobs.bench.bookkeeping import text

    result = run(photos, nights)
    click.echo(json.dumps(result, indent=2) if as_json else text(result))


@bench.command(short_help="What many workers cost the driver.")
@cloup.option(
    "--actors", type=click.IntRange(min=1), multiple=True, default=(1, 4, 8, 16, 32), help="Actors; can be repeated."
)
@cloup.option("--sleepers", type=click.IntRange(1, 32), default=8, help="Workers that each actor stands for.")
@cloup.option("--photo-ms", type=click.FloatRange(min=1), default=100.0, help="Time of a worker for a photo.")
@cloup.option("--seconds", type=click.FloatRange(min=1), default=30.0, help="Work for each number of actors.")
@_json
@verbose_option
def scale(actors: tuple[int, ...], as_json: bool, verbose: bool, **pace: float) -> None:
    """Measure the driver of real runs whose workers sleep instead of working, and compute that of 256 from it.

    \b
    Examples:
      glasseg bench scale
      glasseg bench scale --actors 32 --photo-ms 170
    """
    from jobs.bench.scale import Pace, text
    from jobs.bench.scale import scale as run

    seconds = pace["seconds"]
    result = run(sorted(actors), Pace(int(pace["sleepers"]), pace["photo_ms"] / 1000), seconds, verbose=verbose)
    click.echo(json.dumps(result, indent=2) if as_json else text(result))
