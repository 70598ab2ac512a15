"""A whole run against S3 servers with habits of their own: what is done stays done, and what is not is said."""

from __future__ import annotations

import uuid

import pytest
from drawnphotos import drawn
from inprocess import whiten
from oddserver import Answer, Request, odd_server, refusal
from s3server import S3Server

from glasseg.catalog import manifest
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.storage.roots import Bucket

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture
def place(s3: S3Server) -> Bucket:
    """A prefix with three photos in `in/`."""
    root = Bucket(s3.bucket, uuid.uuid4().hex)
    for number in range(3):
        root.write(f"in/{number}.jpg", drawn(number))
    return root


def run(place: Bucket, endpoint_url: str, *, report: bool = False) -> int:
    """A run from `in` to `out` below `place`."""
    config = WhitenConfig(endpoint_url=endpoint_url, max_flagged=1.0, report=report)
    return whiten(f"{place.uri}/in", f"{place.uri}/out", config)


def rows(place: Bucket) -> list[dict[str, object]]:
    return manifest.read(Bucket(place.bucket, f"{place.prefix}/out")).sort_by("key").to_pylist()


def test_an_archived_photo_is_a_row_that_says_how_to_get_it(
    s3: S3Server, place: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(request: Request) -> Answer | None:
        archived = request.method == "GET" and request.path.endswith("/in/1.jpg")
        return refusal(403, "InvalidObjectState") if archived else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        assert run(place, server.url) == 0
    assert [row["error_code"] for row in rows(place)] == [None, "read_error", None]
    assert "it is archived: restore it first (`aws s3api restore-object`)" in str(rows(place)[1]["error"])


def page_files(request: Request) -> bool:
    return request.method == "PUT" and "/_glasseg/report/" in request.path


@pytest.mark.parametrize(
    "code",
    ["EntityTooLarge", *(pytest.param(code, marks=pytest.mark.slow) for code in ("AccessDenied", "QuotaExceeded"))],
)
def test_the_page_never_ends_a_run(s3: S3Server, place: Bucket, capsys: pytest.CaptureFixture[str], code: str) -> None:
    with odd_server(
        s3.endpoint_url, s3.admin, ask=lambda request: refusal(403, code) if page_files(request) else None
    ) as server:
        assert run(place, server.url, report=True) == 0
    said = capsys.readouterr().err
    assert "warning: the page can't be made: " in said and f"`glasseg report {place.uri}/out " in said
    assert [row["published"] for row in rows(place)] == [True] * 3


def test_a_server_that_ignores_conditions_is_warned_of(
    s3: S3Server, place: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(request: Request) -> None:
        for name in ("if-match", "if-none-match"):
            request.headers.pop(name, None)

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        assert run(place, server.url) == 0
    assert "ignores conditions of writes (If-None-Match, If-Match)" in capsys.readouterr().err
    assert run(place, s3.endpoint_url) == 0
    assert "If-None-Match" not in capsys.readouterr().err


@pytest.mark.parametrize("after", [5, 17, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 9, 13, 21, 25, 30))])
def test_credentials_that_expire_at_any_moment_end_in_one_line_and_the_next_run_goes_on(
    s3: S3Server, place: Bucket, after: int
) -> None:
    asked: list[str] = []

    def ask(request: Request) -> Answer | None:
        asked.append(request.path)
        return refusal(400, "ExpiredToken") if len(asked) > after else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        try:
            assert run(place, server.url, report=True) == 0
        except GlassegError as error:
            assert "the credentials have expired: log in again" in str(error) and "\n" not in str(error)
    lock = Bucket(place.bucket, f"{place.prefix}/out/_glasseg")
    lock.delete("lock.json")  # its run has ended without being able to say so
    assert run(place, s3.endpoint_url) == 0
    assert [row["key"] for row in rows(place) if row["published"]] == ["0.jpg", "1.jpg", "2.jpg"]
