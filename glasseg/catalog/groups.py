"""Groups of photos whose pictures have one scale, such as those of a product: their members, and how long it holds.

A group is known by the hash of its members that each of their rows keeps. So the photos whose scale still holds are
told by their own rows, and nothing else has to be remembered.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.pending import UNCHANGED, Wanted
from glasseg.catalog.schema import Reason, Status
from glasseg.catalog.state import among
from glasseg.errors import GlassegError
from glasseg.lists import numbers
from glasseg.lists.selection import Selection
from glasseg.lists.spelling import visible
from glasseg.lists.templates import folded

MOST: Final = 64
"""Photos of a group: it is one unit of work for one worker."""
NARROWEST: Final = 50.0
"""Millimetres; no glasses are narrower: a smaller number is of another unit."""
COLUMNS: Final = ("group_scale", "group_baseline", "group_members")
"""What a row keeps of its photo's group."""
_SHOWN: Final = 3


@dataclass(frozen=True)
class Groups:
    """The groups of the photos that a list names."""

    names: dict[str, str]
    """By key the name of its group; photos without one are groups of one."""
    widths: dict[str, float] = field(default_factory=dict)
    """By key the width of its glasses in millimetres, where its row has it."""
    alone: int = 0
    """How many photos have no name of a group."""
    several: int = 0
    """How many groups have a width in more than one row."""


def read(selection: Selection, by: str, width_by: str | None, across_mm: float) -> Groups:
    """The groups that the column `by` of a list names, with the widths in the column `width_by`.

    `across_mm`: how wide a picture is, and so the most that glasses are. Raises GlassegError, as wrong usage, for a
    column that the list does not have, and for groups that are too large or without one width.
    """
    by, width_by = folded(by), width_by and folded(width_by)
    _refuse_unknown(selection, by, "--scale-by")
    chosen = selection.chosen
    names = {key: columns[by] for key, columns in chosen.items() if by in columns}
    members: dict[str, list[str]] = defaultdict(list)
    for key, name in names.items():
        members[name].append(key)
    _refuse(
        [
            f"{_group(selection, name, keys)} has {len(keys)} photos: a group has {MOST} at most"
            for name, keys in members.items()
            if len(keys) > MOST
        ]
    )
    groups = Groups(names, alone=len(chosen) - len(names))
    if width_by is None:
        return groups
    _refuse_unknown(selection, width_by, "--width-mm")
    texts = {key: columns[width_by] for key, columns in chosen.items() if width_by in columns}
    widths = {key: numbers.positive(text) for key, text in texts.items()}
    _refuse(
        [
            f"row {selection.rows[key]}, {visible(texts[key])!r} is no width: give millimetres, such as 138.5"
            if width is None or width < NARROWEST
            else f"row {selection.rows[key]}, {width:g} mm is more than --across-mm {across_mm:g}: it has no place"
            for key, width in widths.items()
            if width is None or not NARROWEST <= width <= across_mm
        ]
    )
    known = {key: width for key, width in widths.items() if width is not None}
    _refuse(
        [
            f"{_group(selection, name, keys)} {why}"
            for name, keys in members.items()
            if (why := _wrong_widths({known[key] for key in keys if key in known}))
        ]
    )
    several = sum(sum(key in known for key in keys) > 1 for keys in members.values())
    return Groups(names, known, groups.alone, several)


def _wrong_widths(widths: set[float]) -> str | None:
    if not widths:
        return "has no width: give it in one of its rows, that of the front view"
    if len(widths) > 1:
        return f"has several widths, {' and '.join(f'{width:g}' for width in sorted(widths)[:_SHOWN])} mm: give one"
    return None


def _group(selection: Selection, name: str, keys: Sequence[str]) -> str:
    return f"the group {visible(name)!r} (row {min(selection.rows[key] for key in keys)})"


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise GlassegError("; ".join(wrong[:_SHOWN]) + more)


def _refuse_unknown(selection: Selection, column: str, option: str) -> None:
    there = sorted({name for columns in selection.chosen.values() for name in columns})
    if column not in there:
        columns = f"its columns are {', '.join(map(visible, there))}" if there else "it has no others"
        raise GlassegError(
            f"{option} {visible(column)}: no photo of the list has a value in such a column; {columns}", 2
        )


def with_groups(found: pa.Table, groups: Groups) -> pa.Table:
    """`found` (`key`, `etag`) with columns `unit`, what its photo's group is called here, `group_members` and
    `width_mm`."""
    keys, etags = found["key"].to_pylist(), found["etag"].to_pylist()
    members: dict[str | None, list[tuple[str, str]]] = defaultdict(list)
    for key, etag in zip(keys, etags, strict=True):
        members[groups.names.get(key)].append((key, etag or ""))
    alone = members.pop(None, [])
    units, hashes = {}, {}
    for group in [*members.values(), *([one] for one in alone)]:
        unit, hashed = min(group)[0], members_hash(group, groups.widths)
        for key, _ in group:
            units[key], hashes[key] = unit, hashed
    for name, values in (("unit", units), ("group_members", hashes)):
        found = found.append_column(name, pa.array([values[key] for key in keys], pa.string()))
    return found.append_column("width_mm", pa.array([groups.widths.get(key) for key in keys], pa.float64()))


def members_hash(members: Iterable[tuple[str, str]], widths: Mapping[str, float]) -> str:
    """Twelve hex digits of the photos of a group, pairs of key and etag, and of the widths of those that have one."""
    text = repr([(key, etag, widths.get(key)) for key, etag in sorted(members)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def with_absent(found: pa.Table, state: pa.Table, listed: pa.ChunkedArray, wanted: Wanted) -> tuple[pa.Table, int]:
    """`found`, as of `with_groups`, with `held_scale`, `held_baseline` and `group_partial`; how many groups are so.

    Those are the scale of a group of which some photos are in the source, `listed`, but not in the list of this run: it
    stays as it is, also for photos that are new in it. `group_members` is then as those photos have it.
    """
    row = pc.index_in(found["key"], value_set=state["key"]).combine_chunks()
    before = state["group_members"].combine_chunks().take(row)
    away = pc.and_(pc.is_in(state["key"], value_set=listed), pc.invert(pc.is_in(state["key"], value_set=found["key"])))
    away = pc.and_(away, pc.is_in(state["group_members"], value_set=pc.unique(before).drop_null()))
    away = pc.and_(away, pc.and_(pc.is_valid(state["group_scale"]), among(state["options_id"], [wanted.options_id])))
    if wanted.redo == "all":
        away = pc.and_(away, False)
    theirs = state.filter(pc.and_(away, pc.invert(among(state["status"], [Status.GONE]))))
    held = {
        one["group_members"]: (one["group_scale"], one["group_baseline"]) for one in theirs.select(COLUMNS).to_pylist()
    }
    units: dict[str, set[str]] = defaultdict(set)
    for unit, members in zip(found["unit"].to_pylist() if held else (), before.to_pylist(), strict=False):
        if members:
            units[unit].add(members)
    kept = {unit: min(members) for unit, members in units.items() if len(members) == 1 and members <= held.keys()}
    stays = [kept.get(unit) for unit in found["unit"].to_pylist()] if kept else [None] * len(found)
    members = pc.coalesce(pa.array(stays, pa.string()), found["group_members"])
    found = found.set_column(found.schema.get_field_index("group_members"), "group_members", members)
    for place, name in enumerate(("held_scale", "held_baseline")):
        values = [held[one][place] if one else None for one in stays]
        found = found.append_column(name, pa.array(values, pa.float64()))
    partial = pa.array([one is not None for one in stays], pa.bool_())
    return found.append_column("group_partial", partial), len(kept)


def with_scales(difference: pa.Table, state: pa.Table, wanted: Wanted) -> pa.Table:
    """A difference with `group_scale` and `group_baseline`, null where they have to be decided, by whole units.

    What its row says holds for a photo as long as that is of the same members and options, whatever else is to be done
    again; so a new model does not move a line. Where that is not so for one photo of a group, the group is decided
    anew: all of its photos are pending, `group` those with no reason of their own. `--redo all` decides every group
    anew. The others are units of their own, but for those of a group in which no glasses have been found yet.

    Reads the columns of `with_groups` and `with_absent`; `state` is `State.photos` with `COLUMNS`.
    """
    row = pc.index_in(difference["key"], value_set=state["key"]).combine_chunks()

    def known(name: str) -> pa.Array:
        return state[name].combine_chunks().take(row)

    units, members = difference["unit"].combine_chunks(), difference["group_members"].combine_chunks()
    pending = pc.not_equal(difference["reason"], UNCHANGED).combine_chunks()
    same = pc.fill_null(pc.equal(known("group_members"), members), False)
    same = pc.and_(same, among(known("options_id"), [wanted.options_id]))
    held = {name: difference[f"held_{name}"].combine_chunks() for name in ("scale", "baseline")}
    anew = pc.and_(pending, pc.invert(pc.or_(same, pc.is_valid(held["scale"]))))
    decided = pc.is_in(units, value_set=pc.unique(units.filter(pending if wanted.redo == "all" else anew)))
    own = {
        name: pc.if_else(decided, None, pc.coalesce(pc.if_else(same, known(f"group_{name}"), None), held[name]))
        for name in held
    }
    pulled = pc.and_(decided, pc.invert(pending))
    columns = {
        "reason": pc.if_else(pulled, Reason.GROUP.value, difference["reason"].combine_chunks()),
        "unit": pc.if_else(pc.is_valid(own["scale"]), difference["key"].combine_chunks(), units),
    }
    for name, column in columns.items():
        difference = difference.set_column(difference.schema.get_field_index(name), name, column)
    for name, column in own.items():
        difference = difference.append_column(f"group_{name}", column)
    return difference
