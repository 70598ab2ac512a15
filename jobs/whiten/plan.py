"""What a run of `glasseg whiten` is going to do, found out before Ray starts and before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from glasseg import formats
from glasseg.catalog import claims, gates, inventory, lock, pending, runs, state
from glasseg.catalog.pending import RETRY, UNCHANGED, UNFINISHED, Wanted
from glasseg.config import WhitenConfig
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look, colour_of, contradiction
from glasseg.errors import DeniedError, GlassegError
from glasseg.lists import selection
from glasseg.lists.selection import Selection
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder, ModelSpec
from glasseg.storage import listing, roots
from glasseg.storage.roots import Entry, Root
from jobs.whiten.order import PENDING, Order

MOST_DELETED = 0.05
"""Share of the known photos whose pictures are deleted without `--yes`."""


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes, and what it makes of the photos."""

    source: Root
    names: list[str] | None
    """The only photos of the source that are meant; None for all."""
    destination: Root
    model: ModelFolder
    look: Look


@dataclass(frozen=True)
class Found:
    """The photos that a run has to look after."""

    photos: pa.Table
    """As `catalog.photos` gives them."""
    others: int
    """Files of the source that are no photos."""
    whole: bool
    """Whether `photos` are all photos of the source, as it is now."""
    selection: Selection | None = None
    """What the list chose of them, when there was one."""


@dataclass(frozen=True)
class Plan:
    """The work of one run."""

    order: Order
    model: ModelFolder
    work: pa.Table
    """Of `PENDING`."""
    outputs: pa.ChunkedArray
    """The pictures of all photos that were found."""
    reasons: dict[str, int]
    """Why photos are pending, with how many; `unchanged` are not."""
    others: int
    gone: pa.Table
    """Rows of the state whose photos have left the source."""
    whole: bool
    """Whether every photo of the source is done after this run."""
    usual_coverage: float | None
    """The median of earlier pictures, None when they are too few."""
    listed: bool
    """Whether it is known what is in the destination."""
    unsolved: dict[str, int] = field(default_factory=dict)
    """Of the photos that are up to date those that failed, were held back or wait for a look, by which of these."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few names for each reason."""
    selection: Selection | None = None
    refusal: str = ""
    """Why this may only be looked at in a dry run."""

    @property
    def unchanged(self) -> int:
        """Photos that are up to date."""
        return self.reasons.get(UNCHANGED, 0)

    @property
    def pending(self) -> int:
        """Photos that need work, those left for later included."""
        return len(self.outputs) - self.unchanged


def look_of(config: WhitenConfig) -> Look:
    """The look that the options ask for. Raises GlassegError, as wrong usage, when they contradict each other."""
    try:
        framing = Framing(config.frame, config.fill, config.size, config.straighten, config.max_upscale)
        colour_of(config.background)
    except ValueError as error:
        raise GlassegError(str(error), 2) from error
    look = Look(config.background, config.lenses, config.shadow, framing, config.check)
    if reason := contradiction(look, config.format, config.quality):
        raise GlassegError(reason, 2)
    return look


def open_places(source_uri: str, destination_uri: str, config: WhitenConfig) -> Places:
    """Everything that can be refused without knowing the destination's records: nested places, no photos, no model.

    Reads only. Raises GlassegError; with exit code 4 when another run works on the destination.
    """
    if config.redo:
        pending.check_redo(config.redo)
    if config.column and not config.photos:
        raise GlassegError("--column names a column of --photos: give both, or neither", 2)
    if config.price_per_hour is not None and not config.dry_run:
        raise GlassegError("--price-per-hour is for the estimate of --dry-run: add that, or leave it out", 2)
    look = look_of(config)
    roots.refuse_nested(source_uri, destination_uri)
    source, names = roots.open_source(source_uri, endpoint_url=config.endpoint_url)
    destination = roots.open_root(destination_uri, endpoint_url=config.endpoint_url)
    model = model_folder.load(config.model, endpoint_url=config.endpoint_url)
    if config.review_below is not None and not model.spec.calibration:
        raise GlassegError(
            f"--review-below needs a quality, and {config.model} tells none: see glasseg calibrate, or leave it out",
            2,
        )
    lock.refuse_held(destination)
    if not any(formats.is_photo(entry.key) for entry in _entries(source, names)):
        raise GlassegError(f"no photos in {source_uri}: is it the right place?")
    return Places(source, names, destination, model, look)


def _find(places: Places, config: WhitenConfig) -> Found:
    """List the source, or read its inventory, and take what the list of photos names."""
    source, transparent = places.source, places.look.colour is None
    if config.listing:
        listed = inventory.listing_of(source, config.listing, endpoint_url=config.endpoint_url)
    elif places.names is None:
        listed = listing.read(source)
    else:
        listed = listing.table(_entries(source, places.names))
    photos, others = pending.photos(listed, config.format, transparent)
    if not len(photos):  # never to be taken for a catalog of which all is gone
        raise GlassegError(f"no photos in {source.uri} ({others} other files): is it the right place?")
    if not config.photos:
        return Found(photos, others, whole=places.names is None and not config.listing)
    data = selection.fetch(config.photos, endpoint_url=config.endpoint_url)
    chosen = selection.select(config.photos, data, photos["key"], source.uri, config.column)
    return Found(_chosen(photos, chosen), others, whole=False, selection=chosen)


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


def make_plan(places: Places, config: WhitenConfig, run_id: str, last_run_seq: int = 0) -> Plan:
    """The difference between what is there and what is known; `last_run_seq` is that of a run that was killed.

    Reads only, to be called under the lock of the destination. Raises GlassegError for another source than the last
    one, files of others in the way, and too many pictures to delete.
    """
    source, destination = places.source, places.destination
    last = next(iter(runs.latest(destination, 1)), None)
    # In this order, since of ten million photos each of these takes more than a gigabyte while it is made.
    known = state.read(destination, source.uri)
    if not config.new_source:
        _refuse_other_source(source, last, known)
    found = _find(places, config)
    there = _pictures(destination)
    photos = pending.with_existing(found.photos, there)
    wanted = Wanted(places.model.spec.model_id, config.options_id, config.max_pixels, config.redo)
    touched = None if there is None else claims.touched(destination)
    difference = pending.difference(photos, known, wanted, touched)
    todo = _retries_last(difference.filter(pc.not_equal(difference["reason"], UNCHANGED)))
    work = _protected(todo.slice(0, config.limit), destination, config, listed=there is not None)
    gone, refusal = known.slice(0, 0), ""
    whole = found.whole and config.limit is None
    if whole:
        gone = pending.gone(photos, known, delete=config.gone == "delete")
        refusal = _too_many_deleted(gone, known, config)
        if refusal and not config.dry_run:
            raise GlassegError(refusal)
    counted = difference["reason"].value_counts().to_pylist()
    run_seq = runs.next_seq(destination, known["run_seq"], last_run_seq)
    return Plan(
        order=_order(places, config, run_id, run_seq),
        model=places.model,
        work=_pending(work),
        outputs=difference["output"],
        reasons={one["values"]: one["counts"] for one in sorted(counted, key=lambda one: -one["counts"])},
        others=found.others,
        gone=gone,
        whole=whole,
        usual_coverage=_usual_coverage(known),
        listed=there is not None,
        unsolved=_unsolved(difference, known),
        examples=_examples(todo),
        selection=found.selection,
        refusal=refusal,
    )


def _retries_last(todo: pa.Table) -> pa.Table:
    """The photos in the order of the work: what fails every night must not take the place of what is new."""
    again = pc.equal(todo["reason"], RETRY)
    if not pc.any(again, min_count=0).as_py():
        return todo
    return pa.concat_tables([todo.filter(pc.invert(again)), todo.filter(again)])


def _pictures(destination: Root) -> pa.ChunkedArray | None:
    """What is in a destination beside our records; None where that may not be listed."""
    try:
        return listing.read(destination, formats.OURS)["key"]
    except DeniedError:
        return None


def _protected(work: pa.Table, destination: Root, config: WhitenConfig, *, listed: bool) -> pa.Table:
    """`work` with the column `guarded`, and what stands in the place of each picture: `standing_*`, null for nothing.

    Raises GlassegError where files of others are seen in the way.
    """
    published = claims.published(destination, work["output"])
    guarded = pa.repeat(False, len(work))
    if listed and not config.overwrite:
        claims.refuse_foreign(destination, work.filter(work["exists"])["output"], published)
    elif not config.overwrite:
        guarded = pc.invert(claims.ours(destination, work["output"], published))
    place = pc.index_in(work["output"], value_set=published["output_key"])
    stands = pc.and_(work["exists"], pc.not_equal(work["reason"], UNFINISHED))  # else nobody knows what is there
    place = pc.if_else(stands, place, pa.scalar(None, pa.int32())).combine_chunks()
    for name, column in (("status", "status"), ("run_id", "run_id"), ("coverage", "mask_coverage")):
        work = work.append_column(f"standing_{name}", published[column].combine_chunks().take(place))
    return work.append_column("guarded", guarded)


def _order(places: Places, config: WhitenConfig, run_id: str, run_seq: int) -> Order:
    return Order(
        source=places.source,
        destination=places.destination,
        run_id=run_id,
        run_seq=run_seq,
        model_id=places.model.spec.model_id,
        options_id=config.options_id,
        mask=config.mask,
        quality=config.quality,
        max_pixels=config.max_pixels,
        look=places.look,
        gates=config.gates,
        review_below=_review_below(places.model.spec, config),
    )


def _review_below(spec: ModelSpec, config: WhitenConfig) -> float | None:
    """The quality below which a person should look: as asked for, else the model's own line; None without one."""
    if config.review_below is None and spec.calibration:
        return spec.calibration.review_below
    return config.review_below


def _pending(work: pa.Table) -> pa.Table:
    """Rows of the difference as a table of `PENDING`."""
    if "list_columns" not in work.schema.names:
        work = work.append_column("list_columns", pa.nulls(len(work), PENDING.field("list_columns").type))
    return work.select(PENDING.names).cast(PENDING)


def _refuse_other_source(source: Root, last: dict[str, Any] | None, known: pa.Table) -> None:
    """Raise GlassegError when the last run had another source; without its record the rows tell, of a killed one."""
    ours = not len(known) or pc.any(known["of_source"]).as_py()
    before = (last or {}).get("source") or (source.uri if ours else "another source")
    if before != source.uri:
        raise GlassegError(
            f"the pictures there were made of {before}, not of {source.uri}: choose another destination, "
            "or add --new-source"
        )


def _too_many_deleted(gone: pa.Table, known: pa.Table, config: WhitenConfig) -> str:
    """Why the pictures of `gone` are not deleted without `--yes`; "" when they may be."""
    there = pc.sum(pc.and_not(known["of_source"], state.among(known["reason"], ["deleted"]))).as_py() or 0
    if config.gone != "delete" or config.yes or len(gone) <= MOST_DELETED * there:
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


def _unsolved(difference: pa.Table, known: pa.Table) -> dict[str, int]:
    """How many photos that are up to date failed, were held back, or wait for a look."""
    known = known.filter(state.among(known["status"], ["failed", "review"]))  # few: the others would make large sets
    same = pc.and_(pc.equal(difference["reason"], UNCHANGED), pc.is_in(difference["key"], value_set=known["key"]))
    left = known.filter(pc.is_in(known["key"], value_set=difference["key"].filter(same)))
    statuses = pc.if_else(left["held"], "held back", pc.cast(left["status"], pa.string())).value_counts().to_pylist()
    return {one["values"]: one["counts"] for one in statuses}


def _examples(todo: pa.Table) -> dict[str, list[str]]:
    """The first few names for each reason."""
    reasons = pc.unique(todo["reason"]).to_pylist()
    return {reason: todo.filter(pc.equal(todo["reason"], reason))["key"].slice(0, 3).to_pylist() for reason in reasons}
