"""From a photo and what the network saw in it to the finished picture: cut out, cleaned, framed, on its background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from glasseg.cutout import framing, lenses, matte, review, shadows
from glasseg.cutout.foreground import decontaminate
from glasseg.cutout.look import Look
from glasseg.cutout.placement import Placement, place
from glasseg.cutout.review import MaskFacts
from glasseg.errors import PhotoError
from glasseg.images import compositing
from glasseg.images.decoder import Photo
from glasseg.model.folder import ModelSpec
from glasseg.model.quality import Calibration, features
from glasseg.model.segmenter import Segmentation

_CUT_OUT_RING: Final = 0.5
"""Share of transparent outermost pixels above which a photo may be a cut-out, not just have rounded corners."""
_CUT_OUT_GLASSES: Final = 0.5
"""Mean probability of the rest above which it is one, not a vignette or a turned photo."""
_LONGEST_STRIP: Final = 100
"""The longer side of a photo over the shorter, beyond which it is not framed."""


@dataclass(frozen=True)
class Picture:
    """A finished picture, not yet encoded."""

    pixels: np.ndarray
    """H×W×3 uint8 RGB, or H×W×4 with straight alpha where the background is transparent."""
    alpha: np.ndarray
    """H×W uint8: how much of each of the photo's pixels was kept."""
    background: np.ndarray
    """H×W uint8: 255 where the picture is plain background, 0 elsewhere."""
    mask: MaskFacts
    """The mask of the glasses in the photo, before framing."""
    placement: Placement
    """How the photo lies in the picture."""
    own_mask: bool
    """Whether the photo came cut out: then its own alpha was taken, and `mask` has neither confidence nor quality."""
    shadow: bool
    """Whether a shadow was found and kept."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done as requested, each in one line."""
        cut_out = ("came cut out: its own transparency is the mask",) if self.own_mask else ()
        return *cut_out, *self.placement.warnings


def compose(photo: Photo, seen: Segmentation, model: ModelSpec, look: Look) -> Picture:
    """The picture of a photo by what `model` saw in it; raises as `make`."""
    return make(
        photo,
        seen.probability,
        threshold=model.threshold,
        ramp=model.ramp,
        look=look,
        calibration=model.calibration,
        agreement=seen.agreement,
    )


def make(
    photo: Photo,
    probability: np.ndarray,
    *,
    threshold: float,
    ramp: float,
    look: Look,
    calibration: Calibration | None = None,
    agreement: float | None = None,
) -> Picture:
    """The picture of a photo by its probability (H×W float32) and the model's `threshold` and `ramp`.

    `calibration` of the model and `agreement` of its passes (see the segmenter) only predict the quality. Raises
    PhotoError (side_too_long) for a strip that would have to be framed.
    """
    _refuse_strip(photo, look)
    image, alpha, own = _cut(photo, probability, threshold, ramp)
    mask = review.measure(alpha, probability)
    if own:
        mask = replace(mask, confidence=None)
    elif calibration and not mask.no_glasses:
        mask = replace(mask, quality=calibration.predict(features(alpha, probability, agreement)))
    placement = framing.plan(alpha, look.framing)
    shade = None
    if not own:  # the transparent pixels of a cut-out hold what somebody cut away
        shade = shadows.soft_shade(photo.on_white(), alpha) if look.shadow == "soft" else None
        if look.lenses == "keep":
            openings = lenses.openings(alpha)
            openings = openings if photo.alpha is None else cv2.min(openings, photo.alpha)
            cv2.copyTo(photo.image, openings, image)
            alpha = cv2.max(alpha, openings)
    foreground = place(compositing.multiplied(image, alpha), placement, border=0)
    alpha = place(alpha, placement, border=0)
    if not placement.exact:  # a kernel rounds and overshoots; no colour is stronger than its alpha
        foreground = cv2.min(foreground, cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB))
    if shade is not None and not placement.unchanged:
        shade = shadows.faded(place(shade, placement, border=255))
    if look.colour is None:
        pixels = compositing.cut_out(foreground, alpha, shade)
    else:
        pixels = compositing.blend(foreground, alpha, look.colour, shade)
    covered = alpha if shade is None else cv2.max(alpha, cv2.bitwise_not(shade))
    background = cv2.threshold(covered, 0, 255, cv2.THRESH_BINARY_INV)[1]
    shadow = shade is not None and bool(shade.min() < 255)
    return Picture(pixels, alpha, background, mask, placement, own, shadow)


def cut(image: np.ndarray, probability: np.ndarray, threshold: float, ramp: float) -> tuple[np.ndarray, np.ndarray]:
    """The glasses' own colours (H×W×3 uint8) and their alpha (H×W uint8) in an opaque photo, H×W×3 uint8 RGB.

    By its probability (H×W float32 in [0, 1]) and the model's `threshold` and `ramp`.
    """
    alpha = matte.alpha(image, probability, threshold, ramp)
    return decontaminate(image, alpha), alpha


def _cut(photo: Photo, probability: np.ndarray, threshold: float, ramp: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """The glasses' own colours (H×W×3 uint8, ours to change), their alpha (H×W uint8), whether it is the photo's own.

    A photo's own transparency is respected: a cut-out is used as it is, and transparent pixels stay background.
    """
    if photo.alpha is not None and _is_cut_out(photo.alpha, probability):
        return photo.image.copy(), photo.alpha, True
    image, alpha = cut(photo.on_white(), probability, threshold, ramp)
    if photo.alpha is not None:
        cv2.copyTo(photo.image, cv2.threshold(photo.alpha, 254, 255, cv2.THRESH_BINARY_INV)[1], image)
        alpha = cv2.min(alpha, photo.alpha)
    return image, alpha, False


def _is_cut_out(alpha: np.ndarray, probability: np.ndarray) -> bool:
    """Whether an alpha (H×W uint8) leaves glasses and little else, by the network's probability (H×W float32)."""
    ring = np.concatenate([alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]])
    kept = float(alpha.sum())
    glasses = float(np.vdot(alpha.astype(np.float32), probability)) / kept if kept else 0.0
    return float(np.mean(ring == 0)) >= _CUT_OUT_RING and glasses >= _CUT_OUT_GLASSES


def _refuse_strip(photo: Photo, look: Look) -> None:
    """Raise PhotoError for a strip that would be resampled: the kernel's margins would dwarf it."""
    height, width = photo.image.shape[:2]
    if look.framing.changes and max(height, width) > _LONGEST_STRIP * min(height, width):
        raise PhotoError("side_too_long", f"a strip of {width}×{height} pixels can't be framed")
