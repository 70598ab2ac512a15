"""What a run asks of its workers: the tables that go in and out, and what each of them must know."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypedDict

import pyarrow as pa

from glasseg.catalog import manifest, reviewed, schema
from glasseg.catalog.pending import listed_in
from glasseg.catalog.schema import NUMBERED, REVIEWED, Row, Status
from glasseg.catalog.tally import OLDER_STAYS
from glasseg.cutout.look import Look
from glasseg.storage import listing
from glasseg.storage.credentials import without_credentials
from glasseg.storage.keys import printable, unsafe_reason
from glasseg.storage.roots import Root

ROWS = pa.schema(
    [
        *(column.with_nullable(True) for column in schema.SCHEMA),
        pa.field("place", pa.int32()),
        pa.field("fatal", pa.string()),
    ]
)
"""What a batch returns: manifest rows, and after them perhaps one whose `fatal` is why the whole run has to stop.

`place`: as in `PENDING`.
"""

PENDING = pa.schema(
    [
        *((name, pa.string()) for name in ("key", "output", "etag", "reason", "standing_status", "standing_run_id")),
        ("standing_coverage", pa.float64()),
        ("guarded", pa.bool_()),
        *((name, pa.string()) for name in REVIEWED),
        *((name, schema.SCHEMA.field(name).type) for name in NUMBERED),
        ("list_columns", pa.map_(pa.string(), pa.string())),
        ("place", pa.int32()),
        ("unit", pa.string()),
        ("unit_rows", pa.int32()),
        ("group_scale", pa.float64()),
        ("group_baseline", pa.float64()),
        ("group_members", pa.string()),
        ("group_partial", pa.bool_()),
        ("width_mm", pa.float64()),
    ]
)
"""What a batch gets: photos, and what stands in the place of their pictures.

`guarded`: it is not known whether that place is free, and a file there is not ours. `REVIEWED`: a person's word.
`NUMBERED`: the photo's number in its series. `place`: the destination, as a number of the run's orders. `unit`: the
`unit_rows` rows that share it are neighbours and done together, in one batch. `group_*`: as in the manifest; with
`group_members` and without a scale, the unit has to get one. `group_partial`: whether the list has only a part of the
group. `width_mm`: of the glasses, where the photo's row of the list has it.
"""


class Pending(TypedDict):
    """A row of `PENDING`."""

    key: str
    output: str
    etag: str | None
    reason: str
    standing_status: str | None
    standing_run_id: str | None
    standing_coverage: float | None
    guarded: bool
    reviewed: str | None
    reviewed_run: str | None
    reviewed_etag: str | None
    reviewed_model: str | None
    reviewed_options: str | None
    name_number: int | None
    name_series: str | None
    list_columns: list[tuple[str, str]] | None
    place: int
    unit: str
    unit_rows: int
    group_scale: float | None
    group_baseline: float | None
    group_members: str | None
    group_partial: bool | None
    width_mm: float | None


class DoneRow(Row, total=False):
    """A row of `ROWS`."""

    place: int | None
    fatal: str | None


@dataclass(frozen=True)
class Order:
    """What every worker of a run must know of one of its destinations."""

    source: Root
    destination: Root
    run_id: str
    run_seq: int
    model_id: str
    options_id: str
    mask: bool
    quality: int
    max_pixels: int
    cpus: int = 1
    """CPUs of each worker, and GPUs and bytes of memory below; known once Ray is connected."""
    gpus: float = 0.0
    memory: int = 0
    look: Look = field(default_factory=Look)
    gates: bool = True
    review_below: float | None = None
    """The quality below which a person should look; None for a model without a calibration."""
    across_mm: float | None = None
    """How wide a picture is, where the glasses' real width decides their scale."""
    inventory: str | None = None
    """The id of the inventory that lists the photos, None when the source itself does."""
    place: int = 0
    """Which destination of the run this is."""
    metered: bool = False
    """Whether workers count for Ray's metrics: on a cluster, where somebody may look at them."""

    def listed_etag(self, pending: Pending, read: str | None) -> str | None:
        """What the listing said of a photo, where it had another etag than was `read` (None: the photo was gone).

        The same listing, and through a proxy that changes etags any listing, says so again the next night, and the
        photo is not to be done again for that. A photo that was replaced after the source was listed is none of these.
        """
        etag = pending["etag"]
        if etag is None or etag == read:
            return None
        if read and listing.says(self.source, pending["key"], etag):
            return etag
        return listed_in(self.inventory, etag) if self.inventory else None

    def row(self, pending: Pending, facts: Row) -> DoneRow:
        """A row of this run for one pending photo; `facts` are its other columns."""
        return {
            "key": pending["key"],
            "source_uri": printable(self.source.uri_of(pending["key"])),
            "reason": pending["reason"],
            "source_etag": pending["etag"],
            "previous_coverage": pending["standing_coverage"],
            "list_columns": pending["list_columns"],
            "group_scale": pending["group_scale"],
            "group_baseline": pending["group_baseline"],
            "group_members": pending["group_members"],
            **reviewed.of(pending),
            "name_number": pending["name_number"],
            "name_series": pending["name_series"],
            "model_id": self.model_id,
            "options_id": self.options_id,
            "run_id": self.run_id,
            "run_seq": self.run_seq,
            "finished_at": datetime.now(UTC),
            "published": False,
            **facts,
            "place": pending["place"],
            "fatal": None,
        }

    def masks(self, output: str) -> bool:
        """Whether a mask is written for a picture: where one is asked for, and can have a name."""
        return self.mask and unsafe_reason(manifest.mask_key(output)) is None

    def failed(self, pending: Pending, code: str, message: str, facts: Row | None = None) -> DoneRow:
        """The row of a photo that could not be done, and so replaced nothing."""
        warnings = [OLDER_STAYS] if pending["standing_run_id"] else None
        failure: Row = {
            "status": Status.FAILED,
            "error_code": code,
            "error": without_credentials(message),
            "warnings": warnings,
        }
        return self.row(pending, {**failure, **(facts or {})})


Orders = tuple[Order, ...]
"""One for each destination of a run, by the numbers in `place`; all but `Order.destination` and what is made there is
the same in them."""
