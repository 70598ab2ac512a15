"""The commands for what is in a destination: `glasseg status`, `report`, `next` and `release`."""

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
@cloup.option("--editor", is_flag=True, help="Also make a page in which a person can correct the masks in review.")
@cloup.option("--marked", metavar="LIST", help="More photos for --editor: a csv that the page exported.")
@endpoint_url_option
def report(dst: str, run: str | None, editor: bool, marked: str | None, endpoint_url: str | None) -> None:
    """Write the page of RUN (the last one that worked on photos) into DST/_glasseg/report/RUN/, and print where it is.

    `glasseg whiten` does this itself, as its last step.

    \b
    Examples:
      glasseg report white
      glasseg report s3://shop/white 20261124T015142.892Z
      glasseg report white --editor --marked marked-20261124T015142.892Z.csv
    """
    from glasseg.errors import GlassegError
    from jobs.destination.report import report as make

    if marked and not editor:
        raise GlassegError("--marked names photos for --editor: give both, or neither", 2)
    click.echo(make(dst, run, endpoint_url, edit=editor, marked=marked))


@cloup.command(name="next", short_help="Show which photos are worth a person's time, and make an editor of them.")
@cloup.argument("dst")
@cloup.option("--n", "count", type=click.IntRange(1, 100), default=50, help="How many photos.")
@cloup.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@cloup.option("--editor/--no-editor", default=True, help="Make a page in which a person can correct their masks.")
@endpoint_url_option
def next_photos(dst: str, count: int, as_json: bool, editor: bool, endpoint_url: str | None) -> None:
    """Print the photos of DST whose masks are probably the worst, of all runs, and make an editor of them.

    Photos that were corrected or approved are left out, and so are those without a picture. A few of each folder and
    each error code come before more of the same kind. The editor is in DST/_glasseg/report/next/edit/.

    \b
    Examples:
      glasseg next white
      glasseg next s3://shop/white --n 20 --json --no-editor
    """
    from jobs.destination.next_photos import next_photos as choose

    choose(dst, count, as_json=as_json, edit=editor, endpoint_url=endpoint_url)


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
