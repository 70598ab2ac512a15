"""Every labelled photo is read once before training: unusable ones are named, the others fingerprinted."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, Final

from glasseg.errors import GlassegError, PhotoError
from glasseg.labels import reading, reviewed_photos
from glasseg.labels.pairs import Backdrop, Found, Pair, Problem, Split
from glasseg.storage.roots import open_root
from glasseg.training.samples import PHOTO_SIDE
from jobs.terminal import say

BATCH_ROWS: Final = 64
THREADS: Final = 4
NAMED: Final = 20
"""Problems that are listed by name; all of them count."""


def check(found: Found, max_bad: int, *, endpoint_url: str | None = None) -> tuple[Found, list[str]]:
    """What of `found` can be used, and a digest of the content of each pair and backdrop. Ray must be connected.

    A corrected photo keeps one label, see `reviewed_photos.settled`. Reports what is skipped. Raises GlassegError when
    that is more than `max_bad`, apart from corrected and approved photos: nobody can mend what changed since.
    """
    items: list[Pair | Backdrop] = [*found.pairs, *found.backdrops]
    checks = _checked(items, endpoint_url)
    bad = {i: Problem(items[i].photo, check["problem"]) for i, check in sorted(checks.items()) if check["problem"]}
    problems = [*found.problems, *bad.values()]
    for problem in problems[:NAMED]:
        say(f"  skipped {problem.name}: {problem.reason}")
    if len(problems) > NAMED:
        say(f"  … and {len(problems) - NAMED} more")
    labelled = [*found.problems, *(problem for i, problem in bad.items() if not getattr(items[i], "correction", None))]
    if len(labelled) > max_bad:
        first = labelled[0]
        raise GlassegError(
            f"{len(labelled)} photos can't be used (first {first.name}: {first.reason}), "
            f"more than --max-bad {max_bad}: fix them, or raise it"
        )
    n = len(found.pairs)
    photos = {i: checks[i]["photo_digest"] for i in range(n) if i not in bad}
    pairs, left_out = reviewed_photos.settled({i: found.pairs[i] for i in photos}, photos)
    backdrops = {i: one for i, one in enumerate(found.backdrops, n) if i not in bad}
    reasons = dict(Counter(found.left_out) + Counter(left_out))
    usable = Found([*pairs.values()], [*backdrops.values()], problems, reasons)
    return usable, [checks[i]["digest"] for i in (*pairs, *backdrops)]


def fingerprint(found: Found, digests: list[str]) -> str:
    """Twelve hex digits, equal for the same photos in the same roles: content, kind, group and split of each."""
    items: list[Pair | Backdrop] = [*found.pairs, *found.backdrops]
    roles = sorted(
        "\t".join((one.photo, getattr(one, "kind", "backdrop"), getattr(one, "group", ""), one.split, digest))
        for one, digest in zip(items, digests, strict=True)
    )
    return hashlib.sha256("\n".join(roles).encode()).hexdigest()[:12]


def on_both_sides(found: Found, digests: list[str]) -> list[str]:
    """Validation photos whose exact content, including the mask, is also trained on."""
    sides: dict[str, set[str]] = {split: set() for split in Split}
    for pair, digest in zip(found.pairs, digests, strict=False):  # the backdrops' come after
        sides.get(pair.split, set()).add(digest)
    both = sides[Split.TRAIN] & sides[Split.VALIDATION]
    return [
        pair.photo
        for pair, digest in zip(found.pairs, digests, strict=False)
        if digest in both and pair.split == Split.VALIDATION
    ]


def _checked(items: list[Pair | Backdrop], endpoint_url: str | None) -> dict[int, dict[str, Any]]:
    """Digest and problem ("" for none) of every pair and backdrop, by its number; read in parallel by Ray Data.

    Raises GlassegError when a place can't be read at all.
    """
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"number": i, "item": pickle.dumps(one)} for i, one in enumerate(items)]  # Arrow has no type for it
    checks = ray.data.from_items(rows).map_batches(partial(_check, endpoint_url=endpoint_url), batch_size=BATCH_ROWS)
    batches = checks.iter_batches(batch_size=None, batch_format="pyarrow")
    found = {check["number"]: check for check in chain.from_iterable(batch.to_pylist() for batch in batches)}
    if fatal := next((check["fatal"] for check in found.values() if check["fatal"]), ""):
        raise GlassegError(fatal)
    return found


def _check(batch: dict[str, Any], endpoint_url: str | None) -> dict[str, list[Any]]:
    """A Ray Data task: read and decode some photos with their masks."""

    opened = partial(open_root, endpoint_url=endpoint_url)

    def one(data: bytes) -> tuple[str, str, str, str]:
        item: Pair | Backdrop = pickle.loads(data)
        try:
            photo, *mask = reading.files(item, opened)
            read: Any = reading.READERS[item.kind] if isinstance(item, Pair) else reading.read_backdrop
            read(photo, *mask, side=PHOTO_SIDE)
        except (PhotoError, ValueError) as error:
            return "", "", str(error), ""
        except GlassegError as error:  # in a row, because Ray would wrap the exception in its own
            return "", "", "", str(error)
        return hashlib.sha256(b"".join([photo, *mask])).hexdigest(), hashlib.sha256(photo).hexdigest(), "", ""

    with ThreadPoolExecutor(THREADS) as pool:
        checks = zip(*pool.map(one, batch["item"]), strict=True)
    names = ("digest", "photo_digest", "problem", "fatal")
    return {"number": batch["number"], **{name: list(values) for name, values in zip(names, checks, strict=True)}}
