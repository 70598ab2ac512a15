"""Labelled photos to judge masks by, and the commands that judge."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner

from glasseg.drawing.photo import draw_photo
from glasseg.storage.roots import open_root
from jobs.cli import cli

SIZE = (120, 160)


def draw(path: Path, number: int, scene: str | None = None) -> None:
    """A drawn photo with its mask beside it."""
    photo = draw_photo(np.random.default_rng(number), SIZE, scene=scene)
    cv2.imwrite(str(path), photo.image[..., ::-1])
    cv2.imwrite(str(path.with_name(f"{path.stem}_mask.png")), (photo.coverage > 0.5).astype(np.uint8) * 255)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def fill(uri: str, photos: int = 5) -> None:
    """Drawn photos with masks at a place, two more that can't be judged, and products with backgrounds in a list."""
    root, rows = open_root(uri), ["image,kind,split,source"]
    for number in range(photos):
        photo = draw_photo(np.random.default_rng(number), (120, 160))
        root.write(f"real/a {number}.png", png(photo.image[..., ::-1]))
        root.write(f"real/a {number}_mask.png", png((photo.coverage > 0.5).astype(np.uint8) * 255))
        rows.append(f"real/a {number}.png,scene,{'test' if number else 'train'},")
        white = draw_photo(np.random.default_rng(50 + number), (120, 160), scene="white")
        root.write(f"p{number}.png", png(white.image[..., ::-1]))
        root.write(f"p{number}_mask.png", png((white.coverage > 0.5).astype(np.uint8) * 255))
        rows.append(f"p{number}.png,product,validation,")
    for name, source in (("table", "mine"), ("natural", "BIDS/BSDS500")):
        root.write(f"{name}.png", png(np.full((90, 120, 3), 120, np.uint8)))
        rows.append(f"{name}.png,background,validation,{source}")
    root.write("index.csv", "\n".join(rows).encode())


def fill_for_calibration(folder: Path) -> None:
    """Twenty-six photos, of which one is to train on, and three products with a background, in a list."""
    rows = ["image,kind,split,group"]
    for number in range(26):
        draw(folder / f"a{number}.png", number)
        rows.append(f"a{number}.png,scene,{'validation' if number else 'train'},")
    for number in range(3):
        draw(folder / f"p{number}.png", 50 + number, scene="white")
        rows.append(f"p{number}.png,product,validation,product {number % 2}")
    cv2.imwrite(str(folder / "table.png"), np.full((90, 120, 3), 120, np.uint8))
    rows.append("table.png,background,validation,")
    (folder / "index.csv").write_text("\n".join(rows))


def evaluate(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=True)
    if code == 0:
        assert result.exception is None, result.output
        return result.stdout
    return str(result.exception)


def calibrate(*arguments: object, code: int = 0) -> tuple[str, str]:
    """What it printed and said; with another exit code nothing and why."""
    result = CliRunner().invoke(cli, ["calibrate", *map(str, arguments)])
    if code == 0:
        assert result.exception is None, result.output
        return result.stdout, result.stderr
    return "", str(result.exception)
