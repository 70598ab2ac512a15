"""S3 servers with habits of their own: what they need is sent, or one line names the trouble and the way out."""

from __future__ import annotations

import gzip
import pickle
import uuid
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from oddserver import Answer, Request, odd_server, refusal
from s3server import S3Server

from glasseg.errors import DeniedError, GlassegError, PhotoError
from glasseg.storage.roots import Bucket, check_writable, heeds_conditions, open_source

PAGE = b'<!doctype html><html lang="en"><head><title>Console</title></head><body><div id="root"></div></body></html>'

STRICT = b"<html><body>no</body></html>"  # which is XML, too


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


def line(use: Callable[[], object], kind: type[Exception] = GlassegError) -> str:
    """The one line that `use` ends with."""
    with pytest.raises(kind) as error:
        use()
    assert "\n" not in str(error.value)
    return str(error.value)


def has_checksum(request: Request) -> bool:
    return any(name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum")) for name in request.headers)


def framed(request: Request) -> None:
    """What an older server stores of an upload whose checksum comes after the bytes."""
    if request.method == "PUT" and has_checksum(request):
        request.headers = {name: value for name, value in request.headers.items() if "checksum" not in name}
        request.body = b"%x\r\n%b\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n" % (len(request.body), request.body)


def test_a_server_that_stores_the_framing_of_uploads_is_found_before_any_work(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    with odd_server(s3.endpoint_url, s3.admin, ask=framed) as server:
        said = line(lambda: check_writable(Bucket(s3.bucket, prefix, server.url)))
        assert said.endswith("as part of the file: set AWS_REQUEST_CHECKSUM_CALCULATION=when_required")
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        check_writable(Bucket(s3.bucket, prefix, server.url))


def test_a_server_without_checksums_is_named_with_the_setting(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    def ask(request: Request) -> Answer | None:
        return refusal(501, "NotImplemented") if has_checksum(request) else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        said = line(lambda: check_writable(Bucket(s3.bucket, prefix, server.url)))
        for name in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
            assert f"{name}=when_required" in said
            monkeypatch.setenv(name, "when_required")
        check_writable(Bucket(s3.bucket, prefix, server.url))


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "SignatureDoesNotMatch"), (411, "MissingContentLength"), (400, "XAmzContentSHA256Mismatch")],
)
def test_a_server_that_does_not_understand_how_uploads_are_sent_is_named_with_the_setting(
    s3: S3Server, prefix: str, status: int, code: str
) -> None:
    def ask(request: Request) -> Answer | None:
        return refusal(status, code) if request.method == "PUT" else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        said = line(lambda: check_writable(Bucket(s3.bucket, prefix, server.url)))
        assert "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in said


def conditional(request: Request) -> bool:
    return bool({"if-match", "if-none-match"} & request.headers.keys())


@pytest.mark.parametrize("code", ["NotImplemented", ""])
def test_a_server_without_conditions_is_said_by_name(s3: S3Server, prefix: str, code: str) -> None:
    def ask(request: Request) -> Answer | None:
        return (refusal(501, code) if code else Answer(501)) if conditional(request) else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        root = Bucket(s3.bucket, prefix, server.url)
        check_writable(root)  # a model folder needs no more
        for use in (lambda: heeds_conditions(root), lambda: root.swap("_glasseg/lock.json", None, b"-")):
            assert "can't write on a condition (If-None-Match)" in line(use)


def test_a_server_that_knows_only_one_of_the_conditions_is_found_before_the_lock_needs_the_other(
    s3: S3Server, prefix: str
) -> None:
    def ask(request: Request) -> Answer | None:
        return refusal(501, "NotImplemented") if "if-match" in request.headers else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        assert "can't write on a condition (If-Match)" in line(
            lambda: heeds_conditions(Bucket(s3.bucket, prefix, server.url))
        )


@pytest.mark.parametrize("names", [("if-match", "if-none-match"), ("if-match",)])
def test_a_server_that_ignores_conditions_is_found(s3: S3Server, prefix: str, names: tuple[str, ...]) -> None:
    def ask(request: Request) -> None:
        for name in names:
            request.headers.pop(name, None)

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        assert not heeds_conditions(Bucket(s3.bucket, prefix, server.url))
    sound = Bucket(s3.bucket, prefix)
    assert heeds_conditions(sound)
    assert not list(sound.list()), "nothing is left there"


def wants(header: str, value: str, methods: tuple[str, ...]) -> Callable[[Request], Answer | None]:
    def ask(request: Request) -> Answer | None:
        missing = request.method in methods and request.headers.get(header) != value
        return refusal(403, "AccessDenied") if missing else None

    return ask


def test_a_bucket_whose_readers_pay(s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    ask = wants("x-amz-request-payer", "requester", ("GET", "HEAD", "PUT", "DELETE"))
    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        said = line(lambda: open_source(f"s3://{s3.bucket}/{prefix}", endpoint_url=server.url), DeniedError)
        assert "set AWS_REQUEST_PAYER=requester" in said
        monkeypatch.setenv("AWS_REQUEST_PAYER", "requester")
        root = Bucket(s3.bucket, prefix, server.url)
        monkeypatch.delenv("AWS_REQUEST_PAYER")  # as on another machine
        for one in (root, pickle.loads(pickle.dumps(root))):
            check_writable(one)
            one.write("a.jpg", b"-")
            assert one.read("a.jpg")[0] == b"-"
            assert one.exists("a.jpg")
            assert [entry.key for entry in one.list()] == ["a.jpg"]
            one.delete("a.jpg")


@pytest.mark.parametrize(("how", "key"), [("AES256", ""), ("aws:kms", "alias/shop")])
def test_a_bucket_that_wants_encryption(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str, how: str, key: str
) -> None:
    def change(request: Request) -> Answer | None:
        if refused := wants("x-amz-server-side-encryption", how, ("PUT",))(request):
            return refused
        assert ("x-amz-server-side-encryption" in request.headers) == (request.method == "PUT")
        assert request.headers.get("x-amz-server-side-encryption-aws-kms-key-id", "") in {key, ""}
        for name in [name for name in request.headers if "encryption" in name]:
            del request.headers[name]  # the server behind has no keys
        return None

    with odd_server(s3.endpoint_url, s3.admin, ask=change) as server:
        said = line(lambda: check_writable(Bucket(s3.bucket, prefix, server.url)), GlassegError)
        assert "set AWS_SERVER_SIDE_ENCRYPTION=AES256 (or aws:kms)" in said
        monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", how)
        monkeypatch.setenv("AWS_SSE_KMS_KEY_ID", key)
        check_writable(Bucket(s3.bucket, prefix, server.url))


@pytest.mark.parametrize(("name", "value"), [("AWS_REQUEST_PAYER", "me"), ("AWS_SERVER_SIDE_ENCRYPTION", "AES-256")])
def test_a_word_that_s3_does_not_know_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert name in line(lambda: Bucket("photos"))


@pytest.mark.parametrize(("status", "page"), [*((status, PAGE) for status in (200, 401, 403, 404)), (401, STRICT)])
def test_a_console_is_no_s3_server(s3: S3Server, prefix: str, status: int, page: bytes) -> None:
    answer = Answer(status, {"content-type": "text/html; charset=utf-8"}, page)
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: answer) as server:
        root = Bucket(s3.bucket, prefix, server.url)
        for use in (
            lambda: open_source(root.uri, endpoint_url=server.url),
            lambda: check_writable(root),
        ):
            said = line(use)
            assert "a web page answers there, not S3" in said and "<" not in said
        # one object's trouble is a row, so that a filter between here and there stops nothing
        with pytest.raises(PhotoError, match="a web page answers there") as caught:
            root.read("a.jpg")
        assert caught.value.code == "read_error", "so it is tried again"


def test_an_answer_without_a_code_is_told_by_its_status(s3: S3Server, prefix: str) -> None:
    page = Answer(409, {"content-type": "text/html"}, STRICT)
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: page) as server:
        assert "(HTTP 409)" in line(lambda: list(Bucket(s3.bucket, prefix, server.url).list()))


def test_an_endpoint_with_a_bucket_in_it_is_said(s3: S3Server, prefix: str) -> None:
    said = line(lambda: list(Bucket(s3.bucket, prefix, f"{s3.endpoint_url}/{s3.bucket}").list()))
    assert "the endpoint has a bucket or path in it" in said


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("https://u:pw@s3.example.com/photos?x=1", "give that as the endpoint: https://s3.example.com"),
        ("/login", "a web page answers there, not S3"),
    ],
)
def test_a_server_that_sends_us_elsewhere_is_not_followed_in_circles(
    s3: S3Server, prefix: str, status: int, to: str, said: str
) -> None:
    elsewhere = Answer(status, {"content-type": "text/html", "location": to}, b"<html><hr>moved</html>")
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: elsewhere) as server:
        root = Bucket(s3.bucket, prefix, server.url)
        for use in (
            lambda: open_source(root.uri, endpoint_url=server.url),
            lambda: root.exists("a.jpg"),
            lambda: root.read("a.jpg"),
            lambda: root.write("a.jpg", b"-"),
        ):
            assert line(use).startswith(f"the server at {server.url} sends us elsewhere (HTTP {status}): {said}")
        assert len(server.requests) < 10


def packed(data: bytes, how: str) -> bytes:
    return gzip.compress(data, mtime=0) if how == "gzip" else data


@pytest.mark.parametrize(
    ("encoding", "how"),
    [("gzip", "gzip"), ("x-gzip", "gzip"), ("aws-chunked,gzip", "gzip"), ("gzip", "plain"), ("aws-chunked", "plain")],
)
def test_an_object_is_unpacked_by_its_header(s3: S3Server, prefix: str, encoding: str, how: str) -> None:
    put(s3, prefix, packed(b"photo", how), encoding)
    assert Bucket(s3.bucket, prefix).read("a.jpg")[0] == b"photo"


def put(s3: S3Server, prefix: str, data: bytes, encoding: str) -> None:
    s3.client().put_object(Bucket=s3.bucket, Key=f"{prefix}/a.jpg", Body=data, ContentEncoding=encoding)


@pytest.mark.parametrize(
    ("data", "encoding", "words"),
    [
        (b"photo", "br", "stored with Content-Encoding: br: store it without, or as gzip"),
        (zlib.compress(b"photo"), "deflate", "stored with Content-Encoding: deflate"),
        (gzip.compress(bytes(range(256)), mtime=0)[:99], "gzip", "which breaks off"),
        (gzip.compress(b"photo", mtime=0)[:10] + b"\xff" * 99, "gzip", "which is damaged"),
    ],
)
def test_an_object_that_can_not_be_unpacked_is_a_row(
    s3: S3Server, prefix: str, data: bytes, encoding: str, words: str
) -> None:
    put(s3, prefix, data, encoding)
    with pytest.raises(PhotoError, match=words) as error:
        Bucket(s3.bucket, prefix).read("a.jpg")
    assert error.value.code == "unreadable"


def test_a_packed_object_is_not_unpacked_without_end(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr("glasseg.storage.encodings.LARGEST", 1000)
    put(s3, prefix, gzip.compress(bytes(100_000), mtime=0), "gzip")
    assert "too large without it" in line(lambda: Bucket(s3.bucket, prefix).read("a.jpg"), PhotoError)


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "InvalidObjectState", PhotoError, "it is archived: restore it first (`aws s3api restore-object`)"),
        (400, "KMS.DisabledException", PhotoError, "the key that it is encrypted with is disabled"),
        (403, "AccessDenied", PhotoError, "it is the key that it is encrypted with which may not be used"),
        (400, "ExpiredToken", GlassegError, "the credentials have expired: log in again"),
        (501, "NotImplemented", GlassegError, "the server lacks something that S3 has"),
    ],
)
def test_a_refusal_to_read_is_said_with_the_way_out(
    s3: S3Server, status: int, code: str, kind: Any, words: str
) -> None:
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: refusal(status, code, "kms:Decrypt")) as server:
        assert words in line(lambda: Bucket(s3.bucket, "", server.url).read("a.jpg"), kind)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Download cap exceeded. See Caps &amp; Alerts", "; the server says: Download cap exceeded. See Caps & Alerts"),
        ("Access Denied.", ""),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_server_where_they_say_why(
    s3: S3Server, prefix: str, words: str, told: str
) -> None:
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: refusal(403, "AccessDenied", words)) as server:
        root = Bucket(s3.bucket, prefix, server.url)
        assert line(lambda: root.read("a.jpg"), PhotoError).endswith(f"/a.jpg{told}")
        assert line(lambda: root.write("a.jpg", b"-"), DeniedError).endswith(f"{told} (AccessDenied)")
        assert line(lambda: list(root.list()), DeniedError).endswith(f"{told} (AccessDenied)")


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "TooManyRequests"), (429, ""), (400, "RequestTimeout"), (503, "SlowDown")],
)
def test_a_server_that_asks_for_patience_gets_it(s3: S3Server, prefix: str, status: int, code: str) -> None:
    Bucket(s3.bucket, prefix).write("a.jpg", b"photo")
    seen: dict[str, int] = {}

    def ask(request: Request) -> Answer | None:
        seen[request.method] = seen.get(request.method, 0) + 1
        return (refusal(status, code) if code else Answer(status)) if seen[request.method] == 1 else None

    with odd_server(s3.endpoint_url, s3.admin, ask=ask) as server:
        root = Bucket(s3.bucket, prefix, server.url)
        assert root.read("a.jpg")[0] == b"photo"
        root.write("a.jpg", b"other")
    assert Bucket(s3.bucket, prefix).read("a.jpg")[0] == b"other"


def test_the_text_of_a_server_is_told_without_secrets(s3: S3Server) -> None:
    said = f"{s3.admin[1]} is the secret of {s3.admin[0]}; Signature=abc"
    with odd_server(s3.endpoint_url, s3.admin, ask=lambda request: refusal(400, "Odd", said)) as server:
        for use in (
            lambda: list(Bucket(s3.bucket, "", server.url).list()),
            lambda: Bucket("b", "", server.url).read("a"),
        ):
            message = line(use, (GlassegError, PhotoError))  # type: ignore[arg-type]
            assert "is the secret of" in message and not [word for word in (*s3.admin, "=abc") if word in message]
