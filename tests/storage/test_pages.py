"""A listing of an S3 server with odd habits is whole, or it is an error: what it lacks would count as gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from oddserver import Answer, OddServer, Request, odd_server
from s3server import ADMIN, S3Server

from glasseg.errors import GlassegError
from glasseg.storage import bucket, listing, pages
from glasseg.storage.bucket import Bucket

NAMES = ["a b.jpg", "b/1.jpg", "b/2.jpg", "b/c/1.jpg", "c.jpg", "d.jpg", "é.jpg"]

Odd = Callable[..., AbstractContextManager[OddServer]]


@pytest.fixture(scope="module")
def odd(s3: S3Server) -> Odd:
    """Starts an odd server before a bucket that has `NAMES` below pages/."""
    for name in NAMES:
        s3.client().put_object(Bucket=s3.bucket, Key=f"pages/{name}", Body=name.encode())
    return partial(odd_server, s3.endpoint_url, ADMIN)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two attempts at a request, for the time of a test."""
    monkeypatch.setattr(bucket, "PATIENT", {"mode": "standard", "max_attempts": 2})


@pytest.fixture
def few_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pages that stall, for the time of a test."""
    monkeypatch.setattr(pages, "MOST_STALLED", 5)


def small(request: Request) -> None:
    """Pages of two names, as servers with a limit of their own give them."""
    if request.is_listing:
        request.query = [pair for pair in request.query if pair[0] != "max-keys"] + [("max-keys", "2")]


def first_version(request: Request) -> None:
    """As a server does that does not know the second version of listings."""
    small(request)
    request.query = [pair for pair in request.query if pair[0] not in {"list-type", "continuation-token"}]


def without(*fields: str) -> Callable[[Request, Answer], Answer]:
    """Listings without some elements."""

    def change(request: Request, answer: Answer) -> Answer:
        if request.is_listing:
            for name in fields:
                answer.data = re.sub(rf"<{name}>.*?</{name}>|<{name}/>".encode(), b"", answer.data, flags=re.S)
        return answer

    return change


def later(text: str, other: str) -> Callable[[Request, Answer], Answer]:
    """The pages after the first one with `text`, a pattern, replaced."""

    def change(request: Request, answer: Answer) -> Answer:
        if request.is_listing and any(name in {"continuation-token", "marker"} for name, _ in request.query):
            answer.data = re.sub(text.encode(), other.encode(), answer.data, flags=re.S)
        return answer

    return change


def listed(server: OddServer, s3: S3Server) -> list[str]:
    return sorted(listing.read(Bucket(s3.bucket, "pages", server.url))["key"].to_pylist())


@pytest.mark.parametrize("ask", [small, first_version, lambda request: None])
@pytest.mark.parametrize("lacks", [(), ("KeyCount",), ("ETag",), ("LastModified",), ("ETag", "LastModified", "Size")])
def test_what_a_server_need_not_say_is_not_needed(odd: Odd, s3: S3Server, ask: Any, lacks: tuple[str, ...]) -> None:
    with odd(ask=ask, change=without(*lacks)) as server:
        assert listed(server, s3) == NAMES


def test_whether_a_server_has_anything_is_found_without_its_counting(odd: Odd, s3: S3Server) -> None:
    with odd(change=without("KeyCount", "NextContinuationToken")) as server:
        assert Bucket(s3.bucket, "pages", server.url).holds_anything()
        assert not Bucket(s3.bucket, "pages-2", server.url).holds_anything()


def test_a_server_that_knows_only_the_first_version_lists_more_than_a_page(odd: Odd, s3: S3Server) -> None:
    for change in (without("NextMarker"), without("Marker"), without()):
        with odd(ask=first_version, change=change) as server:
            assert [entry.key for entry in Bucket(s3.bucket, "pages", server.url).list()] == NAMES


class AgainAndAgain:
    """Answers with pages that were asked for before, the last `period` of the first `pages`, each with a new token."""

    def __init__(self, count: int, period: int) -> None:
        self.known: list[Answer] = []
        self.count, self.period, self.asked = count, period, 0

    def ask(self, request: Request) -> Answer | None:
        small(request)
        self.asked += request.is_listing
        if request.is_listing and len(self.known) == self.count:
            return self._with_token(self.known[self.count - self.period + self.asked % self.period])
        return None

    def change(self, request: Request, answer: Answer) -> Answer:
        if request.is_listing:
            self.known.append(answer)
        return answer

    def _with_token(self, answer: Answer) -> Answer:
        token = f"<NextContinuationToken>{self.asked}</NextContinuationToken>".encode()
        data = re.sub(b"<NextContinuationToken>.*?</NextContinuationToken>", token, answer.data)
        return Answer(answer.status, answer.headers, data)


@pytest.mark.parametrize(("count", "period"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_a_listing_that_goes_round_is_an_error(
    odd: Odd, s3: S3Server, few_pages: None, count: int, period: int
) -> None:
    again = AgainAndAgain(count, period)
    with odd(ask=again.ask, change=again.change) as server, pytest.raises(GlassegError, match="again and again"):
        list(Bucket(s3.bucket, "pages", server.url).list())


def test_a_token_that_stays_the_same_is_an_error(odd: Odd, s3: S3Server, few_pages: None) -> None:
    def forgetful(request: Request) -> None:
        small(request)
        request.query = [pair for pair in request.query if pair[0] != "continuation-token"]

    with odd(ask=forgetful) as server, pytest.raises(GlassegError, match="again and again"):
        list(Bucket(s3.bucket, "pages", server.url).list())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("NextContinuationToken"), "no ContinuationToken to ask for it"),
        (later(r"<NextContinuationToken>.*?</NextContinuationToken>", ""), "no ContinuationToken"),
        (later("<NextContinuationToken>.*?</", "<NextContinuationToken></"), "no ContinuationToken"),
        (without("IsTruncated"), "does not say whether it is the last"),
        (later("<IsTruncated>.*?</IsTruncated>", ""), "does not say whether it is the last"),
        (later(".*", ""), "does not say whether it is the last"),
        (later("<ListBucketResult.*", "<html><body>Busy</body></html>"), "does not say whether it is the last"),
        (later("<Size>", "<Size>many"), "can't be understood"),
        (later("<Key>pages/", "<Key>other/"), "which is not below 'pages/'"),
        (later("<Key>pages/", "<Key>"), "which is not below 'pages/'"),
        (later("<Key>.*?</Key>", ""), "can't be understood"),
        (later("<Key>.*?</Key>", "<Key/>"), "which is not below 'pages/'"),
        (later("<LastModified>", "<LastModified>never"), "can't be understood"),
    ],
)
def test_a_listing_that_may_lack_something_is_an_error(
    odd: Odd, s3: S3Server, change: Callable[[Request, Answer], Answer], words: str
) -> None:
    with odd(ask=small, change=change) as server:
        with pytest.raises(GlassegError, match=re.escape(words)) as caught:
            list(Bucket(s3.bucket, "pages", server.url).list())
        with pytest.raises(GlassegError, match=re.escape(words)):
            listed(server, s3)
    message = str(caught.value)
    assert f"the listing of s3://{s3.bucket}/pages" in message and server.url in message and "\n" not in message


@pytest.mark.parametrize(
    "change",
    [
        later("<ListBucketResult.*", "<Error><Code>SlowDown</Code></Error>"),
        later("<ListBucketResult.*", "<html><br>Busy</html>"),
        later("</Contents>.*", "</Conte"),
        later("<Key>pages/", "<Key>pages/\x0b"),
    ],
)
def test_a_page_that_is_cut_off_or_an_error_is_asked_for_again_and_then_an_error(
    odd: Odd, s3: S3Server, impatient: None, change: Callable[[Request, Answer], Answer]
) -> None:
    with odd(ask=small, change=change) as server, pytest.raises(GlassegError, match=r"500|SlowDown"):
        listed(server, s3)
    assert sum("continuation-token" in dict(one.query) for one in server.requests) > 1


@pytest.mark.parametrize("version", [small, first_version])
def test_a_refusal_in_the_middle_is_an_error(odd: Odd, s3: S3Server, version: Any) -> None:
    def ask(request: Request) -> Answer | None:
        version(request)
        after = any(name in {"continuation-token", "marker"} for name, _ in request.query)
        return Answer(404, {}, b"<Error><Code>NoSuchKey</Code></Error>") if request.is_listing and after else None

    with odd(ask=ask) as server, pytest.raises(GlassegError, match="NoSuchKey"):
        listed(server, s3)


def test_a_token_counts_even_on_a_page_that_says_that_it_is_the_last(odd: Odd, s3: S3Server) -> None:
    def change(request: Request, answer: Answer) -> Answer:
        answer.data = answer.data.replace(b"<IsTruncated>true", b"<IsTruncated>True")  # boto3 takes that for false
        return answer

    with odd(ask=small, change=change) as server:
        assert listed(server, s3) == NAMES


class Overlapping:
    """Pages that begin with the last name of the one before, as when a listing changes meanwhile."""

    def __init__(self) -> None:
        self.last: dict[str, bytes] = {}

    def change(self, request: Request, answer: Answer) -> Answer:
        found = re.findall(rb"<Contents>.*?</Contents>", answer.data, re.S)
        query = dict(request.query)
        if request.is_listing and found:
            before = self.last.get(query["prefix"], b"") if {"continuation-token", "marker"} & query.keys() else b""
            answer.data = answer.data.replace(found[0], before + found[0], 1)
            self.last[query["prefix"]] = found[-1]
        return answer


def out_of_order(request: Request, answer: Answer) -> Answer:
    """Names of a page in another order, one of them twice."""
    found = re.findall(rb"<Contents>.*?</Contents>", answer.data, re.S)
    if request.is_listing and len(found) > 1:
        answer.data = answer.data.replace(b"".join(found), b"".join([*found[::-1], found[0]]))
    return answer


@pytest.mark.parametrize("change", [Overlapping().change, out_of_order])
@pytest.mark.parametrize("ask", [small, first_version, lambda request: None])
def test_a_key_that_is_listed_twice_is_there_once(odd: Odd, s3: S3Server, ask: Any, change: Any) -> None:
    with odd(ask=ask, change=change) as server:
        assert listed(server, s3) == NAMES


def test_a_server_that_ignores_the_delimiter_or_gives_the_folder_itself_is_listed(odd: Odd, s3: S3Server) -> None:
    def no_delimiter(request: Request) -> None:
        request.query = [pair for pair in request.query if pair[0] != "delimiter"]

    def itself(request: Request, answer: Answer) -> Answer:
        extra = b"<CommonPrefixes><Prefix>pages/</Prefix></CommonPrefixes></ListBucketResult>"
        answer.data = answer.data.replace(b"</ListBucketResult>", extra) if request.is_listing else answer.data
        return answer

    for habits in ({"ask": no_delimiter}, {"change": itself}, {"ask": no_delimiter, "change": itself}):
        with odd(**habits) as server:
            assert listed(server, s3) == NAMES


def test_an_empty_page_in_the_middle_is_not_the_end(odd: Odd, s3: S3Server) -> None:
    asked: list[int] = []

    def change(request: Request, answer: Answer) -> Answer:
        if request.is_listing:
            asked.append(1)
        return answer

    def ask(request: Request) -> Answer | None:
        small(request)
        if request.is_listing and len(asked) == 1:
            token = dict(request.query).get("continuation-token", "")
            asked.append(1)
            more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
            return Answer(200, {}, f"<ListBucketResult>{more}</ListBucketResult>".encode())
        return None

    with odd(ask=ask, change=change) as server:
        assert [entry.key for entry in Bucket(s3.bucket, "pages", server.url).list()] == NAMES
    assert len(asked) > 3
