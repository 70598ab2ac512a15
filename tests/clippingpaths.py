"""Clipping paths of pictures as psd-tools, which is not ours, reads them."""

from __future__ import annotations

import io

import cv2
import numpy as np
import tifffile
from PIL import Image
from psd_tools.psd.image_resources import ImageResources
from psd_tools.psd.vector import ClosedPath, InitialFillRule, Path, PathFillRule


def resources(data: bytes) -> bytes:
    """The image resources of a JPEG or TIFF; b"" if it has none."""
    if data.startswith(b"\xff\xd8"):
        with Image.open(io.BytesIO(data)) as picture:
            parts = [body for name, body in picture.applist if name == "APP13"]  # type: ignore[attr-defined]
        assert all(part.startswith(b"Photoshop 3.0\0") for part in parts)
        return b"".join(part[14:] for part in parts)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages.first.tags.get(34377)
        return bytes(tag.value) if tag else b""


def read(data: bytes) -> list[ClosedPath]:
    """The closed curves of a picture's clipping path; none if it has none."""
    if not (found := resources(data)):
        return []
    read = ImageResources._read_body(io.BytesIO(found))  # what a PSD has, but for its length
    names = {resource.name: number for number, resource in read.items() if 2000 <= number < 2998}
    rule, start, *curves = Path.frombytes(read.get_data(names[read.get_data(2999)]))
    assert isinstance(rule, PathFillRule) and isinstance(start, InitialFillRule) and start.value == 0
    assert all(isinstance(curve, ClosedPath) and curve.operation == 0 for curve in curves)  # exclude overlaps
    return curves


def points(curve: ClosedPath, size: tuple[int, int], steps: int = 16) -> np.ndarray:
    """n complex128: points all along a curve, in pixels of a picture of `size` (height, width)."""

    def at(name: str) -> np.ndarray:
        return np.array([complex(x * size[1], y * size[0]) for y, x in (getattr(knot, name) for knot in curve)])

    u = np.linspace(0, 1, steps, endpoint=False)
    a, b, c, d = at("anchor"), at("leaving"), np.roll(at("preceding"), -1), np.roll(at("anchor"), -1)
    weights = np.stack([(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u * u * (1 - u), u**3])
    return (np.stack([a, b, c, d], axis=1) @ weights).ravel()


def inside(curves: list[ClosedPath], size: tuple[int, int]) -> np.ndarray:
    """H×W bool: the pixels whose centre is within an odd number of the curves, give or take the line itself."""
    mask = np.zeros(size, np.uint8)
    polygons = [points(curve, size) - (0.5 + 0.5j) for curve in curves]
    fixed = [np.rint(np.stack([one.real, one.imag], axis=1) * 256).astype(np.int32) for one in polygons]
    cv2.fillPoly(mask, fixed, 1, shift=8)
    return mask > 0
