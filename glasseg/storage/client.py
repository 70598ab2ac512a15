"""boto3's S3 client: how it is set up, how patient it is, and how often it had to repeat a request."""

from __future__ import annotations

import threading
from typing import Any, Final

from glasseg.errors import GlassegError
from glasseg.storage.faults import KEYS_FROM
from glasseg.storage.keys import without_secrets

IMPATIENT: Final = {"mode": "standard", "max_attempts": 3}
PATIENT: Final = {"mode": "legacy", "max_attempts": 6}
"""botocore's retries of one request: a server may be away for half a minute on average before a run stops.

"standard" waits milliseconds, and the threads of a client share a quota of 35 retries there: seconds away use it up.
"""

_counted = threading.local()


def make_client(endpoint_url: str | None, connect_seconds: int, retries: dict[str, Any]) -> Any:
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
    client.meta.events.register("needs-retry.s3", count_repeated)
    return client


def count_repeated(attempts: int, **_: Any) -> None:
    """Called by botocore after each attempt at a request, in the thread that makes it."""
    _counted.repeated = repeated() + (attempts > 1)


def repeated() -> int:
    """How many requests of this thread repeated one that a server had refused or not answered."""
    return int(getattr(_counted, "repeated", 0))
