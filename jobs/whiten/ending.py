"""The end of a run at one of its destinations: what is gone, the pages, fewer parts, the export, an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from glasseg.catalog import claims, compaction, manifest
from glasseg.errors import GlassegError, PhotoError
from glasseg.report import choice
from jobs import terminal
from jobs.destination import report
from jobs.whiten import gone, summary
from jobs.whiten.output import Output

EXIT_FLAGGED: Final = 3


@contextmanager
def apart(output: Output) -> Iterator[None]:
    """Lines within the block are about this output, and what ends its run does not end those of others."""
    with terminal.about(output.name):
        try:
            yield
        except GlassegError as error:
            output.fault = error


def settle(output: Output, *, delete_gone: bool) -> None:
    """What follows the last picture. Raises GlassegError."""
    plan, order = output.plan, output.plan.order
    if plan.whole:  # otherwise pictures of killed runs may still have no row
        named = summary.published(plan, output.writer)
        claims.settle(order.destination, order.run_id, named, plan.naming, order.run_seq)
    gone.record(plan, output.writer, output.own_lock, delete=delete_gone)
    output.ended = "done"


def finish(
    output: Output,
    record: Mapping[str, Any],
    *,
    pages: bool,
    editor: bool,
    max_flagged: float,
    endpoint_url: str | None,
) -> int:
    """What follows the record; the exit code. Raises GlassegError."""
    order = output.plan.order
    if output.worked:
        _write_pages(output, record, pages=pages, editor=editor, endpoint_url=endpoint_url)
    output.own_lock.check()
    compaction.compact(order.destination, order.run_id, output.own_lock.check)
    code = _exit_code(output, max_flagged)
    if output.export:
        output.export.write(order.destination, output.plan.selection)
    return code


def _exit_code(output: Output, max_flagged: float) -> int:
    """The exit code of an output, and why it is another than 0."""
    tally = output.writer.tally
    if tally.all_failed:
        why = f"All {tally.processed} photos that were worked on failed: exit code {EXIT_FLAGGED}"
        terminal.say(why, level="warning")
        return EXIT_FLAGGED
    if tally.too_many_flagged(max_flagged):
        share = f"{100 * max_flagged:.6g}%"
        terminal.say(
            f"More than {share} (--max-flagged) failed or need review: exit code {EXIT_FLAGGED}", level="warning"
        )
        return EXIT_FLAGGED
    return EXIT_FLAGGED if output.ended == "stopped" else 0


def _write_pages(
    output: Output, record: Mapping[str, Any], *, pages: bool, editor: bool, endpoint_url: str | None
) -> None:
    """Write the editor and the page of the run, which links to it, as far as they are asked for."""
    order = output.plan.order
    destination, run_id = order.destination, order.run_id
    if editor:
        with _only_warned("editor", f"{destination.uri} {run_id} --editor"):
            wanted = choice.editable(manifest.of_run(destination, run_id, merged=False))
            report.write_editor(destination, run_id, wanted, [record], endpoint_url=endpoint_url)
    if pages:
        with _only_warned("page", f"{destination.uri} {run_id}"):
            rows = manifest.of_run(destination, run_id, merged=False)
            terminal.say(f"Page: {report.write(destination, order.source, run_id, rows, record)}")


@contextmanager
def _only_warned(what: str, arguments: str) -> Iterator[None]:
    """All the work is done and recorded: what is in the way of a page is a warning."""
    try:
        yield
    except (GlassegError, PhotoError) as error:
        again = f"`glasseg report {arguments}` makes it when that is mended"
        terminal.say(f"  warning: the {what} can't be made: {error}; {again}", level="warning")
