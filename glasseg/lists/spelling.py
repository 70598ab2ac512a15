"""What a name in a list may mean: people paste paths, links and addresses, and spreadsheets leave their marks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from glasseg.formats import PHOTO_EXTENSIONS
from glasseg.lists import safe_csv
from glasseg.storage.credentials import without_secrets
from glasseg.storage.keys import printable

_QUOTED: Final = re.compile(r"""(["'`])(.*)\1|“(.*)”|„(.*)[“”]|«(.*)»|<(.*)>""", re.DOTALL)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_FILE: Final = re.compile(r"file:(?://localhost)?(?://)?(?=/)", re.IGNORECASE)
_S3_HOST: Final = re.compile(r"(?:(.+)\.)?s3[.-](?:[a-z0-9.-]+\.)?amazonaws\.com(?:\.cn)?")
_CONSOLE_HOST: Final = re.compile(r"(?:[a-z0-9.-]+\.)?console\.(?:aws\.amazon|amazonaws|amazonaws-us-gov)\.(?:com|cn)")
_CONSOLE_PATH: Final = re.compile(r"/s3/(?:object|buckets)/([^/?]+)/?(.*)")
_EXTENSION: Final = rf"\.(?:{'|'.join(sorted(PHOTO_EXTENSIONS))})"
_QUERY: Final = re.compile(rf"(.*{_EXTENSION})[?#](?!.*{_EXTENSION}$).*", re.IGNORECASE | re.DOTALL)
_BETWEEN: Final = re.compile(r"""[\n,;|]|\s+(?=["'/])""")
_AGAIN: Final = re.compile(rf"{_EXTENSION}\b.*(?:\b[a-z]:\\|[a-z]\w+://).*{_EXTENSION}", re.IGNORECASE | re.DOTALL)
_WHOLE_FLOAT: Final = re.compile(r"(\d+)[.,]0+")
_MONTH: Final = r"(?:jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sept?|o[ck]t|nov|de[cz])"
# What spreadsheets make of names that look like something else to them; in the languages we can read.
_LOST: Final = {
    r"\d([.,]\d+)?E[+-]?\d+": "looks like a number whose digits a spreadsheet left out",
    rf"\d{{1,2}}[-. ]+{_MONTH}\.?|{_MONTH}[-. ]+\d\d": "looks like a date that a spreadsheet made of a name",
    r"#(N/A|NV|REF!|BEZUG!|VALUE!|WERT!|NAME\?|DIV/0!|NULL!|NUM!|ZAHL!)": "looks like an error of a spreadsheet",
}


def readings(name: str) -> Iterator[list[str]]:
    """What `name` may mean, the most literal first; the readings of one list are equally good.

    A reading is a name, a path or s3://. Nothing is looked up, and most readings of a name are no photo's.
    """
    plain = safe_csv.unguarded(name)
    for spelled in dict.fromkeys((name, plain, _unquoted(name), _unquoted(plain))):
        if _WEB.match(spelled):
            yield from _of_web(spelled)
            continue
        path = _FILE.sub("", spelled)
        yield [path]
        others = (unquote(path), _QUERY.sub(r"\1", path), re.sub(r"\\(?=[ ()&'\[\]])", "", path))
        yield from ([one] for one in dict.fromkeys(others) if one != path)
        if number := _WHOLE_FLOAT.fullmatch(spelled):
            yield [number[1]]


def is_photo_name(name: str) -> bool:
    """Whether `name` is that of a photo, in some reading."""
    return _has_suffix(name) or any(_has_suffix(one) for several in readings(name) for one in several)


def is_elsewhere(path: str) -> bool:
    """Whether a path, with "/" between its folders, begins at some place that may be on another computer."""
    return bool(re.match(r"(?i)[a-z][a-z0-9+.-]*:/|/|~|\.\./|%\w+%/", path))


def spoiled(name: str) -> str:
    """What was done to `name`, or is wrong with it, as the end of a sentence about its row, or ""."""
    if holds_several(name):
        return "holds several names: give each of them a row"
    found = next((what for pattern, what in _LOST.items() if re.fullmatch(pattern, name, re.IGNORECASE)), "")
    return found and f"{found}: make the cells text, type it again"


def holds_several(name: str) -> bool:
    """Whether `name` looks like several, as shops export all photos of a product in one cell."""
    parts = [part.strip() for part in _BETWEEN.split(name) if part.strip()]
    return (len(parts) > 1 and all(map(is_photo_name, parts))) or bool(_AGAIN.search(name))


def without_marks(text: str) -> str:
    """`text` without marks that nobody sees (zero-width, direction, soft hyphens), and with every blank a space."""
    if text.isascii():
        return text
    return "".join(" " if (kind := unicodedata.category(one)) == "Zs" else one * (kind != "Cf") for one in text).strip()


def visible(text: str) -> str:
    """`text` as one line for people: what nobody sees as \\u200b, no password, no signature."""
    escaped = (one if one.isprintable() or one == "\u3000" else _escaped(one) for one in printable(text))
    return without_secrets("".join(escaped)) if "://" in text else "".join(escaped)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _unquoted(name: str) -> str:
    """`name` without the quotes of Windows' "Copy as path", a shell or a text program, and a comma behind it."""
    match = _QUOTED.fullmatch(name.rstrip(",;"))
    return next(filter(None, match.groups()[1:]), name).strip() if match else name.rstrip(",;")


def _of_web(address: str) -> Iterator[list[str]]:
    """The paths that a web address may mean; of S3's own addresses, of an object or its console, s3://."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:  # such as a bracket in the host
        yield [address]
        return
    fragment = f"#{parts.fragment}" * _has_suffix(parts.fragment)  # a # that somebody forgot to escape
    path = parts.path + fragment
    if console := _CONSOLE_PATH.fullmatch(parts.path) if _CONSOLE_HOST.fullmatch(host) else None:
        key = parse_qs(parts.query).get("prefix", [unquote_plus(console[2])])[0]
        yield [f"s3://{console[1]}/{key}"]
    elif s3 := _S3_HOST.fullmatch(host):
        place = f"s3://{s3[1]}" if s3[1] else "s3:/"
        # S3 takes + for a space, but programs that put an address together often leave a real + in it
        yield list(dict.fromkeys((place + unquote_plus(path), place + unquote(path))))
    else:
        yield [f"https://{host}{unquote(path)}"]


def _has_suffix(name: str) -> bool:
    return name.rpartition(".")[2].lower() in PHOTO_EXTENSIONS and "." in name
