"""Which photos are worked on, and why: the listing of the source compared with what is known, as Arrow tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import Reason, Status
from glasseg.catalog.state import among
from glasseg.errors import FAILURE_CODES, REVIEW_CODES, GlassegError
from glasseg.formats import PHOTO_EXTENSIONS, SYSTEM, Format, kept_suffixes, new_suffix
from glasseg.storage.naming import EXACT, Naming

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


def photos(
    listing: pa.Table, format: Format, transparent: bool = False, *, all_folders: bool = False
) -> tuple[pa.Table, pa.ChunkedArray]:
    """`sorted_out`, with the keys of the photos' pictures in `output`; see `formats.output_name`."""
    found, others = sorted_out(listing, all_folders=all_folders)
    return found.append_column("output", outputs(found["key"], format, transparent)), others


def sorted_out(listing: pa.Table, *, all_folders: bool = False) -> tuple[pa.Table, pa.ChunkedArray]:
    """The photos of a listing, and the keys of other files but ours.

    `listing` is a table of `listing.SCHEMA`; see `is_photo`.
    """
    ours = pc.match_substring_regex(listing["key"], _IS_OURS)
    picture = pc.match_substring_regex(listing["key"], _IS_PHOTO)
    chosen = pc.and_(pc.and_not(picture, ours), pc.invert(pc.match_substring_regex(listing["key"], r"(^|/)\._[^/]*$")))
    if not all_folders:
        chosen = pc.and_not(chosen, in_system_folders(listing["key"]))
    found = listing if pc.all(chosen, min_count=0).as_py() else listing.filter(chosen)
    others = listing["key"].filter(pc.invert(pc.or_(chosen, ours)))
    return found, others


def in_system_folders(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether keys are names that systems keep for themselves, see `formats.SYSTEM`."""
    return pc.match_substring_regex(keys, f"(?i){SYSTEM}")


def outputs(keys: pa.ChunkedArray, format: Format, transparent: bool = False) -> pa.ChunkedArray:
    """`formats.output_name` of many keys at once; the same memory where no name changes."""
    kept = pc.match_substring_regex(keys, rf"(?i)\.({'|'.join(kept_suffixes(format, transparent))})$")
    if pc.all(kept, min_count=0).as_py():
        return keys
    renamed = pc.replace_substring_regex(keys, _EXTENSION, new_suffix(format))
    return pc.if_else(kept, keys, renamed)


@dataclass(frozen=True)
class Wanted:
    """What a run compares the state with."""

    model_id: str
    options_id: str
    max_pixels: int
    redo: str | None = None
    """`all`, or the word in the last row of a photo that has it done again; see `check_redo`."""
    inventory: str | None = None
    """The id of the inventory that lists the photos, None when the source itself does."""


def check_redo(word: str) -> None:
    """Raise GlassegError, as wrong usage, when `--redo` can't mean anything by `word`."""
    known = ("all", "failed", "review", "held", *REASONS, *FAILURE_CODES, *REVIEW_CODES)
    if word not in known:
        raise GlassegError(
            f"--redo {word}: it takes all, failed, review, held, an error_code or a reason of the manifest", 2
        )


def with_existing(
    found: pa.Table,
    there: pa.ChunkedArray | None,
    places: pa.Table,
    naming: Naming = EXACT,
    empty: pa.ChunkedArray | None = None,
) -> pa.Table:
    """`found`, with its clashes, and columns `exists`: whether the output is among the files `there`; `empty`; `taken`.

    `there` and `empty` are None where the destination can't be listed: then every output exists. `empty`: those of size
    0, which are in the way of a picture as others are, but are none. `taken`: what is there is the picture of another
    photo. What is there of photos that clash is the picture of one of them, as `State.places` tells. `naming`: what the
    destination ignores in names.
    """
    exists = pa.chunked_array([pa.repeat(True, len(found))]) if there is None else naming.among(found["output"], there)
    clashing = pc.is_valid(found["clash"])
    if pc.any(clashing, min_count=0).as_py():
        some = found.filter(clashing)
        standing = standing_at(places, some["output"], naming)
        owner = standing["key"].take(naming.index(some["output"], standing["output_key"]))
        theirs = pc.and_(exists.filter(clashing), pc.fill_null(pc.equal(owner, some["key"]), False))
        exists = pc.replace_with_mask(exists.combine_chunks(), clashing.combine_chunks(), theirs.combine_chunks())
    none = pa.repeat(False, len(found)) if empty is None else naming.among(found["output"], empty)
    taken = _taken(found, exists, places, naming)
    return found.append_column("exists", exists).append_column("empty", none).append_column("taken", taken)


def _taken(found: pa.Table, exists: pa.ChunkedArray, places: pa.Table, naming: Naming) -> pa.Array:
    """Whether the picture that exists is another photo's; such a one has another name than its photo."""
    nowhere = pa.repeat(False, len(found))
    if not pc.any(pc.not_equal(places["key"], places["output_key"]), min_count=0).as_py():
        return nowhere
    own = places["output_key"].take(pc.index_in(found["key"], value_set=places["key"]))  # nearly always the only place
    unsure = pc.and_not(
        pc.and_(exists, pc.is_null(found["clash"])), pc.fill_null(pc.equal(own, found["output"]), False)
    )
    some = found.filter(unsure)
    standing = standing_at(places, some["output"], naming)
    owner = standing["key"].take(naming.index(some["output"], standing["output_key"]))
    others = pc.fill_null(pc.not_equal(owner, some["key"]), False)
    return pc.replace_with_mask(nowhere, unsure.combine_chunks(), others.combine_chunks())


def standing_at(places: pa.Table, outputs: pa.ChunkedArray, naming: Naming) -> pa.Table:
    """Those of `State.places` that are files of `outputs`; of several names of one file the last written is first."""
    standing = places.filter(naming.among(places["output_key"], outputs))
    if naming == EXACT:
        return standing
    return standing.take(pc.sort_indices(standing["run_seq"], sort_keys=[("", "descending")]))


def difference(
    found: pa.Table, state: pa.Table, wanted: Wanted, touched: pa.Table | None = None, naming: Naming = EXACT
) -> pa.Table:
    """`found` with a column `reason`.

    Reasons: new (also when it was gone), changed (its content), redo (forced), retry (it failed in a way that may be
    over, was too large for an earlier `max_pixels` or format, or clashed with a photo that is no longer in its way),
    unfinished (an unfinished run has replaced its picture, and left no row), model, options, group (its group has other
    members), missing (its output is gone, empty, or another photo's picture), unchanged. The first that holds counts.
    `found` as `with_existing` returns it, perhaps with `groups.with_groups`; `state` is `State.photos`, `touched` what
    `claims.touched` returns.
    """
    row = pc.index_in(found["key"], value_set=state["key"]).combine_chunks()
    stands = pc.and_not(found["exists"], found["empty"]).combine_chunks()

    def known(name: str) -> pa.Array:
        return state[name].combine_chunks().take(row)

    status, code = known("status"), known("error_code")
    pixels = pc.multiply(pc.cast(known("width"), "int64"), pc.cast(known("height"), "int64"))
    fits_now = pc.fill_null(pc.less_equal(pixels, wanted.max_pixels), False)
    alone = pc.is_null(found["clash"].combine_chunks())
    as_then = _listed_as_then(found, known("listed_etag"), wanted.inventory)
    transient = pc.or_(among(code, sorted(RETRIED_CODES)), pc.and_(among(code, ["too_large"]), fits_now))
    transient = pc.and_not(transient, pc.and_(among(code, ["vanished"]), as_then))
    transient = pc.or_(transient, pc.and_(among(code, ["same_name"]), alone))
    failed = among(status, [Status.FAILED])
    other_options = pc.invert(among(known("options_id"), [wanted.options_id]))
    may_fit = pc.and_(pc.and_(failed, among(code, sorted(_OPTION_CODES))), other_options)
    conditions = {
        Reason.NEW: pc.or_(pc.is_null(row), among(status, [Status.GONE])),
        Reason.CHANGED: pc.and_not(_other(known("source_etag"), found["etag"].combine_chunks()), as_then),
        Reason.REDO: _forced(known, wanted.redo),
        Reason.RETRY: pc.and_(failed, pc.or_(transient, may_fit)),
        Reason.UNFINISHED: _unfinished(found, known, touched, naming),
        UNCHANGED: failed,
        # what a person said holds for the picture as it is: another model alone does not make it again
        Reason.MODEL: pc.and_not(pc.is_null(known("reviewed")), among(known("model_id"), [wanted.model_id])),
        Reason.OPTIONS: other_options,
        **_regrouped(found, known),
        Reason.MISSING: pc.or_(pc.invert(stands), pc.and_not(found["taken"].combine_chunks(), known("held"))),
    }
    return found.append_column("reason", _first(conditions, UNCHANGED))


def listed_in(inventory: str, etag: str) -> str:
    """What `listed_etag` says of a photo that is not any more what this inventory lists; another one may be right."""
    return f"{etag}@{inventory}"


def _other(one: pa.Array, other: pa.Array) -> pa.Array:
    return pc.fill_null(pc.not_equal(one, other), True)


def _listed_as_then(found: pa.Table, then: pa.Array, inventory: str | None) -> pa.Array:
    """Whether a photo is listed as it was when it was worked on and turned out to be something else; see `Order`."""
    if then.null_count == len(then):
        return pa.repeat(False, len(found))
    etags = found["etag"].combine_chunks()
    stale = pc.equal(then, pc.binary_join_element_wise(etags, inventory, "@")) if inventory else False
    return pc.fill_null(pc.or_(pc.equal(then, etags), stale), False)


def _regrouped(found: pa.Table, known: Callable[[str], pa.Array]) -> dict[str, pa.Array]:
    """Whether a photo's group has other members than when it was worked on, in a run that asks for groups."""
    if "group_members" not in found.schema.names:
        return {}
    return {Reason.GROUP: _other(known("group_members"), found["group_members"].combine_chunks())}


def _unfinished(
    found: pa.Table, known: Callable[[str], pa.Array], touched: pa.Table | None, naming: Naming
) -> pa.Array:
    """Whether a photo's picture is of a run later than its last row; of runs without a number the names tell."""
    if touched is None or not len(touched):
        return pa.repeat(False, len(found))
    last = naming.index(found["output"], touched["output"]).combine_chunks()
    by_number = pc.less(known("run_seq"), touched["run_seq"].combine_chunks().take(last))
    by_name = pc.less(known("run_id").cast(pa.string()), touched["run_id"].combine_chunks().take(last))
    return pc.fill_null(pc.coalesce(by_number, by_name), False)


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


def retries_last(todo: pa.Table) -> pa.Table:
    """Pending photos in the order of the work: what fails every night must not take the place of what is new.

    Photos of one `unit`, if they have units, are neighbours.
    """
    again = pc.equal(todo["reason"], Reason.RETRY)
    units = todo["unit"] if "unit" in todo.schema.names else None
    if units is not None:
        fresh = pc.invert(pc.is_in(todo["reason"], value_set=pa.array([Reason.RETRY, Reason.GROUP], pa.string())))
        among_retries = pc.is_in(units, value_set=pc.unique(units.filter(again)))
        again = pc.and_not(among_retries, pc.is_in(units, value_set=pc.unique(units.filter(fresh))))
    if pc.any(again, min_count=0).as_py():
        todo = pa.concat_tables([todo.filter(pc.invert(again)), todo.filter(again)])
    if units is None:
        return todo
    return todo.take(pc.sort_indices(pc.index_in(todo["unit"], value_set=pc.unique(todo["unit"]))))


def first(todo: pa.Table, limit: int) -> pa.Table:
    """The first photos in the order of the work, `limit` of them; more where their last `unit` has more."""
    if limit >= len(todo) or limit <= 0 or "unit" not in todo.schema.names:
        return todo.slice(0, max(limit, 0))
    last = pc.equal(todo["unit"], todo["unit"][limit - 1]).to_numpy()
    return todo.slice(0, 1 + int(np.flatnonzero(last)[-1]))


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
    """The first few names for each reason, with those of their pictures where these are others."""
    found = {}
    for reason in pc.unique(todo["reason"]).to_pylist():
        first = todo.select(["key", "output"]).filter(pc.equal(todo["reason"], reason)).slice(0, 3).to_pylist()
        found[reason] = [_example(**one) for one in first]
    return found


def _example(key: str, output: str) -> str:
    same = PurePosixPath(key).with_suffix("") == PurePosixPath(output).with_suffix("")
    return key if same else f"{key} → {output}"
