"""The HTML of the editor: names are escaped, the policy allows its own script only, and data stay as they are."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import asdict

import pytest

from glasseg.report.editor import EditedPhoto, page_name, photo_page, replaced, shell

HOSTILE = [
    '"><img src=x onerror=alert(1)>.jpg',
    "</script><script>alert(1)</script>.jpg",
    "<!--<script>.jpg",
    "a'b\"c`d&amp;e.jpg",
    "100% #1 ?x=y $run ${script} {0} {{ run }}.jpg",
    "\u202egpj.exe.jpg",
    "line\r\nbreak\ttab\u2028.jpg",
    "👓" * 60 + ".jpg",
]


def photo(key: str, **more: object) -> EditedPhoto:
    facts = {"source_etag": "e", "model_id": "m", "run_id": "r", "size": (1200, 1600), "state": "review"}
    facts |= {"code": "cut_off", "why": "the glasses reach the edge", "quality": 0.5, "corrected": False}
    return EditedPhoto(key, **{**facts, **more})  # type: ignore[arg-type]


def made(*photos: EditedPhoto, **more: str) -> str:
    return shell(photos, **{"title": "Run of today", "destination": "s3://b/white", "run": "R", **more})


def block(page: str, name: str) -> object:
    """The JSON in a page's block of that id."""
    [found] = re.findall(f'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


def scripts(page: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def policy(page: str) -> str:
    [found] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    return html.unescape(found)


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_names_are_text_and_reach_the_script_as_they_are(key: str) -> None:
    page = made(photo(key, why=key, source_etag=key), title=key, destination=key, run=key)
    assert [one["key"] for one in block(page, "photos")] == [key]  # type: ignore[attr-defined]
    assert len(scripts(page)) == 1
    assert not re.search(r"<img|<!--", page)
    [shown] = re.findall(r'<bdi class="name">(.*?)</bdi>', page, re.DOTALL)
    assert html.unescape(shown) == key
    [destination] = re.findall(r'data-destination="([^"]*)"', page)
    assert html.unescape(destination) == key


@pytest.mark.parametrize("key", HOSTILE)
def test_a_photos_page_says_whose_it_is(key: str) -> None:
    page = photo_page(photo(key, source_etag=key), b"j", b"p", None)
    data = block(page, "data")
    assert isinstance(data, dict) and (data["key"], data["source_etag"]) == (key, key)
    assert len(scripts(page)) == 1 and not re.search(r"<img|<!--", page)


def test_the_page_of_an_editor_that_is_gone_leads_to_the_one_after_it() -> None:
    page = replaced("../../R/edit/index.html")
    assert re.findall(r'<a href="([^"]*)"', page) == ["../../R/edit/index.html"]
    assert not scripts(page) and "script-src" not in policy(page)


def test_the_script_gets_all_that_an_export_needs() -> None:
    one = photo("a/b c.jpg", quality=None, state="held", corrected=True)
    [listed] = block(made(one), "photos")  # type: ignore[misc]
    assert listed == {**asdict(one), "size": [1200, 1600], "label": "held back"}


@pytest.mark.parametrize("page", [made(photo("a.jpg")), photo_page(photo("a.jpg"), b"j", b"p", None)])
def test_only_the_pages_own_script_and_style_are_allowed(page: str) -> None:
    [script] = scripts(page)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy(page)
    for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL):
        assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy(
            page
        )
    assert policy(page).startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"unsafe|https?:", policy(page))


def test_nothing_needs_what_the_policy_forbids() -> None:
    page = made(photo("a.jpg"))
    assert not re.search(r"\son\w+=|\sstyle=|<link rel=.stylesheet|\ssrc=|url\(", page)
    assert not re.search(r"\beval\(|innerHTML|insertAdjacentHTML|document\.write", page)


@pytest.mark.parametrize("labels", [None, b"\x00labels\xff"])
def test_a_photos_page_holds_its_data_as_they_are(labels: bytes | None) -> None:
    data = block(photo_page(photo("a.jpg"), b"\xff\xd8jpeg", b"\x89PNG", labels), "data")
    assert isinstance(data, dict)
    assert (data.pop("key"), data.pop("source_etag")) == ("a.jpg", "e")
    kinds = {name: uri and uri.partition(",")[0] for name, uri in data.items()}
    png = "data:image/png;base64"
    assert kinds == {"picture": "data:image/jpeg;base64", "alpha": png, "labels": labels and png}
    decoded = {name: uri and base64.b64decode(uri.partition(",")[2]) for name, uri in data.items()}
    assert decoded == {"picture": b"\xff\xd8jpeg", "alpha": b"\x89PNG", "labels": labels}


def test_pages_are_numbered_from_one() -> None:
    assert [page_name(index) for index in (0, 99)] == ["0001.html", "0100.html"]
