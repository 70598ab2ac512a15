"""Which photos are worked on, and why: the listing of the source compared with what is known, as Arrow tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import Reason, Status
from glasseg.catalog.state import among
from glasseg.errors import FAILURE_CODES, REVIEW_CODES, GlassegError
from glasseg.formats import PHOTO_EXTENSIONS, Format, kept_suffixes, new_suffix

UNCHANGED: Final = "unchanged"
"""In the place of a reason: the photo is up to date."""
REASONS: Final = tuple(Reason)[: tuple(Reason).index(Reason.MISSING) + 1]
"""Why a photo is pending; see `difference`."""

RETRIED_CODES: Final = frozenset(
    {
        *("vanished", "denied", "read_error", "write_error", "foreign"),
        *("out_of_memory", "worker_died", "timeout", "internal_error"),
    }
)
"""Failures that may be over at the next run; a photo that failed otherwise waits until it changes."""

_OPTION_CODES: Final = frozenset({"side_too_long", "too_long_name"})
"""Failures of a format, which may be over with another one."""

_EXTENSION: Final = r"\.[^./]+$"
_IS_PHOTO: Final = rf"(?i)(^|/)[^/]*[^/]\.({'|'.join(sorted(PHOTO_EXTENSIONS))})$"
_IS_OURS: Final = r"(^|/)_glasseg/"


def photos(listing: pa.Table, format: Format, transparent: bool = False) -> tuple[pa.Table, int]:
    """The photos of a listing with the keys of their pictures in `output`, and how many other files there are.

    `listing` is a table of `listing.SCHEMA`; see `is_photo` and `formats.output_name`. Raises GlassegError when two
    photos would land on one output.
    """
    ours = pc.match_substring_regex(listing["key"], _IS_OURS)
    picture = pc.match_substring_regex(listing["key"], _IS_PHOTO)
    chosen = pc.and_(pc.and_not(picture, ours), pc.invert(pc.match_substring_regex(listing["key"], r"(^|/)\._[^/]*$")))
    found = listing if pc.all(chosen, min_count=0).as_py() else listing.filter(chosen)
    others = len(listing) - len(found) - (pc.sum(ours).as_py() or 0)
    found = found.append_column("output", outputs(found["key"], format, transparent))
    refuse_collisions(found)
    return found, others


def outputs(keys: pa.ChunkedArray, format: Format, transparent: bool = False) -> pa.ChunkedArray:
    """`formats.output_name` of many keys at once; the same memory where no name changes."""
    kept = pc.match_substring_regex(keys, rf"(?i)\.({'|'.join(kept_suffixes(format, transparent))})$")
    if pc.all(kept, min_count=0).as_py():
        return keys
    renamed = pc.replace_substring_regex(keys, _EXTENSION, new_suffix(format))
    return pc.if_else(kept, keys, renamed)


def refuse_collisions(found: pa.Table) -> None:
    """Raise GlassegError, naming the photos, when two of them would be written to one output."""
    renamed = found.filter(pc.not_equal(found["output"], found["key"]))
    if not len(renamed):
        return  # the keys of a listing are all different
    sharing = found.filter(pc.is_in(found["output"], value_set=renamed["output"]))
    counted = sharing["output"].value_counts()
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    if len(twice):
        sources = ", ".join(sharing.filter(pc.equal(sharing["output"], twice[0]))["key"].to_pylist())
        more = f" (and {len(twice) - 1} more such names)" if len(twice) > 1 else ""
        raise GlassegError(f"{sources} would all become {twice[0]}{more}: rename them, or choose another --format")


@dataclass(frozen=True)
class Wanted:
    """What a run compares the state with."""

    model_id: str
    options_id: str
    max_pixels: int
    redo: str | None = None
    """`all`, or the word in the last row of a photo that has it done again; see `check_redo`."""


def check_redo(word: str) -> None:
    """Raise GlassegError, as wrong usage, when `--redo` can't mean anything by `word`."""
    known = ("all", "failed", "review", "held", *REASONS, *FAILURE_CODES, *REVIEW_CODES)
    if word not in known:
        raise GlassegError(
            f"--redo {word}: it takes all, failed, review, held, an error_code or a reason of the manifest", 2
        )


def with_existing(found: pa.Table, there: pa.ChunkedArray | None, empty: pa.ChunkedArray | None = None) -> pa.Table:
    """`found` with a column `exists`: whether the output is among the keys `there` of the destination, and `empty`.

    None where these can't be listed: then every output counts as there, and none as missing. `empty`: those of size 0,
    which are in the way of a picture as others are, but are none.
    """
    exists = pa.repeat(True, len(found)) if there is None else pc.is_in(found["output"], value_set=there)
    none = pa.repeat(False, len(found)) if empty is None else pc.is_in(found["output"], value_set=empty)
    return found.append_column("exists", exists).append_column("empty", none)


def difference(found: pa.Table, state: pa.Table, wanted: Wanted, touched: pa.Table | None = None) -> pa.Table:
    """`found` with a column `reason`.

    Reasons: new (also when it was gone), changed (its content), redo (forced), retry (it failed in a way that may be
    over, or was too large for an earlier `max_pixels` or format), unfinished (an unfinished run has replaced its
    picture, and left no row), model, options, missing (its output is gone, or empty), unchanged. The first that holds
    counts.
    `found` as `with_existing` returns it, `state` is `State.photos`, `touched` what `claims.touched` returns.
    """
    row = pc.index_in(found["key"], value_set=state["key"]).combine_chunks()
    stands = pc.and_not(found["exists"], found["empty"]).combine_chunks()

    def known(name: str) -> pa.Array:
        return state[name].combine_chunks().take(row)

    status, code = known("status"), known("error_code")
    pixels = pc.multiply(pc.cast(known("width"), "int64"), pc.cast(known("height"), "int64"))
    fits_now = pc.fill_null(pc.less_equal(pixels, wanted.max_pixels), False)
    transient = pc.or_(among(code, sorted(RETRIED_CODES)), pc.and_(among(code, ["too_large"]), fits_now))
    failed = among(status, [Status.FAILED])
    other_options = pc.invert(among(known("options_id"), [wanted.options_id]))
    may_fit = pc.and_(pc.and_(failed, among(code, sorted(_OPTION_CODES))), other_options)
    conditions = {
        Reason.NEW: pc.or_(pc.is_null(row), among(status, [Status.GONE])),
        Reason.CHANGED: pc.fill_null(pc.not_equal(known("source_etag"), found["etag"].combine_chunks()), True),
        Reason.REDO: _forced(known, wanted.redo),
        Reason.RETRY: pc.and_(failed, pc.or_(transient, may_fit)),
        Reason.UNFINISHED: _unfinished(found, known, touched),
        UNCHANGED: failed,
        Reason.MODEL: pc.invert(among(known("model_id"), [wanted.model_id])),
        Reason.OPTIONS: other_options,
        Reason.MISSING: pc.invert(stands),
    }
    return found.append_column("reason", _first(conditions, UNCHANGED))


def _unfinished(found: pa.Table, known: Callable[[str], pa.Array], touched: pa.Table | None) -> pa.Array:
    """Whether a photo's picture is of a run later than its last row; names of runs sort by time."""
    if touched is None or not len(touched):
        return pa.repeat(False, len(found))
    last = touched["run_id"].combine_chunks().take(pc.index_in(found["output"], touched["output"]).combine_chunks())
    return pc.fill_null(pc.less(known("run_id").cast(pa.string()), last), False)


def _forced(known: Callable[[str], pa.Array], redo: str | None) -> pa.Array:
    """Whether `--redo` means a photo, by its last row."""
    status = known("status")
    if redo == "all":
        return pc.is_valid(status)
    if redo == "held":
        return pc.fill_null(known("held"), False)
    if redo in {"failed", "review"}:
        return among(status, [redo])
    words = [redo] if redo else []
    return pc.or_(among(known("error_code"), words), among(known("reason"), words))


def _first(conditions: dict[str, pa.Array], otherwise: str) -> pa.Array:
    """For each row the name of the first condition that holds."""
    cases = pc.make_struct(*conditions.values(), field_names=[str(i) for i in range(len(conditions))])
    return pc.case_when(cases, *conditions, otherwise)


def gone(found: pa.Table, state: pa.Table, *, delete: bool) -> pa.Table:
    """The rows of `state` whose photos were below the source and are not in its complete listing any more.

    Those that an earlier run recorded are left out; with `delete` only those whose pictures it deleted.
    """
    listed = pc.is_in(state["key"], value_set=found["key"])
    left = pc.and_not(state["of_source"], listed)
    recorded = among(state["reason"], [Reason.DELETED]) if delete else among(state["status"], [Status.GONE])
    return state.filter(pc.and_not(left, recorded))


def retries_last(todo: pa.Table) -> pa.Table:
    """Pending photos in the order of the work: what fails every night must not take the place of what is new."""
    again = pc.equal(todo["reason"], Reason.RETRY)
    if not pc.any(again, min_count=0).as_py():
        return todo
    return pa.concat_tables([todo.filter(pc.invert(again)), todo.filter(again)])


def unsolved(difference: pa.Table, state: pa.Table) -> dict[str, int]:
    """How many photos that are up to date failed, were held back, or need review, by which of these."""
    flagged = state.filter(
        among(state["status"], [Status.FAILED, Status.REVIEW])
    )  # few: the others would make large sets
    same = pc.and_(pc.equal(difference["reason"], UNCHANGED), pc.is_in(difference["key"], value_set=flagged["key"]))
    left = flagged.filter(pc.is_in(flagged["key"], value_set=difference["key"].filter(same)))
    statuses = pc.if_else(left["held"], "held back", pc.cast(left["status"], pa.string())).value_counts().to_pylist()
    return {one["values"]: one["counts"] for one in statuses}


def examples(todo: pa.Table) -> dict[str, list[str]]:
    """The first few names for each reason."""
    reasons = pc.unique(todo["reason"]).to_pylist()
    return {reason: todo.filter(pc.equal(todo["reason"], reason))["key"].slice(0, 3).to_pylist() for reason in reasons}
