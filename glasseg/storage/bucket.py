"""An S3 bucket as a root: listing, reading and writing."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from glasseg.errors import DeniedError, GlassegError, PhotoError
from glasseg.storage import pages
from glasseg.storage.client import IMPATIENT, PATIENT, count_repeated, headers_asked_for, make_client
from glasseg.storage.encodings import decoded
from glasseg.storage.faults import (
    LACKING_S3_CODES,
    MISSING_S3_CODES,
    NO_CONDITIONS,
    NO_S3,
    OVERTAKEN_S3_CODES,
    s3_faults,
)
from glasseg.storage.keys import Entry, check_output_key, version

BODY_ATTEMPTS: Final = 3  # botocore retries a request, but not a body that breaks off halfway

CONTENT_TYPES: Final = {
    **dict.fromkeys((".jpg", ".jpeg", ".jfif", ".jpe", ".pjpeg", ".pjp"), "image/jpeg"),
    **{".png": "image/png", ".webp": "image/webp", ".avif": "image/avif"},
    **{".tif": "image/tiff", ".tiff": "image/tiff", ".bmp": "image/bmp", ".html": "text/html; charset=utf-8"},
    **{".json": "application/json", ".csv": "text/csv; charset=utf-8", ".parquet": "application/vnd.apache.parquet"},
}


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket, or what lies below `prefix` there (without slashes at its ends).

    Threads share one client, made at the first use in each process; a pickled Bucket travels without it.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    headers: dict[str, str] = field(default_factory=headers_asked_for, repr=False, compare=False)
    """What the environment asks for goes with the bucket to machines whose environment is another."""
    _clients: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # by process id
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Bucket], tuple[str, str, str | None, dict[str, str]]]:
        return Bucket, (self.bucket, self.prefix, self.endpoint_url, self.headers)

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
        entries = tuple(self._entries(page))
        folders = dict.fromkeys(one["Prefix"][len(self._full("")) :] for one in page.get("CommonPrefixes", ()))
        deeper = any("/" in entry.key[len(prefix) :] for entry in entries)  # a server that ignores the delimiter
        known = not pages.goes_on(page) and not (deeper and folders) and prefix not in folders
        return entries, tuple(folders) if known else None

    def _pages(self, prefix: str, **options: str) -> Iterator[pages.Page]:
        uri = self.uri_of(prefix)
        with s3_faults(uri):
            found = pages.read(self._client(), uri, Bucket=self.bucket, Prefix=self._full(prefix), **options)
        while True:
            with s3_faults(uri):
                page = next(found, None)
            if page is None:
                return
            yield page

    def _entries(self, page: pages.Page) -> Iterator[Entry]:
        above = len(self._full(""))
        for one in page.get("Contents", ()):
            if not one["Key"].endswith("/"):
                modified = one["LastModified"].timestamp() if "LastModified" in one else 0.0
                size = one.get("Size", -1)
                etag = one.get("ETag", "")
                etag = etag if etag.strip('"0-') else ""  # the same zeros for every object tell nothing
                yield Entry(one["Key"][above:], size, version(etag, size, modified), modified)

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of `key` and the etag of exactly these bytes.

        Raises PhotoError vanished, denied or read_error; GlassegError when the bucket can't be used at all.
        """
        with s3_faults(self.uri_of(key), "read_error"):
            return self._get(self._full(key), BODY_ATTEMPTS)

    def _get(self, full_key: str, attempts: int) -> tuple[bytes, str]:
        from botocore import exceptions as boto  # noqa: PLC0415

        answer = self._client().get_object(Bucket=self.bucket, Key=full_key)
        try:
            with closing(answer["Body"]) as body:
                stored = body.read()
            _refuse_web_page(answer, stored, f"s3://{self.bucket}/{full_key}")
            modified = answer["LastModified"].timestamp() if "LastModified" in answer else 0.0
            etag = version(answer.get("ETag"), len(stored), modified)
            return decoded(stored, answer.get("ContentEncoding", ""), f"s3://{self.bucket}/{full_key}"), etag
        except (boto.HTTPClientError, boto.IncompleteReadError, boto.FlexibleChecksumError):
            if attempts == 1:
                raise
        count_repeated(2)
        return self._get(full_key, attempts - 1)

    def write(self, key: str, data: bytes) -> None:
        """Writes `data` as `key`, whole or not at all.

        Raises PhotoError write_error, too_long_name or unsafe_name, GlassegError when the bucket takes no writes.
        """
        check_output_key(key, self.uri_of(key))
        with s3_faults(self.uri_of(key), "write_error"):
            self._put(key, data)

    def upload(self, key: str, path: Path) -> None:
        """Writes a file of at most 5 GB as `key`, without reading it into memory; else as `write`."""
        check_output_key(key, self.uri_of(key))
        with s3_faults(self.uri_of(key), "write_error"), path.open("rb") as file:
            self._put(key, file)

    def copy(self, key: str, new: str) -> None:
        """Writes the bytes of `key` as `new`, whole or not at all; they stay on the server. Raises as `read` does."""
        check_output_key(new, self.uri_of(new))
        source = {"Bucket": self.bucket, "Key": self._full(key)}
        with s3_faults(self.uri_of(key), "read_error"):
            self._client().copy_object(Bucket=self.bucket, Key=self._full(new), CopySource=source)

    def _put(self, key: str, data: bytes | BinaryIO, **condition: str) -> None:
        kind = CONTENT_TYPES.get(PurePosixPath(key).suffix.lower(), "application/octet-stream")
        self._client().put_object(Bucket=self.bucket, Key=self._full(key), Body=data, ContentType=kind, **condition)

    def _put_if(self, key: str, data: bytes, **condition: str) -> bool:
        """Write `data` under a condition that the server checks; whether it held. Raises as `write` does.

        A server that refuses conditions as such is a GlassegError.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with s3_faults(self.uri_of(key), "write_error"):
            try:
                self._put(key, data, **condition)
                return True
            except ClientError as error:
                name = error.response["Error"]["Code"]
                if name in LACKING_S3_CODES:
                    header = "If-Match" if "IfMatch" in condition else "If-None-Match"
                    raise GlassegError(f"{self.uri_of(key)}: {NO_CONDITIONS.format(header)} ({name})") from error
                if name not in (*OVERTAKEN_S3_CODES, *MISSING_S3_CODES):
                    raise
        return False

    def heeds_conditions(self, key: str) -> bool:
        """Whether the server keeps a put back that is not to replace `key`, which is there, or only another content.

        Raises as `write` does.
        """
        another = f'"{_md5(b"another")}"'
        replaced = all(self._put_if(key, b"-", IfNoneMatch="*") for _ in range(2))  # may have been deleted once
        return not (replaced or self._put_if(key, b"-", IfMatch=another))

    def exists(self, key: str) -> bool:
        """Whether there is an object of that name. Raises GlassegError when that can't be found out."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with s3_faults(self.uri_of(key)):
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
        with s3_faults(self.uri_of(key), "write_error"):
            self._client().delete_object(Bucket=self.bucket, Key=self._full(key))

    def sync(self, keys: Iterable[str]) -> None:
        """Nothing to do, as a folder has: what a server has confirmed lasts."""

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Writes `new` as `key` if its bytes are `old` (None: if there is no such object); returns whether it did.

        Conditional puts let only one of several succeed that swap the same object at once. Raises as `write` does, and
        PhotoError read_error when it can't be found out whether it succeeded.
        """
        check_output_key(key, self.uri_of(key))
        # a put whose answer was lost is repeated by botocore, and then refused because of itself
        if old is None:
            return self._put_if(key, new, IfNoneMatch="*") or self._holds(key, new)
        found = self._current(key)
        if found is None or found[0] != old:
            return False
        # behind a proxy that shows other ETags, or none, the server still knows its own: of a single put, the MD5
        etags = (found[1], _md5(old))
        return any(self._put_if(key, new, IfMatch=f'"{etag}"') or self._holds(key, new) for etag in etags)

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
            return self._put_if(key, data, IfMatch=f'"{_md5(data)}"')
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
        with s3_faults(self.uri):
            client = make_client(self.endpoint_url, connect_seconds=3, retries=IMPATIENT, headers=self.headers)
            page = next(pages.read(client, self.uri, Bucket=self.bucket, Prefix=self._full(""), MaxKeys=1))
            return bool(page.get("Contents"))

    def endpoint(self) -> str:
        """The server's address, wherever boto3 found it."""
        return str(self._client().meta.endpoint_url)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _client(self) -> Any:
        with self._lock:
            if (process := os.getpid()) not in self._clients:
                self._clients[process] = make_client(
                    self.endpoint_url, connect_seconds=10, retries=PATIENT, headers=self.headers
                )
            return self._clients[process]


def _refuse_web_page(answer: dict[str, Any], stored: bytes, uri: str) -> None:
    """Raises PhotoError read_error for a page that a gateway gives instead of an object, as if it were one."""
    if answer.get("ContentType", "").startswith("text/html") and "ETag" not in answer and stored.lstrip()[:1] == b"<":
        raise PhotoError("read_error", f"{uri}: {NO_S3}")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
