"""Keys, the names of photos below a root: which are safe to write, and what a listing knows about each.

A key is "/" separated and in the unicode form in which it is stored.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from glasseg.errors import PhotoError

TMP_PREFIX: Final = "_glasseg/tmp/"
TOO_LONG: Final = "a part of the name is too long (more than 255 bytes)"
MAX_COMPONENT_BYTES: Final = 255


@dataclass(frozen=True)
class Entry:
    """One thing in a listing: `key` relative to the root, `size` in bytes, `etag` changes when the content does.

    The etag is S3's as `version` gives it; in a folder it is "SIZE-MTIME_NS". `size` is -1 where a server does not say
    it. `modified`: seconds since 1970, by the clock of the storage, on S3 whole ones; 0 where a server does not say it.
    """

    key: str
    size: int
    etag: str
    modified: float = 0.0


ETAG_DRESS: Final = r'(?i)^(?:w/)?"*|"*(?:--?(?:gzip|br|deflate|zstd))?"*$'
"""What is not of an ETag itself: quotes, and the marks of proxies that compress (Apache, Jetty, nginx, CDNs)."""


def plain_etag(etag: str) -> str:
    """An ETag without what servers and proxies put around it, to compare one that was listed with one that was read."""
    plain = etag.strip('"')
    return plain if plain.isalnum() else re.sub(ETAG_DRESS, "", etag)


def version(etag: str | None, size: int, modified: float) -> str:
    """What changes when an object does: its plain ETag; "SIZE-SECONDS" from servers that give none.

    Then an object that is replaced within a second by one of the same size counts as the same, and without a time
    (`modified` is 0) by any of the same size.
    """
    return plain_etag(etag or "") or f"{size}-{int(modified)}"


def unsafe_reason(key: str) -> str | None:
    """Why `key` can't be the name of an output, in words, or None when it can.

    Spaces, +, %, #, leading dots and both unicode normal forms are fine and are kept as they are.
    """
    try:
        parts = key.encode("utf-8").split(b"/")
    except UnicodeEncodeError:  # a file name with bytes that are not UTF-8, which os.listdir turns into lone surrogates
        return "the name is not valid unicode"
    reasons = {
        "the name is empty": not key,
        "the name starts at the root of the disk": key.startswith("/"),
        "a backslash in the name": "\\" in key,  # a separator on Windows, and SeaweedFS stores it as "/"
        "a control character in the name": any(unicodedata.category(letter) == "Cc" for letter in key),
        "an empty folder or file name": b"" in parts,
        'a "." or ".." folder in the name': b"." in parts or b".." in parts,
        TOO_LONG: max(map(len, parts)) > MAX_COMPONENT_BYTES,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def printable(name: str) -> str:
    """`name` with bytes that are not UTF-8 escaped as \\xNN: Arrow and JSON hold only valid text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(text: str) -> str:
    """`text` for a terminal or a log: letters that move the cursor, end the line or turn its order round are escaped.

    Names may hold them, as other invisible ones, which are escaped too; joiners are not: some scripts need them.
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that is not UTF-8, see `printable`
        return f"\\x{ord(letter) - 0xDC00:02x}"
    unseen = unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and letter not in "\u200c\u200d"
    return letter.encode("unicode_escape").decode() if unseen else letter


def check_output_key(key: str, uri: str) -> None:
    """Raises PhotoError when `key` could leave the root or is not a name; storage never relies on callers for that."""
    if reason := unsafe_reason(key):
        raise PhotoError("too_long_name" if reason == TOO_LONG else "unsafe_name", f"{uri!r}: {reason}")
