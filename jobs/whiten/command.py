"""The command `glasseg whiten`: its options, in the order in which help shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

import click
import cloup
from click.core import ParameterSource

from glasseg.config import MARKETPLACES, Lenses, Marketplace, OnGone, Shadow, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.formats import FORMATS
from jobs.options import Background, Marketplaces, Ratio, endpoint_url_option, photo_worker_options, verbose_option

_WHITEN = WhitenConfig()


@cloup.command(short_help="Put photos on pure white, with a manifest.")
@cloup.argument("src")
@cloup.argument("dst")
@cloup.option_group(
    "Pictures",
    cloup.option("--model", default=_WHITEN.model, help="Model folder, local or s3://."),
    cloup.option("--mask", is_flag=True, help="Also write the alpha as 8-bit PNG, under DST/_glasseg/masks/."),
    cloup.option(
        "--format",
        type=click.Choice(FORMATS),
        default=_WHITEN.format,
        help="Format of the pictures; keep writes PNG for TIFF, BMP, GIF, AVIF and HEIC.",
    ),
    cloup.option(
        "--quality", type=click.IntRange(1, 100), default=_WHITEN.quality, help="Quality of JPEG, WebP and AVIF."
    ),
    cloup.option(
        "--background",
        type=Background(),
        metavar="COLOUR",
        default=_WHITEN.background,
        help="white, transparent, or a colour such as '#f5f5f5'; transparent writes PNG for JPEG.",
    ),
    cloup.option(
        "--lenses",
        type=click.Choice(get_args(Lenses)),
        default=_WHITEN.lenses,
        help="See-through parts: background, or the photo's own pixels.",
    ),
    cloup.option(
        "--shadow",
        type=click.Choice(get_args(Shadow)),
        default=_WHITEN.shadow,
        help="soft keeps the natural shadow as a neutral grey that fades to the background.",
    ),
)
@cloup.option_group(
    "Framing",
    cloup.option("--frame", type=Ratio(), help="Width to height of the picture, such as 1:1.  [default: the photo's]"),
    cloup.option(
        "--fill",
        type=click.FloatRange(0.05, 1),
        help="Share of the picture's width or height that the glasses take, such as 0.85.",
    ),
    cloup.option(
        "--size",
        type=click.IntRange(16, 20_000),
        help="Longest side in pixels, such as 1600.  [default: the photo's scale]",
    ),
    cloup.option("--straighten", is_flag=True, help="Level glasses that are tilted by up to 10 degrees."),
    cloup.option(
        "--max-upscale",
        type=click.FloatRange(1, 100),
        default=_WHITEN.max_upscale,
        help="Largest factor to enlarge a photo by; beyond it, the picture stays smaller than --size.",
    ),
    cloup.option(
        "--scale-by",
        metavar="COLUMN",
        help="Photos with the same value in this column of --photos, up to 64, get one scale and stand on one line.",
    ),
    cloup.option(
        "--width-mm",
        metavar="COLUMN",
        help="With --scale-by: the real width of the glasses, for equal pixels per millimetre over all groups.",
    ),
    cloup.option(
        "--across-mm",
        type=click.FloatRange(10, 10_000),
        default=_WHITEN.across_mm,
        help="With --width-mm: how many millimetres the width of a picture is.",
    ),
)
@cloup.option_group(
    "Print",
    cloup.option(
        "--dpi",
        type=click.IntRange(1, 30_000),
        help="Pixels per inch that the pictures state, such as 300.  [default: the photo's]",
    ),
    cloup.option(
        "--clipping-path",
        is_flag=True,
        help="Put the outline of the glasses into JPEG and TIFF, as a clipping path of Photoshop.",
    ),
    cloup.option(
        "--path-tolerance",
        type=click.FloatRange(0.1, 10),
        metavar="PX",
        default=_WHITEN.path_tolerance,
        help="How many pixels the path may be off the outline.",
    ),
)
@cloup.option_group(
    "Marketplaces",
    cloup.option(
        "--for",
        "market",
        type=click.Choice(MARKETPLACES),
        help="Set frame, fill, size, format and check for a marketplace, except those given as options.",
    ),
    cloup.option(
        "--check",
        type=Marketplaces(),
        default=(),
        show_default=False,
        help="Check this run's pictures against marketplaces' rules: column check_NAME.",
    ),
)
@cloup.option_group(
    "Photos",
    cloup.option(
        "--photos",
        metavar="LIST",
        help="Only the photos that a csv, xlsx, txt or parquet names, local or s3://; its columns go into the "
        "manifest.",
    ),
    cloup.option("--column", help="Column of --photos with the names.  [default: found by its name]"),
    cloup.option("--listing", metavar="INVENTORY", help="S3 Inventory (parquet) of SRC, instead of listing it."),
    cloup.option(
        "--redo",
        metavar="WHAT",
        help="Do these again: all, failed, review, held, or an error_code or reason of the manifest.",
    ),
    cloup.option("--limit", type=click.IntRange(min=1), help="Do only the first N pending photos."),
    cloup.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=_WHITEN.max_pixels,
        help="Larger photos are not decoded; they fail as too_large.",
    ),
    cloup.option(
        "--all-folders",
        is_flag=True,
        help="Also take photos in folders that systems keep for themselves, such as @eaDir, #recycle and .git.",
    ),
    cloup.option(
        "--overwrite",
        is_flag=True,
        help="Replace files in DST that glasseg did not write, or by --name those of photos that are not in the list.",
    ),
    cloup.option(
        "--name",
        metavar="TEMPLATE",
        help="Name the pictures, such as '{sku}_{view}.jpg', by columns of --photos, {folder}, {stem} and {n}.  "
        "[default: the photos' names, or those that pictures have]",
    ),
    cloup.option("--new-source", is_flag=True, help="Take SRC even if DST was made from another one."),
    cloup.option(
        "--gone",
        type=click.Choice(get_args(OnGone)),
        default=_WHITEN.gone,
        help="What to do with pictures whose photos are gone from SRC.",
    ),
    cloup.option("--yes", is_flag=True, help="Delete or rename pictures even if they are more than 5% of all."),
)
@cloup.option_group(
    "Gates",
    cloup.option(
        "--gates/--no-gates",
        default=_WHITEN.gates,
        help="Hold back pictures that are worse than those they would replace.",
    ),
    cloup.option(
        "--review-below",
        type=click.FloatRange(0, 1),
        help="Mark for review every mask whose quality, the strict IoU to expect, is lower.  [default: the model's "
        "line]",
    ),
    cloup.option(
        "--stop-above",
        type=click.FloatRange(0, 1),
        default=_WHITEN.stop_above,
        help="Stop when, after 50 photos, more than this share failed or needs review, or masks differ in size from "
        "the usual; 1 never stops.",
    ),
    cloup.option(
        "--max-flagged",
        type=click.FloatRange(0, 1),
        default=_WHITEN.max_flagged,
        help="Exit code 3 when more than this share (and at least 5 photos) failed or needs review.",
    ),
)
@cloup.option_group(
    "Run",
    cloup.option(
        "--outputs",
        metavar="FILE.toml",
        help="Make several outputs in one pass: DST/NAME for each table [NAME] of the file, with the options in it; "
        "local or s3://.",
    ),
    cloup.option("--dry-run", is_flag=True, help="Show what would be done, why and how long it takes; write nothing."),
    cloup.option(
        "--price-per-hour",
        type=click.FloatRange(min=0),
        help="Price of all machines per hour, for the estimate of --dry-run.",
    ),
    cloup.option("--report/--no-report", default=_WHITEN.report, help="Make the page of the run."),
    cloup.option("--editor", is_flag=True, help="Make a page in which a person can correct the masks in review."),
    cloup.option("--summary-json", metavar="FILE", help="Write the summary of the run to this file, local or s3://."),
    cloup.option("--log-json", is_flag=True, help="Print everything on stderr as lines of JSON, with the run_id."),
    cloup.option(
        "--keep-seconds",
        type=click.FloatRange(min=0),
        default=_WHITEN.keep_seconds,
        hidden=True,
        help="Longest time that rows wait before they are stored.",
    ),
)
@cloup.option_group(
    "The shop's systems",
    cloup.option("--export", metavar="FILE.csv", help="Write all pictures of DST to this csv, local or s3://."),
    cloup.option(
        "--export-column",
        "export_columns",
        metavar="NAME=TEMPLATE",
        multiple=True,
        default=(),
        show_default=False,
        help="A column of --export, such as 'alt={brand} {model}' or 'image=https://cdn.example.com/{path}'; may be "
        "repeated.  [default: name, path, url, width, height, sku, alt, status]",
    ),
    cloup.option(
        "--notify",
        metavar="URL",
        help="Post the summary of the run there at its end, also when it failed; signed with GLASSEG_NOTIFY_SECRET.",
    ),
)
@photo_worker_options
@endpoint_url_option
@verbose_option
@click.pass_context
def whiten(context: click.Context, src: str, dst: str, **options: Any) -> None:
    """Put the photos of SRC on white, into DST, with a parquet manifest.

    SRC and DST are folders or s3://bucket/prefix; SRC may be one photo. Photos that are done and have not changed are
    skipped.

    \b
    Examples:
      glasseg whiten photos white
      glasseg whiten s3://shop/raw s3://shop/white --mask
      glasseg whiten photos square --frame 1:1 --fill 0.85 --size 1600 --straighten
      glasseg whiten photos cut-out --background transparent --shadow soft
      glasseg whiten photos amazon --for amazon --check google
      glasseg whiten s3://shop/raw s3://shop/white --dry-run --price-per-hour 1.2
      glasseg whiten photos white --photos spring.xlsx --redo all
      glasseg whiten photos white --photos spring.xlsx --name '{sku}_{n}.jpg'
      glasseg whiten s3://shop/raw s3://shop/pictures --outputs outputs.toml
    """
    from jobs.whiten.run import whiten as run

    config, outputs = configs(context)
    raise SystemExit(run(src, dst, config, outputs=outputs))


def configs(context: click.Context) -> tuple[WhitenConfig, dict[str, WhitenConfig]]:
    """The options of a command, and with `--outputs` those of each output.

    Its table counts before the command line, and both before what `--for` sets. Raises GlassegError for what is wrong
    with the file.
    """
    from jobs.whiten import outputs_file

    options = {name: value for name, value in context.params.items() if name not in {"src", "dst"}}
    given = {name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if not options["outputs"]:
        return _config(options, given), {}
    for name in ("export", "export_columns"):
        if options[name]:
            raise GlassegError(
                "with --outputs, each export is for one of them: put it into the table of that output", 2
            )
    tables = outputs_file.read(options["outputs"], context)
    outputs = {name: _config(options | table, given | table.keys()) for name, table in tables.items()}
    return _config(options, given), outputs


def _config(options: Mapping[str, Any], given: Collection[str]) -> WhitenConfig:
    """The options, with what `--for` sets of those that were not given."""
    chosen = dict(options)
    if market := chosen.pop("market"):
        chosen |= _preset(market, given, chosen)
    return WhitenConfig(**chosen)


def _preset(market: Marketplace, known: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """What `--for` sets: options of the marketplace's preset that are not `known`, and its check next to others."""
    from glasseg.catalog.names import parse
    from glasseg.cutout.marketplaces import preset

    chosen = {name: value for name, value in preset(market).items() if name != "check"}
    given = [name for name in chosen if name in known]
    if options["width_mm"] is not None:
        given.append("fill")  # which the width decides
    if options["background"] == "transparent" or (options["name"] and parse(options["name"]).format):
        given.append("format")  # the preset's is JPEG, which can't be transparent
    wanted = {name: value for name, value in chosen.items() if name not in given}
    return wanted | {"check": tuple(name for name in MARKETPLACES if name in {*options["check"], market})}
