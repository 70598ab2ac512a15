"""What the command line is made of: values that click does not know, and help that is grouped."""

from __future__ import annotations

from typing import Any, ClassVar

import click

from glasseg.config import MARKETPLACES


class Auto(click.ParamType):
    """`auto`, which is None, or a number of the given type."""

    name = "auto|N"

    def __init__(self, number: click.ParamType) -> None:
        self.number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value in {None, "auto"} else self.number.convert(value, param, ctx)


def of_workers(command: Any) -> Any:
    """Adds the options that say how many workers hold the model, and what each of them takes."""
    for name, number, what in (
        (
            "--gpus-per-worker",
            click.FloatRange(min=0),
            "GPUs that each takes, or a share; auto: where there are some.",
        ),
        ("--cpus-per-worker", click.IntRange(min=1), "CPUs that each takes and uses; auto: 1, beside a GPU 4."),
        ("--workers", click.IntRange(min=1), "Worker processes that hold the model; auto: as many as find room."),
    ):
        command = click.option(name, type=Auto(number), default="auto", show_default=True, help=what)(command)
    return command


class Background(click.ParamType):
    """A colour or `transparent`, written in one way: what looks the same must not make photos stale."""

    name = "colour"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        background = str(value).lower()
        if len(background) == 4 and background.startswith("#"):
            background = "#" + "".join(2 * digit for digit in background[1:])
        return "white" if background == "#ffffff" else background


class Sides(click.ParamType):
    """Multiples of 64, at least 128: the sides in pixels of the squares that a network is trained on."""

    name = "N,N…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).replace(" ", "").split(",")
        if not all(part.isdecimal() and int(part) >= 128 and int(part) % 64 == 0 for part in parts):
            self.fail(f"{value!r} is not a list of multiples of 64, at least 128, such as 256,512", param, ctx)
        return tuple(int(part) for part in parts)


class Ratio(click.ParamType):
    """`W:H` as two whole numbers in lowest terms."""

    name = "W:H"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        from glasseg.cutout.framing import parse_ratio

        try:
            return parse_ratio(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Marketplaces(click.ParamType):
    """Names of marketplaces, separated by commas, each once and in the order in which we know them."""

    name = ",".join(MARKETPLACES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        names = value if isinstance(value, tuple) else tuple(name.strip().lower() for name in value.split(","))
        if unknown := [name for name in names if name not in MARKETPLACES]:
            self.fail(f"{unknown[0]!r} is none of {', '.join(MARKETPLACES)}", param, ctx)
        return tuple(name for name in MARKETPLACES if name in names)


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings."""

    headings: ClassVar = {
        "Pictures": ("--model", "--mask", "--format", "--quality", "--background", "--lenses", "--shadow"),
        "Framing": ("--frame", "--fill", "--size", "--straighten", "--max-upscale"),
        "Marketplaces": ("--for", "--check"),
        "Photos": (
            *("--photos", "--column", "--listing", "--redo", "--limit", "--max-pixels"),
            *("--overwrite", "--new-source", "--gone", "--yes"),
        ),
        "Gates": ("--gates", "--review-below", "--stop-above", "--max-flagged"),
        "Run": ("--dry-run", "--price-per-hour", "--report", "--summary-json", "--log-json"),
        "Data": ("--cutouts", "--backgrounds", "--val", "--composites", "--split", "--max-bad", "--preview"),
        "Recipe": (
            "--preset",
            "--epochs",
            "--batch",
            "--patience",
            "--learning-rate",
            "--cooldown",
            "--sides",
            "--loss",
            "--precision",
            "--validation-share",
            "--drawn",
            "--scene-repeats",
            "--seed",
            "--start-from",
        ),
        "Workers": (
            *("--workers", "--cpus-per-worker", "--gpus-per-worker", "--loader-cpus"),
            *("--checkpoint-minutes", "--address"),
        ),
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
            if not records:
                continue
            with formatter.section(heading):
                formatter.write_dl(records)
