"""`glasseg demo`: the parts of it in this process, then the command as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glasseg.config import DemoConfig
from glasseg.drawing.scenes import SCENES
from glasseg.errors import GlassegError
from glasseg.images import decoder
from glasseg.model import folder as model_folder
from jobs.demo import run

NOISE = re.compile(r"INFO|WARNING|oneDNN|\(pid=|\(raylet|Traceback|Deprecat|ray\.io", re.IGNORECASE)
ROW: dict[str, Any] = {
    "key": "a.jpg",
    "status": "ok",
    "mask_coverage": 0.12345,
    "confidence": 0.9,
    "read_ms": 1.2,
    "segment_ms": 80.0,
    "write_ms": 20.0,
}
FAILED = dict.fromkeys(ROW) | {"key": "b c.jpg", "status": "failed"}


# --- the parts ---


def test_the_table_is_aligned_and_shows_a_dash_for_what_is_not_known() -> None:
    head, *lines = run.table([ROW, FAILED]).splitlines()
    assert head.split() == list(run.TABLE)
    assert lines[0].split() == ["a.jpg", "ok", "0.1235", "0.900", "101"]
    assert lines[1].split() == ["b", "c.jpg", "failed", "–", "–", "–"]
    assert {len(line) for line in lines} == {len(head)}


def test_the_table_fits_100_columns_however_long_a_name_is() -> None:
    text = run.table([ROW, FAILED | {"key": "first-" + "x" * 200 + "-last.jpg"}])
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "first-" in text and "…" in text and "-last.jpg" in text


def test_file_names_are_unique_and_of_all_the_promised_kinds() -> None:
    taken: set[str] = set()
    names = [run._file_name(i, "round-gold-oak", taken) for i in range(5)]
    assert names == [
        "round gold-oak.jpg",
        "round-gold-oak-2.png",
        "round-gold-oak-3.webp",
        "round-gold-oak-4.jpg",
        "round-gold-oak-5.jpg",
    ]


def test_scenes_vary_and_more_photos_begin_with_the_same_ones() -> None:
    few, many = run._subjects(3, 7), run._subjects(23, 7)
    assert many[:3] == few
    assert {scene for _, scene in many[:10]} == set(SCENES)
    assert run._subjects(10, 8) != run._subjects(10, 7)


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taxes.xlsx").write_text("mine")
    with pytest.raises(GlassegError, match="not from a demo"):
        run._take(tmp_path, overwrite=False)
    assert [one.name for one in tmp_path.iterdir()] == ["taxes.xlsx"]
    run._take(tmp_path, overwrite=True)
    run._take(tmp_path, overwrite=False)  # by now it is a demo's
    assert (tmp_path / "taxes.xlsx").read_text() == "mine"


def test_a_missing_model_is_known_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match="no model in"):
        run.demo(DemoConfig(out=str(tmp_path / "out"), model=str(tmp_path / "none")))
    assert not (tmp_path / "out").exists()


def test_drawing_again_leaves_what_is_there_and_overwrite_does_not(tmp_path: Path) -> None:
    config = DemoConfig(photos=1, seed=3)
    run._draw_catalog(tmp_path, config)
    (photo,) = tmp_path.iterdir()
    drawn = photo.read_bytes()
    photo.write_bytes(b"retouched")
    run._draw_catalog(tmp_path, config)
    assert photo.read_bytes() == b"retouched"
    run._draw_catalog(tmp_path, DemoConfig(photos=1, seed=3, overwrite=True))
    assert photo.read_bytes() == drawn and len(list(tmp_path.iterdir())) == 1


# --- the command ---


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged model, or where it is not trained yet a folder with an untrained one."""
    if (Path(model_folder.packaged_folder()) / model_folder.SPEC_NAME).exists():
        return model_folder.PACKAGED
    folder = tmp_path_factory.mktemp("untrained")
    # In a process of its own: TensorFlow in this one would slow what other tests start.
    code = (
        "import sys; from pathlib import Path; from glasseg.model import folder, unet\n"
        "folder.save(Path(sys.argv[1]), unet.build('compact'), "
        "resize='letterbox', passes=1, threshold=0.5, ramp=0.5, training={})"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, timeout=200)
    return str(folder)


def start(model: str, out: Path) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a folder of its own."""
    command = [sys.executable, "-m", "jobs.cli", "demo", "--photos", "3", "--out", out.name, "--model", model]
    paths = os.pathsep.join([str(Path(run.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    # A cluster that is not there: the demo must not look for it.
    environment = os.environ | {"PYTHONPATH": paths, "RAY_ADDRESS": "127.0.0.1:1"}
    return subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=280)  # noqa: PLW1510


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_draws_whitens_and_shows_and_a_second_run_finds_nothing_to_do(model: str, tmp_path: Path) -> None:
    out = tmp_path / "a demo"
    first = start(model, out)
    assert first.returncode == 0, first.stderr
    assert not NOISE.search(first.stderr), first.stderr

    photos = sorted(path.name for path in (out / "photos").iterdir())
    assert sorted(Path(name).suffix for name in photos) == [".jpg", ".png", ".webp"]
    assert any(" " in name for name in photos)
    head, *lines = first.stdout.splitlines()
    assert head.split() == list(run.TABLE) and len(lines) == 3
    for name, line in zip(photos, lines, strict=True):
        assert line.startswith(name) and line.removeprefix(name).split()[0] in {"ok", "review"}
        before, after = (
            decoder.decode_on_white((out / folder / name).read_bytes(), max_pixels=10**7)
            for folder in ("photos", "white")
        )
        assert before.shape == after.shape == (*run.SIZE, 3)
    assert list((out / "white/_glasseg/manifest").rglob("*.parquet"))
    sheet = decoder.decode_on_white((out / "before-after.png").read_bytes(), max_pixels=10**8)
    assert sheet.std() > 20 and len(np.unique(sheet.reshape(-1, 3), axis=0)) > 1000
    assert "a demo/before-after.png" in first.stderr and "glasseg whiten YOUR_PHOTOS WHITE" in first.stderr

    (out / "before-after.png").unlink()
    second = start(model, out)
    assert second.returncode == 0 and "Nothing to do" in second.stderr, second.stderr
    assert second.stdout == first.stdout and (out / "before-after.png").exists()
    done = sorted(json.loads(path.read_text())["processed"] for path in (out / "white/_glasseg/runs").iterdir())
    assert done == [0, 3]
