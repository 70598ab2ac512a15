"""Which photo a mask of another tool is of, by its name, next to its photo or not; never guessing between two."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from glasseg.formats import is_photo
from glasseg.labels.masks import MASK_EXTENSIONS, by_stem, is_mask
from glasseg.lists.matching import SHOWN, Photos
from glasseg.lists.spelling import visible

_BESIDE: Final = {"images": "masks", "JPEGImages": "SegmentationClass", "SegmentationObject": "SegmentationClass"}
"""Folders without masks if there is the other one: of our own layout, and of CVAT's exports (Pascal VOC)."""
_MARK: Final = "_mask"


def photos_of(names: Collection[str], keys: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The key of the photo that each mask is of, by the mask's name; and why others can't be used, by theirs.

    `names`: of files, "/" separated; `keys`: of the photos. NAME_mask.png and NAME.png are masks of NAME.jpg, and of
    both only the first; .jpg may stand for .png, which comes first. A mask lies in the folder of its photo, else its
    folders count from the last one, as far as they are the photo's; with the name alone no other photo may share it.

    Photos may lie between the masks, and are in neither result: files next to their NAME_mask, those with all of a
    photo's own name (for .png: only where some file is named _mask; tools for labelling name masks so), and those in a
    folder that lies beside one of masks, see `_BESIDE`.
    """
    pictures = [name for name in names if is_photo(name) or is_mask(name)]
    if not pictures:
        return {}, {}
    search = _Search(pictures, keys)
    marked = {name: stem for name in pictures if is_mask(name) and search.meant(stem := _unmarked(name))}
    stems = {name: posixpath.splitext(name)[0] for name in pictures} | marked
    own = {name: key for name in pictures if name not in marked and (key := search.own(name))}
    photos = _photos(stems, marked, own)
    masks = {name: stem for name, stem in stems.items() if name not in photos}
    shared = Counter(own[name] for name in masks if name in own)
    first = set(by_stem(masks).values())
    found, refused = {}, {}
    for name, stem in masks.items():
        if posixpath.splitext(name)[1][1:].lower() not in MASK_EXTENSIONS:
            refused[name] = "a mask is PNG or JPEG: export it as PNG"
        elif name in own and shared[own[name]] > 1:
            better = f"{posixpath.basename(stem)}{_MARK}.png"
            refused[name] = f"this or another file of its name may be the photo itself: call the mask {better}"
        elif name in first:
            match search.meant(stem):
                case [key]:
                    found[name] = key
                case []:
                    refused[name] = "the destination knows no photo of this name"
                case several:
                    refused[name] = f"may be of several photos: {_shown(several)}; put it in the folder of its photo"
    return found, refused


def _photos(stems: Mapping[str, str], marked: Mapping[str, str], own: Collection[str]) -> set[str]:
    """The files of `stems` that are photos between masks; `own`: those with all of a photo's own name."""
    folders = {name: name.split("/")[:-1] for name in stems}
    there = {folder for above in folders.values() for folder in above}
    beside = {name for name, above in folders.items() if any(_BESIDE.get(folder) in there for folder in above)}
    stems_of_marked = set(marked.values())
    with_mask = {name for name, stem in stems.items() if stem in stems_of_marked}
    plain = not any(map(is_mask, stems))
    named_so = {name for name in own if not (plain and name.lower().endswith(".png"))}
    return (beside | with_mask | named_so) - marked.keys()


class _Search:
    """The photos that names of files may mean."""

    def __init__(self, names: Collection[str], keys: Collection[str]) -> None:
        self._photos = Photos("")
        whole = (one for name in names for one in (name, posixpath.splitext(name)[0], _unmarked(name)))
        self._photos.look_up(dict.fromkeys(end for one in whole for end in _ends(one)), list(keys))

    def meant(self, path: str) -> list[str]:
        """The photos whose keys `path` means, with or without an extension; several where that is not clear."""
        for end in _ends(path):
            if found := self._photos.named(end):
                alone = "/" not in end and end != path
                return (self._photos.like(end)[0] or found) if alone else found
        return []

    def own(self, name: str) -> str | None:
        """The key of the photo that has this very name, extension and all."""
        kind = posixpath.splitext(name)[1].lower()
        return next((key for key in self.meant(name) if posixpath.splitext(key)[1].lower() == kind), None)


def _ends(path: str) -> Iterator[str]:
    """`path` as it is, without the mark of a folder of masks (FOLDER_masks), and with ever fewer of its folders."""
    parts = path.split("/")
    yield path
    plain = [part.removesuffix("_masks") for part in parts[:-1]]
    if plain != parts[:-1]:
        yield "/".join([*plain, parts[-1]])
    yield from ("/".join(parts[start:]) for start in range(1, len(parts)))


def _unmarked(name: str) -> str:
    """`name` without its extension and the mark of a mask."""
    return posixpath.splitext(name)[0].removesuffix(_MARK)


def _shown(keys: list[str]) -> str:
    return ", ".join(map(visible, keys[:SHOWN])) + ", …" * (len(keys) > SHOWN)
