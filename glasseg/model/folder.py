"""A model folder: `model.json` (what the network is and how its output becomes alpha) and `model.weights.h5`.

Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from glasseg.config import INPUT_SIDE, SIDE_MULTIPLE, Resize
from glasseg.errors import GlassegError, PhotoError
from glasseg.model.quality import Calibration
from glasseg.storage.roots import Folder, Root, open_root

if TYPE_CHECKING:
    import keras

SPEC_NAME = "model.json"
WEIGHTS_NAME = "model.weights.h5"
PACKAGED = "packaged"
"""Name that stands for the model inside the package."""

_INFERENCE_FIELDS = ("preset", "input_side", "resize", "passes", "threshold", "ramp", "mirror", "weights_sha256")
_LATER_FIELDS = ("first_side",)
"""Part of a model's id only if set, so that older models keep theirs."""
_IN_FILE = {"passes": "looks"}
"""What a field is called in `model.json` and in what a model's id hashes, where that differs."""


@dataclass(frozen=True)
class ModelSpec:
    """What inference depends on, and in `training` and `quality` the facts for people and the calibration.

    `preset` and `input_side` (pixels) as in `unet`; `passes` 1 or 2 (2: what was found is cropped and segmented again);
    `mirror`: where it is in doubt, p is the mean over the photo and its mirror image; alpha = clip((p - threshold) /
    ramp + 0.5, 0, 1).
    `first_side`: longer side in pixels of the frame in the first of two passes; None, as in older models, for three
    quarters of `input_side`. `quality` as `Calibration.to_dict` writes it. Raises ValueError or TypeError for values
    that no segmenter could use, and for an invalid calibration.
    """

    preset: str
    input_side: int
    resize: Resize
    passes: int
    threshold: float
    ramp: float
    weights_sha256: str
    mirror: bool = False
    training: dict[str, Any] = field(default_factory=dict)
    first_side: int | None = None
    quality: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.resize not in get_args(Resize) or self.passes not in {1, 2} or not isinstance(self.mirror, bool):
            raise ValueError(f"resize {self.resize!r} with looks {self.passes!r} and mirror {self.mirror!r}")
        if self.first_side is not None and (
            self.passes != 2 or self.first_side < 64 or self.first_side % SIDE_MULTIPLE
        ):
            raise ValueError(f"first_side {self.first_side!r} with looks {self.passes}")
        for name in ("threshold", "ramp"):
            object.__setattr__(self, name, float(getattr(self, name)))  # 1 and 1.0 are one model
        if not 0 < self.threshold < 1 or not 0.001 <= self.ramp < math.inf:
            raise ValueError(f"threshold {self.threshold} with ramp {self.ramp}")
        if self.quality is not None:
            Calibration.from_dict(self.quality)

    @property
    def calibration(self) -> Calibration | None:
        """What predicts the quality of a mask; None for a model that was never calibrated."""
        return None if self.quality is None else Calibration.from_dict(self.quality)

    @property
    def model_id(self) -> str:
        """Preset and twelve hex digits; equal for models that give the same alpha, whatever their dates and metrics."""
        inference = {_IN_FILE.get(name, name): getattr(self, name) for name in _INFERENCE_FIELDS}
        inference |= {name: value for name in _LATER_FIELDS if (value := getattr(self, name)) is not None}
        digest = hashlib.sha256(json.dumps(inference, sort_keys=True).encode()).hexdigest()
        return f"{self.preset}-{digest[:12]}"

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelSpec:
        """The spec in a `model.json`. Raises ValueError or TypeError for anything else."""
        renamed = {in_file: name for name, in_file in _IN_FILE.items()}
        fields = {renamed.get(str(name), str(name)): value for name, value in dict(json.loads(text)).items()}
        return cls(**fields)

    def to_json(self) -> str:
        """The text of a `model.json`."""
        fields = {_IN_FILE.get(name, name): value for name, value in asdict(self).items()}
        return json.dumps(fields, indent=2) + "\n"


@dataclass(frozen=True)
class ModelFolder:
    """A model in memory, small enough to reach workers through the object store, whatever storage they can read."""

    spec: ModelSpec
    weights: bytes

    def network(self) -> keras.Model:
        """Build the network and load its weights (imports keras; the dtype policy is the caller's)."""
        from glasseg.model import unet  # noqa: PLC0415  (takes seconds, and the driver never needs it)

        network = unet.build(self.spec.preset)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / WEIGHTS_NAME
            path.write_bytes(self.weights)
            network.load_weights(path)
        return network


def save(
    folder: Path,
    network: keras.Model,
    *,
    resize: Resize,
    passes: int,
    threshold: float,
    ramp: float,
    training: dict[str, Any],
    mirror: bool = False,
    first_side: int | None = None,
) -> ModelSpec:
    """Write `network` and its `model.json` into `folder`, replacing a model that is there.

    Both files are complete before they get their names, the weights first: if this is interrupted, the folder is either
    still the old model, or refused by `load`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as new:
        weights, description = Path(new) / WEIGHTS_NAME, Path(new) / SPEC_NAME
        network.save_weights(weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        side = INPUT_SIDE[network.name]
        spec = ModelSpec(network.name, side, resize, passes, threshold, ramp, digest, mirror, training, first_side)
        description.write_text(spec.to_json(), encoding="utf-8")
        weights.replace(folder / WEIGHTS_NAME)
        description.replace(folder / SPEC_NAME)
    return spec


def publish(folder: Path, uri: str, *, endpoint_url: str | None = None) -> None:
    """Copy the model of a local folder into another one, local or s3://, in the order of `save`.

    Each outlasts a power cut before the next is written. Raises GlassegError when the place can't be written to.
    """
    root = open_root(uri, endpoint_url=endpoint_url)
    try:
        for name in (WEIGHTS_NAME, SPEC_NAME):
            root.write(name, (folder / name).read_bytes())
            root.sync([name])
    except PhotoError as error:
        raise GlassegError(f"can't write the model to {uri}: {error}") from error


def load(uri: str, *, endpoint_url: str | None = None) -> ModelFolder:
    """Read a model folder from a path, `s3://…`, or the package (`PACKAGED`).

    Raises GlassegError when it is missing or unreadable, or when json and weights don't match.
    """
    root: Root = open_root(packaged_folder() if uri == PACKAGED else uri, endpoint_url=endpoint_url)
    wanted = f"a model is a folder with {SPEC_NAME} and {WEIGHTS_NAME}, as `glasseg train` writes it"
    if isinstance(root, Folder) and not root.path.is_dir():
        raise GlassegError(f"no model in {uri}: there is no such folder; {wanted}")
    try:
        text, weights = root.read(SPEC_NAME)[0], root.read(WEIGHTS_NAME)[0]
    except PhotoError as error:
        raise GlassegError(f"no model in {uri}: {error}; {wanted}") from error
    try:
        spec = ModelSpec.from_json(text)
    except (ValueError, TypeError) as error:
        raise GlassegError(f"{root.uri_of(SPEC_NAME)} is not a model description: {error}") from error
    if INPUT_SIDE.get(spec.preset) != spec.input_side:
        raise GlassegError(
            f"{root.uri_of(SPEC_NAME)} describes a network that this glasseg does not have: {spec.preset} at "
            f"{spec.input_side} pixels; it has {', '.join(f'{name} at {side}' for name, side in INPUT_SIDE.items())}"
        )
    if hashlib.sha256(weights).hexdigest() != spec.weights_sha256:
        raise GlassegError(
            f"{root.uri_of(WEIGHTS_NAME)} is not what {SPEC_NAME} describes: copy both files of the model again"
        )
    return ModelFolder(spec, weights)


def packaged_folder() -> str:
    """Path of the model inside the installed package."""
    return str(resources.files("glasseg.model") / "weights")
