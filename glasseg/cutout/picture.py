"""From a photo and what the network saw in it to the finished picture: cut out, cleaned, framed, on its background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from glasseg.cutout import framing, fringe, grid, lenses, matte, outline, review, shadows, transparency
from glasseg.cutout.correction import CLEAR, KEEP, UNTOUCHED, Correction, Touch, far_apart, on_grid
from glasseg.cutout.foreground import decontaminate
from glasseg.cutout.look import Look
from glasseg.cutout.placement import Placement, place
from glasseg.cutout.review import MaskFacts
from glasseg.cutout.scale import Extent, Scale
from glasseg.errors import PhotoError
from glasseg.images import compositing
from glasseg.images.decoder import Photo
from glasseg.images.window import Window
from glasseg.model.folder import ModelSpec
from glasseg.model.quality import Calibration, features
from glasseg.model.segmentation import Segmentation

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
    own_shadow: bool = False
    """Whether the photo came cut out together with a shadow, which is no part of the mask."""
    misfit: bool = False
    """Whether the photo's own transparency contradicts what the network sees: see `transparency`."""
    sideways: bool = False
    """Whether the photo seems to be stored sideways."""
    far_apart: bool = False
    """Whether what a person painted is probably the mask of another photo: see `correction.far_apart`."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done as requested, each in one line."""
        shadow = ", but for the shadow in it" if self.own_shadow else ""
        cut_out = (f"came cut out: its own transparency is the mask{shadow}",) if self.own_mask else ()
        return *cut_out, *self.placement.warnings


@dataclass(frozen=True)
class Sized:
    """How large the glasses of a photo are, as far as their mask tells."""

    extent: Extent
    in_doubt: bool
    """Whether that is probably not so: the background was taken for glasses, or the photo shows a part of them."""


def compose(
    photo: Photo, seen: Segmentation, model: ModelSpec, look: Look, correction: Correction | None = None
) -> Picture:
    """The picture of a photo by what `model` saw in it and a person painted over it; raises as `make`."""
    _refuse_strip(photo, look)
    return picture_of(photo, glasses_of(photo, seen, model, correction), look)


def glasses_of(photo: Photo, seen: Segmentation, model: ModelSpec, correction: Correction | None = None) -> Glasses:
    """The glasses of a photo by what `model` saw in it and a person painted over it: the same for every look."""
    window = _window(photo, seen, model, correction)
    touch = correction.within(window) if correction else None
    cutting, mask = _found(photo, window, seen, model, touch)
    return Glasses(window, cutting, mask, touch, seen.sideways)


def picture_of(photo: Photo, glasses: Glasses, look: Look, scale: Scale | None = None) -> Picture:
    """The picture of a photo whose glasses were cut out; raises as `make`.

    `scale`: that of its group, where the look asks for one.
    """
    _refuse_strip(photo, look)
    made = _composed(photo, glasses.window, glasses.cutting, glasses.mask, look, touch=glasses.touch, scale=scale)
    return replace(made, sideways=glasses.sideways)


def sized(photo: Photo, glasses: Glasses, look: Look) -> Sized | None:
    """How large the glasses of a photo are, for the scale of its group; None where there are none. Raises as `make`."""
    _refuse_strip(photo, look)
    found = outline.find(glasses.cutting.alpha, glasses.window, straighten=look.framing.straighten)
    if found is None or glasses.mask.no_glasses:
        return None
    # a photo that was trimmed to its glasses touches them on all sides, one that cuts them off on some
    in_doubt = glasses.sideways or glasses.cutting.misfit or glasses.mask.fills_frame or len(found.cut) in {1, 2, 3}
    return Sized(found.extent, in_doubt)


def alpha_of(photo: Photo, seen: Segmentation, model: ModelSpec) -> np.ndarray:
    """The alpha of a photo's glasses by what `model` saw in it, before any framing: H×W uint8."""
    window = _window(photo, seen, model)
    return window.on(_cut(photo, window, seen.within(window), model.threshold, model.ramp).alpha)


def label_map(
    photo: Photo, seen: Segmentation, model: ModelSpec, correction: Correction | None = None, *, vouched: bool = True
) -> np.ndarray:
    """The mask of a photo on which a person said a word, for training: H×W uint8 of `correction.LABELS`.

    Where nothing was painted and the network is undecided, the word means little: 64, not scored. Unless it is
    `vouched`, about the mask of this very model, it means nothing there.
    """
    window = _window(photo, seen, model, correction)
    probability = seen.within(window)
    touch = correction.within(window) if correction else None
    alpha = _cut(photo, window, probability, model.threshold, model.ramp, touch=touch).alpha
    labels = np.where(alpha > 127, KEEP, 0).astype(np.uint8)
    soft = matte.to_alpha(probability, model.threshold, model.ramp)
    undecided = (soft > 0) & (soft < 255) if vouched else np.full(soft.shape, True)
    if touch:
        undecided &= touch.touched < 128
        labels[(touch.clear > 127) & (alpha <= 127)] = CLEAR
    labels[undecided] = UNTOUCHED
    return window.on(labels, 0 if vouched else UNTOUCHED)


def _found(
    photo: Photo, window: Window, seen: Segmentation, model: ModelSpec, touch: Touch | None
) -> tuple[_Cut, MaskFacts]:
    """The glasses in a window and the facts of their mask; the enlarged probability is gone afterwards."""
    probability = seen.within(window)
    agreement = seen.agreement(probability, window)
    cutting = _cut(photo, window, probability, model.threshold, model.ramp)
    mask = _judged(cutting, window, probability, model.calibration, agreement)
    if not touch:
        return cutting, mask
    found = on_grid(cutting.alpha, window)
    del cutting  # a full plane, and perhaps an image
    touched = _cut(photo, window, probability, model.threshold, model.ramp, touch=touch)
    probability = touch.joined(probability)
    after = _judged(touched, window, probability, model.calibration, agreement)
    touched = replace(touched, far_apart=far_apart(found, on_grid(touched.alpha, window)))
    return touched, replace(after, quality=mask.quality, touched_quality=after.quality)


def _window(photo: Photo, seen: Segmentation, model: ModelSpec, correction: Correction | None = None) -> Window:
    """The part of a photo in which its picture is made: what the network saw, or a person touched, and as much around
    it as alpha reaches."""
    bare = matte.to_alpha(np.zeros((1, 1), np.float32), model.threshold, model.ramp)
    if photo.alpha is not None or bare.any():
        return Window.whole(photo.image.shape)
    touched = correction.window(seen.window.size) if correction else None
    window = seen.window.around(touched) if touched else seen.window
    return window.grown(grid.margin(window.shape) + max(window.size) // 256)


def make(
    photo: Photo,
    probability: np.ndarray,
    *,
    threshold: float,
    ramp: float,
    look: Look,
    window: Window | None = None,
    calibration: Calibration | None = None,
    agreement: float | None = None,
    scale: Scale | None = None,
) -> Picture:
    """The picture of a photo by its probability (H×W float32) and the model's `threshold` and `ramp`.

    `window`: the part of the photo of which `probability` is, if not of all, and outside which there are no glasses;
    for a photo with an alpha it has to be all. `calibration` of the model and `agreement` of its looks (see
    `Segmentation`) only predict the quality. `scale`: as for `picture_of`. Raises PhotoError (side_too_long) for a
    strip that would have to be framed.
    """
    _refuse_strip(photo, look)
    window = window or Window.whole(photo.image.shape)
    cutting = _cut(photo, window, probability, threshold, ramp)
    mask = _judged(cutting, window, probability, calibration, agreement)
    return _composed(photo, window, cutting, mask, look, scale=scale)


def _judged(
    cutting: _Cut, window: Window, probability: np.ndarray, calibration: Calibration | None, agreement: float | None
) -> MaskFacts:
    """The facts of a mask; a photo's own has neither confidence nor quality."""
    mask = review.measure(cutting.alpha, probability, window)
    if cutting.own:
        return replace(mask, confidence=None)
    if calibration is None or mask.no_glasses:
        return mask
    return replace(mask, quality=calibration.predict(features(cutting.alpha, probability, agreement, window)))


def _composed(
    photo: Photo,
    window: Window,
    cutting: _Cut,
    mask: MaskFacts,
    look: Look,
    *,
    touch: Touch | None = None,
    scale: Scale | None = None,
) -> Picture:
    """The picture of a photo whose glasses were cut out in a window."""
    alpha, own, ours = cutting.alpha, cutting.own, not (cutting.own or cutting.shared)
    image = decontaminate(window.of(photo.image), alpha) if cutting.image is None else cutting.image
    placement = framing.plan(alpha, look.framing, window, scale)
    shade = cutting.shade if look.shadow == "soft" else None
    if not own:  # the transparent pixels of a cut-out hold what somebody cut away
        shade = shadows.soft_shade(photo.on_white(), window.on(alpha)) if look.shadow == "soft" else None
        if look.lenses == "keep":
            openings = lenses.openings(alpha)
            openings = touch.openings(openings) if touch else openings
            openings = openings if photo.alpha is None else cv2.min(openings, photo.alpha)
            image = image if ours else image.copy()
            cv2.copyTo(window.of(photo.image), openings, image)
            alpha = cv2.max(alpha, openings)
    foreground = compositing.multiplied(image, alpha, out=image if ours else None)
    del image  # 3 bytes a pixel
    if shade is not None or not placement.unchanged:
        foreground = place(foreground, placement, border=0, window=window)
        alpha = place(alpha, placement, border=0, window=window)
        window = Window.whole(placement.size)
    if not placement.exact:  # a kernel rounds and overshoots
        compositing.bound(foreground, alpha)
    if shade is not None and not placement.unchanged:
        shade = shadows.faded(place(shade, placement, border=255))
    if look.colour is None:
        pixels = window.on(compositing.cut_out(foreground, alpha, shade))
    else:
        pixels = window.on(compositing.blend(foreground, alpha, look.colour, shade), look.colour)
    covered = alpha if shade is None else cv2.max(alpha, cv2.bitwise_not(shade))
    background = window.on(cv2.threshold(covered, 0, 255, cv2.THRESH_BINARY_INV)[1], 255)
    shadow = shade is not None and bool(shade.min() < 255)
    return Picture(
        pixels,
        window.on(alpha),
        background,
        mask,
        placement,
        own,
        shadow,
        own_shadow=cutting.shade is not None,
        misfit=cutting.misfit,
        far_apart=cutting.far_apart,
    )


def cut(image: np.ndarray, probability: np.ndarray, threshold: float, ramp: float) -> tuple[np.ndarray, np.ndarray]:
    """The glasses' own colours (H×W×3 uint8) and their alpha (H×W uint8) in an opaque photo, H×W×3 uint8 RGB.

    By its probability (H×W float32 in [0, 1]) and the model's `threshold` and `ramp`.
    """
    alpha = matte.alpha(image, probability, threshold, ramp)
    return decontaminate(image, alpha), alpha


@dataclass(frozen=True)
class _Cut:
    """The glasses of a photo."""

    alpha: np.ndarray
    """h×w uint8."""
    image: np.ndarray | None = None
    """Their own colours, H×W×3 uint8, ours to change unless `own` or `shared`; None for the photo's, yet to be
    decontaminated."""
    own: bool = False
    """Whether the alpha is the photo's own."""
    shade: np.ndarray | None = None
    """The shadow that a cut-out came with, H×W uint8."""
    misfit: bool = False
    """Whether the photo's own transparency contradicts what the network sees."""
    far_apart: bool = False
    """As in `Picture`."""
    shared: bool = False
    """Whether several pictures are made of it."""


@dataclass(frozen=True)
class Glasses:
    """The glasses of a photo, cut out in a window; see `glasses_of`."""

    window: Window
    cutting: _Cut
    mask: MaskFacts
    touch: Touch | None
    sideways: bool

    def shared(self, photo: Photo) -> Glasses:
        """The same to make several pictures of the photo, at the cost of 3 bytes a pixel of the window."""
        image = self.cutting.image
        if image is None:
            image = decontaminate(self.window.of(photo.image), self.cutting.alpha)
        return replace(self, cutting=replace(self.cutting, image=image, shared=True))


def _cut(
    photo: Photo, window: Window, probability: np.ndarray, threshold: float, ramp: float, *, touch: Touch | None = None
) -> _Cut:
    """The glasses of a photo in its `window`; its own transparency is respected, and what a person painted over both.

    A cut-out is used as it is, but for a shadow and a fringe; elsewhere, transparent pixels stay background.
    """
    if photo.alpha is None or photo.alpha.min() >= transparency.OPAQUE:
        find = touch.alpha if touch else matte.alpha
        return _Cut(find(window.of(photo.image), probability, threshold, ramp))
    found = _cut_transparent(photo, probability, threshold, ramp)
    if not touch:
        return found
    # hidden pixels have no colours to show
    return replace(found, alpha=cv2.min(touch.own_alpha(found.alpha), photo.alpha))


def _cut_transparent(photo: Photo, probability: np.ndarray, threshold: float, ramp: float) -> _Cut:
    """The glasses of a photo with transparency."""
    assert photo.alpha is not None
    hides = transparency.hides(photo.alpha, probability)
    if transparency.cuts_out(photo.alpha, probability):
        parts = transparency.take_apart(photo.image, photo.alpha, probability)
        image = fringe.removed(parts.image, parts.alpha)
        strays = transparency.strays(image, parts.alpha, probability)
        return _Cut(parts.alpha, image, True, parts.shade, hides or strays)
    image, alpha = cut(photo.on_white(), probability, threshold, ramp)
    cv2.copyTo(photo.image, cv2.compare(photo.alpha, transparency.OPAQUE, cv2.CMP_LT), image)
    return _Cut(cv2.min(alpha, photo.alpha), image, misfit=hides)


def _refuse_strip(photo: Photo, look: Look) -> None:
    """Raise PhotoError for a strip that would be resampled: the kernel's margins would dwarf it."""
    height, width = photo.image.shape[:2]
    if look.framing.changes and max(height, width) > _LONGEST_STRIP * min(height, width):
        raise PhotoError("side_too_long", f"a strip of {width}×{height} pixels can't be framed")
