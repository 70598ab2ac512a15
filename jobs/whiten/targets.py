"""What is asked for at each destination of a run, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from glasseg.catalog import names, pending
from glasseg.catalog.outputs import Asked
from glasseg.config import WhitenConfig
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look, colour_of, contradiction
from glasseg.errors import GlassegError
from glasseg.formats import Format
from glasseg.storage.roots import Folder, Root
from jobs.whiten import export, grouping, summary
from jobs.whiten.export import Export


@dataclass(frozen=True)
class Target:
    """What is asked for at one destination."""

    name: str
    """Of the output; "" where there is only one."""
    config: WhitenConfig
    look: Look
    export: Export | None

    @property
    def heading(self) -> str:
        """What a message about this one begins with."""
        return f"{self.name}: " if self.name else ""


def checked(config: WhitenConfig, outputs: Mapping[str, WhitenConfig]) -> list[Target]:
    """What the options ask for at each destination. Raises GlassegError, as wrong usage, where they contradict."""
    if config.redo:
        pending.check_redo(config.redo)
    if config.column and not config.photos:
        raise GlassegError("--column names a column of --photos: give both, or neither", 2)
    if config.price_per_hour is not None and not config.dry_run:
        raise GlassegError("--price-per-hour is for the estimate of --dry-run: add that, or leave it out", 2)
    found = list[Target]()
    for name, one in outputs.items():
        with told(f"{config.outputs} [{name}]: " if name else ""):
            found.append(_target(name, one))
    with told(f"{config.outputs}: "):
        grouping.refuse_several(target.config.scale_by for target in found)
    exports = {target.name: target.export for target in found if target.export}
    export.refuse_same(exports)
    if not config.dry_run:
        for exported in exports.values():
            exported.check()
        if config.summary_json:
            summary.check_summary(config.summary_json, config.endpoint_url)
    return found


def _target(name: str, config: WhitenConfig) -> Target:
    if reason := grouping.contradiction(
        config.scale_by,
        config.width_mm,
        config.across_mm,
        photos=config.photos,
        frame=config.frame,
        size=config.size,
        fill=config.fill,
    ):
        raise GlassegError(reason, 2)
    if config.path_tolerance != WhitenConfig.path_tolerance and not config.clipping_path:
        raise GlassegError("--path-tolerance is for --clipping-path: give both, or neither", 2)
    look = look_of(config)
    if reason := contradiction(look, format_of(config), config.quality):
        raise GlassegError(reason, 2)
    exported = export.planned(
        config.export, config.export_columns, photo_list=config.photos, endpoint_url=config.endpoint_url
    )
    return Target(name, config, look, exported)


@contextmanager
def told(where: str) -> Iterator[None]:
    """What is refused within the block begins with `where`."""
    try:
        yield
    except GlassegError as error:
        raise GlassegError(f"{where}{error}", error.exit_code) from error


def format_of(config: WhitenConfig) -> Format:
    """The format of the pictures: what their names end in, or else `--format`.

    Raises GlassegError, as wrong usage, for a template that gives no names, and where the two differ.
    """
    asked = names.parse(config.name).format if config.name is not None else None
    if asked and config.format not in {"keep", asked}:
        raise GlassegError(f"--name {config.name!r} does not end as --format {config.format} does: leave out one", 2)
    return asked or config.format


def asked_of(config: WhitenConfig, look: Look, destination: Root, *, movable: bool = True) -> Asked:
    """What a run asks of the names of its pictures; see `Asked`."""
    return Asked(
        template=None if config.name is None else names.parse(config.name),
        format=format_of(config),
        transparent=look.colour is None,
        masks=config.mask,
        folders=isinstance(destination, Folder),
        overwrite=config.overwrite,
        movable=movable,
    )


def look_of(config: WhitenConfig) -> Look:
    """The look that the options ask for. Raises GlassegError, as wrong usage, when framing or colour are none."""
    try:
        framing = Framing(
            config.frame,
            config.fill,
            config.size,
            config.straighten,
            config.max_upscale,
            one_scale=bool(config.scale_by and config.frame and config.size),
        )
        colour_of(config.background)
    except ValueError as error:
        raise GlassegError(str(error), 2) from error
    tolerance = config.path_tolerance if config.clipping_path else None
    return Look(config.background, config.lenses, config.shadow, framing, config.check, config.dpi, tolerance)
