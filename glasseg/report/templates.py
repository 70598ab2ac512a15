"""Pages from their templates, which escape whatever comes from outside, with their styles and scripts in them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER: Final = Path(__file__).parent
_LABELS: Final = {"held": "held back"}
"""What people read where it differs from the state's name."""


def rendered(template: str, **values: Any) -> str:
    """A page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"label": label, "sha256": _sha256, "thousands": "{:,}".format}
    text = environment.get_template(template).render(**values)
    return text.replace("\r", "&#13;")  # a browser would read a bare CR as a line feed


def style(name: str) -> str:
    """A style in the colours that all pages share."""
    return text("theme.css") + text(name)


def text(name: str) -> str:
    """The text of a file beside the templates."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def label(state: str) -> str:
    """What people read for a photo's state."""
    return _LABELS.get(state, state)


def _sha256(text: str) -> str:
    """The name by which a security policy allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
