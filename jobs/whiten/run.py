"""`glasseg whiten`: options checked, the lock taken, the work planned and done, its record left, one exit code.

Only this module knows `WhitenConfig`; everything below takes plain arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from glasseg.catalog import claims, compaction, lock, manifest, names, pending, records, runs, state
from glasseg.catalog.gates import Breaker
from glasseg.catalog.lock import Lock
from glasseg.catalog.outputs import Asked
from glasseg.catalog.pending import Wanted
from glasseg.catalog.writer import Writer
from glasseg.config import WhitenConfig
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look, colour_of, contradiction
from glasseg.errors import GlassegError, PhotoError
from glasseg.formats import Format
from glasseg.lists import selection
from glasseg.model.folder import ModelSpec
from glasseg.report import choice
from glasseg.storage import roots
from glasseg.storage.roots import Bucket, Folder, Root
from jobs import terminal
from jobs.destination import report
from jobs.whiten import dry_run, export, gone, messages, moving, notify, renaming, summary
from jobs.whiten.execution import Stopped, work
from jobs.whiten.executor import Executor, Workforce, on_ray
from jobs.whiten.order import Order
from jobs.whiten.places import Places, find, open_places, probed, refuse_other_source
from jobs.whiten.plan import Plan, make_plan
from jobs.whiten.summary import Closed

EXIT_FLAGGED = 3


def whiten(source_uri: str, destination_uri: str, config: WhitenConfig, *, executor: Executor = on_ray) -> int:
    """Whiten the pending photos of a folder, an S3 prefix or one photo into a destination; the exit code.

    `executor` does the planned work. Raises GlassegError when it can't run or has to stop; then, and on
    KeyboardInterrupt, the rows so far are kept.
    """
    with terminal.log_json(config.log_json):
        run_id = runs.new_id()
        terminal.bind(run_id=run_id)
        if config.notify:
            notify.check(config.notify)
        with notify.at_end(None if config.dry_run else config.notify, run_id, destination_uri) as end:
            return end.done(_whiten(source_uri, destination_uri, config, executor, run_id=run_id, tell=end.take))


def _whiten(
    source_uri: str,
    destination_uri: str,
    config: WhitenConfig,
    executor: Executor,
    *,
    run_id: str,
    tell: Callable[[Closed], None],
) -> int:
    look = _checked(config)
    exported = export.planned(
        config.export, config.export_columns, photo_list=config.photos, endpoint_url=config.endpoint_url
    )
    if exported and not config.dry_run:
        exported.check()
    if config.summary_json and not config.dry_run:
        summary.check_summary(config.summary_json, config.endpoint_url)
    places = open_places(
        source_uri,
        destination_uri,
        config.model,
        endpoint_url=config.endpoint_url,
        needs_quality=config.review_below is not None,
        all_folders=config.all_folders,
    )
    if config.dry_run:
        planned = _plan(places, look, config, asked_of(config, look, places.destination), run_id=run_id)
        if exported:
            exported.refuse_unknown(places.destination, planned.selection)
        say_plan(planned, config, "Would whiten")
        dry_run.show(planned, gone=config.gone, price_per_hour=config.price_per_hour)
        return 0
    roots.check_writable(places.destination)
    if not roots.heeds_conditions(places.destination):
        terminal.say(
            f"  warning: the server of {places.destination.uri} ignores conditions of writes (If-None-Match, "
            "If-Match): two runs at once would not notice each other, so see to it that there is only one",
            level="warning",
        )
    with lock.taken(places.destination, run_id) as own_lock:
        compaction.finish(places.destination)
        places = probed(places)  # another run could sweep away what is tried
        asked = asked_of(config, look, places.destination, movable=_movable(places.destination, config))
        planned = _plan(places, look, config, asked, run_id=run_id, last_run_seq=own_lock.last_run_seq)
        if planned.refusal:
            raise GlassegError(planned.refusal)
        if exported:
            exported.refuse_unknown(places.destination, planned.selection)
        own_lock.note(planned.order.run_seq)
        say_plan(planned, config)
        code = perform(planned, config, own_lock, executor, tell)
        if exported:
            exported.write(places.destination, planned.selection)
        return code


def _checked(config: WhitenConfig) -> Look:
    """The look that the options ask for. Raises GlassegError, as wrong usage, when options contradict each other."""
    if config.redo:
        pending.check_redo(config.redo)
    if config.column and not config.photos:
        raise GlassegError("--column names a column of --photos: give both, or neither", 2)
    if config.price_per_hour is not None and not config.dry_run:
        raise GlassegError("--price-per-hour is for the estimate of --dry-run: add that, or leave it out", 2)
    look = look_of(config)
    if reason := contradiction(look, format_of(config), config.quality):
        raise GlassegError(reason, 2)
    return look


def format_of(config: WhitenConfig) -> Format:
    """The format of the pictures: what their names end in, or else `--format`.

    Raises GlassegError, as wrong usage, for a template that gives no names, and where the two differ.
    """
    asked = names.parse(config.name).format if config.name is not None else None
    if asked and config.format not in {"keep", asked}:
        raise GlassegError(f"--name {config.name!r} does not end as --format {config.format} does: leave out one", 2)
    return asked or config.format


def look_of(config: WhitenConfig) -> Look:
    """The look that the options ask for. Raises GlassegError, as wrong usage, when framing or colour are none."""
    try:
        framing = Framing(config.frame, config.fill, config.size, config.straighten, config.max_upscale)
        colour_of(config.background)
    except ValueError as error:
        raise GlassegError(str(error), 2) from error
    return Look(config.background, config.lenses, config.shadow, framing, config.check)


def asked_of(config: WhitenConfig, look: Look, destination: Root, *, movable: bool = True) -> Asked:
    """What a run asks of the names of its pictures; see `Asked`."""
    return Asked(
        template=None if config.name is None else names.parse(config.name),
        format=format_of(config),
        transparent=look.colour is None,
        masks=config.mask,
        folders=isinstance(destination, Folder),
        overwrite=config.overwrite,
        movable=movable,
    )


def _movable(destination: Root, config: WhitenConfig) -> bool:
    """Whether what moves away leaves nothing behind: in a bucket, writing and deleting are two permissions."""
    if config.name is None or not isinstance(destination, Bucket):
        return True
    return roots.delete_if_allowed(destination, roots.TMP_PREFIX + "moved")


def _plan(
    places: Places, look: Look, config: WhitenConfig, asked: Asked, *, run_id: str, last_run_seq: int = 0
) -> Plan:
    """Listing, state, difference, work; `last_run_seq` is that of a run that was killed. Reads only.

    In this order, since with ten million photos the state and the listing each take more than a gigabyte to make.
    """
    source, destination, spec = places.source, places.destination, places.model.spec
    known = state.read(destination, source.uri)
    if not config.new_source:
        refuse_other_source(places, known.photos)
    found = find(
        places,
        format=asked.format,
        transparent=asked.transparent,
        masks=asked.masks,
        all_folders=config.all_folders,
        inventory_uri=config.listing,
        photo_list=config.photos,
        column=config.column,
        endpoint_url=config.endpoint_url,
        named=asked.template is not None,
    )
    run_seq = runs.next_seq(destination, known.photos["run_seq"], last_run_seq)
    arranged = renaming.arrange(places, found, known, asked, run_seq)
    run_seq += len(arranged.renaming.moves) > 0
    found, known = arranged.found, arranged.known
    order = order_of(places, look, config, run_id, run_seq, inventory=found.inventory)
    planned = make_plan(
        places,
        found,
        known,
        arranged.contents,
        order,
        wanted=Wanted(spec.model_id, config.options_id, config.max_pixels, config.redo, found.inventory),
        limit=config.limit,
        overwrite=config.overwrite,
        delete_gone=config.gone == "delete",
        delete_many=config.yes,
    )
    return replace(planned, renaming=arranged.renaming)


def order_of(
    places: Places, look: Look, config: WhitenConfig, run_id: str, run_seq: int, *, inventory: str | None = None
) -> Order:
    """What the workers of a run must know."""
    spec = places.model.spec
    return Order(
        source=places.source,
        destination=places.destination,
        run_id=run_id,
        run_seq=run_seq,
        model_id=spec.model_id,
        options_id=config.options_id,
        mask=config.mask,
        quality=config.quality,
        max_pixels=config.max_pixels,
        look=look,
        gates=config.gates,
        inventory=inventory,
        review_below=_review_below(spec, config),
    )


def _review_below(spec: ModelSpec, config: WhitenConfig) -> float | None:
    """The quality below which a person should look: as asked for, else the model's own line; None without one."""
    if config.review_below is None and spec.calibration:
        return spec.calibration.review_below
    return config.review_below


def say_plan(planned: Plan, config: WhitenConfig, doing: str = "Whitening") -> None:
    """Print what will be done."""
    messages.say_plan(
        planned,
        address=config.address,
        delete_gone=config.gone == "delete",
        photo_list=config.photos,
        doing=doing,
    )


def perform(
    planned: Plan,
    config: WhitenConfig,
    own_lock: Lock,
    executor: Executor,
    tell: Callable[[Closed], None] = lambda closed: None,
) -> int:
    """Do what was planned, and leave the run's record whatever happens; the exit code. `tell` is called with that."""
    order = planned.order
    _store_unmatched(planned)
    writer, started = Writer(order.destination, order.run_id, config.keep_seconds), time.monotonic()
    breaker = Breaker(config.stop_above, planned.usual_coverage)
    workforce = Workforce(
        config.address,
        config.workers,
        config.cpus_per_worker,
        config.gpus_per_worker,
        config.memory_per_worker,
        verbose=config.verbose,
    )
    ended, renamed = "stopped", 0
    try:
        moved = moving.perform(order, planned.renaming, planned.naming, own_lock)
        renamed, planned = moved.count, planned.without_stuck(moved)
        messages.say_faults(moved)
        work(planned, writer, breaker=breaker, own_lock=own_lock, executor=executor, workforce=workforce)
        if planned.whole:  # otherwise pictures of killed runs may still have no row
            named = summary.published(planned, writer)
            claims.settle(order.destination, order.run_id, named, planned.naming, order.run_seq)
        gone.record(planned, writer, own_lock, delete=config.gone == "delete")
        ended = "done"
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    except Stopped as stopped:
        why = f"Stopped: {stopped}. Look at them first; the same command with --stop-above 1 continues."
        terminal.say(why, level="warning")
    finally:
        closed = summary.close(
            planned,
            writer.tally,
            ended,
            time.monotonic() - started,
            renamed=renamed,
            options=config.chosen(),
            summary_json=config.summary_json,
            endpoint_url=config.endpoint_url,
        )
        made = closed.record
        tell(closed)
        messages.say_summary(planned, writer.tally, made, ended)
    tally = writer.tally
    if tally.processed or tally.counts["gone"]:
        _write_pages(order, made, config)
    own_lock.check()
    compaction.compact(order.destination, order.run_id, own_lock.check)
    if tally.all_failed:
        why = f"All {tally.processed} photos that were worked on failed: exit code {EXIT_FLAGGED}"
        terminal.say(why, level="warning")
        return EXIT_FLAGGED
    if tally.too_many_flagged(config.max_flagged):
        share = f"{100 * config.max_flagged:.6g}%"
        terminal.say(
            f"More than {share} (--max-flagged) failed or need review: exit code {EXIT_FLAGGED}", level="warning"
        )
        return EXIT_FLAGGED
    return EXIT_FLAGGED if ended == "stopped" else 0


def _write_pages(order: Order, made: Mapping[str, Any], config: WhitenConfig) -> None:
    """Write the editor and the page of the run, which links to it, as far as they are asked for."""
    destination, run_id = order.destination, order.run_id
    if config.editor:
        with _only_warned("editor", f"{destination.uri} {run_id} --editor"):
            wanted = choice.editable(manifest.of_run(destination, run_id, merged=False))
            report.write_editor(destination, run_id, wanted, [made], endpoint_url=config.endpoint_url)
    if config.report:
        with _only_warned("page", f"{destination.uri} {run_id}"):
            rows = manifest.of_run(destination, run_id, merged=False)
            terminal.say(f"Page: {report.write(destination, order.source, run_id, rows, made)}")


@contextmanager
def _only_warned(what: str, arguments: str) -> Iterator[None]:
    """All the work is done and recorded: what is in the way of a page is a warning."""
    try:
        yield
    except (GlassegError, PhotoError) as error:
        again = f"`glasseg report {arguments}` makes it when that is mended"
        terminal.say(f"  warning: the {what} can't be made: {error}; {again}", level="warning")


def _store_unmatched(planned: Plan) -> None:
    """Keep the rows of the list that chose no photo, or one twice, as a file next to the run's page."""
    order, chosen = planned.order, planned.selection
    if chosen and (chosen.unmatched or chosen.repeated):
        key = f"{manifest.report_folder(order.run_id)}unmatched.csv"
        records.store(order.destination, key, selection.unmatched_csv(chosen))
        terminal.say(f"  see {order.destination.uri_of(key)}")
