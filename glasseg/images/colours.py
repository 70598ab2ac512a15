"""From numbers whose meaning is stated as primaries and a curve, as in ITU-T H.273, to sRGB.

ICC profiles are LittleCMS' work, see `profiles`. What it does not offer is here: curves of high dynamic range, and more
than 8 bits, without which the dark parts of linear or PQ pictures fall into steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from glasseg.images.pixels import bands
from glasseg.images.profiles import untagged_to_srgb

Curve = Callable[[np.ndarray], np.ndarray]
"""From coded values, n in [0, 1], to light, n or n×3 (one column for each of R, G, B); 1 is white."""

# ITU-R BT.2408, 2.2: white paper in a picture of high dynamic range has 203 cd/m²; that is what white is in sRGB.
_REFERENCE_WHITE: Final = 203.0
_HLG_PEAK: Final = 1000.0  # cd/m², of the display for which BT.2100 gives the system gamma
_HLG_SYSTEM_GAMMA: Final = 1.2
_CLIPPED: Final = 1.02  # of white; less is rounding
_WORTH_SAYING: Final = 0.01  # of the pixels

# The chromaticities (x, y) of red, green, blue and white.
Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
D65: Final = (0.3127, 0.3290)
SRGB: Final[Primaries] = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
ADOBE_RGB: Final[Primaries] = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65)
_D50: Final = (0.9642, 1.0, 0.8249)

_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


class ColourError(ValueError):
    """What is stated makes no sense; the message says what, as the end of "its colours are stated …"."""


def srgb(values: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def power(gamma: float, gain: float = 1.0) -> Curve:
    return lambda values: gain * values**gamma


def smpte_240m(values: np.ndarray) -> np.ndarray:
    return np.where(values < 4 * 0.0228, values / 4, ((values + 0.1115) / 1.1115) ** (1 / 0.45))


def pq(values: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, table 4: the EOTF of PQ (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = values ** (1 / m2)
    return 10_000 / _REFERENCE_WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def hlg(values: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, table 5: the inverse OETF of HLG, which gives the light of the scene."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)


@dataclass(frozen=True)
class Encoding:
    """What the numbers of a picture mean."""

    curve: Curve = srgb
    primaries: Primaries = SRGB
    narrow: bool = False
    """Whether black and white are 16 and 235, as in video."""

    @functools.cached_property
    def to_srgb_light(self) -> np.ndarray:
        """3×3: light of these primaries to light of sRGB's, adapted by Bradford's method."""
        matrix = np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(self.primaries)
        return np.ascontiguousarray(matrix, np.float32)

    @property
    def is_hdr(self) -> bool:
        return self.curve in {pq, hlg}

    def moves_colours(self) -> bool:
        """Whether any colour would move by more than a level, as `profiles` judges too."""
        if self == Encoding():  # what most files state
            return False
        levels = np.linspace(0, 255, 17).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(17, -1, 3)
        return bool(np.abs(_convert(grid, self, _table(self, 256))[0].astype(np.int16) - grid).max() > 1)


def to_srgb(pixels: np.ndarray, white: int, encoding: Encoding, remarks: list[str]) -> np.ndarray:
    """Convert grey (H×W) or RGB (H×W×3) pixels, uint8 or uint16 with the value `white` for white, to sRGB, H×W×3 uint8.

    Colours that sRGB can't hold are clipped. In a picture of high dynamic range, 203 cd/m² become white (BT.2408), all
    that is darker stays as it is, and what is brighter is clipped in its hue, with a remark. 8-bit pixels of which no
    colour would move by more than a level are returned unchanged.
    """
    if white == 255 and not encoding.moves_colours():
        return untagged_to_srgb(pixels)
    table, clipped = _table(encoding, white + 1), 0
    converted = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in bands(pixels.shape[:2]):
        converted[rows], too_bright = _convert(np.minimum(pixels[rows], white), encoding, table)
        clipped += too_bright
    share = clipped / (pixels.shape[0] * pixels.shape[1])
    if share > _WORTH_SAYING:
        remarks.append(f"HDR: {share:.0%} of it is brighter than white (203 cd/m²) and was clipped")
    return converted


def checked(primaries: Primaries) -> Primaries:
    """The primaries, if colours can be mixed from them.

    Raises:
        ColourError: if they can't: they lie on a line, or outside everything that is visible.
    """
    red, green, blue, white = (np.array(point) for point in primaries)
    area = abs((green - red)[0] * (blue - red)[1] - (green - red)[1] * (blue - red)[0])
    sane = all(-0.2 <= x <= 1.2 and -0.2 <= y <= 1.2 for x, y in primaries) and white.min() > 0.05 and white.sum() < 1
    if not sane or area < 0.01 or (_unadapted(primaries)[1] <= 0).any():
        raise ColourError("by primaries that make no sense")
    return primaries


def _convert(pixels: np.ndarray, encoding: Encoding, table: np.ndarray) -> tuple[np.ndarray, int]:
    """One band, and how many of its pixels were too bright."""
    rgb = cv2.merge([pixels] * 3) if pixels.ndim == 2 else pixels
    light = cv2.merge([table[:, channel][rgb[..., channel]] for channel in range(3)])
    too_bright = 0
    if encoding.curve is hlg:
        light = _shown_by_display(light, _unadapted(encoding.primaries)[1])
    if encoding.is_hdr:
        brightest = light.max(axis=2)
        too_bright = int(np.count_nonzero(brightest > _CLIPPED))
        light /= np.maximum(brightest, 1)[..., None]
    light = cv2.transform(light, encoding.to_srgb_light)
    return _srgb_levels()[(np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)], too_bright


def _shown_by_display(light: np.ndarray, luminance: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100, table 5: the OOTF of HLG, from the light of the scene to that of a display; 1 is paper white."""
    scene = cv2.transform(light, luminance[None].astype(np.float32)).reshape(light.shape[:2])
    return light * (_HLG_PEAK / _REFERENCE_WHITE * scene ** (_HLG_SYSTEM_GAMMA - 1))[..., None]


def _table(encoding: Encoding, levels: int) -> np.ndarray:
    """levels×3 float32: the light of each value of each channel."""
    values = np.linspace(0, 1, levels)
    if encoding.narrow:
        values = np.clip((values * 255 - 16) / (235 - 16), 0, 1)
    light = encoding.curve(values)
    return np.ascontiguousarray(np.broadcast_to(light.T, (3, levels)).T, np.float32)


@functools.cache
def _srgb_levels() -> np.ndarray:
    """The sRGB value, uint8, of each of 65536 amounts of light."""
    light = np.linspace(0, 1, 65536)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * coded).round().astype(np.uint8)


def _to_xyz(primaries: Primaries) -> np.ndarray:
    """3×3: light of these primaries to XYZ under D50."""
    columns = _unadapted(primaries)
    bradford = np.array(_BRADFORD)
    cones = bradford @ np.array(_D50) / (bradford @ columns.sum(axis=1))
    return np.linalg.inv(bradford) @ np.diag(cones) @ bradford @ columns


def _unadapted(primaries: Primaries) -> np.ndarray:
    """3×3: light of these primaries to XYZ under their own white, of which Y is 1."""
    points = np.array([(x, y, 1 - x - y) for x, y in primaries]).T
    return points[:, :3] * np.linalg.solve(points[:, :3], points[:, 3] / points[1, 3])
