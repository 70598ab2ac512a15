"""Storage that throttles, fails or forbids to delete costs time and no photo, and it is all said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from faultyproxy import FAULTS, proxied
from inprocess import whiten

from glasseg.catalog import lock, manifest, runs
from glasseg.config import WhitenConfig
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.storage.roots import Root, open_root

pytestmark = pytest.mark.usefixtures("tensorflow")


def stock(source: Root, count: int) -> None:
    drawn = [encode(draw_photo(np.random.default_rng(seed), (240, 320)).image, "jpeg", 90) for seed in range(4)]
    for n in range(count):
        source.write(f"{n:03}.jpg", drawn[n % len(drawn)])


def pictures(root: Root) -> dict[str, bytes]:
    return {entry.key: root.read(entry.key)[0] for entry in root.list() if not entry.key.startswith("_glasseg/")}


@pytest.mark.parametrize("share", [pytest.param(0.01, marks=pytest.mark.slow), 0.1])
def test_requests_that_fail_now_and_then_lose_no_photo_and_are_counted(
    share: float, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"s3://{s3.bucket}/faulty-{share}"
    stock(open_root(f"{place}/in"), 40)
    whiten(f"{place}/in", f"{place}/calm", WhitenConfig(max_flagged=1.0, report=False))
    with proxied(s3.endpoint_url, faults=share) as proxy:
        config = WhitenConfig(max_flagged=1.0, endpoint_url=proxy.url)
        assert whiten(f"{place}/in", f"{place}/out", config) == 0
    destination = open_root(f"{place}/out")
    assert pictures(destination) == pictures(open_root(f"{place}/calm"))
    rows = manifest.read(destination).to_pylist()
    assert Counter(row["key"] for row in rows) == {f"{n:03}.jpg": 1 for n in range(40)}
    assert {row["status"] for row in rows} <= {"ok", "review"}
    [record] = runs.latest(destination, 1)
    assert record["storage_retries"] == sum(row["storage_retries"] for row in rows)
    if share > 0.05:
        assert set(proxy.injected) == set(FAULTS) and record["storage_retries"] > 3
        assert "were repeated" in capsys.readouterr().err
    assert list(destination.list(manifest.REPORT)) and not destination.exists(lock.LOCK)


def test_a_bucket_where_nothing_may_be_deleted_is_written_night_after_night(s3: Any) -> None:
    place = f"s3://{s3.bucket}/keeps"
    source = open_root(f"{place}/in")
    stock(source, 3)
    with proxied(s3.endpoint_url, deny_delete=True) as proxy:
        destination = open_root(f"{place}/out", endpoint_url=proxy.url)
        for night in range(3):
            source.write(f"new-{night}.jpg", source.read("000.jpg")[0])
            config = WhitenConfig(max_flagged=1.0, endpoint_url=proxy.url, report=night == 1)
            assert whiten(source.uri, destination.uri, config) == 0
            assert lock.holder(destination) is None
    assert proxy.injected["AccessDenied"] > 0
    rows = manifest.read(open_root(f"{place}/out")).to_pylist()
    assert Counter(row["key"] for row in rows) == dict.fromkeys(pictures(open_root(f"{place}/out")), 1)
    assert len(rows) == 6
