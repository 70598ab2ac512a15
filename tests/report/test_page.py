"""The HTML of the review page: everything is escaped, nothing comes from outside, and the record may be empty."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from glasseg.errors import ERROR_CODES
from glasseg.report.cards import STATES, Card
from glasseg.report.page import page
from glasseg.report.photo_card import PhotoCard, Thumbnail

COUNTS = {
    "photos": 3,
    "states": {**dict.fromkeys(STATES, 0), "ok": 2, "failed": 1},
    "reasons": {"new": 3},
    "codes": {"empty": 1},
    "coverage": {"upper": 0.2, "counts": [1, 0, 1]},
}
HOSTILE = [
    '"><img src=x onerror=alert(1)>.jpg',
    "</script><script>alert(1)</script>.jpg",
    "</style><script>alert(1)</script>",
    "a'b\"c`d&amp;e.jpg",
    "100% #1 ?x=y $run ${script} {0}.jpg",
    "\u202egpj.exe.jpg",
    "line\r\nbreak\ttab.jpg",
]


class Page(HTMLParser):
    """What a browser would make of the page: its tags with their attributes, and the text of some of them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.texts[tag][-1] += data

    def all(self, name: str, kind: str = "") -> list[dict[str, str | None]]:
        return [found for tag, found in self.tags if tag == name and kind in (found.get("class") or "")]


def shown(key: str = "a.jpg", status: str = "ok", group: str = "sample", **more: Any) -> PhotoCard:
    pictures = {name: more.pop(name) for name in ("before", "after", "mask", "aligned", "notes") if name in more}
    return PhotoCard(Card(group, {"key": key, "status": status, "reason": "new", **more}), **pictures)


def pictures(aligned: bool) -> dict[str, Any]:
    names = {name: Thumbnail(f"0001-{name}.jpg", 720, 540) for name in ("before", "after", "mask")}
    return {**names, "aligned": aligned}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_comes_from(text: str) -> None:
    card = shown(
        text,
        "failed",
        "failed",
        error_code="empty",
        error=text,
        warnings=[text],
        list_columns=[(text, text)],
        notes=(text,),
        **pictures(aligned=True),
    )
    record = dict.fromkeys(("run_id", "source", "model_id", "ended", "finished_at"), text)
    made = page({**record, "options": {text: text}, "checks": {text: {}}}, COUNTS, [card])
    harmless = page({}, COUNTS, [shown("x", "failed", "failed", **pictures(aligned=True))])
    found = Page(made)
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in Page(harmless).tags} | {
        "code",
        "option",
        "select",
        "span",
    }
    assert len(found.all("script")) == len(found.all("style")) == 1
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert found.all("article")[0]["data-photo"] == text
    assert "\r" not in made  # a browser would read it as a line feed: it travels as a character reference
    assert text.replace("\r\n", "\n") in [name.replace("\r\n", "\n") for name in found.texts["bdi"]]


def test_the_page_names_nothing_outside_its_folder() -> None:
    found = Page(page({"source": "s3://shop/raw"}, COUNTS, [shown(**pictures(aligned=True))]))
    addresses = [value for _, attributes in found.tags for name, value in attributes.items() if name in {"src", "href"}]
    assert sorted(set(addresses)) == [
        "#photos",
        "data:,",
        "thumbs/0001-after.jpg",
        "thumbs/0001-before.jpg",
        "thumbs/0001-mask.jpg",
    ]
    assert not re.search(r"@import|fetch\(|XMLHttp|url\(\"?http", "".join(found.texts["style"] + found.texts["script"]))


def test_only_the_packaged_style_and_script_may_run() -> None:
    found = Page(page({}, COUNTS, []))
    policy = next(meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(found.texts[tag][0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [attributes for _, attributes in found.tags if "style" in attributes]


def test_pictures_have_size_and_description_and_wait_until_they_are_near() -> None:
    found = Page(page({}, COUNTS, [shown(**pictures(aligned=True))]))
    for image in found.all("img"):
        assert (image["width"], image["height"], image["loading"]) == ("720", "540", "lazy")
        assert image["alt"] is not None
    assert [image["alt"] for image in found.all("img", "before")] == ["a.jpg as it was"]


def test_pictures_of_other_frames_stand_side_by_side() -> None:
    over = Page(page({}, COUNTS, [shown(**pictures(aligned=True))]))
    side_by_side = Page(page({}, COUNTS, [shown(**pictures(aligned=False))]))
    assert over.all("input", "slider") and not over.all("div", "half")
    assert len(side_by_side.all("div", "half")) == 2 and not side_by_side.all("input", "slider")


def test_a_card_without_pictures_says_so_and_why() -> None:
    text = page({}, COUNTS, [shown(notes=("The source can't be read any more.",))])
    assert "No picture to show" in text
    assert "The source can't be read any more." in html.unescape(text)


def test_a_card_shows_everything_that_is_known() -> None:
    row = {
        "error_code": "cut_off",
        "error": ERROR_CODES["cut_off"],
        "mask_coverage": 0.123,
        "previous_coverage": 0.3,
        "confidence": 0.987,
        "quality": 0.842,
        "width": 800,
        "height": 600,
        "output_width": 1000,
        "output_height": 1000,
        "list_columns": [("sku", "OX-1")],
        "check_ebay": "longest side 400, at least 500",
        "published": False,
        "output_uri": "/white/a.jpg",
    }
    found = Page(page({}, COUNTS, [shown(status="review", group="held", **row)]))
    values = [text.strip() for text in found.texts["bdi"]]
    for value in (
        "12.3 % (was 30.0 %)",
        "0.99",
        "0.84",
        "800×600 → 1000×1000",
        "OX-1",
        "longest side 400, at least 500",
    ):
        assert value in values
    assert ERROR_CODES["cut_off"] in values
    assert found.all("article")[0]["data-status"] == "held"


def test_a_picture_that_was_held_back_is_called_so_everywhere() -> None:
    photo = shown(status="review", group="held", published=False, output_uri="/white/a.jpg")
    found = Page(page({}, COUNTS, [photo]))
    assert "held back" in found.texts["dt"] and "held back" in found.texts["span"]
    assert "held back " in found.texts["button"]
    assert "held" not in {text.strip() for texts in found.texts.values() for text in texts}


def test_the_run_is_summed_up() -> None:
    record = {
        "processed": 3,
        "unchanged": 12873,
        "seconds": 318.4,
        "photos_per_second": 18.2,
        "finished_at": "2026-11-24T01:51:42+00:00",
        "source": "s3://shop/raw",
        "model_id": "compact-1",
        "options": {"frame": [1, 1], "mask": True, "check": ["amazon"]},
        "checks": {"amazon": {"pass": 1, "fail": 2}},
        "ended": "interrupted",
        "run_id": "RUN",
    }
    text = page(record, COUNTS, [])
    for part in (
        "24 November 2026, 01:51 UTC",
        "12,873",
        "3 photos of <bdi>s3://shop/raw</bdi> in 5 min (18.2 photos/s)",
    ):
        assert part in text
    for part in (
        "compact-1",
        "frame 1:1, mask yes, check amazon",
        "1 passed, 2 failed",
        ">interrupted<",
        "No photo of this",
    ):
        assert part in text


def test_an_empty_record_is_enough() -> None:
    assert "3 photos" in page({}, COUNTS, [])
    assert "No picture was made." in page({}, {**COUNTS, "coverage": {"upper": 1.0, "counts": []}}, [])


def test_groups_that_are_larger_than_the_page_say_how_large() -> None:
    counts = {**COUNTS, "states": {**COUNTS["states"], "failed": 1234}}
    assert "1 of 1,234" in page({}, counts, [shown(status="failed", group="failed")])


@pytest.mark.parametrize("word", ["corrected", "approved"])
def test_a_card_says_what_a_person_said_of_its_picture(word: str) -> None:
    badges = Page(page({}, COUNTS, [shown(reviewed=word), shown()])).texts["span"]
    assert badges.count(word) == 1


def test_the_editor_is_linked_where_there_is_one() -> None:
    assert Page(page({}, COUNTS, [shown()], edited=True)).all("a")[-1]["href"] == "edit/index.html"
    assert "edit/" not in page({}, COUNTS, [shown()])
