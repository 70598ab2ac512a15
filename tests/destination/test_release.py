"""`glasseg release` that is ended anywhere leaves no picture without a row or a claim, and the next one ends it."""

from __future__ import annotations

import random
import shutil
import signal
from functools import partial
from pathlib import Path

import mortal
import pytest
from manifestrows import row
from powercut import Disk, started_again

from glasseg.catalog import claims, lock, manifest, runs, state
from glasseg.catalog.schema import Status
from glasseg.errors import GlassegError
from glasseg.storage.roots import Folder, Root
from jobs.destination.release import release

NIGHT, HELD = "20260101T000000.000Z", "20260102T000000.000Z"
KEYS = ("a.jpg", "b c.jpg", "deep/d.jpg", "e.jpg")


def held(root: Root, keys: tuple[str, ...] = KEYS) -> Root:
    """A destination where a run held a picture and a mask of each of `keys` back."""
    old = [row(key, 1, run_id=NIGHT, output_key=key, output_uri=root.uri_of(key), mask_uri="m") for key in keys]
    new = [{**one, "run_id": HELD, "run_seq": 2, "status": "review", "published": False} for one in old]
    for word, folder, rows in (("old", "", old), ("new", manifest.held_folder(HELD), new)):
        for key in keys:
            root.write(folder + key, f"{word} picture of {key}".encode())
            root.write(folder + manifest.mask_key(key), f"{word} mask of {key}".encode())
        run = rows[0]["run_id"]
        manifest.write_part(root, run, 0, rows)
        runs.write(root, run, {"run_seq": rows[0]["run_seq"], "ended": "done"})
    return root


def words(root: Root, key: str) -> tuple[str, str]:
    """Which picture and which mask stand there: "old" or "new"."""
    picture, mask = (root.read(one)[0].decode() for one in (key, manifest.mask_key(key)))
    assert picture.endswith(f"picture of {key}") and mask.endswith(f"mask of {key}"), "whole, and its own"
    return picture[:3], mask[:3]


def check_rows_tell(root: Root) -> None:
    """What stands in a place is what its photo's row says, or a claim says that nobody knows."""
    unsure = set(claims.touched(root)["output"].to_pylist())
    for photo in state.read(root).photos.to_pylist():
        if photo["key"] not in unsure:
            assert words(root, photo["key"]) == (("old",) * 2 if photo["held"] else ("new",) * 2)


def check_one_more_makes_everything_right(root: Root) -> None:
    release(root.uri, HELD, [], endpoint_url=None)
    last = {one["key"]: one for one in state.read(root).photos.to_pylist()}
    assert {one["status"] for one in last.values()} == {Status.OK} and set(last) == set(KEYS)
    assert [words(root, key) for key in KEYS] == [("new", "new")] * 4
    assert all(last[one["output"]]["run_id"] >= one["run_id"] for one in claims.touched(root).to_pylist())
    assert not list(root.list(manifest.HELD)) and not root.exists(lock.LOCK)


@pytest.mark.parametrize(
    ("kind", "died", "step"),
    [("SIGKILL", -9, 4), pytest.param("SIGINT", 130, 4, marks=pytest.mark.slow), ("SIGTERM", 143, 20)],
)
def test_a_release_that_is_ended_anywhere_leaves_no_picture_without_a_row_or_a_claim(
    kind: str, died: int, step: int, tmp_path: Path
) -> None:
    roots = {number: held(Folder(tmp_path / str(number))) for number in range(0, 80, step)}
    ends = mortal.exit_codes(
        [(signal.Signals[kind], n, partial(mortal.command, "release", root.uri, HELD)) for n, root in roots.items()]
    )
    assert set(ends) <= {died, 0} and ends.count(died) > len(ends) // 2, ends
    for root in roots.values():
        check_rows_tell(root)
        check_one_more_makes_everything_right(root)


def test_a_power_cut_during_a_release_leaves_no_picture_without_a_row_or_a_claim(tmp_path: Path) -> None:
    disk = Disk(Path(held(Folder(tmp_path / "out")).uri))
    with disk.watched():
        release(str(tmp_path / "out"), HELD, [], endpoint_url=None)
    assert len(disk.moments) > 30
    for number, moment in enumerate(disk.moments):
        left = tmp_path / "left"
        moment.left(left, (False, True, random.Random(number))[number % 3])
        started_again(left)
        check_rows_tell(Folder(left))
        check_one_more_makes_everything_right(Folder(left))
        shutil.rmtree(left)


def test_a_picture_that_another_photo_has_in_its_place_by_now_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The photo was exported anew with another suffix, and one night worked on that one only."""
    root = held(Folder(tmp_path / "out"))
    root.write("a.jpg", b"picture of a.tif")
    manifest.write_part(root, "run3", 0, [row("a.tif", 3, output_key="a.jpg", output_uri=root.uri_of("a.jpg"))])
    with pytest.raises(GlassegError, match="1 pictures can't be released"):
        release(root.uri, HELD, [], endpoint_url=None)
    assert "a.jpg: the picture of a.tif has its place now" in capsys.readouterr().err
    assert root.read("a.jpg")[0] == b"picture of a.tif"
    assert [words(root, key) for key in KEYS[1:]] == [("new", "new")] * 3
