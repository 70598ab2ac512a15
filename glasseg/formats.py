"""File formats by their names: what makes a key a photo, and how its picture is named."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, Literal, get_args

PHOTO_EXTENSIONS: Final = frozenset({"jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "avif", "heic", "heif"})
"""Extensions that make a key a photo, lower case and without the dot."""

OURS: Final = "_glasseg/"
"""The folder in which a destination keeps everything that is not an output."""

FileFormat = Literal["jpeg", "png", "webp"]
"""The formats of pictures."""
Format = Literal["keep", FileFormat]
"""The output formats a user can ask for; "keep" keeps the source's format where a browser can show it."""
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_WRITTEN_SUFFIXES: Final[dict[str, FileFormat]] = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}
_NEW_SUFFIX: Final[dict[FileFormat, str]] = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}


def is_photo(key: str) -> bool:
    """Whether a key is a photo: a picture's extension, case-blind; never macOS's `._*` and never our own files.

    Those lie below `_glasseg/` of any folder, since a source may hold an older destination.
    """
    path = PurePosixPath(key)
    ours = OURS.rstrip("/") in key.split("/")[:-1]
    return path.suffix[1:].lower() in PHOTO_EXTENSIONS and not path.name.startswith("._") and not ours


def output_name(key: str, format: Format, transparent: bool = False) -> str:
    """The output's key for the photo `key` when the user asked for `format`, one of `FORMATS`.

    "keep" keeps jpg, jpeg, png and webp as they are and writes the rest as .png; another format replaces the suffix
    unless it is already one of that format's. With `transparent`, "keep" writes .png for JPEG photos too.

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
    kept = {suffix: written for suffix, written in _WRITTEN_SUFFIXES.items() if not transparent or written != "jpeg"}
    return tuple(suffix for suffix, written in kept.items() if format in {"keep", written})


def new_suffix(format: Format) -> str:
    """The suffix of a picture that can't keep its photo's name, such as ".png"."""
    return _NEW_SUFFIX["png" if format == "keep" else format]


def format_of(key: str) -> FileFormat:
    """ "jpeg", "png" or "webp", by the suffix of an output's key; ValueError for any other suffix."""
    suffix = PurePosixPath(key).suffix[1:].lower()
    if suffix not in _WRITTEN_SUFFIXES:
        raise ValueError(f"outputs are jpeg, png or webp, which {key!r} is not")
    return _WRITTEN_SUFFIXES[suffix]
