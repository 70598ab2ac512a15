"""`glasseg next`: the photos of a destination, of whatever run, that are most worth a person's time."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from glasseg.catalog import destinations, manifest, runs, state
from glasseg.report import choice
from glasseg.storage.roots import open_root
from jobs.destination import editor
from jobs.terminal import columns, say

_HEADS: Final = {"photo": "", "quality": ".2f", "status": "", "why": "", "run": ""}


def next_photos(destination_uri: str, count: int, *, as_json: bool, edit: bool, endpoint_url: str | None) -> None:
    """Print at most `count` photos that are most worth a person's time, and make the editor `editor.NEXT` of them.

    It takes the memory of `glasseg status`, where the names of all photos are, and about 40 bytes more for each. Raises
    GlassegError when glasseg has never worked there.
    """
    root = open_root(destination_uri, endpoint_url=endpoint_url)
    known = state.photos(root, "quality")
    if not len(known):
        raise destinations.stranger(root, f"glasseg has not worked in {root.uri} yet: is it the right place?")
    chosen = choice.of_destination(known, count)
    del known
    facts = [_facts(one) for one in chosen]
    if as_json:
        click.echo(json.dumps({"photos": facts}, indent=2))
    elif facts:
        click.echo(columns(_HEADS, [tuple(one.values()) for one in facts]))
    if not facts:
        say(f"Nothing to look at: a person has seen every picture in {root.uri}.")
    elif edit:
        rows = [*manifest.last_rows(root, [one["key"] for one in chosen]).values()]
        title = "Photos worth a look"
        if not editor.write(root, editor.NEXT, rows, runs.latest(root), title=title, endpoint_url=endpoint_url):
            say("Nothing to edit: none of these photos can be.")


def _facts(photo: dict[str, Any]) -> dict[str, Any]:
    status = "held" if photo["held"] else photo["status"]
    return {
        "photo": photo["key"],
        "quality": photo["quality"],
        "status": status,
        "error_code": photo["error_code"],
        "run_id": photo["run_id"],
    }
