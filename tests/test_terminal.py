"""What people read of a run on their terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from jobs import terminal

Lines = Callable[[list[tuple[float, int]], int], list[str]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lines:
    """The plain progress of a run whose batches of n photos come at the given seconds."""

    def run(batches: list[tuple[float, int]], total: int) -> list[str]:
        clock = iter([second for second, _ in batches])
        with monkeypatch.context() as patched, terminal.progress(total, "whiten") as bar:
            patched.setattr(time, "monotonic", lambda: next(clock))
            for _, n in batches:
                bar.update(n)
        return capsys.readouterr().err.splitlines()

    return run


def test_progress_says_the_rate_after_the_first_batch_and_the_time_left(lines: Lines) -> None:
    assert lines([(100.0, 10), (112.0, 60), (120.0, 30)], 100) == [
        "10 of 100 photos",
        "70 of 100 photos, 5.0 photos/s, 6 s left",
        "100 of 100 photos, 4.5 photos/s, 0 s left",
    ]


def test_batches_that_come_at_once_give_no_rate(lines: Lines) -> None:
    assert lines([(100.0, 24), (100.005, 17)], 41) == ["24 of 41 photos", "41 of 41 photos"]


def test_plain_progress_is_a_line_every_ten_seconds(lines: Lines) -> None:
    assert len(lines([(100.0 + second, 1) for second in range(30)], 100)) == 3


def test_a_log_in_json_has_an_object_a_line_with_what_the_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.log_json(True):
        terminal.bind(run_id="R")
        terminal.say("  3 of 4 photos", done=3)
        terminal.say()
    terminal.say("for people")
    first, last = capsys.readouterr().err.splitlines()
    entry = json.loads(first)
    assert datetime.fromisoformat(entry.pop("time")).tzinfo
    assert entry == {"level": "info", "run_id": "R", "message": "3 of 4 photos", "done": 3}
    assert last == "for people"


def test_lines_about_an_output_begin_with_it_and_objects_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.about("web"):
        terminal.say("  to photos/web")
        with terminal.about(""), terminal.log_json(True):
            terminal.say("of the run")
        with terminal.log_json(True):
            terminal.say("  to photos/web")
    plain, of_run, entry = capsys.readouterr().err.splitlines()
    assert plain == "web:   to photos/web"
    assert "output" not in json.loads(of_run)
    assert (json.loads(entry)["output"], json.loads(entry)["message"]) == ("web", "to photos/web")


def test_a_table_has_words_to_the_left_numbers_to_the_right_and_a_dash_for_none() -> None:
    heads = {"status": "", "photos": ",", "share": ".1%", "for example": ""}
    rows = [("ok", 12345, 0.5, "a.jpg"), ("failed", 6, None, "b c.jpg"), ("", 0, float("nan"), "")]
    assert terminal.columns(heads, rows).splitlines() == [
        "status  photos  share  for example",
        "ok      12,345  50.0%  a.jpg",
        "failed       6      –  b c.jpg",
        "             0      –",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert terminal.columns({"status": "", "photos": ","}, []) == "status  photos"


BAD_NAME = "a\x1b[2J\n\u202egpj.b\x9b\u2028.jpg"


def test_a_name_moves_no_cursor_ends_no_line_and_turns_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(f"  failed  {BAD_NAME}: why")
    table = terminal.columns({"photo": "", "n": ","}, [(BAD_NAME, 3), ("other.jpg", 4)])
    for text in (capsys.readouterr().err.removesuffix("\n"), table.splitlines()[1]):
        assert text.isprintable() and r"a\x1b[2J\n\u202egpj.b\x9b\u2028.jpg" in text
    assert len(table.splitlines()) == 3


def test_names_of_all_scripts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    names = "Ünïcode é e\u0301 眼鏡 می\u200cخواهم 👩\u200d🔬 a\u00a0b.jpg"
    terminal.say(names)
    assert capsys.readouterr().err == f"{names}\n"


def test_progress_counts_from_what_needed_no_work(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress(31, "whiten", done=4) as bar:
        bar.update(27)
    assert capsys.readouterr().err == "31 of 31 photos\n"
