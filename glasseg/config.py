"""Every default once. Only the top function of a job takes one of these; below it, plain arguments."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

PIPELINE_VERSION = 1
"""Raised by hand when the same options give other pixels."""

INPUT_SIDE = {"baseline": 256, "compact": 512}
"""The presets of the network, with the side of their square input in pixels."""


@dataclass(frozen=True)
class WhitenConfig:
    """Options of `glasseg whiten`."""

    model: str = "packaged"
    mask: bool = False
    format: str = "keep"
    quality: int = 95
    workers: int | None = None
    """None: as many as the machine or cluster has room for."""
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    address: str | None = None
    limit: int | None = None
    max_flagged: float = 0.05
    max_pixels: int = 100_000_000
    endpoint_url: str | None = None
    overwrite: bool = False
    verbose: bool = False
    summary_json: str | None = None

    @property
    def options_id(self) -> str:
        """Twelve hex digits of `PIPELINE_VERSION` and the output-changing options that differ from their defaults.

        Defaults are left out, so that an option added later does not make every photo stale.
        """
        defaults = {f.name: f.default for f in fields(self)}
        chosen = {name: getattr(self, name) for name in ("mask", "format", "quality")}
        changed = {name: value for name, value in chosen.items() if value != defaults[name]}
        text = json.dumps({"pipeline": PIPELINE_VERSION, **changed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def chosen(self) -> dict[str, object]:
        """The options that differ from their defaults, for the run's record; addresses without user and password."""
        defaults = {f.name: f.default for f in fields(self)}
        changed = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        return {name: _without_user(value) if isinstance(value, str) else value for name, value in changed.items()}


def _without_user(address: str) -> str:
    """`scheme://user:password@host` as `scheme://host`; anything else as it is."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else address


@dataclass(frozen=True)
class TrainConfig:
    """One recipe of `glasseg train`."""

    preset: str = "compact"
    minutes: float = 90.0
    """Length of the run; the learning rate falls along a cosine of the time."""
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    averaging: float = 0.998
    """Momentum of the weight average that is validated and kept."""
    validate_minutes: float = 4.0
    validation_photos: int = 160
    drawn: int = 300
    """Drawn photos among the training pictures."""
    seed: int = 42
    cpus: int = 2


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
    """Options of `glasseg bench`."""

    photos: int = 192
    """Photos that are timed in every measurement; a few more warm it up and keep it busy to the end."""
    rounds: int = 3
    model: str = "packaged"
    workers: int | None = None
    """None: as many as the machine has room for, as with `glasseg whiten`."""
    cpus_per_worker: int = WhitenConfig.cpus_per_worker
    verbose: bool = False
