"""What a picture states about its colours: an ICC profile, or primaries and a curve in the terms of its format."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pi_heif
from PIL import ExifTags, Image

from glasseg.images import colours, png
from glasseg.images.colours import ADOBE_RGB, D65, SRGB, ColourError, Curve, Encoding, Primaries
from glasseg.images.tags import BAD_DATA

# ITU-T H.273, table 2.
_C: Final = (0.310, 0.316)
_DCI: Final = (0.314, 0.351)
_SMPTE: Final = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)
_P3: Final = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_BT2020: Final = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
_PRIMARIES: Final[dict[int, Primaries]] = {
    1: SRGB,
    2: SRGB,  # not specified
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: _SMPTE,
    7: _SMPTE,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: _BT2020,
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: (*_P3, _DCI),
    12: (*_P3, D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
# Table 3. What cameras for video apply (1, 6, 11, 14, 15) is not undone by its inverse: pictures are made to look right
# on a display of about sRGB's curve, and browsers show them so.
_CURVES: Final[dict[int, Curve]] = {
    **dict.fromkeys((1, 2, 6, 11, 13, 14, 15), colours.srgb),
    4: colours.power(2.2),
    5: colours.power(2.8),
    7: colours.smpte_240m,
    8: colours.power(1.0),
    16: colours.pq,
    17: colours.power(2.6, 52.37 / 48),
    18: colours.hlg,
}
_HDR: Final = {16, 18}

_BMP_HEADER: Final = 14  # where it begins

# Numbers of TIFF 6.0 and EXIF 3.0
_PHOTOMETRIC, _TRANSFER, _WHITE, _COLOURS = 262, 301, 318, 319
_COLOUR_SPACE, _GAMMA, _INTEROPERABILITY = 0xA001, 0xA500, 1
_UNCALIBRATED: Final = 0xFFFF


def colours_of(
    data: bytes, picture: Image.Image, exif: Image.Exif, remarks: list[str], *, ink: bool
) -> Iterator[Encoding | bytes]:
    """What an opened picture states about its colours, that first which counts most: encodings, and ICC profiles.

    A profile may turn out to be useless, so there may be more than one; what is of ink can have nothing but profiles.
    What can't be understood gets a remark.
    """
    profile = functools.partial(_profile, picture)
    sources: list[Callable[[], list[Encoding | bytes]]] = [
        functools.partial(_png_code, data, picture),
        profile,
        functools.partial(_png_gamma, data, picture),
        functools.partial(_heif, data, picture),
        functools.partial(_tiff, picture),
        functools.partial(_bmp, data, picture),
        functools.partial(_exif, exif),
    ]
    for source in sources if not ink else [profile]:
        try:
            yield from source()
        except ColourError as error:
            remarks.append(f"its colours are stated {error}: taken for sRGB")
        except BAD_DATA:
            remarks.append("what it states about its colours is broken and was ignored")


def _profile(picture: Image.Image) -> list[Encoding | bytes]:
    if "icc_profile" not in picture.info:
        return []
    profile = picture.info["icc_profile"]
    if not isinstance(profile, bytes):  # Pillow could not assemble it
        return [b""]
    code = _code_in(profile)
    # LittleCMS does not know the tag: a profile of high dynamic range holds tables for those who don't.
    return [coded(*code)] if code and code[1] in _HDR else [profile]


def _code_in(profile: bytes) -> tuple[int, int] | None:
    """(primaries, transfer) of the tag "cicp" of ICC.1:2022, 9.2.17."""
    (tags,) = struct.unpack_from(">I", profile, 128) if len(profile) > 132 else (0,)
    for place in range(132, min(132 + 12 * tags, len(profile) - 11), 12):
        name, start = struct.unpack_from(">4sI", profile, place)
        if name == b"cicp" and start + 12 <= len(profile):
            return profile[start + 8], profile[start + 9]
    return None


def coded(primaries: int, transfer: int, *, narrow: bool = False) -> Encoding:
    """The encoding with the numbers of ITU-T H.273.

    Raises:
        ColourError: for a number that has no meaning, or none for a photo.
    """
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        raise ColourError(f"by codes (primaries {primaries}, transfer {transfer}) that can't be converted")
    return Encoding(_CURVES[transfer], _PRIMARIES[primaries], narrow)


def _png_code(data: bytes, picture: Image.Image) -> list[Encoding | bytes]:
    """cICP, which counts before a profile."""
    code = _png_chunks(data, picture).get(b"cICP")
    if code is None or (code[0] == 2 and code[1] == 2):
        return []
    if code[2]:
        raise ColourError(f"for a matrix ({code[2]}) that a PNG can't have")
    return [coded(code[0], code[1], narrow=not code[3])]


def _png_gamma(data: bytes, picture: Image.Image) -> list[Encoding | bytes]:
    """sRGB, or gAMA and cHRM."""
    chunks = _png_chunks(data, picture)
    if b"sRGB" in chunks:
        return [Encoding()]
    primaries = SRGB
    if b"cHRM" in chunks:
        x = [value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"])]
        primaries = colours.checked(((x[2], x[3]), (x[4], x[5]), (x[6], x[7]), (x[0], x[1])))
    gamma = int.from_bytes(chunks[b"gAMA"], "big") / 100_000 if b"gAMA" in chunks else 1 / 2.2
    return [Encoding(_curve(gamma, primaries), primaries)] if {b"cHRM", b"gAMA"} & chunks.keys() else []


def _curve(gamma: float, primaries: Primaries) -> Curve:
    """The curve of which this is the inverse exponent, as in a PNG's gAMA.

    1/2.2 is what writers of sRGB and P3 put there, for programs that know no other curve; but it is Adobe RGB's own.
    """
    if not 0.1 <= gamma <= 10:
        raise ColourError(f"by a gamma of {gamma:g}, which makes no sense")
    for_srgb = abs(gamma - 1 / 2.2) < 0.0001 and np.abs(np.subtract(primaries, ADOBE_RGB)).max() > 0.005
    return colours.srgb if for_srgb else colours.power(1 / gamma)


def _png_chunks(data: bytes, picture: Image.Image) -> dict[bytes, bytes]:
    return {chunk.name: chunk.body for chunk in png.metadata(data)} if picture.format == "PNG" else {}


def _heif(data: bytes, picture: Image.Image) -> list[Encoding | bytes]:
    """The code in a "colr" box of a HEIF or AVIF file; libheif reads it in AVIF too, whose pixels it can't decode."""
    if picture.format not in {"HEIF", "AVIF"}:
        return []
    info = picture.info if picture.format == "HEIF" else pi_heif.open_heif(io.BytesIO(data)).info
    code = info.get("nclx_profile") or {}
    primaries, transfer = code.get("color_primaries", 2), code.get("transfer_characteristics", 2)
    return [] if primaries == transfer == 2 else [coded(primaries, transfer)]


def _tiff(picture: Image.Image) -> list[Encoding | bytes]:
    """TransferFunction, WhitePoint and PrimaryChromaticities (TIFF 6.0, section 20)."""
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) not in {1, 2, 3, 6} or not {_TRANSFER, _COLOURS} & set(tags):
        return []
    primaries = _primaries(tags)
    return [Encoding(_tabulated(tags[_TRANSFER]) if _TRANSFER in tags else _curve(1 / 2.2, primaries), primaries)]


def _bmp(data: bytes, picture: Image.Image) -> list[Encoding | bytes]:
    """The colour space of BITMAPV4HEADER and BITMAPV5HEADER: three primaries and gammas, or a profile."""
    if picture.format != "BMP" or len(data) < _BMP_HEADER + 124 or data[_BMP_HEADER] < 108:
        return []
    kind, *numbers = struct.unpack_from("<4s9i3I", data, _BMP_HEADER + 56)
    if kind == b"DEBM" and data[_BMP_HEADER] >= 124:  # little-endian letters
        start, length = struct.unpack_from("<II", data, _BMP_HEADER + 112)
        return [data[_BMP_HEADER + start : _BMP_HEADER + start + length]]
    if kind == b"KNIL":
        raise ColourError("by a profile in another file")
    ends, gamma = np.array(numbers[:9]).reshape(3, 3) / 2**30, numbers[9] / 2**16
    if kind != bytes(4) or not (ends.any() or gamma):  # sRGB, or nothing said
        return []
    primaries = SRGB
    if ends.any():
        sums = np.vstack([ends, ends.sum(axis=0)])
        red, green, blue, white = (sums[:, :2] / np.maximum(sums.sum(axis=1), 1e-9)[:, None]).tolist()
        primaries = colours.checked((tuple(red), tuple(green), tuple(blue), tuple(white)))
    return [Encoding(_curve(1 / (gamma or 2.2), primaries), primaries)]


def _tabulated(table: Any) -> Curve:
    """The curve given as one or three tables of light, 65535 for white, at equal distances."""
    light = np.array(table, float)
    channels = 1 if light.size & (light.size - 1) == 0 else 3
    if light.ndim != 1 or light.size < 2 or light.size % channels:
        raise ColourError("by a curve that makes no sense")
    curves = light.reshape(channels, -1) / 65535
    if (np.diff(curves) < 0).any() or (curves[:, -1] <= curves[:, 0]).any():
        raise ColourError("by a curve that makes no sense")
    places = np.linspace(0, 1, curves.shape[1])
    return lambda values: np.stack([np.interp(values, places, curve) for curve in curves], axis=-1)


def _primaries(tags: Any) -> Primaries:
    """Of the tags that TIFF and EXIF share."""
    if _COLOURS not in tags:
        return SRGB
    try:
        x = [float(value) for value in tags[_COLOURS]]
        white = [float(value) for value in tags.get(_WHITE, D65)]
        return colours.checked(((x[0], x[1]), (x[2], x[3]), (x[4], x[5]), (white[0], white[1])))
    except (TypeError, LookupError, ArithmeticError) as error:
        raise ColourError("by primaries that make no sense") from error


def _exif(exif: Image.Exif) -> list[Encoding | bytes]:
    """Adobe RGB as cameras note it (DCF 2.0), or a space "uncalibrated", of which EXIF may give the numbers."""
    fields = exif.get_ifd(ExifTags.IFD.Exif)
    space = fields.get(_COLOUR_SPACE)
    if exif.get_ifd(ExifTags.IFD.Interop).get(_INTEROPERABILITY) == "R03" or space == 2:
        return [Encoding(colours.power(563 / 256), ADOBE_RGB)]
    if space != _UNCALIBRATED:
        return []
    if _COLOURS not in exif:
        raise ColourError('by EXIF as not sRGB ("uncalibrated") and by nothing else')
    primaries = _primaries(exif)
    return [Encoding(_curve(1 / float(fields.get(_GAMMA) or 2.2), primaries), primaries)]
