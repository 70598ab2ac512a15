"""What the pictures of a run look like: the options that, with the model, decide every pixel."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from glasseg.config import Lenses, Marketplace, Shadow
from glasseg.cutout import marketplaces
from glasseg.cutout.framing import Framing
from glasseg.formats import CLIPPING_FORMATS, FileFormat, Format
from glasseg.images import encoder

WHITE: Final = (255, 255, 255)


@dataclass(frozen=True)
class Look:
    """The default is the photo's own frame on white."""

    background: str = "white"
    """ "white", "transparent" or "#rrggbb"."""
    lenses: Lenses = "white"
    """ "keep" leaves the photo's own pixels in see-through parts."""
    shadow: Shadow = "none"
    """ "soft" keeps the natural shadow as a neutral grey."""
    framing: Framing = field(default_factory=Framing)
    checks: tuple[Marketplace, ...] = ()
    """Marketplaces whose rules every picture is checked against."""
    dpi: int | None = None
    """Pixels per inch that the file states; None keeps the photo's."""
    path_tolerance: float | None = None
    """How many pixels the clipping path may be off the outline of the glasses; None for no path."""

    @property
    def colour(self) -> tuple[int, int, int] | None:
        """The background as RGB; None when it is transparent."""
        return colour_of(self.background)


def colour_of(background: str) -> tuple[int, int, int] | None:
    """RGB of "white" or "#rrggbb" (or "#rgb"), None for "transparent"; ValueError, one line, for anything else."""
    if background == "transparent":
        return None
    if background == "white":
        return WHITE
    if not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", background):
        raise ValueError(f"{background!r} is not a background: give white, transparent or a colour such as '#f5f5f5'")
    digits = background[1:] if len(background) == 7 else "".join(2 * digit for digit in background[1:])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def contradiction(look: Look, format: Format, quality: int) -> str | None:
    """Why this look contradicts itself or the format ("keep" or a name), in one line; None when it does not."""
    framing = look.framing
    written: FileFormat = "jpeg" if format == "keep" else format
    checked = look.colour == WHITE and written in {"jpeg", "avif"}
    if checked and (darkest := encoder.decoded_white(written, quality)) < 255:
        return f"--quality {quality} makes white {darkest} in {written.upper()}: choose another, such as 95"
    for name in look.checks if look.lenses == "keep" else ():
        if name in marketplaces.RULES and marketplaces.RULES[name].backgrounds is not None:
            return f"--lenses keep shows the old background, which {name}'s rules do not allow: leave out one of them"
    if look.background == "transparent" and format == "jpeg":
        return "a JPEG can't be transparent: choose --format png, webp, tiff or avif"
    if look.path_tolerance is not None and format not in CLIPPING_FORMATS:
        return f"--clipping-path needs --format {' or '.join(CLIPPING_FORMATS)}: other formats hold no path"
    if framing.max_upscale != Framing.max_upscale and framing.size is None:
        return "--max-upscale bounds what --size enlarges: add --size"
    return marketplaces.contradiction(
        look.checks,
        format=format,
        background=look.background,
        shadow=look.shadow != "none",
        frame=framing.frame,
        fill=framing.fill,
        size=framing.size,
    )
