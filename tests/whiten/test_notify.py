"""`--notify`: how a run ended is posted, signed, to a server with all its moods, and never decides an exit code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import inprocess
import pytest
from drawnphotos import drawn
from guides import blocks
from s3server import free_ports

from glasseg.catalog import lock, runs
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder
from jobs.whiten import notify

BODY = b'{"event": "glasseg.whiten.ended"}'
SECRET = "planted secret, do not print"
Mood = Callable[[BaseHTTPRequestHandler], None]


def answer(status: int, **headers: str) -> Mood:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return send


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, and never an end: no timeout of a socket notices."""
    for letter in b"HTTP/1.1 200 OK\r\nX: " + 100 * b"x":
        handler.wfile.write(bytes([letter]))
        handler.wfile.flush()
        time.sleep(0.2)


@dataclass
class Hook:
    """A server that remembers what was posted to it."""

    url: str
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """The only thing that was posted."""
        [(_, _, body)] = self.posts
        found: dict[str, Any] = json.loads(body)
        return found


@contextmanager
def hook(*moods: Mood, context: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """A server that answers in these ways, one after the other, and in the last one from then on."""
    left = list(moods or [answer(204)])
    known = Hook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.posts.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            with suppress(OSError):  # who posted has given up
                (left.pop(0) if len(left) > 1 else left[0])(self)

        def log_message(self, *given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *given: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    known.url = f"http{'s' * bool(context)}://127.0.0.1:{server.server_port}/services/T0/PATHSECRET?token=TOKENSECRET"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GLASSEG_NOTIFY_SECRET", raising=False)


# One post --------------------------------------------------------------------------------------------------------


def test_a_post_is_signed_as_the_guide_verifies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSEG_NOTIFY_SECRET", SECRET)
    with hook() as server:
        assert notify.post(server.url, BODY, 20, retries=0) == ""
    [(path, headers, body)] = server.posts
    assert body == BODY and path.endswith("?token=TOKENSECRET") and headers["content-type"] == "application/json"
    [code] = blocks("python", "docs/catalog.md")
    names: dict[str, Any] = {}
    exec(code, names)  # it is our own
    is_genuine, signature = names["is_genuine"], headers["x-glasseg-signature"]
    assert is_genuine(SECRET, signature, body)
    assert not is_genuine("another", signature, body) and not is_genuine(SECRET, signature, body + b" ")
    old = notify.signature(SECRET, body, int(time.time()) - 3600)
    assert not is_genuine(SECRET, old, body), "what somebody has recorded can't be played again later"


def test_without_a_secret_nothing_is_signed() -> None:
    with hook() as server:
        assert notify.post(server.url, BODY, 20, retries=0) == ""
    assert "x-glasseg-signature" not in server.posts[0][1]


def test_a_login_in_the_address_is_sent_as_one() -> None:
    with hook() as server:
        assert notify.post(server.url.replace("//", "//user:p%40ss@"), BODY, 20, retries=0) == ""
    assert server.posts[0][1]["authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize(
    "moods",
    [
        pytest.param([answer(500), answer(503), answer(200)], id="errors"),
        pytest.param([answer(429, Retry_After="1"), answer(200)], id="too many"),
        pytest.param([lambda handler: handler.connection.close(), answer(200)], id="broken off"),
    ],
)
def test_what_may_pass_is_tried_again(moods: list[Mood]) -> None:
    with hook(*moods) as server:
        assert notify.post(server.url, BODY, 30, retries=3) == ""
        assert len(server.posts) == len(moods)
        assert {body for _, _, body in server.posts} == {BODY}


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        (answer(404), "it answered with HTTP 404"),
        (answer(302, Location="http://127.0.0.1:9/other"), "sends us elsewhere (HTTP 302)"),
        (answer(307, Location="http://127.0.0.1:9/other"), "sends us elsewhere (HTTP 307)"),
    ],
)
def test_what_does_not_pass_is_told_at_once(mood: Mood, why: str) -> None:
    with hook(mood) as server:
        assert why in notify.post(server.url, BODY, 20, retries=3)
        assert len(server.posts) == 1


def test_all_tries_together_take_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for moods in ([drip], [answer(503, Retry_After="3600")], [lambda handler: time.sleep(4)]):
        with hook(*moods) as server:
            began = time.monotonic()
            assert notify.post(server.url, BODY, 1.5, retries=3) == "no answer within 2 s"
            assert time.monotonic() - began < 3
    monkeypatch.setattr(notify, "TRY_SECONDS", 0.5)
    with hook(lambda handler: time.sleep(2), answer(200)) as server:
        assert notify.post(server.url, BODY, 20, retries=3) == "", "a try that hangs is given up for the next one"


def test_a_hook_that_is_not_there_is_told_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    closed = f"http://127.0.0.1:{free_ports(1)[0]}/PATHSECRET"
    assert notify.post(closed, BODY, 20, retries=1) == "can't be reached"
    assert notify.post("http://no-such-host.invalid/PATHSECRET", BODY, 20, retries=0) == "no such host is known"
    assert not caplog.records, "urllib3 logs each try with the whole address"


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a certificate that nobody has signed, and the certificate."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("no openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"


def test_a_certificate_that_nobody_trusts_is_refused_at_once(
    self_signed: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, certificate = self_signed
    with hook(context=context) as server:
        began = time.monotonic()
        assert notify.post(server.url, BODY, 30, retries=3).startswith("its certificate is not trusted: SSL_CERT_FILE")
        assert time.monotonic() - began < 3 and not server.posts
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert notify.post(server.url, BODY, 30, retries=0) == "" and len(server.posts) == 1


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with hook() as proxy:
        monkeypatch.setenv("http_proxy", "http://user:pass-word@" + proxy.url.split("/")[2])
        assert notify.post("http://hooks.invalid/x", BODY, 20, retries=0) == ""
        [(path, headers, _)] = proxy.posts
        assert path == "http://hooks.invalid/x" and headers["proxy-authorization"].startswith("Basic ")
        monkeypatch.setenv("no_proxy", "hooks.invalid")
        assert notify.post("http://hooks.invalid/x", BODY, 20, retries=0) == "no such host is known"


@pytest.mark.parametrize(
    "url",
    ["hooks.example.com/SECRET", "ftp://host/SECRET", "https:///SECRET", "https://host:x/SECRET", "https://h/a SECRET",
     "https://[::1/SECRET", "http://h:0/SECRET", "http://h/\nSECRET"],
)  # fmt: skip
def test_an_address_that_is_none_is_wrong_usage_and_not_told(url: str) -> None:
    with pytest.raises(GlassegError, match="--notify") as refused:
        notify.check(url)
    assert refused.value.exit_code == 2 and "SECRET" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("secret", ["", "planted-secret\n"])
def test_a_secret_that_can_not_be_meant_is_refused_untold(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSEG_NOTIFY_SECRET", secret)
    with pytest.raises(GlassegError, match=r"^GLASSEG_NOTIFY_SECRET (is set, but empty|has a line break)") as refused:
        notify.check("https://host/path")
    assert "planted" not in str(refused.value)


# The ends of a run -----------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    return tmp_path / "in", tmp_path / "out"


def whiten(places: Sequence[Path], **options: Any) -> int:
    return inprocess.whiten(str(places[0]), str(places[1]), WhitenConfig(**{"report": False, **options}))


def record(destination: Path) -> dict[str, Any]:
    return runs.latest(Folder(destination), 1)[0]


def test_the_summary_of_a_run_is_posted_at_its_end(places: tuple[Path, Path], tmp_path: Path, tensorflow: Any) -> None:
    with hook() as server:
        assert whiten(places, notify=server.url, summary_json=str(tmp_path / "s.json")) == 0
    told, kept = server.told, json.loads((tmp_path / "s.json").read_bytes())
    assert kept.pop("notified") is True and record(places[1])["notified"] is True
    assert told["summary"] == kept and told["summary"]["processed"] == 1
    assert (told["event"], told["exit_code"], told["error"]) == ("glasseg.whiten.ended", 0, None)
    assert told["run_id"] == kept["run_id"] and told["destination"] == str(places[1])
    assert record(places[1])["options"]["notify"] == server.url.partition("/services")[0], "the path is a secret, too"


def test_a_hook_that_does_not_answer_is_a_warning_and_in_the_record(
    places: tuple[Path, Path], tmp_path: Path, tensorflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with hook(answer(403)) as server:
        assert whiten(places, notify=server.url, summary_json=str(tmp_path / "s.json")) == 0
    said = capsys.readouterr().err
    warning = f"warning: {server.url.partition('/services')[0]} was not notified: it answered with HTTP 403"
    assert said.count(warning) == 1 and "SECRET" not in said
    for kept in (json.loads((tmp_path / "s.json").read_bytes()), record(places[1])):
        assert kept["notified"] is False and kept["notify_error"] == "it answered with HTTP 403"
    assert "PATHSECRET" not in json.dumps(record(places[1]))


def test_a_run_that_stops_itself_is_posted_with_its_exit_code(places: tuple[Path, Path], tensorflow: Any) -> None:
    for n in range(4):
        (places[0] / f"bad{n}.jpg").write_bytes(b"broken")
    (places[0] / "a.jpg").unlink()
    with hook() as server:
        assert whiten(places, notify=server.url) == 3
    assert server.told["exit_code"] == 3 and server.told["summary"]["failed"] == 4


@pytest.mark.parametrize("log_json", [False, True])
def test_a_run_that_could_not_begin_is_posted_with_its_error(places: tuple[Path, Path], log_json: bool) -> None:
    import click

    raised = click.exceptions.Exit if log_json else GlassegError
    with lock.taken(Folder(places[1]), "20260101T000000.000Z"), hook() as server, pytest.raises(raised):
        whiten(places, notify=server.url, log_json=log_json)
    told = server.told
    assert (told["exit_code"], told["summary"]) == (4, None) and "works on" in told["error"]


def test_a_bug_and_an_interruption_are_posted(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.cli import Terminated

    for raised, code in ((ZeroDivisionError("s3://bucket?secret"), 1), (KeyboardInterrupt(), 130), (Terminated(), 143)):

        def fail(*given: Any, raised: BaseException = raised, **options: Any) -> None:
            raise raised

        monkeypatch.setattr("jobs.whiten.run.open_places", fail)
        with hook() as server, pytest.raises(type(raised)):
            whiten(places, notify=server.url)
        assert server.told["exit_code"] == code and server.told["summary"] is None and server.told["error"]
        assert "secret" not in server.told["error"]


def test_an_interrupted_run_does_not_wait_for_a_hook(
    monkeypatch: pytest.MonkeyPatch, places: tuple[Path, Path]
) -> None:
    def interrupt(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.whiten.run.open_places", interrupt)
    monkeypatch.setattr(notify, "INTERRUPTED_SECONDS", 0.5)
    with hook(lambda handler: time.sleep(5)) as server:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            whiten(places, notify=server.url)
        assert time.monotonic() - began < 2 and len(server.posts) == 1


def test_a_dry_run_posts_nothing(places: tuple[Path, Path]) -> None:
    with hook() as server:
        assert whiten(places, notify=server.url, dry_run=True) == 0
    assert not server.posts


@pytest.mark.ray
@pytest.mark.slow
def test_a_real_command_that_is_terminated_posts_143_and_tells_no_secret(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(200):
        (tmp_path / f"in/{n}.jpg").write_bytes(drawn(n))
    environment = {**os.environ, "GLASSEG_NOTIFY_SECRET": SECRET}
    with hook() as server:
        command = [sys.executable, "-m", "jobs.cli", "whiten", "in", "out", "--notify", server.url, "--keep-seconds=0"]
        run = subprocess.Popen(
            command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for _ in range(1200):
            if (tmp_path / "out/_glasseg/manifest").is_dir():
                break
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 143, said
    assert server.told["exit_code"] == 143 and server.told["summary"]["ended"] == "interrupted"
    left = "".join(path.read_text("latin-1") for path in (tmp_path / "out").rglob("*.json"))
    assert "notified" in left and not [one for one in (SECRET, "PATHSECRET", "TOKENSECRET") if one in said + left]
