"""`glasseg correct`: a person's corrections and approvals, published by the workers of `glasseg whiten` and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import (
    compaction,
    contents,
    destinations,
    groups,
    lock,
    manifest,
    outputs,
    pending,
    records,
    reviewed,
    runs,
    state,
)
from glasseg.catalog.pending import Wanted
from glasseg.catalog.schema import Reason
from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.lists import selection
from glasseg.model import folder as model_folder
from glasseg.storage import listing, naming, roots
from glasseg.storage.keys import shown
from glasseg.storage.roots import Root
from jobs import terminal
from jobs.correct import asked as ask
from jobs.correct.asked import Asked, Gathered, Refused
from jobs.correct.known import Destination
from jobs.whiten.ending import EXIT_FLAGGED
from jobs.whiten.executor import Executor, on_ray
from jobs.whiten.one_pass import output_of, perform
from jobs.whiten.order import PENDING, Order
from jobs.whiten.places import Found, Places, entries, find, placed
from jobs.whiten.plan import Plan, make_plan
from jobs.whiten.run import order_of, say_plan
from jobs.whiten.targets import asked_of, format_of, look_of

_TAKEN: Final = (
    *("model", "mask", "format", "name", "quality", "background", "lenses", "shadow"),
    *("frame", "fill", "size", "straighten", "max_upscale"),
    *("dpi", "clipping_path", "path_tolerance"),
    *("scale_by", "width_mm", "across_mm"),
    *("check", "max_pixels", "review_below", "gates", "all_folders"),
)
"""Options of the last `glasseg whiten` with which a corrected photo is made again."""


def correct(destination_uri: str, given: str | None, config: CorrectConfig, *, executor: Executor = on_ray) -> int:
    """Publish corrections and approvals, and forget those that are withdrawn; the exit code.

    `given`: a zip of the editor, or masks, see `labels.corrections.read`. Above outputs, this is done in each of them:
    they are of the same photos. Photos that can't be done as asked are named, and the others done. Raises GlassegError
    when none of them can, and as `jobs.whiten.run.whiten` does.
    """
    if not (given or config.approve or config.withdraw):
        raise GlassegError("nothing to do: give a FILE of corrections, --approve or --withdraw", 2)
    if given and selection.is_list(given):
        raise GlassegError(f"{given} is a list: --approve {given} takes the pictures of its photos as they are", 2)
    root = roots.open_root(destination_uri, endpoint_url=config.endpoint_url)
    if not (names := destinations.below(root)):
        return _correct(root, given, config, executor)
    if config.approve:
        raise GlassegError(f"--approve is of the pictures of one output: {destinations.described(root, names)}")
    codes, faults = [0], list[GlassegError]()
    for name in names:
        below = roots.open_root(f"{destination_uri.rstrip('/')}/{name}", endpoint_url=config.endpoint_url)
        with terminal.about(name):
            try:
                codes.append(_correct(below, given, config, executor))
            except GlassegError as error:
                terminal.say(str(error), level="error")
                faults.append(GlassegError(f"{name}: {error}", error.exit_code))
    if faults:
        raise faults[0]
    return max(codes)


def _correct(root: Root, given: str | None, config: CorrectConfig, executor: Executor) -> int:
    """The same for one destination."""
    run_id = runs.new_id()
    terminal.bind(run_id=run_id)
    last = _last_whitening(root)
    made_with = _options(last, config)
    places = _places(root, str(last["source"]), made_with.model, config.endpoint_url)
    for uri in filter(None, (given, config.approve, *filter(selection.is_list, config.withdraw))):
        roots.open_source(uri, endpoint_url=config.endpoint_url)  # a typing error must not cost reading the state
    lock.refuse_if_taken(root)
    roots.check_writable(root)
    with lock.taken(root, run_id) as own_lock:
        compaction.finish(root)
        places = replace(places, naming=naming.probed(root))
        known = state.read(root, places.source.uri)
        run_seq = runs.next_seq(root, known.photos["run_seq"], own_lock.last_run_seq)
        order = order_of(places, look_of(made_with), made_with, run_id, run_seq)
        found = ask.gather(
            Destination(root, known.photos, order.model_id, order.options_id, made_with.max_pixels),
            given,
            config.approve,
            config.withdraw,
            source_uri=places.source.uri,
            endpoint_url=config.endpoint_url,
        )
        if found.done and not found.asked:
            _say_first(found, root)
            return _ended(found, 0, made_with)
        plan = _plan(places, known, made_with, order, [*found.asked.values()], refused=found.refused)
        _say_first(found, root)
        own_lock.note(run_seq)
        _keep_maps(plan, [*found.asked.values(), *found.overtaken])
        say_plan(plan, made_with, "Correcting")
        code = perform([output_of(plan, made_with, own_lock)], made_with, executor, uri=root.uri)
        return _ended(found, code, made_with)


def _last_whitening(root: Root) -> dict[str, Any]:
    """The record of the last run that worked with options: a release has none."""
    for record in runs.latest(root):
        if "options" in record and "source" in record:
            return record
    raise destinations.stranger(root, f"no run of glasseg whiten in {root.uri}: is it the folder that it wrote to?")


def _options(last: Mapping[str, Any], config: CorrectConfig) -> WhitenConfig:
    """The options of the last `glasseg whiten` that pictures depend on, with the workers that were asked for now."""
    known = {field.name for field in fields(WhitenConfig)}
    options = {name: _hashable(value) for name, value in last["options"].items() if name in _TAKEN and name in known}
    if config.model:
        options["model"] = config.model
    return WhitenConfig(
        **options,
        workers=config.workers,
        cpus_per_worker=config.cpus_per_worker,
        gpus_per_worker=config.gpus_per_worker,
        memory_per_worker=config.memory_per_worker,
        address=config.address,
        endpoint_url=config.endpoint_url,
        verbose=config.verbose,
        stop_above=1.0,  # a person has chosen these photos, and they say nothing of others
    )


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _places(root: Root, source_uri: str, model_uri: str, endpoint_url: str | None) -> Places:
    source = roots.open_root(source_uri, endpoint_url=endpoint_url)
    return Places(source, [], root, model_folder.load(model_uri, endpoint_url=endpoint_url), naming.guessed(root))


def _plan(
    places: Places,
    known: state.State,
    config: WhitenConfig,
    order: Order,
    wanted: Sequence[Asked],
    *,
    refused: Refused,
) -> Plan:
    """A plan of `glasseg whiten` for these photos alone, each with its new word.

    Those that have changed or left join `refused`; of one that left, a word can only be withdrawn. Raises GlassegError
    when none is left.
    """
    listed = {entry.key for entry in entries(places.source, [one.key for one in wanted])}
    away = [one for one in wanted if one.key not in listed]
    left = [one.key for one in away if one.reason == Reason.WITHDRAWN]
    refused |= {one.key: "it is not in the source any more" for one in away if one.reason != Reason.WITHDRAWN}
    if not (listed or left):
        raise GlassegError(_nothing(refused))
    there = contents.read(places.destination, places.naming)
    named = replace(asked_of(config, order.look, places.destination), template=None)
    found = _found(places, sorted(listed), config, order)
    plan = make_plan(
        places,
        replace(found, photos=outputs.settle(found.photos, known, there, places.naming, named).photos),
        known,
        there,
        order,
        wanted=Wanted(order.model_id, order.options_id, config.max_pixels, "all"),
        limit=None,
        overwrite=False,
        delete_gone=False,
        delete_many=False,
    )
    by_key, work = {one.key: one for one in wanted}, []
    before = manifest.last_rows(places.destination, by_key, ("list_columns", *groups.COLUMNS))
    for row in plan.work.to_pylist():
        one = by_key[row["key"]]
        if row["reason"] in {Reason.NEW, Reason.CHANGED} and one.reason != Reason.WITHDRAWN:
            refused[one.key] = "the photo has changed since"
        else:
            kept = {name: before[one.key][name] for name in ("list_columns", *groups.COLUMNS)}
            if one.reason != Reason.APPROVED:  # with another mask the group may need another scale: see to it next time
                kept["group_members"] = None
            work.append({**row, **kept, "reason": one.reason, **one.word(order.run_id)})
    if not (work or left):
        raise GlassegError(_nothing(refused))
    table = pa.Table.from_pylist(work, schema=PENDING)
    reasons = {one["values"]: one["counts"] for one in table["reason"].value_counts().to_pylist()}
    gone = _without_words(known.photos, left)
    return replace(plan, work=table, outputs=table["output"], reasons=reasons, unsolved={}, others={}, gone=gone)


def _found(places: Places, names: list[str], config: WhitenConfig, order: Order) -> Found:
    """These photos of the source, as a plan takes them."""
    if names:
        found = find(
            places.source,
            names,
            all_folders=True,
            inventory_uri=None,
            photo_list=None,
            column=None,
            endpoint_url=config.endpoint_url,
        )
    else:
        photos, _ = pending.sorted_out(listing.table([]))
        found = Found(photos, {}, photos["key"], False)
    transparent = order.look.colour is None
    return placed(found, places, format=format_of(config), transparent=transparent, masks=config.mask)


def _without_words(photos: pa.Table, keys: list[str]) -> pa.Table:
    """Rows of `State.photos` of photos that have left, from which what a person said is taken."""
    gone = photos.filter(pc.is_in(photos["key"], value_set=pa.array(keys, pa.string())))
    place, said = gone.schema.get_field_index("reviewed"), gone["reviewed"]
    return gone.set_column(place, "reviewed", pa.nulls(len(gone), said.type))


def _keep_maps(plan: Plan, wanted: Iterable[Asked]) -> None:
    """Keep the maps of all corrections that are taken, the one that counts first, then those that it overtook."""
    root, run_id, kept = plan.order.destination, plan.order.run_id, Counter[str]()
    done = set(plan.work["key"].to_pylist())
    for one in wanted:
        if one.map and one.key in done:
            number = kept[one.key]
            records.store(root, reviewed.map_key(one.key, f"{run_id}.{number}" if number else run_id), one.map)
            kept[one.key] += 1


def _nothing(refused: Refused) -> str:
    name, why = next(iter(refused.items()), ("the file", "it names no photo"))
    more = f", and {len(refused) - 1} more are refused" if len(refused) > 1 else ""
    return f"nothing can be done as asked: {name}: {why}{more}"


def _say_first(found: Gathered, root: Root) -> None:
    """What of the request is not done, and that it was perhaps meant for another destination."""
    for uri in sorted(found.elsewhere):
        why = f"its photos and runs are those of {root.uri}, too, as after a move or in a copy"
        terminal.say(f"  exported for {shown(uri)}, and taken: {why}")
    if found.done:
        more = f" and {len(found.done) - 1} more" * (len(found.done) > 1)
        terminal.say(f"  left out  {shown(min(found.done))}{more}: just that was said before, and holds")
    for name, why in found.refused.items():
        terminal.say(f"  refused {shown(name)}: {why}", level="warning")


def _ended(found: Gathered, code: int, config: WhitenConfig) -> int:
    """The exit code, `code` but for what was refused, of which the last line tells."""
    refused = len(found.refused)
    if refused:
        name, why = next(iter(found.refused.items()))
        more = f"; and {refused - 1} more, as told above" * (refused > 1)
        terminal.say(f"Refused, not done: {shown(name)}: {why}{more}", level="warning")
    elif found.done and not found.asked:
        terminal.say("Nothing to do: all of it was done before.")
    return code or (EXIT_FLAGGED if _too_many(refused, len(found.asked), config.max_flagged) else 0)


def _too_many(refused: int, worked_on: int, most: float) -> bool:
    """Whether what was refused counts as photos that failed do: at least 5, and more than the share `most` of all."""
    return refused >= 5 and refused > most * (refused + worked_on)
