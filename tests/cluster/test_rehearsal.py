"""A cluster of hosts that fail: network namespaces with real Ray nodes and a real S3 server in them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from hosts import Host, hosts, missing
from raycluster import Cluster, cluster, make_environment, nodes_of, wait_for
from s3server import ADMIN, S3Server, create_buckets, start_server

from glasseg.catalog import manifest
from glasseg.drawing.photo import draw_photo
from glasseg.images.encoder import encode
from glasseg.model import folder as model_folder
from glasseg.storage.roots import open_root

pytestmark = [pytest.mark.ray, pytest.mark.netns, pytest.mark.slow, pytest.mark.timeout(1200)]

PHOTOS = 1600
"""So many that a fast machine is still at work when the third host has joined."""
CUT_SECONDS = 30
MINUTES = 8
"""A run that fails so often may take that long, and no longer."""


@dataclass(frozen=True)
class Run:
    """A `glasseg` command at work."""

    process: subprocess.Popen[bytes]
    log: Path

    def until(self, condition: Callable[[], bool], seconds: float = 400) -> None:
        """Waits for something to happen while it works."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it ended before that: {self.log.read_text()}"
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)


@dataclass(frozen=True)
class Room:
    """Hosts with cables in one switch; a Ray head on one of them, the S3 server on another."""

    s3: S3Server
    cluster: Cluster
    head: Host
    workers: tuple[Host, ...]

    def join(self, host: Host, cpus: int) -> None:
        """Start a Ray node on a host."""
        before = nodes_of(self.cluster, self.head.within)
        self.cluster.join(f"--num-cpus={cpus}", within=host.within, host=host.address)
        wait_for(lambda: nodes_of(self.cluster, self.head.within) > before, self.cluster)

    @contextmanager
    def command(self, *words: str) -> Iterator[Run]:
        """Runs `glasseg` on the head, and meanwhile the block; it must end well."""
        log = self.cluster.folder / "driver.log"
        command = [*self.head.within, str(self.cluster.python.parent / "glasseg"), *words]
        environment = self.cluster.environment | {"RAY_ADDRESS": self.cluster.address}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, cwd=self.cluster.folder, env=environment
            )
        try:
            yield Run(process, log)
            assert process.wait(MINUTES * 60) == 0, log.read_text()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := missing():
        pytest.skip(reason)
    return make_environment(tmp_path_factory.mktemp("hosts") / "env")


@pytest.fixture
def room(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """The S3 server, a head and two workers are running; a third worker waits."""
    with hosts("s3", "head", "one", "two", "three") as (store, head, *workers):
        log = tmp_path / "weed.log"
        with log.open("wb") as out:
            process, endpoint_url = start_server(tmp_path, out, store.address, store.within)
        s3 = S3Server(endpoint_url)
        create_buckets(s3, process, log)
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": ADMIN[0],
            "AWS_SECRET_ACCESS_KEY": ADMIN[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        with cluster(python, "--num-cpus=0", host=head.address, within=head.within) as made:
            yield Room(s3, made, head, tuple(workers))


def test_whiten_ends_complete_though_a_link_breaks_a_host_dies_and_another_one_joins(room: Room) -> None:
    one, two, three = room.workers
    for host in (one, two):
        room.join(host, cpus=1)
    drawn = [encode(draw_photo(np.random.default_rng(seed), (240, 320)).image, "jpeg", 90) for seed in range(4)]
    client = room.s3.client()
    for n in range(PHOTOS):
        client.put_object(Bucket=room.s3.bucket, Key=f"in/{n:04}.jpg", Body=drawn[n % 4])
    source, white = f"s3://{room.s3.bucket}/in", open_root(f"s3://{room.s3.second_bucket}/out")

    def done() -> int:
        return sum(1 for entry in white.list() if not entry.key.startswith("_glasseg/"))

    with room.command("whiten", source, white.uri, "--max-flagged=1", "--stop-above=1", "--no-report") as run:
        run.until(lambda: done() > PHOTOS * 0.05)
        one.cut()
        time.sleep(CUT_SECONDS)
        one.mend()
        room.join(three, cpus=1)
        run.until(lambda: any("MapWorker" in command for command in three.processes().values()))
        two.kill()
    rows = manifest.read(white).to_pylist()
    assert sorted(row["key"] for row in rows) == [f"{n:04}.jpg" for n in range(PHOTOS)]
    assert not [row["error"] for row in rows if row["status"] == "failed"]
    assert done() == PHOTOS


def test_training_goes_on_from_its_checkpoint_when_a_host_dies(room: Room, tmp_path: Path) -> None:
    one, two, three = room.workers
    for host in (one, two):
        room.join(host, cpus=3)
    client, epochs = room.s3.client(), 5
    for number in range(10):
        photo = draw_photo(np.random.default_rng(number), (160, 200))
        mask = np.where(photo.coverage > 0.5, 255, 0).astype(np.uint8)
        for name, data in (
            (f"{number}.jpg", encode(photo.image, "jpeg", 90)),
            (f"{number}_mask.png", cv2.imencode(".png", mask)[1].tobytes()),
        ):
            client.put_object(Bucket=room.s3.bucket, Key=f"labelled/{name}", Body=data)
    out = f"s3://{room.s3.second_bucket}/model"
    recipe = ["--preset=baseline", f"--epochs={epochs}", "--batch=4", "--patience=0", "--workers=2", "--loader-cpus=1"]
    with room.command("train", f"s3://{room.s3.bucket}/labelled", out, *recipe) as run:
        run.until(lambda: " 1/5 " in run.log.read_text())
        room.join(three, cpus=3)
        run.until(lambda: " 2/5 " in run.log.read_text())
        assert not any("_Board" in command for host in room.workers for command in host.processes().values())
        assert " 5/5 " not in run.log.read_text(), "too late to kill a host"
        two.kill()
    words = run.log.read_text()
    assert " 5/5 " in words
    assert words.count(" 1/5 ") == 1, "it began again instead of resuming"
    assert model_folder.load(out).spec.preset == "baseline"
    assert not os.environ.get("RAY_ADDRESS")
