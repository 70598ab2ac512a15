"""The editor of a run's masks: a shell with all of its tools, and one page of data per photo that it edits.

A page that is opened from a disk can't read the pixels of a picture beside it. So each photo is in a page of its own,
as text, which the shell loads in a hidden frame and which posts that text to it. What comes from outside (names,
messages) is escaped by the templates or read from JSON; a policy allows each page its own script and nothing else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from glasseg.report.templates import label, rendered, style, text

_SCRIPTS: Final = ("png", "labels", "paint", "lens", "photos", "view", "tools", "desk", "controls")
"""The parts of the shell's script, in order: `editor_NAME.js`."""


@dataclass(frozen=True)
class EditedPhoto:
    """What the shell shows of a photo."""

    key: str
    source_etag: str
    model_id: str
    run_id: str
    size: tuple[int, int]
    """(height, width) of the photo itself, upright."""
    state: str
    """ok, review or held."""
    code: str
    why: str
    """The error code of its row and what that means; "" without."""
    quality: float | None
    corrected: bool
    """Whether a correction of it is in force."""


def shell(photos: Sequence[EditedPhoto], *, title: str, destination: str, run: str) -> str:
    """`index.html`: everything but the pictures. Photo i of `photos` is edited from the page `page_name(i)`."""
    return rendered(
        "editor.html",
        style=style("editor.css"),
        script="".join(text(f"editor_{name}.js") for name in _SCRIPTS),
        title=title,
        destination=destination,
        run=run,
        photos=[{**asdict(photo), "label": label(photo.state)} for photo in photos],
    )


def page_name(index: int) -> str:
    """The file of photo `index`, from 0, beside `index.html`."""
    return f"{index + 1:04}.html"


def photo_page(photo: EditedPhoto, picture: bytes, alpha: bytes, labels: bytes | None) -> str:
    """The data of one photo as a page, which says whose they are: a shell that is older than its pages refuses them.

    `picture`: the copy that is edited, a JPEG of h×w pixels. `alpha`: its mask, and `labels`: the map of an earlier
    correction; both 8-bit grey PNGs of h×w pixels that are not interlaced.
    """
    data = {
        "key": photo.key,
        "source_etag": photo.source_etag,
        "picture": _data_uri("image/jpeg", picture),
        "alpha": _data_uri("image/png", alpha),
        "labels": _data_uri("image/png", labels) if labels else None,
    }
    return rendered("editor_photo.html", script=text("editor_photo.js"), data=data)


def replaced(link: str) -> str:
    """`index.html` of an editor that is gone: it leads to the one that came after it, at the relative URL `link`."""
    return rendered("editor_replaced.html", style=text("editor_replaced.css"), link=link)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
