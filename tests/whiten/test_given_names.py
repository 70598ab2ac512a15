"""Names that a list gives: nobody's picture is lost on its way, and nothing is made again for a name."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
import uuid
from pathlib import Path
from typing import Any

import inprocess
import pytest
from click.testing import CliRunner
from drawnphotos import BLANK, by_key, drawn, drawn_as, outputs, rows
from foldingdisk import make_folding
from s3server import S3Server

from glasseg.catalog import claims, manifest, runs
from glasseg.config import WhitenConfig
from glasseg.errors import DeniedError, GlassegError
from glasseg.storage import roots
from glasseg.storage.roots import Bucket, Folder, Root
from jobs.cli import cli

pytestmark = pytest.mark.usefixtures("tensorflow")

OPTIONS: dict[str, Any] = {"report": False, "max_flagged": 1.0, "gates": False}


class Shop:
    """A source and a destination, with a list of products."""

    def __init__(self, source: Root, destination: Root, folder: Path) -> None:
        self.source, self.destination, self.list = source, destination, folder / "list.csv"

    def photo(self, name: str, seed: int = 0) -> None:
        self.source.write(name, drawn_as(name, seed, (48 + 2 * seed, 64)))  # no two pictures are the same

    def listed(self, *rows: str, header: str = "file,sku,view") -> None:
        self.list.write_text("\n".join((header, *rows)) + "\n")

    def whiten(self, name: str | None = "{sku}_{view}.jpg", **options: Any) -> int:
        given = {**OPTIONS, "name": name, **options}
        if "photos" not in options and self.list.exists():
            given["photos"] = str(self.list)
        return inprocess.whiten(self.source.uri, self.destination.uri, WhitenConfig(**given))

    def pictures(self) -> dict[str, bytes]:
        """Pictures and masks by their names."""
        masks = [one.key for one in self.destination.list(manifest.MASKS)]
        return {key: self.destination.read(key)[0] for key in (*outputs(self.destination), *masks)}

    def names(self) -> dict[str, str | None]:
        return {key: row["output_key"] for key, row in by_key(self.destination).items()}

    def reasons(self, key: str) -> list[str]:
        return [row["reason"] for row in rows(self.destination, key)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    (tmp_path / "in").mkdir()
    return Shop(Folder(tmp_path / "in"), Folder(tmp_path / "out"), tmp_path)


def test_pictures_are_named_by_the_list(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.photo("b.png", 2)
    shop.listed("a.jpg,00123,front", "b.png,AB/7,side view")
    assert shop.whiten() == 0
    assert set(shop.pictures()) == {"00123_front.jpg", "AB-7_side view.jpg"}
    assert shop.whiten() == 0 and len(rows(shop.destination)) == 2


def test_a_picture_whose_name_alone_changes_is_moved_with_its_mask(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.whiten(None, photos=None, mask=True)
    before = shop.pictures()
    shop.listed("a.jpg,1,front", "b.jpg,2,front")
    shop.whiten(mask=True)
    masks = {f"{manifest.MASKS}{new}.png": before[f"{manifest.MASKS}{old}.png"] for old, new in NEW.items()}
    assert shop.pictures() == {new: before[old] for old, new in NEW.items()} | masks
    assert shop.reasons("a.jpg") == ["new", "renamed"]
    row = by_key(shop.destination)["a.jpg"]
    assert (row["moved_from"], row["mask_uri"]) == (
        "a.jpg",
        shop.destination.uri_of(f"{manifest.MASKS}1_front.jpg.png"),
    )
    assert not list(shop.destination.list(claims.CLAIMS))


NEW = {"a.jpg": "1_front.jpg", "b.jpg": "2_front.jpg"}


def test_names_that_change_places_are_exchanged(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
        shop.photo(name, number)
    shop.listed("a.jpg,1,x", "b.jpg,2,x", "c.jpg,3,x", "d.jpg,4,x")
    shop.whiten(mask=True)
    before = shop.pictures()
    shop.listed("a.jpg,2,x", "b.jpg,1,x", "c.jpg,4,x", "d.jpg,5,x")
    shop.whiten(mask=True)
    after = shop.pictures()
    assert {new: after[f"{new}_x.jpg"] for new in "1245"} == {
        new: before[f"{old}_x.jpg"] for old, new in zip("2134", "1245", strict=True)
    }
    assert len(after) == 8 and all(shop.reasons(f"{name}.jpg") == ["new", "renamed"] for name in "abcd")
    mask = f"{manifest.MASKS}{{}}_x.jpg.png"
    assert after[mask.format(2)] == before[mask.format(1)] and after[mask.format(5)] == before[mask.format(4)]


def test_two_products_whose_skus_were_mixed_up_change_places(shop: Shop) -> None:
    for n in range(5):
        shop.photo(f"{n}.jpg", n)
    shop.listed("0.jpg,A,", "1.jpg,A,", "2.jpg,B,", "3.jpg,B,", "4.jpg,C,")
    shop.whiten("{sku}_{n}.jpg")
    before = shop.pictures()
    shop.listed("0.jpg,B,", "1.jpg,B,", "2.jpg,A,", "3.jpg,A,", "4.jpg,C,")
    shop.whiten("{sku}_{n}.jpg")
    there = {"A_1": "B_1", "A_2": "B_2", "B_1": "A_1", "B_2": "A_2", "C_1": "C_1"}
    assert shop.pictures() == {f"{new}.jpg": before[f"{old}.jpg"] for new, old in there.items()}


def test_a_dry_run_shows_the_names_that_new_photos_will_get(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.photo("a.jpg")
    shop.listed("a.jpg,00123,front", "A.jpg,7,front", "a.jpg,8,side")
    shop.whiten("{sku}_{view}.tif", dry_run=True)
    told = capsys.readouterr()
    assert "a.jpg → 00123_front.tif" in told.out
    assert "2 rows of" in told.err and "not used: row 3, 'A.jpg', names the photo of row 2 again (a.jpg), …" in told.err


def test_a_picture_is_known_by_its_name_too(shop: Shop) -> None:
    shop.photo("a.jpg")
    shop.listed("a.jpg,00123,front")
    shop.whiten(report=True)
    told = CliRunner().invoke(cli, ["status", shop.destination.uri, "00123_front.jpg"])
    assert told.exit_code == 0 and told.output.startswith("a.jpg of ")
    unknown = CliRunner().invoke(cli, ["status", shop.destination.uri, "00124_front.jpg"]).exception
    assert "knows no photo '00124_front.jpg', nor a picture" in str(unknown)
    [page] = [one.key for one in shop.destination.list("_glasseg/report/") if one.key.endswith("index.html")]
    assert b"00123_front.jpg" in shop.destination.read(page)[0]


def test_a_chain_of_names_moves_on(shop: Shop) -> None:
    for number in range(4):
        shop.photo(f"{number}.jpg", number)
    shop.listed(*(f"{n}.jpg,{n},x" for n in range(4)))
    shop.whiten()
    before = shop.pictures()
    shop.listed(*(f"{n}.jpg,{n + 1},x" for n in range(4)))
    shop.whiten()
    assert shop.pictures() == {f"{n + 1}_x.jpg": before[f"{n}_x.jpg"] for n in range(4)}


def test_any_number_of_pictures_change_places_whatever_the_limit_of_the_work(shop: Shop) -> None:
    count = 70
    for n in range(count):
        shop.photo(f"{n}.jpg", n)
    shop.listed(*(f"{n}.jpg,{n},x" for n in range(count)))
    shop.whiten(stop_above=1.0)
    before = shop.pictures()
    shop.listed(*(f"{n}.jpg,{(n + 1) % count},x" for n in range(count)))
    shop.whiten(limit=5, yes=True)
    assert shop.pictures() == {f"{(n + 1) % count}_x.jpg": before[f"{n}_x.jpg"] for n in range(count)}
    assert not list(shop.destination.list("_glasseg/tmp/"))


def test_a_slip_in_the_template_renames_no_catalog(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(5):
        shop.photo(f"{n}.jpg", n)
    shop.listed(*(f"{n}.jpg,{n},x" for n in range(5)))
    shop.whiten()
    before = shop.pictures()
    with pytest.raises(GlassegError, match=r"5 of 5 pictures would be renamed \(0_x.jpg to x_0.jpg, …\).* --yes"):
        shop.whiten("{view}_{sku}.jpg")
    assert shop.pictures() == before
    shop.whiten("{view}_{sku}.jpg", dry_run=True)
    assert "would be refused: 5 of 5" in capsys.readouterr().err
    shop.whiten("{view}_{sku}.jpg", yes=True)
    assert set(shop.pictures()) == {f"x_{n}.jpg" for n in range(5)}


def test_a_plain_list_takes_the_name_of_a_photo_that_left(shop: Shop) -> None:
    shop.photo("old.jpg", 1)
    shop.listed("old.jpg,1,front")
    shop.whiten("{sku}.jpg")
    shop.source.delete("old.jpg")
    shop.photo("1.jpg", 2)
    shop.listed("1.jpg,7,front")
    shop.whiten(None)
    assert by_key(shop.destination)["1.jpg"]["error_code"] != "same_name"


def test_an_inserted_photo_renames_nobody(shop: Shop) -> None:
    for number, name in enumerate(("b.jpg", "c.jpg")):
        shop.photo(name, number)
    shop.listed("c.jpg,77,", "b.jpg,77,")
    shop.whiten("{sku}_{n}.jpg")
    assert shop.names() == {"c.jpg": "77_1.jpg", "b.jpg": "77_2.jpg"}
    before = shop.pictures()
    shop.photo("a.jpg", 3)
    shop.listed("a.jpg,77,", "c.jpg,77,", "b.jpg,77,")
    shop.whiten("{sku}_{n}.jpg")
    assert shop.names() == {"c.jpg": "77_1.jpg", "b.jpg": "77_2.jpg", "a.jpg": "77_3.jpg"}
    assert before.items() <= shop.pictures().items() and shop.reasons("b.jpg") == ["new"]


def test_a_number_is_never_given_twice(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.whiten("{folder}/p_{n}", photos=None)
    shop.source.delete("b.jpg")
    shop.whiten("{folder}/p_{n}", photos=None, gone="delete", yes=True)
    shop.photo("c.jpg", 3)
    shop.whiten("{folder}/p_{n}", photos=None)
    assert set(shop.pictures()) == {"p_1.jpg", "p_3.jpg"}
    assert by_key(shop.destination)["b.jpg"]["name_number"] == 2, "a photo that is back has its number again"


def test_a_number_is_kept_by_pictures_that_had_their_names_before(shop: Shop) -> None:
    for number, name in enumerate(("77_1.jpg", "77_2.jpg")):
        shop.photo(name, number)
    shop.whiten(None, photos=None)
    shop.listed("77_1.jpg,77,", "77_2.jpg,77,")
    shop.whiten("{sku}_{n}")
    shop.photo("0.jpg", 3)
    shop.listed("0.jpg,77,", "77_1.jpg,77,", "77_2.jpg,77,")
    shop.whiten("{sku}_{n}")
    assert shop.names() == {"77_1.jpg": "77_1.jpg", "77_2.jpg": "77_2.jpg", "0.jpg": "77_3.jpg"}


def test_a_number_stays_with_a_photo_that_fails(shop: Shop) -> None:
    shop.source.write("a.jpg", b"nothing")
    for number, name in enumerate(("b.jpg", "c.jpg")):
        shop.photo(name, number)
    shop.whiten("{folder}p_{n}.jpg", photos=None)
    shop.photo("a.jpg", 5)
    shop.whiten("{folder}p_{n}.jpg", photos=None)
    assert shop.names() == {"a.jpg": "p_1.jpg", "b.jpg": "p_2.jpg", "c.jpg": "p_3.jpg"}
    assert shop.reasons("b.jpg") == ["new"]


@pytest.mark.parametrize("restore", ["{folder}/{stem}", None])
def test_without_a_template_pictures_keep_the_names_that_they_have(shop: Shop, restore: str | None) -> None:
    shop.photo("sub/a.jpg", 1)
    shop.listed("sub/a.jpg,1,front")
    shop.whiten()
    before = shop.pictures()
    shop.photo("new.jpg", 2)
    shop.whiten(restore, photos=None)
    named = "sub/a.jpg" if restore else "1_front.jpg"
    assert set(shop.pictures()) == {named, "new.jpg"} and shop.pictures()[named] == before["1_front.jpg"]


def test_a_plain_run_takes_no_name_from_another_picture(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.listed("a.jpg,b,")
    shop.whiten("{sku}.jpg")
    before = shop.pictures()
    shop.whiten(None, photos=None)
    assert shop.pictures() == before == {"b.jpg": before["b.jpg"]}
    assert by_key(shop.destination)["b.jpg"]["error_code"] == "same_name"


def test_of_a_photo_that_left_the_next_one_takes_the_name(shop: Shop) -> None:
    shop.photo("old.jpg", 1)
    shop.photo("other.jpg", 4)
    shop.listed("old.jpg,1,front", "other.jpg,2,front")
    shop.whiten()
    before = shop.pictures()
    shop.source.delete("old.jpg")
    shop.photo("new.jpg", 2)
    shop.listed("new.jpg,1,front", "other.jpg,2,front")
    shop.whiten()
    after = shop.pictures()
    assert set(after) == set(before) and after["1_front.jpg"] != before["1_front.jpg"]
    assert by_key(shop.destination)["new.jpg"]["status"] != "failed"


def test_of_a_photo_that_is_only_off_the_list_the_name_is_taken_when_asked_for(shop: Shop) -> None:
    shop.photo("old.jpg", 1)
    shop.listed("old.jpg,1,front")
    shop.whiten()
    before = shop.pictures()
    shop.photo("new.jpg", 2)
    shop.listed("new.jpg,1,front")
    shop.whiten()
    row = by_key(shop.destination)["new.jpg"]
    assert shop.pictures() == before and row["error_code"] == "same_name" and "--overwrite" in row["error"]
    shop.whiten(overwrite=True)
    assert shop.pictures()["1_front.jpg"] != before["1_front.jpg"]


def test_a_photo_that_was_held_back_keeps_its_name_until_it_is_published(shop: Shop) -> None:
    shop.source.write("a.jpg", drawn(1))
    shop.listed("a.jpg,1,front")
    shop.whiten(gates=True)
    before = shop.pictures()
    shop.source.write("a.jpg", BLANK)
    shop.whiten(gates=True)
    assert by_key(shop.destination)["a.jpg"]["published"] is False
    shop.listed("a.jpg,2,front")
    shop.whiten(gates=True)
    assert shop.pictures() == before and shop.reasons("a.jpg") == ["new", "changed"]
    shop.source.write("a.jpg", drawn(1) + b" ")
    shop.whiten(gates=True)
    assert set(shop.pictures()) == {"1_front.jpg"}
    shop.whiten(gates=True)
    assert set(shop.pictures()) == {"2_front.jpg"} and shop.reasons("a.jpg") == ["new", "changed", "changed", "renamed"]


def test_a_photo_that_failed_keeps_its_name_and_nobody_takes_it(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.listed("a.jpg,1,x", "b.jpg,2,x")
    shop.whiten()
    before = shop.pictures()
    shop.source.write("a.jpg", b"nothing")
    shop.whiten()
    shop.listed("a.jpg,3,x", "b.jpg,1,x")
    shop.whiten()
    assert shop.pictures() == before and shop.reasons("b.jpg") == ["new"]
    shop.photo("a.jpg", 1)
    shop.whiten()
    shop.whiten()
    assert set(shop.pictures()) == {"1_x.jpg", "3_x.jpg"} and shop.pictures()["1_x.jpg"] == before["2_x.jpg"]


def test_a_changed_photo_is_moved_and_made_again(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.listed("a.jpg,1,x")
    shop.whiten()
    shop.photo("a.jpg", 2)
    shop.listed("a.jpg,2,x")
    shop.whiten()
    assert set(shop.pictures()) == {"2_x.jpg"} and shop.reasons("a.jpg") == ["new", "renamed", "changed"]
    assert shop.whiten() == 0 and len(rows(shop.destination)) == 3


def test_another_format_is_made_and_leaves_the_older_picture(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.listed("a.jpg,1,x")
    shop.whiten()
    before = shop.pictures()
    shop.listed("a.jpg,2,x")
    shop.whiten("{sku}_{view}.png")
    after = shop.pictures()
    assert set(after) == {"1_x.jpg", "2_x.png"} and after["1_x.jpg"] == before["1_x.jpg"]
    assert shop.reasons("a.jpg") == ["new", "missing"]
    shop.whiten("{sku}_{view}.png")
    assert len(rows(shop.destination)) == 2


def test_what_has_left_is_deleted_under_its_name(shop: Shop) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.whiten(None, photos=None, mask=True)
    shop.whiten("x-{stem}", photos=None, mask=True)
    shop.source.delete("a.jpg")
    shop.whiten("x-{stem}", photos=None, mask=True, gone="delete", yes=True)
    assert set(shop.pictures()) == {"x-b.jpg", f"{manifest.MASKS}x-b.jpg.png"}


def test_a_place_that_was_freed_is_ours_no_more(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.whiten(None, photos=None)
    shop.whiten("x-{stem}", photos=None)
    shop.destination.write("a.jpg", b"a person's own")
    shop.whiten("x-{stem}", photos=None)
    shop.source.delete("a.jpg")
    shop.photo("b.jpg", 2)
    shop.whiten("x-{stem}", photos=None, gone="delete", yes=True)
    assert shop.destination.read("a.jpg")[0] == b"a person's own"
    with pytest.raises(GlassegError, match=r"1 files in the way .* \(a.jpg\)"):
        shop.whiten("{folder}a", photos=None)


def test_files_of_others_are_in_the_way_of_a_move(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.whiten(None, photos=None)
    before = shop.pictures()
    shop.destination.write("x-a.jpg", b"a person's own")
    with pytest.raises(GlassegError, match=r"1 files in the way .* \(x-a.jpg\)"):
        shop.whiten("x-{stem}", photos=None)
    assert shop.pictures() == before | {"x-a.jpg": b"a person's own"}
    shop.whiten("x-{stem}", photos=None, overwrite=True)
    assert shop.pictures() == {"x-a.jpg": before["a.jpg"]}


@pytest.mark.parametrize(
    ("template", "listed", "message"),
    [
        ("{skuu}.jpg", "a.jpg,1,x", "there is no field 'skuu': there are stem, folder, n; of the list sku, view"),
        ("{sku}_{view}", "a.jpg,1,", "row 2 .a.jpg. has no view"),
        ("{sku}", "a.jpg,1,x\nb.jpg,1,x", "row 2 .a.jpg. and row 3 .b.jpg. would both become 1.jpg"),
        ("{sku}", f"a.jpg,{'x' * 260},x", "row 2 .a.jpg. would become x.*too long"),
        ("{sku}/{view}", "a.jpg,_glasseg,x", "row 2 .a.jpg. would become _glasseg/x.jpg: _glasseg/ is glasseg's own"),
        ("{sku}/{view}.jpg", "a.jpg,1.jpg,x\nb.jpg,y,1", None),
        ("{sku}.jpg", "a.jpg,../..,x", "row 2 .a.jpg. has no sku|would become"),
    ],
)
def test_names_that_can_not_be_are_refused_before_anything_moves(
    shop: Shop, template: str, listed: str, message: str | None
) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg")):
        shop.photo(name, number)
    shop.whiten(None, photos=None)
    before = {entry.key: entry.etag for entry in shop.destination.list() if "/tmp/" not in entry.key}
    shop.listed(*listed.split("\n"))
    if message is None:
        assert shop.whiten(template) == 0
        return
    if listed.startswith("a.jpg,../"):
        shop.whiten(template)
        assert "-.jpg" in shop.pictures()
        return
    with pytest.raises(GlassegError, match=message):
        shop.whiten(template)
    assert {entry.key: entry.etag for entry in shop.destination.list() if "/tmp/" not in entry.key} == before


def test_a_dry_run_tells_the_names_and_writes_nothing(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.photo("a.jpg", 1)
    shop.whiten(None, photos=None)
    before = {entry.key: entry.etag for entry in shop.destination.list()}
    shop.whiten("x-{stem}", photos=None, dry_run=True)
    assert "a.jpg → x-a.jpg" in capsys.readouterr().out
    assert {entry.key: entry.etag for entry in shop.destination.list()} == before


def test_the_old_names_are_kept_as_a_list_and_the_run_is_on_record(shop: Shop, tmp_path: Path) -> None:
    shop.photo("a.jpg", 1)
    shop.whiten(None, photos=None)
    shop.whiten("x-{stem}", photos=None, summary_json=str(tmp_path / "summary.json"))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["renamed"], summary["processed"]) == (1, 0)
    said = shop.destination.read(f"{manifest.report_folder(summary['run_id'])}renamed.csv")[0].decode("utf-8-sig")
    assert list(csv.DictReader(io.StringIO(said))) == [{"old": "a.jpg", "new": "x-a.jpg", "photo": "a.jpg"}]
    newest, renaming, _ = runs.latest(shop.destination)
    assert (renaming["renamed"], renaming["run_seq"], newest["run_seq"]) == (1, 2, 3)


def test_a_picture_that_can_not_be_moved_stays_and_nobody_takes_its_place(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("a.jpg", "b.jpg", "c.jpg")):
        shop.photo(name, number)
    shop.listed("a.jpg,x,1", "b.jpg,x,2", "c.jpg,x,3")
    shop.whiten("{sku}/{view}.jpg")
    before = shop.pictures()
    shop.destination.write("9", b"a person's own file, where a folder must be")
    shop.photo("d.jpg", 4)
    shop.listed("a.jpg,9,1", "b.jpg,x,1", "c.jpg,x,4", "d.jpg,x,2")
    shop.whiten("{sku}/{view}.jpg")
    told = capsys.readouterr().err
    assert "a.jpg can't be renamed yet" in told and "b.jpg can't be renamed yet" in told
    after = {name: picture for name, picture in shop.pictures().items() if name != "9"}
    assert after == {"x/1.jpg": before["x/1.jpg"], "x/2.jpg": before["x/2.jpg"], "x/4.jpg": before["x/3.jpg"]}
    assert by_key(shop.destination)["d.jpg"]["error_code"] == "same_name"
    shop.destination.delete("9")
    shop.whiten("{sku}/{view}.jpg")
    assert set(shop.pictures()) == {"9/1.jpg", "x/1.jpg", "x/2.jpg", "x/4.jpg"}
    assert shop.pictures()["x/1.jpg"] == before["x/2.jpg"]


def test_in_a_bucket_names_change_as_in_a_folder(s3: S3Server, tmp_path: Path) -> None:
    top = roots.open_root(f"s3://{s3.bucket}/{uuid.uuid4().hex}")
    shop = Shop(roots.open_root(f"{top.uri}/in"), roots.open_root(f"{top.uri}/out"), tmp_path)
    for number, name in enumerate(("a.jpg", "b.jpg", "c é+%20.jpg")):
        shop.photo(name, number)
    shop.listed("a.jpg,1,x", "b.jpg,2,x", "c é+%20.jpg,3 ü+%20,x")
    shop.whiten(mask=True)
    before = shop.pictures()
    shop.listed("a.jpg,2,x", "b.jpg,1,x", "c é+%20.jpg,4 ß#?&,x")
    shop.whiten(mask=True)
    renamed = {"1_x.jpg": "2_x.jpg", "2_x.jpg": "1_x.jpg", "3 ü+%20_x.jpg": "4 ß#-&_x.jpg"}
    masks = {f"{manifest.MASKS}{old}.png": f"{manifest.MASKS}{new}.png" for old, new in renamed.items()}
    assert shop.pictures() == {new: before[old] for old, new in (renamed | masks).items()}
    key = f"{top.uri}/out/4 ß#-&_x.jpg".removeprefix(f"s3://{s3.bucket}/")
    assert s3.client().head_object(Bucket=s3.bucket, Key=key)["ContentType"] == "image/jpeg"
    assert all(shop.reasons(key) == ["new", "renamed"] for key in ("a.jpg", "b.jpg", "c é+%20.jpg"))


def test_where_nothing_may_be_deleted_names_stay(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = roots.open_root(f"s3://{s3.bucket}/{uuid.uuid4().hex}")
    shop = Shop(roots.open_root(f"{top.uri}/in"), roots.open_root(f"{top.uri}/out"), tmp_path)
    shop.photo("a.jpg", 1)
    shop.whiten(None)
    before = shop.pictures()

    def denied(root: Bucket, key: str) -> None:
        raise DeniedError(f"{root.uri_of(key)}: no permission for DeleteObject")

    monkeypatch.setattr(Bucket, "delete", denied)  # the policy of a shop that keeps everything
    shop.photo("b.jpg", 2)
    shop.whiten("x-{stem}")
    assert shop.pictures().keys() == {*before, "x-b.jpg"} and shop.reasons("a.jpg") == ["new"]


def test_a_name_that_is_the_same_file_is_left_as_it_is(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folding(monkeypatch, Path(shop.destination.uri))
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    for number, name in enumerate(("Front.jpg", apart)):
        shop.photo(name, number)
    shop.whiten(None, photos=None, mask=True)
    before = shop.pictures()
    shop.listed("Front.jpg,FRONT,", f"{apart},{composed.removesuffix('.jpg')},")
    for _ in range(2):
        shop.whiten("{sku}.jpg", mask=True)
        assert shop.pictures() == before and shop.reasons("Front.jpg") == ["new"]
    shop.listed("Front.jpg,É,", f"{apart},front,")
    shop.whiten("{sku}.jpg", mask=True)
    after = shop.pictures()
    assert len(after) == 4 and shop.reasons(apart) == ["new", "renamed"]
    assert sorted(after.values()) == sorted(before.values())
    with pytest.raises(GlassegError, match=r"row 2 .* and row 3 .* would both become"):
        shop.listed("Front.jpg,Side,", f"{apart},SIDE,")
        shop.whiten("{sku}.jpg", mask=True)


def test_the_export_has_the_names_of_the_night(shop: Shop, tmp_path: Path) -> None:
    shop.photo("a.jpg", 1)
    shop.whiten(None, photos=None)
    shop.listed("a.jpg,0012,front")
    out = tmp_path / "catalog.csv"
    shop.whiten(export=str(out), export_columns=("path", "key", "sku", "run_id"))
    [row] = csv.DictReader(io.StringIO(out.read_text()))
    assert (row["path"], row["key"], row["sku"]) == ("0012_front.jpg", "a.jpg", "0012")


def test_a_bad_name_is_told_in_one_line(shop: Shop) -> None:
    for number in range(5):
        shop.photo(f"{number}.jpg", number)
    shop.listed(*(f"{n}.jpg,," for n in range(5)))
    with pytest.raises(GlassegError) as refused:
        shop.whiten()
    assert str(refused.value) == (
        "--name '{sku}_{view}.jpg' can't name 5 photos: row 2 (0.jpg) has no sku and no view; row 3 (1.jpg) has no sku "
        "and no view; row 4 (2.jpg) has no sku and no view and 2 more: give them values, or leave the photos out"
    )
    with pytest.raises(GlassegError, match="does not end as --format png does") as refused:
        shop.whiten(format="png")
    assert refused.value.exit_code == 2
    with pytest.raises(GlassegError, match="a JPEG can't be transparent"):
        shop.whiten(background="transparent")
    with pytest.raises(GlassegError, match="the columns of a list come with --photos"):
        shop.whiten(photos=None)
