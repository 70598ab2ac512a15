"""Photos whose pictures can't be next to each other: the same name, names that are one file, a file and its folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.formats import OURS
from glasseg.storage.naming import EXACT, Naming

_BELOW_A_PICTURE: Final = r"(?i)\.(jpe?g|jfif|jpe|pjpeg|pjp|png|webp|tiff?|avif)[. ]*/"


def with_clashes(found: pa.Table, naming: Naming, *, folders: bool, masks: bool = False) -> pa.Table:
    """`found`, with `key` and `output`, and a column `clash`: why a photo's picture has no place of its own, or null.

    `folders`: whether the destination has folders, so that no file can have the name of one; `masks`: whether masks
    are written, for which the same holds.
    """
    place = naming.folded(found["output"])
    why = _same_name(found, place, naming)
    if naming != EXACT:
        why |= _among_records(found, place)
    if folders:
        why |= _file_and_folder(found, place, masks=masks)
    if not why:
        return found.append_column("clash", pa.nulls(len(found), pa.string()))
    reasons = pa.array(why.values(), pa.string())
    clash = reasons.take(pc.index_in(found["key"], value_set=pa.array(why, pa.string())).combine_chunks())
    return found.append_column("clash", clash)


def _same_name(found: pa.Table, place: pa.ChunkedArray, naming: Naming) -> dict[str, str]:
    """By key, why it is a fault that several photos have one of the names `place`."""
    if naming == EXACT:  # the keys of a listing are all different, so one of the photos must be renamed
        renamed = place.filter(pc.not_equal(found["output"], found["key"]))
        if not len(renamed):
            return {}
        chosen = pc.is_in(place, value_set=renamed)
        found, place = found.filter(chosen), place.filter(chosen)
    counted = place.value_counts()
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    several = pc.is_in(place, value_set=twice)
    sharing = defaultdict[str, list[tuple[str, str]]](list)
    rows = found.select(["key", "output"]).filter(several).to_pylist()
    for name, row in zip(place.filter(several).to_pylist(), rows, strict=True):
        sharing[name].append((row["key"], row["output"]))
    return {one[0]: _why(one, others) for group in sharing.values() for one, others in _each(group)}


def _each(group: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Each of a group with another one of it, the nearest example that a person can be given."""
    return ((one, group[0] if one != group[0] else group[1]) for one in group)


def _why(one: tuple[str, str], other: tuple[str, str]) -> str:
    """Why two photos, each as its key and its output, can't both have a picture."""
    if one[1] == other[1]:
        return f"{one[0]} and {other[0]} would both become {one[1]}: rename one, or choose another --format"
    names = [key if key == output else f"{key} (as {output})" for key, output in (one, other)]
    return f"{' and '.join(names)} are one name on the disk of the destination: rename one"


def _among_records(found: pa.Table, place: pa.ChunkedArray) -> dict[str, str]:
    keys = found["key"].filter(pc.starts_with(place, OURS)).to_pylist()
    return {
        key: f"on the disk of the destination {key} is below {OURS}, glasseg's own: rename its folder" for key in keys
    }


def _file_and_folder(found: pa.Table, place: pa.ChunkedArray, *, masks: bool) -> dict[str, str]:
    """By key, why photos can't be done of which one has the name of a folder of another."""
    below = pc.match_substring_regex(place, _BELOW_A_PICTURE)
    inner = dict(zip(place.filter(below).to_pylist(), found["key"].filter(below).to_pylist(), strict=True))
    inside = defaultdict[str, list[str]](list)
    for name, key in inner.items():
        for folder in PurePosixPath(name).parents:
            inside[str(folder)].append(key)
            if masks and folder.suffix == ".png":
                inside[str(folder).removesuffix(".png")].append(key)
    outer = pc.is_in(place, value_set=pa.array(inside, pa.string()))
    why: dict[str, str] = {}
    for name, key in zip(place.filter(outer).to_pylist(), found["key"].filter(outer).to_pylist(), strict=True):
        for one in inside[name]:
            why[one] = why[key] = f"{one} needs a folder where {key} is a file: rename one"
    return why
