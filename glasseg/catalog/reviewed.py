"""A person's word on a picture: it was corrected, or is right as it is. Every later row of its photo carries that on.

It holds while the photo is the same, whatever the photo is made again for. The map of a correction lies in
`DST/_glasseg/corrections/KEY/RUN.png`, named after the run that took it; next to it lies what training learns from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from glasseg.catalog.schema import REVIEWED, Row

CORRECTIONS: Final = "_glasseg/corrections/"
NOTHING: Final[Row] = {
    "reviewed": None,
    "reviewed_run": None,
    "reviewed_etag": None,
    "reviewed_model": None,
    "reviewed_options": None,
}
"""The columns of a photo on which nobody has said a word."""
_SEPARATOR: Final = "\n"


class Word(StrEnum):
    """What a person said of a picture; the column `reviewed`."""

    CORRECTED = "corrected"
    APPROVED = "approved"


DROPPED: Final = {
    Word.CORRECTED: "the photo has changed since it was corrected: the correction holds no longer",
    Word.APPROVED: "the photo has changed since its picture was approved: that holds no longer",
}
"""A warning in the row of a picture that was made without a person's word on an earlier one."""


def map_key(key: str, run_id: str) -> str:
    """Where the map of a correction is kept that a run took: a grey PNG, see `cutout.correction`."""
    return f"{CORRECTIONS}{key}/{run_id}.png"


def label_key(key: str, run_id: str) -> str:
    """Where the label map of a photo is kept that a run found corrected or approved: its whole mask at full size."""
    return f"{CORRECTIONS}{key}/{run_id}.label.png"


def of(row: Mapping[str, Any]) -> Row:
    """The columns of a person's word in a row, or in another mapping with such columns."""
    return cast(Row, {name: row.get(name) for name in REVIEWED})


def joined(rows: pa.Table) -> pa.ChunkedArray:
    """The five columns as one of few different texts, null where nobody has said a word."""
    word, run_id, etag, model_id, options_id = (rows[name] for name in REVIEWED)
    if word.null_count == len(word):  # nearly always, and then not to be computed a million times
        return word
    parts = (word, *(pc.fill_null(one, "") for one in (run_id, model_id, options_id, etag)))
    return pc.binary_join_element_wise(*parts, _SEPARATOR)  # the etag, which may hold anything, comes last


def parted(texts: pa.Array) -> dict[str, pa.Array]:
    """The five columns, by name, of an array of texts that `joined` made."""
    parts = pc.split_pattern(pc.cast(texts, pa.string()), _SEPARATOR, max_splits=4)
    found = (pc.list_element(parts, i) for i in range(5))
    word, run_id, model_id, options_id, etag = (pc.if_else(pc.equal(one, ""), None, one) for one in found)
    return dict(zip(REVIEWED, (word, run_id, etag, model_id, options_id), strict=True))


def said(text: str | None) -> Row:
    """The five columns of a text that `joined` made."""
    if text is None:
        return NOTHING
    word, run_id, model_id, options_id, etag = (one or None for one in text.split(_SEPARATOR, 4))
    return {
        "reviewed": word,
        "reviewed_run": run_id,
        "reviewed_etag": etag,
        "reviewed_model": model_id,
        "reviewed_options": options_id,
    }


def counted(texts: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """How many photos there are of each word, the words in their order, of texts that `joined` made."""
    counts = pc.value_counts(pc.cast(texts, pa.string()).drop_null()).to_pylist()
    words = [(one["values"].partition(_SEPARATOR)[0], one["counts"]) for one in counts]
    return {word: total for word in Word if (total := sum(count for name, count in words if name == word))}
