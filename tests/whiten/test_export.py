"""`--export`: what a shop's own systems read of a destination, and what is refused before any work."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import inprocess
import pytest
from drawnphotos import BLANK, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from manifestrows import row

from glasseg.catalog import manifest
from glasseg.config import WhitenConfig
from glasseg.errors import GlassegError
from glasseg.lists import reader, safe_csv
from glasseg.storage.roots import Folder, open_root
from jobs.whiten import export

HEADER = ["name", "path", "url", "width", "height", "sku", "alt", "status"]
VALUES = (
    (st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.sampled_from(["=1+1", "-5", "'@x", "00123"]))
    .map(str.strip)
    .filter(bool)
)


def whiten(source: Path, destination: Path, **options: Any) -> int:
    config = WhitenConfig(**{"report": False, "max_flagged": 1.0, "stop_above": 1.0, **options})
    return inprocess.whiten(str(source), str(destination), config)


def cells(data: bytes) -> list[list[str]]:
    """A csv as a program reads it, without guards against formulas."""
    found = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert not [cell for line in found for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    return [[safe_csv.unguarded(cell) for cell in line] for line in found]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for n, name in enumerate(("b ü#.jpg", "sub/a.jpg", "c.jpg")):
        (folder / name).write_bytes(drawn(n))
    return folder


def test_the_export_has_every_picture_of_the_destination_with_its_list(
    photos: Path, tmp_path: Path, tensorflow: Any
) -> None:
    lists, white, out = tmp_path / "list.csv", tmp_path / "white", tmp_path / "catalog.csv"
    lists.write_text("photo,SKU,Alt Text\nb ü#.jpg,00123,=cmd\nsub/a.jpg,7,plain\n", encoding="utf-8")
    whiten(photos, white, photos=str(lists), export=str(out))
    assert cells(out.read_bytes()) == [
        HEADER,
        ["b ü#.jpg", "b ü#.jpg", (white / "b ü#.jpg").as_uri(), "320", "240", "00123", "=cmd", "ok"],
        ["a.jpg", "sub/a.jpg", (white / "sub/a.jpg").as_uri(), "320", "240", "7", "plain", "ok"],
    ]
    assert out.read_bytes().startswith(b"name,path") and b"'=cmd,ok\r\n" in out.read_bytes()

    (photos / "c.jpg").write_bytes(b"broken")
    (photos / "sub/a.jpg").write_bytes(BLANK)  # held back
    (photos / "b ü#.jpg").unlink()
    whiten(photos, white, export=str(out), export_columns=("sku", "status"))
    assert cells(out.read_bytes()) == [["sku", "status"], ["7", "held"]]
    lists.write_text("photo,sku,brand\nsub/a.jpg,8,Ray\n", encoding="utf-8")
    columns = ("image=https://cdn.example.com/{path}?v={sku}", "alt={brand}: {alt}")
    whiten(photos, white, photos=str(lists), export=str(out), export_columns=columns)
    told = ["https://cdn.example.com/sub/a.jpg?v=8", "Ray: plain"]
    assert cells(out.read_bytes())[1:] == [told], "the list of this run counts, though nothing was to do"
    assert not list(tmp_path.glob(".glasseg*"))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["a.jpg", "b/ö.png", "c d.jpg", "=x.jpg"]), VALUES, min_size=1))
def test_any_value_of_a_list_comes_back_as_it_was(values: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, out = Folder(Path(folder).resolve() / "white"), Path(folder) / "catalog.csv"
        rows = [row(key, output_key=key, list_columns=[("brand", value)]) for key, value in values.items()]
        manifest.write_part(root, "run1", 0, rows)
        asked = export.planned(str(out), ["key", "brand"], photo_list=None, endpoint_url=None)
        assert asked
        asked.refuse_unknown(root, None)
        asked.write(root, None)
        wanted = [[key, values[key]] for key in sorted(values)]
        assert cells(out.read_bytes()) == [["key", "brand"], *wanted]
        read = reader.read(out.name, out.read_bytes())
        assert [[safe_csv.unguarded(one["key"]), safe_csv.unguarded(one["brand"])] for one in read] == wanted


def test_an_export_goes_to_s3(s3: Any, tmp_path: Path) -> None:
    root = Folder(tmp_path)
    manifest.write_part(root, "run1", 0, [row("a.jpg", output_key="a.jpg")])
    asked = export.planned(f"s3://{s3.bucket}/export/catalog.csv", ["key"], photo_list=None, endpoint_url=None)
    assert asked
    asked.write(root, None)
    assert open_root(f"s3://{s3.bucket}/export").read("catalog.csv")[0] == b"key\r\na.jpg\r\n"


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        ({"export": "{tmp}/no/catalog.csv"}, "can't be written: No such file", 1),
        ({"export": "{tmp}"}, "must end in .csv", 2),
        ({"export": "{tmp}/catalog.xlsx"}, "must end in .csv", 2),
        ({"export": "{tmp}/folder.csv"}, "is a folder", 2),
        ({"export": "s3://catalog.csv"}, "names no object", 2),
        ({"export": "https://host/catalog.csv"}, "neither a folder nor s3://", 2),
        ({"export": "{tmp}/list.csv", "photos": "{tmp}/in/../list.csv"}, "the list of --photos", 2),
        ({"export_columns": ("sku",)}, "give both, or neither", 2),
        ({"export": "{tmp}/catalog.csv", "export_columns": ("alt={key.__class__}",)}, "there is no field", 2),
        ({"export": "{tmp}/catalog.csv", "export_columns": ("alt={brnad}",)}, "no list has given columns yet", 2),
    ],
)
def test_what_can_not_be_exported_is_refused_before_any_work(
    options: dict[str, Any], words: str, code: int, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "list.csv").write_text("photo\nc.jpg\n")
    before = set(tmp_path.iterdir())
    given = {
        name: one.replace("{tmp}", str(tmp_path)) if isinstance(one, str) else one for name, one in options.items()
    }
    for dry_run in (True, False) if code == 2 else (False,):
        with pytest.raises(GlassegError, match=words) as refused:
            whiten(photos, tmp_path / "white", dry_run=dry_run, **given)
        assert refused.value.exit_code == code and "\n" not in str(refused.value)
    assert not len(manifest.read(Folder(tmp_path / "white")))
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "white"}


def test_an_export_that_fails_halfway_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "catalog.csv"
    out.write_bytes(b"older")
    manifest.write_part(Folder(tmp_path), "run1", 0, [row("a.jpg", output_key="a.jpg")])
    asked = export.planned(str(out), [], photo_list=None, endpoint_url=None)
    assert asked and out.read_bytes() == b"older"

    def full(*given: Any, **options: Any) -> Any:
        yield {}
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.published, "read", full)
    with pytest.raises(GlassegError, match="can't be written: No space left"):
        asked.write(Folder(tmp_path), None)
    assert out.read_bytes() == b"older" and not list(tmp_path.glob(".glasseg-*"))


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_bytes(b"older")
    (tmp_path / "catalog.csv").symlink_to("real.csv")
    asked = export.planned(str(tmp_path / "catalog.csv"), ["key"], photo_list=None, endpoint_url=None)
    assert asked
    asked.write(Folder(tmp_path / "white"), None)
    assert (tmp_path / "catalog.csv").is_symlink() and (tmp_path / "real.csv").read_bytes() == b"key\r\n"
