"""The command line: options in, a job called, one exit code out. Heavy imports happen inside the commands."""

from __future__ import annotations

import signal
import sys
import traceback
from io import TextIOWrapper
from types import TracebackType
from typing import Any

import click
import cloup

from glasseg import __version__
from glasseg.config import DemoConfig
from glasseg.errors import GlassegError
from glasseg.storage.credentials import without_credentials
from glasseg.storage.keys import shown
from jobs.bench.command import bench
from jobs.correct.command import correct
from jobs.destination.command import next_photos, release, report, status
from jobs.evaluate.command import calibrate, evaluate
from jobs.options import verbose_option
from jobs.train.command import train
from jobs.whiten.command import whiten

_DEMO = DemoConfig()


@cloup.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True})
@click.version_option(__version__, prog_name="glasseg")
def cli() -> None:
    """Put catalog photos of eyeglasses on pure white: one folder, or millions of objects on S3."""


@cloup.command(short_help="See it work, without photos of your own.")
@cloup.option("--out", type=click.Path(file_okay=False), default=_DEMO.out, help="Folder to make.")
@cloup.option("--photos", type=click.IntRange(min=1), default=_DEMO.photos, help="How many photos to draw.")
@cloup.option("--seed", type=click.IntRange(min=0), default=_DEMO.seed, help="Another seed draws other glasses.")
@cloup.option("--model", default=_DEMO.model, help="Model folder, local or s3://.")
@cloup.option("--overwrite", is_flag=True, help="Draw and whiten all again, even in a folder that is not from a demo.")
@verbose_option
def demo(**options: Any) -> None:
    """See it work, without photos of your own: draw a small catalog, put it on white, show both.

    OUT gets photos, white, before-after.png, looks.png and scales.png (what the picture options do); the manifest is
    printed as a table. A second run only does what is new: more drawings, or photos of your own that you put into
    OUT/photos.

    \b
    Examples:
      glasseg demo
      glasseg demo --photos 30 --seed 1 --out /tmp/demo
    """
    from jobs.demo.run import demo as run

    sys.exit(run(DemoConfig(**options)))


cli.section("Photos", whiten, demo)
cli.section("Destinations", status, report, next_photos, release, correct)
cli.section("Models", train, evaluate, calibrate)
cli.section("This machine", bench)


def main() -> None:
    """Console entry. A user's mistake is one line and exit code 1, or 2 for wrong usage; an interruption 130 or 143."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, _terminate)
    sys.excepthook = _say_bug
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a terminal may lack letters of a name
    try:
        code = cli.main(prog_name="glasseg", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort as abort:  # click turns a KeyboardInterrupt into this
        sys.exit(getattr(abort.__cause__, "exit_code", 130))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "glasseg"
        said = without_credentials(error.format_message().rstrip("."))
        click.echo(f"glasseg: {said} (see {command} --help)", err=True)
        sys.exit(error.exit_code)
    except GlassegError as error:
        click.echo(f"glasseg: {shown(without_credentials(str(error)))}", err=True)
        sys.exit(error.exit_code)


def _say_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A bug's traceback, which may quote what it came from."""
    click.echo(without_credentials("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP when the terminal closes, treated like Ctrl-C, with an exit code of its own."""

    exit_code = 143


def _terminate(signum: int, frame: object) -> None:
    raise Terminated


if __name__ == "__main__":
    main()
