"""`glasseg report`: the review page of a run, in `DST/_glasseg/report/RUN/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import destinations, manifest, records, runs
from glasseg.catalog.schema import Reason
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.lists import selection
from glasseg.report import cards, choice, page
from glasseg.report.photo_card import PhotoCard
from glasseg.report.thumbnails import Thumbnailer
from glasseg.storage import roots
from glasseg.storage.roots import Root
from jobs.destination import editor
from jobs.terminal import say

BY_HAND: Final = {Reason.RELEASED, Reason.CORRECTED, Reason.APPROVED, Reason.WITHDRAWN}
"""Why a person, and not a run by itself, has photos done."""
_NAMED_RUNS: Final = 5


def report(
    destination_uri: str,
    run_id: str | None,
    endpoint_url: str | None,
    *,
    edit: bool = False,
    marked: str | None = None,
) -> str:
    """Write the page of a run, by default the newest one that worked on a photo; return the URI of its index.html.

    `edit`: make its editor as well. `marked`: a list of more photos for it, as the page exports them; local or s3://.
    Raises GlassegError when there is no such run, naming those there are, or when the page can't be written.
    """
    destination = roots.open_root(destination_uri, endpoint_url=endpoint_url)
    record = _record(destination, run_id, by_hand=not edit)
    uri = str(record.get("source", ""))
    source = roots.open_root(uri, endpoint_url=endpoint_url) if uri else None
    name = str(record["run_id"])
    rows = manifest.of_run(destination, name)
    if edit:
        keys = _marked(rows, marked, uri, endpoint_url) if marked else []
        wanted = _not_overtaken(destination, choice.editable(rows, keys))
        write_editor(destination, name, wanted, runs.latest(destination), marked=keys, endpoint_url=endpoint_url)
    return write(destination, source, name, rows, record)


def write_editor(
    destination: Root,
    run_id: str,
    wanted: pa.Table,
    known: Sequence[Mapping[str, Any]],
    *,
    marked: Sequence[str] = (),
    endpoint_url: str | None,
) -> None:
    """Make the editor of a run of its `wanted` rows, and tell where it is; a page that is written later links to it.

    Of too many, those `marked` by their keys come first. The rest as `editor.write`.
    """
    chosen = choice.worst(wanted, marked)
    if len(chosen) < len(wanted):
        say(f"  left out  {len(wanted) - len(chosen)} of {len(wanted)} photos: an editor takes the {len(chosen)} worst")
    title = f"Masks of run {run_id}"
    if not (chosen and editor.write(destination, run_id, chosen, known, title=title, endpoint_url=endpoint_url)):
        say(f"Nothing to edit: run {run_id} has no picture in review or held back{' that can be' * bool(chosen)}.")


def _marked(rows: pa.Table, list_uri: str, source_uri: str, endpoint_url: str | None) -> list[str]:
    """The photos of a run that a list names; what it names otherwise is told."""
    found = selection.select(list_uri, selection.fetch(list_uri, endpoint_url=endpoint_url), rows["key"], source_uri)
    for one in found.unmatched:
        say(f"  left out  {selection.described(one)}", level="warning")
    editable = set(choice.editable(rows, found.chosen)["key"].to_pylist())
    for key in found.chosen.keys() - editable:
        say(f"  left out  {key}: there is no picture of it", level="warning")
    return [key for key in found.chosen if key in editable]


def _not_overtaken(destination: Root, rows: pa.Table) -> pa.Table:
    """Rows of one run without those whose photos a later run did again, which are told."""
    keys, run_seq = rows["key"].combine_chunks(), pc.max(rows["run_seq"])
    later = [keys[:0]]
    for part in manifest.parts(destination, ("key", "run_seq")):
        after = part["key"].filter(pc.greater(part["run_seq"], run_seq)).combine_chunks()
        later.append(after.filter(pc.is_in(after, value_set=keys)))
    overtaken = pc.is_in(rows["key"], value_set=pa.concat_arrays(later))
    if count := pc.sum(overtaken).as_py():
        example = rows["key"].filter(overtaken)[0].as_py()
        say(f"  left out  {example}{f' and {count - 1} more' * (count > 1)}: done again by a later run")
    return rows.filter(pc.invert(overtaken))


def _record(destination: Root, run_id: str | None, *, by_hand: bool) -> dict[str, Any]:
    """The record of the requested run, or of the newest one that worked on a photo; not of one by hand, unless wanted.

    What is left to edit after some corrections was found by the run before them.
    """
    if run_id and run_id in runs.names(destination):
        return {**runs.read(destination, run_id), "run_id": run_id}
    known = runs.latest(destination)
    if not known:
        why = f"no run of glasseg in {destination.uri}: is it the folder that `glasseg whiten` wrote to?"
        raise destinations.stranger(destination, why)
    if run_id:
        last = ", ".join(str(one["run_id"]) for one in known[:_NAMED_RUNS])
        raise GlassegError(f"no run {run_id} in {destination.uri}; the last ones are {last}")
    worked = [record for record in known if record.get("processed") or record.get("gone")]
    for record in worked:
        if by_hand or record.get("reasons", {}).keys() - BY_HAND:
            return record
    if worked:
        return worked[0]
    raise GlassegError(f"the {len(known)} runs into {destination.uri} had nothing to do, so there is nothing to review")


def write(
    destination: Root,
    source: Root | None,
    run_id: str,
    rows: pa.Table,
    record: Mapping[str, Any],
    *,
    threads: int = 4,
) -> str:
    """Write the page of a run from its manifest `rows` and its `record`; return the URI of its index.html.

    The card of a photo or picture that can't be read says so; without a source the cards show only what was made. It
    links to the run's editor where there is one. At most `threads` pictures are decoded at a time. Raises GlassegError
    when the page can't be written.
    """
    folder = manifest.report_folder(run_id)
    thumbs = folder + "thumbs/"
    thumbnailer = Thumbnailer(destination, source, run_id, thumbs, _max_pixels(record), _reframed(record))
    chosen = cards.choose(rows, seed=run_id)
    with ThreadPoolExecutor(threads) as pool:
        photos = list(pool.map(thumbnailer.show, chosen, range(1, len(chosen) + 1)))
    edited = editor.stands(destination, run_id)
    text = page.page({**record, "run_id": run_id}, cards.count(rows), photos, edited=edited)
    records.store(destination, folder + "index.html", text.encode("utf-8", "backslashreplace"))
    _sweep(destination, thumbs, photos)
    return destination.uri_of(folder + "index.html")


def _max_pixels(record: Mapping[str, Any]) -> int:
    limit = _options(record).get("max_pixels")
    return limit if isinstance(limit, int) else WhitenConfig.max_pixels


def _reframed(record: Mapping[str, Any]) -> bool:
    """Whether a picture of its photo's shape may still show another part of the scene, or show it rotated."""
    options = _options(record)
    return any(options.get(name) for name in ("frame", "fill", "straighten"))


def _options(record: Mapping[str, Any]) -> Mapping[str, Any]:
    options = record.get("options")
    return options if isinstance(options, Mapping) else {}


def _sweep(destination: Root, folder: str, photos: Iterable[PhotoCard]) -> None:
    """Delete thumbnails that only an earlier page of this run used, if the storage allows it."""
    named = {folder + thumbnail.name for one in photos for thumbnail in (one.before, one.after, one.mask) if thumbnail}
    with suppress(GlassegError):  # leftovers do no harm, and the page is complete
        for entry in list(destination.list(folder)):
            if entry.key not in named:
                records.discard(destination, entry.key)
