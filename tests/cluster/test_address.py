"""A run on a cluster that is there already, driven from outside of it by its address."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from drawnphotos import drawn
from raycluster import cluster, drive, metrics, nodes_of, wait_for
from s3server import S3Server

from glasseg.catalog import manifest, runs
from glasseg.storage.roots import open_root

pytestmark = pytest.mark.ray

PHOTOS = 20


def test_a_given_cluster_whitens_bucket_to_bucket_and_counts_it_in_its_metrics(s3: S3Server) -> None:
    source, destination = open_root(f"s3://{s3.bucket}/driven"), open_root(f"s3://{s3.second_bucket}/driven")
    for n in range(PHOTOS):
        source.write(f"{n:03}.jpg", drawn(n % 4))
    seen: dict[str, str] = {}
    with cluster(Path(sys.executable), "--num-cpus=0") as made, ThreadPoolExecutor() as pool:
        made.join("--num-cpus=2", f"--metrics-export-port={made.metrics_port}")
        wait_for(lambda: nodes_of(made) == 2, made)
        arguments = (source.uri, destination.uri, "--no-report", "--log-json", "--workers=1")
        driven = pool.submit(drive, made, *arguments, RAY_ADDRESS=made.address)
        while not driven.done():
            seen |= metrics(made)
            time.sleep(0.2)
        done = driven.result()
    assert done.returncode == 0, done.stderr
    assert len(manifest.read(destination)) == PHOTOS
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    [run_id] = runs.names(destination)
    assert {entry["run_id"] for entry in entries} == {run_id}
    assert entries[-1]["summary"]["processed"] == PHOTOS
    mine = [line for line in seen if f'run_id="{run_id}"' in line]
    for name, tag in (
        ("photos", 'status="ok"'),
        ("bytes", 'direction="written"'),
        ("stage_seconds", 'stage="segment"'),
    ):
        assert any(f"glasseg_{name}" in line and tag in line for line in mine), sorted(seen)
