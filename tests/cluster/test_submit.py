"""Commands on a Ray cluster of real processes, whose nodes have the package but not the checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ray import __version__ as ray_version
from raycluster import CHECKOUT, Cluster, cluster, drive, make_environment, nodes_of, wait_for
from s3server import S3Server

from glasseg.catalog import manifest
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.storage.roots import open_root

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PHOTOS = 20
HANGS = 60
"""Seconds after which a command that should refuse counts as hanging; it takes less than 30 on an idle machine."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_environment(tmp_path_factory.mktemp("nodes") / "env")
    code = "import glasseg, jobs; print(glasseg.__file__, jobs.__file__)"
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run([made, "-c", code], capture_output=True, text=True, check=True, cwd="/", env=bare).stdout
    assert str(CHECKOUT) not in found
    return made


@pytest.fixture(scope="module")
def two_nodes(python: Path, s3: S3Server) -> Iterator[Cluster]:
    """A head that only drives and a worker; the GPU stands in its books only."""
    with cluster(python, "--num-cpus=0") as made:
        made.join("--num-cpus=2", "--num-gpus=1")
        wait_for(lambda: nodes_of(made) == 2, made)
        yield made


@pytest.fixture(scope="module")
def source(s3: S3Server) -> str:
    drawn = [encode(draw_photo(np.random.default_rng(seed), (240, 320)).image, "jpeg", 90) for seed in range(4)]
    for n in range(PHOTOS):
        s3.client().put_object(Bucket=s3.bucket, Key=f"submitted/{n:03}.jpg", Body=drawn[n % 4])
    return f"s3://{s3.bucket}/submitted"


def submit(on: Cluster, *command: str) -> subprocess.CompletedProcess[str]:
    """`ray job submit`, from a folder that holds nothing."""
    words = [on.python, "-m", "ray.scripts.scripts", "job", "submit", f"--address={on.dashboard}", "--", *command]
    return subprocess.run(
        words, capture_output=True, text=True, cwd=on.folder, env=on.environment, timeout=240, check=False
    )


def test_a_submitted_job_whitens_bucket_to_bucket(two_nodes: Cluster, source: str, s3: S3Server) -> None:
    destination = f"s3://{s3.second_bucket}/submitted"
    done = submit(two_nodes, "glasseg", "whiten", source, destination, "--max-flagged=1")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = manifest.read(open_root(destination)).to_pylist()
    assert sorted(row["key"] for row in rows) == [f"{n:03}.jpg" for n in range(PHOTOS)]
    assert all(row["published"] for row in rows)
    assert "failed 0 in" in done.stdout


def test_a_submitted_job_that_could_not_run_fails(two_nodes: Cluster, s3: S3Server) -> None:
    done = submit(two_nodes, "glasseg", "whiten", f"s3://{s3.bucket}/nothing-here", f"s3://{s3.second_bucket}/none")
    assert done.returncode == 1
    assert "no photos in s3://" in done.stdout


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line that says why, after at most `REFUSED_WITHIN` seconds."""
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert last.startswith("glasseg: ") and all(word in last for word in words), last


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cpus-per-worker=64",), ("no node has more than 2 CPUs", "one worker wants 64", "--cpus-per-worker")),
        (("--gpus-per-worker=2",), ("1 GPUs", "one worker wants", "--gpus-per-worker")),
    ],
)
def test_a_worker_that_fits_on_no_node_is_refused(
    options: tuple[str, ...], words: tuple[str, ...], two_nodes: Cluster, source: str, s3: S3Server
) -> None:
    done = drive(two_nodes, source, f"s3://{s3.second_bucket}/big", f"--address={two_nodes.address}", *options)
    refused(done, *words)


def test_a_wrong_token_is_refused(two_nodes: Cluster, source: str, s3: S3Server) -> None:
    arguments = (source, f"s3://{s3.second_bucket}/token", f"--address={two_nodes.address}")
    done = drive(two_nodes, *arguments, timeout=HANGS, RAY_AUTH_TOKEN="of-another-cluster")
    refused(done, two_nodes.address, "token")


def test_a_node_without_the_package_is_named(two_nodes: Cluster, source: str, s3: S3Server, tmp_path: Path) -> None:
    bare = two_nodes.join("--num-cpus=1", python=make_environment(tmp_path / "bare", package=False))
    try:
        wait_for(lambda: nodes_of(two_nodes) == 3, two_nodes)
        arguments = (source, f"s3://{s3.second_bucket}/bare", f"--address={two_nodes.address}")
        refused(drive(two_nodes, *arguments, timeout=HANGS), "the node", "has no glasseg", "install")
    finally:
        bare.stop()
        wait_for(lambda: nodes_of(two_nodes) == 2, two_nodes)


PRETENDS = "import ray._private.utils; ray._private.utils.compute_version_info = lambda: {versions}"


@pytest.mark.parametrize("versions", [("2.54.0", platform.python_version()), (ray_version, "3.10.2")])
def test_a_cluster_of_other_versions_is_refused(
    versions: tuple[str, str], python: Path, source: str, s3: S3Server
) -> None:
    with cluster(python, "--num-cpus=1", before=PRETENDS.format(versions=versions)) as made:
        done = drive(made, source, f"s3://{s3.second_bucket}/other", f"--address={made.address}", timeout=HANGS)
        refused(done, made.address, *versions)
