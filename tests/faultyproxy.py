"""A proxy before the S3 server that fails as servers do: slow down, internal errors, broken connections, denials."""

from __future__ import annotations

import http.client
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
_SIGNATURE = {"authorization", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
_OWN = {"transfer-encoding", "connection", "content-length"}
"""Headers that are the proxy's own."""
FAULTS = ("SlowDown", "InternalError", "reset", "truncated")


class Proxy(ThreadingHTTPServer):
    """Passes requests on to `target`; of those a share of `faults` fails, and DELETE if `deny_delete`.

    `lose`: so many of the next puts are done, but not answered. `like_aws`: If-Match needs the permission to read, and
    what is missing is denied to GET and HEAD, as AWS has it where listing depends on the prefix. `keys`: what requests
    are signed with anew, so that a client's own can be any.
    """

    daemon_threads = True

    def __init__(
        self,
        target: str,
        *,
        faults: float,
        deny_delete: bool,
        seed: int,
        lose: int,
        like_aws: bool,
        keys: tuple[str, str] | None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.faults, self.deny_delete = urlsplit(target), faults, deny_delete
        self.lose, self.like_aws, self.keys = lose, like_aws, keys
        self.injected: Counter[str] = Counter()
        self._random, self._guard = random.Random(seed), threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str) -> str | None:
        """What goes wrong with the next request, if anything."""
        with self._guard:
            if method == "DELETE" and self.deny_delete:
                self.injected["AccessDenied"] += 1
                return "AccessDenied"
            if self._random.random() >= self.faults:
                return None
            fault = self._random.choice(FAULTS)
            self.injected[fault] += 1
            return fault

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our business."""


class Handler(BaseHTTPRequestHandler):
    """One request, passed on as it is: the signature covers the name of the host that the client called."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to confirm its headers
    server: Proxy

    def _serve(self) -> None:
        body = self._body()
        fault = self.server.fault(self.command)
        if self.server.like_aws and self.headers.get("If-Match") and "/_glasseg/" not in self.path:
            fault = "AccessDenied"
        if fault == "reset":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault in {"SlowDown", "InternalError", "AccessDenied"}:
            status = {"SlowDown": 503, "InternalError": 500, "AccessDenied": 403}[fault]
            self._answer(status, {"Content-Type": "application/xml"}, ERROR.format(code=fault).encode())
        else:
            self._pass_on(body, truncated=fault == "truncated")

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return data

    def _pass_on(self, body: bytes, truncated: bool) -> None:
        host, port = self.server.target.hostname, self.server.target.port
        onward = http.client.HTTPConnection(str(host), port, timeout=60)
        dropped = {"transfer-encoding", "connection", "expect", "content-length"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        if self.server.keys:
            kept = {name: value for name, value in headers.items() if name.lower() not in _SIGNATURE}
            anew = AWSRequest(self.command, f"http://{host}:{port}{self.path}", kept, body)
            S3SigV4Auth(Credentials(*self.server.keys), "s3", "us-east-1").add_auth(anew)
            headers = dict(anew.headers)
        onward.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        answer = onward.getresponse()
        data = answer.read()
        onward.close()
        if self._lost():
            return
        if self.server.like_aws and self.command in {"GET", "HEAD"} and answer.status == 404:
            self._answer(403, {}, ERROR.format(code="AccessDenied").encode())
        else:
            self._answer(answer.status, dict(answer.getheaders()), data, truncated)

    def _lost(self) -> bool:
        """Whether this answer is to be lost."""
        if self.command != "PUT" or not self.server.lose:
            return False
        self.server.lose -= 1
        self.server.injected["lost"] += 1
        self.close_connection = True
        return True

    def _answer(self, status: int, headers: dict[str, str], data: bytes, truncated: bool = False) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        kept = {n: v for n, v in headers.items() if n.lower() not in _OWN}
        for name, value in {**kept, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if truncated else data)
        if truncated:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def proxied(
    target: str,
    *,
    faults: float = 0.0,
    deny_delete: bool = False,
    seed: int = 0,
    lose: int = 0,
    like_aws: bool = False,
    keys: tuple[str, str] | None = None,
) -> Iterator[Proxy]:
    """A running proxy before the S3 server at `target`."""
    proxy = Proxy(target, faults=faults, deny_delete=deny_delete, seed=seed, lose=lose, like_aws=like_aws, keys=keys)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
