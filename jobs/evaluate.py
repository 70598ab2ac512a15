"""`glasseg evaluate`: how well a model's masks fit labelled photos, at full size and with the product's alpha."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
import numpy as np

from glasseg import images, matte, modelfolder
from glasseg.errors import GlassegError, PhotoError
from glasseg.metrics import PhotoScore, score
from glasseg.pairs import Label, find_pairs, read_index, read_label
from glasseg.segmenter import BATCH, Segmenter
from jobs.engine import available_cpus

COMPOSITE_SIDE = 768
COMPOSITE_SEED = 1000


def evaluate(model: str, data: Path, composites: int, as_json: bool) -> None:
    """Print the scores of `model` on the labelled photos below `data`, or on composites of its validation split.

    Raises GlassegError when there is nothing to score or a photo and its mask differ in size.
    """
    segmenter = Segmenter(modelfolder.load(model), available_cpus())
    scores = {}
    photos = _composites(data, composites) if composites else _photos(data)
    for names, pictures, labels in _groups(photos):
        for name, probability, label in zip(names, segmenter.probabilities(pictures), labels, strict=True):
            alpha = matte.to_alpha(probability, segmenter.spec.threshold, segmenter.spec.ramp)
            scores[name] = score(alpha, label)
    if not scores:
        raise GlassegError(f"no photo with a mask in {data}: the mask of NAME.jpg is NAME_mask.png beside it")
    summary = {field.name: _summary(scores, field.name) for field in fields(PhotoScore)}
    if as_json:
        photos_json = {name: asdict(one) for name, one in scores.items()}
        found = {"model": segmenter.spec.model_id, "summary": summary, "photos": photos_json}
        click.echo(json.dumps(_null_for_nan(found), indent=1, allow_nan=False))
        return
    click.echo(f"{segmenter.spec.model_id} on {len(scores)} photos of {data}")
    click.echo(f"{'':<20}{'mean':>8}{'median':>8}{'worst':>8}  worst photo")
    for name, row in summary.items():
        click.echo(f"{name:<20}{row['mean']:>8.3f}{row['median']:>8.3f}{row['worst']:>8.3f}  {row['worst_photo']}")


def _null_for_nan(found: Any) -> Any:
    """`found` with None for every nan, which JSON does not know."""
    if isinstance(found, dict):
        return {name: _null_for_nan(value) for name, value in found.items()}
    return None if isinstance(found, float) and np.isnan(found) else found


def _summary(scores: dict[str, PhotoScore], name: str) -> dict[str, Any]:
    """Mean, median and worst of one score over the photos that have it."""
    values = {photo: getattr(one, name) for photo, one in scores.items() if not np.isnan(getattr(one, name))}
    if not values:
        return {"mean": float("nan"), "median": float("nan"), "worst": float("nan"), "worst_photo": ""}
    worst = (max if name == "alpha_error" else min)(values, key=lambda photo: values[photo])
    found = np.array(list(values.values()))
    return {
        "mean": float(found.mean()),
        "median": float(np.median(found)),
        "worst": values[worst],
        "worst_photo": worst,
    }


def _photos(data: Path) -> Iterator[tuple[str, np.ndarray, Label]]:
    """Name, H×W×3 uint8 photo and label of every labelled photo below `data`."""
    for pair in find_pairs(data):
        assert pair.mask is not None
        try:
            photo = images.decode(pair.photo.read_bytes(), max_pixels=10**9)
            label = read_label(pair.mask.read_bytes())
        except (PhotoError, ValueError, OSError) as error:
            raise GlassegError(f"{pair.photo} with its mask can't be scored: {error}") from error
        if photo.shape[:2] != label.material.shape:
            raise GlassegError(f"{pair.photo} and {pair.mask.name} differ in size")
        yield str(pair.photo.relative_to(data)), photo, label


def _composites(data: Path, count: int) -> Iterator[tuple[str, np.ndarray, Label]]:
    """A fixed set of composites of the validation split: half on studio sweeps, half on photos."""
    from glasseg.backdrops import KINDS
    from glasseg.composites import composite
    from glasseg.stock import load_stock

    stock = load_stock(read_index(data), "validation")
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        sample = composite(stock, np.random.default_rng([COMPOSITE_SEED, number]), COMPOSITE_SIDE, kind)
        nothing = np.zeros(sample.coverage.shape, bool)
        yield f"{kind}-{number:03}", sample.image, Label(sample.coverage >= 128, nothing, sample.weight == 0)


def _groups(photos: Iterator[tuple[str, np.ndarray, Label]]) -> Iterator[tuple[Any, Any, Any]]:
    """The photos in groups of one network call, as (names, pictures, labels)."""
    group: list[tuple[str, np.ndarray, Label]] = []
    for photo in photos:
        group.append(photo)
        if len(group) == BATCH:
            yield tuple(zip(*group, strict=True))
            group = []
    if group:
        yield tuple(zip(*group, strict=True))
