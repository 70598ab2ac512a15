"""Texts with fields in braces, as people write them: the columns of a csv, NAME=TEMPLATE, and names of pictures."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Final
from urllib.parse import quote

from glasseg.errors import GlassegError
from glasseg.lists.spelling import without_marks

_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a csv: its name, and what its cells are made of, texts and the names of fields by turns."""

    name: str
    pieces: tuple[tuple[str, str], ...]
    """Pairs of a text and the name of the field after it, "" for none."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(field for _, field in self.pieces if field)

    @cached_property
    def is_address(self) -> bool:
        """Whether the cells are web addresses, in which what is put must be quoted."""
        return bool(self.pieces and _ADDRESS.match(self.pieces[0][0]))

    def filled(self, values: Mapping[str, str], paths: Collection[str] = ()) -> str:
        """The text of one cell; a field without a value is "". `paths`: fields whose slashes an address keeps."""
        if not self.is_address:
            return "".join(text + values.get(field, "") for text, field in self.pieces)
        return "".join(
            text + quote(values.get(field, ""), safe="/" if field in paths else "") for text, field in self.pieces
        )


def parse(given: Sequence[str], option: str) -> tuple[Column, ...]:
    """Columns as people give them: NAME=TEMPLATE, or NAME for the field of that name.

    A template is a text with fields in braces, `{brand} {model}`, and doubled braces for braces. Nothing else of
    Python's formats is understood: a field is only looked up by its name. Raises GlassegError, as wrong usage, naming
    `option`.
    """
    columns = tuple(_column(one, option) for one in given)
    names = [column.name.casefold() for column in columns]
    if twice := next((column.name for column in columns if names.count(column.name.casefold()) > 1), None):
        raise GlassegError(f"{option} names the column {twice!r} twice: give it another name", 2)
    return columns


def _column(given: str, option: str) -> Column:
    name, is_template, template = given.partition("=")
    name = " ".join(name.split())
    if not name:
        raise GlassegError(f"{option} {given!r} has no name: give NAME=TEMPLATE, such as 'alt={{brand}} {{model}}'", 2)
    if not is_template:
        return Column(name, (("", folded(name)),))
    return Column(name, pieces(template, f"{option} {given!r}"))


def pieces(template: str, what: str) -> tuple[tuple[str, str], ...]:
    """A template as pairs of a text and the name of the field after it, "" for none.

    Raises GlassegError, as wrong usage, naming `what`.
    """
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        way_out = "fields stand in braces, and a brace itself is written twice"
        raise GlassegError(f"{what} can't be read ({error}): {way_out}", 2) from error
    if any(field is not None and (not field.strip() or how or conversion) for _, field, how, conversion in parsed):
        raise GlassegError(f"{what}: only the name of a field can stand in braces, such as {{brand}}", 2)
    return tuple((text, folded(field or "")) for text, field, _, _ in parsed)


def folded(field: str) -> str:
    """The name of a field as the columns of lists are named: in lower case, with single spaces."""
    return " ".join(without_marks(field).lower().split())


def refuse_unknown(columns: Iterable[Column], known: Collection[str], listed: Collection[str], option: str) -> None:
    """Raises GlassegError, as wrong usage, for a field that is neither `known` nor a column of lists, `listed`."""
    for column in columns:
        for field in column.fields:
            if field not in known and field.removeprefix("list.") not in listed:
                lists = f"; of lists {', '.join(sorted(listed))}" if listed else "; no list has given columns yet"
                raise GlassegError(
                    f"{option} {column.name}: there is no field {field!r}: there are {', '.join(known)}{lists}", 2
                )
