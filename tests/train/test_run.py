"""`glasseg train` on tiny drawn data, through real Ray Train workers, killed and started again, on a disk and on S3."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from raycluster import below, command_of

from glasseg.config import TrainConfig, TrainJob
from glasseg.drawing.photo import draw_photo
from glasseg.errors import GlassegError
from glasseg.labels.pairs import Backdrop, Found, Pair
from glasseg.model import folder as model_folder
from glasseg.storage.roots import open_root
from jobs.cli import cli
from jobs.train import datacheck
from jobs.train.course import Progress
from jobs.train.history import Tally, row
from jobs.train.resume import begin_or_resume, resumed
from jobs.train.run import find

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

SIZE = (160, 200)
SMALL = ["--cpus-per-worker", "1", "--loader-cpus", "1"]
QUICK = ["--batch", "4", "--validation-share", "0.3"]
FILES = {
    "MODEL_CARD.md",
    "curves.png",
    "history.parquet",
    "model.json",
    "model.weights.h5",
    "precision-recall.png",
    "random.png",
    "split.csv",
    "worst.png",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen drawn photos with their masks, one of them with an empty mask and one without any."""
    folder = tmp_path_factory.mktemp("labelled")
    for number in range(14):
        photo = draw_photo(np.random.default_rng(number), SIZE)
        cv2.imwrite(str(folder / f"a {number}.jpg"), photo.image[..., ::-1])
        cv2.imwrite(str(folder / f"a {number}_mask.png"), np.where(photo.coverage > 0.5, 255, 0).astype(np.uint8))
    cv2.imwrite(str(folder / "a 3_mask.png"), np.zeros(SIZE, np.uint8))
    (folder / "a 5_mask.png").unlink()
    return folder


def command(data: object, out: object, *options: str) -> list[str]:
    return [sys.executable, "-m", "jobs.cli", "train", str(data), str(out), *QUICK, *options]


def train(data: object, out: object, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(data, out, *options), capture_output=True, text=True, check=False)


def refused(*arguments: object) -> str:
    """The one line in which the command, here in this process, says why it does not train."""
    error = CliRunner().invoke(cli, ["train", *map(str, arguments), *QUICK]).exception
    assert isinstance(error, GlassegError) and error.exit_code == 1 and "\n" not in str(error)
    return str(error)


def history(uri: object) -> list[dict[str, Any]]:
    return list(pq.read_table(io.BytesIO(open_root(str(uri)).read("history.parquet")[0])).to_pylist())


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Three epochs of the classic recipe."""
    out = tmp_path_factory.mktemp("out") / "model"
    return out, train(data, out, "--preset", "baseline", "--epochs", "3", "--sides", "128")


@pytest.mark.slow
def test_a_model_folder_with_its_metrics_and_pictures_comes_out(trained: tuple[Path, Any]) -> None:
    out, done = trained
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == FILES
    spec = model_folder.load(str(out)).spec
    assert spec.preset == "baseline" and spec.resize == "stretch" and spec.passes == 1 and not spec.mirror
    assert spec.training["recipe"]["epochs"] == 3 and spec.training["data"]["photos"]["train"]["scene"] > 6
    for name in ("curves.png", "precision-recall.png", "worst.png", "random.png"):
        assert cv2.imread(str(out / name)).shape[0] > 300
    assert spec.model_id in (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert spec.quality is None, "so few photos are no evidence"


@pytest.mark.slow
def test_the_loss_falls_and_every_epoch_is_in_the_history(trained: tuple[Path, Any]) -> None:
    rows = history(trained[0])
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["loss"] < rows[0]["loss"]
    shares = ("accuracy", "precision", "recall", "f1", "iou", "photo_iou", "boundary_f", "share_95")
    assert all(0 <= row[f"val_{name}"] <= 1 for row in rows for name in shares)
    assert all(row["photos"] == rows[0]["photos"] > 6 and row["photos_per_second"] > 0 for row in rows)


@pytest.mark.slow
def test_photos_that_can_not_be_used_are_named_and_skipped(trained: tuple[Path, Any]) -> None:
    out, done = trained
    assert "skipped a 3.jpg: the mask is empty" in done.stderr and "skipped a 5.jpg: has no mask" in done.stderr
    assert model_folder.load(str(out)).spec.training["data"]["skipped"] == 2
    lines = (out / "split.csv").read_text().splitlines()
    assert len(lines) == 1 + 12 and {line.rsplit(",", 1)[1] for line in lines[1:]} == {"train", "validation"}


@pytest.mark.slow
def test_people_see_epochs_and_no_noise(trained: tuple[Path, Any]) -> None:
    done = trained[1]
    assert done.stderr.count("  epoch ") == 3 and "photos/s" in done.stderr
    assert "(pid=" not in done.stderr and done.stdout == ""


@pytest.mark.slow
def test_a_finished_model_is_refused_in_one_line(data: Path, trained: tuple[Path, Any]) -> None:
    assert "already holds a finished model" in refused(data, trained[0])


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "3"], "can't be shared evenly by 3 workers"),
        (["--start-from", "packaged", "--preset", "baseline"], "can't start a baseline one"),
        ([*SMALL, "--max-bad", "1"], "2 photos can't be used (first a 5.jpg: has no mask), more than --max-bad 1"),
        (["--cutouts", "{tmp}/nothing"], "does not exist"),
        (["--gpus-per-worker", "1"], "one worker wants"),
    ],
)
def test_what_can_not_work_is_one_line(data: Path, tmp_path: Path, options: list[str], words: str) -> None:
    assert words in refused(data, tmp_path / "out", *(option.format(tmp=tmp_path) for option in options))
    assert not (tmp_path / "out/model.json").exists()


def test_data_without_pairs_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_bytes(b"x")
    assert "no labelled photos in" in refused(tmp_path / "in", tmp_path / "out")


def test_an_unfinished_run_on_other_data_or_with_another_recipe_is_not_gone_on_with(tmp_path: Path) -> None:
    root = open_root(str(tmp_path))
    about = {"data": {"fingerprint": "aa"}, "started_from": None, "recipe": {"batch": 4, "seed": 1}}
    begin_or_resume(root, about, overwrite=False)
    begin_or_resume(root, about, overwrite=False)  # the same goes on
    with pytest.raises(GlassegError, match="with batch 4, not 8"):
        begin_or_resume(root, {**about, "recipe": {"batch": 8, "seed": 1}}, overwrite=False)
    with pytest.raises(GlassegError, match="other data"):
        begin_or_resume(root, {**about, "data": {"fingerprint": "bb"}}, overwrite=False)
    begin_or_resume(root, {**about, "data": {"fingerprint": "bb"}}, overwrite=True)


def test_an_unfinished_run_may_go_on_longer_larger_and_slower_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = open_root(str(tmp_path))
    recipe = asdict(TrainConfig(epochs=100_000, cooldown=0, drawn=5))
    about = {"data": {"fingerprint": "aa"}, "started_from": "compact-1", "recipe": recipe}
    assert begin_or_resume(root, about, overwrite=False) == "compact-1"
    shorter = asdict(TrainConfig(epochs=60, cooldown=10, drawn=5, sides=(512,)))
    again = {**about, "started_from": None, "recipe": shorter}
    assert begin_or_resume(root, again, overwrite=False) == "compact-1"  # where it began need not be named again
    told = capsys.readouterr().err
    assert "resuming the unfinished run in it, cooldown 10 instead of 0, epochs 60 instead of 100000" in told
    assert "sides [512] instead of [256, 384, 512]" in told
    with pytest.raises(GlassegError, match="with from compact-1, not compact-2"):
        begin_or_resume(root, {**again, "started_from": "compact-2"}, overwrite=False)


def test_what_is_not_asked_for_stays_as_it_was_in_an_unfinished_run() -> None:
    noted = json.loads(json.dumps(asdict(TrainConfig(epochs=500, drawn=7, sides=(256, 512), learning_rate=5e-4))))
    asked = TrainConfig(epochs=60, learning_rate=1e-3)
    config = resumed(asked, {**noted, "fingerprint": "aa", "from": None}, {"epochs"})
    assert config == TrainConfig(epochs=60, drawn=7, sides=(256, 512), learning_rate=5e-4)
    assert resumed(asked, {}, set()) == asked


def test_photos_that_validate_are_not_trained_on_too(data: Path, tmp_path: Path) -> None:
    """--val inside of DATA: the photos in it are found twice."""
    shutil.copytree(data, tmp_path / "labelled")
    (tmp_path / "labelled/val").mkdir()
    for path in (tmp_path / "labelled").glob("a 1*"):
        path.rename(path.parent / "val" / path.name)
    found = find(str(tmp_path / "labelled"), TrainJob(val=str(tmp_path / "labelled/val")))
    names = {s: {Path(p.photo).name for p in found.pairs if p.split == s} for s in ("train", "validation")}
    assert names["validation"] == {"a 1.jpg", *(f"a {i}.jpg" for i in range(10, 14))}
    assert names["train"] and not names["train"] & names["validation"]


def test_a_photo_that_a_list_calls_test_is_not_trained_on_beside_a_val(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labelled"
    shutil.copytree(data, folder)
    (folder / "index.csv").write_text("image,split\na 0.jpg,test\na 1.jpg,\n")
    found = find(str(folder), TrainJob(val=str(data)))
    assert {p.photo: p.split for p in found.pairs[:2]} == {"a 0.jpg": "test", "a 1.jpg": "train"}


def test_the_fingerprint_knows_content_and_role_of_every_photo() -> None:
    pair, scene = Pair("/r", "a.jpg", "a_mask.png", "scene", "a.jpg", "train"), Backdrop("/r", "b.jpg", "train")
    found, digests = Found([pair], [scene]), ["1", "2"]
    others = [replace(pair, split="validation"), replace(pair, kind="product"), replace(pair, group="g")]
    prints = {datacheck.fingerprint(Found([one], [scene]), digests) for one in [pair, *others]}
    prints |= {datacheck.fingerprint(found, ["3", "2"]), datacheck.fingerprint(found, ["1", "3"])}
    assert len(prints) == 6
    assert datacheck.fingerprint(replace(found, pairs=[replace(pair, root="/moved")]), digests) in prints


def test_copies_on_both_sides_are_found() -> None:
    pairs = [Pair("/r", f"{i}.jpg", "m.png", "scene", f"{i}.jpg", s) for i, s in enumerate(("train", "validation") * 2)]
    assert datacheck.on_both_sides(Found(pairs, [Backdrop("/r", "b.jpg", "train")]), ["x", "x", "y", "z", "b"]) == [
        "1.jpg"
    ]


@pytest.mark.slow
def test_a_run_that_no_second_try_would_heal_ends_in_one_line(data: Path, tmp_path: Path) -> None:
    """A worker finds out, and tries for a minute: the name of its history is taken by a folder."""
    (tmp_path / "out/history.parquet").mkdir(parents=True)
    done = train(data, tmp_path / "out", "--preset", "baseline", "--epochs", "2", "--sides", "128")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "history.parquet" in done.stderr.splitlines()[-1]
    assert done.stderr.count("epoch 1/2") == 0


@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_no_number_ends_the_run(name: str) -> None:
    nan = {"epoch": 3, "loss": 0.5, "val_loss": 0.5, "val_photo_iou": 0.5, name: math.nan}
    with pytest.raises(GlassegError, match="epoch 3: lower --learning-rate"):
        Progress().take(nan, TrainConfig())


def test_photos_as_they_are_and_composites_weigh_the_same_in_what_makes_an_epoch_better() -> None:
    tally = Tally(Progress(training=[1.0, 4.0, 8.0, 10.0, 9.0, 100.0]))
    truth = np.zeros((4, 20, 20), np.uint8)
    truth[:, 5:15, 5:15] = 255
    found = truth.copy()
    found[0, 5:10] = 0  # one photo with a background of its own, half of it missed; three composites, all found
    full, real = np.full_like(truth, 255), np.ones(4, bool)
    tally.train(np.zeros(6))
    tally.judge(found, np.ones(6), truth, full, real, with_background=np.array([True, False, False, False]))
    epoch = row(1, tally, tally.validation())
    assert epoch["val_photo_iou"] == pytest.approx((0.5 + 1) / 2)
    assert epoch["val_share_95"] == pytest.approx(3 / 4) and epoch["val_recall"] == pytest.approx(350 / 400)


def test_patience_ends_a_run_and_the_best_epoch_counts() -> None:
    config = TrainConfig(epochs=9, patience=2, monitor="loss")
    progress = Progress()
    better = []
    for loss in (1.0, 0.5, 0.7, 0.6):
        assert not progress.ended(config)
        better.append(progress.take({"loss": 1.0, "val_loss": loss, "val_photo_iou": 0.0}, config))
    assert better == [True, True, False, False] and progress.ended(config)
    by_iou = Progress()
    assert [
        by_iou.take({"loss": 1.0, "val_loss": 1.0, "val_photo_iou": iou}, TrainConfig()) for iou in (0.2, 0.1, 0.3)
    ] == [True, False, True]


def descendants(pid: int) -> dict[int, str]:
    """The command lines of all processes below `pid`."""
    return {one: command_of(one) for one in below(pid)}


def wait_for(run: subprocess.Popen[str], log: Path, words: str, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while words not in log.read_text():
        assert run.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


@pytest.mark.slow
def test_a_worker_killed_in_mid_epoch_costs_at_most_that_epoch(data: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "model", tmp_path / "log"
    workers = ("--workers", "2", "--cpus-per-worker", "1", "--loader-cpus", "1")
    with log.open("w") as file:
        recipe = ("--preset", "baseline", "--epochs", "3", "--sides", "128")
        run = subprocess.Popen(command(data, out, *recipe, *workers), stderr=file, text=True)
        wait_for(run, log, "epoch 1/3")
        pids = [pid for pid, line in descendants(run.pid).items() if "RayTrainWorker" in line]
        assert len(pids) == 2
        os.kill(pids[1], signal.SIGKILL)
        assert run.wait(timeout=800) == 0, log.read_text()
    assert [row["epoch"] for row in history(out)] == [1, 2, 3]
    assert log.read_text().count("  epoch ") <= 4  # one epoch was done twice at most
    assert {path.name for path in out.iterdir()} == FILES


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "model", tmp_path / "log"
    options = ("--preset", "baseline", "--epochs", "3", "--sides", "128")
    with log.open("w") as file:
        run = subprocess.Popen(command(data, out, *options), stderr=file, text=True)
        wait_for(run, log, "epoch 1/3")
        family = descendants(run.pid)
        run.kill()
        run.wait()
    first = history(out)
    assert len(first) < 3
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid, line in family.items() if "RayTrainWorker" in line):
        assert time.monotonic() < deadline, "its workers live on"
        time.sleep(0.5)
    again = train(data, out, *options)
    assert again.returncode == 0, again.stderr
    assert "resuming after epoch" in again.stderr and "epoch 1/3" not in again.stderr
    rows = history(out)
    assert [row["epoch"] for row in rows] == [1, 2, 3] and rows[: len(first)] == first
    assert {path.name for path in out.iterdir()} == FILES


@pytest.mark.slow
def test_a_run_killed_within_a_long_epoch_goes_on_within_it_and_can_be_cooled_down(data: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "model", tmp_path / "log"
    long = ("--sides", "128", "--drawn", "0", "--scene-repeats", "60", "--checkpoint-minutes", "0.02")
    with log.open("w") as file:
        run = subprocess.Popen(command(data, out, *long, "--epochs", "500"), stderr=file, text=True)
        deadline = time.monotonic() + 600
        while not list(out.glob("_training/ray/*/progress.json")):
            assert run.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        time.sleep(3)  # Ray Train takes note of a checkpoint up to two seconds after it is there
        family = descendants(run.pid)
        run.kill()
        run.wait()
    assert "epoch 1/500" not in log.read_text(), "the epoch was over before it could be interrupted"
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid, line in family.items() if "RayTrainWorker" in line):
        assert time.monotonic() < deadline, "its workers live on"
        time.sleep(0.5)
    again = train(data, out, "--epochs", "2", "--cooldown", "1")  # the rest is as it was
    assert again.returncode == 0, again.stderr
    assert "resuming after epoch 0, step " in again.stderr
    rows = history(out)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["photos"] == rows[1]["photos"]  # none was lost or counted twice where it was interrupted
    assert model_folder.load(str(out)).spec.training["recipe"]["cooldown"] == 1


@pytest.mark.slow
def test_data_and_model_may_be_on_s3(data: Path, s3: Any) -> None:
    prefix = f"s3://{s3.bucket}/{uuid.uuid4().hex}"
    source, out = open_root(f"{prefix}/labelled"), open_root(f"{prefix}/model")
    for path in data.iterdir():
        source.write(path.name, path.read_bytes())
    done = train(source.uri, out.uri, "--preset", "baseline", "--epochs", "2", "--sides", "128")
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(("Training ", "  ", "Model: ")) for line in done.stderr.splitlines()), done.stderr
    assert {entry.key for entry in out.list()} == FILES
    assert model_folder.load(out.uri).spec.training["data"]["name"] == "labelled"
    assert train(source.uri, out.uri).returncode == 1


@pytest.mark.slow
def test_our_own_recipe_learns_starts_from_a_model_and_tells_quality_by_enough_photos(
    data: Path, tmp_path: Path
) -> None:
    backgrounds = tmp_path / "backgrounds"
    backgrounds.mkdir()
    for number in range(20):
        cv2.imwrite(str(backgrounds / f"b{number}.jpg"), np.full((120, 160, 3), 12 * number, np.uint8))
    cutouts = tmp_path / "cutouts"
    cutouts.mkdir()
    for number in range(12):
        photo = draw_photo(np.random.default_rng(100 + number), SIZE, scene="white")
        alpha = np.rint(photo.coverage * 255).astype(np.uint8)
        cv2.imwrite(str(cutouts / f"c{number}.png"), np.dstack([photo.image[..., ::-1], alpha]))
    enough = tmp_path / "val"
    enough.mkdir()
    for number in range(42):
        photo = draw_photo(np.random.default_rng(200 + number), SIZE)
        cv2.imwrite(str(enough / f"{number}.jpg"), photo.image[..., ::-1])
        cv2.imwrite(str(enough / f"{number}_mask.png"), np.where(photo.coverage > 0.5, 255, 0).astype(np.uint8))
    options = ["--cutouts", str(cutouts), "--backgrounds", str(backgrounds), "--scene-repeats", "1", "--drawn", "4"]
    options += ["--val", str(enough), "--sides", "128"]
    done = train(data, tmp_path / "one", *options, "--epochs", "3", "--learning-rate", "0.003")
    assert done.returncode == 0, done.stderr
    rows = history(tmp_path / "one")
    assert rows[-1]["loss"] < rows[0]["loss"]
    again = train(data, tmp_path / "two", *options, "--epochs", "1", "--start-from", str(tmp_path / "one"))
    assert again.returncode == 0, again.stderr
    spec = model_folder.load(str(tmp_path / "two")).spec
    assert spec.training["started_from"].startswith("compact-")
    assert history(tmp_path / "two")[0]["loss"] < rows[0]["loss"]
    told = spec.training["quality"]
    assert spec.calibration is not None and spec.calibration.review_below == told["review_below"]
    assert told["photos"]["n"] == 42 and told["data"] == spec.training["data"]["name"]
    assert "## Quality" in (tmp_path / "two/MODEL_CARD.md").read_text(encoding="utf-8")


def test_a_preview_is_drawn_without_training(data: Path, tmp_path: Path) -> None:
    preview = ("--preview", tmp_path / "pairs.png", "--preset", "baseline")
    assert "can't make a preview" in refused(data, tmp_path / "out", *preview, "--max-bad", "2")  # the empty mask
    labelled = Path(shutil.copytree(data, tmp_path / "labelled"))
    (labelled / "a 3_mask.png").unlink()
    done = CliRunner().invoke(cli, ["train", *map(str, (labelled, tmp_path / "out", *preview)), *QUICK])
    assert done.exception is None, done.output
    assert cv2.imread(str(tmp_path / "pairs.png")).shape[1] > 1000
    assert not (tmp_path / "out").exists()
