"""What the pages of an editor hold, and editors that are made with the model that the tests share."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from inprocess import Remembering
from PIL import Image

from glasseg.storage.roots import Root


@contextmanager
def one_model() -> Iterator[None]:
    """Editors are made with the one thread that all tests share; their test asks for `tensorflow` first."""
    with (
        mock.patch("glasseg.model.segmenter.Segmenter", Remembering),
        mock.patch("jobs.destination.editor.available_cpus", lambda: 1),
    ):
        yield


def folder_of(run: str) -> str:
    return f"_glasseg/report/{run}/edit/"


def files(root: Root, run: str) -> set[str]:
    """The names of an editor's files."""
    return {entry.key.removeprefix(folder_of(run)) for entry in root.list(folder_of(run))}


def edited(root: Root, run: str) -> list[dict[str, Any]]:
    """What the editor of a run shows of its photos."""
    found: list[dict[str, Any]] = json.loads(_script(root, folder_of(run) + "index.html", "photos"))
    return found


def page(root: Root, run: str, number: int) -> dict[str, Any]:
    """The pictures in the page of a photo, uint8 RGB or grey; None for those that it lacks."""
    data = json.loads(_script(root, f"{folder_of(run)}{number:04}.html", "data"))
    pictures = {name: data[name] for name in ("picture", "alpha", "labels")}
    return {name: None if uri is None else _picture(uri) for name, uri in pictures.items()}


def whose(root: Root, run: str, number: int) -> tuple[str, str]:
    """The key and etag of the photo that a page holds."""
    data = json.loads(_script(root, f"{folder_of(run)}{number:04}.html", "data"))
    return data["key"], data["source_etag"]


def _script(root: Root, key: str, name: str) -> str:
    text = root.read(key)[0].decode()
    [found] = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)
    return found


def _picture(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
