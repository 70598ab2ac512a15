"""An S3 server with odd habits: a proxy before the real one that changes requests and answers, and signs anew."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from faultyproxy import _OWN, _SIGNATURE, ERROR, Handler

Ask = Callable[["Request"], "Answer | None"]
Change = Callable[["Request", "Answer"], "Answer"]


@dataclass
class Request:
    """A client's request; `path` is /BUCKET or /BUCKET/KEY as it was sent, header names are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def is_object(self) -> bool:
        return len(self.path.split("/", 2)) == 3 and self.path.split("/", 2)[2] != ""

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and not self.is_object


@dataclass
class Answer:
    """A server's answer; header names are in lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""


def refusal(status: int, code: str, message: str = "injected") -> Answer:
    """An error as S3 answers it."""
    return Answer(
        status, {"content-type": "application/xml"}, ERROR.format(code=code).replace("injected", message).encode()
    )


class OddServer(ThreadingHTTPServer):
    """`ask` may change a request, or answer it instead of the server; `change` may change an answer."""

    daemon_threads = True

    def __init__(self, target: str, keys: tuple[str, str], ask: Ask, change: Change) -> None:
        super().__init__(("127.0.0.1", 0), _OddHandler)
        self.target, self.keys, self.ask, self.change = urlsplit(target), keys, ask, change
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our business."""


class _OddHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to confirm its headers
    server: OddServer
    _body = Handler._body

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, parse_qsl(query, keep_blank_values=True), headers, self._body())
        self.server.requests.append(request)
        answer = self.server.ask(request)
        self._answer(request, answer or self.server.change(request, self._passed_on(request)))

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    def _passed_on(self, request: Request) -> Answer:
        host, port = self.server.target.hostname, self.server.target.port
        path = request.path + ("?" + urlencode(request.query, quote_via=quote) if request.query else "")
        dropped = {"transfer-encoding", "connection", "expect", "content-length"} | _SIGNATURE
        kept = {name: value for name, value in request.headers.items() if name not in dropped}
        signed = AWSRequest(request.method, f"http://{host}:{port}{path}", kept, request.body)
        S3SigV4Auth(Credentials(*self.server.keys), "s3", "us-east-1").add_auth(signed)
        onward = http.client.HTTPConnection(str(host), port, timeout=60)
        length = {"Content-Length": str(len(request.body))}
        onward.request(request.method, path, request.body, {**dict(signed.headers), **length})
        answer = onward.getresponse()
        data = answer.read()
        onward.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)

    def _answer(self, request: Request, answer: Answer) -> None:
        self.send_response_only(answer.status)
        head = request.method == "HEAD"
        length = answer.headers.get("content-length", "0") if head else str(len(answer.data))
        kept = {name: value for name, value in answer.headers.items() if name not in _OWN}
        for name, value in {**kept, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(answer.data)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def odd_server(
    target: str,
    keys: tuple[str, str],
    *,
    ask: Ask = lambda request: None,
    change: Change = lambda request, answer: answer,
) -> Iterator[OddServer]:
    """A running odd server before the S3 server at `target`, to which requests are signed with `keys`."""
    server = OddServer(target, keys, ask, change)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
