"""`glasseg whiten --dry-run`: what a run would do, why, and about how long it would take; nothing is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import click

from glasseg.catalog import runs
from glasseg.catalog.pending import UNCHANGED
from glasseg.storage.roots import Root
from jobs.terminal import about, columns, say
from jobs.whiten.plan import Plan

RUNS = 5
LOOKED_AT = 60
"""Runs among which these are looked for: many nights have little to do."""
LEAST = 20
"""Photos that a run must have worked on for its rate to count: a smaller one mostly waits for Ray to start."""


def show(plans: Mapping[str, Plan], *, gone: str, price_per_hour: float | None) -> None:
    """Print the differences as tables on stdout, each with the name of its output, and the estimate.

    `gone`: what `--gone` asks for.
    """
    for name, plan in plans.items():
        if name:
            click.echo(f"{name}:")
        click.echo(_table(plan, gone))
    click.echo(_estimate(list(plans.values()), price_per_hour))
    for name, plan in plans.items():
        if plan.refusal:
            with about(name):
                say(f"The run itself would be refused: {plan.refusal}")
    say("Nothing was written: this was a dry run.")


def _table(plan: Plan, gone: str) -> str:
    counts = {reason: count for reason, count in plan.reasons.items() if reason != UNCHANGED}
    rows = [(reason, count, ", ".join(plan.examples.get(reason, ()))) for reason, count in counts.items()]
    if len(renamed := plan.renaming.renamed):
        pairs = renamed.select(["old", "new"]).slice(0, 3).to_pylist()
        rows.append(("renamed", len(renamed), ", ".join(f"{one['old']} → {one['new']}" for one in pairs)))
    if len(plan.gone):
        rows.append((f"gone ({gone})", len(plan.gone), ", ".join(plan.gone["key"].slice(0, 3).to_pylist())))
    rows.append((UNCHANGED, plan.unchanged, ""))
    rows += [(f"skipped: {kind}", count, "") for kind, count in plan.others.items()]
    return columns({"reason": "", "photos": ",", "for example": ""}, rows)


def _estimate(plans: Sequence[Plan], price_per_hour: float | None) -> str:
    """How long the work would take at the rate of the last runs, in words: that of the output that has the most to do,
    since all take their time together."""
    plan = max(plans, key=lambda one: len(one.work))
    photos = len(plan.work)
    if not photos:
        return "No photo to work on."
    rate, counted = rate_of(plan.order.destination)
    if not rate:
        what = "1 photo; how long it takes" if photos == 1 else f"{photos:,} photos; how long they take"
        return f"{what} is not known before a run of at least {LEAST} photos."
    minutes = photos / rate / 60
    money = "" if price_per_hour is None else f", {minutes / 60 * price_per_hour:,.2f} at {price_per_hour:g} an hour"
    taken = f"the rate of the last {counted} runs" if counted > 1 else "the rate of the last run"
    take = "photo takes" if photos == 1 else "photos take"
    return f"{photos:,} {take} about {math.ceil(minutes):,} min at {taken} ({rate:.1f} photos/s){money}."


def rate_of(destination: Root) -> tuple[float | None, int]:
    """Photos/s of the last runs that worked on enough photos, starting and ending included, and how many these are."""
    lately = runs.latest(destination, LOOKED_AT)
    worked = [run for run in lately if run.get("processed", 0) >= LEAST and run.get("seconds")][:RUNS]
    if not worked:
        return None, 0
    return sum(run["processed"] for run in worked) / sum(run["seconds"] for run in worked), len(worked)
