"""What each picture option of `glasseg whiten` does, shown on one drawn photo whose true mask is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from glasseg.cutout import picture
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look
from glasseg.drawing.photo import draw_photo
from glasseg.images import compositing
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags
from glasseg.report import contact_sheets

LOOKS: Final = {
    "glasseg whiten photos white": ("same size, on white", Look()),
    "--shadow soft": ("its own shadow, as neutral grey", Look(shadow="soft")),
    "--lenses keep": ("what is seen through them stays", Look(lenses="keep")),
    "--background '#dfe8ec'": ("any colour", Look("#dfe8ec")),
    "--background transparent --shadow soft": ("a cut-out, PNG or WebP", Look("transparent", shadow="soft")),
    "--frame 1:1 --fill 0.85": ("centred, as large in every picture", Look(framing=Framing((1, 1), 0.85))),
    "--frame 1:1 --fill 0.85 --straighten": ("and level", Look(framing=Framing((1, 1), 0.85, straighten=True))),
    "--for zalando --shadow soft": (
        "its ratio, and full",
        Look(shadow="soft", framing=Framing((25, 36), 0.88)),
    ),
}
SUBJECT: Final = (9, "sweep")
"""Seed and scene of the photo: it has clear lenses, a shadow and a slight tilt."""
SIZE: Final = (900, 1200)
_CHECKS: Final = (16, 204, 255)
"""Side of a square and the two greys by which transparency is shown."""


def sheet() -> np.ndarray:
    """A contact sheet, H×W×3 uint8: the photo, and its picture under each of `LOOKS`."""
    return contact_sheets.contact_sheet(_pairs(), columns=2, heads=("photo", "picture"))


def _pairs() -> Iterator[contact_sheets.Pair]:
    seed, scene = SUBJECT
    drawn = draw_photo(np.random.default_rng(seed), SIZE, scene=scene)
    photo = Photo(drawn.image, None, Tags(), ())
    for options, (words, look) in LOOKS.items():
        made = picture.make(photo, drawn.coverage, threshold=0.5, ramp=1.0, look=look)
        yield drawn.image, _shown(made.pixels), f"{options}\n{words}"


def _shown(pixels: np.ndarray) -> np.ndarray:
    """A picture as H×W×3 uint8, transparency as a checkerboard."""
    if pixels.shape[2] == 3:
        return pixels
    side, dark, light = _CHECKS
    ys, xs = np.indices(pixels.shape[:2]) // side
    board = np.where((ys + xs) % 2, np.uint8(light), np.uint8(dark))
    return compositing.compose(pixels[..., :3], pixels[..., 3], shade=board)
