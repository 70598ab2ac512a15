"""The commands for what is in a destination: `glasseg status`, `glasseg report`, `glasseg release`."""

from __future__ import annotations

import click
import cloup

from jobs.options import endpoint_url_option


@cloup.command(short_help="Show what a destination holds, or all that is known about one photo.")
@cloup.argument("dst")
@cloup.argument("key", required=False)
@cloup.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@endpoint_url_option
def status(dst: str, key: str | None, as_json: bool, endpoint_url: str | None) -> None:
    """Count the photos of DST by status and model, and show the last runs; with KEY, show every row of one photo.

    It only reads, and works during a run too.

    \b
    Examples:
      glasseg status s3://shop/white
      glasseg status white "sunglasses/AB 12.jpg"
    """
    from jobs.destination.status import status as run

    run(dst, key, endpoint_url=endpoint_url, as_json=as_json)


@cloup.command(short_help="Make the page of a run: before and after, worst first.")
@cloup.argument("dst")
@cloup.argument("run", required=False)
@endpoint_url_option
def report(dst: str, run: str | None, endpoint_url: str | None) -> None:
    """Write the page of RUN (the last one that worked on photos) into DST/_glasseg/report/RUN/, and print where it is.

    `glasseg whiten` does this itself, as its last step.

    \b
    Examples:
      glasseg report white
      glasseg report s3://shop/white 20261124T015142.892Z
    """
    from jobs.destination.report import report as make

    click.echo(make(dst, run, endpoint_url))


@cloup.command(short_help="Publish pictures that a run held back.")
@cloup.argument("dst")
@cloup.argument("run")
@cloup.argument("key", nargs=-1)
@endpoint_url_option
def release(dst: str, run: str, key: tuple[str, ...], endpoint_url: str | None) -> None:
    """Publish the pictures that RUN held back in DST, all of them or those of the photos KEY …

    Photos that a later run redid are left out. A released picture counts as reviewed: its photo becomes ok.

    \b
    Examples:
      glasseg release white 20261124T015142.892Z
      glasseg release s3://shop/white 20261124T015142.892Z "sunglasses/AB 12.jpg"
    """
    from jobs.destination.release import release as publish

    publish(dst, run, key, endpoint_url=endpoint_url)
