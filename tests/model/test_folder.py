"""A model folder comes back as it was saved, from a disk and from S3, and anything half or changed is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glasseg.errors import GlassegError
from glasseg.model import folder as model_folder
from glasseg.model.folder import SPEC_NAME, WEIGHTS_NAME, ModelFolder, ModelSpec
from glasseg.model.quality import Calibration
from glasseg.storage.roots import open_root

SPEC = ModelSpec("compact", 512, "letterbox", 1, 0.5, 0.6, "ab" * 32, False, {"minutes": 90})
FIELDS = json.loads(SPEC.to_json())
CALIBRATION = Calibration(("worst", "parts"), (0.5, 0.25), (1.5, 0.5), (-0.75, -0.5), 2.0, 0.875)


@pytest.fixture
def model_uri(new_uri: Callable[[], str]) -> str:
    """A model with made-up weights: `load` looks at their hash only."""
    uri = new_uri()
    put(uri, b"weights", SPEC)
    return uri


def put(uri: str, weights: bytes | None, spec: ModelSpec | bytes | None) -> None:
    """Write a model folder; of a ModelSpec the hash is made right."""
    root = open_root(uri)
    if weights is not None:
        root.write(WEIGHTS_NAME, weights)
    if isinstance(spec, ModelSpec):
        spec = replace(spec, weights_sha256=hashlib.sha256(weights or b"").hexdigest()).to_json().encode()
    if spec is not None:
        root.write(SPEC_NAME, spec)


def test_a_saved_model_comes_back(untrained_folder: Path, untrained_model: ModelFolder, tmp_path: Path) -> None:
    network, again = untrained_model.network(), untrained_model.network()
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)
    spec = model_folder.save(
        tmp_path, network, resize="letterbox", passes=1, threshold=0.5, ramp=0.6, training={"note": "later"}
    )
    assert {path.name for path in tmp_path.iterdir()} == {SPEC_NAME, WEIGHTS_NAME}
    loaded = model_folder.load(str(tmp_path))
    assert loaded.spec == spec
    assert (spec.preset, spec.input_side, spec.training) == ("compact", 512, {"note": "later"})
    for one, other in zip(network.get_weights(), loaded.network().get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_saving_twice_replaces_the_model(untrained_model: ModelFolder, tmp_path: Path) -> None:
    network = untrained_model.network()
    rest: dict[str, Any] = {"resize": "letterbox", "passes": 1, "ramp": 0.6, "training": {}}
    first = model_folder.save(tmp_path / "new" / "model", network, threshold=0.5, **rest)
    second = model_folder.save(tmp_path / "new" / "model", network, threshold=0.4, **rest)
    assert model_folder.load(str(tmp_path / "new" / "model")).spec == second != first


def test_a_save_that_breaks_off_leaves_the_old_model(
    untrained_model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = untrained_model.network()
    rest: dict[str, Any] = {"resize": "letterbox", "passes": 1, "ramp": 0.6, "training": {}}
    first = model_folder.save(tmp_path, network, threshold=0.5, **rest)

    def half(path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(network, "save_weights", half)
    with pytest.raises(OSError, match="disk full"):
        model_folder.save(tmp_path, network, threshold=0.4, **rest)
    assert model_folder.load(str(tmp_path)).spec == first
    assert {path.name for path in tmp_path.iterdir()} == {SPEC_NAME, WEIGHTS_NAME}


def test_a_model_is_loaded_from_a_folder_and_from_s3(model_uri: str) -> None:
    model = model_folder.load(model_uri)
    assert model.weights == b"weights" and model.spec.training == {"minutes": 90}
    assert model.spec.model_id.startswith("compact-")


def test_a_model_travels_to_workers(model_uri: str) -> None:
    model = model_folder.load(model_uri)
    assert pickle.loads(pickle.dumps(model)) == model


def test_changed_weights_are_refused_naming_the_file(model_uri: str) -> None:
    put(model_uri, b"weights of another model", None)
    with pytest.raises(GlassegError, match=rf"{model_uri}/model\.weights\.h5 is not what model\.json describes"):
        model_folder.load(model_uri)


@pytest.mark.parametrize("gone", [SPEC_NAME, WEIGHTS_NAME])
def test_half_a_model_is_refused_naming_what_is_missing(model_uri: str, gone: str) -> None:
    open_root(model_uri).delete(gone)
    with pytest.raises(GlassegError, match=rf"no model in {model_uri}: .*{gone} is gone"):
        model_folder.load(model_uri)


def test_a_missing_folder_is_refused_naming_it_and_what_a_model_is(new_uri: Callable[[], str]) -> None:
    uri = new_uri() + "/nothing-here"
    with pytest.raises(GlassegError, match=rf"no model in {uri}: .*model\.json") as caught:
        model_folder.load(uri)
    assert "\n" not in str(caught.value)


def test_the_json_itself_is_no_model_folder(untrained_folder: Path) -> None:
    with pytest.raises(GlassegError, match="no model in"):
        model_folder.load(str(untrained_folder / SPEC_NAME))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        json.dumps({**FIELDS, "added_by_a_later_release": 1}).encode(),
        json.dumps({**FIELDS, "resize": "crop"}).encode(),
        json.dumps({**FIELDS, "looks": 3}).encode(),
        json.dumps({**FIELDS, "ramp": 0}).encode(),
        json.dumps({**FIELDS, "ramp": None}).encode(),
        json.dumps({**FIELDS, "threshold": 1.5}).encode(),
        json.dumps({**FIELDS, "looks": []}).encode(),
        json.dumps({**FIELDS, "first_side": 256}).encode(),
        json.dumps({**FIELDS, "looks": 2, "first_side": 100}).encode(),
        json.dumps({**FIELDS, "looks": 2, "first_side": "256"}).encode(),
        json.dumps({**FIELDS, "quality": {}}).encode(),
        json.dumps({**FIELDS, "quality": 0.9}).encode(),
        json.dumps({**FIELDS, "quality": {**CALIBRATION.to_dict(), "weights": [1]}}).encode(),
        json.dumps({**FIELDS, "quality": {**CALIBRATION.to_dict(), "means": None}}).encode(),
    ],
)
def test_a_json_that_describes_no_model_is_refused_naming_it(tmp_path: Path, text: bytes) -> None:
    put(str(tmp_path), b"weights", text)
    with pytest.raises(GlassegError, match=r"model\.json is not a model description"):
        model_folder.load(str(tmp_path))


def test_the_id_does_not_depend_on_dates_and_metrics() -> None:
    assert replace(SPEC, training={"iou": 0.9, "finished": "today"}).model_id == SPEC.model_id


def test_a_calibration_comes_with_the_model_and_leaves_its_id(new_folder: Callable[[], str]) -> None:
    uri = new_folder()
    put(uri, b"weights", SPEC)
    assert model_folder.load(uri).spec.calibration is None
    before = model_folder.load(uri).spec.model_id
    put(uri, b"weights", replace(SPEC, quality=CALIBRATION.to_dict()))
    spec = model_folder.load(uri).spec
    assert spec.calibration == CALIBRATION and spec.model_id == before


def test_a_model_that_is_older_than_calibrations_is_read(new_folder: Callable[[], str]) -> None:
    uri, weights = new_folder(), b"weights"
    put(uri, weights, SPEC)
    described = json.loads(open_root(uri).read(SPEC_NAME)[0])
    del described["quality"]
    put(uri, weights, json.dumps(described).encode())
    spec = model_folder.load(uri).spec
    assert spec.quality is None and spec.calibration is None
    assert spec.model_id == "compact-3a24ad179584", "it was made before, and no picture of it is stale"


@pytest.mark.parametrize(
    "change",
    [
        {"preset": "baseline"},
        {"input_side": 256},
        {"resize": "stretch"},
        {"passes": 2},
        {"threshold": 0.45},
        {"ramp": 0.5},
        {"weights_sha256": "cd" * 32},
    ],
)
def test_the_id_changes_with_what_inference_depends_on(change: dict[str, Any]) -> None:
    assert replace(SPEC, **change).model_id != SPEC.model_id


def test_a_whole_number_is_the_same_model() -> None:
    assert replace(SPEC, ramp=1).model_id == replace(SPEC, ramp=1.0).model_id


def test_the_side_of_the_first_look_is_part_of_the_id_and_models_without_one_keep_theirs(tmp_path: Path) -> None:
    two_passes = replace(SPEC, passes=2)
    assert len({two_passes.model_id, *(replace(two_passes, first_side=side).model_id for side in (256, 384))}) == 3
    older = {name: value for name, value in json.loads(two_passes.to_json()).items() if name != "first_side"}
    put(str(tmp_path), b"weights", None)
    older["weights_sha256"] = hashlib.sha256(b"weights").hexdigest()
    put(str(tmp_path), None, json.dumps(older).encode())
    spec = model_folder.load(str(tmp_path)).spec
    assert spec.first_side is None and spec.model_id == "compact-0e05f4477b3f"
