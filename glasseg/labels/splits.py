"""Which labelled photos are trained on and which validate: by group, stable, decided by a seed."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from glasseg.errors import GlassegError
from glasseg.labels.pairs import BACKGROUND, Found, Pair, Split
from glasseg.storage.keys import printable

COLUMNS: Final = ("image", "mask", "kind", "group", "source", "split")
"""Columns of the list that `as_csv` writes."""

Product = tuple[str, ...]


def assign(found: Found, *, share: float, seed: int) -> Found:
    """`found` with every undecided split decided: about a `share` (0 to 1) of the groups validates.

    A group goes where its decided photos are, otherwise by its hash, so that a photo stays on its side when others are
    added or removed; backdrops go by their keys. If all groups would be trained on, the one closest to the line
    validates. Raises GlassegError when a group is on both sides, or a side is empty.
    """
    decided = _decided(found.pairs)
    groups = {product_of(p): p.group for p in found.pairs if not p.split and product_of(p) not in decided}
    sides: dict[Product, str] = {product: _side(group, share, seed) for product, group in groups.items()}
    if share and len(groups) > 1 and Split.VALIDATION not in {*decided.values(), *sides.values()}:
        sides[min(groups, key=lambda product: _place(groups[product], seed))] = Split.VALIDATION
    sides |= decided
    pairs = [replace(p, split=p.split or sides[product_of(p)]) for p in found.pairs]
    backdrops = [replace(b, split=b.split or _side(b.photo, share, seed)) for b in found.backdrops]
    empty = next((split for split in Split if not any(p.split == split for p in pairs)), None)
    if empty:
        raise GlassegError(
            f"no photo for the split {empty} among {_counted(pairs)}: label more, change --validation-share or --seed, "
            "or give others by --val"
        )
    return replace(found, pairs=pairs, backdrops=backdrops)


def as_csv(found: Found) -> bytes:
    """All pairs and backdrops as a list with `COLUMNS`, sorted; names are relative to the root of each, and masks of
    corrected photos to the destination.

    Placed in the root, the list gives `pairs.find` the same pairs and splits.
    """
    rows: list[tuple[str, ...]] = [(p.photo, p.mask or "", p.kind, p.group, "", p.split) for p in found.pairs]
    rows += [(b.photo, "", BACKGROUND, "", b.source, b.split) for b in found.backdrops]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([printable(value) for value in row] for row in sorted(rows))
    return text.getvalue().encode()


def product_of(pair: Pair) -> Product:
    """What identifies its product; photos without a group of their own may share a key in two roots."""
    return (pair.root, pair.photo) if pair.group == pair.photo else (pair.group,)


def _side(name: str, share: float, seed: int) -> Split:
    return Split.VALIDATION if _place(name, seed) < share else Split.TRAIN


def _place(name: str, seed: int) -> float:
    """A fixed number for each name, uniform in [0, 1)."""
    digest = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _decided(pairs: Iterable[Pair]) -> Mapping[Product, str]:
    """The split of every product that has a photo with one; train and validation come before other words.

    Raises GlassegError when photos of one product are in both.
    """
    photos: dict[Product, dict[str, str]] = defaultdict(dict)
    for pair in pairs:
        if pair.split:
            photos[product_of(pair)].setdefault(pair.split, pair.photo)
    for product, by_split in photos.items():
        if set(Split) <= by_split.keys():
            raise GlassegError(
                f"the group {product[-1]} is in train ({by_split[Split.TRAIN]}) and in validation "
                f"({by_split[Split.VALIDATION]}): photos of one product must be on one side"
            )
    return {
        product: min(by_split, key=lambda split: (split not in [*Split], split)) for product, by_split in photos.items()
    }


def _counted(pairs: list[Pair]) -> str:
    """How many photos there are, in groups and in splits, in words."""
    splits = ", ".join(f"{n} {split}" for split, n in sorted(Counter(p.split for p in pairs).items()))
    return f"{len(pairs)} labelled photos in {len({product_of(p) for p in pairs})} groups ({splits})"
