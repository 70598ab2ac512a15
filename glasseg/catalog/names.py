"""Names that a template gives to pictures: fields filled and cleaned for the destination, and series numbered.

Names are worked out as columns of Arrow, since a catalog has millions. One that can't be given is refused with its row
in the list, or the key of its photo, before anything is done.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glasseg import formats
from glasseg.catalog import clashes
from glasseg.errors import GlassegError
from glasseg.formats import OURS, FileFormat
from glasseg.lists import templates
from glasseg.storage.keys import MAX_COMPONENT_BYTES, unsafe_reason
from glasseg.storage.naming import Naming

FIELDS: Final = ("stem", "folder", "n")
"""Fields that every photo has: its name without extension, the folder that it is in, its number in a series."""
SHOWN: Final = 3
"""Refused names that are told."""

_OPEN: Final = "\0"
"""Where a number goes into a name: no cleaned value and no template holds it."""
_FORBIDDEN: Final = r'[\\:*?"<>|\p{Cc}]'
"""What the disks of Windows and their shares take in no name."""
_UNSEEN: Final = r"[\x{AD}\x{61C}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}]"
"""Marks that nobody sees; not the joiners, which some scripts need."""
_DOUBTFUL: Final = r"(^|/)\.{0,2}(/|$)"


@dataclass(frozen=True)
class Template:
    """What `--name` asks for."""

    text: str
    pieces: tuple[tuple[str, str], ...]
    """Pairs of a text and the name of the field after it, "" for none; without `suffix`."""
    suffix: str
    """The end of every name, such as ".jpg"; "" where each picture has that of its format."""

    @property
    def format(self) -> FileFormat | None:
        """The format that `suffix` asks for; None without one."""
        return formats.asked_by(self.suffix)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field for _, field in self.pieces if field)


def parse(text: str) -> Template:
    """The template of `--name`. Raises GlassegError, as wrong usage, for one that can't give names."""
    what = f"--name {text!r}"
    pieces = templates.pieces(text, what)
    if not any(field for _, field in pieces):
        raise GlassegError(
            f"{what} has no field, so that all pictures would have one name: add one, such as {{stem}}", 2
        )
    literal = "".join(one for one, _ in pieces)
    if found := re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', literal):
        raise GlassegError(f"{what}: many disks take no {found[0]!r} in a name: leave it out", 2)
    parts = "".join(one + ("x" if field else "") for one, field in pieces).split("/")
    if {"", ".", ".."} & set(parts):
        raise GlassegError(f"{what} leads out of the destination, or through a folder without a name", 2)
    if OURS.rstrip("/") in (part.lower() for part in parts):
        raise GlassegError(f"{what}: {OURS} is glasseg's own folder: choose another name", 2)
    last, field = pieces[-1]
    suffix = "" if field else "".join(re.findall(r"\.[^./]+$", last))
    try:
        given = formats.asked_by(suffix) is not None
    except ValueError as error:
        raise GlassegError(f"{what}: {error}", 2) from error
    if given:
        pieces = (*pieces[:-1], (last.removesuffix(suffix), ""))
    return Template(text, pieces, suffix if given else "")


def refuse_unknown(template: Template, columns: Collection[str] | None) -> None:
    """Raise GlassegError, as wrong usage, for a field that no photo has. `columns`: of the list, if there is one."""
    for field in template.fields:
        if field not in FIELDS and _column(field) not in (columns or ()):
            more = f"; of the list {', '.join(columns)}" if columns else ""
            way_out = "; the columns of a list come with --photos" if columns is None else ""
            raise GlassegError(
                f"--name {template.text!r}: there is no field {field!r}: there are {', '.join(FIELDS)}{more}{way_out}",
                2,
            )


def open_names(photos: pa.Table, template: Template, rows: Mapping[str, int]) -> pa.ChunkedArray:
    """The names that a template gives to photos, without suffix and with the number, if there is one, left open.

    `photos` has `key`, and with a list `list_columns`; `rows`: by key, the row of the list. Raises GlassegError for
    photos that have no value for a field.
    """
    parts = [pc.utf8_slice_codeunits(photos["key"], 0, 0)]  # as many names as photos, also where no value differs
    missing = dict[str, pa.ChunkedArray]()
    below = False
    for place, (text, field) in enumerate(template.pieces):
        parts.append(pa.scalar(text.removeprefix("/") if below else text, pa.string()))
        below = field == "folder" and "".join(one for one, _ in template.pieces[place + 1 : place + 2]).startswith("/")
        if not field:
            continue
        values = _values(photos, field)
        if below:  # at the top its slash goes, too
            values = pc.if_else(pc.equal(values, ""), "", pc.binary_join_element_wise(values, "/", ""))
        if isinstance(values, pa.ChunkedArray) and values.null_count:
            missing[field] = pc.is_null(values)
        parts.append(values)
    _refuse_missing(photos["key"], missing, rows, template)
    return pc.binary_join_element_wise(*parts, "")


def _column(field: str) -> str:
    return field.removeprefix("list.")


def _values(photos: pa.Table, field: str) -> pa.ChunkedArray | pa.Scalar:
    """The cleaned values of a field, null for none."""
    keys = photos["key"]
    if field == "n":
        return pa.scalar(_OPEN)
    if field == "folder":
        return cleaned(pc.replace_substring_regex(keys, r"(^|/)[^/]*$", ""), folders=True)
    if field == "stem":
        names = pc.replace_substring_regex(keys, r"^.*/", "")
        values = pc.replace_substring_regex(names, r"\.[^.]*$", "")
    else:
        values = pc.map_lookup(photos["list_columns"], pa.scalar(_column(field)), "first")
    values = cleaned(values)
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def cleaned(values: pa.ChunkedArray, *, folders: bool = False) -> pa.ChunkedArray:
    """Texts as parts of file names: composed, without what disks take in no name, or drop at its ends.

    `folders`: slashes stay, and each folder's name is cleaned on its own.
    """
    values = pc.replace_substring_regex(values, _UNSEEN, "")
    values = pc.utf8_normalize(values, "NFC")
    values = pc.replace_substring_regex(values, r"[\s\v\p{Z}\x{85}]+", " ")
    values = pc.replace_substring_regex(values, _FORBIDDEN, "-")
    if not folders:
        return pc.utf8_trim(pc.replace_substring(values, "/", "-"), ". ")
    values = pc.replace_substring_regex(values, r"[. ]*/[. /]*", "/")
    return pc.utf8_trim(values, ". /")


def _refuse_missing(
    keys: pa.ChunkedArray, missing: Mapping[str, pa.ChunkedArray], rows: Mapping[str, int], template: Template
) -> None:
    lacking = dict[str, list[str]]()
    total = set[str]()
    for field, none in missing.items():
        for key in keys.filter(none).to_pylist():
            total.add(key)
            if len(lacking) < SHOWN or key in lacking:
                lacking.setdefault(key, []).append(field)
    if total:
        told = "; ".join(f"{_who(key, rows)} has no {' and no '.join(fields)}" for key, fields in lacking.items())
        _refuse(len(total), told, f"--name {template.text!r} can't name", "give them values, or leave the photos out")


def _refuse(count: int, told: str, what: str, way_out: str) -> None:
    more = f" and {count - SHOWN:,} more" * (count > SHOWN)
    raise GlassegError(f"{what} {count:,} photo{'s' * (count > 1)}: {told}{more}: {way_out}")


def _who(key: str, rows: Mapping[str, int]) -> str:
    return f"row {rows[key]} ({key})" if key in rows else key


def with_suffixes(names: pa.ChunkedArray, template: Template, outputs: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names with the template's suffix, or with those of `outputs`, where they do not end so already."""
    if template.suffix:
        return pc.binary_join_element_wise(names, template.suffix, "")
    suffixes = suffix_of(outputs)
    doubled = pc.equal(pc.utf8_lower(suffix_of(names)), pc.utf8_lower(suffixes))
    return pc.binary_join_element_wise(pc.if_else(doubled, stem_of(names), names), suffixes, "")


def suffix_of(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """The suffixes of names, dot and all; "" for none."""
    return pc.replace_substring_regex(names, r"^(?s:.*?)(\.[^./]*)?$", r"\1")


def stem_of(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names, with their folders, without their suffixes."""
    return pc.replace_substring_regex(names, r"\.[^./]*$", "")


# ---- numbers ----


def with_numbers(names: pa.ChunkedArray, numbers: pa.Array) -> pa.ChunkedArray:
    """Open names with their numbers."""
    return pc.binary_join(pc.split_pattern(names, _OPEN), pc.cast(numbers, pa.string()))


def series_of(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Open names as rows of the manifest keep them: `{n}` where the number goes."""
    return pc.replace_substring(names, _OPEN, "{n}")


def numbered(
    series: pa.ChunkedArray, rank: np.ndarray, kept: pa.Table, keys: pa.ChunkedArray, naming: Naming
) -> pa.Array:
    """The number of each photo in its series, int32 from 1.

    `series`: as `series_of`; `rank`: the order of the photos; `kept`: `key, name_series, name_number` of all photos
    that were ever numbered. A number holds in its series only. A new photo comes after the highest number there, in the
    order of `rank`: nobody is renamed for it. Who leaves a series leaves its number, so that series can change places.
    """
    encoded = naming.folded(series).dictionary_encode().combine_chunks()
    codes = encoded.indices.to_numpy().astype(np.int64)
    numbers, highest = np.zeros(len(codes), np.int64), np.zeros(len(encoded.dictionary), np.int64)
    if len(kept):
        code = pc.fill_null(
            pc.index_in(naming.folded(kept["name_series"]), value_set=encoded.dictionary), -1
        ).to_numpy()
        given = kept["name_number"].to_numpy().astype(np.int64)
        now = pc.fill_null(pc.index_in(kept["key"], value_set=keys), -1).to_numpy()
        holds = (code >= 0) & ((now < 0) | (codes[now] == code))
        np.maximum.at(highest, code[holds], given[holds])
        row = pc.fill_null(pc.index_in(keys, value_set=kept["key"]), -1).to_numpy()
        same = (row >= 0) & (code[row] == codes)
        numbers[same] = given[row[same]]
        numbers[_repeated(codes, numbers, rank)] = 0
    order = np.lexsort((rank, codes))
    order = order[numbers[order] == 0]
    ordered = codes[order]
    numbers[order] = highest[ordered] + 1 + np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return pa.array(numbers.astype(np.int32))


def _repeated(codes: np.ndarray, numbers: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """The places of photos whose number one before them has: names that were two on another disk, say."""
    order = np.lexsort((rank, numbers, codes))
    order = order[numbers[order] > 0]
    again = (codes[order][1:] == codes[order][:-1]) & (numbers[order][1:] == numbers[order][:-1])
    return order[1:][again]


# ---- names that can't be given ----


def refuse_bad(
    photos: pa.Table, template: Template, naming: Naming, rows: Mapping[str, int], *, folders: bool, masks: bool
) -> None:
    """Raise GlassegError for names in `output` that can't be, or not next to each other. `folders`: see `clashes`."""
    names = photos["output"]
    what = f"--name {template.text!r} gives bad names to"
    long = pc.greater(pc.binary_length(names), MAX_COMPONENT_BYTES)
    ours = pc.match_substring_regex(naming.folded(names), rf"(?i)(^|/){OURS}")
    doubtful = photos.filter(pc.or_(pc.or_(long, ours), pc.match_substring_regex(names, _DOUBTFUL)))
    bad = {}
    for key, name in zip(doubtful["key"].to_pylist(), doubtful["output"].to_pylist(), strict=True):
        if reason := unsafe_reason(name):
            bad[key] = f"{_who(key, rows)} would become {_short(name)}: {reason}"
        elif OURS in f"{name.lower()}":
            bad[key] = f"{_who(key, rows)} would become {name}: {OURS} is glasseg's own folder"
    if bad:
        _refuse(len(bad), "; ".join(list(bad.values())[:SHOWN]), what, "change their values, or the template")
    _refuse_twice(photos, template, naming, rows)
    clash = clashes.with_clashes(photos.select(["key", "output"]), naming, folders=folders, masks=masks)["clash"]
    if len(some := clash.drop_null()):
        told = "; ".join(dict.fromkeys(some.slice(0, 2 * SHOWN).to_pylist()))
        _refuse(len(some), told, what, "change their values, or the template")


def _refuse_twice(photos: pa.Table, template: Template, naming: Naming, rows: Mapping[str, int]) -> None:
    folded = naming.folded(photos["output"])
    counted = folded.value_counts()
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values")
    if not len(twice):
        return
    told = []
    for name in twice.slice(0, SHOWN):
        some = photos.filter(pc.equal(folded, name)).slice(0, 2).to_pylist()
        both = " and ".join(_who(one["key"], rows) for one in some)
        told.append(f"{both} would both become {some[0]['output']}")
    more = f" and {len(twice) - SHOWN:,} more names" * (len(twice) > SHOWN)
    way_out = (
        "change their values, or tell them apart with {n}" if "n" not in template.fields else "change their values"
    )
    raise GlassegError(f"--name {template.text!r} gives one name to several photos: {'; '.join(told)}{more}: {way_out}")


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}…"


def order_of(keys: pa.ChunkedArray, listed: Collection[str] | None) -> np.ndarray:
    """For each photo its place in the list, or without one among the keys."""
    rank = np.empty(len(keys), np.int64)
    if listed is not None:
        return pc.index_in(keys, value_set=pa.array(listed, pa.string())).to_numpy().astype(np.int64)
    rank[pc.sort_indices(keys).to_numpy()] = np.arange(len(keys))
    return rank
