"""Small ICC profiles written from published numbers, and the textbook conversion to sRGB that tests compare with.

The layout is that of ICC.1:2001-04 (version 2.4): a header of 128 bytes, a table of tags, the tags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class RgbSpace:
    """An RGB space by the chromaticities of its primaries and white, and its gamma; None is sRGB's own curve."""

    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float]
    gamma: float | None

    def to_xyz(self) -> np.ndarray:
        """3×3: linear RGB to XYZ under D50, adapted by Bradford's method."""
        columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in self.primaries]).T
        x, y = self.white
        white = np.array([x / y, 1.0, (1 - x - y) / y])
        scale = np.diag((_BRADFORD @ D50) / (_BRADFORD @ white))
        adapt = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD
        return adapt @ (columns * np.linalg.solve(columns, white))

    def linear(self, values: np.ndarray) -> np.ndarray:
        if self.gamma:
            return values**self.gamma
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


_D65 = (0.3127, 0.3290)
SRGB = RgbSpace(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), _D65, None)
ADOBE_RGB = RgbSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), _D65, 563 / 256)
DISPLAY_P3 = RgbSpace(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _D65, None)
PROPHOTO = RgbSpace(((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8)


def xyz_to_srgb(xyz: np.ndarray) -> np.ndarray:
    """XYZ under D50 (… × 3) to sRGB in [0, 255], clipped."""
    linear = np.clip(xyz @ np.linalg.inv(SRGB.to_xyz()).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def rgb_to_srgb(pixels: np.ndarray, space: RgbSpace) -> np.ndarray:
    """Pixels of `space` (… × 3, [0, 255]) as sRGB in [0, 255]."""
    return xyz_to_srgb(space.linear(pixels / 255.0) @ space.to_xyz().T)


def grey_to_srgb(pixels: np.ndarray, gamma: float) -> np.ndarray:
    """Grey of a gamma (…, [0, 255]) as sRGB (… × 3)."""
    return xyz_to_srgb((pixels[..., None] / 255.0) ** gamma * D50)


# The paper's Lab minus what each full ink takes away: linear in the inks, so that every way of interpolation agrees.
_INK_LAB = np.array([[-20.0, -30, -35], [-25, 55, -5], [-10, -5, 65], [-45, 0, 0]])


def cmyk_to_srgb(inks: np.ndarray) -> np.ndarray:
    """Inks (… × 4, [0, 255], 255 is full) as sRGB, by the made-up press that `cmyk_profile` describes."""
    lab = np.array([100.0, 0, 0]) + inks / 255.0 @ _INK_LAB
    f = (lab[..., :1] + 16) / 116 + np.stack([lab[..., 1] / 500, 0 * lab[..., 1], -lab[..., 2] / 200], axis=-1)
    return xyz_to_srgb(D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)))


def matrix_profile(space: RgbSpace) -> bytes:
    """An RGB display profile: a matrix and one curve."""
    tags = {name: _xyz(column) for name, column in zip(("rXYZ", "gXYZ", "bXYZ"), space.to_xyz().T, strict=True)}
    if space.gamma:
        curve = _curve([round(space.gamma * 256)])
    else:
        curve = _curve([round(65535 * float(v)) for v in space.linear(np.linspace(0, 1, 1024))])
    return _profile("mntr", "RGB ", "XYZ ", {**tags, "rTRC": curve, "gTRC": curve, "bTRC": curve})


def grey_profile(gamma: float) -> bytes:
    return _profile("mntr", "GRAY", "XYZ ", {"kTRC": _curve([round(gamma * 256)])})


def cmyk_profile() -> bytes:
    """A press profile with one table of 2⁴ nodes from inks to Lab (lut16Type)."""
    nodes = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(16, 4)
    lab = np.array([100.0, 0, 0]) + nodes @ _INK_LAB
    encoded = np.round(np.column_stack([lab[:, 0] * 652.80, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256]))
    identity = [round(s * 65536) for s in (1, 0, 0, 0, 1, 0, 0, 0, 1)]
    head = struct.pack(">4s4xBBBx9iHH", b"mft2", 4, 3, 2, *identity, 2, 2)
    ramps = struct.pack(">8H", *[0, 65535] * 4), struct.pack(">6H", *[0, 65535] * 3)
    table = encoded.clip(0, 65535).astype(">u2").tobytes()
    return _profile("prtr", "CMYK", "Lab ", {"A2B0": head + ramps[0] + table + ramps[1]})


def _xyz(values: np.ndarray) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(v) * 65536) for v in values))


def _curve(values: list[int]) -> bytes:
    return struct.pack(f">4s4xI{len(values)}H", b"curv", len(values), *values)


def _profile(device: str, space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    text = b"made for tests\0"
    description = struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78)
    tags = {"desc": description, "cprt": b"text" + bytes(4) + text, "wtpt": _xyz(D50), **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}  # tags with the same content share it
    for name, tag in tags.items():
        if tag not in places:
            places[tag] = start + len(body)
            body += tag + bytes(-len(tag) % 4)
        table += struct.pack(">4sII", name.encode(), places[tag], len(tag))
    date = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, device.encode(), space.encode(), b"")
    header = header[:20] + connection.encode() + date + b"acsp" + bytes(28) + _xyz(D50)[8:]
    return header.ljust(128, b"\0") + table + body
