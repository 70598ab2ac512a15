"""What a run of `glasseg whiten` will do, worked out before Ray starts and before anything is written.

The listing of the source, compared with the state of every photo, yields the pending photos; what stands in the places
of their pictures makes them the work of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, gates, gone, groups, pending, reviewed, state
from glasseg.catalog.contents import Contents
from glasseg.catalog.pending import UNCHANGED, Wanted
from glasseg.catalog.schema import NUMBERED, Reason, Status
from glasseg.catalog.state import State
from glasseg.lists.selection import Selection
from glasseg.model.folder import ModelFolder
from glasseg.storage.naming import EXACT, Naming
from jobs.whiten.order import PENDING, Order
from jobs.whiten.places import Found, Places
from jobs.whiten.renaming import Renamed, Renaming


@dataclass(frozen=True)
class Plan:
    """The work of one run."""

    order: Order
    model: ModelFolder
    work: pa.Table
    """A table of `PENDING`."""
    clashes: dict[str, str]
    """Photos of the work that will fail since their pictures have no place of their own: why, by key."""
    outputs: pa.ChunkedArray
    """The pictures of all photos that were found."""
    reasons: dict[str, int]
    """Why photos are pending, with how many; `unchanged` are not."""
    others: dict[str, int]
    """As in `Found`."""
    kept: int
    """Photos of earlier runs in system folders, whose pictures stay."""
    gone: pa.Table
    """Rows of the state whose photos have left the source."""
    gone_pictures: pa.Table
    """`key` and `output_key` of their pictures that are to be deleted."""
    needed_pictures: pa.Table
    """The same of those that are not: a photo of the source is to have its picture there."""
    published: pa.ChunkedArray
    """The outputs that unfinished runs claimed and rows name."""
    whole: bool
    """Whether every photo of the source is done after this run."""
    usual_coverage: float | None
    """The median of earlier pictures; None when they are too few."""
    listed: bool
    """Whether the destination could be listed."""
    naming: Naming = EXACT
    """What the destination ignores in names."""
    unsolved: dict[str, int] = field(default_factory=dict)
    """How many of the up-to-date photos failed, were held back or need review, by which of these."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few names for each reason."""
    selection: Selection | None = None
    alone: int = 0
    """Photos of no group, in a run that has groups."""
    several_widths: int = 0
    """Groups with a width in more than one row."""
    partial: int = 0
    """Groups of which the list names only some photos, so that their scale stays."""
    compared_by: str = "ETag"
    """As in `Found`."""
    renaming: Renaming = field(default_factory=Renaming)
    """The pictures that move before the work."""
    refusal: str = ""
    """Why the run itself would be refused; a dry run shows it."""

    def without_stuck(self, renamed: Renamed) -> Plan:
        """The plan without pictures in the places of those that could not be moved: their photos fail."""
        if not renamed.stuck:
            return self
        held = self.work.filter(self.naming.among(self.work["output"], pa.array(renamed.stuck, pa.string())))
        pairs = zip(held["key"].to_pylist(), held["output"].to_pylist(), strict=True)
        why = {key: f"{output} is still the picture of another photo, which can't be moved" for key, output in pairs}
        return replace(self, clashes=self.clashes | why)

    @property
    def unchanged(self) -> int:
        """Photos that are up to date."""
        return self.reasons.get(UNCHANGED, 0)

    @property
    def pending(self) -> int:
        """Photos that need work, including those left for later."""
        return len(self.outputs) - self.unchanged


def make_plan(
    places: Places,
    found: Found,
    known: State,
    contents: Contents,
    order: Order,
    *,
    wanted: Wanted,
    limit: int | None,
    overwrite: bool,
    delete_gone: bool,
    delete_many: bool,
    others: Sequence[Plan] = (),
) -> Plan:
    """The difference between what was found and what is known, as the work of a run.

    Reads only, to be called under the lock of the destination. `found` has to be `placed`. `limit`: of photos, together
    with those of `others`, the run's plans for other destinations: a photo that they have is done here, too.
    `delete_gone`: whether the pictures of photos that left the source are to be deleted; `delete_many`: even when they
    are more than `MOST_DELETED` of all. Raises GlassegError for files in the way that are not ours.
    """
    photos, partial = found.photos, 0
    if found.groups:
        photos, partial = groups.with_absent(photos, known.photos, found.listed, wanted)
    photos = pending.with_existing(photos, contents.names, known.places, places.naming, contents.empty)
    listed = contents.listed
    difference = pending.difference(photos, known.photos, wanted, contents.touched, places.naming)
    if found.groups:
        difference = groups.with_scales(difference, known.photos, wanted)
    todo = pending.retries_last(difference.filter(pc.not_equal(difference["reason"], UNCHANGED)))
    whole = found.whole and limit is None
    left, doomed, needed = _gone(found if whole else None, photos, known, difference, places.naming, delete=delete_gone)
    counted = difference["reason"].value_counts().to_pylist()
    chosen = todo if limit is None else _first(todo, limit, others)
    clashing = chosen.filter(pc.is_valid(chosen["clash"]))
    return Plan(
        order=order,
        model=places.model,
        work=_work(chosen, known, places, order.place, overwrite=overwrite, listed=listed),
        clashes=dict(zip(clashing["key"].to_pylist(), clashing["clash"].to_pylist(), strict=True)),
        outputs=difference["output"],
        reasons={one["values"]: one["counts"] for one in sorted(counted, key=lambda one: -one["counts"])},
        others=found.others,
        kept=gone.kept(known.photos, found.system),
        gone=left,
        gone_pictures=doomed,
        needed_pictures=needed,
        published=_among_claimed(places, known.places["output_key"]),
        whole=whole,
        usual_coverage=_usual_coverage(known.photos),
        listed=listed,
        naming=places.naming,
        unsolved=pending.unsolved(difference, known.photos),
        examples=pending.examples(todo),
        selection=found.selection,
        alone=found.groups.alone if found.groups else 0,
        several_widths=found.groups.several if found.groups else 0,
        partial=partial,
        compared_by=found.compared_by,
        refusal=gone.refusal(left, known.photos) if delete_gone and not delete_many else "",
    )


def _first(todo: pa.Table, limit: int, others: Sequence[Plan]) -> pa.Table:
    """The pending photos that are worked on: those of other plans, and new ones as long as all are at most `limit`.

    Whole groups, so that it may be some more.
    """
    known = (
        pa.chunked_array([plan.work["key"] for plan in others], pa.string()) if others else pa.array([], pa.string())
    )
    room = limit - len(pc.unique(known))
    theirs = pc.is_in(todo["key"], value_set=known)
    fresh = pending.first(todo.filter(pc.invert(theirs)), room)
    column = "unit" if "unit" in todo.schema.names else "key"
    chosen = pa.chunked_array([*todo.filter(theirs)[column].chunks, *fresh[column].chunks], pa.string())
    return todo.filter(pc.is_in(todo[column], value_set=chosen))


def _gone(
    found: Found | None, photos: pa.Table, known: State, difference: pa.Table, naming: Naming, *, delete: bool
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """`gone`, `gone_pictures` and `needed_pictures` of a plan; none, when not all of the source is `found`."""
    left = known.photos.slice(0, 0)
    if found:
        left = gone.photos(photos, known.photos, delete=delete, skipped=found.system)
    doomed, needed = gone.pictures(
        left.slice(0, len(left) if delete else 0), known.places, difference["output"], naming
    )
    told = pc.and_(state.among(left["status"], [Status.GONE]), pc.is_in(left["key"], value_set=needed["key"]))
    return left.filter(pc.invert(told)), doomed, needed


def _among_claimed(places: Places, outputs: pa.ChunkedArray) -> pa.ChunkedArray:
    """Those of `outputs` that unfinished runs claimed: few, while all of them would be kept in memory for the run."""
    claimed = pa.chunked_array(claims.claimed(places.destination), pa.string())
    return outputs.filter(places.naming.among(outputs, claimed)) if len(claimed) else outputs.slice(0, 0)


def _work(todo: pa.Table, known: State, at: Places, place: int, *, overwrite: bool, listed: bool) -> pa.Table:
    """Pending photos as a table of `PENDING`, with what stands in the places of their pictures.

    Raises GlassegError where files that are not ours are seen in the way.
    """
    places = pending.standing_at(known.places, todo["output"], at.naming)
    guarded = pa.repeat(False, len(todo))
    if listed and not overwrite:
        claims.refuse_foreign(at.destination, todo.filter(todo["exists"])["output"], places, at.naming)
    elif not overwrite:
        guarded = pc.invert(claims.ours(at.destination, todo["output"], places, at.naming))
    standing = at.naming.index(todo["output"], places["output_key"])
    whole = pc.and_not(todo["exists"], todo["empty"])
    stands = pc.and_(whole, pc.not_equal(todo["reason"], Reason.UNFINISHED))  # else nobody knows what is there
    standing = pc.if_else(stands, standing, pa.scalar(None, pa.int32())).combine_chunks()
    for name, column in (("status", "status"), ("run_id", "run_id"), ("coverage", "mask_coverage")):
        todo = todo.append_column(f"standing_{name}", places[column].combine_chunks().take(standing))
    todo = todo.append_column("guarded", guarded)
    said = known.photos["reviewed"].combine_chunks()
    said = said.take(pc.index_in(todo["key"], value_set=known.photos["key"]).combine_chunks())
    for name, column in reviewed.parted(said).items():
        todo = todo.append_column(name, column)
    if not {*NUMBERED} & {*todo.schema.names}:
        row = pc.index_in(todo["key"], value_set=known.photos["key"])
        for name in NUMBERED:
            todo = todo.append_column(name, pc.cast(known.photos[name].take(row), PENDING.field(name).type))
    if "unit" not in todo.schema.names:
        todo = todo.append_column("unit", todo["key"])
    for name, column in (("place", pa.repeat(place, len(todo))), ("unit_rows", pa.repeat(1, len(todo)))):
        todo = todo.append_column(name, column)
    for name in set(PENDING.names).difference(todo.schema.names):
        todo = todo.append_column(name, pa.nulls(len(todo), PENDING.field(name).type))
    return todo.select(PENDING.names).cast(PENDING)


def _usual_coverage(known: pa.Table) -> float | None:
    coverages = known["standing_coverage"].drop_null()
    if len(coverages) < gates.JUDGED_FROM:
        return None
    return float(pc.approximate_median(coverages).as_py())
