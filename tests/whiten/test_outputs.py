"""`--outputs`: several destinations filled by one pass, each as if a run of its own had done it."""

from __future__ import annotations

import json
import re
import shlex
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import guides
import inprocess
import painted
import pytest
from click.testing import CliRunner
from drawnphotos import BLANK, by_key, drawn, outputs, rows

from glasseg.catalog import lock, runs
from glasseg.config import CorrectConfig, WhitenConfig
from glasseg.errors import GlassegError
from glasseg.images import decoder
from glasseg.storage.roots import Folder, Root, open_root
from jobs.cli import cli
from jobs.correct import run as corrections
from jobs.whiten import run as job
from jobs.whiten.command import configs
from jobs.whiten.executor import Executor

WEB, MASTER = '[web]\nsize = 160\nformat = "webp"\n', '[master]\nbackground = "transparent"\nformat = "png"\n'
SIZE = (120, 160)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with photos `in` it."""
    for seed, name in enumerate(("a.jpg", "sub/b.jpg", "c.jpg")):
        Folder(tmp_path / "in").write(name, drawn(seed, SIZE))
    return tmp_path


def whiten(
    place: Path | str, tables: str, *options: str, executor: Executor = inprocess.in_process, destination: str = "out"
) -> int:
    """A run from `in` to `out` with these tables, as the command line would start it."""
    if isinstance(place, Path):
        (place / "outputs.toml").write_text(tables, encoding="utf-8")
    else:
        open_root(place).write("outputs.toml", tables.encode())
    given = [
        f"{place}/in",
        f"{place}/{destination}",
        f"--outputs={place}/outputs.toml",
        "--max-flagged=1",
        "--no-report",
    ]
    with guides.parse(shlex.join(["glasseg", "whiten", *given, *options])) as context:
        config, several = configs(context)
    return job.whiten(given[0], given[1], config, outputs=several, executor=executor)


def alone(place: Path, destination: str, **options: Any) -> Folder:
    """What a run of its own makes of the photos."""
    config = WhitenConfig(**{"report": False, "max_flagged": 1.0, **options})
    inprocess.whiten(str(place / "in"), str(place / destination), config)
    return Folder(place / destination)


def pictures(root: Root) -> dict[str, bytes]:
    return {key: root.read(key)[0] for key in outputs(root)}


def asked(tmp_path: Path, tables: str, *options: str) -> dict[str, WhitenConfig]:
    (tmp_path / "outputs.toml").write_text(tables, encoding="utf-8")
    given = ["in", "out", f"--outputs={tmp_path / 'outputs.toml'}", *options]
    with guides.parse(shlex.join(["glasseg", "whiten", *given])) as context:
        return configs(context)[1]


# one pass -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tensorflow")
def test_each_output_is_what_a_run_of_its_own_makes_and_photos_are_read_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "in/bad.jpg").write_bytes(b"no photo")
    read, decode = list[int](), decoder.decode
    monkeypatch.setattr(decoder, "decode", lambda data, **how: read.append(len(data)) or decode(data, **how))
    assert whiten(place, WEB + MASTER) == 0
    assert len(read) == 4, "each photo once"
    web, master = Folder(place / "out/web"), Folder(place / "out/master")
    assert pictures(web) == pictures(alone(place, "web", size=160, format="webp"))
    assert pictures(master) == pictures(alone(place, "master", background="transparent", format="png"))
    for root in (web, master):
        codes = {key: row["error_code"] for key, row in by_key(root).items() if row["status"] == "failed"}
        assert set(by_key(root)) == {"a.jpg", "bad.jpg", "c.jpg", "sub/b.jpg"} and codes == {"bad.jpg": "unreadable"}
        assert not root.exists(lock.LOCK) and runs.latest(root)[0]["ended"] == "done"
    assert {one.key.split("/")[0] for one in Folder(place / "out").list()} == {"web", "master"}
    assert by_key(web)["a.jpg"]["options_id"] == WhitenConfig(size=160, format="webp").options_id


@pytest.mark.usefixtures("tensorflow")
def test_a_run_makes_what_each_output_lacks_and_a_new_output_alone(place: Path) -> None:
    whiten(place, WEB)
    whiten(place, WEB + MASTER)
    assert len(rows(Folder(place / "out/web"))) == 3, "nothing was missing there"
    assert outputs(Folder(place / "out/master")) == {"a.png", "c.png", "sub/b.png"}
    (place / "out/web/a.webp").unlink()
    (place / "in/c.jpg").write_bytes(drawn(7, SIZE))
    whiten(place, WEB + MASTER.replace("png", "webp"), "--no-gates")
    done = [
        {row["key"]: row["reason"] for row in rows(Folder(place / f"out/{name}"))[3:]} for name in ("web", "master")
    ]
    assert done[0] == {"a.jpg": "missing", "c.jpg": "changed"}
    assert done[1] == {"a.jpg": "options", "c.jpg": "changed", "sub/b.jpg": "options"}
    whiten(place, WEB)
    assert len(outputs(Folder(place / "out/master"))) == 6, "an output that is not asked for any more stays"


@pytest.mark.usefixtures("tensorflow")
def test_a_limit_is_of_photos_each_with_all_its_outputs(place: Path) -> None:
    whiten(place, WEB, "--limit=1")
    whiten(place, WEB + MASTER, "--limit=2")
    done = [set(by_key(Folder(place / f"out/{name}"))) for name in ("web", "master")]
    assert done == [{"a.jpg", "c.jpg", "sub/b.jpg"}, {"c.jpg", "sub/b.jpg"}]


@pytest.mark.usefixtures("tensorflow")
def test_outputs_on_s3_from_a_file_on_s3(s3: Any) -> None:
    place = f"s3://{s3.bucket}/{uuid.uuid4().hex}"
    open_root(place).write("in/a.jpg", drawn(0, SIZE))
    assert whiten(place, WEB + MASTER) == 0
    assert outputs(open_root(f"{place}/out/web")) == {"a.webp"}
    assert outputs(open_root(f"{place}/out/master")) == {"a.png"}
    with pytest.raises(GlassegError, match="holds the outputs master, web: give one of them, such as s3://"):
        inprocess.whiten(f"{place}/in", f"{place}/out", WhitenConfig())


# each with its own ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tensorflow")
def test_a_gate_holds_a_picture_of_one_output_back(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whiten(place, WEB)
    (place / "in/a.jpg").write_bytes(BLANK)
    capsys.readouterr()
    whiten(place, WEB + MASTER)
    web, master = by_key(Folder(place / "out/web"))["a.jpg"], by_key(Folder(place / "out/master"))["a.jpg"]
    assert (web["status"], web["published"]) == ("review", False)
    assert (master["status"], master["published"]) == ("review", True), "nothing stood there"
    said = capsys.readouterr()
    assert (
        f"web:   1 held back, their older pictures stay; to publish them: glasseg release {place}/out/web" in said.err
    )
    assert re.findall(r"^(\w+: ok \d+, review \d+, failed \d+) in", said.out, re.MULTILINE) == [
        "web: ok 0, review 1, failed 0",
        "master: ok 2, review 1, failed 0",
    ]


@pytest.mark.usefixtures("tensorflow")
def test_a_correction_is_of_one_output_with_the_options_of_that_output(place: Path) -> None:
    whiten(place, WEB + MASTER)
    web, master = Folder(place / "out/web"), Folder(place / "out/master")
    (place / "approved.csv").write_text("photo\na.jpg\n", encoding="utf-8")
    approve = CorrectConfig(approve=str(place / "approved.csv"))
    assert corrections.correct(web.uri, None, approve, executor=inprocess.in_process) == 0
    assert by_key(web)["a.jpg"]["reviewed"] == "approved" and by_key(master)["a.jpg"]["reviewed"] is None
    assert by_key(web)["a.jpg"]["options_id"] == WhitenConfig(size=160, format="webp").options_id
    whiten(place, WEB + MASTER, "--redo=all")
    assert by_key(web)["a.jpg"]["reviewed"] == "approved" and by_key(master)["a.jpg"]["reviewed"] is None


@pytest.mark.usefixtures("tensorflow")
def test_a_correction_given_above_the_outputs_is_published_in_each(place: Path) -> None:
    whiten(place, WEB + MASTER)
    roots = {name: Folder(place / f"out/{name}") for name in ("web", "master")}
    before = {name: pictures(root) for name, root in roots.items()}
    given = painted.export(place, roots["web"], {"a.jpg": painted.kept})
    assert corrections.correct(f"{place}/out", given, CorrectConfig(), executor=inprocess.in_process) == 0
    for name, root in roots.items():
        after = pictures(root)
        assert by_key(root)["a.jpg"]["reviewed"] == "corrected"
        assert {key for key in after if after[key] != before[name][key]} == {by_key(root)["a.jpg"]["output_key"]}
    whiten(place, WEB + MASTER, "--redo=all")
    assert all(by_key(root)["a.jpg"]["reviewed"] == "corrected" for root in roots.values())
    withdraw = CorrectConfig(withdraw=("a.jpg",))
    assert corrections.correct(f"{place}/out", None, withdraw, executor=inprocess.in_process) == 0
    assert {name: pictures(root) for name, root in roots.items()} == before


@pytest.mark.usefixtures("tensorflow")
def test_an_output_whose_table_is_gone_stays_as_it_is_and_is_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whiten(place, WEB + MASTER)
    before = pictures(Folder(place / "out/master"))
    (place / "in/a.jpg").unlink()
    whiten(place, WEB)
    assert pictures(Folder(place / "out/master")) == before
    assert f"master in {place}/out: not in {place}/outputs.toml, and left as it is" in capsys.readouterr().err


@pytest.mark.usefixtures("tensorflow")
def test_an_output_that_can_not_be_corrected_keeps_no_other_from_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whiten(place, WEB)
    web = Folder(place / "out/web")
    given = painted.export(place, web, {"a.jpg": painted.kept})
    whiten(place, WEB + MASTER)  # in a run that the export knows nothing of
    with pytest.raises(GlassegError, match=r"master: nothing can be done as asked: a\.jpg"):
        corrections.correct(f"{place}/out", given, CorrectConfig(), executor=inprocess.in_process)
    assert by_key(web)["a.jpg"]["reviewed"] == "corrected"
    assert "master: nothing can be done" in capsys.readouterr().err


@pytest.mark.usefixtures("tensorflow")
def test_the_summary_has_all_outputs_and_their_records_know_each_other(place: Path) -> None:
    export = f'export = "{place}/web.csv"\nexport-column = ["name", "w={{width}}"]\n'
    whiten(place, WEB + export + MASTER, f"--summary-json={place / 'summary.json'}", "--report")
    summary = json.loads((place / "summary.json").read_text())
    assert (summary["processed"], summary["ok"], summary["ended"]) == (6, 6, "done")
    assert {name: one["ok"] for name, one in summary["outputs"].items()} == {"web": 3, "master": 3}
    assert (place / "web.csv").read_text().splitlines()[:2] == ["name,w", "a.webp,160"]
    record = runs.latest(Folder(place / "out/web"))[0]
    assert record["output"] == "web" and record["outputs"] == {"web": True, "master": True}
    assert record["run_id"] == summary["run_id"] == runs.latest(Folder(place / "out/master"))[0]["run_id"]
    page = place / f"out/web/_glasseg/report/{record['run_id']}/index.html"
    [(name, link)] = re.findall(r'Output <b>(\w+)</b>; others: <a href="([^"]*)">master</a>', page.read_text())
    assert name == "web"
    assert (page.parent / link).resolve() == place / f"out/master/_glasseg/report/{record['run_id']}/index.html"
    assert (page.parent / link).exists()


@pytest.mark.usefixtures("tensorflow")
def test_a_fault_at_the_end_of_one_output_does_not_keep_the_others_from_theirs(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whiten(place, MASTER + WEB)
    (place / "in/a.jpg").unlink()
    delete = Folder.delete

    def refused(root: Folder, key: str) -> None:
        if key == "a.png":
            raise GlassegError(f"may not delete {root.uri_of(key)}")
        delete(root, key)

    monkeypatch.setattr(Folder, "delete", refused)
    with pytest.raises(GlassegError, match=r"may not delete .*/out/master/a\.png"):
        whiten(place, MASTER + WEB, "--gone=delete", "--yes", "--report", "--redo=all")
    web, master = (runs.latest(Folder(place / f"out/{name}"))[0] for name in ("web", "master"))
    assert (web["ended"], web["gone"]) == ("done", 1) and master["ended"] == "stopped"
    assert outputs(Folder(place / "out/web")) == {"c.webp", "sub/b.webp"}
    page = f"_glasseg/report/{web['run_id']}/index.html"
    assert not (place / "out/master" / page).exists()
    assert "others: master<" in (place / "out/web" / page).read_text(), "no link that leads nowhere"


# all or none ----------------------------------------------------------------------------------------------------------


def test_where_one_output_is_taken_no_other_is_touched(place: Path) -> None:
    for name in ("web", "master"):
        Folder(place / f"out/{name}").write("_glasseg/runs/none", b"")
    before = sorted(one.key for one in Folder(place / "out").list())
    with lock.taken(Folder(place / "out/web"), "another"):
        with pytest.raises(GlassegError, match="run another works on") as refused:
            whiten(place, WEB + MASTER)
        assert refused.value.exit_code == 4
        assert lock.holder(Folder(place / "out/master")) is None
    assert sorted(one.key for one in Folder(place / "out").list()) == before


def test_a_lock_that_is_lost_to_another_run_at_the_last_moment_frees_the_others(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "refuse_if_taken", _later(lock.refuse_if_taken, place / "out/web"))
    with pytest.raises(GlassegError) as refused:
        whiten(place, WEB + MASTER)
    assert refused.value.exit_code == 4
    assert lock.holder(Folder(place / "out/master")) is None and not (place / "out/master/_glasseg").exists()


def _later(check: Callable[[Root], Any], root: Path) -> Callable[[Root], Any]:
    """`check`, before which another run takes the lock of a root, the second time that this root is asked for."""
    asked = list[str]()

    def late(one: Root) -> Any:
        asked.append(one.uri)
        if one == Folder(root) and asked.count(one.uri) == 2:
            assert lock.holder(Folder(root.parent / "master")), "by name: two runs can't wait for each other"
            lock.Lock(one, "another").acquire()
        return check(one)

    return late


def test_two_names_of_one_folder_are_no_two_outputs(place: Path) -> None:
    (place / "out/web").mkdir(parents=True)
    (place / "out/master").symlink_to(place / "out/web")
    with pytest.raises(GlassegError, match=r"the outputs web and master are one folder, .*/out/web"):
        whiten(place, WEB + MASTER)
    assert not list(Folder(place / "out").list())


def test_another_source_is_refused_with_the_output_that_has_it(place: Path) -> None:
    record = {"run_seq": 1, "source": "elsewhere", "run_id": "R"}
    runs.write(Folder(place / "out/web"), "R", record)
    with pytest.raises(GlassegError, match=r"^web: the pictures there were made from elsewhere"):
        whiten(place, MASTER + WEB)


@pytest.mark.usefixtures("tensorflow")
def test_a_refusal_of_one_output_refuses_the_run_before_it_writes(place: Path) -> None:
    Folder(place / "out/web").write("a.webp", b"somebody's")
    with pytest.raises(GlassegError, match=r"1 files in the way in .*/out/web that glasseg did not write"):
        whiten(place, MASTER + WEB)
    assert [one.key for one in Folder(place / "out").list()] == ["web/a.webp"]


def test_a_destination_is_no_place_for_outputs_nor_what_holds_them_a_destination(place: Path) -> None:
    Folder(place / "out/web").write("_glasseg/runs/none", b"")
    holds = f"{place}/out holds the outputs web: give one of them, such as {place}/out/web"
    with pytest.raises(GlassegError, match=re.escape(holds)):
        inprocess.whiten(str(place / "in"), str(place / "out"), WhitenConfig())
    for line in ("status", "report", "next", "release {} RUN"):
        given = (line if "{}" in line else line + " {}").split()
        said = CliRunner().invoke(cli, [one.format(place / "out") for one in given]).exception
        assert str(said) == holds, line
    with pytest.raises(GlassegError, match=re.escape(f"--approve is of the pictures of one output: {holds}")):
        corrections.correct(f"{place}/out", None, CorrectConfig(approve="right.csv"))
    with pytest.raises(GlassegError, match="is a destination itself"):
        whiten(place, MASTER, destination="out/web")
    with pytest.raises(GlassegError, match="is the source"):
        whiten(place, "[in]\n", destination="")


# the file -------------------------------------------------------------------------------------------------------------


def test_a_table_counts_before_the_command_line_and_both_before_a_marketplace(tmp_path: Path) -> None:
    own = "fill = 0.7\nformat = 'png'\n"
    others = "check = ['google', 'ebay']\nmask = true\nframe = '4:3'\n"
    tables = f"[amazon]\nfor = 'amazon'\n{own}[print]\n{others}"
    found = asked(tmp_path, tables, "--size=1500", "--fill=0.8", "--quality=80")
    amazon, other = found["amazon"], found["print"]
    assert list(found) == ["amazon", "print"]
    assert (amazon.size, amazon.fill, amazon.frame, amazon.format) == (1500, 0.7, (1, 1), "png")
    assert amazon.check == ("amazon",)
    assert (other.size, other.fill, other.frame, other.format) == (1500, 0.8, (4, 3), "keep")
    assert (other.check, other.mask, other.quality, amazon.quality) == (("google", "ebay"), True, 80, 80)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ("", "names no output: give each a table, such as [web]"),
        ("size = 3", "has 'size' outside of an output"),
        ("[web", "is not TOML: Expected ']'"),
        ("[Web]", "[Web]: the name of an output is that of its folder"),
        ("[web]\nsise = 1", "[web] sise: there is no such option for an output; is it size?"),
        ("[web]\nmax_upscale = 2", "[web] max_upscale: there is no such option for an output; is it max-upscale?"),
        ("[web]\nmodel = 'm'", "[web] model: there is no such option for an output"),
        ("[web]\nphotos = 'm'", "[web] photos: there is no such option for an output"),
        ("[web.small]\nsize = 1200", "[web] small: there is no such option for an output"),
        ("[web]\nsize = 1200.5", "[web] size: '1200.5' is not a valid integer"),
        ("[web]\nsize = true", "[web] size: it is a text or a number"),
        ("[web]\nmask = 1", "[web] mask: it is true or false"),
        ("[web]\nframe = '4'", "[web] frame: "),
        ("[web]\ncheck = ['eby']", "[web] check: 'eby' is not one of"),
        ("[web]\nbackground = 'transparent'\nformat = 'jpeg'", "[web]: a JPEG can't be transparent"),
        ("[web]\nexport-column = ['sku']", "[web]: --export-column names a column of --export"),
        ("[a]\nexport = 'x.csv'\n[b]\nexport = './x.csv'", "the outputs a and b have the same export ./x.csv"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_in_a_line_before_any_work(tables: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "outputs.toml").write_text(tables, encoding="utf-8")
    given = ["whiten", "in", str(tmp_path / "out"), f"--outputs={tmp_path / 'outputs.toml'}"]
    error = CliRunner().invoke(cli, given).exception
    assert isinstance(error, GlassegError) and error.exit_code == 2
    assert said in str(error) and "\n" not in str(error)


def test_a_file_that_cant_be_read_and_an_export_of_no_output_are_refused(tmp_path: Path) -> None:
    missing = CliRunner().invoke(cli, ["whiten", "in", "out", f"--outputs={tmp_path / 'no.toml'}"]).exception
    assert isinstance(missing, GlassegError) and missing.exit_code == 1 and "no.toml does not exist" in str(missing)
    with pytest.raises(GlassegError, match="put it into the table of that output"):
        asked(tmp_path, WEB, "--export=all.csv")
