"""`glasseg demo`: draws a small catalog, whitens it with the real job and shows the result, without data or network."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from glasseg.catalog import manifest
from glasseg.config import DemoConfig, WhitenConfig
from glasseg.drawing.photo import SCENES, DrawnPhoto, draw_photo
from glasseg.errors import GlassegError, PhotoError
from glasseg.formats import format_of, is_photo, output_name
from glasseg.images import decoder, encoder
from glasseg.model import folder as model_folder
from glasseg.report import contact_sheets
from glasseg.storage.roots import Folder
from jobs.demo import looks, scales
from jobs.terminal import columns, say
from jobs.whiten.run import whiten

SIZE: Final = (1200, 1600)
"""(height, width) of the drawn photos."""
QUALITY: Final = 92

TABLE: Final = {"key": "", "status": "", "mask_coverage": ".4f", "confidence": ".3f", "ms": ",.0f"}
KEY_WIDTH: Final = 56
"""Longer keys are cut to this many characters, so that the table fits into 100 columns."""

MARK: Final = "glasseg-demo.txt"
ABOUT: Final = """\
This folder was made by `glasseg demo`.

photos/             drawn photos of glasses that do not exist; you can add photos of your own
white/              the same photos on pure white
white/_glasseg/     the manifest (parquet, one row per photo) and a summary of every run
before-after.png    all photos before and after on one sheet
looks.png           what the picture options of `glasseg whiten` do
scales.png          what --scale-by does

Another `glasseg demo` whitens the photos that are new or have changed. You can delete this folder at any time.
"""
"""Explains the folder to people; the file also shows a later demo that it may work there."""


def demo(config: DemoConfig) -> int:
    """Draw a catalog into OUT/photos, whiten it into OUT/white and show it; return the exit code of whiten.

    Existing files stay: a second run draws and whitens only what is missing. Raises GlassegError as whiten does, and
    when OUT holds something else.
    """
    out = Path(config.out).absolute()
    model_folder.load(config.model)  # a missing model is reported before anything is drawn
    _take(out, config.overwrite)
    _draw_catalog(out / "photos", config)
    with redirect_stdout(sys.stderr):  # whiten's closing line is for people here; the data is the table
        # local: the workers of a cluster elsewhere could not read OUT
        options = WhitenConfig(model=config.model, address="local", overwrite=config.overwrite, verbose=config.verbose)
        code = whiten(str(out / "photos"), str(out / "white"), options)
    rows = last_rows(out)
    _replace(out / "before-after.png", encoder.encode(_sheet(out, rows), "png", 100))
    _replace(out / "looks.png", encoder.encode(looks.sheet(), "png", 100))
    _replace(out / "scales.png", encoder.encode(scales.sheet(), "png", 100))
    say()
    click.echo(table(rows))
    _say_where(out, config.model)
    return code


def _take(out: Path, overwrite: bool) -> None:
    """Create OUT with its `MARK`. Raises GlassegError when it holds something that no demo put there."""
    try:
        foreign = out.is_dir() and not (out / MARK).exists() and any(out.iterdir())
        if foreign and not overwrite:
            raise GlassegError(
                f"{_shown(out)} is not empty and not from a demo: choose another --out, or add --overwrite"
            )
        (out / "photos").mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text(ABOUT, encoding="utf-8")
    except OSError as error:
        raise GlassegError(f"can't write to {_shown(out)}: {error.strerror}") from error


# --- drawing ---


def _draw_catalog(folder: Path, config: DemoConfig) -> None:
    """Draw the catalog of a seed into `folder`. An existing photo stays as it is, unless `overwrite`."""
    from tqdm import tqdm

    say(f"Drawing {config.photos} photos of glasses into {_shown(folder)}")
    taken: set[str] = set()
    with ThreadPoolExecutor(min(config.photos, os.cpu_count() or 1)) as pool:
        drawn = pool.map(_draw, *zip(*_subjects(config.photos, config.seed), strict=True))
        # disable=None: no bar without a terminal
        bar = tqdm(drawn, total=config.photos, desc="draw", unit=" photos", leave=False, disable=None)
        for i, photo in enumerate(bar):
            path = folder / _file_name(i, photo.name, taken)
            if config.overwrite or not path.exists():
                _replace(path, encoder.encode(photo.image, format_of(path.name), QUALITY))


def _subjects(photos: int, seed: int) -> list[tuple[list[int], str]]:
    """A seed and a scene for every photo; each scene comes once before any comes again."""
    rng = np.random.default_rng(seed)
    scenes: list[str] = []
    while len(scenes) < photos:
        scenes += [str(scene) for scene in rng.permutation(SCENES)]
    return [([seed, i], scenes[i]) for i in range(photos)]


def _draw(seed: list[int], scene: str) -> DrawnPhoto:
    return draw_photo(np.random.default_rng(seed), SIZE, scene=scene)


def _file_name(i: int, name: str, taken: set[str]) -> str:
    """A unique file name for photo `i`: JPEGs as in a catalog, one of them with a space, one PNG and one WebP."""
    unique, n = name, 1
    while unique in taken:
        n += 1
        unique = f"{name}-{n}"
    taken.add(unique)
    if i == 0:
        unique = unique.replace("-", " ", 1)
    return unique + {1: ".png", 2: ".webp"}.get(i, ".jpg")


def _replace(path: Path, data: bytes) -> None:
    """Write a file completely or not at all: half a photo left by Ctrl-C would stay forever."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise GlassegError(f"can't write {_shown(path)}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


# --- showing ---


def last_rows(out: Path) -> list[dict[str, Any]]:
    """The manifest's last row of every photo in OUT/photos, sorted by key."""
    columns = ["key", "status", "mask_coverage", "confidence", "read_ms", "segment_ms", "write_ms", "run_seq"]
    rows = manifest.read(Folder(out / "white"), columns).sort_by("run_seq").to_pylist()
    there = {entry.key for entry in Folder(out / "photos").list() if is_photo(entry.key)}
    return [row for key, row in sorted({row["key"]: row for row in rows}.items()) if key in there]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Manifest rows as a text table; `ms` covers reading, segmenting and writing."""
    return columns(TABLE, map(_cells, rows))


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    steps = [row[f"{step}_ms"] for step in ("read", "segment", "write")]
    milliseconds = None if None in steps else sum(steps)
    return _cut(row["key"], KEY_WIDTH), row["status"], row["mask_coverage"], row["confidence"], milliseconds


def _cut(text: str, width: int) -> str:
    """`text`, with … for its middle if it is too long: names differ mostly at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _sheet(out: Path, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    """The contact sheet of OUT, H×W×3 uint8 RGB; if not all photos fit, those that are not ok come first."""
    first = sorted(rows, key=lambda row: row["status"] == "ok") if len(rows) > contact_sheets.LIMIT else rows
    return contact_sheets.contact_sheet(_pairs(out, first), total=len(rows))


def _pairs(out: Path, rows: Sequence[dict[str, Any]]) -> Iterator[contact_sheets.Pair]:
    for row in rows:
        before = _picture(out / "photos" / row["key"])
        after = None if row["status"] == "failed" else _picture(out / "white" / output_name(row["key"], "keep"))
        coverage = row["mask_coverage"]
        found = "" if coverage is None else f"  ·  {coverage:.1%} of the frame is glasses"
        yield before, after, f"{row['key']}\n{row['status']}{found}"


def _picture(path: Path) -> np.ndarray | None:
    """A picture, H×W×3 uint8 RGB, or None if it is missing or can't be read."""
    try:
        return decoder.decode_on_white(path.read_bytes(), max_pixels=WhitenConfig.max_pixels)
    except (OSError, PhotoError):
        return None


def _say_where(out: Path, model: str) -> None:
    """Print where to look, and what to try next."""
    with_model = "" if model == DemoConfig.model else f" --model {shlex.quote(model)}"
    places = {
        "before-after.png": "every photo before and after",
        "looks.png": "what the picture options do",
        "scales.png": "what --scale-by does",
        "photos": "the photos as they were",
        "white": "the same photos on white",
        f"white/{manifest.MANIFEST}": "the manifest (parquet)",
    }
    width = max(len(_shown(out / place)) for place in places)
    say()
    say("Look at")
    for place, what in places.items():
        say(f"  {_shown(out / place):<{width}}  {what}")
    say("Then try your own photos")
    say(f"  glasseg whiten YOUR_PHOTOS WHITE{with_model}")


def _shown(path: Path) -> str:
    """A path as the user would type it: relative if it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
