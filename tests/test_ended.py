"""What a command leaves that is killed anywhere while it writes: whole files, and the same command makes it right."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mortal
import pytest
from drawnphotos import drawn
from manifestrows import row

from glasseg.catalog import manifest, runs
from glasseg.errors import GlassegError
from glasseg.model import card, folder
from glasseg.storage.roots import Folder
from jobs.destination.report import report
from jobs.train import resume

RUN = "20260101T000000.000Z"
ABOUT: dict[str, Any] = {"data": {"fingerprint": "aa"}, "started_from": None, "recipe": {"batch": 4}}


def killed(template: Path, call: Callable[[str], Callable[[], object]], most: int, step: int = 1) -> list[Folder]:
    """Copies of a folder, in each of which a call was killed at another operation."""
    roots = [Folder(template.with_name(f"{template.name}-{number}")) for number in range(0, most, step)]
    for root in roots:
        shutil.copytree(template, root.path)
    ends = mortal.exit_codes([(signal.SIGKILL, step * n, call(root.uri)) for n, root in enumerate(roots)])
    assert set(ends) <= {-9, 0} and ends.count(-9) > len(ends) // 2, ends
    return roots


def test_a_report_that_is_killed_anywhere_leaves_a_whole_page_or_none(tmp_path: Path) -> None:
    source, white = Folder(tmp_path / "in"), Folder(tmp_path / "white")
    for number, name in enumerate(("a.jpg", "b.jpg")):
        source.write(name, drawn(number))
        white.write(name, drawn(number))
    done = [row(name, run_id=RUN, output_key=name, output_uri=white.uri_of(name)) for name in ("a.jpg", "b.jpg")]
    manifest.write_part(white, RUN, 0, done)
    runs.write(white, RUN, {"run_seq": 1, "processed": 2, "source": source.uri, "ended": "done"})
    index = f"{manifest.report_folder(RUN)}index.html"
    for root in killed(white.path, lambda uri: partial(mortal.command, "report", uri), 48, 4):
        assert not root.exists(index) or root.read(index)[0].rstrip().endswith(b"</html>")
        report(root.uri, None, None)
        thumbs = {entry.key.rpartition("/")[2] for entry in root.list(f"{manifest.report_folder(RUN)}thumbs/")}
        assert len(thumbs) == 6 and all(name.encode() in root.read(index)[0] for name in thumbs)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder.packaged_folder(), tmp_path / "model"))


def test_a_calibration_that_is_killed_while_it_is_stored_leaves_a_model(model: Path) -> None:
    before = folder.load(str(model)).spec
    new = {**before.training, "notes": ["new"]}
    for root in killed(model, lambda uri: partial(card.renew, uri, new), 14):
        assert folder.load(root.uri).spec.training in (before.training, new)
        assert card.renew(root.uri, new).training == new and b"new" in root.read(card.CARD_NAME)[0]


def test_a_model_that_is_killed_while_it_is_published_is_whole_or_refused(model: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    (other / folder.WEIGHTS_NAME).write_bytes(b"the best so far")
    for root in killed(other, lambda uri: partial(folder.publish, model, uri), 14):
        try:
            folder.load(root.uri)
        except GlassegError as refused:
            assert "copy both files" in str(refused)
        folder.publish(model, root.uri)
        assert folder.load(root.uri).weights == (model / folder.WEIGHTS_NAME).read_bytes()


def test_a_training_that_is_killed_while_it_ends_is_finished_or_unfinished(model: Path) -> None:
    resume.begin_or_resume(Folder(model), ABOUT, overwrite=True)
    shutil.copytree(folder.packaged_folder(), model, dirs_exist_ok=True)
    Folder(model).write(f"{resume.UNFINISHED}ray/checkpoint", b"-")
    for root in killed(model, lambda uri: partial(resume.clear_finished, Folder(Path(uri))), 6):
        folder.load(root.uri)
        if root.exists(resume.RUN_JSON):
            resume.refuse_finished(root, overwrite=False)
            assert root.exists(f"{resume.UNFINISHED}ray/checkpoint"), "it can be resumed"
        resume.clear_finished(root)
        assert not (root.path / resume.UNFINISHED).exists()
