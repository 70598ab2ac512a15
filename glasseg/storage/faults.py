"""What boto3 and S3 servers refuse, in the user's words: what stops a run, and what is the row of one photo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from glasseg.errors import DeniedError, FailureCode, GlassegError, PhotoError
from glasseg.storage.keys import without_secrets

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


@contextmanager
def s3_faults(uri: str, code: FailureCode | None = None) -> Iterator[None]:
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
    """The error for a refusal by the server, botocore's ClientError; `uri` and `code` as in `s3_faults`."""
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
