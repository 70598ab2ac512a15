"""The package works where there is no checkout: its modules, the model and the page's templates are in the wheel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from drawnphotos import drawn
from raycluster import CHECKOUT, make_environment

pytestmark = pytest.mark.slow


def test_an_installed_wheel_whitens_from_another_folder(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "env")
    photos = tmp_path / "in"
    photos.mkdir()
    (photos / "a b.jpg").write_bytes(drawn(3))
    bare = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [python.parent / "glasseg", "whiten", "in", "out", "--max-flagged=1", "--summary-json=summary.json"]
    done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "summary.json").read_bytes())["processed"] == 1
    assert (tmp_path / "out/a b.jpg").exists()
    [page] = (tmp_path / "out/_glasseg/report").glob("*/index.html")
    assert "a b.jpg" in page.read_text(encoding="utf-8")
    code = "import glasseg.model.folder, jobs.cli; print(glasseg.__file__, jobs.__file__)"
    found = subprocess.run([python, "-c", code], cwd=tmp_path, env=bare, capture_output=True, text=True, check=True)
    assert str(CHECKOUT) not in found.stdout
