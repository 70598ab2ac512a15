"""`--notify`: the summary of a run posted to a web address at its end, signed, and however it ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions as web

from glasseg import __version__
from glasseg.errors import GlassegError
from glasseg.storage.credentials import NOTIFY_SECRET, refuse_word, without_credentials, without_secrets
from jobs.terminal import say
from jobs.whiten.summary import Closed

EVENT: Final = "glasseg.whiten.ended"
SIGNATURE: Final = "X-Glasseg-Signature"
TRY_SECONDS: Final = 10.0
RETRIES: Final = 3
MOST_SECONDS: Final = 60.0
"""All tries together."""
INTERRUPTED_SECONDS: Final = 5.0
"""The only try of a run that was interrupted: whoever did it waits, and may soon kill."""
_TRIED_AGAIN: Final = (429, 500, 502, 503, 504)
_BUG: Final = "a fault of glasseg itself: its log has a traceback"


@dataclass
class End:
    """How a run ended, as far as it is known; by default by a fault that nobody foresaw."""

    exit_code: int = 1
    error: str | None = _BUG
    closed: Closed | None = None
    """What the run has left; None when it did not begin."""

    def take(self, closed: Closed) -> None:
        """Remember what the run has left."""
        self.closed = closed

    def done(self, exit_code: int) -> int:
        """The run ended without an error."""
        self.exit_code, self.error = exit_code, None
        return exit_code


def check(url: str) -> None:
    """Raise GlassegError, as wrong usage, for an address that can't be posted to; it may be a secret, so untold."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url:
        raise GlassegError("--notify is given something else than an address like https://host/path", 2)
    secret = os.environ.get(NOTIFY_SECRET)
    if secret == "":
        raise GlassegError(f"{NOTIFY_SECRET} is set, but empty: unset it, or set the secret")
    refuse_word(NOTIFY_SECRET)


@contextmanager
def at_end(url: str | None, run_id: str, destination_uri: str) -> Iterator[End]:
    """Post how the block ended, whatever ended it; without an address nothing.

    That the post fails is a warning, and in the record of the run.
    """
    end, interrupted = End(), False
    try:
        yield end
    except GlassegError as error:
        end.exit_code, end.error = error.exit_code, without_credentials(str(error))
        raise
    except KeyboardInterrupt as interrupt:
        end.exit_code, end.error = getattr(interrupt, "exit_code", 130), "interrupted"
        interrupted = True
        raise
    finally:
        if url:
            _tell(url, _body(end, run_id, destination_uri), end.closed, hurried=interrupted)


def _tell(url: str, body: bytes, closed: Closed | None, *, hurried: bool) -> None:
    """Post, and say and record how that went. `hurried`: there is time for one short try."""
    fault = post(url, body, INTERRUPTED_SECONDS if hurried else MOST_SECONDS, retries=0 if hurried else RETRIES)
    if fault:
        say(f"  warning: {origin(url)} was not notified: {fault}", level="warning")
    if closed:
        closed.amend({"notified": False, "notify_error": fault} if fault else {"notified": True})


def _body(end: End, run_id: str, destination_uri: str) -> bytes:
    """What is posted, as JSON."""
    told = {
        "event": EVENT,
        "run_id": run_id,
        "destination": end.closed.uri if end.closed else without_secrets(destination_uri),
        "exit_code": end.exit_code,
        "error": end.error,
        "summary": end.closed.summary if end.closed else None,
    }
    return json.dumps(told, indent=2).encode()


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of the header: when it was signed, in seconds since 1970, and the HMAC-SHA256 of that and the body."""
    return f"t={at},v1={hmac.new(secret.encode(), b'%d.%b' % (at, body), hashlib.sha256).hexdigest()}"


def post(url: str, body: bytes, seconds: float, *, retries: int) -> str:
    """Post a body of JSON, and try again where that may help; in words why it was not taken, "" when it was.

    It takes no more than `seconds`: in a thread of its own, since no timeout of a socket ends a server that sends a
    byte now and then, or the search for a name.
    """
    answer: Queue[str] = Queue()
    headers = {"Content-Type": "application/json", "User-Agent": f"glasseg/{__version__}"}
    if secret := os.environ.get(NOTIFY_SECRET):
        headers[SIGNATURE] = signature(secret, body, int(time.time()))
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it would log each try with the whole address
    once = min(TRY_SECONDS, seconds)
    threading.Thread(
        target=lambda: answer.put(_post(url, body, headers, once, retries)), name="notify", daemon=True
    ).start()
    try:
        return answer.get(timeout=seconds)
    except Empty:
        return f"no answer within {seconds:.0f} s"


def _post(url: str, body: bytes, headers: Mapping[str, str], seconds: float, retries: int) -> str:
    again = urllib3.Retry(
        retries,
        other=0,  # a certificate that is not trusted is not trusted the next time
        allowed_methods=None,
        status_forcelist=_TRIED_AGAIN,
        backoff_factor=1,
        backoff_jitter=1,
        retry_after_max=int(TRY_SECONDS),
        raise_on_status=False,
    )
    auth = urlsplit(url).netloc.rpartition("@")[0]
    login = urllib3.make_headers(basic_auth=unquote(auth)) if auth else {}
    try:
        with _pool(url) as pool:
            answer = pool.request(
                "POST",
                url,
                body=body,
                headers={**headers, **login},
                retries=again,
                redirect=False,  # the signature is for the one who was named
                timeout=urllib3.Timeout(seconds),
                preload_content=False,
            )
            answer.close()
    except web.MaxRetryError as error:
        return _why(error.reason or error, seconds)
    except web.HTTPError as error:
        return _why(error, seconds)
    if 300 <= answer.status < 400:
        return f"it sends us elsewhere (HTTP {answer.status}): give the address that it leads to"
    return "" if answer.status < 300 else f"it answered with HTTP {answer.status}"


def _pool(url: str) -> urllib3.PoolManager:
    """What posts, by way of the proxy that the environment names for such an address."""
    parts = urlsplit(url)
    proxy = "" if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme, "")
    if not proxy:
        return urllib3.PoolManager()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    auth = urlsplit(proxy).netloc.rpartition("@")[0]
    login = urllib3.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=login)


def _why(error: BaseException, seconds: float) -> str:
    """Why an address could not be reached, in words; the texts of the library quote the address."""
    match error:
        case web.SSLError():
            return "its certificate is not trusted: SSL_CERT_FILE names a file of others that are"
        case web.NameResolutionError():
            return "no such host is known"
        case web.NewConnectionError():  # for urllib3 a kind of timeout
            return "can't be reached"
        case web.TimeoutError():
            return f"no answer within {seconds:.0f} s"
        case web.ProxyError():
            return "the proxy that the environment names did not take it"
    return "the connection broke off"


def origin(url: str) -> str:
    """SCHEME://HOST:PORT of an address: what follows is often a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
