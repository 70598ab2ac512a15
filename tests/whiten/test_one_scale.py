"""What a shop relies on with `--scale-by`: the photos of a product at one scale on one line, every night."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import inprocess
import numpy as np
import pytest
from drawnphotos import BLANK, by_key, outputs, rows

from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.drawing.photo import draw_views
from glasseg.errors import GlassegError, PhotoError
from glasseg.images import decoder
from glasseg.images.compositing import bounding_box
from glasseg.images.encoder import encode
from glasseg.storage.roots import Folder, open_root
from jobs.correct.run import correct
from jobs.whiten import run
from jobs.whiten import worker as workers
from jobs.whiten.executor import on_ray
from jobs.whiten.worker import Whitener

pytestmark = pytest.mark.usefixtures("tensorflow")
SIZE = (300, 400)
OPTIONS = {"frame": (4, 3), "fill": 0.8, "size": 400, "max_upscale": 4.0, "scale_by": "model", "format": "png"}
VIEWS = ("front.jpg", "quarter.jpg", "side.jpg")


@cache
def views(seed: int, share: float = 0.6) -> list[bytes]:
    """A pair from the front, half turned and from the side."""
    return [encode(one.image, "jpeg", 95) for one in draw_views(seed, (0.0, 0.7, 1.45), SIZE, share=share)]


class Shop:
    """A source, its list and its destination."""

    def __init__(self, folder: Path) -> None:
        (folder / "in").mkdir()
        self.source, self.destination = open_root(str(folder / "in")), open_root(str(folder / "out"))
        self.list, self.models, self.widths = folder / "list.csv", dict[str, str](), dict[str, str]()

    def add(self, model: str, photos: dict[str, bytes]) -> None:
        for key, data in photos.items():
            self.source.write(key, data)
            self.models[key] = model

    def whiten(self, executor: Any = inprocess.in_process, **options: Any) -> dict[str, dict[str, Any]]:
        """One night; the rows that it has left, by key."""
        lines = [f"{key},{model},{self.widths.get(key, '')}" for key, model in self.models.items()]
        self.list.write_text("\n".join(["photo,model,width", *lines, ""]))
        config = {
            "photos": str(self.list),
            "report": False,
            "max_flagged": 1.0,
            "stop_above": 1.0,
            **OPTIONS,
            **options,
        }
        before = len(rows(self.destination))
        inprocess.whiten(self.source.uri, self.destination.uri, WhitenConfig(**config), executor)
        return {row["key"]: row for row in rows(self.destination)[before:]}

    def box(self, row: dict[str, Any]) -> tuple[int, int, int, int]:
        """Where something is in a picture."""
        picture = cv2.imdecode(np.frombuffer(self.destination.read(row["output_key"])[0], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (300, 400, 3)
        return bounding_box((picture.min(axis=2) < 235).astype(np.uint8)) or (0, 0, 0, 0)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.add("A", dict(zip(VIEWS, views(12), strict=True)))
    return made


def test_a_product_has_one_scale_and_one_line_and_the_next_night_nothing_to_do(shop: Shop) -> None:
    shop.add("B", {f"b/{key}": data for key, data in zip(VIEWS, views(12, 0.4), strict=True)})
    shop.add("", {"single.jpg": views(2)[0]})
    done = shop.whiten()
    assert {row["status"] for row in done.values()} == {"ok"}
    for keys in (VIEWS, [f"b/{key}" for key in VIEWS], ["single.jpg"]):
        group = [done[key] for key in keys]
        boxes = [shop.box(row) for row in group]
        assert len({(row["group_scale"], row["group_baseline"], row["group_members"]) for row in group}) == 1
        assert max(row["fill"] for row in group) == pytest.approx(0.8, abs=0.003)
        assert np.ptp([box[3] for box in boxes]) <= 2, "they stand on one line"
        assert all(abs(box[0] + box[2] - 400) <= 6 for box in boxes), "in the middle"
    assert done["front.jpg"]["fill"] < 0.7 < done["side.jpg"]["fill"], "the temples are longer than the front is wide"
    assert done["front.jpg"]["group_scale"] < done["b/front.jpg"]["group_scale"]
    assert shop.whiten() == {}
    shop.add("A", {"back.jpg": views(12)[1]})
    again = shop.whiten()
    assert {key: row["reason"] for key, row in again.items()} == dict.fromkeys(VIEWS, "group") | {"back.jpg": "new"}


def test_by_real_width_all_products_have_equal_pixels_per_millimetre(shop: Shop) -> None:
    shop.add("B", {f"b/{key}": data for key, data in zip(VIEWS, views(12, 0.4), strict=True)})
    shop.widths = {"front.jpg": "140", "b/front.jpg": "120 mm"}
    done = shop.whiten(fill=None, width_mm="Width")
    for key, width in (("front.jpg", 140), ("b/front.jpg", 120)):
        assert done[key]["fill"] == pytest.approx(width / 200, abs=0.003)
    shop.widths["front.jpg"] = "139"
    assert sorted(shop.whiten(fill=None, width_mm="width")) == sorted(VIEWS)
    cut = shop.whiten(fill=None, width_mm="width", across_mm=145.0)
    assert (cut["side.jpg"]["status"], cut["side.jpg"]["error_code"]) == ("review", "cut_off")
    assert "go beyond the picture (left, right)" in cut["side.jpg"]["warnings"][0]


def test_one_member_that_is_broken_holds_nobody_up_and_does_not_count(shop: Shop) -> None:
    alone = shop.whiten()["side.jpg"]["group_scale"]
    shop.add("A", {"broken.jpg": b"no picture", "empty.jpg": b"", "blank.jpg": BLANK})
    done = shop.whiten()
    assert [done[key]["status"] for key in VIEWS] == ["ok"] * 3
    assert (done["broken.jpg"]["error_code"], done["blank.jpg"]["error_code"]) == ("unreadable", "no_glasses")
    assert {row["group_scale"] for row in done.values()} == {alone} and len(
        {r["group_members"] for r in done.values()}
    ) == 1
    assert shop.whiten() == {}, "neither the broken one nor its group is done again every night"


def test_a_member_that_can_be_read_at_last_is_done_alone_and_its_group_the_next_night(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Folder.read

    def unreadable(self: Folder, key: str) -> Any:
        if key == "side.jpg":
            raise PhotoError("read_error", "the disk does not answer")
        return read(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "read", unreadable)
        first = shop.whiten()
        assert first["side.jpg"]["error_code"] == "read_error"
        assert list(shop.whiten()) == ["side.jpg"], "its group is not done again every night"
    alone = shop.whiten()["side.jpg"]
    assert (alone["reason"], alone["group_scale"]) == ("retry", first["front.jpg"]["group_scale"])
    assert alone["group_members"] is None
    last = shop.whiten()
    assert {row["reason"] for row in last.values()} == {"group"} and len(last) == 3
    assert last["front.jpg"]["group_scale"] < first["front.jpg"]["group_scale"]
    assert shop.whiten() == {}


def test_a_group_without_glasses_is_for_review_once(shop: Shop) -> None:
    shop.add("C", {"c1.jpg": BLANK, "c2.jpg": BLANK})
    done = shop.whiten()
    for key in ("c1.jpg", "c2.jpg"):
        assert (done[key]["error_code"], done[key]["group_scale"]) == ("no_glasses", None)
        assert shop.box(done[key]) == (0, 0, 0, 0)
    assert shop.whiten() == {}


def many(shop: Shop, count: int) -> None:
    """A product of so many small photos."""
    shop.models.clear()
    small = [encode(one.image, "jpeg", 90) for one in draw_views(12, (0.0, 1.45), (90, 120), share=0.5)]
    shop.add("A", {f"{i:02}.jpg": small[i % 2] for i in range(count)})


def test_64_photos_are_one_unit_and_65_are_refused_before_any_work(shop: Shop) -> None:
    many(shop, 65)
    with pytest.raises(GlassegError, match=r"the group 'A' .*has 65 photos: a group has 64 at most"):
        shop.whiten()
    assert not outputs(shop.destination) and not rows(shop.destination)
    del shop.models["64.jpg"]
    done = shop.whiten(limit=1)
    assert len(done) == 64 and len({row["group_scale"] for row in done.values()}) == 1


def test_no_limit_cuts_a_group(shop: Shop) -> None:
    shop.add("B", {f"b/{key}": data for key, data in zip(VIEWS, views(2), strict=True)})
    assert len(shop.whiten(limit=1)) == 3
    assert len(shop.whiten(limit=4)) == 3 and shop.whiten() == {}


def test_what_a_killed_run_left_is_joined_to_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add("A", {f"more{i}.jpg": data for i, data in enumerate(views(12, 0.5))})
    write, written = workers.write_all, []

    def killed(opened: Any, *given: Any, **more: Any) -> Any:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(opened.key)
        return write(opened, *given, **more)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(workers, "write_all", killed)
        shop.whiten()
    assert len(outputs(shop.destination)) >= 1 and not rows(shop.destination)
    done = shop.whiten()
    assert len(done) == 6 and len({row["group_scale"] for row in done.values()}) == 1
    assert shop.whiten() == {}


def test_a_member_that_is_replaced_between_the_passes_fails_and_is_done_the_next_night(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("A", {f"more{i}.jpg": data for i, data in enumerate(views(12, 0.5))})
    decided = workers.decided

    def replaced(*given: Any) -> Any:
        shop.source.write("front.jpg", views(2)[1])
        return decided(*given)

    with monkeypatch.context() as patched:
        patched.setattr(workers, "decided", replaced)
        done = shop.whiten()
    assert done["front.jpg"]["error_code"] == "read_error" and "was replaced" in done["front.jpg"]["error"]
    assert [row["status"] for key, row in done.items() if key != "front.jpg"] == ["ok"] * 5
    again = shop.whiten()
    assert again["front.jpg"]["reason"] == "retry" and {row["status"] for row in again.values()} == {"ok"}
    assert len(again) == 6 and shop.whiten() == {}


def test_a_unit_of_many_photos_comes_out_as_a_small_one(shop: Shop, tmp_path: Path) -> None:
    small = shop.whiten(mask=True)
    shutil.copy(tmp_path / "in/front.jpg", tmp_path / "in/x0.jpg")
    shop.add("A", {f"x{i}.jpg": views(12)[0] for i in range(2)})
    large = shop.whiten(mask=True)
    assert len(large) == 5
    for key in VIEWS:
        assert large[key]["group_scale"] == small[key]["group_scale"]
        assert [large[key][name] for name in ("fill", "quality", "output_bytes", "mask_coverage")] == [
            small[key][name] for name in ("fill", "quality", "output_bytes", "mask_coverage")
        ]


def test_straightened_members_stand_level_on_the_line(shop: Shop) -> None:
    image = cv2.imdecode(np.frombuffer(views(12)[0], np.uint8), cv2.IMREAD_COLOR)
    turn = cv2.getRotationMatrix2D((200, 150), -5, 1)
    tilted = cv2.warpAffine(image, turn, (400, 300), borderMode=cv2.BORDER_REPLICATE)
    shop.add("A", {"tilted.png": encode(tilted[..., ::-1].copy(), "png", 95)})
    done = shop.whiten(straighten=True)
    level, turned = shop.box(done["front.jpg"]), shop.box(done["tilted.png"])
    assert np.abs(np.subtract(level, turned)).max() <= 5


def test_a_run_without_the_options_leaves_an_older_destination_alone(shop: Shop) -> None:
    plain = {"scale_by": None, "photos": None}
    assert len(shop.whiten(**plain)) == 3
    assert shop.whiten(**plain) == {}
    assert {row["reason"] for row in shop.whiten().values()} == {"options"}
    assert {row["reason"] for row in shop.whiten(**plain).values()} == {"options"}
    assert all(row["group_scale"] is row["group_members"] is None for row in by_key(shop.destination).values())


def test_a_correction_is_published_at_the_scale_of_its_group_which_the_next_run_decides_anew(shop: Shop) -> None:
    before = shop.whiten()
    taller = np.zeros(SIZE, np.uint8)
    taller[20:280, 190:210] = 255
    masks = shop.list.parent / "fix"
    masks.mkdir()
    cv2.imwrite(str(masks / "front_mask.png"), taller)
    assert correct(shop.destination.uri, str(masks), CorrectConfig(), executor=inprocess.in_process) in {0, 3}
    row = by_key(shop.destination)["front.jpg"]
    assert (row["reason"], row["group_scale"]) == ("corrected", before["front.jpg"]["group_scale"])
    assert row["group_members"] is None and dict(row["list_columns"])["model"] == "A"
    after = shop.whiten()
    assert {row["reason"] for row in after.values()} == {"group"} and len(after) == 3
    assert after["front.jpg"]["group_scale"] < before["front.jpg"]["group_scale"]
    assert after["front.jpg"]["reviewed"] == "corrected" and shop.whiten() == {}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"photos": None}, "--scale-by names a column of --photos"),
        ({"frame": None}, "add --frame and --size"),
        ({"size": None, "max_upscale": 1.0}, "add --frame and --size"),
        ({"fill": None}, "add --fill or --width-mm"),
        ({"width_mm": "width"}, "--fill and --width-mm both decide"),
        ({"scale_by": None, "fill": None, "width_mm": "width"}, "add --scale-by"),
        ({"across_mm": 150.0}, "--across-mm is for --width-mm"),
        ({"size": 20_000, "frame": (1, 1)}, "100 megapixels"),
        (
            {"scale_by": "colour"},
            "--scale-by colour: no photo of the list has a value in such a column; its columns are model",
        ),
    ],
)
def test_options_that_contradict_each_other_are_one_line(shop: Shop, options: dict[str, Any], told: str) -> None:
    with pytest.raises(GlassegError) as caught:
        shop.whiten(**options)
    assert told in str(caught.value) and caught.value.exit_code == 2
    assert not rows(shop.destination)


def test_photos_without_a_value_and_groups_in_part_are_told(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.add("", {"single.jpg": views(2)[0]})
    shop.whiten()
    assert "1 photo of no group, each with a scale of its own" in capsys.readouterr().err
    del shop.models["side.jpg"]
    shop.add("A", {"back.jpg": views(12)[1]})
    scales = {row["group_scale"] for row in by_key(shop.destination).values() if row["key"] in VIEWS}
    done = shop.whiten()
    assert "1 group only partly in the list, with the scale as before" in capsys.readouterr().err
    assert {(row["key"], row["group_scale"]) for row in done.values()} == {("back.jpg", *scales)}


def test_what_a_real_width_can_not_do_is_told(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.add("", {"close-up.jpg": views(2)[0]})
    shop.widths = dict.fromkeys(VIEWS, "138")
    done = shop.whiten(width_mm="width", fill=None, max_upscale=1.0, across_mm=150.0, size=2000)
    told = capsys.readouterr().err
    assert "1 group with a width in several rows: it counts for the widest of their photos" in told
    assert f"{len(done)} smaller than asked for: their photos would have to be enlarged by more than --max-up" in told
    assert done["close-up.jpg"]["group_scale"] == 1
    shop.widths = {"side.jpg": "138"}
    again = shop.whiten(width_mm="width", fill=None, max_upscale=1.0, across_mm=150.0, size=2000)
    assert {key: row["reason"] for key, row in again.items()} == dict.fromkeys(VIEWS, "group")
    shop.widths["side.jpg"] = "13.8"
    with pytest.raises(GlassegError, match=r"row 4, '13\.8' is no width: give millimetres, such as 138\.5"):
        shop.whiten(width_mm="width", fill=None)


def test_a_photo_too_large_for_the_scale_of_a_group_in_part_is_for_review_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add("A", dict(zip(VIEWS, views(12, 0.3), strict=True)))
    shop.whiten()
    shop.models = {"front.jpg": "A"}
    shop.add("A", {"large.jpg": views(12)[2]})
    done = shop.whiten()
    assert (done["large.jpg"]["status"], done["large.jpg"]["error_code"]) == ("review", "cut_off")
    assert shop.whiten() == {}


def test_a_member_whose_name_clashed_is_not_given_a_scale_of_its_own(shop: Shop) -> None:
    shop.add("A", {"front.png": views(12)[0]})
    first = shop.whiten(format="png")
    clashing = [key for key, row in first.items() if row["error_code"] == "same_name"]
    assert len(clashing) == 2 and not any(first[key]["group_members"] for key in clashing)
    del shop.models["front.png"]
    shop.source.delete("front.png")
    last = shop.whiten(format="png")
    assert {row["group_scale"] for row in last.values()} == {last["side.jpg"]["group_scale"]}
    assert {*last} == {*VIEWS} and shop.whiten(format="png") == {}


def test_outputs_that_are_grouped_by_different_columns_are_refused(shop: Shop) -> None:
    shop.list.write_text("photo,model,line\nfront.jpg,A,X\n")
    plain = WhitenConfig(photos=str(shop.list), report=False)
    tables = {one: replace(plain, **OPTIONS | {"scale_by": one}) for one in ("model", "line")}
    with pytest.raises(GlassegError, match="several columns for scale-by, line and model: choose one"):
        run.whiten(shop.source.uri, f"{shop.destination.uri}-several", plain, outputs=tables)


def test_outputs_of_one_pass_have_each_their_own_scale(shop: Shop) -> None:
    shop.add("A", {f"more{i}.jpg": data for i, data in enumerate(views(12, 0.5))})
    shop.whiten()
    shop.list.write_text("\n".join(["photo,model,width", *(f"{key},A," for key in shop.models)]) + "\n")
    plain = WhitenConfig(photos=str(shop.list), report=False, max_flagged=1.0, stop_above=1.0)
    tables = {"large": replace(plain, **OPTIONS), "small": replace(plain, **OPTIONS | {"size": 200}), "as-is": plain}
    several = f"{shop.destination.uri}-several"
    run.whiten(shop.source.uri, several, plain, outputs=tables, executor=inprocess.in_process)
    alone = by_key(shop.destination)
    large, small, as_is = (by_key(open_root(f"{several}/{name}")) for name in tables)
    assert {key: row["group_scale"] for key, row in large.items()} == {
        key: row["group_scale"] for key, row in alone.items()
    }
    assert {row["group_scale"] for row in as_is.values()} == {None}
    assert small["front.jpg"]["group_scale"] == pytest.approx(large["front.jpg"]["group_scale"] / 2, rel=0.02)
    open_root(f"{several}/small").delete("front.png")
    run.whiten(shop.source.uri, several, plain, outputs=tables, executor=inprocess.in_process)
    again = rows(open_root(f"{several}/small"), "front.jpg")
    assert [row["reason"] for row in again] == ["new", "missing"] and again[0]["group_scale"] == again[1]["group_scale"]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_on_ray_groups_stay_whole_and_one_that_kills_its_worker_loses_only_that_photo(shop: Shop) -> None:
    poison = b"kills its worker"

    class Deadly(Whitener):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            decode = decoder.decode

            def deadly(data: bytes, *, max_pixels: int) -> decoder.Photo:
                if data == poison:
                    os.kill(os.getpid(), signal.SIGKILL)
                return decode(data, max_pixels=max_pixels)

            decoder.decode = deadly

    sizes = {"A": 3, "B": 11, "C": 5, "D": 7, "E": 9}
    for model, count in sizes.items():
        shop.add(model, {f"{model}{i}.jpg": views(12, 0.4 + 0.02 * i)[i % 3] for i in range(count)})
    shop.add("B", {"poison.jpg": poison})
    done = shop.whiten(partial(on_ray, worker=Deadly), workers=1)
    assert {key: row["error_code"] for key, row in done.items() if row["status"] == "failed"} == {
        "poison.jpg": "worker_died"
    }
    groups = {model: {row["group_scale"] for key, row in done.items() if shop.models[key] == model} for model in sizes}
    assert all(len(scales) == 1 and None not in scales for scales in groups.values()), groups
    assert len(set().union(*groups.values())) > 1
