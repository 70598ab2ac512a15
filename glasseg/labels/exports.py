"""What the statement of an export says: the `corrections.json` of the editor, which anybody may have changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from glasseg.lists.spelling import visible
from glasseg.storage.keys import unsafe_reason

FORMAT: Final = "glasseg corrections"
VERSION: Final = 1
_LONGEST_SIDE: Final = 2**31


@dataclass(frozen=True)
class Said:
    """What an export says of one photo; `map`: the name of the map, relative to the statement, None for an approval.

    `source_etag`, `model_id` and `run_id`: of the picture that the person saw. `size`: (height, width) of the photo.
    """

    key: str
    map: str | None
    source_etag: str | None
    model_id: str | None
    run_id: str | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Export:
    """`refused`: why a photo can't be used, by its key, or its number where it has none."""

    destination: str
    exported_at: datetime | None
    said: list[Said]
    refused: dict[str, str]


def read(data: bytes) -> Export:
    """The export with the statement `data`. Raises ValueError, one line, when it is not ours, or of a newer version."""
    stated = _parsed(data)
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise ValueError("not a statement of the editor")
    version, photos = stated.get("version"), stated.get("photos")
    if type(version) is int and version > VERSION:
        raise ValueError(f"made by a newer glasseg (version {visible(repr(version))}): update this one")
    if type(version) is not int or version != VERSION or not isinstance(photos, list):
        raise ValueError("not a statement of the editor")
    if not photos:
        raise ValueError("an export in which no photo was corrected or approved")
    said, refused = [], {}
    for number, photo in enumerate(photos, 1):
        try:
            said.append(_said(photo))
        except ValueError as error:
            refused[_called(photo, number)] = str(error)
    destination = stated.get("destination")
    shown = visible(destination) if isinstance(destination, str) and _is_unicode(destination) else ""
    return Export(shown, _moment(stated.get("exported_at")), said, refused)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ValueError("no JSON, or damaged: export it again") from error


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two values of one name, readers take either."""
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _said(photo: Any) -> Said:
    """Raises ValueError, one line, when this says nothing that can be used."""
    if not isinstance(photo, dict):
        raise ValueError("not what the editor writes of a photo")
    key = _text(photo, "key")
    if not key:
        raise ValueError("without a key")
    if reason := unsafe_reason(key):
        raise ValueError(f"can't be the key of a photo: {reason}")
    picture, approved = _text(photo, "map"), photo.get("approved", False)
    if not isinstance(approved, bool) or approved == bool(picture):
        raise ValueError("must be either approved or have a map")
    etag, model_id, run_id = (_text(photo, name) for name in ("source_etag", "model_id", "run_id"))
    return Said(key, picture, etag, model_id, run_id, _size(photo.get("size")))


def _text(photo: Mapping[str, Any], name: str) -> str | None:
    """A text, None where it is missing."""
    value = photo.get(name)
    if value is not None and not (isinstance(value, str) and _is_unicode(value)):
        raise ValueError(f"{name} is no text")
    return value


def _size(value: Any) -> tuple[int, int]:
    match value:
        case [height, width] if all(type(one) is int and 0 < one < _LONGEST_SIDE for one in (height, width)):
            return height, width
    raise ValueError("size is not the height and width of a photo")


def _moment(value: Any) -> datetime | None:
    """A time, None where it is missing or none: then that of the file counts."""
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _called(photo: Any, number: int) -> str:
    key = photo.get("key") if isinstance(photo, dict) else None
    return visible(key) if isinstance(key, str) and key and _is_unicode(key) else f"photo {number}"


def _is_unicode(text: str) -> bool:
    """Whether a text can be written; JSON may hold half a letter (a lone surrogate)."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
