"""What each picture option of `glasseg whiten` does, shown on one drawn photo, whose exact mask is known."""

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
    "glasseg whiten photos white": ("the photo's size, on white", Look()),
    "--shadow soft": ("with its own shadow, in neutral grey", Look(shadow="soft")),
    "--lenses keep": ("keeps what is seen through the lenses", Look(lenses="keep")),
    "--background '#dfe8ec'": ("any colour", Look("#dfe8ec")),
    "--background transparent --shadow soft": ("a cut-out, PNG or WebP", Look("transparent", shadow="soft")),
    "--frame 1:1 --fill 0.85": ("centred, the same size in every picture", Look(framing=Framing((1, 1), 0.85))),
    "--frame 1:1 --fill 0.85 --straighten": ("and level", Look(framing=Framing((1, 1), 0.85, straighten=True))),
    "--for zalando --shadow soft": (
        "the marketplace's aspect ratio and fill",
        Look(shadow="soft", framing=Framing((25, 36), 0.88)),
    ),
}
SUBJECT: Final = (9, "sweep")
"""The seed and the scene of the photo, which has clear lenses, a shadow and a slight tilt."""
SIZE: Final = (900, 1200)
_CHECKS: Final = (16, 204, 255)
"""The side of a square and the two greys of the checkerboard that shows transparency."""


def sheet() -> np.ndarray:
    """A contact sheet, H×W×3 uint8 RGB: the photo next to its picture with each of `LOOKS`."""
    return contact_sheets.contact_sheet(_pairs(), columns=2, heads=("photo", "picture"))


def _pairs() -> Iterator[contact_sheets.Pair]:
    seed, scene = SUBJECT
    drawn = draw_photo(np.random.default_rng(seed), SIZE, scene=scene)
    photo = Photo(drawn.image, None, Tags(), ())
    for options, (words, look) in LOOKS.items():
        made = picture.make(photo, drawn.coverage, threshold=0.5, ramp=1.0, look=look)
        yield drawn.image, _shown(made.pixels), f"{options}\n{words}"


def _shown(pixels: np.ndarray) -> np.ndarray:
    """A picture, H×W×3 or H×W×4 uint8, as H×W×3 uint8 with transparency as a checkerboard."""
    if pixels.shape[2] == 3:
        return pixels
    side, dark, light = _CHECKS
    ys, xs = np.indices(pixels.shape[:2]) // side
    board = np.where((ys + xs) % 2, np.uint8(light), np.uint8(dark))
    return compositing.compose(pixels[..., :3], pixels[..., 3], shade=board)
