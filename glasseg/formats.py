"""File formats by their names: what makes a key a photo, and how its picture is named."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final, Literal, get_args

PHOTO_EXTENSIONS: Final = frozenset(
    {"jpg", "jpeg", "jfif", "jpe", "pjpeg", "pjp", "png", "webp", "gif", "tif", "tiff", "bmp", "avif"}
    | {"heic", "heif", "hif"}
)
"""Extensions that make a key a photo, lower case and without the dot."""

OURS: Final = "_glasseg/"
"""The folder in which a destination keeps everything that is not an output."""

FileFormat = Literal["jpeg", "png", "webp", "tiff", "avif"]
"""The formats of pictures."""
Format = Literal["keep", FileFormat]
"""The output formats a user can ask for; "keep" keeps that of JPEG, PNG and WebP."""
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
LOSSLESS: Final[frozenset[FileFormat]] = frozenset({"png", "tiff"})
CLIPPING_FORMATS: Final[tuple[FileFormat, ...]] = ("jpeg", "tiff")
"""Those that hold a clipping path."""

SYSTEM_FOLDER: Final = (
    r"@eadir|@tmp|@sharebin|@synoresource|\.synologyworkingdirectory|#recycle|#snapshot"  # Synology
    r"|@recycle|@recently-snapshot|\.@__thumb|\.wdmc|\.wdcache|trashbox"  # QNAP, Western Digital, Buffalo
    r"|\.snapshots?|~snapshot|\.zfs|\.recycle|lost\+found"  # file servers
    r"|__macosx|\.apple(?:double|db|desktop)|\.trash(?:es|-[0-9]+)?|network trash folder|\.?temporary ?items"
    r"|\.spotlight-v100|\.fseventsd|\.documentrevisions-v100"  # macOS; the first line's .Trash-1000 also Linux
    r"|\$recycle\.bin|\.recycle\.bin|recycler|system volume information|_vti_cnf"  # Windows
    r"|\.thumbnails|\.sh_thumbnails|\.thumbs|\.tmb|\.cache"  # desktops, and file managers of shops
    r"|\.xvpics|\.picasaoriginals|\.dtrash"  # programs for pictures
    r"|\.rsync-partial|\.~tmp~|\.sync|files_trashbin|files_versions"  # rsync, Resilio, Nextcloud
    r"|\.stversions|\.dropbox\.cache|\.tmp\.drive(?:down|up)load|\.git|\.svn|\.hg|\.ipynb_checkpoints"
)
"""Folders that systems and programs keep for themselves, as a pattern of their names in lower case."""

SYSTEM_FILE: Final = r"~\$|\.trashed-|\.pending-|\.in\."
"""How names of files that are no photos begin, in lower case.

Office's locks, what Android deletes or receives, what ProFTPD and lftp have not received whole.
"""

SYSTEM: Final = rf"(^|/)(({SYSTEM_FOLDER})/|({SYSTEM_FILE})[^/]*$)"
"""The pattern that finds these in a key in lower case."""

_COMMON_SUFFIXES: Final[dict[str, FileFormat]] = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
_RARE_SUFFIXES: Final[dict[str, FileFormat]] = {"jfif": "jpeg", "jpe": "jpeg", "pjpeg": "jpeg", "pjp": "jpeg"}
"""Kept where names are; a JPEG that was asked for gets a name that every shop takes."""
_ASKED_SUFFIXES: Final[dict[str, FileFormat]] = {"tif": "tiff", "tiff": "tiff", "avif": "avif"}
"""Of formats that are written only where they are asked for."""
_WRITTEN_SUFFIXES: Final[dict[str, FileFormat]] = _COMMON_SUFFIXES | _RARE_SUFFIXES | _ASKED_SUFFIXES
_NEW_SUFFIX: Final[dict[FileFormat, str]] = {
    **{"jpeg": ".jpg", "png": ".png", "webp": ".webp"},
    **{"tiff": ".tif", "avif": ".avif"},
}


def is_photo(key: str, *, all_folders: bool = False) -> bool:
    """Whether a key is a photo: a picture's extension, case-blind; never macOS's `._*` and never our own files.

    Those lie below `_glasseg/` of any folder, since a source may hold an older destination. What systems keep for
    themselves counts only with `all_folders`; its names are those of `SYSTEM_FOLDER` and `SYSTEM_FILE`.
    """
    path = PurePosixPath(key)
    ours = OURS.rstrip("/") in key.split("/")[:-1]
    picture = path.suffix[1:].lower() in PHOTO_EXTENSIONS and not path.name.startswith("._") and not ours
    return picture and (all_folders or not re.search(SYSTEM, key.lower()))


def output_name(key: str, format: Format, transparent: bool = False) -> str:
    """The output's key for the photo `key` when the user asked for `format`, one of `FORMATS`.

    "keep" keeps names of JPEG, PNG and WebP as they are and writes the rest as .png; another format replaces the suffix
    unless it is already a common one of that format, as .jfif is not. With `transparent`, "keep" writes .png for JPEG
    photos too.

    Raises:
        ValueError: for a format that is not one of `FORMATS`, and for "jpeg" with `transparent`, which it can't hold.
    """
    suffix = PurePosixPath(key).suffix
    if suffix[1:].lower() in kept_suffixes(format, transparent):
        return key
    stem = key[: -len(suffix)] if suffix[1:].lower() in PHOTO_EXTENSIONS else key
    return stem + new_suffix(format)


def kept_suffixes(format: Format, transparent: bool = False) -> tuple[str, ...]:
    """Suffixes, lower case and without the dot, of photos whose pictures keep their names; raises as `output_name`."""
    if format not in FORMATS:
        raise ValueError(f"{format!r} is not one of {FORMATS}")
    if transparent and format == "jpeg":
        raise ValueError("jpeg can't hold transparency")
    suffixes = _COMMON_SUFFIXES | (_RARE_SUFFIXES if format == "keep" else _ASKED_SUFFIXES)
    return tuple(
        suffix
        for suffix, written in suffixes.items()
        if format in {"keep", written} and not (transparent and written == "jpeg")
    )


def new_suffix(format: Format) -> str:
    """The suffix of a picture that can't keep its photo's name, such as ".png"."""
    return _NEW_SUFFIX["png" if format == "keep" else format]


def asked_by(suffix: str) -> FileFormat | None:
    """The format that a name with this suffix, dot and all, asks for; None for a suffix that asks for none.

    Raises:
        ValueError: for the suffix of a picture of which no output has the format or the name, such as ".gif".
    """
    extension = suffix.removeprefix(".").lower()
    suffixes = _COMMON_SUFFIXES | _ASKED_SUFFIXES
    if extension in PHOTO_EXTENSIONS and extension not in suffixes:
        raise ValueError(f"no picture can be named {suffix}: there are {', '.join(f'.{one}' for one in suffixes)}")
    return suffixes.get(extension)


def format_of(key: str) -> FileFormat:
    """The format of an output, by the suffix of its key; ValueError for a suffix that is none of an output."""
    suffix = PurePosixPath(key).suffix[1:].lower()
    if suffix not in _WRITTEN_SUFFIXES:
        raise ValueError(f"outputs are {', '.join(FORMATS[1:])}, which {key!r} is not")
    return _WRITTEN_SUFFIXES[suffix]
