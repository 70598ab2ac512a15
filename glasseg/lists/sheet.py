"""A list as a table: its rows as people see them, and what a cell has besides its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

NOTHING: Final[Mapping[int, str]] = MappingProxyType({})
"""The doubts or links of a row that has none: one for all of them, as there may be a million."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not empty: its number as a spreadsheet shows it, and its cells as stripped text.

    By the place of the cell, where there are any: `doubts`, why a text may not be what the person meant, as the end of
    a sentence about the row; `links`, where a click on the cell leads.
    """

    number: int
    cells: list[str]
    doubts: Mapping[int, str] = field(default_factory=lambda: NOTHING)
    links: Mapping[int, str] = field(default_factory=lambda: NOTHING)
    hidden: bool = False

    def filled(self) -> list[str]:
        return [cell for cell in self.cells if cell]


@dataclass(frozen=True)
class Sheet:
    """The rows of one sheet, and the places of the columns that it hides; `title` only in a workbook."""

    rows: list[Row]
    title: str = ""
    hidden_columns: frozenset[int] = frozenset()
