"""Text as HTML: whatever comes from outside passes `escape`."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any


def escape(value: Any) -> str:
    """Text as the same text in HTML, also inside an attribute. A browser would read a bare CR as a line feed."""
    return html.escape(str(value)).replace("\r", "&#13;")


def facts(lines: Mapping[Any, Any], kind: str = "") -> str:
    """Names and values; those without a value are left out."""
    pairs = (
        f"<div><dt>{escape(name)}</dt><dd><bdi>{escape(value)}</bdi></dd></div>"
        for name, value in lines.items()
        if value not in (None, "")
    )
    body = "".join(pairs)
    return f'<dl class="facts {kind}">{body}</dl>' if body else ""
