"""`--scale-by`: the options for one scale checked, and the photos of a run put into their groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from glasseg.catalog import groups
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.lists.templates import folded
from jobs.whiten.places import Found

_ACROSS = WhitenConfig.across_mm


def contradiction(
    scale_by: str | None,
    width_mm: str | None,
    across_mm: float,
    *,
    photos: str | None,
    frame: tuple[int, int] | None,
    size: int | None,
    fill: float | None,
) -> str | None:
    """Why the options for one scale contradict each other, in one line; None when they do not."""
    needs = {
        "--across-mm is for --width-mm: add that, or leave it out": across_mm != _ACROSS and width_mm is None,
        "--width-mm needs to know which photos show the same: add --scale-by": bool(width_mm) and scale_by is None,
    }
    if scale_by is not None:
        needs |= {
            "--scale-by names a column of --photos: give both, or neither": photos is None,
            "--scale-by needs the size of the pictures: add --frame and --size": frame is None or size is None,
            "--scale-by needs the share that the largest photo fills: add --fill or --width-mm": not (fill or width_mm),
            "--fill and --width-mm both decide how large the glasses are: leave out one of them": bool(
                fill and width_mm
            ),
        }
    return next((reason for reason, applies in needs.items() if applies), None)


def refuse_several(columns: Iterable[str | None]) -> None:
    """Raise GlassegError, as wrong usage, when outputs are grouped by different columns: a photo has one group."""
    if len(named := sorted({folded(column) for column in columns if column})) > 1:
        raise GlassegError(f"the outputs name several columns for scale-by, {' and '.join(named)}: choose one", 2)


def grouped(found: Found, scale_by: str | None, width_mm: str | None, across_mm: float) -> Found:
    """`found` with its photos in groups, when a column is named for that. Raises GlassegError as `groups.read` does."""
    if scale_by is None or found.selection is None:
        return found
    read = groups.read(found.selection, scale_by, width_mm, across_mm)
    return replace(found, photos=groups.with_groups(found.photos, read), groups=read)
