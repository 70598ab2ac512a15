"""A run needs no more than the smallest policy of docs/security.md, on a real server that enforces it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import inprocess
import pytest
from drawnphotos import BLANK, drawn, rows
from faultyproxy import proxied
from s3server import S3Server

from glasseg.catalog import claims, lock, manifest, pictures, records, runs
from glasseg.config import WhitenConfig
from glasseg.errors import DeniedError, GlassegError
from glasseg.storage.roots import Bucket, check_writable
from jobs.destination.release import release
from jobs.destination.report import report
from jobs.destination.status import overview

OTHERS = b"a picture of somebody else"


@pytest.fixture
def shop(s3: S3Server) -> Iterator[tuple[Bucket, Bucket]]:
    """The source and the destination of that policy, both empty, as the admin sees them whatever comes later."""
    roots = Bucket(s3.bucket, "raw"), Bucket(s3.bucket, "white")

    def clear() -> None:
        for root in roots:
            for entry in list(root.list()):
                root.delete(entry.key)

    clear()
    yield roots
    clear()


@pytest.fixture
def narrow(shop: tuple[Bucket, Bucket], s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The destination as the policy allows it; whoever opens a bucket from now on is that identity."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.narrow[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.narrow[1])
    return Bucket(s3.bucket, "white")


def whiten(shop: tuple[Bucket, Bucket], **options: Any) -> int:
    source, destination = shop
    return inprocess.whiten(
        source.uri, destination.uri, WhitenConfig(**{"max_flagged": 1.0, "report": False, **options})
    )


# ------------------------------------------------------------------------------------------------------ the policy


def test_the_policy_allows_what_it_says_and_no_more(shop: tuple[Bucket, Bucket], narrow: Bucket) -> None:
    source, destination = shop
    source.write("a.jpg", b"a photo")
    destination.write("a.jpg", OTHERS)
    reader = Bucket(source.bucket, "raw")
    assert [entry.key for entry in reader.list()] == ["a.jpg"] and reader.read("a.jpg")[0] == b"a photo"
    check_writable(narrow)
    narrow.write("_glasseg/runs/x.json", b"{}")
    assert records.keys(narrow, "_glasseg/runs/", ".json") == ["_glasseg/runs/x.json"]
    narrow.delete("_glasseg/runs/x.json")
    for refused in (
        lambda: reader.write("a.jpg", b"-"),
        lambda: reader.delete("a.jpg"),
        lambda: list(narrow.list()),
        lambda: narrow.delete("a.jpg"),
    ):
        with pytest.raises(DeniedError, match="no permission for"):
            refused()


@pytest.mark.parametrize("like_aws", [False, True])
def test_a_put_that_must_replace_nothing(
    shop: tuple[Bucket, Bucket], narrow: Bucket, s3: S3Server, *, like_aws: bool
) -> None:
    """Where its answer was lost the server is asked whether it has our bytes; where it won't say, they aren't ours."""
    _, seen = shop
    seen.write("others.jpg", OTHERS)
    with proxied(s3.endpoint_url, like_aws=like_aws) as proxy:
        there = Bucket(narrow.bucket, narrow.prefix, proxy.url)
        assert there.swap("free.jpg", None, b"ours") and seen.read("free.jpg")[0] == b"ours"
        assert not there.swap("others.jpg", None, b"ours") and seen.read("others.jpg")[0] == OTHERS
        assert there.swap("free.jpg", None, b"ours") is not like_aws, "of a run that was killed before its row"
        proxy.lose = 1
        assert there.swap("lost.jpg", None, b"ours") is not like_aws
        assert proxy.injected["lost"] == 1 and seen.read("lost.jpg")[0] == b"ours"
        proxy.lose = 1
        assert there.swap("_glasseg/lock.json", None, b"ours"), "what may be read is known to be ours"


def test_records_are_found_where_a_missing_one_is_denied(
    shop: tuple[Bucket, Bucket], narrow: Bucket, s3: S3Server
) -> None:
    with proxied(s3.endpoint_url, like_aws=True) as proxy:
        there = Bucket(narrow.bucket, narrow.prefix, proxy.url)
        assert lock.holder(there) is None and not runs.latest(there, 1)
        with lock.taken(there, "run1"):
            assert (lock.holder(there) or {})["run_id"] == "run1"
        assert lock.holder(there) is None


def test_a_picture_gets_its_first_mask_where_a_missing_one_is_denied(
    shop: tuple[Bucket, Bucket], narrow: Bucket, s3: S3Server
) -> None:
    with proxied(s3.endpoint_url, like_aws=True) as proxy:
        there = Bucket(narrow.bucket, narrow.prefix, proxy.url)
        for word in (b"old", b"new"):
            pictures.put(there, "a.jpg", word + b" picture", word + b" mask")
            assert there.read(manifest.mask_key("a.jpg"))[0] == word + b" mask"


# ---------------------------------------------------------------------------------------------------------- runs


@pytest.fixture
def stocked(shop: tuple[Bucket, Bucket], tensorflow: Any) -> tuple[Bucket, Bucket]:
    for seed in range(3):
        shop[0].write(f"{seed}.jpg", drawn(seed))
    return shop


def test_an_unlisted_destination_is_written_and_files_of_others_stay(
    stocked: tuple[Bucket, Bucket],
    narrow: Bucket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, seen = stocked
    seen.write("1.jpg", OTHERS)
    claimed: list[list[str]] = []
    claim = claims.claim
    monkeypatch.setattr(claims, "claim", lambda *all: (claimed.append(all[2].to_pylist()), claim(*all)))
    assert whiten(stocked, report=True) == 0
    assert capsys.readouterr().err.count("s3://photos/white can't be listed") == 1
    [foreign] = rows(seen, "1.jpg")
    assert (foreign["status"], foreign["error_code"], foreign["published"]) == ("failed", "foreign", False)
    assert seen.read("1.jpg")[0] == OTHERS and seen.exists("0.jpg") and seen.exists("2.jpg")
    assert overview(narrow)["error_codes"]["foreign"] == 1
    assert report(narrow.uri, None, None).endswith("index.html")

    source.write("0.jpg", drawn(7))
    seen.delete("1.jpg")
    seen.delete("2.jpg")
    before = seen.read("0.jpg")[0]
    assert whiten(stocked) == 0
    assert seen.read("0.jpg")[0] != before, "our own is replaced"
    assert [row["reason"] for row in rows(seen, "1.jpg")] == ["new", "retry"] and seen.exists("1.jpg")
    assert len(rows(seen, "2.jpg")) == 1, "that it was removed can't be seen"
    assert whiten(stocked) == 0 and len(rows(seen)) == 5, "now there is nothing to do"
    assert claimed == [[], ["0.jpg"]], "what may be another's is not claimed: a killed run would make it ours"
    assert not claims.claimed(seen) and not seen.exists(lock.LOCK)


def test_others_in_the_way_are_replaced_when_told(stocked: tuple[Bucket, Bucket], narrow: Bucket) -> None:
    _, seen = stocked
    seen.write("1.jpg", OTHERS)
    whiten(stocked)
    assert whiten(stocked, redo="foreign", overwrite=True) == 0
    assert rows(seen, "1.jpg")[-1]["published"] and seen.read("1.jpg")[0] != OTHERS


def test_what_a_killed_run_had_put_is_taken_up_and_nothing_else(stocked: tuple[Bucket, Bucket], narrow: Bucket) -> None:
    _, seen = stocked
    whiten(stocked)
    made = seen.read("0.jpg")[0]
    for entry in list(seen.list("_glasseg/")):
        seen.delete(entry.key)  # as before the first rows were stored
    seen.write("1.jpg", OTHERS)
    whiten(stocked)
    assert [rows(seen, f"{n}.jpg")[0]["error_code"] == "foreign" for n in range(3)] == [False, True, False]
    assert seen.read("0.jpg")[0] == made and seen.read("1.jpg")[0] == OTHERS


def test_pictures_are_held_back_and_released_unlisted(stocked: tuple[Bucket, Bucket], narrow: Bucket) -> None:
    source, seen = stocked
    whiten(stocked)
    good = seen.read("1.jpg")[0]
    source.write("1.jpg", BLANK)
    whiten(stocked)
    held = rows(seen, "1.jpg")[-1]
    assert not held["published"] and seen.read("1.jpg")[0] == good
    picture = seen.read(manifest.held_folder(held["run_id"]) + "1.jpg")[0]
    release(narrow.uri, held["run_id"], [], endpoint_url=None)
    assert seen.read("1.jpg")[0] == picture and not list(seen.list(manifest.HELD))


def test_pictures_that_may_not_be_deleted_stop_a_run_that_is_to_delete_them(
    stocked: tuple[Bucket, Bucket], narrow: Bucket
) -> None:
    source, seen = stocked
    whiten(stocked)
    source.delete("1.jpg")
    with pytest.raises(GlassegError, match=r"s3://photos/white/1\.jpg: no permission for DeleteObject"):
        whiten(stocked, gone="delete", yes=True)
    assert seen.exists("1.jpg") and rows(seen, "1.jpg")[-1]["status"] != "gone"
    assert whiten(stocked) == 0 and rows(seen, "1.jpg")[-1]["status"] == "gone"
