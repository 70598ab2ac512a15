"""Photos that have left the source: their rows, and with `--gone delete` the end of their pictures."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow.compute as pc

from glasseg.catalog import manifest
from glasseg.catalog.lock import Lock
from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import Root
from jobs.whiten.ledger import Ledger
from jobs.whiten.plan import Plan

THREADS = 16
_BATCH = 1000


def tell(plan: Plan, ledger: Ledger, held: Lock, *, delete: bool) -> None:
    """A row with status gone for each photo that left; with `delete` its picture and mask go first.

    Only files that our rows name are deleted, and none that a photo of the source has its picture in. Raises
    GlassegError when one can't be deleted.
    """
    outputs = _outputs(plan) if delete and len(plan.gone) else {}
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(plan.gone), _BATCH):
            known = plan.gone.slice(start, _BATCH).to_pylist()
            doomed = [output for row in known for output in outputs.get(row["key"], ())]
            held.check()
            list(pool.map(partial(_delete, plan.order.destination), doomed))
            ledger.add([_row(plan, row, "deleted" if delete else "gone") for row in known])
    ledger.flush()


def _outputs(plan: Plan) -> dict[str, set[str]]:
    """By key of a photo that left: the pictures of it that rows name, but for those that are another photo's now."""
    found: dict[str, set[str]] = defaultdict(set)
    for part in manifest.parts(plan.order.destination, ("key", "output_key", "published")):
        theirs = pc.and_kleene(pc.is_in(part["key"], value_set=plan.gone["key"]), part["published"])
        needed = pc.is_in(part["output_key"], value_set=plan.outputs)
        for row in part.filter(pc.and_not_kleene(theirs, needed)).to_pylist():
            found[row["key"]].add(row["output_key"])
    return found


def _delete(root: Root, output: str) -> None:
    try:
        for key in (manifest.mask_key(output), output):
            root.delete(key)
    except PhotoError as error:
        raise GlassegError(f"a picture whose photo is gone can't be deleted: {error}") from error


def _row(plan: Plan, known: dict[str, Any], reason: str) -> dict[str, Any]:
    """The row of a photo that left: "gone", or "deleted" when its pictures left with it."""
    order = plan.order
    pending = {
        "key": known["key"],
        "reason": reason,
        "etag": known["source_etag"],
        "standing_coverage": known["standing_coverage"],
        "list_columns": None,
    }
    facts = {name: known[name] for name in ("model_id", "options_id", "width", "height")}
    return order.row(pending, **facts, status="gone")
