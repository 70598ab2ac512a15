"""`glasseg evaluate`, its worker in this process: what it prints, writes, skips and refuses."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from judging import evaluate, fill, png

from glasseg.model import folder as model_folder
from glasseg.storage.roots import open_root
from jobs.cli import cli
from jobs.evaluate.judge import SCORES

pytestmark = pytest.mark.usefixtures("judged_here")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    fill(str(folder))
    return folder


def test_data_and_scores_may_lie_anywhere(new_uri: Callable[[], str], untrained_folder: Path) -> None:
    source, out = new_uri(), new_uri()
    fill(source, photos=3)
    printed = evaluate(untrained_folder, f"{source}/real", "--out", f"{out}/judged")
    assert "on 3 photos of real" in printed and "strict_iou" in printed and "by brightness" in printed
    root = open_root(f"{out}/judged")
    names = {entry.key for entry in root.list()}
    assert names == {"scores.parquet", "summary.json", "worst.png", "random.png", "precision-recall.png"}
    assert evaluate(untrained_folder, f"{source}/real", "--out", f"{out}/judged", code=1).count("already holds scores")


def test_every_photo_has_a_row_with_its_conditions(data: Path, untrained_folder: Path, tmp_path: Path) -> None:
    evaluate(untrained_folder, data / "real", "--out", tmp_path / "out")
    assert not (tmp_path / "out/_glasseg").exists()
    table = pq.read_table(tmp_path / "out/scores.parquet")
    assert table.schema.equals(SCORES)
    rows = table.to_pylist()
    assert [row["name"] for row in rows] == [f"a {i}.png" for i in range(5)]
    assert all(row["width"] == 160 and row["height"] == 120 and 0 < row["scale"] <= 1 for row in rows)
    assert all(row["openings_left_out"] is None and row["tilt_class"] for row in rows)


def test_json_holds_everything_and_no_nan(data: Path, untrained_folder: Path) -> None:
    found = json.loads(evaluate(untrained_folder, data / "real", "--json"), parse_constant=pytest.fail)
    assert found["photos"] == len(found["photos_judged"]) == 5
    mean = np.mean([row["strict_iou"] for row in found["photos_judged"]])
    assert found["summary"]["strict_iou"]["mean"] == pytest.approx(mean) == found["set"]["photo_iou"]
    assert sum(row["n"] for row in found["breakdown"]["tilt"].values()) == 5
    assert "rim_error" not in found["summary"], "what these look like on white is not known"


def test_test_pictures_are_of_all_kinds_and_their_rims_are_judged(data: Path, untrained_folder: Path) -> None:
    found = json.loads(evaluate(untrained_folder, data, "--composites", 20, "--json"))
    kinds = {row["kind"] for row in found["photos_judged"]}
    assert kinds == {"studio", "table", "natural"} == set(found["breakdown"]["kind"])
    rims = {"rim_error", "halo", "rim_error_plain", "halo_plain"}
    assert rims <= set(found["summary"])
    assert all(row[name] is not None for row in found["photos_judged"] for name in rims)


def test_a_split_is_chosen_from_a_list(data: Path, untrained_folder: Path) -> None:
    assert "on 4 photos" in evaluate(untrained_folder, data, "--split", "test")
    assert "no labelled photo of the split nothing" in evaluate(untrained_folder, data, "--split", "nothing", code=1)


def test_what_can_not_be_judged_is_skipped_and_too_much_of_it_stops(
    data: Path, untrained_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "some"
    shutil.copytree(data / "real", folder)
    (folder / "a 0.png").write_bytes(b"no picture")
    (folder / "a 1_mask.png").write_bytes(png(np.full((9, 9), 255, np.uint8)))
    (folder / "a 2_mask.png").unlink()
    found = json.loads(evaluate(untrained_folder, folder, "--json"))
    assert found["photos"] == 2 and found["skipped"] == 3
    reasons = {problem["name"]: problem["reason"] for problem in found["problems"]}
    assert "not a picture" in reasons["a 0.png"] and "9×9" in reasons["a 1.png"] and reasons["a 2.png"] == "has no mask"
    stopped = evaluate(untrained_folder, folder, "--max-bad", 2, code=1)
    assert "3 photos can't be judged, more than --max-bad 2" in stopped


def test_the_set_has_a_name_also_when_it_is_the_current_folder(
    data: Path, untrained_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data / "real")
    found = json.loads(evaluate(untrained_folder, ".", "--json"))
    assert found["data"] == "real" and found["command"] == "glasseg evaluate MODEL real"


def test_test_pictures_are_of_the_kinds_that_there_are_backgrounds_for(
    data: Path, untrained_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    shutil.copytree(data, folder)
    rows = [row for row in (folder / "index.csv").read_text().splitlines() if not row.startswith("natural")]
    (folder / "index.csv").write_text("\n".join(rows))
    found = json.loads(evaluate(untrained_folder, folder, "--composites", 4, "--json"))
    assert {row["kind"] for row in found["photos_judged"]} == {"studio", "table"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--composites", 4, "--split", "test"), "leave out --split"),
        (("--gpus-per-worker", 8), "one worker wants 1 and 8"),
        (("--cpus-per-worker", 640), "one worker wants 640"),
    ],
)
def test_what_contradicts_or_fits_nowhere_is_refused(
    asked: tuple[object, ...], said: str, data: Path, untrained_folder: Path
) -> None:
    assert said in evaluate(untrained_folder, data, *asked, code=1)


def test_scores_do_not_land_among_the_photos_or_over_other_files(
    data: Path, untrained_folder: Path, tmp_path: Path
) -> None:
    assert "inside it or around it" in evaluate(untrained_folder, data, "--out", data / "judged", code=1)
    (tmp_path / "worst.png").write_bytes(b"of a training run")
    assert "already holds worst.png" in evaluate(untrained_folder, data / "real", "--out", tmp_path, code=1)


def test_a_reader_is_told_what_is_left_out_and_what_was_trained_on(data: Path, untrained_folder: Path) -> None:
    result = CliRunner().invoke(cli, ["evaluate", str(untrained_folder), str(data)])
    assert "5 products and cutouts left out" in result.stderr
    assert "1 of these 5 photos are in the split train" in result.stderr


def test_data_without_products_is_refused_before_a_worker_looks(data: Path, untrained_folder: Path) -> None:
    assert "no product or cutout" in evaluate(untrained_folder, data / "real", "--composites", 4, code=1)


def test_a_result_can_be_recorded_in_the_model(data: Path, untrained_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(untrained_folder, model)
    before = model_folder.load(str(model)).spec.model_id
    for _ in range(2):  # the second replaces the first
        evaluate(model, data / "real", "--record")
    assert not (model / "_glasseg").exists()
    spec = model_folder.load(str(model)).spec
    assert spec.model_id == before
    [test] = spec.training["tests"]
    assert test["command"] == "glasseg evaluate MODEL real" and test["photos"] == 5
    card = (model / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Test: real" in card and "strict IoU" in card and str(tmp_path) not in card
    assert "give that folder" in evaluate("packaged", data / "real", "--record", code=1)


def test_scores_are_those_of_the_products_own_masks(data: Path, untrained_folder: Path, tmp_path: Path) -> None:
    from glasseg.cutout import matte
    from glasseg.evaluation.metrics import score
    from glasseg.images import decoder
    from glasseg.labels.pairs import read_label
    from glasseg.model.segmenter import Segmenter

    evaluate(untrained_folder, data / "real", "--out", tmp_path / "out")
    row: dict[str, Any] = pq.read_table(tmp_path / "out/scores.parquet").to_pylist()[2]
    segmenter = Segmenter(model_folder.load(str(untrained_folder)), 1)
    image = decoder.decode_on_white((data / "real/a 2.png").read_bytes(), max_pixels=10**8)
    alpha = matte.alpha(image, segmenter.segment([image])[0].probability, segmenter.spec.threshold, segmenter.spec.ramp)
    expected = score(alpha, read_label((data / "real/a 2_mask.png").read_bytes()))
    assert row["strict_iou"] == pytest.approx(expected.strict_iou, abs=1e-9)
    assert row["boundary_f"] == pytest.approx(expected.boundary_f, abs=1e-9)
    assert math.isnan(expected.openings_left_out) and row["openings_left_out"] is None
