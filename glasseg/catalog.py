"""What is there and what is pending: the source's listing against the destination's manifest and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from glasseg.encoder import output_name
from glasseg.errors import GlassegError
from glasseg.images import PHOTO_EXTENSIONS
from glasseg.keys import printable
from glasseg.storage import Entry, Root

OURS: Final = "_glasseg/"
"""Below this, a destination keeps what is not an output."""

RETRIED_CODES: Final = frozenset(
    {"vanished", "denied", "read_error", "write_error", "out_of_memory", "worker_died", "timeout", "internal_error"}
)
"""Failures that may be over at the next run; a photo that failed otherwise waits until it changes."""


@dataclass(frozen=True)
class Photo:
    """One photo of the catalog: its listing entry and the key of its output."""

    entry: Entry
    output: str


@dataclass(frozen=True)
class Pending:
    """A photo to work on, why (`reason`), and the run whose output it replaces."""

    photo: Photo
    reason: str
    replaced_run_id: str | None


def is_photo(key: str) -> bool:
    """Whether a key is a photo: a picture's extension, case-blind; never macOS's `._*` and never our own files.

    Those lie below `_glasseg/` of any folder, since a source may hold an older destination.
    """
    path = PurePosixPath(key)
    return path.suffix[1:].lower() in PHOTO_EXTENSIONS and not path.name.startswith("._") and not _is_ours(key)


def _is_ours(key: str) -> bool:
    return OURS.rstrip("/") in key.split("/")[:-1]


def photos(entries: Iterable[Entry], format: str, transparent: bool = False) -> tuple[list[Photo], int]:
    """The photos of a listing with their output keys, and how many other files there are; see `output_name`.

    Raises GlassegError when two photos would land on one output.
    """
    found, others = [], 0
    for entry in entries:
        if is_photo(entry.key):
            found.append(Photo(entry, output_name(entry.key, format, transparent)))
        else:
            others += not _is_ours(entry.key)
    refuse_collisions(found)
    return found, others


def refuse_collisions(found: Iterable[Photo]) -> None:
    """Raise GlassegError, naming the photos, when two of them would be written to one output."""
    found = list(found)
    twice = [output for output, n in Counter(photo.output for photo in found).items() if n > 1]
    if twice:
        sources = ", ".join(photo.entry.key for photo in found if photo.output == twice[0])
        more = f" (and {len(twice) - 1} more such names)" if len(twice) > 1 else ""
        raise GlassegError(f"{sources} would all become {twice[0]}{more}: rename them, or choose another --format")


def pending(
    found: Iterable[Photo],
    state: Mapping[str, Mapping[str, Any]],
    outputs: set[str],
    *,
    model_id: str,
    options_id: str,
    max_pixels: int,
) -> list[Pending]:
    """The photos that need work, each with its reason.

    Reasons: new, changed (its content), model, options, missing (its output is gone), retry (it failed in a way that
    may be over, or was too large for an earlier `max_pixels`). `state` as `manifest.state` gives it, `outputs`: the
    keys that exist in the destination.
    """
    work = []
    for photo in found:
        row = state.get(printable(photo.entry.key))
        reason = _reason(photo, row, outputs, model_id=model_id, options_id=options_id, max_pixels=max_pixels)
        if reason:
            replaced = row["run_id"] if row and photo.output in outputs and row["status"] in {"ok", "review"} else None
            work.append(Pending(photo, reason, replaced))
    return work


def _reason(
    photo: Photo, row: Mapping[str, Any] | None, outputs: set[str], *, model_id: str, options_id: str, max_pixels: int
) -> str | None:
    if row is None:
        return "new"
    if row["source_etag"] != photo.entry.etag:
        return "changed"
    if row["status"] == "failed":
        size_known = row["error_code"] == "too_large" and row["width"] and row["height"]
        fits_now = size_known and row["width"] * row["height"] <= max_pixels
        return "retry" if fits_now or row["error_code"] in RETRIED_CODES else None
    if row["model_id"] != model_id:
        return "model"
    if row["options_id"] != options_id:
        return "options"
    return None if photo.output in outputs else "missing"


def outputs_of(root: Root) -> set[str]:
    """Keys of all files in a destination but our own."""
    return {entry.key for entry in root.list() if not entry.key.startswith(OURS)}


def refuse_foreign(planned: Iterable[str], outputs: set[str], ours: set[str], destination: str) -> None:
    """Raise GlassegError when an output would replace a file that glasseg did not write."""
    foreign = sorted(output for output in planned if output in outputs and output not in ours)
    if foreign:
        names = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise GlassegError(
            f"{len(foreign)} files in the way in {destination} that glasseg did not write ({names}): "
            "choose another destination, or add --overwrite"
        )
