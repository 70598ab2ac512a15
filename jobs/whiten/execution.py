"""The work of a run: names refused, outputs claimed, rows taken as they are done, and the breakers asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog import claims
from glasseg.catalog.schema import Reason
from glasseg.errors import FailureCode, PhotoError
from glasseg.storage.keys import TOO_LONG, check_output_key, unsafe_reason
from jobs import terminal
from jobs.whiten import units
from jobs.whiten.executor import Executor, Workforce
from jobs.whiten.order import DoneRow
from jobs.whiten.output import Output

_NAMES: Final = 100_000
"""Names that are looked at at a time."""


class Stopped(Exception):
    """The breaker of an output stopped the run, and why."""


def work(outputs: Sequence[Output], *, executor: Executor, workforce: Workforce) -> None:
    """Have the work of all plans done; on any way out, what is known is flushed.

    Raises Stopped when a breaker opens, and GlassegError when the run can't begin or has to stop.
    """
    total = sum(len(output.plan.work) for output in outputs)
    if not total:
        return
    with ExitStack() as flushing:
        for output in reversed(outputs):
            flushing.callback(output.writer.flush)
        named = [_refuse_names(output) for output in outputs]
        todo = units.merged(named)
        if not len(todo):
            return
        orders, writers = (tuple(of) for of in zip(*((one.plan.order, one.writer) for one in outputs), strict=True))
        unit = "photos" if len(outputs) == 1 else "pictures"
        with (
            executor(orders, outputs[0].plan.model, todo, writers, workforce) as stream,
            terminal.progress(total, "whiten", done=total - len(todo), unit=unit) as bar,
        ):
            free = [_claim(output, some) for output, some in zip(outputs, named, strict=True)]
            for rows in stream:
                for output in outputs:
                    output.writer.add([row for row in rows if row["place"] == output.plan.order.place])
                bar.update(len(rows))
                for output in outputs:
                    output.own_lock.check()
                _stop_if_wrong(outputs, rows)
    for output, claimed in zip(outputs, free, strict=True):
        order = output.plan.order
        output.own_lock.check()
        doubtful = _doubtful(output, claimed)
        claims.drop(order.destination, order.run_id, doubtful, run_seq=order.run_seq, naming=output.plan.naming)


def _claim(output: Output, todo: pa.Table) -> pa.Table:
    """Claim the names that an output is about to write; the rows whose names those are."""
    order = output.plan.order
    free = todo.filter(pc.invert(todo["guarded"]))  # what is in the place of the others may not be ours
    if len(todo):
        claims.claim(order.destination, order.run_id, free["output"], order.run_seq)
    return free


def _stop_if_wrong(outputs: Sequence[Output], rows: Sequence[DoneRow]) -> None:
    # those that failed before mean nothing for this run, and must not keep it from the others
    counted = [row for row in rows if row["reason"] != Reason.RETRY]
    for output in outputs:
        if reason := output.breaker.add([row for row in counted if row["place"] == output.plan.order.place]):
            raise Stopped(f"{output.name}: {reason}" if output.name else reason)


def _doubtful(output: Output, claimed: pa.Table) -> pa.ChunkedArray | None:
    """The outputs of photos that have failed and had no picture before; None where what is there can't be listed."""
    if not output.plan.listed:
        return None
    new = claimed["output"].filter(pc.is_null(claimed["standing_run_id"]))
    return new.filter(pc.invert(pc.is_in(new, value_set=pa.array(output.writer.published, pa.string()))))


def _refuse_names(output: Output) -> pa.Table:
    """Rows for photos whose names can't be outputs; the rest of the work is returned."""
    plan, good = output.plan, list[pa.Array]()
    for batch in plan.work.select(["key", "output"]).to_batches(max_chunksize=_NAMES):  # all as texts would be large
        names = zip(batch["key"].to_pylist(), batch["output"].to_pylist(), strict=True)
        good.append(pa.array([key not in plan.clashes and not any(_bad(key, name)) for key, name in names], pa.bool_()))
    kept = pa.chunked_array(good, pa.bool_())
    if pc.all(kept, min_count=0).as_py():
        return plan.work
    for row in plan.work.filter(pc.invert(kept)).to_pylist():
        fault = _fault(row["key"], row["output"], plan.clashes.get(row["key"]))
        decided = row["group_members"] if row["group_scale"] is not None else None  # else its group goes on without it
        output.writer.add([plan.order.failed(row, *fault, {"group_members": decided})])
    return plan.work.filter(kept)


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
