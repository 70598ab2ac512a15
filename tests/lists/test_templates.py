"""Columns of an export: what people may write in braces, and what is refused before any work."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.errors import GlassegError
from glasseg.lists import templates

TEXTS = st.text(st.characters(codec="utf-8"))


def filled(given: str, **values: str) -> str:
    [column] = templates.parse([given], "--export-column")
    return column.filled(values, paths={"path"})


def test_a_template_is_text_with_fields() -> None:
    assert filled("alt={brand} {model}, {{new}}", brand="Ray", model="B 1") == "Ray B 1, {new}"
    assert filled("sku", sku="00123") == "00123"
    assert filled("alt={Frame  Colour}", **{"frame colour": "rosé"}) == "rosé"
    assert filled("alt={color}") == "", "a photo without a value has an empty cell"


@given(TEXTS, TEXTS)
def test_an_address_quotes_what_is_put_into_it(path: str, sku: str) -> None:
    made = filled("image=https://cdn.example.com/{path}?sku={sku}", path=path, sku=sku)
    parts = urlsplit(made)
    assert made.isascii() and " " not in made
    assert unquote(parts.path, errors="strict") == f"/{path}" and unquote(parts.query) == f"sku={sku}"
    assert not parts.fragment


def test_an_address_keeps_the_slashes_of_a_path_and_no_others() -> None:
    assert (
        filled("u=HTTP://x/{path}?b={brand}", path="a b/ü#%20.jpg", brand="A/B")
        == "HTTP://x/a%20b/%C3%BC%23%2520.jpg?b=A%2FB"
    )
    assert filled("u=see {path}", path="a b.jpg") == "see a b.jpg"


@pytest.mark.parametrize(
    "given", ["alt={", "alt=}", "alt={}", "alt={ }", "alt={sku:>9}", "alt={sku!r}", "alt={a:{b}}", "={sku}", ""]
)
def test_anything_else_in_braces_is_refused(given: str) -> None:
    with pytest.raises(GlassegError, match="--export-column") as refused:
        templates.parse([given], "--export-column")
    assert refused.value.exit_code == 2 and "\n" not in str(refused.value)


@pytest.mark.parametrize("field", ["key.__class__", "key[0]", "0", "brnad", "list.key"])
def test_a_field_that_is_none_is_refused_with_those_there_are(field: str) -> None:
    columns = templates.parse([f"alt={{{field}}}"], "--export-column")
    with pytest.raises(GlassegError, match="there is no field") as refused:
        templates.refuse_unknown(columns, ["key", "path"], ["brand"], "--export-column")
    assert refused.value.exit_code == 2 and "key, path; of lists brand" in str(refused.value)


def test_a_column_of_a_list_may_be_named_like_a_field() -> None:
    columns = templates.parse(["title={list.name}", "file={name}"], "--export-column")
    templates.refuse_unknown(columns, ["name"], ["name"], "--export-column")
    assert [one.filled({"name": "a.jpg", "list.name": "Aviator"}) for one in columns] == ["Aviator", "a.jpg"]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(GlassegError, match="twice"):
        templates.parse(["URL=a", "url"], "--export-column")
