"""`glasseg train --corrections`: what people corrected or approved in destinations is learnt like other labels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from manifestrows import row

from glasseg.catalog import manifest, reviewed
from glasseg.config import TrainConfig, TrainJob
from glasseg.drawing.photo import draw_photo
from glasseg.errors import GlassegError
from glasseg.labels.pairs import Found
from glasseg.storage.roots import Root, open_root
from jobs.cli import cli
from jobs.train import datacheck, run
from jobs.train.run import find

SIZE = (96, 128)


def drawn(folder: Path, name: str, number: int, *, mask: bool = True) -> np.ndarray:
    """A drawn photo, with its mask beside it or without; returns the mask."""
    folder.mkdir(exist_ok=True)
    photo = draw_photo(np.random.default_rng(number), SIZE)
    material = np.where(photo.coverage > 0.5, 255, 0).astype(np.uint8)
    cv2.imwrite(str(folder / name), photo.image[..., ::-1])
    if mask:
        cv2.imwrite(str(folder / f"{Path(name).stem}_mask.png"), material)
    return material


def take(
    out: Root, source: Root, key: str, label: np.ndarray | None, word: str = "corrected", *, run_id: str = "r1"
) -> None:
    """A person's word on a photo, as a row and a label."""
    etag = source.read(key)[1]
    said = dict(zip(reviewed.of({}), (word, run_id, etag, "compact-0", "o0"), strict=True))
    one: Any = row(key, run_id=run_id, source_uri=source.uri_of(key), source_etag=etag, **said)
    manifest.write_part(out, f"{run_id}-{len(list(out.list()))}", 0, [one])
    if label is not None:
        out.write(reviewed.label_key(key, run_id), cv2.imencode(".png", label)[1].tobytes())


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Root, Root]:
    """Six labelled photos; a source of four photos; its destination, with three corrections and an approval."""
    data, photos = tmp_path / "data", tmp_path / "photos"
    for number in range(6):
        drawn(data, f"d{number}.png", number)
    source, out = open_root(str(photos)), open_root(str(tmp_path / "white"))
    for number, word in enumerate(["corrected", "corrected", "approved", "corrected"]):
        take(out, source, f"c{number}.png", drawn(photos, f"c{number}.png", 50 + number, mask=False), word)
    return data, source, out


def checked(data: Path, *outs: Root, max_bad: int = 0, val: Path | None = None) -> tuple[Found, list[str]]:
    job = TrainJob(corrections=tuple(out.uri for out in outs), val=str(val) if val else None)
    return datacheck.check(find(str(data), job), max_bad)


def names(found: Found) -> list[str]:
    return [pair.photo for pair in found.pairs]


@pytest.mark.usefixtures("ray_session")
def test_corrections_come_after_the_data_and_change_its_fingerprint(places: tuple[Path, Root, Root]) -> None:
    data, source, out = places
    alone, together = checked(data), checked(data, out)
    assert names(together[0]) == [*names(alone[0]), "c0.png", "c1.png", "c2.png", "c3.png"]
    prints = [datacheck.fingerprint(*alone), datacheck.fingerprint(*together)]
    take(out, source, "c0.png", np.full(SIZE, 255, np.uint8), run_id="r2")
    prints += [datacheck.fingerprint(*checked(data, out))]
    assert len({*prints}) == 3


@pytest.mark.usefixtures("ray_session")
def test_what_can_not_be_learnt_is_named_with_why(
    places: tuple[Path, Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    data, source, out = places
    drawn(Path(source.uri), "c0.png", 99, mask=False)
    out.delete(reviewed.label_key("c1.png", "r1"))
    out.write(reviewed.label_key("c2.png", "r1"), cv2.imencode(".png", np.zeros(SIZE, np.uint8))[1].tobytes())
    found, digests = checked(data, out, max_bad=0)  # nobody can mend them: they must not stop a nightly training
    assert names(found)[6:] == ["c3.png"] and len(digests) == 7 and len(found.problems) == 3
    told = capsys.readouterr().err
    assert "skipped c0.png: the photo has changed since it was corrected" in told
    assert f"skipped c1.png: {out.uri_of('_glasseg/corrections/c1.png/r1.label.png')} is gone" in told
    assert "skipped c2.png: the mask is empty: no pixel is glasses" in told


@pytest.mark.usefixtures("ray_session")
def test_a_copy_of_a_corrected_photo_in_the_data_gets_the_persons_label(places: tuple[Path, Root, Root]) -> None:
    data, source, out = places
    shutil.copy(Path(source.uri) / "c1.png", data / "d2.png")
    found, digests = checked(data, out)
    assert names(found) == ["d0.png", "d1.png", "d3.png", "d4.png", "d5.png", *(f"c{i}.png" for i in range(4))]
    assert found.left_out == {"labelled anew by a correction": 1} and len(digests) == 9
    assert {pair.photo: pair.group for pair in found.pairs}["c1.png"] == "d2.png"


@pytest.mark.usefixtures("ray_session")
def test_with_val_they_are_trained_on_unless_they_are_among_its_photos(
    places: tuple[Path, Root, Root], tmp_path: Path
) -> None:
    data, source, out = places
    val = tmp_path / "val"
    drawn(val, "v.png", 50)  # c0.png under another name
    (val / "v.png").write_bytes((Path(source.uri) / "c0.png").read_bytes())
    found, _ = checked(data, out, val=val)
    sides = {pair.photo: pair.split for pair in found.pairs}
    assert sides == dict.fromkeys([*(f"d{i}.png" for i in range(6)), "c1.png", "c2.png", "c3.png"], "train") | {
        "v.png": "validation"
    }


@pytest.mark.usefixtures("ray_session")
def test_people_are_told_how_many_there_are(
    places: tuple[Path, Root, Root], capsys: pytest.CaptureFixture[str]
) -> None:
    data, _, out = places
    usable = run._checked(find(str(data), TrainJob(corrections=(out.uri,))), TrainConfig(), 0, None)
    assert "  3 corrected and 1 approved by people\n" in capsys.readouterr().err
    about = run._about("labelled", usable, TrainConfig(), None, given_apart=False)
    assert about["data"]["corrections"] == {"corrected": 3, "approved": 1}


def test_without_corrections_the_record_does_not_name_them(places: tuple[Path, Root, Root]) -> None:
    found = find(str(places[0]), TrainJob())
    about = run._about("labelled", run.Data(found, "aa"), TrainConfig(), None, given_apart=False)
    assert "corrections" not in about["data"]


def test_a_place_without_corrections_is_one_line_before_anything_starts(
    places: tuple[Path, Root, Root], tmp_path: Path
) -> None:
    arguments = ["train", str(places[0]), str(tmp_path / "model"), "--corrections", str(places[2].uri), "--corrections"]
    error = CliRunner().invoke(cli, [*arguments, str(tmp_path / "nothing")]).exception
    assert isinstance(error, GlassegError) and error.exit_code == 1
    assert "nobody has corrected or approved a photo in" in str(error) and "\n" not in str(error)
    assert not (tmp_path / "model").exists()


def test_a_preview_shows_them(places: tuple[Path, Root, Root], tmp_path: Path) -> None:
    options = ["--preview", str(tmp_path / "pairs.png"), "--preset", "baseline", "--corrections", places[2].uri]
    done = CliRunner().invoke(cli, ["train", str(places[0]), str(tmp_path / "model"), *options, "--seed", "3"])
    assert done.exception is None, done.output
    assert " of " in done.stderr and cv2.imread(str(tmp_path / "pairs.png")).shape[1] > 1000
