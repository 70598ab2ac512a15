"""A second model."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged model with another threshold: its masks differ a little, its id differs."""
    folder = tmp_path_factory.mktemp("model") / "other"
    with resources.as_file(resources.files("glasseg.model") / "weights") as packaged:
        shutil.copytree(packaged, folder)
    path = Path(folder) / "model.json"
    spec = json.loads(path.read_text())
    path.write_text(json.dumps({**spec, "threshold": spec["threshold"] + 0.01}))
    return str(folder)
