"""What boto3 and S3 servers refuse, in the user's words: what stops a run, and what is the row of one photo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from glasseg.errors import DeniedError, FailureCode, GlassegError, PhotoError
from glasseg.storage.credentials import KEYS_FROM, without_secrets

NEW_CREDENTIALS: Final = "the credentials have expired: log in again or set a new session token"
KEY_PAIR: Final = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile"
PROCESS_FAILED: Final = "the credential_process of the profile gives no credentials: run it by hand to see why"
NO_CHECKSUMS: Final = "set AWS_REQUEST_CHECKSUM_CALCULATION=when_required"
NO_S3: Final = "a web page answers there, not S3: is the endpoint the port of a console? That of the S3 API is another"
ASK_TO_READ: Final = "ask for it, use other credentials, or set AWS_REQUEST_PAYER=requester if its readers are to pay"
ASK_TO_WRITE: Final = (
    "ask for it, use other credentials, or set AWS_SERVER_SIDE_ENCRYPTION=AES256 (or aws:kms) if it wants that"
)
LACKING: Final = (
    f"the server lacks something that S3 has: {NO_CHECKSUMS} and AWS_RESPONSE_CHECKSUM_VALIDATION=when_required, "
    "or use a newer version of it"
)
NO_CONDITIONS: Final = (
    "the server can't write on a condition ({}), and without that two runs could harm each other: "
    "use a newer version of it, or a folder as the destination"
)
RUN_WIDE_S3_CODES: Final = {
    "NoSuchBucket": "the bucket does not exist: check its name and the endpoint",
    "InvalidBucketName": "that is not a valid bucket name",
    "AllAccessDisabled": "the bucket is closed to everybody: ask its owner",
    "ExpiredToken": NEW_CREDENTIALS,
    "ExpiredTokenException": NEW_CREDENTIALS,
    "RequestExpired": NEW_CREDENTIALS,
    "TokenRefreshRequired": NEW_CREDENTIALS,
    **dict.fromkeys(
        ("InvalidToken", "InvalidTokenId"), "the session token is not valid: set a new AWS_SESSION_TOKEN, or unset it"
    ),
    "InvalidAccessKeyId": f"the access key is not known there: {KEY_PAIR}, and that the endpoint is the right one",
    "SignatureDoesNotMatch": (
        f"the secret key does not belong to the access key: {KEY_PAIR}; if only writing fails, {NO_CHECKSUMS}"
    ),
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it right",
    "AuthorizationHeaderMalformed": "wrong region: set AWS_DEFAULT_REGION to the bucket's",
    "PermanentRedirect": "wrong region or endpoint: set AWS_DEFAULT_REGION to the bucket's",
    "NotImplemented": LACKING,
    "501": LACKING,
    "QuotaExceeded": "the storage is full: make room there",
    "XMinioStorageFull": "the storage is full: make room there",
    "XMinioAdminBucketQuotaExceeded": "the bucket's quota is used up: raise it or make room",
}
"""S3 error codes that stop a run, each with the way out."""

CHANGED: Final = f"the bytes changed on their way; if that stays, {NO_CHECKSUMS}"
FRAMED: Final = f"the server can't read how boto3 sends it: {NO_CHECKSUMS}"
OBJECT_S3_CODES: Final = {
    "InvalidObjectState": "it is archived: restore it first (`aws s3api restore-object`), and run again then",
    "KMS.DisabledException": "the key that it is encrypted with is disabled",
    "KMS.NotFoundException": "the key that it is encrypted with does not exist any more",
    "EntityTooLarge": "it is larger than the server allows",
    **dict.fromkeys(("BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"), CHANGED),
    **dict.fromkeys(("MissingContentLength", "411", "MalformedTrailerError", "InvalidChunkSizeError"), FRAMED),
}
"""S3 error codes of one object in better words than the server's."""

WAYS_IN: Final = {
    "ListObjectsV2": ASK_TO_READ,
    "ListObjects": ASK_TO_READ,
    "GetObject": ASK_TO_READ,
    "HeadObject": ASK_TO_READ,
    "PutObject": ASK_TO_WRITE,
    "CopyObject": ASK_TO_WRITE,
    "DeleteObject": "ask for it, or use other credentials",
}
"""What glasseg asks of S3, and how each is allowed."""

OVERTAKEN_S3_CODES: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
"""A server's answers to a conditional put when somebody else was faster."""

LACKING_S3_CODES: Final = ("NotImplemented", "501")
MISSING_S3_CODES: Final = ("NoSuchKey", "404", "NotFound")
DENIED_S3_CODES: Final = ("AccessDenied", "403", "Forbidden")
SAYS_NOTHING: Final = {"", "access denied", "forbidden"}
MOST_SAID: Final = 300
"""Characters of a server's own words that are told."""


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
    except boto.NoCredentialsError as error:
        raise GlassegError(f"no AWS credentials found for {uri}: {KEYS_FROM}{_files_missing()}") from error
    except boto.PartialCredentialsError as error:
        missing = error.kwargs["cred_var"]
        raise GlassegError(f"incomplete AWS credentials for {uri}: {missing} is missing; {KEYS_FROM}") from error
    except boto.CredentialRetrievalError as error:
        ours = "process" not in error.kwargs["provider"]  # else its text is whatever the program wrote
        raise GlassegError(f"can't use {uri}: {without_secrets(str(error)) if ours else PROCESS_FAILED}") from error
    except boto.ConnectionError as error:
        raise GlassegError(f"can't reach the S3 server of {uri}: {_unreached(error)}") from error
    except (boto.HTTPClientError, boto.IncompleteReadError, boto.FlexibleChecksumError) as error:
        message = f"the connection broke off for {uri}: {without_secrets(str(error))}"
        raise (PhotoError(code, message) if code else GlassegError(message)) from error
    except boto.BotoCoreError as error:  # the rest are faults of the setup: profile, login, bucket name
        raise GlassegError(f"can't use {uri}: {without_secrets(str(error))}") from error
    except (OSError, ValueError) as error:  # botocore lets these out when it obtains new credentials
        raise GlassegError(f"can't use {uri}: {type(error).__name__}: {without_secrets(str(error))}") from error


def _files_missing() -> str:
    """The variables that name a file of boto3's which is not there, in words."""
    names = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    missing = [name for name in names if (path := os.environ.get(name)) and not Path(path).expanduser().is_file()]
    return "".join(f"; {name} names no file" for name in missing)


def _unreached(error: Any) -> str:
    """Which server botocore's ConnectionError is about, why, and the way out.

    Neither the request's url nor a proxy's password is in it.
    """
    from botocore.exceptions import ProxyConnectionError, SSLError  # noqa: PLC0415

    server = urlsplit(error.kwargs.get("endpoint_url") or error.kwargs.get("proxy_url") or "")
    text = without_secrets(str(error.kwargs.get("error") or type(error).__name__))
    cause = "no answer" if "timed out" in text else text.rpartition(": ")[2].partition('"')[0]
    way_out = "check the endpoint and the network"
    if isinstance(error, ProxyConnectionError):
        way_out = "check HTTP_PROXY and HTTPS_PROXY"
    elif isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in text:
        way_out = "if that certificate is right, set AWS_CA_BUNDLE to a file with its authority's"
    elif isinstance(error, SSLError):
        way_out = "does it speak https, or is its endpoint http://…?"
    elif str(server.hostname).endswith(".amazonaws.com"):
        way_out = "check the region and the network, or give the endpoint of another server"
    return f"{server.scheme}://{server.netloc.rpartition('@')[2]} ({cause}); {way_out}"


def _client_fault(uri: str, code: FailureCode | None, error: Any) -> GlassegError | PhotoError:
    """The error for a refusal by the server, botocore's ClientError; `uri` and `code` as in `s3_faults`."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    name = error.response.get("Error", {}).get("Code") or str(status)
    if why := _run_wide(error, name):
        return GlassegError(f"{uri}: {why} ({name})")
    if _is_web_page(error, name):
        message = f"{uri}: {NO_S3} ({name})"
    elif code == "read_error" and name in MISSING_S3_CODES:
        return PhotoError("vanished", f"{uri} is gone")
    elif code == "read_error" and name in DENIED_S3_CODES:
        return PhotoError("denied", f"no permission to read {uri}{_reason(error)}")
    elif name in DENIED_S3_CODES:
        way_out = WAYS_IN[error.operation_name]
        return DeniedError(f"{uri}: no permission for {error.operation_name}: {way_out}{_reason(error)} ({name})")
    else:
        words = OBJECT_S3_CODES.get(name)
        told = without_secrets(str(error)).replace("occurred ()", f"occurred (HTTP {status})")
        message = f"{uri}: {words} ({name})" if words else f"{uri}: {told}"
    if code is None:
        return GlassegError(message)
    return PhotoError("too_long_name" if name == "KeyTooLongError" else code, message)


def _reason(error: Any) -> str:
    """What a refusal says of its reason: the key that an object is encrypted with, a bill, a policy."""
    said = without_secrets(error.response.get("Error", {}).get("Message") or "").rstrip(".")
    if "kms:" in said.lower():
        return "; it is the key that it is encrypted with which may not be used (kms:Decrypt, kms:GenerateDataKey)"
    return f"; the server says: {said[:MOST_SAID]}" if said.lower() not in SAYS_NOTHING else ""


def _run_wide(error: Any, name: str) -> str | None:
    """Why the run has to stop, in words, for a refusal with the code `name`; None when it concerns one object."""
    if error.operation_name not in WAYS_IN:  # a request for credentials, for those of a role perhaps
        return f"no AWS credentials: {without_secrets(str(error))}"
    if name == "NoSuchKey" and error.operation_name.startswith("ListObjects"):
        return "the endpoint has a bucket or path in it: give that of the server, https://host:port"
    return RUN_WIDE_S3_CODES.get(name)


def _is_web_page(error: Any, name: str) -> bool:
    """Whether an answer is a page for browsers, which botocore calls a 500 where the server said 200.

    A gateway's own troubles are told by their status.
    """
    about = error.response.get("ResponseMetadata", {})
    kind = about.get("HTTPHeaders", {}).get("content-type", "")
    return (
        name.isdecimal()
        and about.get("HTTPStatusCode") in {400, 401, 403, 404, 405, 407, 410, 451, 500}
        and "text/html" in kind
    )
