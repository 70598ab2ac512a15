"""`glasseg next`: the photos of all runs that are worth a person's time, as a table, as JSON and in an editor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from drawnphotos import drawn
from editorpages import edited, files, one_model
from inprocess import whiten
from manifestrows import row

from glasseg.catalog import manifest, runs
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder, open_root
from jobs.cli import cli
from jobs.destination import editor
from jobs.destination.report import report


def ask(destination: str, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["next", destination, *arguments])
    assert result.exit_code == code, result.output
    return result


def asked(destination: str, *arguments: str) -> list[dict[str, Any]]:
    """The photos that it prints as JSON."""
    return json.loads(ask(destination, "--json", "--no-editor", *arguments).stdout)["photos"]


@pytest.fixture
def known(folder_uri: str) -> Folder:
    """A destination after three nights."""
    root = Folder(Path(folder_uri))
    review = {"status": "review", "error_code": "uncertain_mask"}
    first = [
        row("once bad.jpg", 1, quality=0.1, **review),
        row("still bad.jpg", 1, quality=0.3, **review),
        row("approved.jpg", 1, quality=0.2, **review),
        row("broken.jpg", 1, status="failed"),
        row("left.jpg", 1, quality=0.2),
        row("unsure.jpg", 1, quality=None),
    ]
    second = [
        row("once bad.jpg", 2, quality=0.95),
        row("approved.jpg", 2, quality=0.2, reviewed="approved", reviewed_run="run2", reviewed_etag="e"),
        row("left.jpg", 2, status="gone", quality=None),
        row("held.jpg", 2, quality=0.4, published=False, **review),
    ]
    manifest.write_part(root, "run1", 0, first)
    manifest.write_part(root, "run2", 0, second)
    return root


def test_the_last_row_of_each_photo_counts_whatever_its_run(known: Folder) -> None:
    assert [(one["photo"], one["status"], one["run_id"]) for one in asked(known.uri)] == [
        ("still bad.jpg", "review", "run1"),
        ("held.jpg", "held", "run2"),
        ("once bad.jpg", "ok", "run2"),
        ("unsure.jpg", "ok", "run1"),
    ]
    assert asked(known.uri, "--n", "1") == [
        {
            "photo": "still bad.jpg",
            "quality": 0.3,
            "status": "review",
            "error_code": "uncertain_mask",
            "run_id": "run1",
        }
    ]


def test_the_table_goes_to_stdout(known: Folder) -> None:
    lines = ask(known.uri, "--no-editor").stdout.splitlines()
    assert lines[0].split() == ["photo", "quality", "status", "why", "run"]
    assert lines[1].split() == ["still", "bad.jpg", "0.30", "review", "uncertain_mask", "run1"]
    assert lines[4].split() == ["unsure.jpg", "–", "ok", "–", "run1"]


def test_a_destination_where_glasseg_never_worked_is_one_line(folder_uri: str) -> None:
    result = CliRunner().invoke(cli, ["next", folder_uri])
    assert isinstance(result.exception, GlassegError)
    assert str(result.exception) == f"glasseg has not worked in {folder_uri} yet: is it the right place?"


def test_when_a_person_has_seen_all_there_is_nothing_next(folder_uri: str) -> None:
    root = Folder(Path(folder_uri))
    manifest.write_part(root, "run1", 0, [row(reviewed="approved", reviewed_run="run1", reviewed_etag="e")])
    result = ask(folder_uri)
    assert (result.stdout, result.stderr) == (
        "",
        f"Nothing to look at: a person has seen every picture in {root.uri}.\n",
    )
    assert asked(folder_uri) == []


@pytest.fixture
def model(tensorflow: Any) -> Iterator[None]:
    with one_model():
        yield


def test_the_editor_takes_photos_of_several_runs_and_models(
    tmp_path: Path, untrained_folder: Path, model: None
) -> None:
    source, destination = Folder(tmp_path / "photos"), Folder(tmp_path / "white")
    source.write("1.jpg", drawn(1))
    whiten(source.uri, destination.uri, WhitenConfig(model=str(untrained_folder), max_flagged=1.0))
    source.write("a/2.jpg", drawn(2))
    again = WhitenConfig(photos=str(tmp_path / "list.csv"))
    (tmp_path / "list.csv").write_text("photo\na/2.jpg\n")
    whiten(source.uri, destination.uri, again)
    ask(destination.uri)
    rows = manifest.read(destination).to_pylist()
    assert {(one["key"], one["model_id"], one["run_id"]) for one in edited(destination, "next")} == {
        (one["key"], one["model_id"], one["run_id"]) for one in rows
    }
    assert len({one["model_id"] for one in rows}) == 2


def test_its_editor_is_no_run(tmp_path: Path, model: None) -> None:
    source, destination = Folder(tmp_path / "photos"), Folder(tmp_path / "white")
    source.write("1.jpg", drawn(1))
    whiten(source.uri, destination.uri, WhitenConfig())
    result = ask(destination.uri, "--n", "5")
    assert f"Editor: {destination.uri}/_glasseg/report/next/edit/index.html (1 photo, " in result.stderr
    assert files(destination, editor.NEXT) == {"index.html", "0001.html"}
    assert runs.names(destination)[-1] in report(destination.uri, None, None)
    with pytest.raises(GlassegError, match="no run next in"):
        report(destination.uri, "next", None)


def test_next_on_s3(root_uri: str) -> None:
    root = open_root(root_uri)
    manifest.write_part(root, "run1", 0, [row("a b.jpg", quality=0.5)])
    assert [one["photo"] for one in asked(root_uri)] == ["a b.jpg"]
