"""A finished picture as the bytes of a file, decoded again and checked against what was promised."""

from __future__ import annotations

from dataclasses import dataclass, replace

from glasseg.config import Marketplace
from glasseg.cutout import marketplaces, whiteness
from glasseg.cutout.clipping import outline
from glasseg.cutout.look import WHITE, Look
from glasseg.cutout.picture import Picture
from glasseg.cutout.whiteness import Whiteness
from glasseg.formats import FileFormat
from glasseg.images import encoder, photoshop
from glasseg.images.tags import Tags


@dataclass(frozen=True)
class Finished:
    """The file, and what was found when it was decoded again."""

    data: bytes
    whiteness: Whiteness
    verdicts: dict[Marketplace, str]
    """By marketplace: "pass", or the first rule that the picture breaks."""


def finish(picture: Picture, look: Look, format: FileFormat, quality: int, tags: Tags) -> Finished:
    """Encode a picture as `format`, decode it again and judge it. `tags`: those of its photo.

    Raises PhotoError as `encoder.encode` and `whiteness.inspect` do.
    """
    if look.dpi:
        tags = replace(tags, dpi=(look.dpi, look.dpi))
    data = encoder.encode(picture.pixels, format, quality, tags, _clipping_path(picture, look))
    colour = look.colour  # white is promised exactly; other colours as the format can hold them
    if colour is not None and colour != WHITE:
        colour = encoder.decoded_colour(colour, format, quality)
    found = whiteness.inspect(data, picture.background, colour)
    height, width = picture.pixels.shape[:2]
    facts = marketplaces.PictureFacts(
        width=width,
        height=height,
        format=format,
        bytes=len(data),
        background=look.background,
        fill=picture.placement.fill,
        shadow=picture.shadow,
        cut=bool(picture.placement.cut or picture.placement.overflow),
        white=found,
    )
    verdicts = {name: marketplaces.verdict(marketplaces.RULES[name], facts) for name in look.checks}
    return Finished(data, found, verdicts)


def _clipping_path(picture: Picture, look: Look) -> bytes:
    """The resources that clip a picture to its glasses: nothing where none is asked for, or nothing was found."""
    if look.path_tolerance is None:
        return b""
    return photoshop.clipping_path(outline(picture.alpha, look.path_tolerance), picture.alpha.shape[:2])
