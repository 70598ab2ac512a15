"""What the network saw in a photo, kept as small as the network gave it until it is needed at the photo's size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from glasseg.images.window import Window
from glasseg.model import turns
from glasseg.model.letterbox import Letterbox, halved, halvings, unletterbox


@dataclass(frozen=True)
class Segmentation:
    """The network's result for one photo."""

    map: np.ndarray
    """Probability of glasses, float32, about [0, 1], as the network gave it for its last look, its islands decided."""
    box: Letterbox
    """How the part of the photo that it looked at lies in `map`."""
    seen: Window
    """That part, in the photo as it was looked at."""
    first: tuple[np.ndarray, Letterbox] | None = None
    """The first of two looks, at the whole photo: its map and how the photo lies in it."""
    quarters: int = 0
    """Counterclockwise quarter turns of the photo before it was looked at."""
    sideways: bool = False
    """Whether the photo seems to be stored sideways; `probability` lies as the photo does all the same."""

    @property
    def window(self) -> Window:
        """The part of the photo, as it is stored, outside which the probability is 0."""
        if not self.quarters:
            return self.seen
        height, width = self.seen.size
        return Window.whole((width, height) if self.quarters % 2 else (height, width))

    def within(self, window: Window) -> np.ndarray:
        """Probability of glasses in a part of the photo that holds `window`: h×w float32 in [0, 1]."""
        if self.quarters:
            return turns.turned(self.seen.on(unletterbox(self.map, self.box)), -self.quarters)
        if window == self.seen:
            return unletterbox(self.map, self.box)
        probability = np.zeros(window.shape, np.float32)
        unletterbox(self.map, self.box, out=self._seen_in(probability, window))
        return probability

    def agreement(self, probability: np.ndarray | None = None, window: Window | None = None) -> float | None:
        """Soft IoU, [0, 1], of the first of two looks with the last, at the first's size; 1 if both see nothing, None
        if there was only one look. `probability`: that `within` the `window`, if it is at hand."""
        if self.first is None:
            return None
        window = window or self.window
        probability = self.within(window) if probability is None else probability
        if self.quarters:  # then the window is all
            probability, window = turns.turned(probability, self.quarters), Window.whole(self.seen.size)
        enlarged = self._seen_in(probability, window)
        map, box = self.first
        height, width = box.inner
        seen = map[box.top : box.top + height, box.left : box.left + width]
        last = _shrunk(enlarged, self.seen, box.inner)
        either = float(np.maximum(seen, last).sum())
        return float(np.minimum(seen, last).sum()) / either if either else 1.0

    def _seen_in(self, part: np.ndarray, window: Window) -> np.ndarray:
        """The part that was looked at of an array of a window around it; both as the photo was looked at."""
        (x0, y0), (x, y), (height, width) = window.origin, self.seen.origin, self.seen.shape
        return part[y - y0 : y - y0 + height, x - x0 : x - x0 + width]

    @property
    def probability(self) -> np.ndarray:
        """Probability of glasses at photo size: H×W float32 in [0, 1]; made anew each time."""
        return self.window.on(self.within(self.window))

    def shape(self, threshold: float) -> turns.Shape:
        """The shape of what was found in the photo as it was looked at."""
        (height, width), (top, left) = self.box.inner, (self.box.top, self.box.left)
        return turns.shape(self.map[top : top + height, left : left + width], self.seen, threshold)


def _shrunk(part: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """The whole of which `part` (h×w float32) is a window, with 0 around it, shrunk to `size`, (height, width)."""
    step = 2 ** halvings(window.size, size)
    rows, columns = (
        slice(one.start // step * step, -(-one.stop // step) * step) for one in (window.rows, window.columns)
    )
    wider = Window(rows, columns, window.size)
    if wider != window:
        (x0, y0), (x, y), (height, width) = wider.origin, window.origin, window.shape
        below, right = wider.shape[0] - height - (y - y0), wider.shape[1] - width - (x - x0)
        part = cv2.copyMakeBorder(part, y - y0, below, x - x0, right, cv2.BORDER_CONSTANT, value=0)
    small = halved(part, (wider.shape[0] // step, wider.shape[1] // step))
    # from pixel centres of `size` to those of `small`; never the whole, which would be large where nothing was halved
    scales = [whole / step / wanted for whole, wanted in zip(window.size, size, strict=True)]
    starts = [(scale - 1) / 2 - one.start / step for scale, one in zip(scales, (rows, columns), strict=True)]
    back = np.array([[scales[1], 0, starts[1]], [0, scales[0], starts[0]]])
    return cv2.warpAffine(small, back, size[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
