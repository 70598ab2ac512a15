"""Photos that people corrected or approved in destinations of `glasseg whiten`, as labelled photos to train on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow.compute as pc

from glasseg.catalog import manifest, reviewed, state
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import REVIEWED, Status
from glasseg.errors import GlassegError
from glasseg.labels.pairs import Correction, Found, Kind, Pair, Split
from glasseg.labels.splits import product_of
from glasseg.storage.roots import Root, open_root

GROUP_COLUMNS: Final = ("group", "product_group", "product", "model", "style", "sku")
"""Columns of a list of photos, case-blind, that name the product; the first that a photo has a value in counts."""
OLDER: Final = "with a newer word on the same photo"
HELD_OUT: Final = "corrected or approved, but of a product that is held out"
LABELLED: Final = "approved, but labelled by other data"
REPLACED: Final = "labelled anew by a correction"
FAILED: Final = "corrected or approved, but failed or gone since"
DOUBTED: Final = "with a mask that is perhaps of another photo"
"""Why a photo, or a label of other data, is left out; each after its number."""


def find(uris: Iterable[str], *, endpoint_url: str | None = None) -> Found:
    """The photos of some destinations on which a person's word is in force, each with its label; only rows are read.

    Photos that failed since, or left their source, are left out, and masks that nobody has compared with their photos.
    Raises GlassegError when a place can't be read, or
    nobody has corrected or approved a photo in it.
    """
    roots = {root.uri: root for root in (open_root(uri, endpoint_url=endpoint_url) for uri in uris)}
    found = [_of(root) for root in roots.values()]
    left_out = sum((Counter(one.left_out) for one in found), Counter[str]())
    return Found([pair for one in found for pair in one.pairs], left_out=dict(left_out))


def _of(root: Root) -> Found:
    """The photos of one destination, sorted by key."""
    said = state.photos(root)
    said = said.filter(pc.is_valid(said["reviewed"]))
    if not len(said):
        raise GlassegError(
            f"nobody has corrected or approved a photo in {root.uri}: is it the destination that `glasseg correct` was "
            "given?"
        )
    usable = said.filter(state.among(said["status"], [Status.OK, Status.REVIEW]))
    rows = manifest.last_rows(root, sorted(usable["key"].to_pylist()), (*REVIEWED, "source_uri", "list_columns"))
    seen = [row for row in rows.values() if row["reviewed_model"]]
    left_out = {FAILED: len(said) - len(usable), DOUBTED: len(rows) - len(seen)}
    return Found([_pair(root, row) for row in seen], left_out=dict(+Counter(left_out)))


def _pair(root: Root, row: Mapping[str, Any]) -> Pair:
    """The pair of a row with a person's word; its source is what its uri says above its key."""
    key, run_id = row["key"], row["reviewed_run"]
    correction = Correction(root.uri, Word(row["reviewed"]), run_id, row["reviewed_etag"])
    source = row["source_uri"].removesuffix(f"/{key}") or "/"
    return Pair(source, key, reviewed.label_key(key, run_id), Kind.SCENE, _group(row) or key, "", correction)


def _group(row: Mapping[str, Any]) -> str:
    """What the list that chose a photo calls its product, "" when it does not."""
    listed = {name.lower(): value for name, value in row["list_columns"] or ()}
    return next((listed[name] for name in GROUP_COLUMNS if listed.get(name)), "")


def settled(pairs: Mapping[int, Pair], contents: Mapping[int, str]) -> tuple[dict[int, Pair], dict[str, int]]:
    """The pairs to use, by number, so that a corrected photo has one label; and how many are left out, by reason.

    `contents`: a digest of each photo without its mask, since a photo may have several names. The newest word on it
    counts. A correction replaces the labels of its photo in other data, and takes over their group and split; an
    approval says no more than they do. Both are left out if the photo, or another of its product, is held out: in a
    split other than train.
    """
    data = {number: pair for number, pair in pairs.items() if not pair.correction}
    said = {number: pair.correction for number, pair in pairs.items() if pair.correction}
    newest = {contents[number]: number for number in sorted(said, key=lambda number: said[number].run_id)}
    held_out = [number for number, pair in data.items() if pair.split not in {"", Split.TRAIN}]
    products, held = {product_of(data[number]) for number in held_out}, {contents[number] for number in held_out}
    labelled: dict[str, list[int]] = defaultdict(list)
    for number in data:
        labelled[contents[number]].append(number)
    used, left_out = dict(data), Counter[str]()
    for number, correction in said.items():
        pair, content = pairs[number], contents[number]
        others = labelled.get(content, [])
        if newest[content] != number:
            left_out[OLDER] += 1
        elif content in held or product_of(pair) in products:
            left_out[HELD_OUT] += 1
        elif others and correction.word == Word.APPROVED:
            left_out[LABELLED] += 1
        else:
            used[number] = _in_place_of(data[others[0]], pair) if others else pair
            left_out[REPLACED] += sum(used.pop(other, None) is not None for other in others)
    return dict(sorted(used.items())), dict(+left_out)


def _in_place_of(labelled: Pair, corrected: Pair) -> Pair:
    """A corrected photo in the role that it has in other data; a cutout is then used as it looks on white."""
    kind = labelled.kind if labelled.mask else Kind.SCENE
    return replace(corrected, kind=kind, group=labelled.group, split=labelled.split)
