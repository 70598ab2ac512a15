"""The model card: facts that are known are in it, others are left out, and its tables are tables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from glasseg.model import card as model_card
from glasseg.model import folder as model_folder
from glasseg.model.folder import ModelSpec
from glasseg.model.quality import Calibration

SPREAD = {"mean": 0.912345, "median": 0.93, "worst": 0.5, "worst_photo": "a.jpg"}
TRAINING = {
    "recipe": {"batch": 16, "loss": "bce|dice"},
    "data": {
        "name": "eyewear",
        "fingerprint": "0123456789ab",
        "photos": {"train": {"product": 865}, "validation": {"product": 159}},
        "backgrounds": {"train": 357},
        "skipped": 2,
        "corrections": {"corrected": 8, "approved": 2},
    },
    "split": {"seed": 42, "share": 0.1, "how": "stable hash of the group"},
    "history": {"epochs": 60, "best_epoch": 58, "seconds": 6000, "photos_seen": 97000},
    "validation": {"photos": 120, "photo_iou": 0.91, "share_95": 0.5, "average_precision": 0.97},
    "weak_at": [{"condition": "kind", "bin": "natural", "n": 40, "strict_iou": 0.8}],
    "quality": {
        "data": "eyewear",
        "review_below": 0.871,
        "good": 0.9,
        "photos": {"n": 79, "bad": 29, "auc": 0.899, "auc_confidence": 0.866, "flagged": 0.443, "caught": 0.828},
        "composites": {"n": 12, "bad": 0, "auc": None, "auc_confidence": None, "flagged": 0.083, "caught": None},
        "reliability": [
            {"from": 0.0, "to": 0.7, "n": 7, "quality": 0.554, "strict_iou": 0.523, "bad": 1.0},
            {"from": 0.95, "to": 1.0, "n": 24, "quality": 0.98, "strict_iou": 0.985, "bad": 0.0},
        ],
    },
    "versions": {"python": "3.11", "keras": "3.15"},
    "tests": [
        {
            "name": "real",
            "command": "glasseg evaluate MODEL real",
            "photos": 12,
            "share_95": 0.33,
            "summary": {"strict_iou": SPREAD, "openings_left_out": {"mean": None, "median": None, "worst": None}},
            "breakdown": {"tilt": {"level": {"n": 7, "strict_iou": 0.928, "boundary_f": None}}},
        }
    ],
    "notes": ["A paragraph."],
}


def spec(**training: object) -> ModelSpec:
    return ModelSpec("compact", 512, "letterbox", 2, 0.5, 0.6, "ab" * 32, True, dict(training))


def test_everything_that_is_known_is_said() -> None:
    card = model_card.card(spec(**TRAINING))
    words = (
        "865",
        "`0123456789ab`",
        "2 could not be used",
        "97,000 pictures in 100 minutes",
        "best epoch is 58",
        "people corrected 8 and approved 2",
    )
    assert all(word in card for word in words)
    assert "kind natural (0.800, 40 photos)" in card and "| strict IoU | 0.912 | 0.930 | 0.500 |" in card
    assert "`glasseg evaluate MODEL real`: 12 photos. 33% have" in card and "A paragraph." in card
    assert "below 0.871 a person should look" in card and "| 0 to 0.7 | 7 | 0.554 | 0.523 | 100% |" in card
    assert (
        "| photos | 79 | 29 | 0.899 | 0.866 | 44% | 83% |" in card
        and "| composites | 12 | 0 | – | – | 8% | – |" in card
    )
    assert "clip((p − 0.5) / 0.6 + 0.5, 0, 1)" in card and "nan" not in card and "None" not in card


def test_without_facts_the_card_is_short_and_whole() -> None:
    card = model_card.card(spec())
    assert card.startswith("# Model compact-") and "##" not in card


def test_every_table_has_as_many_cells_in_each_line() -> None:
    lines = model_card.card(spec(**TRAINING)).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.replace("\\|", "").count("|") == line.replace("\\|", "").count("|"), line


def test_a_card_is_renewed_without_touching_the_model(untrained_folder: Path, tmp_path: Path) -> None:
    for file in untrained_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = model_folder.load(str(tmp_path)).spec.model_id
    renewed = model_card.renew(str(tmp_path), {"notes": ["New."]})
    assert renewed.model_id == before == model_folder.load(str(tmp_path)).spec.model_id
    assert "New." in (tmp_path / model_card.CARD_NAME).read_text(encoding="utf-8")


def test_a_calibration_stays_until_there_is_another(untrained_folder: Path, tmp_path: Path) -> None:
    for file in untrained_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    calibration = Calibration(("worst",), (0.5,), (1.5,), (-0.75,), 2.0, 0.875)
    model_card.renew(str(tmp_path), {}, calibration=calibration)
    model_card.renew(str(tmp_path), {"notes": ["New."]})
    assert model_folder.load(str(tmp_path)).spec.calibration == calibration
    other = Calibration(("worst",), (0.5,), (1.5,), (-0.5,), 2.0, 0.875)
    model_card.renew(str(tmp_path), {}, calibration=other)
    assert model_folder.load(str(tmp_path)).spec.calibration == other


def test_a_card_reports_that_validation_photos_were_given_separately() -> None:
    card = model_card.card(spec(**{**TRAINING, "split": {"how": "--val"}}))
    assert "given separately, by `--val`" in card and "seed" not in card
