"""Commands that judge, on real Ray: several workers find what one process finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from judging import calibrate, evaluate, fill, fill_for_calibration
from s3server import S3Server

from glasseg.model import folder as model_folder

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fill(str(folder))
    return folder


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(
    data: Path, untrained_folder: Path, request: pytest.FixtureRequest
) -> None:
    asked = (untrained_folder, data, "--composites", 20, "--json")
    two = json.loads(evaluate(*asked, "--workers", 2))
    request.getfixturevalue("judged_here")
    assert json.loads(evaluate(*asked)) == two and two["photos"] == 20


@pytest.mark.slow
def test_a_calibration_does_not_depend_on_the_number_of_workers(
    untrained_folder: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data, models = tmp_path / "data", [tmp_path / name for name in ("two", "one")]
    data.mkdir()
    fill_for_calibration(data)
    for model in models:
        shutil.copytree(untrained_folder, model)
    calibrate(models[0], data, "--composites", 20, "--workers", 2)
    request.getfixturevalue("judged_here")
    calibrate(models[1], data, "--composites", 20)
    two, one = (model_folder.load(str(model)).spec for model in models)
    assert two.quality == one.quality is not None and two.training["quality"] == one.training["quality"]


@pytest.mark.slow
def test_data_on_s3_is_judged_by_workers(s3: S3Server, untrained_folder: Path, tensorflow: Any) -> None:
    source = f"s3://{s3.bucket}/judged"
    fill(source, photos=3)
    printed = evaluate(untrained_folder, f"{source}/real", "--out", f"{source}-out")
    assert "on 3 photos of real" in printed and "strict_iou" in printed
