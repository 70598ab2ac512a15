"""What a run of `glasseg whiten` will do, worked out before Ray starts and before anything is written.

The listing of the source, compared with the state of every photo, yields the pending photos; what stands in the places
of their pictures makes them the work of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims, clashes, gates, inventory, lock, pending, runs, skipped, state
from glasseg.catalog.pending import UNCHANGED, Wanted
from glasseg.catalog.schema import Reason, Status
from glasseg.catalog.state import State
from glasseg.errors import DeniedError, GlassegError
from glasseg.formats import OURS, Format, is_photo
from glasseg.lists import selection
from glasseg.lists.selection import Selection
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage import listing, naming, roots
from glasseg.storage.keys import Entry
from glasseg.storage.naming import EXACT, Naming
from glasseg.storage.roots import Folder, Root
from jobs.whiten.order import PENDING, Order

MOST_DELETED = 0.05
"""Share of the known photos whose pictures are deleted without `--yes`."""


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes, and with which model."""

    source: Root
    names: list[str] | None
    """The only photos of the source that are meant; None for all."""
    destination: Root
    model: ModelFolder
    naming: Naming = EXACT
    """What the destination ignores in names."""


@dataclass(frozen=True)
class Found:
    """The photos that a run has to look after."""

    photos: pa.Table
    """As `pending.photos` returns them, with their clashes; with a list, also `list_columns`."""
    others: dict[str, int]
    """How many other files the source holds, by their kinds."""
    system: pa.ChunkedArray
    """Keys of pictures in folders that systems keep for themselves: no photos for this run."""
    whole: bool
    """Whether `photos` are all photos of the source, as it is now."""
    selection: Selection | None = None
    """What the list chose, when there was one."""
    inventory: str | None = None
    """The id of the inventory that listed them, when there was one."""
    compared_by: str = "ETag"
    """What tells whether one of them has changed; see `listing.compared_by`."""


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
    compared_by: str = "ETag"
    """As in `Found`."""
    refusal: str = ""
    """Why the run itself would be refused; a dry run shows it."""

    @property
    def unchanged(self) -> int:
        """Photos that are up to date."""
        return self.reasons.get(UNCHANGED, 0)

    @property
    def pending(self) -> int:
        """Photos that need work, including those left for later."""
        return len(self.outputs) - self.unchanged


def open_places(
    source_uri: str,
    destination_uri: str,
    model_uri: str,
    *,
    endpoint_url: str | None,
    needs_quality: bool = False,
    all_folders: bool = False,
) -> Places:
    """Refuse what can be refused without knowing the destination's records: nested places, no photos, no model.

    Reads only. `needs_quality`: whether the model must have a calibration. Raises GlassegError; with exit code 4 when
    another run works on the destination.
    """
    roots.refuse_nested(source_uri, destination_uri)
    source, names = roots.open_source(source_uri, endpoint_url=endpoint_url)
    destination = roots.open_root(destination_uri, endpoint_url=endpoint_url)
    model = model_folder.load(model_uri, endpoint_url=endpoint_url)
    if needs_quality and not model.spec.calibration:
        raise GlassegError(
            f"--review-below needs a quality, and {model_uri} has no calibration: run glasseg calibrate on it, or "
            "leave the option out",
            2,
        )
    lock.refuse_if_taken(destination)
    if not any(is_photo(entry.key, all_folders=all_folders) for entry in _entries(source, names)):
        _, others = pending.photos(listing.table(_entries(source, names)), "keep")
        raise GlassegError(_no_photos(source_uri, skipped.kinds(others)))
    return Places(source, names, destination, model, naming.guessed(destination))


def probed(places: Places) -> Places:
    """`places`, once writing is allowed: what the destination ignores in names is then tried."""
    return replace(places, naming=naming.probed(places.destination))


def find(
    places: Places,
    *,
    format: Format,
    transparent: bool,
    masks: bool,
    all_folders: bool,
    inventory_uri: str | None,
    photo_list: str | None,
    column: str | None,
    endpoint_url: str | None,
) -> Found:
    """List the source, or read its inventory, and keep what the list of photos names.

    Raises GlassegError when there are no photos, and for a list that can't be read.
    """
    source = places.source
    if inventory_uri:
        listed = inventory.listing_of(source, inventory_uri, endpoint_url=endpoint_url)
    elif places.names is None:
        listed = listing.read(source)
    else:
        listed = listing.table(_entries(source, places.names))
    photos, others = pending.photos(listed, format, transparent, all_folders=all_folders)
    kinds, system = skipped.kinds(others), others.filter(pending.in_system_folders(others))
    if not len(photos):  # never to be mistaken for a catalog that is gone as a whole
        raise GlassegError(_no_photos(source.uri, kinds))
    folders = isinstance(places.destination, Folder)
    photos = clashes.with_clashes(photos, places.naming, folders=folders, masks=masks)
    inventory_id = inventory.id_of(listed) if inventory_uri else None
    compared_by = listing.compared_by(source, listed)
    if not photo_list:
        whole = places.names is None and not inventory_uri
        return Found(photos, kinds, system, whole, None, inventory_id, compared_by)
    data = selection.fetch(photo_list, endpoint_url=endpoint_url)
    chosen = selection.select(photo_list, data, photos["key"], source.uri, column)
    return Found(_chosen(photos, chosen), kinds, system, False, chosen, inventory_id, compared_by)


def _no_photos(uri: str, kinds: dict[str, int]) -> str:
    files = f" (other files: {skipped.described(kinds)})" if kinds else ""
    way_out = ", or are they missing --all-folders?" if any(kind.startswith("in ") for kind in kinds) else "?"
    return f"no photos in {uri}{files}: is it the right place{way_out}"


def _entries(source: Root, names: list[str] | None) -> Iterator[Entry]:
    """What a source holds, or only the entries called `names`."""
    if names is None:
        return source.list()
    return (entry for name in names for entry in source.list(name) if entry.key == name)


def _chosen(photos: pa.Table, chosen: Selection) -> pa.Table:
    """The photos that a list chose, with the rest of its columns."""
    photos = photos.filter(pc.is_in(photos["key"], value_set=pa.array(chosen.chosen, pa.string())))
    columns = [list(chosen.chosen[key].items()) or None for key in photos["key"].to_pylist()]
    return photos.append_column("list_columns", pa.array(columns, PENDING.field("list_columns").type))


def refuse_other_source(places: Places, known: pa.Table) -> None:
    """Raise GlassegError when the last run had another source; where it was killed before its record, its rows tell."""
    last: dict[str, object] = next(iter(runs.latest(places.destination, 1)), {})
    ours = not len(known) or pc.any(known["of_source"]).as_py()
    before = last.get("source") or (places.source.uri if ours else "another source")
    if before != places.source.uri:
        raise GlassegError(
            f"the pictures there were made from {before}, not from {places.source.uri}: choose another destination, "
            "or add --new-source"
        )


def make_plan(
    places: Places,
    found: Found,
    known: State,
    order: Order,
    *,
    wanted: Wanted,
    limit: int | None,
    overwrite: bool,
    delete_gone: bool,
    delete_many: bool,
) -> Plan:
    """The difference between what was found and what is known, as the work of a run.

    Reads only, to be called under the lock of the destination. `delete_gone`: whether the pictures of photos that left
    the source are to be deleted; `delete_many`: even when they are more than `MOST_DELETED` of all. Raises GlassegError
    for files in the way that are not ours.
    """
    there, empty = _pictures(places.destination)
    photos = pending.with_existing(found.photos, there, known.places, places.naming, empty)
    listed = there is not None
    touched = claims.touched(places.destination, places.naming) if listed else None
    difference = pending.difference(photos, known.photos, wanted, touched, places.naming)
    todo = pending.retries_last(difference.filter(pc.not_equal(difference["reason"], UNCHANGED)))
    whole = found.whole and limit is None
    gone = known.photos.slice(0, 0)
    if whole:
        gone = pending.gone(photos, known.photos, delete=delete_gone, skipped=found.system)
    doomed, needed = _pictures_of(
        gone.slice(0, len(gone) if delete_gone else 0), known.places, difference["output"], places.naming
    )
    told = pc.and_(state.among(gone["status"], [Status.GONE]), pc.is_in(gone["key"], value_set=needed["key"]))
    gone = gone.filter(pc.invert(told))
    counted = difference["reason"].value_counts().to_pylist()
    chosen = todo.slice(0, limit)
    clashing = chosen.filter(pc.is_valid(chosen["clash"]))
    return Plan(
        order=order,
        model=places.model,
        work=_work(chosen, known, places, overwrite=overwrite, listed=listed),
        clashes=dict(zip(clashing["key"].to_pylist(), clashing["clash"].to_pylist(), strict=True)),
        outputs=difference["output"],
        reasons={one["values"]: one["counts"] for one in sorted(counted, key=lambda one: -one["counts"])},
        others=found.others,
        kept=pending.kept(known.photos, found.system),
        gone=gone,
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
        compared_by=found.compared_by,
        refusal=_too_many_deleted(gone, known.photos) if delete_gone and not delete_many else "",
    )


def _pictures(destination: Root) -> tuple[pa.ChunkedArray | None, pa.ChunkedArray | None]:
    """What is in a destination besides our records, and what of it is empty; None where it can't be listed."""
    try:
        found = listing.read(destination, OURS)
        return found["key"], found["key"].filter(pc.equal(found["size"], 0))
    except DeniedError:
        return None, None


def _pictures_of(
    gone: pa.Table, places: pa.Table, outputs: pa.ChunkedArray, naming: Naming
) -> tuple[pa.Table, pa.Table]:
    """`key` and `output_key` of what stands in the destination of photos that are gone: the rest, and in `outputs`."""
    pairs = places.select(["key", "output_key"])
    if not len(gone):
        return pairs.slice(0, 0), pairs.slice(0, 0)
    theirs = pairs.filter(pc.is_in(pairs["key"], value_set=gone["key"]))
    needed = naming.among(theirs["output_key"], outputs)
    return theirs.filter(pc.invert(needed)), theirs.filter(needed)


def _among_claimed(places: Places, outputs: pa.ChunkedArray) -> pa.ChunkedArray:
    """Those of `outputs` that unfinished runs claimed: few, while all of them would be kept in memory for the run."""
    claimed = pa.chunked_array(claims.claimed(places.destination), pa.string())
    return outputs.filter(places.naming.among(outputs, claimed)) if len(claimed) else outputs.slice(0, 0)


def _work(todo: pa.Table, known: State, at: Places, *, overwrite: bool, listed: bool) -> pa.Table:
    """Pending photos as a table of `PENDING`, with what stands in the places of their pictures.

    Raises GlassegError where files that are not ours are seen in the way.
    """
    places = pending.standing_at(known.places, todo["output"], at.naming)
    guarded = pa.repeat(False, len(todo))
    if listed and not overwrite:
        claims.refuse_foreign(at.destination, todo.filter(todo["exists"])["output"], places, at.naming)
    elif not overwrite:
        guarded = pc.invert(claims.ours(at.destination, todo["output"], places, at.naming))
    place = at.naming.index(todo["output"], places["output_key"])
    whole = pc.and_not(todo["exists"], todo["empty"])
    stands = pc.and_(whole, pc.not_equal(todo["reason"], Reason.UNFINISHED))  # else nobody knows what is there
    place = pc.if_else(stands, place, pa.scalar(None, pa.int32())).combine_chunks()
    for name, column in (("status", "status"), ("run_id", "run_id"), ("coverage", "mask_coverage")):
        todo = todo.append_column(f"standing_{name}", places[column].combine_chunks().take(place))
    todo = todo.append_column("guarded", guarded)
    if "list_columns" not in todo.schema.names:
        todo = todo.append_column("list_columns", pa.nulls(len(todo), PENDING.field("list_columns").type))
    return todo.select(PENDING.names).cast(PENDING)


def _too_many_deleted(gone: pa.Table, known: pa.Table) -> str:
    """Why the pictures of `gone` are not deleted without `--yes`; "" when they may be."""
    there = pc.sum(pc.and_not(known["of_source"], state.among(known["reason"], ["deleted"]))).as_py() or 0
    if len(gone) <= MOST_DELETED * there:
        return ""
    names = ", ".join(gone["key"].slice(0, 3).to_pylist())
    return (
        f"{len(gone)} of {there} known photos have left the source ({names} …): "
        "to delete the pictures of so many, add --yes"
    )


def _usual_coverage(known: pa.Table) -> float | None:
    coverages = known["standing_coverage"].drop_null()
    if len(coverages) < gates.JUDGED_FROM:
        return None
    return float(pc.approximate_median(coverages).as_py())
