"""The command `glasseg whiten`: its options, in the order in which help shows them."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from glasseg.config import GONE, LENSES, MARKETPLACES, SHADOWS, WhitenConfig
from glasseg.formats import FORMATS
from jobs.options import Background, GroupedCommand, Marketplaces, Ratio, of_workers

_WHITEN = WhitenConfig()


@click.command(cls=GroupedCommand, short_help="Put photos on pure white, with a manifest.")
@click.argument("src")
@click.argument("dst")
@click.option("--model", default=_WHITEN.model, show_default=True, help="Model folder, local or s3://.")
@click.option("--mask", is_flag=True, help="Also write the alpha as 8-bit PNG, under DST/_glasseg/masks/.")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
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
    help="Set frame, fill, size, format and check for a marketplace; options that you give override them.",
)
@click.option(
    "--check",
    type=Marketplaces(),
    default=(),
    help="Hold this run's pictures against marketplaces' rules: check_NAME.",
)
@click.option(
    "--photos",
    metavar="LIST",
    help="Only the photos that a csv, xlsx, txt or parquet names, local or s3://; its columns go into the manifest.",
)
@click.option("--column", help="Column of --photos with the names.  [default: found by its name]")
@click.option("--listing", metavar="INVENTORY", help="S3 Inventory (parquet) of SRC, instead of listing it.")
@click.option(
    "--redo",
    metavar="WHAT",
    help="Do these again: all, failed, review, held, or an error_code or reason of the manifest.",
)
@click.option("--overwrite", is_flag=True, help="Replace files in DST that glasseg did not write.")
@click.option("--new-source", is_flag=True, help="Take SRC although DST was made of another one.")
@click.option(
    "--gone",
    type=click.Choice(GONE),
    default=_WHITEN.gone,
    show_default=True,
    help="Pictures whose photos have left SRC.",
)
@click.option("--yes", is_flag=True, help="Delete more than 5% of them.")
@click.option("--limit", type=click.IntRange(min=1), help="Do only the first N pending photos.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=_WHITEN.max_pixels,
    show_default=True,
    help="Larger photos are not decoded; they fail as too_large.",
)
@click.option(
    "--gates/--no-gates",
    default=_WHITEN.gates,
    help="Hold pictures back that are worse than those they would replace.  [default: gates]",
)
@click.option(
    "--review-below",
    type=click.FloatRange(0, 1),
    help="Mark for review every mask whose quality, the strict IoU to expect, is lower.  [default: the model's line]",
)
@click.option(
    "--stop-above",
    type=click.FloatRange(0, 1),
    default=_WHITEN.stop_above,
    show_default=True,
    help="Stop when, after 50 photos, more than this share failed or need review, or masks are of another size than "
    "usual; 1 never stops.",
)
@click.option(
    "--max-flagged",
    type=click.FloatRange(0, 1),
    default=_WHITEN.max_flagged,
    show_default=True,
    help="Exit code 3 when more than this share (and at least 5 photos) failed or need review.",
)
@of_workers
@click.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
@click.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, why and how long it takes; write nothing.")
@click.option("--price-per-hour", type=click.FloatRange(min=0), help="Of the machines, for the estimate of --dry-run.")
@click.option("--report/--no-report", default=_WHITEN.report, help="Make the page of the run.  [default: report]")
@click.option(
    "--keep-seconds",
    type=click.FloatRange(min=0),
    default=_WHITEN.keep_seconds,
    hidden=True,
    help="Rows wait at most so long before they are stored.",
)
@click.option("--summary-json", metavar="FILE", help="Write the summary of the run to this file, local or s3://.")
@click.option("--log-json", is_flag=True, help="Say everything on stderr as lines of JSON, with the run_id.")
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
      glasseg whiten s3://shop/raw s3://shop/white --dry-run --price-per-hour 1.2
      glasseg whiten photos white --photos spring.xlsx --redo all
    """
    from jobs.whiten.run import whiten as run

    if market:
        options |= _preset(market, context, options)
    raise SystemExit(run(src, dst, WhitenConfig(**options)))


def _preset(market: str, context: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """What `--for` sets: options of the marketplace's preset that were not given, and its check next to others."""
    from glasseg.cutout.marketplaces import preset

    chosen = {name: value for name, value in preset(market).items() if name != "check"}
    given = [name for name in chosen if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if options["background"] == "transparent":
        given.append("format")  # not the preset's, which can't be transparent
    wanted = {name: value for name, value in chosen.items() if name not in given}
    return wanted | {"check": tuple(name for name in MARKETPLACES if name in {*options["check"], market})}
