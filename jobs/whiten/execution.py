"""The work of a run: names refused, outputs claimed, rows taken as they are done, and the breaker asked."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims
from glasseg.catalog.gates import Breaker
from glasseg.catalog.lock import Lock
from glasseg.catalog.schema import Reason
from glasseg.catalog.writer import Writer
from glasseg.errors import FailureCode, PhotoError
from glasseg.storage.keys import TOO_LONG, check_output_key, unsafe_reason
from jobs import terminal
from jobs.whiten.executor import Executor, Workforce
from jobs.whiten.plan import Plan


class Stopped(Exception):
    """The breaker stopped the run, and why."""


def work(
    plan: Plan, writer: Writer, *, breaker: Breaker, own_lock: Lock, executor: Executor, workforce: Workforce
) -> None:
    """Have the plan's work done; on any way out, what is known is flushed.

    Raises Stopped when the breaker opens, and GlassegError when the run can't begin or has to stop.
    """
    if not len(plan.work):
        return
    order = plan.order
    try:
        todo = _refuse_names(plan, writer)
        if not len(todo):
            return
        with (
            executor(order, plan.model, todo, writer, workforce) as stream,
            terminal.progress(len(plan.work), "whiten", done=len(plan.work) - len(todo)) as bar,
        ):
            free = todo.filter(pc.invert(todo["guarded"]))  # what is in the place of the others may not be ours
            claims.claim(order.destination, order.run_id, free["output"], order.run_seq)
            for rows in stream:
                writer.add(rows)
                bar.update(len(rows))
                own_lock.check()
                # those that failed before mean nothing for this run, and must not keep it from the others
                if reason := breaker.add([row for row in rows if row["reason"] != Reason.RETRY]):
                    raise Stopped(reason)
    finally:
        writer.flush()
    own_lock.check()
    claims.drop(
        order.destination, order.run_id, _doubtful(plan, free, writer), run_seq=order.run_seq, naming=plan.naming
    )


def _doubtful(plan: Plan, claimed: pa.Table, writer: Writer) -> pa.ChunkedArray | None:
    """The outputs of photos that have failed and had no picture before; None where what is there can't be listed."""
    if not plan.listed:
        return None
    new = claimed["output"].filter(pc.is_null(claimed["standing_run_id"]))
    return new.filter(pc.invert(pc.is_in(new, value_set=pa.array(writer.published, pa.string()))))


def _refuse_names(plan: Plan, writer: Writer) -> pa.Table:
    """Rows for photos whose names can't be outputs; the rest of the work is returned."""
    names = zip(plan.work["key"].to_pylist(), plan.work["output"].to_pylist(), strict=True)
    good = pa.array([key not in plan.clashes and not any(_bad(key, output)) for key, output in names], pa.bool_())
    for row in plan.work.filter(pc.invert(good)).to_pylist():
        writer.add([plan.order.failed(row, *_fault(row["key"], row["output"], plan.clashes.get(row["key"])))])
    return plan.work.filter(good)


def _bad(key: str, output: str) -> Iterator[str]:
    """Those of a photo's own name, and of that of its picture, that can't be names."""
    reason = unsafe_reason(key)
    if reason and (reason != TOO_LONG or key == output):  # else its own name matters no more
        yield key
    if key != output and unsafe_reason(output):
        yield output


def _fault(key: str, output: str, clash: str | None) -> tuple[FailureCode, str]:
    """Code and message for a photo that can't have a picture under its name, or the one that is asked for."""
    try:
        for name in _bad(key, output):
            check_output_key(name, name)
    except PhotoError as error:
        return error.code, str(error)
    return "same_name", str(clash)
