"""Pictures of every kind that catalogs hold, made in memory, each with the pixels that it has to give.

What is expected is computed here from the drawn scene, by textbook formulas in float; never by the decoder under test.
`bombs` and `mutations` are what hostile and broken files look like.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import damage
import heicfiles
import iccprofiles as icc
import numpy as np
from handmade import ADOBE_CMYK, bmp, planes, png, saved, stored_cmyk, tiff, with_luma_table_for_black
from PIL import Image

UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # what each orientation asks for, by the EXIF standard
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
_UNDO = {6: 8, 8: 6}  # the other orientations undo themselves


@dataclass(frozen=True)
class Sample:
    """A file and what it has to give."""

    name: str
    data: bytes
    expected: np.ndarray
    """H×W×3, RGB on white, upright; float where it was computed so."""
    tolerance: float
    """Mean absolute difference allowed, in levels of 255."""
    most: float
    """Difference allowed at any one pixel, in levels."""
    alpha: np.ndarray | None = None
    """H×W uint8 the photo's own transparency, exact; None when there must be none."""
    warns: str | None = None
    """Part of a remark that must be made; None when there must be none."""


EXACT, ROUNDED, LOSSY, LUT = (0.0, 0.0), (0.6, 1.001), (2.0, 28.0), (0.8, 4.0)  # (tolerance, most)


def scene(height: int = 64, width: int = 96) -> np.ndarray:
    """Smooth colours, and in the upper left a mark without any symmetry: H×W×3 uint8."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    red = 150 + 70 * np.cos(3 * x + y)
    green = 140 + 60 * np.cos(2 * y - x)
    blue = 130 + 80 * np.sin(2 * x + 2 * y)
    image = np.stack([red, green, blue], axis=-1)
    image[:16, :32] = (190, 60, 50)
    image[16:32, :16] = (40, 70, 160)
    return image.round().astype(np.uint8)


def grey_scene() -> np.ndarray:
    return scene()[..., 1].copy()


def alpha_scene() -> np.ndarray:
    """H×W uint8: opaque, half and fully transparent, without any symmetry."""
    alpha = np.full((64, 96), 255, np.uint8)
    alpha[48:] = 0
    alpha[32:48, 30:] = 128
    return alpha


def on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return 255 - (255.0 - image) * alpha[..., None] / 255


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def oriented(orientation: int) -> np.ndarray:
    """The scene as a camera stores it that notes `orientation`."""
    return np.ascontiguousarray(UPRIGHT[_UNDO.get(orientation, orientation)](scene()))


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def _noted() -> Image.Exif:
    tags = exif()
    tags[0x8298] = "(c) nobody"
    return tags


def samples() -> list[Sample]:
    """The whole corpus; the same bytes at every call with the same libraries."""
    return [*_jpegs(), *_cmyk_jpegs(), *_pngs(), *_webps(), *_tiffs(), *_profiled(), *_others(), *_heics()]


def mutations(seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """`n` damaged samples, (name, bytes); the same for the same seed."""
    return damage.mutated([(sample.name, sample.data) for sample in samples()], seed, n)


def bombs() -> list[tuple[str, bytes]]:
    """Small files, (name, bytes), that claim or hold far more than 10⁸ pixels; of every format."""
    return damage.bombs()


def _jpegs() -> list[Sample]:
    image, grey = scene(), grey_scene()
    best: dict[str, Any] = {"quality": 95, "subsampling": 0}
    whole = saved(image, "JPEG", **best)
    from_adobe = icc.rgb_to_srgb(image, icc.ADOBE_RGB)
    interop = exif()
    interop.get_ifd(0x8769)[0xA001] = 0xFFFF
    interop.get_ifd(0x8769)[0xA005] = {1: "R03"}
    found = [
        Sample("baseline.jpg", whole, image, *LOSSY),
        Sample("progressive.jpg", saved(image, "JPEG", progressive=True, **best), image, *LOSSY),
        Sample("halved_chroma.jpg", saved(image, "JPEG", quality=95), image, 3.0, 70.0),
        Sample("restarts.jpg", saved(image, "JPEG", restart_marker_blocks=2, **best), image, *LOSSY),
        Sample("grey.jpg", saved(grey, "JPEG", quality=95), as_rgb(grey), *LOSSY),
        Sample("rgb_not_ycc.jpg", saved(image, "JPEG", keep_rgb=True, quality=95), image, *LOSSY),
        Sample("named.png", whole, image, *LOSSY),
        Sample("trailing.jpg", whole + b"\0\0 something after the end", image, *LOSSY),
        Sample("broken_exif.jpg", saved(image, "JPEG", exif=b"Exif\0\0nothing", **best), image, *LOSSY, warns="EXIF"),
        Sample("r03.jpg", saved(image, "JPEG", exif=interop, **best), from_adobe, *LOSSY),
    ]
    for orientation in UPRIGHT:
        data = saved(oriented(orientation), "JPEG", exif=exif(orientation), **best)
        found.append(Sample(f"orientation_{orientation}.jpg", data, image, *LOSSY))
    return found


def inks_scene() -> np.ndarray:
    """H×W×4 uint8, 255 is full ink: what a press would print of a photo on light ground."""
    image = 255 - scene().astype(int)
    black = image.min(axis=2, keepdims=True) // 2
    return np.concatenate([image - black, black], axis=2).astype(np.uint8)


def _plain(inks: np.ndarray) -> np.ndarray:
    """Inks as RGB by the formula that needs no profile."""
    return (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255


def _cmyk_jpegs() -> list[Sample]:
    inks = inks_scene()
    plain, paper = _plain(inks), 255 - inks
    # Adobe's technical note 5116: RGB, here the reverse of the stored paper and so the ink, by ITU-T T.871; K as it is.
    r, g, b = (inks[..., i].astype(float) for i in range(3))
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    ycc = np.stack([luma, 128 + (b - luma) / 1.772, 128 + (r - luma) / 1.402], axis=-1).round().clip(0, 255)
    ycck = np.concatenate([ycc.astype(np.uint8), paper[..., 3:]], axis=2)
    marker = ADOBE_CMYK[:-1] + b"\2"
    tables: dict[str, Any] = {"qtables": [[2] * 64, [2] * 64]}
    unmarked = "without Adobe's marker"
    pressed = icc.cmyk_to_srgb(inks)
    return [
        Sample("cmyk_adobe.jpg", stored_cmyk(paper, ADOBE_CMYK), plain, *LOSSY, warns="approximate"),
        Sample("ycck_adobe.jpg", stored_cmyk(ycck, marker), plain, *LOSSY, warns="approximate"),
        Sample("cmyk_no_marker_paper.jpg", stored_cmyk(_light(paper), b""), _light(plain), *LOSSY, warns=unmarked),
        Sample("cmyk_no_marker_inks.jpg", stored_cmyk(255 - _light(paper), b""), _light(plain), *LOSSY, warns=unmarked),
        Sample(
            "ycck_no_marker.jpg",
            with_luma_table_for_black(stored_cmyk(ycck, b"", **tables)),
            plain,
            *LOSSY,
            warns=unmarked,
        ),
        Sample("cmyk_icc.jpg", stored_cmyk(paper, ADOBE_CMYK, icc_profile=icc.cmyk_profile()), pressed, 1.5, 30.0),
        Sample("ycck_icc.jpg", stored_cmyk(ycck, marker, icc_profile=icc.cmyk_profile()), pressed, 1.5, 30.0),
    ]


def _light(values: np.ndarray) -> np.ndarray:
    """On a white ground, as catalog photos are."""
    lit = values.copy()
    lit[40:] = 255
    return lit


def _pngs() -> list[Sample]:
    image, grey, alpha = scene(), grey_scene(), alpha_scene()
    deep = image.astype(np.uint16) * 257 - np.arange(96, dtype=np.uint16)[:, None] % 200  # not only multiples of 257
    deep_alpha = alpha.astype(np.uint16) * 257
    eight = deep / 257.0
    white, grey_white = on_white(image, alpha), on_white(as_rgb(grey), alpha)
    palette = Image.fromarray(image).quantize(64)
    colours = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    indices = np.asarray(palette)
    flat = colours[indices]
    see_through = np.where(indices == indices[20, 90], 0, 255).astype(np.uint8)
    ramp = np.arange(64, dtype=np.uint8)[::-1] * 4 + 3
    keyed = np.where((image == image[0, 0]).all(axis=2), 0, 255).astype(np.uint8)
    key16 = struct.pack(">3H", *(int(v) for v in deep[0, 0]))
    keyed16 = np.where((deep >> 8 == deep[0, 0] >> 8).all(axis=2), 0, 255).astype(np.uint8)
    cut = saved(palette, "PNG", transparency=int(indices[20, 90]))
    soft = saved(palette, "PNG", transparency=ramp.tobytes())
    rotated = png(oriented(6), 2, {b"eXIf": exif(6).tobytes()[6:]})
    return [
        Sample("rgb.png", saved(image, "PNG"), image, *EXACT),
        Sample("grey.png", saved(grey, "PNG"), as_rgb(grey), *EXACT),
        Sample("one_bit.png", saved(Image.fromarray(grey > 128), "PNG"), as_rgb((grey > 128) * np.uint8(255)), *EXACT),
        Sample("grey_alpha.png", png(np.dstack([grey, alpha]), 4), grey_white, *ROUNDED, alpha=alpha),
        Sample("rgba.png", saved(np.dstack([image, alpha]), "PNG"), white, *ROUNDED, alpha=alpha),
        Sample("opaque_rgba.png", saved(np.dstack([image, alpha * 0 + 255]), "PNG"), image, *EXACT),
        Sample("palette.png", saved(palette, "PNG"), flat, *EXACT),
        Sample("palette_cut.png", cut, on_white(flat, see_through), *ROUNDED, alpha=see_through),
        Sample("palette_soft.png", soft, on_white(flat, ramp[indices]), *ROUNDED, alpha=ramp[indices]),
        Sample("key.png", png(image, 2, {b"tRNS": _key(image)}), on_white(image, keyed), *EXACT, alpha=keyed),
        Sample("rgb16.png", png(deep, 2), eight, *ROUNDED),
        Sample("rgba16.png", png(np.dstack([deep, deep_alpha]), 6), on_white(eight, alpha), *ROUNDED, alpha=alpha),
        Sample("grey16.png", png(deep[..., 1:2], 0), as_rgb(eight[..., 1].round()), *EXACT),
        Sample(
            "grey_alpha16.png",
            png(np.dstack([deep[..., 1], deep_alpha]), 4),
            on_white(as_rgb(eight[..., 1]), alpha),
            *ROUNDED,
            alpha=alpha,
        ),
        Sample("key16.png", png(deep, 2, {b"tRNS": key16}), on_white(eight, keyed16), *ROUNDED, alpha=keyed16),
        Sample("orientation.png", rotated, image, *EXACT),
        Sample("frames.png", _animated("PNG"), image, *EXACT, warns="2 frames"),
        Sample("a_tiff.png", saved(image, "TIFF"), image, *EXACT),
    ]


def _key(image: np.ndarray) -> bytes:
    return struct.pack(">3H", *(int(v) for v in image[0, 0]))


def _animated(format: str) -> bytes:
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    return saved(scene(), format, save_all=True, append_images=[Image.fromarray(255 - scene())], **options)


def _webps() -> list[Sample]:
    image, alpha = scene(), alpha_scene()
    rgba, white = np.dstack([image, alpha]), on_white(image, alpha)
    rotated = saved(oriented(8), "WEBP", lossless=True, exif=exif(8))
    return [
        Sample("lossy.webp", saved(image, "WEBP", quality=98), image, 4.0, 90.0),
        Sample("lossless.webp", saved(image, "WEBP", lossless=True), image, *EXACT),
        Sample("alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True), white, *ROUNDED, alpha=alpha),
        Sample("lossy_alpha.webp", saved(rgba, "WEBP", quality=98), white, 4.0, 90.0, alpha=alpha),
        Sample("orientation.webp", rotated, image, *EXACT),
        Sample("frames.webp", _animated("WEBP"), image, *EXACT, warns="2 frames"),
        Sample("a_webp.jpg", saved(image, "WEBP", lossless=True), image, *EXACT),
    ]


def _tiffs() -> list[Sample]:
    image, grey, alpha, inks = scene(), grey_scene(), alpha_scene(), inks_scene()
    deep = image.astype(np.uint16) * 257 - np.arange(96, dtype=np.uint16)[:, None] % 200
    eight, deep_grey = deep / 257.0, deep[..., 1:2]
    rgba = np.dstack([image, alpha])
    multiplied = np.dstack([(image * (alpha[..., None] / 255.0)).round().astype(np.uint8), alpha])
    pages = [Image.fromarray(255 - image), Image.fromarray(grey)]
    tiles: dict[str, Any] = {"tiffinfo": {322: 32, 323: 32}, "compression": "tiff_lzw"}
    inverted = tiff(65535 - deep_grey, 0)
    white = on_white(image, alpha)
    cmyk = tiff(inks, 5)
    deep_alpha, grey_white = alpha.astype(np.uint16) * 257, on_white(as_rgb(eight[..., 1]), alpha)
    found = [
        Sample(f"{name}.tif", saved(image, "TIFF", compression=name), image, *EXACT)
        for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
    ]
    for orientation in UPRIGHT:
        data = saved(oriented(orientation), "TIFF", exif=exif(orientation))
        found.append(Sample(f"orientation_{orientation}.tiff", data, image, *EXACT))
    return [
        *found,
        Sample("jpeg.tif", saved(image, "TIFF", compression="jpeg", quality=97), image, 3.0, 70.0),
        Sample("tiled.tif", saved(image, "TIFF", **tiles), image, *EXACT),
        Sample("big_endian.tif", tiff(image, 2, order=">"), image, *EXACT),
        Sample("grey.tif", saved(grey, "TIFF"), as_rgb(grey), *EXACT),
        Sample("white_is_zero.tif", tiff(255 - grey[..., None], 0), as_rgb(grey), *EXACT),
        Sample("grey16.tif", tiff(deep_grey, 1), as_rgb(eight[..., 1].round()), *EXACT),
        Sample("grey16_big_endian.tif", tiff(deep_grey, 1, order=">"), as_rgb(eight[..., 1].round()), *EXACT),
        Sample("white_is_zero16.tif", inverted, as_rgb(eight[..., 1].round()), *EXACT),
        Sample("rgb16.tif", tiff(deep, 2), eight, *ROUNDED),
        Sample("rgb16_big_endian.tif", tiff(deep, 2, order=">"), eight, *ROUNDED),
        Sample("rgb16_lzw.tif", cv2.imencode(".tif", deep[..., ::-1])[1].tobytes(), eight, *ROUNDED),
        Sample("rgba.tif", tiff(rgba, 2, extra=2), white, *ROUNDED, alpha=alpha),
        Sample("premultiplied.tif", tiff(multiplied, 2, extra=1), white, 0.8, 1.5, alpha=alpha),
        Sample("cmyk.tif", cmyk, _plain(inks), *ROUNDED, warns="approximate"),
        Sample("cmyk16.tif", tiff(inks.astype(np.uint16) * 257, 5), _plain(inks), *ROUNDED, warns="approximate"),
        Sample("planes16.tif", planes(deep, 2), eight, *ROUNDED),
        Sample(
            "grey_alpha16.tif", tiff(np.dstack([deep_grey, deep_alpha]), 1, extra=2), grey_white, *ROUNDED, alpha=alpha
        ),
        Sample(
            "cmyk_extra.tif", tiff(np.dstack([inks, alpha]), 5, extra=0), _plain(inks), *ROUNDED, warns="approximate"
        ),
        Sample("pages.tif", saved(image, "TIFF", save_all=True, append_images=pages), image, *EXACT, warns="3 pages"),
        Sample("bigtiff.tif", saved(image, "TIFF", big_tiff=True), image, *EXACT),
    ]


def _profiled() -> list[Sample]:
    """Profiles in every format, and profiles that can't be used."""
    image, grey, alpha, inks = scene(), grey_scene(), alpha_scene(), inks_scene()
    adobe, p3, wide = (icc.matrix_profile(s) for s in (icc.ADOBE_RGB, icc.DISPLAY_P3, icc.PROPHOTO))
    from_adobe, from_p3, from_wide = (icc.rgb_to_srgb(image, s) for s in (icc.ADOBE_RGB, icc.DISPLAY_P3, icc.PROPHOTO))
    best: dict[str, Any] = {"quality": 97, "subsampling": 0}
    rgba = np.dstack([image, alpha])
    dark, pressed = icc.grey_to_srgb(grey, 1.4), icc.cmyk_to_srgb(inks)
    picture = Image.frombytes("CMYK", (96, 64), inks.tobytes())
    broken = "profile is broken"
    return [
        Sample("adobe_rgb.jpg", saved(image, "JPEG", icc_profile=adobe, **best), from_adobe, 2.0, 40.0),
        Sample("adobe_rgb.png", saved(image, "PNG", icc_profile=adobe), from_adobe, *ROUNDED),
        Sample("display_p3.png", saved(image, "PNG", icc_profile=p3), from_p3, *ROUNDED),
        Sample("prophoto.png", saved(image, "PNG", icc_profile=wide), from_wide, *LUT),
        Sample("prophoto.tif", saved(image, "TIFF", icc_profile=wide), from_wide, *LUT),
        Sample("display_p3.webp", saved(image, "WEBP", lossless=True, icc_profile=p3), from_p3, *ROUNDED),
        Sample(
            "display_p3.avif", saved(image, "AVIF", quality=98, subsampling="4:4:4", icc_profile=p3), from_p3, 2.0, 40.0
        ),
        Sample("srgb.png", saved(image, "PNG", icc_profile=icc.matrix_profile(icc.SRGB)), image, *EXACT),
        Sample("p3_alpha.png", saved(rgba, "PNG", icc_profile=p3), on_white(from_p3, alpha), *LUT, alpha=alpha),
        Sample("grey_gamma.png", saved(grey, "PNG", icc_profile=icc.grey_profile(1.4)), dark, *LUT),
        Sample("cmyk_icc.tif", saved(picture, "TIFF", icc_profile=icc.cmyk_profile()), pressed, *LUT),
        Sample("broken_profile.png", saved(image, "PNG", icc_profile=p3[:200]), image, *EXACT, warns=broken),
        Sample(
            "broken_profile.jpg", saved(image, "JPEG", icc_profile=b"no profile", **best), image, *LOSSY, warns=broken
        ),
        Sample("grey_profile.png", saved(image, "PNG", icc_profile=icc.grey_profile(1.4)), image, *EXACT, warns="grey"),
        Sample("rgb_profile.png", saved(grey, "PNG", icc_profile=p3), as_rgb(grey), *EXACT, warns="is for RGB"),
    ]


def _others() -> list[Sample]:
    image, alpha = scene(), alpha_scene()
    palette = Image.fromarray(image).quantize(64)
    flat = np.asarray(palette.convert("RGB"))
    rgba = np.dstack([image, alpha])
    best: dict[str, Any] = {"quality": 98, "subsampling": "4:4:4"}
    found = [
        Sample("rgb.bmp", saved(image, "BMP"), image, *EXACT),
        Sample("palette.bmp", saved(palette, "BMP"), flat, *EXACT),
        Sample("grey.bmp", saved(grey_scene(), "BMP"), as_rgb(grey_scene()), *EXACT),
        Sample("alpha.bmp", bmp(rgba), on_white(image, alpha), *ROUNDED, alpha=alpha),
        *(
            Sample(f"no_alpha_{size}.bmp", bmp(np.dstack([image, alpha * 0]), size), image, *EXACT)
            for size in (56, 108, 124)
        ),
        Sample("palette.gif", saved(palette, "GIF"), flat, *EXACT),
        Sample("a_gif.jpg", saved(palette, "GIF"), flat, *EXACT),
        Sample("frames_gif.png", _animated("GIF"), image, 9.0, 80.0, warns="animated"),
        Sample("rgb.avif", saved(image, "AVIF", **best), image, *LOSSY),
        Sample("grey.avif", saved(grey_scene(), "AVIF", quality=98), as_rgb(grey_scene()), *LOSSY),
        Sample("alpha.avif", saved(rgba, "AVIF", **best), on_white(image, alpha), *LOSSY, alpha=alpha),
    ]
    torn = saved(image, "AVIF", exif=_noted(), **best).replace(b"MM\0*", b"no\0*")
    found.append(Sample("broken_exif.avif", torn, image, *LOSSY, warns="EXIF"))
    for orientation in (2, 5, 6):
        data = saved(oriented(orientation), "AVIF", exif=exif(orientation), **best)
        found.append(Sample(f"orientation_{orientation}.avif", data, image, *LOSSY))
    return found


def _heics() -> list[Sample]:
    image, alpha = scene(), alpha_scene()
    from_adobe = icc.rgb_to_srgb(image, icc.ADOBE_RGB)
    return [
        Sample("rgb.heic", heicfiles.RGB, image, *LOSSY),
        Sample("turned.heic", heicfiles.TURNED, image, *LOSSY),
        Sample("alpha.heic", heicfiles.ALPHA, on_white(image, alpha), *LOSSY, alpha=alpha),
        Sample("adobe_rgb.heic", heicfiles.ADOBE_RGB, from_adobe, 2.0, 40.0),
        Sample("ten_bits.heif", heicfiles.TEN_BITS, image, *LOSSY),
        Sample("a_heic.jpg", heicfiles.RGB, image, *LOSSY),
    ]
