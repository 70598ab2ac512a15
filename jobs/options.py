"""What several commands share: types of values that click does not know, and options with the same meaning."""

from __future__ import annotations

from typing import Any

import click
import cloup

from glasseg.config import MARKETPLACES, TrainJob, WhitenConfig


class Auto(click.ParamType):
    """`auto`, which is None, or a number of the given type."""

    name = "auto|N"

    def __init__(self, number: click.ParamType) -> None:
        self.number = number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value in {None, "auto"} else self.number.convert(value, param, ctx)


class Background(click.ParamType):
    """A colour or `transparent` in its one normal form: what looks the same must not make photos stale."""

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
            self.fail(f"{unknown[0]!r} is not one of {', '.join(MARKETPLACES)}", param, ctx)
        return tuple(name for name in MARKETPLACES if name in names)


address_option = cloup.option("--address", help="Ray cluster to run on; RAY_ADDRESS otherwise, else this machine.")
endpoint_url_option = cloup.option("--endpoint-url", help="S3 server other than AWS; AWS_ENDPOINT_URL does the same.")
verbose_option = cloup.option("--verbose", is_flag=True, help="Show what Ray and TensorFlow print.")
max_bad_option = cloup.option(
    "--max-bad",
    type=click.IntRange(min=0),
    default=TrainJob.max_bad,
    help="Stop when more photos than this can't be used.",
)

_worker_options = (
    cloup.option(
        "--workers",
        type=Auto(click.IntRange(min=1)),
        default="auto",
        help="Worker processes that hold the model; auto: as many as there is room for.",
    ),
    cloup.option(
        "--cpus-per-worker",
        type=Auto(click.IntRange(min=1)),
        default="auto",
        help="CPUs that each worker takes and uses; auto: 1, or 4 next to a GPU.",
    ),
    cloup.option(
        "--gpus-per-worker",
        type=Auto(click.FloatRange(min=0)),
        default="auto",
        help="GPUs that each worker takes, or a share of one; auto: a share where there are GPUs.",
    ),
)
worker_options = cloup.option_group("Workers", *_worker_options, address_option)
"""How many workers hold the model, what each of them takes, and where they run."""

photo_worker_options = cloup.option_group(
    "Workers",
    *_worker_options,
    cloup.option(
        "--memory-per-worker",
        type=click.FloatRange(min=0.5),
        default=WhitenConfig.memory_per_worker,
        help="GiB that Ray keeps free for each worker; raise it for very large photos.",
    ),
    address_option,
)
"""`worker_options`, where photos of any size are made into pictures."""
