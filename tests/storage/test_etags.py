"""What tells whether an object has changed: compared in one form, from servers and proxies of many habits."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from oddserver import Answer, Request, odd_server
from s3server import ADMIN, S3Server

from glasseg.catalog import lock
from glasseg.storage import listing
from glasseg.storage.bucket import Bucket
from glasseg.storage.keys import Entry, plain_etag, version

MD5 = "9e107d9d372bb6826bd81d3542a419d6"


@pytest.mark.parametrize(
    "etag",
    [
        *(f'"{MD5}"', MD5, f'W/"{MD5}"', f'w/"{MD5}"', f'"{MD5}-gzip"', f'W/"{MD5}-gzip"', f'"{MD5}--gzip"'),
        *(f'"{MD5}-br"', f'"{MD5}-zstd"', f'"{MD5}-deflate"', f'"{MD5}"-gzip', f"W/{MD5}", f'W/"{MD5}-GZIP"'),
    ],
)
def test_an_etag_is_the_same_whatever_a_proxy_puts_around_it(etag: str) -> None:
    assert plain_etag(etag) == MD5


@pytest.mark.parametrize("etag", [f"{MD5}-3", "Wxyz", "w", "a-gzipped", "gzip-a", "W-1", "STUB=="])
def test_nothing_of_an_etag_itself_is_lost(etag: str) -> None:
    assert plain_etag(etag) == plain_etag(f'"{etag}"') == plain_etag(f'W/"{etag}-gzip"') == etag


def test_without_an_etag_size_and_time_tell_what_changed() -> None:
    assert version(None, 7, 100.25) == version('""', 7, 100.0) == "7-100"
    assert len({version(None, *facts) for facts in ((7, 100.0), (8, 100.0), (7, 101.0))}) == 3
    assert version(None, 7, 0.0) == "7-0"


def dressed(form: str) -> Callable[[Request, Answer], Answer]:
    """A proxy that gives ETags another form, "" for none."""

    def change(request: Request, answer: Answer) -> Answer:
        if (
            request.is_object
            and request.method in {"GET", "HEAD"}
            and (etag := answer.headers.pop("etag", ""))
            and form
        ):
            answer.headers["etag"] = form.format(etag.strip('"'))
        return answer

    return change


FORMS = ['W/"{}"', '"{}-gzip"', 'W/"{}-gzip"', '"{}--gzip"', '"{}-br"', '"proxy-{}"', '"of-the-proxy"', ""]


@pytest.mark.parametrize("form", FORMS)
def test_a_lock_holds_behind_a_proxy_that_changes_etags(s3: S3Server, form: str) -> None:
    with odd_server(s3.endpoint_url, ADMIN, change=dressed(form)) as server:
        root = Bucket(s3.bucket, f"locked-{FORMS.index(form)}", server.url)
        with lock.taken(root, "run1") as own:
            own.note(7)
            own.renew()
            own.check()
        assert lock.holder(root) is None


@pytest.mark.parametrize("form", FORMS)
def test_an_object_that_somebody_else_changed_is_not_swapped_behind_such_a_proxy(s3: S3Server, form: str) -> None:
    overtaken = Bucket(s3.bucket, f"overtaken-{FORMS.index(form)}", s3.endpoint_url)

    def meanwhile(request: Request) -> None:
        if request.method == "PUT" and "if-match" in request.headers:
            overtaken.write("x", b"theirs")

    with odd_server(s3.endpoint_url, ADMIN, ask=meanwhile, change=dressed(form)) as server:
        seen = Bucket(s3.bucket, overtaken.prefix, server.url)
        overtaken.write("x", b"old")
        assert not seen.swap("x", b"old", b"ours") and overtaken.read("x")[0] == b"theirs"


@pytest.mark.parametrize("form", FORMS[:5])
def test_a_photo_is_read_with_the_etag_that_is_listed(s3: S3Server, form: str) -> None:
    with odd_server(s3.endpoint_url, ADMIN, change=dressed(form)) as server:
        root = Bucket(s3.bucket, "dressed", server.url)
        root.write("a.jpg", b"photo")
        [entry] = root.list()
        assert root.read("a.jpg") == (b"photo", entry.etag)


def test_an_object_without_etag_is_read_and_known_again(s3: S3Server) -> None:
    with odd_server(s3.endpoint_url, ADMIN, change=dressed("")) as server:
        root = Bucket(s3.bucket, "bare", server.url)
        for data in (b"photo", b""):
            root.write("a.jpg", data)
            assert root.read("a.jpg") == root.read("a.jpg") and root.read("a.jpg")[1].startswith(f"{len(data)}-")


@pytest.mark.parametrize("zeros", ["0", "0" * 32, "0" * 32 + "-0"])
def test_zeros_that_a_server_lists_as_the_etag_of_all_objects_hide_no_change(s3: S3Server, zeros: str) -> None:
    def change(request: Request, answer: Answer) -> Answer:
        if request.is_listing:
            answer.data = re.sub(rb"<ETag>.*?</ETag>", f"<ETag>{zeros}</ETag>".encode(), answer.data)
        return answer

    with odd_server(s3.endpoint_url, ADMIN, change=change) as server:
        root = Bucket(s3.bucket, "zeros", server.url)
        root.write("a.jpg", b"photo")
        [before] = root.list()
        root.write("a.jpg", b"another")
        [after] = root.list()
        assert before.etag != after.etag
        assert listing.compared_by(root, listing.table([after])) == "size and time"


@pytest.mark.parametrize(
    ("etag", "size", "modified", "told"),
    [
        (MD5, 7, 100.0, "ETag"),
        (f"{MD5}-3", 7, 100.0, "ETag"),
        (None, 7, 100.0, "size and time"),
        (None, 7, 0.0, "size"),
        (None, -1, 100.0, "time"),
        (None, -1, 0.0, "nothing"),
    ],
)
def test_what_tells_whether_a_photo_has_changed_is_known(
    etag: str | None, size: int, modified: float, told: str
) -> None:
    found = listing.table([Entry("a.jpg", size, version(etag, size, modified), modified)])
    assert listing.compared_by(Bucket("b"), found) == told
