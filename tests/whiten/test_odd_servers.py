"""Night after night from and to S3 servers with odd habits: nothing done twice, nothing lost, nothing overlooked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawnphotos import BLANK, by_key, drawn, outputs, rows
from inprocess import whiten
from oddserver import Answer, OddServer, Request, odd_server
from s3server import ADMIN, S3Server

from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.storage.roots import Root, open_root

pytestmark = pytest.mark.usefixtures("tensorflow")

Change = Callable[[Request, Answer], Answer]


class Nights:
    """A source and a destination on a server, with the options of every night."""

    def __init__(self, s3: S3Server, name: str) -> None:
        self.s3, self.place = s3, f"s3://{s3.bucket}/odd-{name}"
        self.source, self.destination = (open_root(f"{self.place}/{one}", endpoint_url=s3.endpoint_url) for one in "io")
        for seed in range(3):
            self.source.write(f"{seed}.jpg", drawn(seed))

    def odd(self, **habits: Any) -> AbstractContextManager[OddServer]:
        return odd_server(self.s3.endpoint_url, ADMIN, **habits)

    def night(self, server: OddServer | S3Server, **options: Any) -> dict[str, str]:
        """What one run did, as the reason by photo."""
        url = server.url if isinstance(server, OddServer) else server.endpoint_url
        before = max((row["run_seq"] for row in rows(self.destination)), default=0)
        config = WhitenConfig(**{"report": False, "max_flagged": 1.0, "endpoint_url": url, **options})
        whiten(f"{self.place}/i", f"{self.place}/o", config)
        return {row["key"]: row["reason"] for row in rows(self.destination) if row["run_seq"] > before}

    def last(self, key: str) -> dict[str, Any]:
        return by_key(self.destination)[key]


ALL_NEW = {f"{seed}.jpg": "new" for seed in range(3)}


def of_the_source(request: Request) -> bool:
    return request.path.split("/")[3:4] == ["i"] or "/i/" in dict(request.query).get("prefix", "")


def read_as(form: str) -> Change:
    """ETags of objects in another form, "" for none."""

    def change(request: Request, answer: Answer) -> Answer:
        etag = answer.headers.pop("etag", "") if request.is_object and request.method in {"GET", "HEAD"} else ""
        return Answer(answer.status, {**answer.headers, **({"etag": form.format(etag.strip('"'))} if form else {})},
                      answer.data) if etag else answer  # fmt: skip

    return change


def listed_without(*fields: str) -> Change:
    def change(request: Request, answer: Answer) -> Answer:
        for name in fields if request.is_listing else ():
            answer.data = re.sub(rf"<{name}>.*?</{name}>".encode(), b"", answer.data, flags=re.S)
        return answer

    return change


HABITS: dict[str, Change] = {
    "true": lambda request, answer: answer,
    "weak": read_as('W/"{}"'),
    "gzip": read_as('"{}-gzip"'),
    "own": read_as('"proxy-{}"'),
    "bare": read_as(""),
    "unlisted": listed_without("ETag"),
    "sparse": listed_without("ETag", "KeyCount", "LastModified"),
    "none": lambda request, answer: listed_without("ETag")(request, read_as("")(request, answer)),
}


def often(*names: str, rarely: tuple[str, ...]) -> Any:
    """Parameters, those that are tried `rarely` only among the slow tests."""
    return pytest.mark.parametrize("habit", [*names, *(pytest.param(name, marks=pytest.mark.slow) for name in rarely)])


@often("none", rarely=("own", "weak", "gzip", "bare", "unlisted", "sparse"))
def test_a_night_in_which_nothing_changed_does_nothing_and_what_changed_is_done(
    s3: S3Server, habit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nights = Nights(s3, habit)
    with nights.odd(change=HABITS[habit]) as server:
        assert nights.night(server) == ALL_NEW
        assert nights.night(server) == {}
        nights.source.write("1.jpg", drawn(5) + b"longer")
        assert nights.night(server) == {"1.jpg": "changed"}
        assert nights.night(server) == {}
    said = "lists no ETags: photos are compared by" in capsys.readouterr().err
    assert said == (habit in {"unlisted", "sparse", "none"})


def test_half_a_listing_deletes_nothing(s3: S3Server) -> None:
    nights = Nights(s3, "half")
    nights.night(s3)

    def small(request: Request) -> None:
        if request.is_listing and ("max-keys", "1") not in request.query:
            request.query = [pair for pair in request.query if pair[0] != "max-keys"] + [("max-keys", "2")]

    with (
        nights.odd(ask=small, change=listed_without("NextContinuationToken")) as server,
        pytest.raises(GlassegError, match="can't be relied on") as caught,
    ):
        nights.night(server, gone="delete", yes=True)
    assert caught.value.exit_code == 1 and server.url in str(caught.value)
    assert outputs(nights.destination) == set(ALL_NEW) and {row["status"] for row in rows(nights.destination)} == {"ok"}


@pytest.mark.parametrize("gone", [pytest.param("keep", marks=pytest.mark.slow), "delete"])
def test_a_photo_that_a_listing_conceals_is_not_gone(
    s3: S3Server, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nights = Nights(s3, f"concealed-{gone}")
    nights.night(s3)
    nights.source.delete("0.jpg")

    def conceal(request: Request, answer: Answer) -> Answer:
        if request.is_listing and of_the_source(request):
            answer.data = re.sub(rb"<Contents><Key>[^<]*1.jpg</Key>.*?</Contents>", b"", answer.data, flags=re.S)
        return answer

    with nights.odd(change=conceal) as server:
        assert nights.night(server, gone=gone, yes=True) == {"0.jpg": "deleted" if gone == "delete" else "gone"}
    assert "1 not listed but there, such as 1.jpg" in capsys.readouterr().err
    assert outputs(nights.destination) >= {"1.jpg", "2.jpg"} and nights.last("1.jpg")["status"] == "ok"
    assert nights.night(s3) == {}


def test_a_photo_that_is_listed_twice_is_done_once(s3: S3Server) -> None:
    nights = Nights(s3, "twice")

    def twice(request: Request, answer: Answer) -> Answer:
        if request.is_listing:
            answer.data = re.sub(rb"(<Contents>.*?</Contents>)", rb"\1\1", answer.data, flags=re.S)
        return answer

    with nights.odd(change=twice) as server:
        nights.night(server)
        nights.night(server, redo="all")
        assert nights.night(server) == {}
    assert Counter(row["key"] for row in rows(nights.destination)) == dict.fromkeys(ALL_NEW, 2)


class Meanwhile:
    """Replaces a photo of the source when it is about to be read for the first time."""

    def __init__(self, source: Root, data: bytes) -> None:
        self.source, self.data, self.done = source, data, False

    def ask(self, request: Request) -> None:
        if not self.done and request.method == "GET" and of_the_source(request) and request.path.endswith("/1.jpg"):
            self.done = True
            self.source.write("1.jpg", self.data)


@often(rarely=("own", "true"))
def test_a_photo_that_was_replaced_while_it_was_listed_is_noticed_when_it_is_put_back(s3: S3Server, habit: str) -> None:
    nights = Nights(s3, f"meanwhile-{habit}")
    with nights.odd(ask=Meanwhile(nights.source, BLANK).ask, change=HABITS[habit]) as server:
        assert nights.night(server) == ALL_NEW and nights.last("1.jpg")["error_code"] == "no_glasses"
        nights.source.write("1.jpg", drawn(1))
        assert nights.night(server, gates=False) == {"1.jpg": "changed"} and nights.last("1.jpg")["status"] == "ok"
        assert nights.night(server) == {}


def inventory(nights: Nights, path: Path) -> str:
    """An inventory of what the source holds now."""
    above = f"{nights.place.partition(nights.s3.bucket + '/')[2]}/i"
    listed = [
        {"bucket": nights.s3.bucket, "key": f"{above}/{one.key}", "size": one.size, "e_tag": one.etag}
        | {"last_modified_date": one.modified}
        for one in nights.source.list()
    ]
    pq.write_table(pa.Table.from_pylist(listed), path)
    return str(path)


@often(rarely=("true", "own", "weak"))
def test_what_changed_since_an_inventory_is_done_once_and_by_another_one_when_it_changed(
    s3: S3Server, tmp_path: Path, habit: str
) -> None:
    nights = Nights(s3, f"inventory-{habit}")
    first = inventory(nights, tmp_path / "1.parquet")
    nights.source.write("1.jpg", drawn(7))
    nights.source.delete("2.jpg")
    with nights.odd(change=HABITS[habit]) as server:
        assert nights.night(server, listing=first) == ALL_NEW
        assert nights.last("2.jpg")["error_code"] == "vanished"
        assert nights.night(server, listing=first) == nights.night(server, listing=first) == {}
        second = inventory(nights, tmp_path / "2.parquet")
        assert nights.night(server, listing=second).keys() <= ({"1.jpg"} if habit == "own" else set())
        assert nights.night(server, listing=second) == {}
        nights.source.write("2.jpg", drawn(2))
        third = inventory(nights, tmp_path / "3.parquet")
        assert nights.night(server, listing=third) == {"2.jpg": "retry"}, "the same photo as in the first inventory"
        nights.source.write("1.jpg", drawn(1))
        fourth = inventory(nights, tmp_path / "4.parquet")
        assert nights.night(server, listing=fourth) == {"1.jpg": "changed"}, "back to what the first one said"
        assert nights.night(server, listing=fourth) == nights.night(server) == {}
