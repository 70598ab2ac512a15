"""Files of a source that are no photos, by kinds that a person can do something about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.formats import SYSTEM_FILE, SYSTEM_FOLDER

NO_SUFFIX: Final = "without a suffix"

_PICTURES: Final = frozenset(
    {".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".jxr", ".psd", ".psb", ".svg", ".pdf", ".ai", ".eps", ".ico", ".tga"}
    | {".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr"}
    | {".iiq", ".raw", ".xcf", ".exr", ".hdr", ".dds", ".jpg_original", ".mov", ".mp4", ".heics", ".avifs", NO_SUFFIX}
)
"""Kinds that hold pictures, or may."""
_SHOWN: Final = 6

_IN_FOLDER: Final = rf"(?i)(?:^|/)(?P<kind>{SYSTEM_FOLDER})/"
_BEGINS: Final = rf"(?:^|/)(?P<kind>{SYSTEM_FILE}|\._)[^/]*$"
_SUFFIX: Final = r"[^/](?P<kind>\.[0-9]{0,2}[a-z][a-z0-9_]{0,12})$"
_BEFORE_QUERY: Final = r"[^/](?P<kind>\.[a-z][a-z0-9]{0,4})[?&][^/]*$"
_HIDDEN: Final = r"(?:^|/)\.[^/.]*$"


def kinds(keys: pa.ChunkedArray) -> dict[str, int]:
    """How many of these files, which are no photos, there are of each kind; what may hold pictures comes first."""
    low = pc.utf8_lower(keys)
    known = [
        pc.binary_join_element_wise("in ", _kind(keys, _IN_FOLDER), ""),
        pc.binary_join_element_wise(_kind(low, _BEGINS), "…", ""),
        _kind(low, _SUFFIX),
        pc.binary_join_element_wise(_kind(low, _BEFORE_QUERY), "?…", ""),
        pc.if_else(pc.match_substring_regex(low, _HIDDEN), "hidden", pa.scalar(None, pa.string())),
    ]
    counted = pc.value_counts(pc.coalesce(*known, NO_SUFFIX)).to_pylist()
    found = {one["values"]: one["counts"] for one in counted}
    return dict(sorted(found.items(), key=lambda one: (not _may_be_pictures(one[0]), -one[1], one[0])))


def _kind(names: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.struct_field(pc.extract_regex(names, pattern), "kind")


def _may_be_pictures(kind: str) -> bool:
    return kind in _PICTURES or kind.startswith("in ") or kind.endswith("?…")


def described(kinds: Mapping[str, int]) -> str:
    """The first few kinds with their numbers, in words."""
    shown = [f"{count:,} {kind}" for kind, count in list(kinds.items())[:_SHOWN]]
    return ", ".join([*shown, "…"] if len(kinds) > _SHOWN else shown)
