"""Where a run of `glasseg whiten` reads and writes, and the photos that it finds there. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import clashes, inventory, lock, pending, runs, skipped
from glasseg.catalog.groups import Groups
from glasseg.errors import GlassegError
from glasseg.formats import Format, is_photo
from glasseg.lists import selection
from glasseg.lists.selection import Selection
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.storage import listing, naming, roots
from glasseg.storage.keys import Entry
from glasseg.storage.listing import THREADS
from glasseg.storage.naming import EXACT, Naming
from glasseg.storage.roots import Folder, Root
from jobs.whiten.order import PENDING


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
    """All of the source, as listed; once they are `placed`, with their pictures and clashes, and with a list only those
    that it chose, with `list_columns`."""
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
    listed: pa.ChunkedArray | None = None
    """The keys of all photos of the source, with a list; None where these are `photos`."""
    groups: Groups | None = None
    """The groups that are to have one scale each; `photos` then has the columns of `groups.with_groups`."""
    source: pa.ChunkedArray | None = None
    """The keys of all photos that the source holds; None where they are not known."""


def open_places(
    source_uri: str,
    destination_uris: Sequence[str],
    model_uri: str,
    *,
    endpoint_url: str | None,
    needs_quality: bool = False,
    all_folders: bool = False,
) -> list[Places]:
    """Refuse what can be refused without knowing the destinations' records: nested places, no photos, no model.

    Reads only; one for each destination. `needs_quality`: whether the model must have a calibration. Raises
    GlassegError; with exit code 4 when another run works on a destination.
    """
    for uri in destination_uris:
        roots.refuse_nested(source_uri, uri)
    source, names = roots.open_source(source_uri, endpoint_url=endpoint_url)
    found = [roots.open_root(uri, endpoint_url=endpoint_url) for uri in destination_uris]
    model = model_folder.load(model_uri, endpoint_url=endpoint_url)
    if needs_quality and not model.spec.calibration:
        raise GlassegError(
            f"--review-below needs a quality, and {model_uri} has no calibration: run glasseg calibrate on it, or "
            "leave the option out",
            2,
        )
    for destination in found:
        lock.refuse_if_taken(destination)
    if not any(is_photo(entry.key, all_folders=all_folders) for entry in entries(source, names)):
        _, others = pending.sorted_out(listing.table(entries(source, names)))
        raise GlassegError(_no_photos(source_uri, skipped.kinds(others)))
    return [Places(source, names, destination, model, naming.guessed(destination)) for destination in found]


def probed(places: Places) -> Places:
    """`places`, once writing is allowed: what the destination ignores in names is then tried."""
    return replace(places, naming=naming.probed(places.destination))


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


def find(
    source: Root,
    names: list[str] | None,
    *,
    all_folders: bool,
    inventory_uri: str | None,
    photo_list: str | None,
    column: str | None,
    endpoint_url: str | None,
) -> Found:
    """List the source, or only `names` of it, or read its inventory, and the list of photos that are meant.

    Raises GlassegError when there are no photos, and for a list that can't be read.
    """
    if inventory_uri:
        listed = inventory.listing_of(source, inventory_uri, endpoint_url=endpoint_url)
    elif names is None:
        listed = listing.read(source)
    else:
        listed = listing.table(entries(source, names))
    photos, others = pending.sorted_out(listed, all_folders=all_folders)
    kinds, system = skipped.kinds(others), others.filter(pending.in_system_folders(others))
    if not len(photos):  # never to be mistaken for a catalog that is gone as a whole
        raise GlassegError(_no_photos(source.uri, kinds))
    inventory_id = inventory.id_of(listed) if inventory_uri else None
    compared_by = listing.compared_by(source, listed)
    whole = names is None and not inventory_uri
    known = pa.chunked_array([*photos["key"].chunks, *system.chunks], pa.string()) if whole else None
    if not photo_list:
        return Found(photos, kinds, system, whole, None, inventory_id, compared_by, source=known)
    data = selection.fetch(photo_list, endpoint_url=endpoint_url)
    chosen = selection.select(photo_list, data, photos["key"], source.uri, column)
    return Found(photos, kinds, system, False, chosen, inventory_id, compared_by, source=known)


def placed(found: Found, places: Places, *, format: Format, transparent: bool, masks: bool) -> Found:
    """What was found, with the pictures of a destination and their clashes; of a list, only what it chose."""
    photos = found.photos.append_column("output", pending.outputs(found.photos["key"], format, transparent))
    folders = isinstance(places.destination, Folder)
    photos = clashes.with_clashes(photos, places.naming, folders=folders, masks=masks)
    if found.selection is None:
        return replace(found, photos=photos)
    return replace(found, photos=_chosen(photos, found.selection), listed=photos["key"])


def _no_photos(uri: str, kinds: dict[str, int]) -> str:
    files = f" (other files: {skipped.described(kinds)})" if kinds else ""
    way_out = ", or are they missing --all-folders?" if any(kind.startswith("in ") for kind in kinds) else "?"
    return f"no photos in {uri}{files}: is it the right place{way_out}"


def entries(source: Root, names: list[str] | None) -> Iterator[Entry]:
    """What a source holds, or only the entries called `names`."""
    if names is None:
        yield from source.list()
        return
    with ThreadPoolExecutor(THREADS) as pool:  # each name is a request
        for found in pool.map(lambda name: [entry for entry in source.list(name) if entry.key == name], names):
            yield from found


def _chosen(photos: pa.Table, chosen: Selection) -> pa.Table:
    """The photos that a list chose, with the rest of its columns."""
    photos = photos.filter(pc.is_in(photos["key"], value_set=pa.array(chosen.chosen, pa.string())))
    columns = [list(chosen.chosen[key].items()) or None for key in photos["key"].to_pylist()]
    return photos.append_column("list_columns", pa.array(columns, PENDING.field("list_columns").type))
