"""An S3 bucket as a root: listing, reading and writing, and which refusals of a server stop a run."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from glasseg.errors import DeniedError, FailureCode, GlassegError, PhotoError
from glasseg.storage.keys import Entry, check_output_key, without_secrets

BODY_ATTEMPTS: Final = 3  # botocore retries a request, but not a body that breaks off halfway

IMPATIENT: Final = {"mode": "standard", "max_attempts": 3}
PATIENT: Final = {"mode": "legacy", "max_attempts": 6}
"""botocore's retries of one request: a server may be away for half a minute on average before a run stops.

"standard" waits milliseconds, and the threads of a client share a quota of 35 retries there: seconds away use it up.
"""

CONTENT_TYPES: Final = {
    **dict.fromkeys((".jpg", ".jpeg", ".jfif", ".jpe", ".pjpeg", ".pjp"), "image/jpeg"),
    **{".png": "image/png", ".webp": "image/webp", ".avif": "image/avif"},
    **{".tif": "image/tiff", ".tiff": "image/tiff", ".bmp": "image/bmp", ".html": "text/html; charset=utf-8"},
    **{".json": "application/json", ".csv": "text/csv; charset=utf-8", ".parquet": "application/vnd.apache.parquet"},
}

NEW_CREDENTIALS: Final = "the credentials have expired: log in again or set a new session token"
KEYS_FROM: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
KEY_PAIR: Final = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile"
RUN_WIDE_S3_CODES: Final = {
    "NoSuchBucket": "the bucket does not exist: check its name and the endpoint",
    "InvalidBucketName": "that is not a valid bucket name",
    "AllAccessDisabled": "the bucket is closed to everybody: ask its owner",
    "ExpiredToken": NEW_CREDENTIALS,
    "ExpiredTokenException": NEW_CREDENTIALS,
    "RequestExpired": NEW_CREDENTIALS,
    "TokenRefreshRequired": NEW_CREDENTIALS,
    "InvalidToken": "the session token is not valid: set a new AWS_SESSION_TOKEN, or unset it",
    "InvalidAccessKeyId": f"the access key is not known there: {KEY_PAIR}",
    "SignatureDoesNotMatch": f"the secret key does not belong to the access key: {KEY_PAIR}",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it right",
    "AuthorizationHeaderMalformed": "wrong region: set AWS_DEFAULT_REGION to the bucket's",
    "PermanentRedirect": "wrong region or endpoint: set AWS_DEFAULT_REGION to the bucket's",
    "QuotaExceeded": "the storage is full: make room there",
    "XMinioStorageFull": "the storage is full: make room there",
    "XMinioAdminBucketQuotaExceeded": "the bucket's quota is used up: raise it or make room",
}
"""S3 error codes that stop a run, each with the way out."""

OVERTAKEN_S3_CODES: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
"""A server's answers to a conditional put when somebody else was faster."""

MISSING_S3_CODES: Final = ("NoSuchKey", "404", "NotFound")
DENIED_S3_CODES: Final = ("AccessDenied", "403", "Forbidden")


_counted = threading.local()


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket, or what lies below `prefix` there (without slashes at its ends).

    Threads share one client, made at the first use in each process; a pickled Bucket travels without it.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    _clients: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # by process id
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Bucket], tuple[str, str, str | None]]:
        return Bucket, (self.bucket, self.prefix, self.endpoint_url)

    @property
    def uri(self) -> str:
        """s3://BUCKET/PREFIX, without a slash at the end."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def uri_of(self, key: str) -> str:
        """The s3:// uri of `key`."""
        return f"{self.uri}/{key}"

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object whose key starts with `prefix`, page by page in the server's order; no "directory markers".

        Raises GlassegError when the listing fails.
        """
        for page in self._pages(prefix):
            yield from self._entries(page)

    def level(self, prefix: str = "") -> tuple[tuple[Entry, ...], tuple[str, ...] | None]:
        """The objects right below `prefix`, which ends with "/" or is "", and the prefixes of the folders there.

        Only one page of the listing is read: where it does not hold them all, walking the folders would cost more than
        listing them flat, and they are None. Raises GlassegError when the listing fails.
        """
        page = next(self._pages(prefix, Delimiter="/"))
        folders = tuple(one["Prefix"][len(self._full("")) :] for one in page.get("CommonPrefixes", ()))
        return tuple(self._entries(page)), None if page["IsTruncated"] else folders

    def _pages(self, prefix: str, **options: str) -> Iterator[dict[str, Any]]:
        uri = self.uri_of(prefix)
        with _s3_faults(uri):
            paginator = self._client().get_paginator("list_objects_v2")
            pages = iter(paginator.paginate(Bucket=self.bucket, Prefix=self._full(prefix), **options))
        while True:
            with _s3_faults(uri):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _entries(self, page: dict[str, Any]) -> Iterator[Entry]:
        above = len(self._full(""))
        for one in page.get("Contents", ()):
            if not one["Key"].endswith("/"):
                modified = one["LastModified"].timestamp()
                yield Entry(one["Key"][above:], one["Size"], one["ETag"].strip('"'), modified)

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of `key` and the etag of exactly these bytes.

        Raises PhotoError vanished, denied or read_error; GlassegError when the bucket can't be used at all.
        """
        with _s3_faults(self.uri_of(key), "read_error"):
            return self._get(self._full(key), BODY_ATTEMPTS)

    def _get(self, full_key: str, attempts: int) -> tuple[bytes, str]:
        from botocore import exceptions as boto  # noqa: PLC0415

        answer = self._client().get_object(Bucket=self.bucket, Key=full_key)
        try:
            with closing(answer["Body"]) as body:
                return body.read(), answer["ETag"].strip('"')
        except (boto.HTTPClientError, boto.IncompleteReadError, boto.FlexibleChecksumError):
            if attempts == 1:
                raise
        _count_repeated(2)
        return self._get(full_key, attempts - 1)

    def write(self, key: str, data: bytes) -> None:
        """Writes `data` as `key`, whole or not at all.

        Raises PhotoError write_error, too_long_name or unsafe_name, GlassegError when the bucket takes no writes.
        """
        check_output_key(key, self.uri_of(key))
        with _s3_faults(self.uri_of(key), "write_error"):
            self._put(key, data)

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        kind = CONTENT_TYPES.get(PurePosixPath(key).suffix.lower(), "application/octet-stream")
        self._client().put_object(Bucket=self.bucket, Key=self._full(key), Body=data, ContentType=kind, **condition)

    def _put_if(self, key: str, data: bytes, **condition: str) -> bool:
        """Write `data` under a condition that the server checks; whether it held. Raises as `write` does."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with _s3_faults(self.uri_of(key), "write_error"):
            try:
                self._put(key, data, **condition)
                return True
            except ClientError as error:
                if error.response["Error"]["Code"] not in (*OVERTAKEN_S3_CODES, *MISSING_S3_CODES):
                    raise
        return False

    def exists(self, key: str) -> bool:
        """Whether there is an object of that name. Raises GlassegError when that can't be found out."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with _s3_faults(self.uri_of(key)):
            try:
                self._client().head_object(Bucket=self.bucket, Key=self._full(key))
                return True
            except ClientError as error:
                if error.response["Error"]["Code"] in MISSING_S3_CODES:
                    return False
        # The answer to HEAD has no body that explains a refusal; a listing explains it, or has the object.
        first = next(self.list(key), None)
        return first is not None and first.key == key

    def delete(self, key: str) -> None:
        """Deletes `key`; fine when it is not there. Raises as `write` does."""
        with _s3_faults(self.uri_of(key), "write_error"):
            self._client().delete_object(Bucket=self.bucket, Key=self._full(key))

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Writes `new` as `key` if its bytes are `old` (None: if there is no such object); returns whether it did.

        Conditional puts let only one of several succeed that swap the same object at once. Raises as `write` does, and
        PhotoError read_error when it can't be found out whether it succeeded.
        """
        check_output_key(key, self.uri_of(key))
        condition = {"IfNoneMatch": "*"}
        if old is not None:
            found = self._current(key)
            if found is None or found[0] != old:
                return False
            condition = {"IfMatch": f'"{found[1]}"'}
        # a put whose answer was lost is repeated by botocore, and then refused because of itself
        return self._put_if(key, new, **condition) or self._holds(key, new)

    def _holds(self, key: str, data: bytes) -> bool:
        """Whether `data` is what `key` holds; even where it may not be read, as far as the server reveals it."""
        try:
            return self.read(key)[0] == data
        except PhotoError as error:
            if error.code == "vanished":
                return False
            if error.code != "denied":
                raise
        try:  # the ETag of a single put is its MD5: either the same bytes replace themselves, or nothing happens
            return self._put_if(key, data, IfMatch=f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"')
        except DeniedError:  # some servers require read permission for this: unknown, so it does not count as ours
            return False

    def _current(self, key: str) -> tuple[bytes, str] | None:
        """Bytes and etag of a record of ours, None when it is not there; GlassegError when it can't be read."""
        try:
            return self.read(key)
        except PhotoError as error:
            if error.code == "vanished":
                return None
            raise GlassegError(str(error)) from error

    def holds_anything(self) -> bool:
        """Whether an object is below the prefix, asked with little patience: a run's first request to a server.

        An endpoint that can't be reached is a GlassegError within seconds; later requests wait and try again.
        """
        with _s3_faults(self.uri):
            client = _make_client(self.endpoint_url, connect_seconds=3, retries=IMPATIENT)
            return bool(client.list_objects_v2(Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1)["KeyCount"])

    def endpoint(self) -> str:
        """The server's address, wherever boto3 found it."""
        return str(self._client().meta.endpoint_url)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _client(self) -> Any:
        with self._lock:
            if (process := os.getpid()) not in self._clients:
                self._clients[process] = _make_client(self.endpoint_url, connect_seconds=10, retries=PATIENT)
            return self._clients[process]


def _make_client(endpoint_url: str | None, connect_seconds: int, retries: dict[str, Any]) -> Any:
    """A boto3 S3 client; without `endpoint_url` boto3 looks for one itself, in AWS_ENDPOINT_URL for instance."""
    import boto3  # noqa: PLC0415 (a second of import time that --help and folders need not pay)
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        retries=retries.copy(),
        connect_timeout=connect_seconds,
        read_timeout=60,
        max_pool_connections=32,
    )
    try:
        client = boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:  # botocore raises this when the endpoint is not a url
        raise GlassegError(
            f"S3 can't be used: {without_secrets(str(error))}; an endpoint looks like https://host:port"
        ) from error
    address = client.meta.endpoint_url
    if (shown := without_secrets(address)) != address:  # it would appear in error messages, and has no use there
        raise GlassegError(f"the endpoint {shown} has a user or query in it: leave it out; {KEYS_FROM}", 2)
    client.meta.events.register("needs-retry.s3", _count_repeated)
    return client


def _count_repeated(attempts: int, **_: Any) -> None:
    """Called by botocore after each attempt at a request, in the thread that makes it."""
    _counted.repeated = repeated() + (attempts > 1)


def repeated() -> int:
    """How many requests of this thread repeated one that a server had refused or not answered."""
    return int(getattr(_counted, "repeated", 0))


@contextmanager
def _s3_faults(uri: str, code: FailureCode | None = None) -> Iterator[None]:
    """Turns what boto3 raises inside the block into GlassegError or PhotoError.

    `code` is what a fault of one object becomes, read_error or write_error; None: every fault stops the run.
    """
    from botocore import exceptions as boto  # noqa: PLC0415

    try:
        yield
    except boto.ClientError as error:
        raise _client_fault(uri, code, error) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise GlassegError(f"no AWS credentials found for {uri}: {KEYS_FROM}") from error
    except boto.ConnectionError as error:
        way_out = "check the endpoint and the network"
        raise GlassegError(f"can't reach the S3 server of {uri}: {_unreached(error)}; {way_out}") from error
    except (boto.HTTPClientError, boto.IncompleteReadError, boto.FlexibleChecksumError) as error:
        message = f"the connection broke off for {uri}: {without_secrets(str(error))}"
        raise (PhotoError(code, message) if code else GlassegError(message)) from error
    except boto.BotoCoreError as error:  # the rest are faults of the setup: profile, login, bucket name
        raise GlassegError(f"can't use {uri}: {without_secrets(' '.join(str(error).split()))}") from error


def _unreached(error: Any) -> str:
    """Which server botocore's ConnectionError is about, and why; neither the request's url nor a proxy's password."""
    server = urlsplit(error.kwargs.get("endpoint_url") or error.kwargs.get("proxy_url") or "")
    text = " ".join(str(error.kwargs.get("error") or type(error).__name__).split())
    cause = "no answer" if "timed out" in text else text.rpartition(": ")[2].partition('"')[0]
    return f"{server.scheme}://{server.netloc.rpartition('@')[2]} ({cause})"


def _client_fault(uri: str, code: FailureCode | None, error: Any) -> GlassegError | PhotoError:
    """The error for a refusal by the server, botocore's ClientError; `uri` and `code` as in `_s3_faults`."""
    name = error.response.get("Error", {}).get("Code", "Unknown")
    if name in RUN_WIDE_S3_CODES:
        return GlassegError(f"{uri}: {RUN_WIDE_S3_CODES[name]} ({name})")
    if code == "read_error" and name in MISSING_S3_CODES:
        return PhotoError("vanished", f"{uri} is gone")
    if code == "read_error" and name in DENIED_S3_CODES:
        return PhotoError("denied", f"no permission to read {uri}")
    if name in DENIED_S3_CODES:
        way_out = "ask for it, or use other credentials"
        return DeniedError(f"{uri}: no permission for {error.operation_name}: {way_out} ({name})")
    message = f"{uri}: {' '.join(str(error).split())}"
    if code is None:
        return GlassegError(message)
    return PhotoError("too_long_name" if name == "KeyTooLongError" else code, message)
