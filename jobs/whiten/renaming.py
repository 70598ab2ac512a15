"""Pictures whose names alone change, planned with the rest of a run: what it looks after is seen as it will be then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, contents, manifest, moves, outputs, runs
from glasseg.catalog.contents import Contents
from glasseg.catalog.moves import MOVES
from glasseg.catalog.outputs import Asked, Settled
from glasseg.catalog.state import State
from glasseg.storage.naming import Naming
from glasseg.storage.roots import Root
from jobs.whiten.places import Found, Places


@dataclass(frozen=True)
class Renaming:
    """The pictures that a run moves before its work."""

    run_id: str = ""
    run_seq: int = 0
    moves: pa.Table = field(default_factory=MOVES.empty_table)
    leftovers: tuple[str, ...] = ()
    """Places that a killed run did not free."""
    refusal: str = ""
    """Why the pictures do not move without `--yes`."""
    older: int = 0
    """As in `Settled`."""
    example: str = ""
    able: bool = True
    """Whether pictures can be moved in this destination."""

    @property
    def renamed(self) -> pa.Table:
        """The moves to another name."""
        return self.moves.filter(pc.not_equal(self.moves["old"], self.moves["new"]))


@dataclass(frozen=True)
class Renamed:
    """What became of a `Renaming`."""

    count: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    """Why pictures could not be moved, by the keys of their photos."""
    stuck: tuple[str, ...] = ()
    """The places where these still are."""


@dataclass(frozen=True)
class Arranged:
    """What a run has to look after, and what is known, as both will be once the pictures have moved."""

    found: Found
    known: State
    contents: Contents
    renaming: Renaming


def arrange(places: Places, found: Found, known: State, asked: Asked, run_seq: int) -> Arranged:
    """Give the photos their names; plan the moves, as the run `run_seq`. Reads only.

    Raises GlassegError for names that can't be given, and for files in the way that are not ours.
    """
    root, naming = places.destination, places.naming
    there = contents.read(root, naming)
    left = _leftovers(root, known, there, naming) if asked.movable else []
    there = there.changed(pa.array(left, pa.string()), pa.array([], pa.string()))
    settled = outputs.settle(found.photos, known, there, naming, asked, source=found.source, selection=found.selection)
    if asked.template:
        there = _without_unowned(root, settled, known, there, naming, overwrite=asked.overwrite)
    able = asked.movable and there.listed
    refusal = moves.refusal(settled.moves, known.places)
    renaming = Renaming(
        runs.new_id(), run_seq, settled.moves, tuple(left), refusal, settled.older, settled.example, able
    )
    return Arranged(
        replace(found, photos=settled.photos),
        moves.state_after(known, settled.moves, run_seq, naming),
        moves.contents_after(there, settled.moves),
        renaming,
    )


def _without_unowned(
    root: Root, settled: Settled, known: State, there: Contents, naming: Naming, *, overwrite: bool
) -> Contents:
    """The contents without files under wanted names that no row knows: of a killed run, or to be overwritten."""
    if there.names is None:
        return there
    names = settled.photos["output"]
    unknown = names.filter(pc.invert(naming.among(names, known.places["output_key"])))
    unknown = unknown.filter(naming.among(unknown, there.names))
    if not overwrite:
        claims.refuse_foreign(root, unknown, known.places, naming)
    return there.changed(there.names.filter(naming.among(there.names, unknown)), pa.array([], pa.string()))


def _leftovers(root: Root, known: State, there: Contents, naming: Naming) -> list[str]:
    """Places that a killed run left in spite of their rows: files as large as the picture, and older than its row."""
    if there.names is None or not len(known.moved):
        return []
    doubtful = known.moved.filter(naming.among(known.moved["output_key"], there.names))
    doubtful = doubtful.filter(pc.invert(naming.among(doubtful["output_key"], known.places["output_key"])))
    if not len(doubtful):
        return []
    found = dict[str, dict[str, Any]]()
    names = doubtful["output_key"].combine_chunks()
    for part in manifest.parts(root, ("moved_from", "run_seq", "output_bytes", "finished_at")):
        some = part.filter(pc.is_in(part["moved_from"], value_set=names)).to_pylist()
        found |= {
            row["moved_from"]: row for row in some if row["run_seq"] >= found.get(row["moved_from"], row)["run_seq"]
        }
    return [name for name in found if _is_left(root, name, found[name])]


def _is_left(root: Root, name: str, row: dict[str, Any]) -> bool:
    entry = next((one for one in root.list(name) if one.key == name), None)
    return bool(entry and entry.size == row["output_bytes"] and entry.modified <= row["finished_at"].timestamp())


def list_key(run_id: str) -> str:
    """Where the names are kept that pictures had before a run, and have now."""
    return f"{manifest.report_folder(run_id)}renamed.csv"
