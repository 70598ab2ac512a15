"""What a run makes of every photo: rows, pictures, refusals and messages, with the worker in this process."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drawnphotos import AWKWARD, BLANK, SIZE, by_key, drawn, drawn_as, outputs
from inprocess import watched, whiten
from PIL import Image

from glasseg.catalog import claims, manifest, runs
from glasseg.config import WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.errors import ERROR_CODES, GlassegError
from glasseg.images import decoder
from glasseg.images.encoder import encode
from glasseg.model import folder as model_folder
from glasseg.model import quality
from glasseg.storage.roots import Entry, Folder
from jobs.whiten import places as places_of_a_run

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good photos with awkward names, bad ones, and things that are no photos."""
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate(AWKWARD):
        Folder(folder).write(name, drawn_as(name, seed))
    (folder / "truncated.jpg").write_bytes(drawn(1)[:2000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "words.png").write_text("not a picture")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "back\\slash.jpg").write_bytes(drawn(2))
    (folder / "blank.png").write_bytes(hidden_png())
    (folder / "notes.txt").write_text("no photo")
    (folder / "._plain.jpg").write_bytes(b"resource fork")
    return folder


def huge_png() -> bytes:
    """A 200-megapixel PNG of a few hundred kilobytes."""
    import cv2

    done, data = cv2.imencode(".png", np.zeros((10_000, 20_000), np.uint8))
    assert done
    return data.tobytes()


def hidden_png() -> bytes:
    """A drawn photo as some programs save it: all there, but with an alpha of 0."""
    import cv2

    image = cv2.imdecode(np.frombuffer(drawn(1), np.uint8), cv2.IMREAD_COLOR)
    done, data = cv2.imencode(".png", np.dstack([image, np.zeros(SIZE, np.uint8)]))
    assert done
    return data.tobytes()


BAD = {
    "truncated.jpg": "unreadable",
    "empty.jpg": "empty",
    "words.png": "unreadable",
    "gone.jpg": "vanished",
    "huge.png": "too_large",
    "blank.png": "transparent",
    "back\\slash.jpg": "unsafe_name",
}


@pytest.fixture(scope="module")
def whitened(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, int]:
    """The photos whitened into a folder once, with masks; the destination and the exit code."""
    destination = tmp_path_factory.mktemp("white") / "deep" / "er"
    code = whiten(str(photos), str(destination), WhitenConfig(mask=True))
    return Folder(destination), code


def test_every_photo_gets_one_row(whitened: tuple[Folder, int]) -> None:
    rows = by_key(whitened[0])
    assert set(rows) == {*AWKWARD, *BAD}
    assert {row["run_seq"] for row in rows.values()} == {1}
    assert all(row["error_code"] in ERROR_CODES for row in rows.values() if row["status"] != "ok")


def test_bad_photos_become_rows_that_say_why(whitened: tuple[Folder, int]) -> None:
    rows = by_key(whitened[0])
    assert {key: rows[key]["error_code"] for key in BAD} == BAD
    assert all(rows[key]["status"] == "failed" and rows[key]["output_uri"] is None for key in BAD)


def test_a_photo_hidden_by_its_own_transparency_says_so(whitened: tuple[Folder, int]) -> None:
    row = by_key(whitened[0])["blank.png"]
    assert row["error"] == "its own transparency hides all of it: save it without"
    assert (row["height"], row["width"]) == SIZE


def test_too_many_bad_photos_are_exit_code_3(whitened: tuple[Folder, int]) -> None:
    assert whitened[1] == 3


def test_names_are_kept_and_only_foreign_formats_become_png(whitened: tuple[Folder, int]) -> None:
    renamed = {"scan.tif": "scan.png", "old.bmp": "old.png"}
    assert outputs(whitened[0]) == {renamed.get(name, name) for name in AWKWARD}


def test_pixels_outside_the_mask_are_exactly_white_and_inside_the_photo(
    whitened: tuple[Folder, int], photos: Path
) -> None:
    destination, key = whitened[0], "folder/with/Ünïcode é.png"  # png: lossless on both sides
    alpha = decoder.decode_on_white(destination.read(manifest.mask_key(key))[0], max_pixels=10**6)[..., 0]
    before = decoder.decode_on_white((photos / key).read_bytes(), max_pixels=10**6)
    after = decoder.decode_on_white(destination.read(key)[0], max_pixels=10**6)
    assert after.shape == before.shape == (*SIZE, 3)
    assert (after[alpha == 0] == 255).all()
    assert (after[alpha == 255] == before[alpha == 255]).all()


def test_rows_describe_the_mask(whitened: tuple[Folder, int]) -> None:
    destination, key = whitened[0], "plain.jpg"
    row = by_key(destination)[key]
    alpha = decoder.decode_on_white(destination.read(manifest.mask_key(key))[0], max_pixels=10**6)[..., 0]
    assert row["mask_coverage"] == pytest.approx(alpha.mean() / 255, abs=1e-6)
    assert (row["height"], row["width"]) == SIZE
    ys, xs = np.nonzero(alpha)
    box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert tuple(row[f"bbox_{edge}"] for edge in ("x0", "y0", "x1", "y1")) == box
    assert row["source_bytes"] > 0 and row["read_ms"] > 0 and row["segment_ms"] > 0 and row["write_ms"] > 0


def test_nothing_but_outputs_and_our_folder_is_left(whitened: tuple[Folder, int]) -> None:
    ours = {e.key.split("/")[1] for e in whitened[0].list("_glasseg/")}
    assert ours == {"manifest", "runs", "masks", "report"}


def test_a_second_run_finds_nothing_to_do(whitened: tuple[Folder, int], photos: Path) -> None:
    before = by_key(whitened[0])
    transient = {key for key, row in before.items() if row["error_code"] == "vanished"}
    whiten(str(photos), whitened[0].uri, WhitenConfig(mask=True))
    again = [row for row in manifest.read(whitened[0]).to_pylist() if row["run_seq"] == 2]
    assert {row["key"]: row["reason"] for row in again} == dict.fromkeys(transient, "retry")


def test_keys_that_would_leave_the_destination_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 itself allows such keys; the test server refuses to store them, so they come from the listing only."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/ok.jpg").write_bytes(drawn(3))
    listed = ["../up.jpg", "/abs.jpg", "a/../../up.jpg", "ok.jpg"]
    monkeypatch.setattr(places_of_a_run, "entries", lambda *_: (Entry(key, 1, "etag") for key in listed))
    whiten(str(tmp_path / "in/ok.jpg"), str(tmp_path / "white"), WhitenConfig())
    codes = {key: row["error_code"] for key, row in by_key(Folder(tmp_path / "white")).items()}
    assert set(codes) == set(listed)
    assert {codes.pop(key) for key in listed[:3]} == {"unsafe_name"}
    assert outputs(Folder(tmp_path / "white")) == {"ok.jpg"}
    assert {p.name for p in tmp_path.iterdir()} == {"in", "white"}


def test_only_what_changed_is_done_again(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(4):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    whiten(str(source), str(destination), WhitenConfig())
    (source / "1.jpg").write_bytes(drawn(11))
    (source / "4.jpg").write_bytes(drawn(4))
    (destination / "2.jpg").unlink()
    config = WhitenConfig(summary_json=str(tmp_path / "summary.json"), gates=False)
    whiten(str(source), str(destination), config)
    again = [row for row in manifest.read(Folder(destination)).to_pylist() if row["run_seq"] == 2]
    assert {row["key"]: row["reason"] for row in again} == {"1.jpg": "changed", "2.jpg": "missing", "4.jpg": "new"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["processed"] == 3 and summary["unchanged"] == 2
    assert {row["replaced_run_id"] for row in again if row["key"] == "1.jpg"} == {first_run(destination)}


def calibrated(folder: Path, review_below: float) -> str:
    """A copy of the packaged model with a calibration of its own."""
    weights = {"worst": -0.9, "left_out": -0.6}
    calibration = quality.Calibration(
        tuple(weights), (-0.5, -3.0), (1.0, 1.0), tuple(weights.values()), 1.5, review_below
    )
    shutil.copytree(model_folder.packaged_folder(), folder, dirs_exist_ok=True)
    spec = replace(model_folder.load(str(folder)).spec, quality=calibration.to_dict())
    (folder / "model.json").write_text(spec.to_json())
    return str(folder)


def test_wrong_transparency_and_wrong_turns_are_for_a_person_and_a_cut_outs_shadow_is_not(tmp_path: Path) -> None:
    import cv2

    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    photo = draw_photo(np.random.default_rng(90_001), (720, 960), scene="sweep")
    material = np.rint(255 * photo.coverage).astype(np.uint8)
    shift = np.array([[1, 0, 12], [0, 1, 24]], np.float32)
    shadow = 0.5 * cv2.GaussianBlur(cv2.warpAffine(material, shift, material.shape[::-1]), (0, 0), 12) / 255
    share = material / 255
    alpha = np.rint(255 * (share + (1 - share) * shadow)).astype(np.uint8)
    colours = np.where(alpha[..., None] > 0, photo.image * (share / np.maximum(alpha / 255, 1e-3))[..., None], 0)
    layers = {
        "shadow.png": np.dstack([np.rint(colours).clip(0, 255).astype(np.uint8), alpha]),
        "reversed.png": np.dstack([photo.image, 255 - material]),
        "sideways.png": np.rot90(photo.image),
        "upright.png": photo.image,
    }
    for name, pixels in layers.items():
        Image.fromarray(np.ascontiguousarray(pixels)).save(source / name)
    config = WhitenConfig(frame=(1, 1), fill=0.8, size=600, max_upscale=2, check=("google",))
    whiten(str(source), str(destination), config)
    rows = by_key(Folder(destination))
    assert {key: row["error_code"] for key, row in rows.items()} == {
        "shadow.png": None,
        "reversed.png": "transparency",
        "sideways.png": "sideways",
        "upright.png": None,
    }
    assert "hides glasses" in rows["reversed.png"]["error"] and "stored sideways" in rows["sideways.png"]["error"]
    kept = rows["shadow.png"]
    assert kept["warnings"] == ["came cut out: its own transparency is the mask, but for the shadow in it"]
    assert kept["check_google"] == "pass" and kept["fill"] == pytest.approx(0.8, abs=0.01)
    assert kept["bbox_x1"] - kept["bbox_x0"] == pytest.approx(np.ptp(np.nonzero(material.any(axis=0))), abs=6)


def test_little_quality_is_for_a_person_and_another_calibration_makes_nothing_stale(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    model = calibrated(tmp_path / "model", review_below=1.0)
    whiten(str(source), str(destination), WhitenConfig(model=model))
    rows = by_key(Folder(destination))
    spec = model_folder.load(model).spec
    assert spec.calibration is not None and spec.model_id == model_folder.load(model_folder.PACKAGED).spec.model_id
    assert {row["error_code"] for row in rows.values()} == {"uncertain_mask"}, "nothing reaches the model's own line"
    assert {row["quality_id"] for row in rows.values()} == {spec.calibration.id}
    qualities = {key: row["quality"] for key, row in rows.items()}
    assert len(set(qualities.values())) == 3 and all(0 < one < 1 for one in qualities.values())
    middle = sorted(qualities.values())[1]
    whiten(str(source), str(destination), WhitenConfig(model=model, redo="all", review_below=middle))
    again = rows_of_last_run(destination)
    assert {key: row["quality"] for key, row in again.items()} == qualities
    flagged = {key for key, row in again.items() if row["error_code"] == "uncertain_mask"}
    assert flagged == {key for key, one in qualities.items() if one < middle}
    calibrated(tmp_path / "model", review_below=0.5)
    whiten(str(source), str(destination), WhitenConfig(model=model))
    assert rows_of_last_run(destination) == again, "the third run had nothing to do"


def test_a_line_for_a_quality_that_the_model_does_not_tell_is_refused(tmp_path: Path) -> None:
    model = calibrated(tmp_path / "model", review_below=1.0)
    spec = replace(model_folder.load(model).spec, quality=None)
    (tmp_path / "model/model.json").write_text(spec.to_json())
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="--review-below needs a quality") as caught:
        whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(model=model, review_below=0.5))
    assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()


def first_run(destination: Path) -> str:
    return min(p.name for p in (destination / "_glasseg/manifest").iterdir())


def test_files_of_others_are_never_overwritten_unless_told(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    destination.mkdir()
    (source / "a.jpg").write_bytes(drawn(1))
    (destination / "a.jpg").write_bytes(b"precious")
    with pytest.raises(GlassegError, match="--overwrite"):
        whiten(str(source), str(destination), WhitenConfig())
    assert (destination / "a.jpg").read_bytes() == b"precious"
    assert not (destination / "_glasseg/manifest").exists()
    assert whiten(str(source), str(destination), WhitenConfig(overwrite=True)) == 0
    assert (destination / "a.jpg").read_bytes() != b"precious"


def test_our_own_pictures_are_never_in_the_way(tmp_path: Path) -> None:
    """Of a photo that failed once since, in a format that was changed and changed back, in a place that was moved."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    photo = source / "a.jpg"
    photo.write_bytes(drawn(1))
    assert whiten(str(source), str(destination), WhitenConfig()) == 0
    photo.write_bytes(b"broken for a night")
    whiten(str(source), str(destination), WhitenConfig(format="png"))
    assert rows_of_last_run(destination)["a.jpg"]["error_code"] == "unreadable"
    photo.write_bytes(drawn(1))
    destination = destination.rename(tmp_path / "moved")
    whiten(str(source), str(destination), WhitenConfig())
    assert rows_of_last_run(destination)["a.jpg"]["status"] in {"ok", "review"}


def rows_of_last_run(destination: Path) -> dict[str, dict[str, Any]]:
    rows = manifest.read(Folder(destination)).to_pylist()
    last = max(row["run_seq"] for row in rows)
    return {row["key"]: row for row in rows if row["run_seq"] == last}


def test_a_limit_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.jpg").write_bytes(drawn(seed))
    whiten(str(source), str(destination), WhitenConfig(limit=1))
    assert outputs(Folder(destination)) == {"0.jpg"}
    whiten(str(source), str(destination), WhitenConfig())
    assert set(rows_of_last_run(destination)) == {"1.jpg", "2.jpg"}
    assert not list((destination / "_glasseg/claims").iterdir())


def test_an_output_of_a_killed_run_is_not_somebody_elses(tmp_path: Path) -> None:
    """A run that was killed after a picture and before its row left only a claim."""
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.jpg").write_bytes(drawn(1))
    Folder(destination).write("a.jpg", b"half a night's work")
    claims.claim(Folder(destination), "20260101T000000.000Z", pa.chunked_array([["a.jpg"]]))
    assert whiten(str(source), str(destination), WhitenConfig()) == 0


REFUSALS = {
    "a source that is not there": ("{tmp}/nowhere", "{tmp}/out", "does not exist"),
    "an empty source": ("{tmp}/empty", "{tmp}/out", "no photos"),
    "the source itself": ("{tmp}/in", "{tmp}/in", "source"),
    "inside the source": ("{tmp}/in", "{tmp}/in/white", "source"),
    "around the source": ("{tmp}/in", "{tmp}", "source"),
    "a bucket that is not there": ("s3://no-such-bucket/x", "{tmp}/out", "bucket does not exist"),
    "a destination bucket that is not there": ("{tmp}/in", "s3://no-such-bucket/x", "bucket does not exist"),
    "a file as destination": ("{tmp}/in", "{tmp}/in.txt", "is a file"),
}


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("what", REFUSALS)
def test_impossible_places_are_refused_in_one_line(what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in.txt").write_text("a file")
    (tmp_path / "in/a.jpg").write_bytes(drawn(1))
    source, destination, words = (text.format(tmp=tmp_path) for text in REFUSALS[what])
    with pytest.raises(GlassegError, match=words) as refusal:
        whiten(source, destination, WhitenConfig())
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 1
    assert {p.name for p in tmp_path.iterdir()} == {"empty", "in", "in.txt"}


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with pytest.raises(GlassegError, match="no model in"):
        whiten(str(tmp_path / "a.jpg"), str(tmp_path / "out"), WhitenConfig(model=str(tmp_path)))


def test_frames_checks_and_backgrounds_reach_pictures_rows_and_summary(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, white = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("plain.jpg", "picture.webp"):
        (source / name).write_bytes((photos / name).read_bytes())
    config = WhitenConfig(frame=(1, 1), fill=0.85, size=800, format="png", background="#f5f5f5", check=("ebay",))
    whiten(str(source), str(white), replace(config, summary_json=str(tmp_path / "summary.json")))
    rows = by_key(Folder(white))
    for key, row in rows.items():
        picture = decoder.decode_on_white((white / key).with_suffix(".png").read_bytes(), max_pixels=10**6)
        side = row["output_width"]
        assert picture.shape == (side, side, 3) and row["output_height"] == side < 500
        assert "enlargement" in row["warnings"][0], "the photos are too small for this size"
        assert (row["height"], row["width"]) == SIZE, "the photo's own size"
        assert row["fill"] == pytest.approx(0.85, abs=0.01)
        assert row["background_exact"] == 1 and row["ring_exact"] == 1 and row["background_deviation"] == 0
        assert (picture[0] == 245).all()
        assert row["check_ebay"] == f"longest side {side}, at least 500" and row["check_amazon"] is None
        assert row["output_bytes"] == (white / key).with_suffix(".png").stat().st_size
    checks = json.loads((tmp_path / "summary.json").read_text())["checks"]
    assert checks == {"ebay": {"pass": 0, "fail": 2, "broken": {"longest side …, at least 500": 2}}}
    assert "ebay: 0 of 2 pass; most often: longest side …, at least 500 (2)" in capsys.readouterr().err
    whiten(str(source), str(white), config)
    assert {row["run_seq"] for row in by_key(Folder(white)).values()} == {1}, "nothing is pending"


def test_a_transparent_run_writes_png_and_webp_with_alpha(photos: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("plain.jpg", "picture.webp"):
        (source / name).write_bytes((photos / name).read_bytes())
    whiten(str(source), str(out), WhitenConfig(background="transparent"))
    assert outputs(Folder(out)) == {"plain.png", "picture.webp"}
    for name in ("plain.png", "picture.webp"):
        alpha = decoder.decode((out / name).read_bytes(), max_pixels=10**6).alpha
        assert alpha is not None and (alpha == 0).mean() > 0.5
    assert all(row["background_deviation"] == 0 for row in by_key(Folder(out)).values())


def test_pictures_for_print_have_their_dpi_and_their_path_and_are_done_once(photos: Path, tmp_path: Path) -> None:
    import clippingpaths

    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shutil.copy(photos / "plain.jpg", source)
    (source / "none.jpg").write_bytes(BLANK)
    config = WhitenConfig(format="tiff", background="transparent", mask=True, dpi=300, clipping_path=True)
    whiten(str(source), str(out), config)
    assert outputs(Folder(out)) == {"plain.tif", "none.tif"}
    data = (out / "plain.tif").read_bytes()
    photo = decoder.decode(data, max_pixels=10**6)
    mask = decoder.decode((out / "_glasseg/masks/plain.tif.png").read_bytes(), max_pixels=10**6).image[..., 0]
    assert photo.tags.dpi == (300, 300) and np.array_equal(photo.alpha, mask)
    assert (clippingpaths.inside(clippingpaths.read(data), SIZE) == (mask > 127)).mean() > 0.98
    assert clippingpaths.read((out / "none.tif").read_bytes()) == []
    rows = by_key(Folder(out))
    assert (rows["plain.jpg"]["status"], rows["none.jpg"]["error_code"]) == ("ok", "no_glasses")
    assert {row["background_exact"] for row in rows.values()} == {1}
    whiten(str(source), str(out), config)
    assert {row["run_seq"] for row in by_key(Folder(out)).values()} == {1}, "nothing is pending"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (WhitenConfig(clipping_path=True), "--clipping-path needs --format jpeg or tiff"),
        (WhitenConfig(clipping_path=True, format="avif"), "--clipping-path needs --format jpeg or tiff"),
        (WhitenConfig(path_tolerance=1.0), "--path-tolerance is for --clipping-path"),
        (WhitenConfig(format="avif", quality=30), "--quality 30 makes white 254 in AVIF"),
        (WhitenConfig(background="transparent", format="jpeg"), "a JPEG can't be transparent"),
        (WhitenConfig(background="grey"), "is not a background"),
        (WhitenConfig(fill=0.6, check=("amazon",)), "the rules of amazon contradict the other options: fill 0.60"),
        (WhitenConfig(frame=(99, 1)), "a frame is at most"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_any_work(
    config: WhitenConfig, words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(GlassegError, match=re.escape(words)) as caught:
        whiten(str(photos), str(tmp_path / "out"), config)
    assert caught.value.exit_code == 2 and not (tmp_path / "out").exists()


def test_remarks_on_a_photo_are_warnings_of_its_row(tmp_path: Path) -> None:
    from corpus import samples

    source = tmp_path / "in"
    source.mkdir()
    told = [sample for sample in samples() if sample.warns]
    for sample in told:
        (source / sample.name).write_bytes(sample.data)
    whiten(str(source), str(tmp_path / "out"), WhitenConfig(max_flagged=1.0))
    rows = by_key(Folder(tmp_path / "out"))
    for sample in told:
        assert any(str(sample.warns) in remark for remark in rows[sample.name]["warnings"]), sample.name


def stocked(folder: Path, count: int) -> tuple[str, Path]:
    """A source of so many photos, and a destination."""
    source = Folder(folder / "in")
    for n in range(count):
        source.write(f"{n:03}.jpg", drawn(n % 4))
    return source.uri, folder / "out"


def test_a_row_comes_after_its_picture(tmp_path: Path) -> None:
    """Whatever ends a run between the two, a row that says ok is a promise."""
    source, destination = stocked(tmp_path, 20)
    seen: list[bool] = []

    def look(rows: list[dict[str, Any]]) -> None:
        seen.extend(Path(row["output_uri"]).exists() for row in rows)

    assert whiten(source, str(destination), WhitenConfig(), watched(look)) == 0
    assert seen == [True] * 20


def test_an_interrupted_run_keeps_all_rows_that_came_and_goes_on_later(tmp_path: Path) -> None:
    source, destination = stocked(tmp_path, 20)
    came: list[str] = []

    def interrupt(rows: list[dict[str, Any]]) -> None:
        if came:
            raise KeyboardInterrupt
        came.extend(row["key"] for row in rows)

    with pytest.raises(KeyboardInterrupt):
        whiten(source, str(destination), WhitenConfig(), watched(interrupt))
    assert set(by_key(Folder(destination))) == set(came) and 0 < len(came) < 20
    [record] = runs.latest(Folder(destination), 1)
    assert record["ended"] == "interrupted" and record["processed"] == len(came)
    assert whiten(source, str(destination), WhitenConfig()) == 0
    assert set(rows_of_last_run(destination)) == {f"{n:03}.jpg" for n in range(20)} - set(came)


def test_a_fault_of_the_whole_destination_stops_the_run_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = stocked(tmp_path, 20)
    write = Folder.write

    def full(self: Folder, key: str, data: bytes) -> None:
        if key == "010.jpg":
            raise GlassegError("the disk is full")
        write(self, key, data)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(GlassegError, match="the disk is full"):
        whiten(source, str(destination), WhitenConfig())
    kept = by_key(Folder(destination))
    assert {f"{n:03}.jpg" for n in range(10)} >= set(kept) >= {f"{n:03}.jpg" for n in range(8)}
    [record] = runs.latest(Folder(destination), 1)
    assert record["ended"] == "stopped" and record["processed"] == len(kept)


def test_a_thumbnail_without_glasses_is_said_to_be_too_small(tmp_path: Path) -> None:
    for size in (80, 160):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{size}.png").write_bytes(encode(np.full((size // 2, size, 3), 200, np.uint8), "png", 90))
    whiten(str(tmp_path / "in"), str(tmp_path / "out"), WhitenConfig())
    rows = by_key(Folder(tmp_path / "out"))
    assert {key: row["error_code"] for key, row in rows.items()} == {"80.png": "too_small", "160.png": "no_glasses"}
    assert "its longer side has less than 160 pixels" in rows["80.png"]["error"]
