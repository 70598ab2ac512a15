"""Which photos get a card, in which order, and the numbers of a run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from glasseg.catalog.schema import SCHEMA
from glasseg.report.cards import QUOTAS, Card, choose, count

COLUMNS = ("key", "status", "published", "output_uri", "error_code", "reason", "confidence", "quality", "mask_coverage")
PART = pa.schema([SCHEMA.field(name).with_nullable(True) for name in (*COLUMNS, "previous_coverage")])


def row(key: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    picture = status in {"ok", "review"}
    made = {"output_uri": f"/white/{key}", "confidence": 0.9, "mask_coverage": 0.1} if picture else {}
    return {"key": key, "status": status, "published": picture, "reason": "new", **made, **more}


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=PART)


def shown(cards: list[Card], group: str) -> list[str]:
    return [card.row["key"] for card in cards if card.group == group]


def many(count: int, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [row(f"p{start + i:05d}.jpg", **more) for i in range(count)]


def test_the_worst_come_first() -> None:
    rows = table(
        row("fine.jpg"),
        row("look.jpg", "review", error_code="no_glasses"),
        row("held.jpg", "review", error_code="no_glasses", published=False),
        row("bad.jpg", "failed", error_code="unreadable"),
    )
    cards = choose(rows)
    assert [card.row["key"] for card in cards] == ["bad.jpg", "held.jpg", "look.jpg", "fine.jpg"]
    assert [card.group for card in cards] == ["failed", "held", "review", "confidence"]
    assert [card.state for card in cards] == ["failed", "held", "review", "ok"]


def test_a_photo_appears_once_and_no_more_than_asked_for() -> None:
    rng = np.random.default_rng(0)
    good = [
        row(f"{i}.jpg", confidence=float(rng.random()), mask_coverage=float(rng.random()), previous_coverage=0.5)
        for i in range(900)
    ]
    bad = [row(f"bad{i}.jpg", "failed", error_code="empty") for i in range(100)]
    cards = choose(table(*good, *bad), most=300)
    names = [card.row["key"] for card in cards]
    assert len(names) == len(set(names)) == 300
    assert {card.group for card in cards} == {"failed", "confidence", "coverage", "sample"}


@pytest.mark.parametrize("most", [0, 1, 7, 300])
def test_a_small_run_is_shown_whole_and_a_small_page_is_filled(most: int) -> None:
    rows = table(*many(5), *many(5, 5, status="failed", error_code="empty"))
    assert len(choose(rows, most=most)) == min(most, 10)


def test_a_page_with_one_card_shows_a_failure() -> None:
    rows = table(*many(50), row("bad.jpg", "failed", error_code="empty"))
    assert [card.row["key"] for card in choose(rows, most=1)] == ["bad.jpg"]


def test_a_run_of_failures_fills_the_page() -> None:
    assert len(choose(table(*many(500, status="failed", error_code="empty")))) == 300


def test_the_rare_fault_is_not_hidden_by_the_frequent_one() -> None:
    rows = table(*many(400, status="failed", error_code="empty"), row("rare.jpg", "failed", error_code="timeout"))
    assert "rare.jpg" in shown(choose(rows), "failed")[:2]


def test_photos_to_look_at_stand_by_quality_the_lowest_first() -> None:
    qualities = {"b.jpg": 0.8, "none.jpg": None, "a.jpg": 0.9, "c.jpg": 0.2, "d.jpg": 0.5}
    codes = ("uncertain_mask", "fills_frame", "cut_off", "uncertain_mask", "ring_not_clean")
    flagged = [
        row(key, "review", error_code=code, quality=quality)
        for (key, quality), code in zip(qualities.items(), codes, strict=True)
    ]
    held = [row(f"held {key}", "review", published=False, quality=quality) for key, quality in qualities.items()]
    cards = choose(table(*flagged, *held))
    in_order = ["c.jpg", "d.jpg", "b.jpg", "a.jpg", "none.jpg"]
    assert shown(cards, "review") == in_order and shown(cards, "held") == [f"held {key}" for key in in_order]


def test_a_page_that_is_too_small_shows_the_lowest_quality_of_every_code() -> None:
    rows = [row(f"{i}.jpg", "review", error_code="uncertain_mask", quality=i / 1000) for i in range(400)]
    cards = choose(table(*rows, row("rare.jpg", "review", error_code="cut_off", quality=0.99)))
    assert shown(cards, "review") == [*(f"{i}.jpg" for i in range(299)), "rare.jpg"]


def test_of_photos_that_are_ok_the_lowest_quality_comes_first() -> None:
    rows = table(row("sure.jpg", confidence=0.5, quality=0.9), row("doubt.jpg", confidence=0.9, quality=0.8))
    assert shown(choose(rows), "confidence") == ["doubt.jpg", "sure.jpg"]


def test_the_least_confident_and_the_most_changed_are_found() -> None:
    rows = table(
        *many(400),
        row("unsure.jpg", confidence=0.2),
        row("cutout.jpg", confidence=None),
        row("grown.jpg", mask_coverage=0.3, previous_coverage=0.1),
        row("shrunk.jpg", mask_coverage=0.1, previous_coverage=0.5),
        row("same.jpg", mask_coverage=0.1, previous_coverage=0.1001),
    )
    cards = choose(rows)
    assert shown(cards, "confidence")[0] == "unsure.jpg"
    assert "cutout.jpg" not in shown(cards, "confidence")
    assert shown(cards, "coverage") == ["shrunk.jpg", "grown.jpg"]


def test_the_sample_is_random_and_the_same_for_the_same_run() -> None:
    rows = table(*many(2000))
    one, again, other = (shown(choose(rows, seed=seed), "sample") for seed in ("a", "a", "b"))
    assert one == again != other
    assert len(one) > 300 * QUOTAS["sample"]
    assert one != sorted(one)


def test_a_photo_that_is_gone_is_counted_and_gets_no_card() -> None:
    rows = table(row("left.jpg", "gone"), row("here.jpg"))
    assert [card.row["key"] for card in choose(rows)] == ["here.jpg"]
    assert count(rows)["states"] == {"ok": 1, "review": 0, "held": 0, "failed": 0, "gone": 1}


def test_the_numbers_of_a_run() -> None:
    found = count(
        table(
            row("a.jpg", mask_coverage=0.0),
            row("b.jpg", mask_coverage=0.2, reason="changed"),
            row("c.jpg", "review", error_code="no_glasses", mask_coverage=0.16),
            row("d.jpg", "review", error_code="no_glasses", published=False, mask_coverage=None),
            row("e.jpg", "failed", error_code="empty", mask_coverage=0.9),
        )
    )
    assert found["photos"] == 5
    assert found["states"] == {"ok": 2, "review": 1, "held": 1, "failed": 1, "gone": 0}
    assert found["reasons"] == {"new": 4, "changed": 1}
    assert found["codes"] == {"no_glasses": 2, "empty": 1}
    assert found["coverage"]["upper"] == 0.2
    assert sum(found["coverage"]["counts"]) == 3  # the failed one has no picture
    assert found["coverage"]["counts"][0] == found["coverage"]["counts"][-1] == 1


def test_older_manifests_with_fewer_columns_do() -> None:
    rows = pa.table({"key": ["a.jpg", "b.jpg"], "status": ["ok", "failed"]})
    assert [card.row["key"] for card in choose(rows)] == ["b.jpg", "a.jpg"]
    assert count(rows)["coverage"]["counts"] == []


def test_a_run_without_rows_has_no_cards() -> None:
    assert choose(table()) == []
    assert count(table())["photos"] == 0


def test_a_million_rows_take_seconds() -> None:
    number = 1_000_000
    rng = np.random.default_rng(1)
    status = np.array(["ok", "review", "failed"])[rng.choice(3, number, p=[0.97, 0.02, 0.01])]
    code = pa.array(np.where(status == "ok", None, "no_glasses"), pa.string())
    uris = pa.array([f"/white/{i}.jpg" for i in range(number)])
    rows = pa.table(
        {
            "key": pa.array([f"{i}.jpg" for i in range(number)]),
            "status": status,
            "published": rng.random(number) < 0.99,
            "output_uri": uris,
            "error_code": code,
            "reason": pa.array(["new"] * number),
            **{name: rng.random(number) for name in ("confidence", "mask_coverage", "previous_coverage")},
        }
    )
    started = time.monotonic()
    assert len(choose(rows, seed="run")) == 300
    assert count(rows)["photos"] == number
    assert time.monotonic() - started < 20  # about a second on an idle core
