"""The editor of some photos, `DST/_glasseg/report/NAME/edit/`: a page with the data of each photo, and index.html."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from glasseg.catalog import manifest, records, reviewed, runs
from glasseg.catalog.reviewed import Word
from glasseg.catalog.schema import Row, is_held
from glasseg.config import WhitenConfig
from glasseg.cutout import picture
from glasseg.errors import ERROR_CODES, GlassegError, PhotoError
from glasseg.images import decoder, encoder
from glasseg.images.decoder import Photo
from glasseg.labels import corrections
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelFolder
from glasseg.report import editor
from glasseg.report.editor import EditedPhoto
from glasseg.storage import roots
from glasseg.storage.roots import Root
from jobs.engine import available_cpus, quiet_stderr
from jobs.terminal import progress, say

if TYPE_CHECKING:
    from glasseg.model.segmenter import Segmenter

SIDE: Final = 1600
"""Longest side of a copy in pixels."""
QUALITY: Final = 88
NEXT: Final = "next"
"""The name of the editor of a whole destination; the others are named after their runs."""
_AHEAD: Final = 2
"""Photos that are read and decoded while one is segmented: each may take a gigabyte."""


@dataclass(frozen=True)
class _Origin:
    """What made the pictures of a run: the model, and the limit up to which photos were decoded."""

    model: ModelFolder
    max_pixels: int


@dataclass(frozen=True)
class _Opened:
    """A photo as it is in the source, and the map of its earlier correction, h×w uint8."""

    photo: Photo
    labels: np.ndarray | None


class _LeftOut(Exception):
    """A photo can't be edited, and why."""


def folder_of(name: str) -> str:
    """Where the editor of a run is, or the one called `NEXT`."""
    return f"{manifest.report_folder(name)}edit/"


def index_of(name: str) -> str:
    """The page of an editor that a person opens. It is written last: where it is, the editor is whole."""
    return f"{folder_of(name)}index.html"


def stands(destination: Root, name: str) -> bool:
    """Whether there is an editor of a run, and not only the page that says what came after it."""
    return all(destination.exists(key) for key in (index_of(name), folder_of(name) + editor.page_name(0)))


def write(
    destination: Root,
    name: str,
    rows: Sequence[Row],
    known: Sequence[Mapping[str, Any]],
    *,
    title: str,
    endpoint_url: str | None,
) -> str | None:
    """Make the editor of some photos by their manifest rows, in this process, in place of all other editors.

    `known`: the records of runs, the newest first, which say where the photos are and which model made the pictures.
    Photos that can't be edited are left out and named. Returns the URI of index.html; None when no photo is left, then
    nothing is written. At most four photos are in memory at a time. Raises GlassegError when the source can't be read,
    or the destination not be written.
    """
    sources = _sources(destination, rows, known, endpoint_url)
    origins, faults = _origins(rows, known, endpoint_url)
    segmenters: dict[str, Segmenter] = {}
    photos: list[EditedPhoto] = []
    size = 0

    def opened(row: Row) -> _Opened:
        if fault := faults.get(row["model_id"]):
            raise _LeftOut(fault)
        return _open(row, sources[row["run_id"]], destination, origins[row["model_id"]].max_pixels)

    with ThreadPoolExecutor(_AHEAD) as pool, progress(len(rows), "edit") as bar:
        for row, opening in _ahead(pool, opened, rows):
            try:
                one = opening.result()
                shown = _facts(row, one.photo)
                page = _page(shown, one, _segmenter(segmenters, origins[row["model_id"]].model)).encode()
            except (_LeftOut, PhotoError) as error:
                say(f"  left out  {row['key']}: {error}", level="warning")
            except MemoryError:
                say(f"  left out  {row['key']}: no memory to decode it", level="warning")
            else:
                if not photos:  # an older index.html would show the new pages under the names of its own photos
                    roots.delete_if_allowed(destination, index_of(name))
                photos.append(shown)
                records.store(destination, folder_of(name) + editor.page_name(len(photos) - 1), page, lasting=False)
                size += len(page)
            bar.update(1)
    if not photos:
        return None
    shell = editor.shell(photos, title=title, destination=destination.uri, run=name)
    index = shell.encode("utf-8", "backslashreplace")
    records.store(destination, index_of(name), index)
    _sweep(destination, name, len(photos))
    uri = destination.uri_of(index_of(name))
    say(f"Editor: {uri} ({len(photos)} photo{'s' * (len(photos) > 1)}, {(size + len(index)) / 1e6:.1f} MB)")
    return uri


def _ahead(
    pool: ThreadPoolExecutor, opened: Callable[[Row], _Opened], rows: Iterable[Row]
) -> Iterator[tuple[Row, Future[_Opened]]]:
    """Each row with its photo, while the next ones are being opened."""
    opening: deque[tuple[Row, Future[_Opened]]] = deque()
    for row in rows:
        opening.append((row, pool.submit(opened, row)))
        if len(opening) > _AHEAD:
            yield opening.popleft()
    while opening:  # not all at once: what was given out must be able to go
        yield opening.popleft()


# --- where the photos are, and what found their glasses ---


def _sources(
    destination: Root, rows: Iterable[Row], known: Iterable[Mapping[str, Any]], endpoint_url: str | None
) -> dict[str, Root]:
    """By run, where its photos are: as its record says, or the newest one that does."""
    uris = {str(one["run_id"]): str(one["source"]) for one in known if one.get("source")}
    if not uris:
        raise GlassegError(f"no run says where the photos of {destination.uri} are: whiten them again first")
    newest = next(iter(uris.values()))
    return {
        run_id: roots.open_root(uris.get(run_id, newest), endpoint_url=endpoint_url)
        for run_id in {row["run_id"] for row in rows}
    }


def _origins(
    rows: Iterable[Row], known: Sequence[Mapping[str, Any]], endpoint_url: str | None
) -> tuple[dict[str, _Origin], dict[str, str]]:
    """What made the pictures, by the ids of their models; and what keeps others from being edited."""
    origins: dict[str, _Origin] = {}
    faults: dict[str, str] = {}
    for model_id in dict.fromkeys(row["model_id"] for row in rows):
        made = [one for one in known if one.get("model_id") == model_id and isinstance(one.get("options"), Mapping)]
        options: Mapping[str, Any] = made[0]["options"] if made else {}
        uri = str(options.get("model", WhitenConfig.model))
        try:
            model = model_folder.load(uri, endpoint_url=endpoint_url)
        except GlassegError as error:
            faults[model_id] = str(error)
            continue
        if model.spec.model_id == model_id:
            origins[model_id] = _Origin(model, int(options.get("max_pixels", WhitenConfig.max_pixels)))
        else:
            now = f"the model {uri} is {model.spec.model_id} now"
            faults[model_id] = f"its picture was made by {model_id}, and {now}: whiten it again first"
    return origins, faults


def _segmenter(ready: dict[str, Segmenter], model: ModelFolder) -> Segmenter:
    """The segmenter of a model, which is set up once."""
    model_id = model.spec.model_id
    if model_id not in ready:
        with quiet_stderr(verbose=False):
            from glasseg.model.segmenter import Segmenter

            ready[model_id] = Segmenter(model, available_cpus())
    return ready[model_id]


# --- one photo ---


def _open(row: Row, source: Root, destination: Root, max_pixels: int) -> _Opened:
    """A photo and its earlier correction. Raises _LeftOut when it is not the one that the run saw, and PhotoError."""
    data, etag = source.read(row["key"])
    if etag != row["source_etag"]:
        raise _LeftOut("the photo has changed since: whiten it again first")
    photo = decoder.decode(data, max_pixels=max_pixels)
    if row["reviewed"] != Word.CORRECTED:
        return _Opened(photo, None)
    key = reviewed.map_key(row["key"], str(row["reviewed_run"]))
    try:
        data = destination.read(key)[0]
        labels = corrections.labels(data, photo.image.shape[:2], max_pixels, is_export=True)
    except (PhotoError, ValueError) as error:
        way_out = "mend that, or forget it with glasseg correct --withdraw"
        raise _LeftOut(f"its correction can't be read ({error}): {way_out}") from error
    return _Opened(photo, labels)


def _page(facts: EditedPhoto, opened: _Opened, segmenter: Segmenter) -> str:
    """The page of a photo: its copy on white, its alpha without a correction, and what was painted earlier."""
    shown = opened.photo.on_white()
    [seen] = segmenter.segment([shown])
    alpha = picture.alpha_of(opened.photo, seen, segmenter.spec)
    height, width = alpha.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    labels = opened.labels
    if labels is not None:
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    copy = encoder.encode(small, "jpeg", QUALITY)
    return editor.photo_page(facts, copy, _png(soft), None if labels is None else _png(labels))


def _png(plane: np.ndarray) -> bytes:
    return encoder.encode(plane, "png", QUALITY)


def _facts(row: Row, photo: Photo) -> EditedPhoto:
    code = row["error_code"] or ""
    return EditedPhoto(
        key=row["key"],
        source_etag=row["source_etag"] or "",
        model_id=row["model_id"],
        run_id=row["run_id"],
        size=(photo.image.shape[0], photo.image.shape[1]),
        state="held" if is_held(row) else row["status"],
        code=code,
        why=row["error"] or ERROR_CODES.get(code, ""),
        quality=row["quality"],
        corrected=row["reviewed"] == Word.CORRECTED,
    )


# --- other editors ---


def _sweep(destination: Root, name: str, pages: int) -> None:
    """Delete all editors but the new one, if the storage allows it: each holds copies of its photos.

    Where one was, an index.html stays that leads to the one that came after it: pages of runs and people link to it.
    """
    mine = {index_of(name), *(folder_of(name) + editor.page_name(i) for i in range(pages))}
    names = (NEXT, *runs.names(destination))  # to list all pages would take minutes
    with suppress(GlassegError), ThreadPoolExecutor(runs.THREADS) as pool:  # leftovers do no harm
        listed = pool.map(lambda one: list(destination.list(folder_of(one))), names)
        for one, entries in zip(names, listed, strict=True):
            others = {entry.key for entry in entries} - mine
            if len(others) > 1 and index_of(one) in others:
                records.store(destination, index_of(one), editor.replaced(f"../../{name}/edit/index.html").encode())
            for key in others - {index_of(one)}:
                records.discard(destination, key)
