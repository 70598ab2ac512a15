"""What marketplaces ask of a product's main picture, as data, and whether a picture passes.

The rules belong to other companies and change without notice. Each entry records where and when it was read; `note`
explains which numbers are on the marketplace's own page and which are only commonly reported.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

from glasseg.config import Marketplace
from glasseg.cutout.whiteness import NEAR, Whiteness
from glasseg.formats import LOSSLESS, FileFormat, Format

_READ: Final = "2026-11-24"

# JPEG can't hold exact white next to a dark rim. In 64 real photos framed to a fill of .88 and written at quality 75 to
# 95, 4:4:4, the outermost pixels all stayed 255, at least .952 of the background did, .985 was 250 or more, and the
# darkest pixel, next to a rim, was 205. A grey or veiled background or one with a shadow fails by far.
_FULLEST: Final = 0.98  # the glasses of a fuller picture reach its outermost pixels
_LEAST_WHITE: Final = 0.90
_LEAST_NEARLY_WHITE: Final = 0.98
_DARKEST: Final = 200


@dataclass(frozen=True)
class Rules:
    """One marketplace's rules; None where it has no such rule."""

    title: str
    source: str
    """Address of the marketplace's own page; open it before relying on a number."""
    checked: str
    """When the page, as it is publicly quoted, was read."""
    note: str
    formats: tuple[FileFormat, ...]
    """The accepted ones among the formats that glasseg writes."""
    backgrounds: tuple[Literal["white", "transparent"], ...] | None
    """ "white" means exactly white, except for what lossy compression does next to the product."""
    shadow: bool
    """Whether a drawn shadow is allowed."""
    fill: tuple[float | None, float | None]
    """Smallest and largest share of the picture's width or height, whichever is larger, that the product takes."""
    shortest: int | None = None
    """Smallest length of the shorter side in pixels."""
    longest: tuple[int | None, int | None] = (None, None)
    """Smallest and largest length of the longer side in pixels."""
    least: tuple[int, int] | None = None
    """Smallest (width, height)."""
    ratio: tuple[int, int] | None = None
    """width : height, within `_RATIO_SLACK`."""
    megapixels: int | None = None
    megabytes: int | None = None
    """Largest size of a file, in 10⁶ bytes, the stricter reading of MB."""
    preset: tuple[tuple[int, int], float, int] = ((1, 1), 0.88, 2000)
    """frame, fill and size that `--for` sets; the fill keeps a margin for rounding."""


_RATIO_SLACK: Final = Fraction(1, 100)  # Zalando's own best size, 1801×2600, is .25 % off its 1:1.44

RULES: Final[dict[Marketplace, Rules]] = {
    "amazon": Rules(
        title="Amazon, main image",
        source="https://sellercentral.amazon.com/help/hub/reference/external/G1881",
        checked=_READ,
        note=(
            "The page (Product image guide) asks for a login; the numbers are as commonly documented: pure white "
            "(255, 255, 255), at least 85 % on the limiting dimension, jpeg, tiff, png or gif, sRGB or CMYK, 500 to "
            "10,000 pixels. 1,000 pixels is where zoom begins; 500 are accepted, but without it. 10 MB is reported by "
            "few. Shadows are reported both as refused and as natural ones allowed; the strict reading is used."
        ),
        formats=("jpeg", "png", "tiff"),
        backgrounds=("white",),
        shadow=False,
        fill=(0.85, None),
        longest=(1000, 10_000),
        megabytes=10,
    ),
    "google": Rules(
        title="Google Merchant Center, image_link",
        source="https://support.google.com/merchants/answer/6324350",
        checked=_READ,
        note=(
            "On the page: jpeg, webp, png, gif, bmp, tiff; 64 megapixels and 16 MB at most; 500×500 at least from "
            "2027-01-31 (100×100 before, 250×250 for apparel); 1500×1500 recommended. 75 to 90 % of the picture and a "
            "white or transparent background are its best practice, as commonly quoted, and no ground for disapproval."
        ),
        formats=("jpeg", "png", "webp", "tiff"),
        backgrounds=("white", "transparent"),
        shadow=True,
        fill=(0.75, 0.90),
        shortest=500,
        megapixels=64,
        megabytes=16,
        preset=((1, 1), 0.85, 1500),
    ),
    "zalando": Rules(
        title="Zalando partners, accessories packshot",
        source="https://partner.zalando.com/university/article/accessories-image-guide",
        checked=_READ,
        note=(
            "On the page (dated 2025-03-03 in its general version): 1:1.44 upright, at least 762×1100, best 1801×2600, "
            "jpg, 20 MB at most, white background for primary packshots. The page's range of white was not readable: "
            "exact white is asked here. It names no fill; the preset's is our choice."
        ),
        formats=("jpeg",),
        backgrounds=("white",),
        shadow=True,
        fill=(None, None),
        least=(762, 1100),
        ratio=(25, 36),
        megabytes=20,
        preset=((25, 36), 0.88, 2600),
    ),
    "ebay": Rules(
        title="eBay, picture policy",
        source="https://www.ebay.com/help/policies/listing-policies/picture-policy?id=4370",
        checked=_READ,
        note=(
            "On the page: 500 pixels at least on the longest side; no borders, text or watermarks. The formats are "
            "from the documentation of eBay's Media API. 12 MB and 9,000 pixels at most are as commonly documented. It "
            "asks for no background, fill or ratio; 1,600 pixels are commonly recommended."
        ),
        formats=("jpeg", "png", "webp", "tiff", "avif"),
        backgrounds=None,
        shadow=True,
        fill=(None, None),
        longest=(500, 9000),
        megabytes=12,
        preset=((1, 1), 0.88, 1600),
    ),
}


@dataclass(frozen=True)
class PictureFacts:
    """What a verdict depends on."""

    width: int
    height: int
    format: FileFormat
    bytes: int
    """Size of the file."""
    background: str
    """ "white", "transparent" or "#rrggbb"."""
    fill: float | None
    """The larger share of the picture's width or height that the glasses take; None when none were found."""
    shadow: bool = False
    """Whether a shadow was kept or drawn."""
    cut: bool = False
    """Whether the photo's edge cuts the glasses off."""
    white: Whiteness | None = None
    """Measured on the written picture; None when its background is not white or was not measured."""


def verdict(rules: Rules, facts: PictureFacts) -> str:
    """ "pass", or the first rule that the picture breaks, in words: "fill 0.71, at least 0.85"."""
    return next(_broken(rules, facts), "pass")


def _broken(rules: Rules, facts: PictureFacts) -> Iterator[str]:
    yield from _file(rules, facts)
    yield from _sides(rules, facts)
    yield from _content(rules, facts)
    if facts.white is not None and rules.backgrounds is not None and _name(facts.background) == "white":
        yield from _whiteness(facts.white, lossy=facts.format not in LOSSLESS)


def _file(rules: Rules, facts: PictureFacts) -> Iterator[str]:
    if facts.format not in rules.formats:
        yield f"format {facts.format}, only {_either(rules.formats)}"
    if rules.megabytes is not None and facts.bytes > rules.megabytes * 10**6:
        yield f"file of {_apart(facts.bytes / 10**6, rules.megabytes)} MB, at most {rules.megabytes}"


def _sides(rules: Rules, facts: PictureFacts) -> Iterator[str]:
    width, height = facts.width, facts.height
    if rules.ratio is not None:
        off = Fraction(width * rules.ratio[1], height * rules.ratio[0]) - 1
        if abs(off) > _RATIO_SLACK:
            yield f"ratio 1:{height / width:.3g}, only 1:{rules.ratio[1] / rules.ratio[0]:g}"
    if rules.least is not None and (width < rules.least[0] or height < rules.least[1]):
        yield f"{width}×{height} pixels, at least {rules.least[0]}×{rules.least[1]}"
    if rules.shortest is not None and min(width, height) < rules.shortest:
        yield f"shortest side {min(width, height)}, at least {rules.shortest}"
    least, most = rules.longest
    if least is not None and max(width, height) < least:
        yield f"longest side {max(width, height)}, at least {least}"
    if most is not None and max(width, height) > most:
        yield f"longest side {max(width, height)}, at most {most}"
    if rules.megapixels is not None and width * height > rules.megapixels * 10**6:
        yield f"{_apart(width * height / 10**6, rules.megapixels)} megapixels, at most {rules.megapixels}"


def _content(rules: Rules, facts: PictureFacts) -> Iterator[str]:
    """Background, shadow, and how much of the picture the glasses fill, to a pixel."""
    if rules.backgrounds is not None and _name(facts.background) not in rules.backgrounds:
        yield f"background {facts.background}, only {_either(rules.backgrounds)}"
    if facts.shadow and not rules.shadow:
        yield "has a shadow, none allowed"
    if facts.fill is None:
        yield "no glasses found"
        return
    if facts.cut:
        yield "glasses cut off by the photo's edge"
    least, most = rules.fill
    pixel = 1 / min(facts.width, facts.height)
    if least is not None and facts.fill < least - pixel:
        yield f"fill {_apart(facts.fill, least)}, at least {least:.2f}"
    if most is not None and facts.fill > most + pixel:
        yield f"fill {_apart(facts.fill, most)}, at most {most:.2f}"


def _whiteness(white: Whiteness, *, lossy: bool) -> Iterator[str]:
    share = _LEAST_WHITE if lossy else 1.0
    if white.ring_share < 1:
        yield f"{_apart(white.ring_share, 1)} of the outer ring exactly white, all of it expected"
    if white.exact_share is None or white.near_share is None or white.deviation is None:
        return
    if white.exact_share < share:
        yield f"{_apart(white.exact_share, share)} of the background exactly white, at least {share:.2f}"
    if white.near_share < _LEAST_NEARLY_WHITE:
        limit = f"at least {_LEAST_NEARLY_WHITE:.2f}"
        yield f"{_apart(white.near_share, _LEAST_NEARLY_WHITE)} of the background {255 - NEAR} or more, {limit}"
    if 255 - white.deviation < _DARKEST:
        yield f"darkest background {255 - white.deviation}, at least {_DARKEST}"


def preset(name: Marketplace) -> dict[str, Any]:
    """The options that `--for NAME` sets, as their Python values; KeyError for a name not in `RULES`."""
    frame, fill, size = RULES[name].preset
    return {
        "frame": frame,
        "fill": fill,
        "size": size,
        "format": "jpeg",
        "background": "white",
        "shadow": "none",
        "check": (name,),
    }


def contradiction(
    checks: Collection[Marketplace],
    *,
    format: Format = "keep",
    background: str = "white",
    shadow: bool = False,
    frame: tuple[int, int] | None = None,
    fill: float | None = None,
    size: int | None = None,
) -> str | None:
    """Which check contradicts the other options, and how, in one line; None when none does.

    The values are those of `glasseg whiten`; "keep" and None depend on the photo and so contradict nothing.
    """
    for name in checks:
        if name not in RULES:
            return f"--check knows {', '.join(RULES)}, not {name!r}"
        rules = RULES[name]
        if fill is not None and fill > _FULLEST and rules.backgrounds is not None:
            return f"the rules of {name} want a clean ring around the glasses: --fill {_FULLEST} at most"
        width, height = _best_sides(rules, frame, size)
        best = PictureFacts(
            width=width,
            height=height,
            format=rules.formats[0] if format == "keep" else format,
            bytes=0,
            background=background,
            fill=fill or next((limit for limit in rules.fill if limit is not None), 0.5),
            shadow=shadow,
        )
        broken = next(_broken(rules, best), None)
        if broken:
            return f"the rules of {name} contradict the other options: {broken}"
    return None


def _best_sides(rules: Rules, frame: tuple[int, int] | None, size: int | None) -> tuple[int, int]:
    """Width and height, as good as the rules can want them where the options leave it open.

    `size` is the most that a picture has: a photo that is too small gives a smaller one, so it exceeds no limit.
    """
    sides = [side for side in (rules.shortest, *rules.longest, *(rules.least or ())) if side]
    wide, tall = frame or (rules.ratio or (1, 1))
    scale = Fraction(size or 4 * max(sides, default=1000), max(wide, tall))
    if rules.longest[1]:
        scale = min(scale, Fraction(rules.longest[1], max(wide, tall)))
    if rules.megapixels:
        scale = min(scale, Fraction(int(math.sqrt(rules.megapixels * 10**6 / (wide * tall)) * 1000), 1000))
    return max(1, round(wide * scale)), max(1, round(tall * scale))


def _name(background: str) -> str:
    return "white" if background.lower() in {"#ffffff", "#fff"} else background


def _apart(value: float, limit: float) -> str:
    """A number with as many digits as show that it is not the limit it misses, two at least."""
    digits = next((count for count in (2, 3, 4) if f"{value:.{count}f}" != f"{limit:.{count}f}"), 5)
    return f"{value:.{digits}f}"


def _either(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
