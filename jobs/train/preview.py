"""`glasseg train --preview`: some of the pictures that the network will be trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from glasseg.config import TrainConfig, TrainJob
from glasseg.errors import GlassegError, PhotoError
from glasseg.images import encoder
from glasseg.labels import reviewed_photos, splits
from glasseg.report import contact_sheets
from glasseg.training.samples import Samples
from jobs.terminal import say
from jobs.train.run import find

PAIRS: Final = 32


def preview(data: str, picture: Path, config: TrainConfig, job: TrainJob) -> None:
    """Draw `PAIRS` training pictures of the first epoch with their masks as one PNG.

    Raises GlassegError for data that training would refuse, and when one of the pictures can't be used.
    """
    found = find(data, job)
    everything = dict(enumerate(found.pairs))
    names = {number: f"{pair.root}/{pair.photo}" for number, pair in everything.items()}  # no content is read yet
    found = replace(found, pairs=[*reviewed_photos.settled(everything, names)[0].values()])
    found = splits.assign(found, share=config.validation_share, seed=config.seed)
    samples = Samples(found, config, job.endpoint_url)
    chosen = np.random.default_rng(config.seed).permutation(samples.training)[:PAIRS]
    try:
        shown = [(index, samples.train(0, int(index), max(config.sides))) for index in chosen]
    except (PhotoError, ValueError) as error:
        raise GlassegError(f"can't make a preview: {error}") from error
    pairs = [(s.image, np.repeat(s.coverage[..., None], 3, axis=2), f"sample {index}") for index, s in shown]
    sheet = contact_sheets.contact_sheet(pairs, columns=4, heads=("picture", "mask"))
    try:
        picture.write_bytes(encoder.encode(sheet, "png", 100))
    except OSError as error:
        raise GlassegError(f"can't write {picture}: {error.strerror}") from error
    say(f"{len(pairs)} of {samples.training} training pictures an epoch: {picture}")
