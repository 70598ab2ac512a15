"""`glasseg whiten`: options checked, the locks taken, the work planned and done, its records left, one exit code.

Only this module and `targets` and `one_pass` know `WhitenConfig`; everything below takes plain arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from glasseg.catalog import compaction, destinations, groups, lock, runs, state
from glasseg.catalog.lock import Lock
from glasseg.catalog.pending import Wanted
from glasseg.config import WhitenConfig
from glasseg.cutout.look import Look
from glasseg.errors import GlassegError
from glasseg.model.folder import ModelSpec
from glasseg.storage import roots
from glasseg.storage.roots import Bucket, Root
from jobs import terminal
from jobs.whiten import dry_run, grouping, messages, notify, renaming
from jobs.whiten.executor import Executor, on_ray
from jobs.whiten.one_pass import output_of, perform
from jobs.whiten.order import Order
from jobs.whiten.places import Found, Places, find, open_places, placed, probed, refuse_other_source
from jobs.whiten.plan import Plan, make_plan
from jobs.whiten.summary import Closed
from jobs.whiten.targets import Target, asked_of, checked, told


def whiten(
    source_uri: str,
    destination_uri: str,
    config: WhitenConfig,
    *,
    outputs: Mapping[str, WhitenConfig] | None = None,
    executor: Executor = on_ray,
) -> int:
    """Whiten the pending photos of a folder, an S3 prefix or one photo into a destination; the exit code.

    `outputs`: several destinations below that one instead, by their names, each with options of its own for pictures
    and exports; the others are those of `config`. `executor` does the planned work. Raises GlassegError when it can't
    run or has to stop; then, and on KeyboardInterrupt, the rows so far are kept.
    """
    with terminal.log_json(config.log_json):
        run_id = runs.new_id()
        terminal.bind(run_id=run_id)
        if config.notify:
            notify.check(config.notify)
        with notify.at_end(None if config.dry_run else config.notify, run_id, destination_uri) as end:
            targets = checked(config, outputs or {"": config})
            return end.done(
                _whiten(source_uri, destination_uri, config, targets, executor, run_id=run_id, tell=end.take)
            )


def _whiten(
    source_uri: str,
    destination_uri: str,
    config: WhitenConfig,
    targets: Sequence[Target],
    executor: Executor,
    *,
    run_id: str,
    tell: Callable[[Closed], None],
) -> int:
    places = _places(source_uri, destination_uri, config, [target.name for target in targets])
    if config.dry_run:
        planned = _plans(places, targets, run_id)
        _refuse_exports(targets, planned)
        for target, plan in zip(targets, planned, strict=True):
            with terminal.about(target.name):
                say_plan(plan, target.config, "Would whiten")
        named = {target.name: plan for target, plan in zip(targets, planned, strict=True)}
        dry_run.show(named, gone=config.gone, price_per_hour=config.price_per_hour)
        return 0
    _check_writable(places)
    with ExitStack() as locked:
        locks = _locks(places, targets, run_id, locked)
        for at in places:
            compaction.finish(at.destination)
        places = [probed(at) for at in places]  # another run could sweep away what is tried
        planned = _plans(places, targets, run_id, locks)
        for target, plan in zip(targets, planned, strict=True):
            if plan.refusal:
                raise GlassegError(f"{target.heading}{plan.refusal}")
        _refuse_exports(targets, planned)
        for own_lock, plan in zip(locks, planned, strict=True):
            own_lock.note(plan.order.run_seq)
        outputs = []
        for target, plan, own_lock in zip(targets, planned, locks, strict=True):
            with terminal.about(target.name):
                say_plan(plan, target.config)
            outputs.append(output_of(plan, target.config, own_lock, target.name, target.export))
        return perform(outputs, config, executor, tell, uri=roots.open_root(destination_uri).uri)


def _places(source_uri: str, destination_uri: str, config: WhitenConfig, names: Sequence[str]) -> list[Places]:
    """Where the run reads and writes, for each output. Raises GlassegError as `open_places`."""
    root = roots.open_root(destination_uri, endpoint_url=config.endpoint_url)
    several = names[0] != ""
    places = open_places(
        source_uri,
        [f"{destination_uri.rstrip('/')}/{name}" for name in names] if several else [destination_uri],
        config.model,
        endpoint_url=config.endpoint_url,
        needs_quality=config.review_below is not None,
        all_folders=config.all_folders,
    )
    if several:
        destinations.refuse_taken(root)
        if left := [name for name in destinations.below(root) if name not in names]:
            terminal.say(f"  {', '.join(left)} in {root.uri}: not in {config.outputs}, and left as it is")
        _refuse_twins(names, places)
    else:
        destinations.refuse_above(root)
    return places


def _refuse_twins(names: Sequence[str], places: Sequence[Places]) -> None:
    """Raise GlassegError when links make one folder of two outputs."""
    known: dict[roots.Root, str] = {}
    for name, one in zip(names, places, strict=True):
        if (other := known.setdefault(one.destination, name)) != name:
            raise GlassegError(f"the outputs {other} and {name} are one folder, {one.destination.uri}")


def _check_writable(places: Sequence[Places]) -> None:
    for one in places:
        roots.check_writable(one.destination)
    destination = places[0].destination  # the others are on the same server
    if not roots.heeds_conditions(destination):
        terminal.say(
            f"  warning: the server of {destination.uri} ignores conditions of writes (If-None-Match, "
            "If-Match): two runs at once would not notice each other, so see to it that there is only one",
            level="warning",
        )


def _locks(places: Sequence[Places], targets: Sequence[Target], run_id: str, locked: ExitStack) -> list[Lock]:
    """The locks of all destinations, or of none: in one order, so that two runs can't wait for each other."""
    order = sorted(range(len(targets)), key=lambda place: targets[place].name)
    taken = {place: locked.enter_context(lock.taken(places[place].destination, run_id)) for place in order}
    return [taken[place] for place in range(len(targets))]


def _plans(places: Sequence[Places], targets: Sequence[Target], run_id: str, locks: Sequence[Lock] = ()) -> list[Plan]:
    """Listing, state, difference, work for each output, one after the other. Reads only; the source is listed once.

    In this order, since with ten million photos the state and the listing each take more than a gigabyte to make.
    `locks`: none for a dry run.
    """
    found, planned = None, list[Plan]()
    for place, (at, one) in enumerate(zip(places, targets, strict=True)):
        config = one.config
        known = state.read(at.destination, at.source.uri, groups.COLUMNS if config.scale_by else ())
        if not config.new_source:
            with told(one.heading):
                refuse_other_source(at, known.photos)
        found = found or find(
            at.source,
            at.names,
            all_folders=config.all_folders,
            inventory_uri=config.listing,
            photo_list=config.photos,
            column=config.column,
            endpoint_url=config.endpoint_url,
        )
        run_seq = runs.next_seq(at.destination, known.photos["run_seq"], locks[place].last_run_seq if locks else 0)
        with told(one.heading):
            plan = _plan(
                at, found, known, one, run_id=run_id, run_seq=run_seq, place=place, locked=bool(locks), others=planned
            )
        planned.append(plan)
    return planned


def _plan(
    at: Places,
    found: Found,
    known: state.State,
    target: Target,
    *,
    run_id: str,
    run_seq: int,
    place: int,
    locked: bool,
    others: Sequence[Plan],
) -> Plan:
    """The plan of one output. `locked`: whether what is in its destination may be tried out."""
    config, look = target.config, target.look
    asked = asked_of(config, look, at.destination, movable=not locked or _movable(at.destination, config))
    found = placed(found, at, format=asked.format, transparent=asked.transparent, masks=asked.masks)
    arranged = renaming.arrange(at, found, known, asked, run_seq)
    run_seq += len(arranged.renaming.moves) > 0
    found, known = arranged.found, arranged.known
    order = order_of(at, look, config, run_id, run_seq, inventory=found.inventory, place=place)
    planned = make_plan(
        at,
        grouping.grouped(found, config.scale_by, config.width_mm, config.across_mm),
        known,
        arranged.contents,
        order,
        wanted=Wanted(order.model_id, config.options_id, config.max_pixels, config.redo, found.inventory),
        limit=config.limit,
        overwrite=config.overwrite,
        delete_gone=config.gone == "delete",
        delete_many=config.yes,
        others=others,
    )
    refusal = planned.refusal or ("" if config.yes else arranged.renaming.refusal)
    return replace(planned, renaming=arranged.renaming, refusal=refusal)


def _movable(destination: Root, config: WhitenConfig) -> bool:
    """Whether what moves away leaves nothing behind: in a bucket, writing and deleting are two permissions."""
    if config.name is None or not isinstance(destination, Bucket):
        return True
    return roots.delete_if_allowed(destination, roots.TMP_PREFIX + "moved")


def _refuse_exports(targets: Sequence[Target], planned: Sequence[Plan]) -> None:
    """Raise GlassegError for an export with a field that nothing knows."""
    for target, plan in zip(targets, planned, strict=True):
        if target.export:
            with told(target.heading):
                target.export.refuse_unknown(plan.order.destination, plan.selection)


def order_of(
    places: Places,
    look: Look,
    config: WhitenConfig,
    run_id: str,
    run_seq: int,
    *,
    inventory: str | None = None,
    place: int = 0,
) -> Order:
    """What the workers of a run must know of a destination."""
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
        across_mm=config.across_mm if config.width_mm else None,
        place=place,
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
