"""Labelled photos: which mask belongs to which photo, in a tree of files or in a list, on disk or on S3."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from glasseg.catalog.reviewed import Word
from glasseg.errors import GlassegError, PhotoError
from glasseg.formats import is_photo
from glasseg.labels import masks
from glasseg.labels.masks import Label, read_label
from glasseg.lists import reader, spreadsheet
from glasseg.storage.keys import printable
from glasseg.storage.roots import Bucket, Folder, Root, open_source, unsafe_reason

__all__ = [
    "INDEX",
    "Backdrop",
    "Correction",
    "Found",
    "Kind",
    "Label",
    "Pair",
    "Problem",
    "Split",
    "find",
    "read_label",
]

INDEX: Final = "index.csv"
"""A list of this name in a folder describes its contents."""


class Kind(StrEnum):
    """What a labelled photo is used for."""

    PRODUCT = "product"
    """Glasses on pure white, laid on backdrops."""
    CUTOUT = "cutout"
    """Glasses with an alpha channel instead of a mask, laid on backdrops."""
    SCENE = "scene"
    """A photo with a background of its own, used as it is."""


class Split(StrEnum):
    """The two splits that training looks at; a list may name others."""

    TRAIN = "train"
    VALIDATION = "validation"


BACKGROUND: Final = "background"
"""What a list calls a photo without glasses."""
KIND_WORDS: Final = {
    **{kind.value: kind for kind in Kind},
    "catalog photo": Kind.SCENE,
    "real": Kind.SCENE,
    "": Kind.SCENE,
    BACKGROUND: BACKGROUND,
}
"""The words that a list may use for a kind, and what they mean; photos of other kinds are left out."""
SPLIT_WORDS: Final = {"val": Split.VALIDATION, "valid": Split.VALIDATION, "training": Split.TRAIN}
"""Other words that a list may use for the two splits."""


@dataclass(frozen=True)
class Correction:
    """A person's word on a photo, taken by the run `run_id` into the destination `root`, where the photo's mask lies.

    `etag`: the photo's at that time; the mask fits no other.
    """

    root: str
    word: Word
    run_id: str
    etag: str


@dataclass(frozen=True)
class Pair:
    """One labelled photo; `photo` and `mask` are keys below the root `root`, a folder or s3://.

    `mask` is None for a cutout; with a `correction` it is a key below that one's root. `group`: photos of one product
    share it; the photo's own key when nobody named one. `split`: one of `Split`, "" when not decided, or any other
    word, which no training looks at. Raises ValueError for an unknown kind.
    """

    root: str
    photo: str
    mask: str | None
    kind: Kind
    group: str
    split: str
    correction: Correction | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))


@dataclass(frozen=True)
class Backdrop:
    """A picture without glasses; `source`: where it comes from, if a list names it."""

    root: str
    photo: str
    split: str
    source: str = ""


@dataclass(frozen=True)
class Problem:
    """A labelled photo that can't be used; `split` if a list named one."""

    name: str
    reason: str
    split: str = ""


@dataclass(frozen=True)
class Found:
    """What training or evaluation may use, what can't be used, and how many photos are `left_out` for which reason."""

    pairs: list[Pair] = field(default_factory=list)
    backdrops: list[Backdrop] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def find(
    uri: str, *, cutouts: str | None = None, backgrounds: str | None = None, endpoint_url: str | None = None
) -> Found:
    """The labelled photos of a folder, an S3 prefix or a list. A list is read; of other files only the names count.

    The masks of a folder are those named by its `INDEX`, else masks/SUB/NAME.png for images/SUB/NAME.jpg, else those
    next to its photos (NAME_mask.png or .jpg, also in a sibling folder FOLDER_masks). A list has a column image (or
    file) and optionally mask, kind, group (or product_group), split and source; its names are relative to its folder.
    Every photo below `cutouts` is a cutout, every one below `backgrounds` a backdrop.

    Pairs of a list keep its order, those of a tree are sorted by key. Raises GlassegError when there are none, or a
    place or the list can't be used.
    """
    extra_cutouts, extra_backgrounds = (_photos(extra, endpoint_url) for extra in (cutouts, backgrounds))
    root, names = open_source(uri, endpoint_url=endpoint_url)
    if names is not None and not spreadsheet.is_list(names[0]):
        raise GlassegError(f"{uri} is neither a folder nor a list of labelled photos (csv, xlsx or parquet)")
    if names is not None or root.exists(INDEX):
        found = _from_list(root, names[0] if names else INDEX)
    else:
        found = _from_tree(root, {place.uri_of(key) for place, key in [*extra_cutouts, *extra_backgrounds]})
    found.pairs.extend(Pair(place.uri, key, None, Kind.CUTOUT, key, "") for place, key in extra_cutouts)
    found.backdrops.extend(Backdrop(place.uri, key, "") for place, key in extra_backgrounds)
    if not found.pairs:
        first = f" ({found.problems[0].name} {found.problems[0].reason})" if found.problems else ""
        raise GlassegError(
            f"no labelled photos in {uri}{first}: the mask of NAME.jpg is NAME_mask.png next to it, masks/NAME.png if "
            "it is in images/, or named by a list, whose names are relative to its folder"
        )
    return _printable(found)


def _printable(found: Found) -> Found:
    """`found` with photos whose names are not UTF-8 among the problems: storage refuses them, Arrow can't hold them."""
    problems = [replace(problem, name=printable(problem.name)) for problem in found.problems]
    odd = [one for one in found.pairs if not _is_printable(one.photo, one.mask or "")]
    odd_backdrops = [one for one in found.backdrops if not _is_printable(one.photo)]
    reason = "the name of the photo or of its mask is not UTF-8"
    refused = [(one.photo, one.split) for one in odd] + [(one.photo, one.split) for one in odd_backdrops]
    problems += [Problem(printable(photo), reason, split) for photo, split in refused]
    return Found(
        [one for one in found.pairs if one not in odd],
        [one for one in found.backdrops if one not in odd_backdrops],
        problems,
        found.left_out,
    )


def _is_printable(*names: str) -> bool:
    return all(printable(name) == name for name in names)


def _photos(uri: str | None, endpoint_url: str | None) -> list[tuple[Root, str]]:
    """Root and key of every photo below `uri`, sorted. Raises GlassegError if there are none."""
    if uri is None:
        return []
    root, names = open_source(uri, endpoint_url=endpoint_url)
    keys = sorted({key for key in names or (entry.key for entry in root.list()) if is_photo(key)})
    if not keys:
        raise GlassegError(f"no photos in {uri}: is it the right place?")
    return [(root, key) for key in keys]


class _Listing:
    """The files of a root, or of the part of it whose keys start with `prefix`, listed once."""

    def __init__(self, root: Root, prefix: str = "") -> None:
        self.root = root
        self.keys = {entry.key for entry in root.list(prefix)}
        self._above, self._name = _above(root)
        self.masks = masks.by_stem(self.keys | self._sibling())

    def _sibling(self) -> set[str]:
        """The files of FOLDER_masks next to the root FOLDER, as "../FOLDER_masks/…"."""
        if self._name:
            with suppress(GlassegError, PhotoError):  # without permission to look outside the root, there are none
                return {f"../{entry.key}" for entry in self._above.list(f"{self._name}_masks/")}
        return set()

    def mask_of(self, photo: str) -> str | None:
        """The mask next to a photo."""
        return masks.next_to(photo, self.masks, self._name)

    def pair(self, photo: str, mask: str | None, *, kind: Kind = Kind.SCENE, group: str = "", split: str = "") -> Pair:
        """The pair of two keys; if the mask lies outside the root, the pair's root is the one above."""
        root = self.root
        if mask and mask.startswith("../"):
            root, photo, mask = self._above, f"{self._name}/{photo}", mask.removeprefix("../")
        return Pair(root.uri, photo, mask, kind, group or photo, split)


def _above(root: Root) -> tuple[Root, str]:
    """The root one level up, and the name of `root` in it, "" when `root` is a whole bucket or the disk."""
    if isinstance(root, Folder):
        return Folder(root.path.parent), root.path.name
    above, _, name = root.prefix.rpartition("/")
    return Bucket(root.bucket, above, root.endpoint_url), name


def _from_tree(root: Root, taken: Collection[str]) -> Found:
    """The photos of a tree, paired by name; `taken`: uris of photos that are cutouts or backdrops."""
    files = _Listing(root)
    if not files.keys:
        raise GlassegError(f"there is nothing in {root.uri}: is it the right place?")
    photos = [key for key in sorted(files.keys) if is_photo(key) and root.uri_of(key) not in taken]
    if any(key.startswith("images/") for key in photos) and any(key.startswith("masks/") for key in files.keys):
        found = {key: masks.in_masks_folder(key, files.masks) for key in photos if key.startswith("images/")}
    else:
        found = {key: files.mask_of(key) for key in photos if not masks.is_mask(key)}
    return Found(
        pairs=[files.pair(photo, mask) for photo, mask in found.items() if mask],
        problems=[Problem(photo, "has no mask") for photo, mask in found.items() if not mask],
        left_out={"not in images/": aside} if (aside := sum(_is_aside(key) for key in {*photos} - {*found})) else {},
    )


def _is_aside(key: str) -> bool:
    """Whether a photo outside images/ is not a mask either."""
    return not key.startswith("masks/") and not masks.is_mask(key)


def _from_list(root: Root, index: str) -> Found:
    """What the list `index` of the root names. Raises GlassegError if it can't be used or names a photo twice."""
    where = root.uri_of(index)
    try:
        rows = reader.read(where, root.read(index)[0])
    except PhotoError as error:
        raise GlassegError(f"can't read the list {where}: {error}") from error
    if rows and not {"image", "file"} & rows[0].keys():
        raise GlassegError(f"{where} has no column image: it must name the photos, and a column mask their masks")
    wanted = [row for row in rows if row.get("kind", "").lower() in KIND_WORDS]
    if rows and not wanted:
        raise GlassegError(f"{where} has no photo of a known kind: use {', '.join(filter(None, KIND_WORDS))}")
    unknown = Counter(f"of kind {kind}" for row in rows if (kind := row.get("kind", "").lower()) not in KIND_WORDS)
    root, way = _common_root(root, [name for row in wanted for name in (_image(row), row.get("mask", ""))])
    photos = [_key(way, _image(row)) for row in wanted]
    named = [_key(way, row.get("mask", "")) for row in wanted]
    files = _Listing(root, _common_folder([*photos, *named]))
    found, seen = Found(left_out=dict(unknown)), set[str]()
    for row, photo, mask in zip(wanted, photos, named, strict=True):
        if photo and photo in seen:
            raise GlassegError(f"{where} names {_image(row)} twice: a photo has one row")
        seen.add(photo)
        match _thing(files, row, photo, mask):
            case Pair() as pair:
                found.pairs.append(pair)
            case Backdrop() as backdrop:
                found.backdrops.append(backdrop)
            case str() as reason:
                found.problems.append(Problem(_image(row) or where, reason, _split(row)))
    return found


def _thing(files: _Listing, row: dict[str, str], photo: str, named: str) -> Pair | Backdrop | str | None:
    """The meaning of a row, or why it can't be used; None for a photo without a mask in a split that nobody uses.

    `photo` and `named`: the keys of its photo and of the mask that it names, "" for none.
    """
    kind, split = KIND_WORDS[row.get("kind", "").lower()], _split(row)
    group = row.get("group") or row.get("product_group") or ""
    if photo not in files.keys:
        return "is not there" if photo else "has a row without an image"
    if not isinstance(kind, Kind):
        return Backdrop(files.root.uri, photo, split, row.get("source", ""))
    if kind != Kind.CUTOUT and named and named not in files.keys:
        return f"has no mask: {row['mask']} is not there"
    mask = None if kind == Kind.CUTOUT else named or files.mask_of(photo)
    if mask or kind == Kind.CUTOUT:
        return files.pair(photo, mask, kind=kind, group=group, split=split)
    left_out = "kind" in row and "mask" not in row and split not in {"", *Split}
    return None if left_out else "has no mask"


def _split(row: dict[str, str]) -> str:
    word = row.get("split", "").lower()
    return SPLIT_WORDS.get(word, word)


def _image(row: dict[str, str]) -> str:
    return row.get("image") or row.get("file") or ""


def _key(way: str, name: str) -> str:
    """The key of a list's `name`, possibly with Windows separators; `way` leads from the root to the list."""
    return posixpath.normpath(way + name.replace("\\", "/")) if name else ""


def _common_root(root: Root, names: Iterable[str]) -> tuple[Root, str]:
    """The root above all names of a list in `root`, some of which may lead up ("../"), and the way back down."""
    way = ""
    for _ in range(max((_key("", name).split("/").count("..") for name in names), default=0)):
        above, name = _above(root)
        if name:  # a name that leads out of the bucket or disk does not exist
            root, way = above, f"{name}/{way}"
    return root, way


def _common_folder(keys: Iterable[str]) -> str:
    """The folder that holds all keys, without "/" at its end: FOLDER_masks matches too if only photos are named."""
    return posixpath.commonprefix([key for key in keys if not unsafe_reason(key)]).rpartition("/")[0]
