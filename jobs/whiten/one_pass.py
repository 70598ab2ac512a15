"""One pass over the photos for all outputs of a run: the work done, recorded, and brought to an end at each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from glasseg.catalog import manifest, records
from glasseg.catalog.gates import Breaker
from glasseg.catalog.lock import Lock
from glasseg.catalog.writer import Writer
from glasseg.config import WhitenConfig
from glasseg.lists import selection
from jobs import terminal
from jobs.whiten import ending, messages, moving, summary
from jobs.whiten.execution import Stopped, work
from jobs.whiten.executor import Executor, Workforce
from jobs.whiten.export import Export
from jobs.whiten.output import Output
from jobs.whiten.plan import Plan
from jobs.whiten.summary import Closed


def output_of(
    planned: Plan, config: WhitenConfig, own_lock: Lock, name: str = "", exported: Export | None = None
) -> Output:
    """What was planned, ready to be performed."""
    order = planned.order
    writer = Writer(order.destination, order.run_id, config.keep_seconds)
    breaker = Breaker(config.stop_above, planned.usual_coverage)
    return Output(name, config.chosen(), planned, own_lock, writer, breaker, exported)


def perform(
    outputs: Sequence[Output],
    config: WhitenConfig,
    executor: Executor,
    tell: Callable[[Closed], None] = lambda closed: None,
    *,
    uri: str,
) -> int:
    """Do what was planned, and leave the run's records whatever happens; the exit code.

    `tell` is called with what it leaves; `uri` is the destination, or what all of them are below. What goes wrong at
    one of them after the last picture is raised when the others are done.
    """
    for output in outputs:
        with terminal.about(output.name):
            _store_unmatched(output.plan)
    started = time.monotonic()
    workforce = Workforce(
        config.address,
        config.workers,
        config.cpus_per_worker,
        config.gpus_per_worker,
        config.memory_per_worker,
        verbose=config.verbose,
    )
    try:
        for output in outputs:
            with terminal.about(output.name):
                _rename(output)
        work(outputs, executor=executor, workforce=workforce)
        for output in outputs:
            with ending.apart(output):
                ending.settle(output, delete_gone=config.gone == "delete")
    except KeyboardInterrupt:
        for output in outputs:
            output.ended = "done" if output.ended == "done" else "interrupted"
        raise
    except Stopped as stopped:
        why = f"Stopped: {stopped}. Look at them first; the same command with --stop-above 1 continues."
        terminal.say(why, level="warning")
    finally:
        closed = summary.close(
            uri,
            outputs,
            time.monotonic() - started,
            pages=config.report,
            summary_json=config.summary_json,
            endpoint_url=config.endpoint_url,
        )
        tell(closed)
        for output, (_, record) in zip(outputs, closed.records, strict=True):
            with terminal.about(output.name):
                messages.say_summary(output, record)
    return _finished(outputs, closed, config)


def _rename(output: Output) -> None:
    """Move the pictures whose names alone change; photos whose places stay taken are to fail."""
    plan = output.plan
    moved = moving.perform(plan.order, plan.renaming, plan.naming, output.own_lock)
    output.renamed, output.plan = moved.count, plan.without_stuck(moved)
    messages.say_faults(moved)


def _finished(outputs: Sequence[Output], closed: Closed, config: WhitenConfig) -> int:
    """Pages, exports and whatever else follows; the highest exit code. Raises what went wrong first, at the end."""
    codes = [0]
    for output, (_, record) in zip(outputs, closed.records, strict=True):
        if not output.fault:
            with ending.apart(output):
                codes.append(
                    ending.finish(
                        output,
                        record,
                        pages=config.report,
                        editor=config.editor,
                        max_flagged=config.max_flagged,
                        endpoint_url=config.endpoint_url,
                    )
                )
    faulty = [output for output in outputs if output.fault]
    for output in faulty[1:]:
        with terminal.about(output.name):
            terminal.say(str(output.fault), level="error")
    if faulty and (fault := faulty[0].fault):
        raise fault
    return max(codes)


def _store_unmatched(planned: Plan) -> None:
    """Keep the rows of the list that chose no photo, or one twice, as a file next to the run's page."""
    order, chosen = planned.order, planned.selection
    if chosen and (chosen.unmatched or chosen.repeated):
        key = f"{manifest.report_folder(order.run_id)}unmatched.csv"
        records.store(order.destination, key, selection.unmatched_csv(chosen))
        terminal.say(f"  see {order.destination.uri_of(key)}")
