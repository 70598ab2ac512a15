"""`glasseg calibrate`, its worker in this process: what it fits, writes, prints and refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from judging import calibrate, draw, fill_for_calibration

from glasseg.model import folder as model_folder
from glasseg.model import quality
from jobs.cli import cli

pytestmark = pytest.mark.usefixtures("judged_here")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-six photos, of which one is to train on, and three products with a background, in a list."""
    folder = tmp_path_factory.mktemp("data")
    fill_for_calibration(folder)
    return folder


@pytest.fixture
def model(untrained_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untrained_folder, tmp_path / "model"))


def test_a_calibration_is_fitted_printed_and_noted_in_model_and_card(data: Path, model: Path) -> None:
    before = model_folder.load(str(model))
    printed, shown = calibrate(model, data, "--composites", 20)
    after = model_folder.load(str(model))
    calibration, worth = after.spec.calibration, after.spec.training["quality"]
    assert calibration is not None and calibration.id in shown
    assert after.spec.model_id == before.spec.model_id and after.weights == before.weights
    assert (worth["photos"]["n"], worth["composites"]["n"], worth["data"]) == (25, 20, data.name)
    assert sum(row["n"] for row in worth["reliability"]) == 25, "only the photos"
    assert {name: after.spec.training[name] for name in before.spec.training} == before.spec.training
    lines = printed.splitlines()
    assert lines[1].split()[:2] == ["photos", "25"] and lines[2].split()[:2] == ["composites", "20"]
    card = (model / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Quality" in card and f"below {calibration.review_below:g} a person" in card
    assert card.count("\n| 0") >= len(worth["reliability"]) and str(data.parent) not in card
    assert not (model / "_glasseg").exists()
    calibrate(model, data, "--composites", 20)
    assert model_folder.load(str(model)).spec.quality == after.spec.quality, "the same photos fit the same calibration"


def test_too_few_photos_change_nothing(data: Path, model: Path) -> None:
    before = (model / "model.json").read_bytes()
    _, why = calibrate(model, data, "--composites", 0, code=1)
    assert f"25 masks of {data} can be judged" in why and "takes 40" in why
    assert (model / "model.json").read_bytes() == before and not (model / "MODEL_CARD.md").exists()


def test_the_packaged_model_is_refused(data: Path) -> None:
    assert "give that folder instead of packaged" in calibrate("packaged", data, code=1)[1]


def test_without_a_split_and_products_all_photos_count(data: Path, model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(41):
        draw(photos / f"{number}.png", number)
    printed, shown = calibrate(model, photos)
    assert "no composites" in shown and printed.splitlines()[1].split()[:2] == ["photos", "41"]
    worth = model_folder.load(str(model)).spec.training["quality"]
    assert "composites" not in worth and worth["photos"]["n"] == 41


def test_rows_of_the_judge_know_the_signs_of_every_mask(data: Path, untrained_folder: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    arguments = ["evaluate", str(untrained_folder), str(data), "--composites", "6", "--out", str(tmp_path)]
    assert CliRunner().invoke(cli, arguments).exception is None
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert {row["group"] for row in rows} == {"product 0", "product 1"}
    for row in rows:
        assert 0 <= row["confidence"] <= 1 and len(row["features"]) == len(quality.FEATURES)
