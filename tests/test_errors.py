"""Errors survive the way between processes, and their codes are a closed list."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest

from glasseg.errors import (
    ERROR_CODES,
    FAILURE_CODES,
    REVIEW_CODES,
    FailureCode,
    GlassegError,
    PhotoError,
    ReviewCode,
)


def test_a_photos_error_keeps_code_and_message_between_processes() -> None:
    back = pickle.loads(pickle.dumps(PhotoError("vanished", "a.jpg is gone")))
    assert type(back) is PhotoError and (back.code, str(back)) == ("vanished", "a.jpg is gone")


def test_a_runs_error_keeps_its_exit_code_between_processes() -> None:
    back = pickle.loads(pickle.dumps(GlassegError("no such thing", 2)))
    assert type(back) is GlassegError and (back.exit_code, str(back)) == (2, "no such thing")


def test_a_runs_error_exits_with_1_by_default() -> None:
    assert GlassegError("stopped").exit_code == 1


@pytest.mark.parametrize("code", ["nonsense", "", "no_glasses"])
def test_a_failure_has_a_code_of_the_list(code: str) -> None:
    with pytest.raises(ValueError, match="FAILURE_CODES"):
        PhotoError(code, "whatever")


def test_every_code_has_its_meaning_in_words() -> None:
    assert tuple(FAILURE_CODES) == get_args(FailureCode) and tuple(REVIEW_CODES) == get_args(ReviewCode)


def test_a_code_means_either_failure_or_review() -> None:
    assert not FAILURE_CODES.keys() & REVIEW_CODES.keys()
    assert {**FAILURE_CODES, **REVIEW_CODES} == ERROR_CODES
