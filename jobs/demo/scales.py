"""What `--scale-by` does, shown on drawn products, each from three sides, whose exact masks are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from glasseg.cutout import outline, picture
from glasseg.cutout.framing import Framing, group_scale
from glasseg.cutout.look import Look
from glasseg.cutout.scale import Scale
from glasseg.drawing.photo import DrawnPhoto, draw_views
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags
from glasseg.images.window import Window
from glasseg.report import contact_sheets

PRODUCTS: Final = {"A": (12, 0.7), "B": (3, 0.55)}
"""By the name of the group the seed of its glasses, and the share of the photo's width that they take."""
VIEWS: Final = {"front": 0.0, "three-quarter": 0.7, "side": 1.45}
"""How far the glasses are turned, in radians."""
SIZE: Final = (600, 800)
_FRAMING: Final = Framing((4, 3), 0.85, 480, max_upscale=2.0)
_HEADS: Final = ("each photo by itself", "one scale for the group")


def sheet() -> np.ndarray:
    """A contact sheet, H×W×3 uint8 RGB: the picture of each photo without and with one scale for its group."""
    return contact_sheets.contact_sheet(_pairs(), columns=len(VIEWS), heads=_HEADS)


def _pairs() -> Iterator[contact_sheets.Pair]:
    framing = replace(_FRAMING, one_scale=True)
    for name, (seed, share) in PRODUCTS.items():
        drawn = draw_views(seed, list(VIEWS.values()), SIZE, share=share)
        alphas = [np.rint(255 * one.coverage).astype(np.uint8) for one in drawn]
        found = [outline.find(alpha, Window.whole(SIZE), straighten=False) for alpha in alphas]
        common = group_scale([one.extent for one in found if one], framing)
        for view, one in zip(VIEWS, drawn, strict=True):
            yield _made(one, _FRAMING), _made(one, framing, common), f"{name}, {view}"


def _made(drawn: DrawnPhoto, framing: Framing, scale: Scale | None = None) -> np.ndarray:
    photo, look = Photo(drawn.image, None, Tags(), ()), Look(framing=framing)
    return picture.make(photo, drawn.coverage, threshold=0.5, ramp=1.0, look=look, scale=scale).pixels
