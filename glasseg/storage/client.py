"""boto3's S3 client: how it is set up, how patient it is, and how often it had to repeat a request."""

from __future__ import annotations

import os
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from glasseg.errors import GlassegError
from glasseg.storage import credentials
from glasseg.storage.credentials import KEYS_FROM, without_secrets
from glasseg.storage.faults import NO_S3

IMPATIENT: Final = {"mode": "standard", "max_attempts": 3}
PATIENT: Final = {"mode": "legacy", "max_attempts": 6}
"""botocore's retries of one request: a server may be away for half a minute on average before a run stops.

"standard" waits milliseconds, and the threads of a client share a quota of 35 retries there: seconds away use it up.
"""

SOURCES: Final = (
    *("credential_process", "web_identity_token_file", "role_arn", "sso_session", "sso_start_url"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
)
"""Settings by which credentials come from elsewhere."""

PAYER: Final = "x-amz-request-payer"
ENCRYPTION: Final = "x-amz-server-side-encryption"

REDIRECTS: Final = (301, 302, 307, 308)

_counted = threading.local()


def headers_asked_for() -> dict[str, str]:
    """Headers of requests by the environment, under the names that other readers of buckets gave its variables.

    Raises GlassegError for a value that S3 does not know.
    """
    payer, encryption = os.environ.get("AWS_REQUEST_PAYER", ""), os.environ.get("AWS_SERVER_SIDE_ENCRYPTION", "")
    if payer.lower() not in {"", "requester", "true"}:
        raise GlassegError("AWS_REQUEST_PAYER has another value than requester: set it to that, or unset it", 2)
    if encryption not in {"", "AES256", "aws:kms", "aws:kms:dsse"}:
        raise GlassegError("AWS_SERVER_SIDE_ENCRYPTION has another value than AES256, aws:kms or aws:kms:dsse", 2)
    key = os.environ.get("AWS_SSE_KMS_KEY_ID", "") if encryption.startswith("aws:kms") else ""
    named = {PAYER: "requester" if payer else "", ENCRYPTION: encryption, ENCRYPTION + "-aws-kms-key-id": key}
    return {name: value for name, value in named.items() if value}


def make_client(
    endpoint_url: str | None, connect_seconds: int, retries: dict[str, Any], headers: Mapping[str, str]
) -> Any:
    """A boto3 S3 client; without `endpoint_url` boto3 looks for one itself, in AWS_ENDPOINT_URL for instance.

    `headers` are those of `headers_asked_for`.

    Raises GlassegError for a setting that can't be used; boto3's own errors, which `s3_faults` translates.
    """
    import boto3  # noqa: PLC0415 (a second of import time that --help and folders need not pay)
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        retries=retries.copy(),
        connect_timeout=connect_seconds,
        read_timeout=60,
        max_pool_connections=32,
    )
    credentials.refuse_environment()
    settings = botocore.session.get_session()
    _refuse_profile(settings)
    _refuse_credentials(settings)
    with _mistaken("S3 can't be set up", f"check the AWS_ variables and {_profile(settings)}"):
        settings.register_component("data_loader", _models(settings.get_config_variable("data_path")))
        session = boto3.session.Session(botocore_session=settings)
        client = session.client("s3", endpoint_url=endpoint_url, config=config)
    address = client.meta.endpoint_url
    if (shown := without_secrets(address)) != address:  # it would appear in error messages, and has no use there
        raise GlassegError(f"the endpoint {shown} has a user or query in it: leave it out; {KEYS_FROM}", 2)
    _refuse_way(settings, address)
    client.meta.events.register_first("needs-retry.s3", _refuse_redirect)
    client.meta.events.register("needs-retry.s3", count_repeated)
    client.meta.events.register("before-call.s3", partial(_add_headers, headers))
    return client


@cache
def _models(data_path: str | None) -> Any:
    """What botocore knows of S3, kept: to read it takes a third of a second, and a run makes several clients."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader(data_path)


def _add_headers(headers: Mapping[str, str], model: Any, params: dict[str, Any], **_: Any) -> None:
    """Called by botocore before it signs a request; how to encrypt is asked for where something is stored."""
    writes = model.name in {"PutObject", "CopyObject"}
    params["headers"].update({name: value for name, value in headers.items() if writes or name == PAYER})


def _refuse_redirect(response: Any, operation: Any, request_dict: dict[str, Any], **_: Any) -> None:
    """Called by botocore after each attempt; raises GlassegError for a redirect that does not lead to another region.

    botocore follows none but that, and asks for the region by HeadBucket: endlessly where that is redirected, too.
    """
    if response is None or response[0].status_code not in REDIRECTS or "x-amz-bucket-region" in response[0].headers:
        return
    if operation.name == "HeadBucket" or response[0].status_code == 308:
        here, there = (_origin(url) for url in (request_dict["url"], response[0].headers.get("location", "")))
        way_out = f"give that as the endpoint: {there}" if there not in {"", here} else NO_S3
        raise GlassegError(f"the server at {here} sends us elsewhere (HTTP {response[0].status_code}): {way_out}")


def _origin(url: str) -> str:
    """SCHEME://HOST:PORT of an absolute url, "" for another."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme and parts.netloc else ""


@contextmanager
def _mistaken(what: str, way_out: str) -> Iterator[None]:
    """Turns what botocore's readers of files, variables and programs' output let out into a GlassegError.

    Their text is not told: it quotes what they read.
    """
    try:
        yield
    except EOFError as error:
        raise GlassegError(f"{what}: an MFA code is asked for: log in first, and set what you get then") from error
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        text = without_secrets(str(error))
        if text.startswith("Invalid endpoint"):
            without = ", without _ in the name of the host" * ("_" in text)
            way_out = f"an endpoint looks like https://host:port{without}"
            raise GlassegError(f"S3 can't be used: {text}; {way_out}") from error
        cause = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise GlassegError(f"{what}{cause}: {way_out}") from error


def _profile(settings: Any) -> str:
    return f"the profile {settings.profile or 'default'!r}"


def _refuse_profile(settings: Any) -> None:
    """Raises GlassegError for what botocore would stumble over in the configuration of the profile."""
    profile = settings.get_scoped_config()
    services = settings.full_config.get("services", {}).get(profile.get("services"), {})
    if not all(isinstance(one.get("s3", {}), dict) for one in (profile, services)):
        raise GlassegError(
            f"{_profile(settings)} has its settings for s3 on one line: write `s3 =`, and each of them indented below"
        )
    region = settings.get_config_variable("region")
    if region and not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", region):
        where = "AWS_DEFAULT_REGION" if os.environ.get("AWS_DEFAULT_REGION") else f"the region of {_profile(settings)}"
        raise GlassegError(f"{where} is not the name of a region, such as eu-central-1")


def _refuse_credentials(settings: Any) -> None:
    """Raises GlassegError when the credentials can't be obtained or sent; without any, boto3 says so when it signs."""
    profile = settings.get_scoped_config()
    sources = [name for name in SOURCES if name in profile or name in os.environ]
    what, way_out = (
        "no AWS credentials",
        f"check {' and '.join([*sources, 'the AWS_ variables'])}, {_profile(settings)}",
    )
    if "credential_process" in sources:
        what = f"the credential_process of {_profile(settings)} gives no credentials"
        way_out = "run it by hand to see why"
    with _mistaken(what, way_out):
        found = settings.get_credentials()
        frozen = found and found.get_frozen_credentials()
    if frozen:
        credentials.refuse_unusable(frozen, settings.profile or "default")


def _refuse_way(settings: Any, address: str) -> None:
    """Raises GlassegError for certificates that can't be read, and for a proxy that is no address."""
    scheme, host = urlsplit(address).scheme, urlsplit(address).hostname or ""
    bundle = settings.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    if scheme == "https" and bundle:
        name = next((name for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if os.environ.get(name)), "ca_bundle")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
        except OSError as error:
            cause = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise GlassegError(f"{name} is to name a file of certificates: {bundle}: {cause}") from error
    proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
    if proxy and not _is_address(proxy):
        raise GlassegError(
            f"{scheme.upper()}_PROXY is not an address like http://host:port; in a password write % for "
            "what is no letter or digit"
        )


def _is_address(proxy: str) -> bool:
    """Whether botocore can use a proxy as it is given, with or without a scheme."""
    try:
        found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        plain = found.port != 0 and not any(letter.isspace() for letter in proxy)
    except ValueError:
        return False
    return (
        plain
        and found.scheme in {"http", "https"}
        and bool(found.hostname)
        and proxy.count("@") == found.netloc.count("@")
    )


def count_repeated(attempts: int, **_: Any) -> None:
    """Called by botocore after each attempt at a request, in the thread that makes it."""
    _counted.repeated = repeated() + (attempts > 1)


def repeated() -> int:
    """How many requests of this thread repeated one that a server had refused or not answered."""
    return int(getattr(_counted, "repeated", 0))
