"""Under which name the picture of each photo is to stand: the one that is asked for, or the one that it has.

A picture that has a name of its own, other than its photo's, keeps it until another one is asked for: a night without
`--name` must not rename a catalog. A photo whose last picture failed or was held back keeps its older name until it is
published again, and no picture takes the name of one that stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import clashes, moves, names, pending, state
from glasseg.catalog.contents import Contents
from glasseg.catalog.moves import MOVES
from glasseg.catalog.names import Template, stem_of, suffix_of
from glasseg.catalog.schema import NUMBERED, Status
from glasseg.catalog.state import State, among
from glasseg.formats import Format
from glasseg.lists.selection import Selection
from glasseg.storage.naming import EXACT, Naming

_JPEG: Final = r"^\.(jpe?g|jfif|jpe|pjpeg|pjp)$"
_SOME: Final = 100_000
_MAP: Final = MOVES.field("list_columns").type


@dataclass(frozen=True)
class Asked:
    """What a run asks of the names of its pictures."""

    template: Template | None = None
    format: Format = "keep"
    transparent: bool = False
    masks: bool = False
    folders: bool = True
    """Whether the destination has folders; see `clashes.with_clashes`."""
    overwrite: bool = False
    """Whether the name of a picture may be taken whose photo is in the source, but not among those of the run."""
    movable: bool = True
    """Whether pictures can be moved: where nothing may be deleted, they would stand there twice."""


@dataclass(frozen=True)
class Settled:
    """Photos with the names of their pictures, and what has to be done for that."""

    photos: pa.Table
    """As `pending.photos` returns them, with their clashes, and with `NUMBERED` where a template numbers."""
    moves: pa.Table = field(default_factory=MOVES.empty_table)
    older: int = 0
    """How many photos can't have the name yet that is asked for, and keep theirs."""
    example: str = ""
    """One of them, with its name."""


def settle(
    photos: pa.Table,
    known: State,
    contents: Contents,
    naming: Naming,
    asked: Asked,
    *,
    source: pa.ChunkedArray | None = None,
    selection: Selection | None = None,
) -> Settled:
    """The names of the pictures of `photos`, which come as `clashes.with_clashes` returns them.

    `source`: the keys of all that is in the source, None where that is not known; `selection`: what a list chose.
    Raises GlassegError for names that can't be given.
    """
    template = asked.template
    if template is None and not _any_named(known):
        return Settled(photos)
    own, given = _own(photos["key"], known, naming), photos["output"]
    if template is None:
        own, wanted = _kept(own, given, asked)
    else:
        photos = _named(photos, template, known, naming, selection)
        rows = selection.rows if selection else {}
        names.refuse_bad(photos, template, naming, rows, folders=asked.folders, masks=asked.masks)
        wanted = photos["output"]
    same_file = pc.fill_null(pc.equal(naming.folded(own["name"]), naming.folded(wanted)), False)
    wanted = pc.if_else(same_file, own["name"], wanted)
    can_move = older = pa.chunked_array([pa.repeat(False, len(photos))])
    if template:
        can_move = _movable(own, wanted, contents, naming)
        older = _keep_older(own, wanted, able=asked.movable and contents.listed)
        wanted = pc.if_else(older, _in_format(own["name"], asked), wanted)
    others = _others(photos["key"], known, contents, naming, source, named=template is None)
    taken, why = _taken(own["name"], wanted, others.slice(0, 0 if asked.overwrite else None), photos["key"], naming)
    wanted = pc.if_else(taken, own["name"], wanted)
    older = pc.or_(older, taken)
    photos = _replaced(photos, "output", wanted)
    if not given.equals(wanted):
        photos = clashes.with_clashes(photos.drop_columns("clash"), naming, folders=asked.folders, masks=asked.masks)
    photos = _replaced(photos, "clash", pc.coalesce(_said(photos["key"], why), photos["clash"]))
    moving = pc.and_(pc.and_not(can_move, older), asked.movable)
    made = _moves(photos, own, moving, naming, numbered="n" in template.fields) if template else MOVES.empty_table()
    return Settled(photos, made, *_told(photos, older))


def _in_format(outputs: pa.ChunkedArray, asked: Asked) -> pa.ChunkedArray:
    return pending.outputs(outputs, asked.format, asked.transparent)


def _any_named(known: State) -> bool:
    """Whether any picture has a name of its own."""
    places = known.places.select(["key", "output_key"])
    other = places.filter(pc.not_equal(places["key"], places["output_key"]))
    return any(  # some at a time: after a change of format these are all
        pc.any(pc.not_equal(stem_of(some["key"]), stem_of(some["output_key"]))).as_py()
        for some in other.to_batches(max_chunksize=_SOME)
    )


def _own(keys: pa.ChunkedArray, known: State, naming: Naming) -> pa.Table:
    """For each photo the newest place of its pictures, and what is known of it.

    `name`, null for none; `row`: the `run_seq` of its last row; `last`: whether that row is of the picture there;
    `failed`: whether its last picture failed or was held back; `name_number, name_series`.
    """
    places = known.places
    place = state.newest_places(known)
    if naming != EXACT:  # of several names of one file, that of the last picture is its
        order = pc.sort_indices(places["run_seq"], sort_keys=[("", "descending")])
        first = naming.index(places["output_key"], places["output_key"].take(order)).combine_chunks()
        owner = places["key"].take(order.take(first)).combine_chunks()
        place = pc.if_else(pc.equal(owner.take(place), known.photos["key"].combine_chunks()), place, None)
    row = pc.index_in(keys, value_set=known.photos["key"]).combine_chunks()
    place = place.take(row)
    status = known.photos["status"].take(row).combine_chunks()
    held = pc.fill_null(known.photos["held"].take(row).combine_chunks(), False)
    seq = known.photos["run_seq"].take(row).combine_chunks()
    columns = {
        "name": pa.chunked_array([pc.cast(places["output_key"].take(place).combine_chunks(), pa.string())]),
        "row": seq,
        "last": pc.fill_null(pc.equal(places["run_seq"].take(place).combine_chunks(), seq), False),
        "failed": pc.or_(held, among(status, [Status.FAILED])),
        "pictured": pc.and_not(among(status, [Status.OK, Status.REVIEW]), held),
    }
    for name, kind in zip(NUMBERED, (pa.int32(), pa.string()), strict=True):
        columns[name] = pc.cast(known.photos[name].take(row), kind)
    return pa.table(columns)


def _kept(own: pa.Table, given: pa.ChunkedArray, asked: Asked) -> tuple[pa.Table, pa.ChunkedArray]:
    """`own` of pictures that have another name than their photos alone, and the names that all are to have."""
    named = pc.fill_null(pc.not_equal(stem_of(own["name"]), stem_of(given)), False)
    own = _replaced(own, "name", pc.if_else(named, own["name"], pa.scalar(None, pa.string())))
    return own, pc.coalesce(_in_format(own["name"], asked), given)


def _named(photos: pa.Table, template: Template, known: State, naming: Naming, selection: Selection | None) -> pa.Table:
    """Photos with the names of a template as their `output`, and with their numbers."""
    names.refuse_unknown(template, selection.columns if selection else None)
    found = names.open_names(photos, template, selection.rows if selection else {})
    if "n" in template.fields:
        series = names.series_of(found)
        order = names.order_of(photos["key"], selection.chosen if selection else None)
        numbers = names.numbered(series, order, _numbered(known), photos["key"], naming)
        found = names.with_numbers(found, numbers)
        photos = photos.append_column("name_number", numbers).append_column("name_series", series)
    return _replaced(photos, "output", names.with_suffixes(found, template, photos["output"]))


def _numbered(known: State) -> pa.Table:
    """`key` and `NUMBERED` of all photos that have a number."""
    kept = known.photos.select(["key", *NUMBERED])
    kept = kept.filter(pc.is_valid(kept["name_number"]))
    return kept.cast(pa.schema([("key", pa.string()), ("name_number", pa.int32()), ("name_series", pa.string())]))


def _movable(own: pa.Table, wanted: pa.ChunkedArray, contents: Contents, naming: Naming) -> pa.ChunkedArray:
    """Whether a picture is as its last row says, there, and in the format that is asked for."""
    if contents.names is None or contents.empty is None or contents.touched is None:
        return pa.chunked_array([pa.repeat(False, len(own))])
    name = own["name"]
    there = pc.and_not(naming.among(name, contents.names), naming.among(name, contents.empty))
    touch = naming.index(name, contents.touched["output"])
    since = contents.touched["run_seq"].take(touch)  # claims of a run that was killed long ago may still be there
    later = pc.and_(pc.is_valid(touch), pc.fill_null(pc.less(own["row"], since), True))
    there = pc.and_not(there, later)
    good = pc.and_(pc.and_(own["last"], own["pictured"]), there)
    return pc.fill_null(pc.and_(good, pc.equal(_kind(name), _kind(wanted))), False)


def _kind(outputs: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(pc.utf8_lower(suffix_of(outputs)), _JPEG, ".jpg")


def _keep_older(own: pa.Table, wanted: pa.ChunkedArray, *, able: bool) -> pa.ChunkedArray:
    """Whether a photo keeps the name that it has: it failed or was held back, or nothing can be moved at all."""
    stuck = own["failed"] if able else pc.or_(own["failed"], pc.equal(_kind(own["name"]), _kind(wanted)))
    return pc.fill_null(pc.and_(pc.not_equal(own["name"], wanted), stuck), False)


def _others(
    keys: pa.ChunkedArray,
    known: State,
    contents: Contents,
    naming: Naming,
    source: pa.ChunkedArray | None,
    *,
    named: bool,
) -> pa.Table:
    """`key` and `name` of pictures that stay, of photos in the source that are not among `keys`.

    `named`: only those that have a name of their own.
    """
    away = pc.invert(pc.is_in(known.photos["key"], value_set=keys))
    if source is not None:
        away = pc.and_(away, pc.is_in(known.photos["key"], value_set=source))
    away = pc.and_not(away, among(known.photos["status"], [Status.GONE]))
    theirs = known.photos["key"].filter(away)
    own = _own(theirs, known, naming)
    found = pa.table({"key": theirs, "name": own["name"]})
    stands = pc.is_valid(found["name"])
    if named:
        stands = pc.and_(stands, pc.not_equal(stem_of(found["key"]), stem_of(found["name"])))
    if contents.names is not None:
        stands = pc.and_(stands, naming.among(found["name"], contents.names))
    return found.filter(pc.fill_null(stands, False))


def _taken(
    own: pa.ChunkedArray, wanted: pa.ChunkedArray, others: pa.Table, keys: pa.ChunkedArray, naming: Naming
) -> tuple[pa.Array, dict[str, str]]:
    """Whether a photo keeps its name since another one's picture stays under the wanted one; why those without fail.

    Who then keeps his own name may be in the way of others in turn.
    """
    has = pc.is_valid(own).to_numpy()
    at_home = pc.fill_null(pc.equal(own, wanted), False).to_numpy()
    leaving = np.flatnonzero(~at_home)
    some = wanted.take(pa.array(leaving))
    holder = pc.fill_null(naming.index(some, own), -1).to_numpy()
    outside = pc.fill_null(naming.index(some, others["name"]), -1).to_numpy()
    taken, why = np.zeros(len(own), bool), dict[str, str]()
    while True:
        held = (outside >= 0) | ((holder >= 0) & at_home[holder])
        blocked = np.flatnonzero(held & ~taken[leaving])
        if not len(blocked):
            break
        taken[leaving[blocked]] = True
        at_home[leaving[blocked]] |= has[leaving[blocked]]
        for place in blocked[~has[leaving[blocked]]].tolist():
            key, name = keys[leaving[place]].as_py(), some[place].as_py()
            if outside[place] >= 0:
                whose = others["key"][outside[place]].as_py()
                why[key] = f"{name} is the picture of {whose}, which this run leaves alone: --overwrite takes its place"
            else:
                why[key] = f"{name} is the picture of {keys[holder[place]].as_py()}, which can't move away yet"
    return pa.array(taken & has), why


def _said(keys: pa.ChunkedArray, why: dict[str, str]) -> pa.Array:
    reasons, some = pa.array(list(why.values()), pa.string()), pa.array(list(why), pa.string())
    return reasons.take(pc.index_in(keys, value_set=some).combine_chunks())


def _moves(photos: pa.Table, own: pa.Table, can_move: pa.ChunkedArray, naming: Naming, *, numbered: bool) -> pa.Table:
    """`MOVES` of the pictures whose names alone change, or of whose photos only the numbers are new."""
    moving = pc.not_equal(own["name"], photos["output"])
    if numbered:
        same = pc.and_(*(pc.fill_null(pc.equal(own[name], photos[name]), False) for name in NUMBERED))
        moving = pc.or_(moving, pc.invert(same))
    moving = pc.fill_null(pc.and_(moving, can_move), False)
    some, theirs = photos.filter(moving), own.filter(moving)
    columns = {"key": some["key"], "old": theirs["name"], "new": some["output"], "row": theirs["row"]}
    for name in NUMBERED:
        columns[name] = some[name] if numbered else theirs[name]
    listed = "list_columns" in some.schema.names
    columns["list_columns"] = some["list_columns"] if listed else pa.nulls(len(some), _MAP)
    return moves.ordered(pa.table(columns), naming)


def _told(photos: pa.Table, older: pa.ChunkedArray) -> tuple[int, str]:
    count = pc.sum(older).as_py() or 0
    first = photos.filter(older).slice(0, 1).to_pylist() if count else ()
    return count, "".join(f"{one['key']} as {one['output']}" for one in first)


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)
