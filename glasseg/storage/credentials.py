"""What boto3 signs its requests with: refused when it can't be sent, and kept out of all that people read."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any, Final
from urllib.parse import quote

from glasseg.errors import GlassegError

KEYS_FROM: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
SECRETS: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "RAY_AUTH_TOKEN"),
)
"""Variables whose values nobody is to see."""
NOTIFY_SECRET: Final = "GLASSEG_NOTIFY_SECRET"
"""The variable with the secret by which what `--notify` posts is signed: it may hold blanks, and any script."""
WORDS: Final = (
    *(*SECRETS, "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"),
    *("AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_REQUEST_CHECKSUM_CALCULATION"),
)
"""Variables of one line; a line break in the first would be quoted, with the signature, by Python's http client."""
SPACED: Final = (
    *("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    NOTIFY_SECRET,
)
"""Variables that may hold blanks and letters of any script."""
SHORTEST: Final = 8
"""Characters of a value that is looked for: a shorter one is part of too many words."""

_met: set[str] = set()
"""The credentials that this process has used, wherever boto3 found them."""


def refuse_environment() -> None:
    """Raises GlassegError when a variable that boto3 reads can't be used as it is; its value is not told."""
    for name in WORDS:
        refuse_word(name)
    if os.environ.get("AWS_PROFILE") == "":  # boto3 looks for a profile without a name
        raise GlassegError("AWS_PROFILE is set, but empty: unset it, or name a profile")


def refuse_word(name: str) -> None:
    """Raises GlassegError when the variable `name` can't be used as it is; its value is not told."""
    if trouble := _trouble(os.environ.get(name, ""), spaced=name in SPACED):
        raise GlassegError(f"{name} has {trouble} in it: set it again without")


def refuse_unusable(found: Any, profile: str) -> None:
    """Remember credentials, botocore's frozen ones, as secrets; raises GlassegError when they can't be sent."""
    named = {"access key": found.access_key, "secret key": found.secret_key, "session token": found.token}
    _met.update(str(value) for value in named.values() if value)
    for name, value in named.items():
        if value and (trouble := _trouble(str(value))):
            raise GlassegError(f"the {name} that boto3 finds by the profile {profile!r} has {trouble} in it")


def _trouble(value: str, *, spaced: bool = False) -> str | None:
    """What in `value` can't be part of a header or a name, in words, or None."""
    if "\n" in value or "\r" in value:
        return "a line break"
    if any(unicodedata.category(letter)[0] == "C" for letter in value):
        return "an invisible character"
    if not spaced and any(letter.isspace() for letter in value):
        return "a blank"
    return None if spaced or value.isascii() else "a letter that is not ASCII"


def without_secrets(text: str) -> str:
    """The text of somebody else's exception in one line: `without_credentials`, and without all users and queries."""
    text = re.sub(r"(?<=://)\S*@", "…@", without_credentials(text))
    text = re.sub(r"(?<!\S)[^\s/'\"]+:(?!//)[^\s'\"]*@(?=\S)", "…@", text)  # an address without its scheme
    return " ".join(re.sub(r"\?[^\s\"']*", "?…", text).split())


def without_credentials(text: str) -> str:
    """`text` without the credentials of this process, the passwords of addresses and what requests are signed with.

    It is the last gate before what people read, whoever wrote it, and leaves the names of photos alone.
    """
    values = {os.environ.get(name, "") for name in (*SECRETS, NOTIFY_SECRET)} | _met
    parts = {part for value in values for part in (value, *value.split()) if len(part) >= SHORTEST}
    shapes = {shape for part in parts for shape in (part, quote(part, safe=""), repr(part)[1:-1])}
    for shape in sorted(shapes, key=len, reverse=True):
        text = text.replace(shape, "…")
    text = re.sub(r"(?<=://)[^\s/:@]*:[^\s@]*@", "…@", text)
    return re.sub(r"\b(Credential|Signature|X-Amz-[A-Za-z-]+)=[^\s,&'\"]+", r"\1=…", text)
