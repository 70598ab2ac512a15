"""Stand-in."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class EditedPhoto:
    key: str
    source_etag: str
    model_id: str
    run_id: str
    size: tuple[int, int]
    state: str
    code: str
    why: str
    quality: float | None
    corrected: bool


def shell(photos: Sequence[EditedPhoto], *, title: str, destination: str, run: str) -> str:
    data = {"photos": [asdict(one) for one in photos], "title": title, "destination": destination, "run": run}
    return f"<!doctype html><script>{json.dumps(data)}</script>"


def photo_page(picture: bytes, alpha: bytes, labels: bytes | None) -> str:
    found = {"image/jpeg": picture, "image/png": alpha, **({"image/png;labels": labels} if labels else {})}
    uris = [f"data:{kind.partition(';')[0]};base64,{base64.b64encode(data).decode()}" for kind, data in found.items()]
    return f"<!doctype html><script>{json.dumps(uris)}</script>"
