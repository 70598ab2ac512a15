"""The README and the guides say what is true: commands, tables, queries, links, names in the code."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from guides import GUIDES, ROOT, blocks, commands, first_cells, parse, section

from glasseg.catalog import manifest, schema
from glasseg.catalog.pending import REASONS, RETRIED_CODES
from glasseg.catalog.schema import Reason, Status
from glasseg.config import MARKETPLACES
from glasseg.errors import FAILURE_CODES, REVIEW_CODES
from jobs.cli import cli
from jobs.whiten.command import configs
from jobs.whiten.targets import checked

MOST_BYTES = 12_000
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for top in ("glasseg", "jobs", "tests") for path in (ROOT / top).rglob("*.py")
)


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= MOST_BYTES


def test_the_first_output_in_the_readme_is_of_a_good_run() -> None:
    first = blocks("text", "README.md")[0]
    assert "failed 0" in first and "Page: " in first and "exit code" not in first


# Commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "docs/nightly.md", "docs/training.md", "docs/performance.md"])
def test_there_are_commands_to_understand(name: str) -> None:
    assert len(commands(name)) >= 5


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood_by_the_program(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()  # `bench` refuses a folder that is not there
    monkeypatch.chdir(tmp_path)
    parse(command)


@pytest.mark.parametrize(
    "command", sorted({one for text in GUIDES.values() for one in re.findall(r"`(glasseg [^`…]+)`", text)})
)
def test_commands_in_sentences_exist(command: str) -> None:
    name, *words = command.split()[1:]
    assert name in cli.commands and (name != "bench" or not words or words[0] in cli.commands[name].commands)


@pytest.mark.parametrize("number", [0, 1])
def test_the_outputs_of_the_guide_are_understood(number: int, tmp_path: Path) -> None:
    tables = list(blocks("toml", "docs/catalog.md"))[number]
    (tmp_path / "outputs.toml").write_text(tables, encoding="utf-8")
    given = ["glasseg", "whiten", "in", "out", "--photos=spring.csv", f"--outputs={tmp_path / 'outputs.toml'}"]
    with parse(shlex.join(given)) as context:
        config, outputs = configs(context)
    assert [target.name for target in checked(replace(config, dry_run=True), outputs)] == [*outputs]
    assert len(outputs) >= 3


def test_ci_runs_the_readmes_test_command() -> None:
    [command] = re.findall(r"^.*pip install -e .*pytest$", GUIDES["README.md"], re.MULTILINE)
    # `|| exit 1`: set -e does not see what fails inside a chain
    assert f"{command} || exit 1" in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


def test_the_help_is_shown_as_it_is() -> None:
    [shown] = [block for block in blocks("text") if block.startswith("Usage: glasseg whiten ")]
    result = CliRunner().invoke(cli, ["whiten", "--help"], prog_name="glasseg", terminal_width=100)
    assert shown.strip() == result.output.strip()


# Tables --------------------------------------------------------------------------------------------------------------


def test_the_manifests_columns_are_explained_each_once() -> None:
    assert sorted(first_cells(section("docs/manifest.md", "Columns"))) == sorted(schema.SCHEMA.names)


@pytest.mark.parametrize(("column", "words"), [("status", Status), ("reason", Reason)])
def test_every_word_of_a_closed_column_is_explained(column: str, words: type[Status | Reason]) -> None:
    [cell] = re.findall(rf"^\| `{column}` \| (.*) \|$", GUIDES["docs/manifest.md"], re.M)
    assert set(re.findall(r"`(\w+)`", cell)) == set(words)


def test_the_codes_are_explained_by_what_becomes_of_their_photos() -> None:
    review, waiting, tried_again = section("docs/manifest.md", "Codes").split("\n| code |")[1:]
    assert first_cells(review) == list(REVIEW_CODES)
    assert sorted(first_cells(waiting)) == sorted(FAILURE_CODES.keys() - RETRIED_CODES)
    assert sorted(first_cells(tried_again)) == sorted(RETRIED_CODES)


def test_the_reasons_are_explained_in_the_order_in_which_they_count() -> None:
    reasons = first_cells(section("docs/nightly.md", "What is worked on"))
    assert reasons == list(REASONS)


def test_the_marketplaces_are_listed() -> None:
    assert first_cells(section("docs/pictures.md", "Marketplaces")) == list(MARKETPLACES)


def test_the_gpu_node_is_computed_from_the_stages() -> None:
    shown = section("docs/performance.md", "Speed")
    stages = {name: float(ms) for name, ms in re.findall(r"^([a-z ]+?) {2,}[\d,.]+ +([\d.]+)$", shown, re.M)}
    total, segment = stages.pop("one after the other"), stages.pop("segment")
    guide = section("cluster/README.md", "A node with a GPU")
    [(a, g)] = [(int(a), int(g)) for a, g in re.findall(r"Here a = (\d+) .* and g = (\d+)", guide)]
    cpu = sum(stages.values()) + a
    assert sum(stages.values()) + segment == pytest.approx(total, abs=0.5)
    computed = {"16 × 1, no GPU": round(16_000 / total)}
    for w, k in ((4, 4), (2, 8), (1, 16)):
        computed[f"{w} × {k}"] = round(1000 * min(w * k / cpu, w / (a + g), 1 / g))
    assert {name: int(rate) for name, rate in re.findall(r"^\| (\d+ × [^|]+?) \| (\d+) \|", guide, re.M)} == computed
    assert f"here {cpu / (a + g):.1f}:" in guide and f"here {cpu / g:.0f}." in guide


# Queries -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest in `white`, below the current folder: of one photo that is ok at last, and one to look at."""
    from manifestrows import row

    from glasseg.storage.roots import Folder

    root = Folder(tmp_path / "white")
    first = [row("a.jpg", run_seq=1, status="review"), row("b.jpg", run_seq=1, status="review", quality=0.5)]
    manifest.write_part(root, "20260101T000000.000Z", 0, first)
    manifest.write_part(root, "20260102T000000.000Z", 0, [row("a.jpg", run_seq=2, status="ok")])
    monkeypatch.chdir(tmp_path)


def test_the_duckdb_queries_take_the_last_row_of_every_photo(white: None) -> None:
    import duckdb

    by_status, to_look_at = (duckdb.sql(query).fetchall() for query in blocks("sql"))
    assert {one[:2] for one in by_status} == {("ok", 1), ("review", 1)}
    assert [one[0] for one in to_look_at] == ["b.jpg"]


def test_the_pandas_query_takes_the_last_row_of_every_photo(white: None) -> None:
    [code] = blocks("python", "docs/manifest.md")
    names: dict[str, object] = {}
    exec(code, names)  # it is our own
    by_status, to_look_at = names["by_status"], names["to_look_at"]
    assert by_status["photos"].to_dict() == {"ok": 1, "review": 1}  # type: ignore[index]
    assert to_look_at["key"].to_list() == ["b.jpg"]  # type: ignore[index]


# Links and names -----------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a text."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = [
    pytest.param(name, link, id=f"{name} {link}")
    for name, text in (*GUIDES.items(), ("CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    for link in dict.fromkeys(re.findall(r"\]\(([^)\s]+)\)", text))
    if "://" not in link
]


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_links_lead_somewhere(name: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
    assert target.exists()
    assert not anchor or anchor in anchors(target.read_text(encoding="utf-8"))


def test_every_guide_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)\)", GUIDES["README.md"]))
    assert GUIDES.keys() - {"README.md"} <= linked


FILE = re.compile(r"(?<![\w./-])(?:glasseg|jobs|tests|cluster|docs|\.ci)/[\w./-]*(?<!\.)")
NAMED = sorted({name for text in GUIDES.values() for name in FILE.findall(text)})


@pytest.mark.parametrize("name", NAMED)
def test_files_that_the_guides_name_are_there(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize(
    "name",
    sorted(
        set(re.findall(r"`(_?[A-Z][A-Z_]+|[A-Z]\w+[a-z][A-Z]\w*)`", GUIDES["docs/development.md"])) - {"DATA", "OUT"}
    ),
)
def test_names_that_the_development_guide_gives_are_in_the_code(name: str) -> None:
    assert re.search(rf"^{name}\b|^class {name}\b", SOURCES, re.M)
