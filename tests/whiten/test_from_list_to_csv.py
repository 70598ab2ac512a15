"""The example in the guide to the catalog, followed to the letter: a list, several outputs, and the shop's csv."""

from __future__ import annotations

from pathlib import Path

import cv2
import guides
import inprocess
import pytest

from glasseg.drawing.photo import draw_views
from jobs.whiten.command import configs
from jobs.whiten.run import whiten as run

pytest.importorskip("tensorflow")

VIEWS = {"front": 0.0, "angle": 0.7, "side": 1.45}


def test_the_guides_example_goes_from_list_to_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [given, made], [tables, *_] = guides.blocks("csv", "docs/catalog.md"), guides.blocks("toml", "docs/catalog.md")
    command = next(one for one in guides.blocks("sh", "docs/catalog.md") if "spring.csv" in one)
    monkeypatch.chdir(tmp_path)
    Path("spring.csv").write_text(given, encoding="utf-8")
    Path("outputs.toml").write_text(tables, encoding="utf-8")
    draw(given.splitlines()[1:])
    with guides.parse(command) as context:
        config, outputs = configs(context)
    assert run("photos", "pictures", config, outputs=outputs, executor=inprocess.in_process) == 0
    assert Path("web.csv").read_text(encoding="utf-8").splitlines() == made.splitlines()
    named = [line.rpartition("/")[2].partition(",")[0] for line in made.splitlines()[1:]]
    assert pictures("web") == sorted(named)
    assert pictures("amazon") == [f"{sku}_{n}.jpg" for sku in ("00123", "00124") for n in (1, 2, 3)]
    assert pictures("print") == [f"IMG_{n}.tif" for n in range(4711, 4717)]


def draw(rows: list[str]) -> None:
    """The photos of the list: each product from its sides."""
    Path("photos").mkdir()
    for row in rows:
        name, sku, _, view, *_ = row.split(",")
        seed, share = {"00123": (12, 0.62), "00124": (3, 0.5)}[sku]
        [one] = draw_views(seed, [VIEWS[view]], (600, 800), share=share)
        assert cv2.imwrite(f"photos/{name}", one.image[..., ::-1])


def pictures(output: str) -> list[str]:
    return sorted(one.name for one in Path("pictures", output).iterdir() if one.is_file())
