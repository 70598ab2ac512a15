"""What a person hands in is doubted where it is probably a slip, and judged anew in a frame that nobody has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from correcting import correct, whiten
from drawnphotos import BLANK, by_key, drawn
from painted import export, kept

from glasseg.catalog import reviewed
from glasseg.drawing.photo import draw_photo
from glasseg.storage.roots import Root, open_root
from jobs.destination.release import release

pytestmark = pytest.mark.usefixtures("tensorflow")

MINE = "a.jpg"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Root, Root]:
    """A source of one photo and a destination where it is done."""
    source, destination = open_root(str(tmp_path / "in")), open_root(str(tmp_path / "out"))
    source.write(MINE, drawn(0))
    whiten((source, destination))
    return source, destination


def mask(folder: Path, of: int, key: str = MINE) -> str:
    """The true mask of the drawn photo of this number, by name that of `key`."""
    coverage = draw_photo(np.random.default_rng(of), (240, 320)).coverage
    path = folder / "masks" / f"{key.removesuffix('.jpg')}_mask.png"
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.where(coverage > 0.5, 255, 0).astype(np.uint8))
    return str(path.parent)


def said(destination: Root) -> tuple[Any, ...]:
    row = by_key(destination)[MINE]
    return row["status"], row["error_code"], row["reviewed"], row["published"]


# a mask of another tool -----------------------------------------------------------------------------------------------


def test_the_photos_own_mask_is_taken_and_says_nothing_of_the_models(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    before = by_key(destination)[MINE]
    correct(destination, mask(tmp_path, 0))
    row = by_key(destination)[MINE]
    assert said(destination) == ("ok", None, "corrected", True)
    assert row["reviewed_model"] == row["model_id"] and row["quality"] == pytest.approx(before["quality"], abs=1e-6)


def test_the_mask_of_another_photo_is_for_review_and_the_picture_stays(
    places: tuple[Root, Root], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, destination = places
    before = destination.read(MINE)[0]
    correct(destination, mask(tmp_path, 1))
    assert said(destination) == ("review", "mask_mismatch", "corrected", False)
    assert destination.read(MINE)[0] == before
    told = capsys.readouterr().err
    assert "review  a.jpg: mask_mismatch" in told and "--approve takes it all the same, --withdraw forgets it" in told
    whiten(places, redo="all")
    assert said(destination) == ("review", "mask_mismatch", "corrected", False), "nobody has approved it yet"
    correct(destination, withdraw=(MINE,))
    assert said(destination) == ("ok", None, None, True) and destination.read(MINE)[0] == before


def test_a_doubted_mask_that_is_approved_is_published_and_never_doubted_again(
    places: tuple[Root, Root], tmp_path: Path
) -> None:
    _, destination = places
    before = destination.read(MINE)[0]
    correct(destination, mask(tmp_path, 1))
    (tmp_path / "right.csv").write_text("photo\na.jpg\n")
    correct(destination, approve=str(tmp_path / "right.csv"))
    assert said(destination) == ("ok", None, "corrected", True) and destination.read(MINE)[0] != before
    whiten(places, redo="all")
    assert said(destination) == ("ok", None, "corrected", True)


def test_a_doubted_mask_that_is_released_is_never_doubted_again(places: tuple[Root, Root], tmp_path: Path) -> None:
    _, destination = places
    correct(destination, mask(tmp_path, 1))
    release(destination.uri, by_key(destination)[MINE]["run_id"], [], endpoint_url=None)
    assert said(destination) == ("ok", None, "corrected", True)
    whiten(places, redo="all")
    assert said(destination) == ("ok", None, "corrected", True)


def test_where_the_model_found_nothing_any_mask_is_taken(places: tuple[Root, Root], tmp_path: Path) -> None:
    source, destination = places
    source.write(MINE, BLANK)
    whiten(places, gates=False)
    correct(destination, mask(tmp_path, 1))
    assert said(destination) == ("ok", None, "corrected", True)


# how the picture is framed --------------------------------------------------------------------------------------------


def reaching(source: Root) -> None:
    """A photo whose glasses its edge cuts off."""
    photo = draw_photo(np.random.default_rng(0), (240, 320)).image
    source.write(MINE, cv2.imencode(".png", photo[:, 100:, ::-1])[1].tobytes())


@pytest.mark.parametrize("word", ["corrected", "approved"])
def test_a_persons_word_on_a_mask_does_not_hide_how_other_options_frame_it(
    places: tuple[Root, Root], tmp_path: Path, word: str
) -> None:
    source, destination = places
    reaching(source)
    whiten(places, gates=False)
    first = by_key(destination)[MINE]["error_code"]
    correct(destination, export(tmp_path, destination, {MINE: kept if word == "corrected" else None}))
    assert said(destination) == ("ok", None, word, True) and first == "ring_not_clean", "the person has seen that"
    whiten(places, redo="all")
    assert said(destination) == ("ok", None, word, True), "the same options"
    whiten(places, frame=(1, 1), fill=0.8)
    assert said(destination) == ("review", "cut_off", word, False), "an ok picture stays"
    assert by_key(destination)[MINE]["reviewed_run"] == max(
        entry.key.rpartition("/")[2].partition(".label")[0]
        for entry in destination.list(f"{reviewed.CORRECTIONS}{MINE}/")
        if ".label" in entry.key
    )
    correct(destination, export(tmp_path, destination, {MINE: None}))
    assert said(destination) == ("ok", None, word, True), "and now this has been seen"
    whiten(places, frame=(1, 1), fill=0.8, redo="all")
    assert said(destination) == ("ok", None, word, True)
