"""Pictures whose colours are stated by something else than an ICC profile, each with the look of one sRGB picture.

The coded values are computed from it in float, by the formulas of ITU-R BT.2100 and BT.2408 and of the specifications.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import cv2
import iccprofiles as icc
import numpy as np
from handmade import png, saved
from PIL import Image, TiffImagePlugin

LINEAR_SRGB = icc.RgbSpace(icc.SRGB.primaries, icc.SRGB.white, 1.0)
BT2020 = icc.RgbSpace(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), (0.3127, 0.3290), 1.0)
WHITE = 203.0  # cd/m², BT.2408

P3_SRGB, BT2020_PQ, BT2020_HLG, SRGB_SRGB = (12, 13), (9, 16), (9, 18), (1, 13)


def light(image: np.ndarray, space: icc.RgbSpace) -> np.ndarray:
    """The light of an sRGB picture (uint8) in the primaries of `space`; 1 is white."""
    return np.clip(icc.SRGB.linear(image / 255.0) @ icc.SRGB.to_xyz().T @ np.linalg.inv(space.to_xyz()).T, 0, None)


def pq(amount: np.ndarray) -> np.ndarray:
    """BT.2100, table 4: the inverse of the EOTF, for light of which 1 is white paper."""
    power = (amount * WHITE / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(amount: np.ndarray) -> np.ndarray:
    """BT.2100, table 5: the inverse of the OOTF of a display of 1000 cd/m², and the OETF."""
    shown = amount * WHITE / 1000
    luminance = shown @ np.array([0.2627, 0.6780, 0.0593])
    scene = shown * np.maximum(luminance, 1e-9)[..., None] ** ((1 - 1.2) / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def srgb(amount: np.ndarray) -> np.ndarray:
    return np.where(amount <= 0.0031308, 12.92 * amount, 1.055 * amount ** (1 / 2.4) - 0.055)


def power(gamma: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda amount: amount ** (1 / gamma)


def coded(
    image: np.ndarray, space: icc.RgbSpace, curve: Callable[[np.ndarray], np.ndarray], white: int = 65535
) -> np.ndarray:
    """An sRGB picture in other terms, with the value `white` for all there can be."""
    return (np.clip(curve(light(image, space)), 0, 1) * white).round().astype(np.uint8 if white == 255 else np.uint16)


def cicp(primaries: int, transfer: int, *, full: bool = True) -> dict[bytes, bytes]:
    return {b"cICP": bytes([primaries, transfer, 0, full])}


def gama(value: float) -> dict[bytes, bytes]:
    return {b"gAMA": struct.pack(">I", round(value * 100_000))}


def chrm(space: icc.RgbSpace) -> dict[bytes, bytes]:
    points = (space.white, *space.primaries)
    return {b"cHRM": struct.pack(">8I", *(round(100_000 * value) for point in points for value in point))}


def with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    """A HEIC or AVIF file that states these codes of ITU-T H.273."""
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def avif(pixels: np.ndarray, bits: int, primaries: int, transfer: int) -> bytes:
    """An AVIF of 8 to 12 bits, of H×W×3 RGB."""
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100, cv2.IMWRITE_AVIF_SPEED, 9]
    return with_nclx(cv2.imencode(".avif", pixels[..., ::-1], options)[1].tobytes(), primaries, transfer)


def tiff(pixels: np.ndarray, space: icc.RgbSpace | None, table: np.ndarray | None = None) -> bytes:
    """A TIFF with WhitePoint, PrimaryChromaticities and TransferFunction."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if space:
        tags.tagtype[318] = tags.tagtype[319] = 5  # RATIONAL
        tags[318], tags[319] = space.white, tuple(value for point in space.primaries for value in point)
    if table is not None:
        tags.tagtype[301] = 3  # SHORT
        tags[301] = tuple(int(value) for value in table.ravel())
    return saved(pixels, "TIFF", tiffinfo=tags)


def tiff_with_exif(pixels: np.ndarray, space: int) -> bytes:
    """A TIFF whose EXIF directory has ColorSpace as given."""
    data = saved(pixels, "TIFF")
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    fields = struct.pack("<HHHIHHI", 1, 0xA001, 3, 1, space, 0, 0)
    pointer = struct.pack("<HHII", 34665, 4, 1, len(data))
    table = struct.pack("<H", count + 1) + data[place + 2 : place + 2 + 12 * count] + pointer + bytes(4)
    return data[:4] + struct.pack("<I", len(data) + len(fields)) + data[8:] + fields + table


def bmp(pixels: np.ndarray, kind: bytes, space: icc.RgbSpace | None = None, profile: bytes = b"") -> bytes:
    """A BMP with BITMAPV5HEADER: of a kind of colour space, with primaries and gamma, or with a profile."""
    height, width = pixels.shape[:2]
    body = pixels[::-1, :, ::-1].tobytes()  # the sides of the tests' pictures need no padding
    head = struct.pack("<IiiHHIIiiII16x", 124, width, height, 1, 24, 0, len(body), 2835, 2835, 0, 0)
    ends, gammas = [0] * 9, [0] * 3
    if space:
        columns = np.array([(x, y, 1 - x - y) for x, y in space.primaries]).T
        white = np.array([space.white[0] / space.white[1], 1, (1 - sum(space.white)) / space.white[1]])
        xyz = columns * np.linalg.solve(columns, white)
        ends = [round(value * 2**30) for value in xyz.T.ravel()]
        gammas = [round((space.gamma or 2.2) * 2**16)] * 3
    head += struct.pack("<4s9i3I", kind, *ends, *gammas)
    head += struct.pack("<4I", 4, 124 + len(body) if profile else 0, len(profile), 0)
    size = 14 + 124 + len(body) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + 124) + head + body + profile


def exif(space: int, *, interoperability: str = "", described: icc.RgbSpace | None = None) -> Image.Exif:
    """ColorSpace as given; what DCF says about it, and what EXIF can say in numbers."""
    block = Image.Exif()
    fields = block.get_ifd(0x8769)
    fields[0xA001] = space
    if interoperability:
        fields[0xA005] = {1: interoperability}
    if described:
        block[318], block[319] = described.white, tuple(value for point in described.primaries for value in point)
        fields[0xA500] = described.gamma
    return block


def deep_png(pixels: np.ndarray, chunks: dict[bytes, bytes]) -> bytes:
    return png(pixels if pixels.ndim == 3 else pixels[..., None], 2 if pixels.ndim == 3 else 0, chunks)
