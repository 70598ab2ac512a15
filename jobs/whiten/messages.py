"""What people read of a run of `glasseg whiten`: its first lines and its summary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import click

from glasseg.catalog.schema import Reason
from glasseg.catalog.skipped import described
from glasseg.catalog.tally import EXAMPLES, Tally
from glasseg.lists import selection
from glasseg.storage.keys import shown
from jobs.terminal import heading, lines_are_json, say
from jobs.whiten.output import Output
from jobs.whiten.plan import Plan
from jobs.whiten.renaming import Renamed, list_key

_REASONS: Final = {
    Reason.NEW: "new",
    Reason.CHANGED: "changed",
    Reason.REDO: "to be redone",
    Reason.RETRY: "to try again",
    Reason.UNFINISHED: "with a picture of an unfinished run",
    Reason.MODEL: "of another model",
    Reason.OPTIONS: "of other options",
    Reason.GROUP: "whose group has changed",
    Reason.MISSING: "whose picture is missing",
    Reason.CORRECTED: "corrected",
    Reason.APPROVED: "approved",
    Reason.WITHDRAWN: "withdrawn",
}
"""A reason of the manifest as people read it after a number."""


def say_plan(
    plan: Plan, *, address: str | None, delete_gone: bool, photo_list: str | None, doing: str = "Whitening"
) -> None:
    """Print what will be done: how many photos and why, which model, where."""
    order, n = plan.order, len(plan.work)
    why = ", ".join(
        f"{count:,} {_REASONS[Reason(reason)]}" for reason, count in plan.reasons.items() if reason in _REASONS
    )
    skipped = sum(plan.others.values())
    renamed = len(plan.renaming.renamed)
    notes = {
        "to be renamed": renamed,
        "up to date": plan.unchanged,
        "left for later (--limit)": plan.pending - n,
        "gone from the source": len(plan.gone),
        "skipped now whose pictures stay": plan.kept,
        f"other file{'s' * (skipped != 1)} skipped ({described(plan.others)})": skipped,
    }
    extra = "".join(f", {count:,} {what}" for what, count in notes.items() if count)
    unsolved = ", ".join(f"{count:,} {status}" for status, count in plan.unsolved.items())
    cluster = address or os.environ.get("RAY_ADDRESS") or "local"
    where = "this machine" if cluster == "local" else cluster
    say(f"{doing} {n:,} photo{'s' * (n != 1)} of {order.source.uri}{f' ({why})' if why else ''}{extra}")
    if older := plan.renaming.older:
        keep = f"{older:,} photos keep their older names" if older > 1 else "1 photo keeps its older name"
        why = (
            "the last picture failed or was held back, or another photo's picture has the new name"
            if plan.renaming.able
            else "pictures are not moved where nothing may be deleted, or listed"
        )
        say(f"  {keep} for now ({plan.renaming.example}): {why}")
    if unsolved:
        say(f"  of those up to date: {unsolved} (see glasseg status {order.destination.uri})")
    say(f"  to {order.destination.uri} with model {order.model_id} on {where}")
    if plan.clashes:
        n, first = len(plan.clashes), next(iter(plan.clashes.values()))
        say(f"  {n:,} photo{'s' * (n != 1)} will fail for {'their' if n != 1 else 'its'} name: {first}")
    if n := plan.alone:
        say(f"  {n:,} photo{'s' * (n != 1)} of no group, each with a scale of its own")
    if n := plan.several_widths:
        say(f"  {n:,} group{'s' * (n != 1)} with a width in several rows: it counts for the widest of their photos")
    if n := plan.partial:
        say(f"  {n:,} group{'s' * (n != 1)} only partly in the list, with the scale as before")
    if delete_gone and not plan.whole:
        say("  nothing is deleted: only a run over the whole source shows what is gone")
    if not plan.listed:
        say(f"  {order.destination.uri} can't be listed: pictures that were removed from it by hand are not noticed")
    if plan.compared_by != "ETag":
        say(
            f"  {order.source.uri} lists no ETags: photos are compared by {plan.compared_by}; one that is replaced by "
            "one that is equal in this counts as unchanged, until --redo all"
        )
    if plan.selection and (n := len(plan.selection.repeated)):
        first = selection.described(plan.selection.repeated[0])
        say(f"  {n:,} row{'s' * (n != 1)} of {photo_list} not used: {first}{', …' * (n > 1)}")
    if plan.selection and (n := len(plan.selection.unmatched)):
        first = "; ".join(map(selection.described, plan.selection.unmatched[:3]))
        say(f"  {n:,} row{'s' * (n != 1)} of {photo_list} choose{'s' * (n == 1)} no photo: {first}{', …' * (n > 3)}")


def say_faults(renamed: Renamed) -> None:
    """The pictures that could not be moved, as far as a person wants to read them."""
    for key, why in list(renamed.faults.items())[:EXAMPLES]:
        say(f"  warning: the picture of {key} can't be renamed yet: {why}", level="warning")
    if (more := len(renamed.faults) - EXAMPLES) > 0:
        say(f"  … and {more:,} more that can't be renamed yet", level="warning")


def say_summary(output: Output, summary: Mapping[str, Any]) -> None:
    """How it went, the first few photos to look at, and where the manifest is; one line of it on stdout.

    `summary`: the record of the run.
    """
    plan, tally, ended = output.plan, output.writer.tally, output.ended
    _say_flagged(tally)
    _say_checks(summary.get("checks", {}))
    deleted = bool(summary["gone"]) and summary["options"].get("gone") == "delete"
    if n := summary.get("renamed", 0):
        where = plan.order.destination.uri_of(list_key(plan.order.run_id))
        say(f"  {n:,} renamed: the old names and the new ones are in {where}")
    elif not len(plan.work) and not deleted:
        say("Nothing to do: every photo is up to date.")
    if summary["held"]:
        where = f"glasseg release {plan.order.destination.uri} {summary['run_id']}"
        say(f"  {summary['held']} held back, their older pictures stay; to publish them: {where}")
    _say_older(tally)
    if summary["gone"]:
        say(f"  {summary['gone']} gone from the source{', their pictures deleted' * deleted}")
    if tally.processed:
        say(f"Manifest: {summary['manifest']}")
    if n := summary["storage_retries"]:
        say(f"The storage was slow or failed now and then: {n:,} request{'s were' if n > 1 else ' was'} repeated.")
    if ended == "interrupted":
        say("Interrupted: the rows so far are kept, the same command resumes the run.")
    if ended == "stopped" and not tally.processed:
        return  # an error reports why nothing was done
    result = (
        f"ok {summary['ok']}, review {summary['review']}, failed {summary['failed']} "
        f"in {summary['seconds']:.1f} s ({summary['photos_per_second']:.1f} photos/s)"
    )
    if lines_are_json():
        say(result, summary=summary)
    click.echo(heading() + result)


def _say_flagged(tally: Tally) -> None:
    """The first few photos that failed or need a look."""
    for row in tally.worst:
        facts = {"level": "warning"} | {name: row[name] for name in ("key", "status", "error_code")}
        say(f"  {row['status']:<7} {row['key']}: {row['error_code']}: {row['error']}", **facts)
    if tally.flagged > len(tally.worst):
        say(f"  … and {tally.flagged - len(tally.worst)} more in the manifest")


def _say_older(tally: Tally) -> None:
    """What is not as it was before, or as it should be by now."""
    if n := tally.small:
        say(f"  {n:,} smaller than asked for: their photos would have to be enlarged by more than --max-upscale")
    if tally.stale:
        whose = "whose older picture stays" if tally.stale == 1 else "whose older pictures stay"
        say(f"  {tally.stale} failed {whose}")
    if n := tally.dropped:
        first, what = shown(tally.dropped_key), "was corrected or approved and has changed since"
        others = f" and {n - 1:,} more" * (n > 1)
        say(f"  {first}{others}: {what}: made anew without that, look at it again", level="warning")


def _say_checks(checks: dict[str, Any]) -> None:
    """For each marketplace how many pictures pass, and what the others break first."""
    for name, counts in checks.items():
        if not counts["pass"] + counts["fail"]:
            continue
        most = next(iter(counts["broken"].items()), None)
        why = f"; most often: {most[0]} ({most[1]})" if most else ""
        say(f"  {name}: {counts['pass']} of {counts['pass'] + counts['fail']} pass{why}")
