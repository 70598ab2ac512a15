"""`MODEL_CARD.md`: what a model is and how good, for those who decide whether to use it. Made from `model.json`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from glasseg.errors import GlassegError, PhotoError
from glasseg.model.folder import SPEC_NAME, ModelSpec, load
from glasseg.model.quality import Calibration
from glasseg.storage.roots import open_root, tidy

CARD_NAME: Final = "MODEL_CARD.md"

_SCORES: Final = {
    "strict_iou": "strict IoU",
    "iou": "IoU",
    "openings_left_out": "openings left out",
    "boundary_f": "boundary F",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "pixel accuracy",
    "alpha_error": "mean absolute error of alpha",
}
_SET: Final = {
    "photo_iou": "strict IoU, mean of the photos",
    "share_95": "photos with a strict IoU of .95 or more",
    "boundary_f": "boundary F",
    "iou": "IoU over all pixels",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "pixel accuracy",
    "average_precision": "average precision",
}


def card(spec: ModelSpec) -> str:
    """The card in markdown; a section whose facts are missing from `spec.training` is left out."""
    facts = spec.training
    sections = [
        _head(spec),
        _data(facts.get("data"), facts.get("split")),
        _training(facts),
        _validation(facts.get("validation"), facts.get("weak_at")),
        _quality(facts.get("quality")),
        *[_test(test) for test in facts.get("tests", [])],
        _section("Notes", facts.get("notes", [])),
        _table("Made with", ("", ""), facts.get("versions", {}).items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def renew(
    uri: str, training: dict[str, Any], *, calibration: Calibration | None = None, endpoint_url: str | None = None
) -> ModelSpec:
    """Replace the `training` facts in a model folder's `model.json` and rewrite its card.

    The model stays the same, and so does its calibration unless another is given. Raises GlassegError when there is no
    model, or its folder can't be written to.
    """
    spec = replace(load(uri, endpoint_url=endpoint_url).spec, training=training)
    if calibration:
        spec = replace(spec, quality=calibration.to_dict())
    root = open_root(uri, endpoint_url=endpoint_url)
    try:
        root.write(SPEC_NAME, spec.to_json().encode())
        root.write(CARD_NAME, card(spec).encode())
        root.sync([SPEC_NAME, CARD_NAME])  # and with them whatever else was written into this folder
        tidy(root)
    except PhotoError as error:
        raise GlassegError(f"can't write to {uri}: {error}") from error
    return spec


def _head(spec: ModelSpec) -> str:
    name = spec.training.get("data", {}).get("name")
    how = "letterboxed" if spec.resize == "letterbox" else "stretched"
    passes = ", after a first pass at a smaller size has found where to crop it" if spec.passes == 2 else ""
    mirror = ", and where it is in doubt together with its mirror image" if spec.mirror else ""
    words = [
        "Finds the visible material of eyeglasses in a product photo, so that glasseg can put everything else on",
        "white: `glasseg whiten PHOTOS WHITE --model FOLDER`. Clear lenses and gaps are background, tinted lenses are",
        "glasses.",
    ]
    network = [
        f"A U-Net, preset `{spec.preset}`, trained from scratch{f' on {name}' if name else ''}. A photo is {how} to",
        f"{spec.input_side} pixels on its longer side{passes}{mirror}. With p the network's probability,",
        f"alpha = clip((p − {spec.threshold:g}) / {spec.ramp:g} + 0.5, 0, 1),",
        "and along its edge alpha follows the photo.",
    ]
    return "\n\n".join([f"# Model {spec.model_id}", " ".join(words), " ".join(network)])


def _data(data: dict[str, Any] | None, split: dict[str, Any] | None) -> str:
    if not data:
        return ""
    rows = [(kind, side, n) for side, kinds in data.get("photos", {}).items() for kind, n in kinds.items()]
    rows += [("background", side, n) for side, n in data.get("backgrounds", {}).items()]
    words = [f"{data['name']}, fingerprint `{data['fingerprint']}`." if data.get("fingerprint") else f"{data['name']}."]
    if data.get("corrections"):
        counts = " and ".join(f"{word} {n}" for word, n in data["corrections"].items())
        words.append(f"Among its photos are those of which people {counts} with `glasseg correct`.")
    if data.get("skipped"):
        words.append(f"{data['skipped']} could not be used.")
    if split and "share" not in split:
        words.append("The validation photos were given separately, by `--val`.")
    elif split:
        words.append(
            f"Where the data does not name a split, {split['share']:.0%} of the groups validate, chosen by a "
            f"{split['how']}, seed {split['seed']}; no group is on both sides."
        )
    if data.get("licence"):
        words.append(data["licence"])
    return _section("Data", [" ".join(words), _rows(("kind", "split", "n"), rows)])


def _training(facts: dict[str, Any]) -> str:
    history, words = facts.get("history", {}), []
    if history.get("photos_seen"):
        words.append(
            f"{history['epochs']} epochs, {history['photos_seen']:,} pictures in {history['seconds'] / 60:.0f} minutes;"
            f" the best epoch is {history['best_epoch']}."
        )
    if facts.get("started_from"):
        words.append(f"It started from the weights of {facts['started_from']}.")
    legs = facts.get("legs", [])
    columns = list(dict.fromkeys(key for leg in legs for key in leg))
    table = _rows(columns, [[leg.get(key, "") for key in columns] for leg in legs]) if legs else ""
    recipe = _rows(("setting", "value"), facts["recipe"].items()) if facts.get("recipe") else ""
    return _section("Training", [" ".join(words), table, recipe])


def _validation(scores: dict[str, Any] | None, weak: Sequence[dict[str, Any]] | None) -> str:
    if not scores:
        return ""
    rows = [(words, _number(scores[name])) for name, words in _SET.items() if scores.get(name) is not None]
    worst = ""
    if weak:
        listed = [f"{one['condition']} {one['bin']} ({one['strict_iou']:.3f}, {one['n']} photos)" for one in weak]
        worst = "Its weakest classes, by strict IoU: " + "; ".join(listed) + "."
    intro = f"{scores.get('photos', '')} pictures of the validation split, at full resolution and the threshold above."
    return _section("Validation", [intro.strip(), _rows(("score", ""), rows), worst])


def _quality(found: dict[str, Any] | None) -> str:
    """How well the quality of a mask is predicted for photos that the calibration was not fitted on."""
    if not found:
        return ""
    kinds = [(name, found[name]) for name in ("photos", "composites") if name in found]
    intro = (
        f"`quality` in the manifest is the strict IoU to expect of a mask; below {found['review_below']:g} a person "
        f"should look at it. Calibrated on validation photos of {found['data']} and evaluated there by cross-fitting: "
        "the quality of every photo is predicted by a calibration fitted on photos of other groups."
    )
    heads = ("", "n", f"under {found['good']:g}", "AUC", "by confidence", "flagged", "caught")
    rows = [
        (
            name,
            one["n"],
            one["bad"],
            _number(one["auc"]),
            _number(one["auc_confidence"]),
            f"{one['flagged']:.0%}",
            "–" if one["caught"] is None else f"{one['caught']:.0%}",
        )
        for name, one in kinds
    ]
    bins = []
    for row in found["reliability"]:
        means = (_number(row[name]) for name in ("quality", "strict_iou"))
        bins.append((f"{row['from']:g} to {row['to']:g}", row["n"], *means, f"{row['bad']:.0%}"))
    table = _rows(("quality", "photos", "mean quality", "mean strict IoU", f"under {found['good']:g}"), bins)
    about = "For photos with a background of their own:" if table else ""
    return _section("Quality", [intro, _rows(heads, rows), about, table])


def _test(test: dict[str, Any]) -> str:
    """One recorded evaluation: its command, its scores, and their breakdown."""
    columns = ("mean", "median", "worst")
    rows = [
        (words, *(_number(test["summary"][name].get(column)) for column in columns))
        for name, words in _SCORES.items()
        if name in test.get("summary", {})
    ]
    share = f" {test['share_95']:.0%} have a strict IoU of .95 or more." if test.get("share_95") is not None else ""
    parts = [f"`{test['command']}`: {test['photos']} photos.{share}", _rows(("score", *columns), rows)]
    broken = [
        (
            condition,
            word,
            row["n"],
            *(_number(row.get(name)) for name in ("strict_iou", "openings_left_out", "boundary_f")),
        )
        for condition, classes in test.get("breakdown", {}).items()
        for word, row in classes.items()
    ]
    heads = ("", "", "n", "strict IoU", "openings left out", "boundary F")
    return _section(f"Test: {test['name']}", [*parts, _rows(heads, broken) if broken else ""])


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return _section(title, [_rows(heads, rows)])


def _section(title: str, parts: Iterable[str]) -> str:
    """A heading and the non-empty parts below it; "" if there are none."""
    there = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *there]) if there else ""


def _rows(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [[_cell(value) for value in row] for row in rows]
    if not lines:
        return ""
    table = [[_cell(head) for head in heads], ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4f}" if 0 < abs(value) < 0.01 else f"{value:.3f}"
