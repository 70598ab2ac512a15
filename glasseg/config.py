"""Every default once. Only the top function of a job takes one of these; below it, plain arguments.

A `TrainConfig` is also data: the recipe that a run follows, resumes and records, passed on whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, Literal, get_args, get_origin, get_type_hints

from glasseg.formats import Format

PIPELINE_VERSION = 6
"""Increased by hand when the same options give different pixels."""

Lenses = Literal["white", "keep"]
Shadow = Literal["none", "soft"]
OnGone = Literal["keep", "delete"]
Marketplace = Literal["amazon", "google", "zalando", "ebay"]
MARKETPLACES: tuple[Marketplace, ...] = get_args(Marketplace)
"""Those in `glasseg.cutout.marketplaces.RULES`; each has a column `check_NAME` in the manifest."""

_CHANGES_OUTPUT = (
    *("mask", "format", "quality", "background", "lenses", "shadow"),
    *("frame", "fill", "size", "straighten", "max_upscale"),
    *("dpi", "clipping_path", "path_tolerance"),
    *("scale_by", "width_mm", "across_mm"),
)
"""Options of `glasseg whiten` that a picture depends on; a check only judges the picture."""
_COLUMNS = ("scale_by", "width_mm")
"""Those that name a column: what it says is in the hash of the group, and what it is called changes no picture."""

Preset = Literal["compact", "baseline"]
Monitor = Literal["photo_iou", "loss"]
Loss = Literal["bce", "bce_dice"]
Optimizer = Literal["adamw", "adam"]
Precision = Literal["mixed", "float32"]
Resize = Literal["letterbox", "stretch"]

INPUT_SIDE: dict[str, int] = {"baseline": 256, "compact": 512}
"""The presets of the network, with the longer side of their input in pixels."""
SIDE_MULTIPLE: Final = 64
"""Both sides of an input are multiples of this: the networks halve it six times at most."""


@dataclass(frozen=True)
class WhitenConfig:
    """Options of `glasseg whiten`."""

    model: str = "packaged"
    mask: bool = False
    format: Format = "keep"
    quality: int = 95
    background: str = "white"
    lenses: Lenses = "white"
    shadow: Shadow = "none"
    frame: tuple[int, int] | None = None
    """width : height, in lowest terms."""
    fill: float | None = None
    size: int | None = None
    straighten: bool = False
    max_upscale: float = 1.0
    dpi: int | None = None
    """None keeps the photo's."""
    clipping_path: bool = False
    path_tolerance: float = 0.5
    """Pixels."""
    scale_by: str | None = None
    """The column of `photos` that names the group whose pictures have one scale; None for a scale of each photo."""
    width_mm: str | None = None
    """The column of `photos` with the real width of the glasses, which then decides the scale."""
    across_mm: float = 200.0
    """Millimetres across the width of a picture, with `width_mm`."""
    check: tuple[Marketplace, ...] = ()
    outputs: str | None = None
    """A TOML file of several destinations, each with options of its own."""
    workers: int | None = None
    """None: as many as the machine or cluster has room for."""
    cpus_per_worker: int | None = None
    """None: what suits the nodes; without GPUs 1."""
    gpus_per_worker: float | None = None
    """None: a share of a GPU where there are GPUs."""
    memory_per_worker: float = 1.5
    """GiB that Ray keeps free for each worker: one takes 1 GiB with photos of 2 megapixels."""
    address: str | None = None
    photos: str | None = None
    """A list of photos; None for all of them."""
    column: str | None = None
    listing: str | None = None
    """An S3 Inventory instead of the listing of the source."""
    redo: str | None = None
    limit: int | None = None
    gone: OnGone = "keep"
    yes: bool = False
    new_source: bool = False
    all_folders: bool = False
    gates: bool = True
    review_below: float | None = None
    """None: the limit from the model's calibration."""
    stop_above: float = 0.5
    max_flagged: float = 0.05
    dry_run: bool = False
    price_per_hour: float | None = None
    report: bool = True
    editor: bool = False
    keep_seconds: float = 30.0
    """Longest time that rows wait before they are stored."""
    max_pixels: int = 100_000_000
    endpoint_url: str | None = None
    overwrite: bool = False
    verbose: bool = False
    log_json: bool = False
    summary_json: str | None = None
    name: str | None = None
    """The template of the pictures' names; None for the photos' own, or those that they have."""
    export: str | None = None
    """A csv of all pictures in the destination."""
    export_columns: tuple[str, ...] = ()
    """NAME=TEMPLATE; () for the usual ones."""
    notify: str | None = None
    """The address to which the summary is posted."""

    @property
    def options_id(self) -> str:
        """Twelve hex digits of `PIPELINE_VERSION` and the output-changing options that differ from their defaults.

        Defaults are left out, so that adding an option later does not make every photo stale.
        """
        defaults = {f.name: f.default for f in fields(self)}
        chosen = {name: getattr(self, name) for name in _CHANGES_OUTPUT}
        changed = {name: value for name, value in chosen.items() if value != defaults[name]}
        changed |= {name: True for name in _COLUMNS if name in changed}
        text = json.dumps({"pipeline": PIPELINE_VERSION, **changed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def chosen(self) -> dict[str, object]:
        """The options that differ from their defaults, for the run's record; addresses without user and password.

        The path of `notify` is often a password, too.
        """
        defaults = {f.name: f.default for f in fields(self)}
        changed = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        if self.notify:
            changed["notify"] = "/".join(self.notify.split("/")[:3])
        return {name: _without_user(value) if isinstance(value, str) else value for name, value in changed.items()}


def _without_user(address: str) -> str:
    """`scheme://user:password@host` as `scheme://host`; anything else as it is."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else address


@dataclass(frozen=True)
class CorrectConfig:
    """Options of `glasseg correct`."""

    approve: str | None = None
    """A list of photos whose pictures are right as they are."""
    withdraw: tuple[str, ...] = ()
    model: str | None = None
    """None: that of the destination's last run."""
    workers: int | None = WhitenConfig.workers
    cpus_per_worker: int | None = WhitenConfig.cpus_per_worker
    gpus_per_worker: float | None = WhitenConfig.gpus_per_worker
    memory_per_worker: float = WhitenConfig.memory_per_worker
    address: str | None = None
    endpoint_url: str | None = None
    verbose: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """One recipe of `glasseg train`, whole: what the weights depend on, apart from the data and where they start from.

    The defaults are the preset `compact`. Raises ValueError for a word that is not one of its field's.
    """

    preset: Preset = "compact"
    epochs: int = 60
    batch: int = 16
    """Pictures per step, over all workers."""
    patience: int = 0
    """Epochs without a better validation after which training stops; 0: never."""
    monitor: Monitor = "photo_iou"
    """What makes an epoch better on validation: `photo_iou` (higher; labelled photos weigh as much as composites) or
    `loss` (lower)."""
    loss: Loss = "bce_dice"
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    """The rate at its highest."""
    warmup_steps: int = 200
    """Steps over which the rate rises."""
    cooldown: int = 12
    """The number of last epochs in which the rate falls to zero; before, it is constant."""
    sides: tuple[int, ...] = (256, 384, 512)
    """Sides in pixels of the square training pictures; steps cycle through them."""
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    """Largest norm of a step's gradient; 0 leaves it as it is."""
    deep_supervision: bool = True
    """Whether heads at 1/4 and 1/8 of the size, used only in training, learn material and openings too."""
    averaging: float = 0.998
    """Momentum per step of the weight average that is validated and kept; 0 keeps the weights themselves."""
    precision: Precision = "mixed"
    """`mixed` computes in bfloat16 where the hardware supports it; `float32` never."""
    resize: Resize = "letterbox"
    rotation: float = 20.0
    """Degrees to either side, uniform; this and the next five apply to labelled photos and their masks."""
    shift: float = 0.1
    """Share of height and width."""
    shear: float = 0.1
    zoom: float = 0.1
    flip: bool = True
    light: bool = True
    """Gain, colour cast, noise, blur and JPEG."""
    quarter_turns: float = 0.04
    """Share of the pictures that lie on their side."""
    close_ups: float = 0.5
    """Share of the labelled photos that are shown as close up as the second pass over a photo sees them."""
    several: float = 0.15
    """Share of the composites with one or two more pairs of glasses."""
    scene_repeats: int = 2
    """How often an epoch shows each labelled photo that has its own background."""
    correction_repeats: int = 10
    """How often an epoch shows each photo that a person corrected: few photos, of what the model gets wrong."""
    drawn: int = 100
    """Drawn photos in an epoch."""
    passes: int = 2
    first_side: int | None = 384
    """Side in pixels in the first of two passes, which only finds the glasses."""
    mirror: bool = True
    validation_share: float = 0.1
    """Share of the groups, where the data does not name a split."""
    seed: int = 42

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"{name} {getattr(self, name)!r} is not one of {', '.join(get_args(hint))}")


PRESETS: dict[Preset, TrainConfig] = {
    "compact": TrainConfig(),
    "baseline": TrainConfig(
        preset="baseline",
        epochs=50,
        patience=5,
        monitor="loss",
        loss="bce",
        optimizer="adam",
        learning_rate=1e-3,
        warmup_steps=0,
        cooldown=0,
        sides=(256,),
        deep_supervision=False,
        weight_decay=0.0,
        clip_norm=0.0,
        averaging=0.0,
        precision="float32",
        resize="stretch",
        light=False,
        quarter_turns=0.0,
        close_ups=0.0,
        several=0.0,
        scene_repeats=1,
        drawn=0,
        passes=1,
        first_side=None,
        mirror=False,
    ),
}
"""Whole recipes by the name of their network; `baseline` is the classic small U-Net."""


@dataclass(frozen=True)
class TrainJob:
    """The other options of `glasseg train`: what it reads, where it runs, whether it replaces what is in OUT."""

    cutouts: str | None = None
    backgrounds: str | None = None
    val: str | None = None
    corrections: tuple[str, ...] = ()
    """Destinations whose corrected and approved photos are learnt, too."""
    start_from: str | None = None
    max_bad: int = 10
    workers: int = 1
    cpus_per_worker: int | None = None
    """None: an even share of this machine; 1 on a cluster."""
    gpus_per_worker: int = 0
    loader_cpus: int = 2
    """Threads per worker that make its pictures."""
    checkpoint_minutes: float = 10.0
    """The most work that a lost machine costs, roughly: one is kept after each epoch, and this often within it."""
    address: str | None = None
    endpoint_url: str | None = None
    overwrite: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of `glasseg evaluate`."""

    composites: int = 0
    split: str | None = None
    out: str | None = None
    worst: int = 24
    """Photos on each sheet."""
    record: bool = False
    max_bad: int = TrainJob.max_bad
    workers: int | None = None
    """None: as many as the machine or cluster has room for."""
    cpus_per_worker: int | None = WhitenConfig.cpus_per_worker
    gpus_per_worker: float | None = WhitenConfig.gpus_per_worker
    address: str | None = None
    endpoint_url: str | None = None
    overwrite: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class CalibrateConfig:
    """Options of `glasseg calibrate`."""

    composites: int = 300
    max_bad: int = TrainJob.max_bad
    workers: int | None = None
    """None: as many as the machine or cluster has room for."""
    cpus_per_worker: int | None = WhitenConfig.cpus_per_worker
    gpus_per_worker: float | None = WhitenConfig.gpus_per_worker
    address: str | None = None
    endpoint_url: str | None = None
    verbose: bool = False


@dataclass(frozen=True)
class DemoConfig:
    """Options of `glasseg demo`."""

    out: str = "glasseg-demo"
    photos: int = 12
    seed: int = 7
    model: str = "packaged"
    overwrite: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class BenchConfig:
    """Options of `glasseg bench pipeline` and `glasseg bench training`."""

    photos: int | None = None
    """Photos that are timed in each turn, rounded up; None: as many as let the bench end within five minutes."""
    training_photos: int = 192
    rounds: int = 3
    model: str = "packaged"
    workers: int | None = None
    """None: as many as the machine has room for, as with `glasseg whiten`."""
    cpus_per_worker: int = 1
    versus: bool = False
    versus_rembg: Path | None = None
    price_per_hour: float | None = None
    verbose: bool = False
