"""`glasseg train` on a tiny drawn data set, through a real Ray Train worker."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from glasseg import modelfolder
from glasseg.drawing import draw_photo

SIDE = 160


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn cutouts and four plain backgrounds, half of them for validation, with their index."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(8):
        photo = draw_photo(np.random.default_rng(number), (SIDE, SIDE), scene="white")
        alpha = np.rint(photo.coverage * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"c{number}.png"), np.dstack([photo.image[..., ::-1], alpha]))
        rows.append((f"c{number}.png", "cutout", f"g{number}", "validation" if number % 2 else "train"))
    for number in range(4):
        cv2.imwrite(str(folder / f"b{number}.jpg"), np.full((SIDE, SIDE, 3), 40 * number + 40, np.uint8))
        rows.append((f"b{number}.jpg", "background", "", "validation" if number % 2 else "train"))
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "kind", "product_group", "split"), *rows])
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_training_writes_a_model_that_learned_something(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    settings = "minutes=1.2, validate_minutes=0.5, batch=4, validation_photos=8, drawn=2, warmup_steps=5"
    code = (
        "from pathlib import Path; from glasseg.config import TrainConfig; from jobs.train import train; "
        f"train(Path({str(data)!r}), Path({str(out)!r}), TrainConfig({settings}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "(pid=" not in done.stderr
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(log) >= 2
    assert log[-1]["loss"] < log[0]["loss"]
    model = modelfolder.load(str(out))
    assert model.spec.preset == "compact"
    assert model.spec.training["iou"] == max(row["iou"] for row in log)
    assert {path.name for path in out.iterdir()} == {"log.jsonl", "model.json", "model.weights.h5"}


@pytest.mark.slow
def test_a_used_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    command = [sys.executable, "-m", "jobs.cli", "train", str(data), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1
    assert "already holds a model" in done.stderr
