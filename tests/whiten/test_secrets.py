"""No credential is left anywhere, and a Ray of our own can't be reached from outside: a real run, looked all over."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import pyarrow.parquet as pq
import pytest
from drawnphotos import drawn
from faultyproxy import proxied
from raycluster import below, command_of
from s3server import S3Server, free_ports

from glasseg.catalog import manifest
from glasseg.storage.roots import Bucket
from jobs.whiten import rescue

KEY, SECRET, TOKEN = "AKIAPLANTEDDONOTPRINT", "planted/secret+do/not=print", "planted-token-do-not-print=="
PLANTED = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
WORDS = (KEY, SECRET, quote(SECRET, safe=""), TOKEN, quote(TOKEN, safe=""))
LOOPBACK = ("127.0.0.1", "::ffff:127.0.0.1", "::1")


def glasseg(*words: str, **environment: str) -> subprocess.Popen[str]:
    """The command with the planted credentials, and nothing else of ours that names a server."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RAY_"))}
    inherited |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-m", "jobs.cli", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**inherited, **PLANTED, **environment})


@dataclass
class Watched:
    """What a run said and left, and what could be seen of its processes while it worked."""

    code: int = -1
    said: str = ""
    commands: set[str] = field(default_factory=set)
    listening: dict[tuple[str, int], str] = field(default_factory=dict)
    """By the address and port, who listens there."""
    left: dict[str, str] = field(default_factory=dict)
    """By name, the content of every file."""

    def look(self, pid: int) -> None:
        """Note the command lines of a process and all below it, and where they listen."""
        for one in (pid, *below(pid)):
            self.commands.add(command_of(one))
            with suppress(psutil.Error):  # it has just ended
                for socket in psutil.Process(one).net_connections("tcp"):
                    if socket.status == psutil.CONN_LISTEN:
                        self.listening[socket.laddr] = command_of(one)[:100]


def text_of(data: bytes, name: str) -> str:
    """What is to be searched in a file: of parquet, which is compressed, its rows."""
    return str(pq.read_table(io.BytesIO(data)).to_pylist()) if name.endswith(".parquet") else data.decode("latin-1")


@pytest.fixture(scope="module")
def watched(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A run between buckets, verbose, under docs/security.md's policy, with a broken photo and a file of others."""
    source, destination, seen = Bucket(s3.bucket, "raw"), Bucket(s3.bucket, "white"), Watched()
    for root in (source, destination):
        for entry in list(root.list()):
            root.delete(entry.key)
    for seed in range(3):
        source.write(f"{seed}.jpg", drawn(seed))
    source.write("broken.jpg", drawn(3)[:2000])
    destination.write("1.jpg", b"a picture of somebody else")
    summary, ray = tmp_path_factory.mktemp("summary") / "summary.json", Path(tempfile.mkdtemp(dir="/tmp"))
    ended = threading.Event()

    def watch(pid: int) -> None:
        while not ended.wait(0.3):
            seen.look(pid)

    try:
        with proxied(s3.endpoint_url, like_aws=True, keys=s3.narrow) as proxy:
            words = ["--endpoint-url", proxy.url, "--verbose", "--mask", "--summary-json", str(summary)]
            run = glasseg("whiten", source.uri, destination.uri, *words, RAY_TMPDIR=str(ray))
            watcher = threading.Thread(target=watch, args=(run.pid,))
            watcher.start()
            out, err = run.communicate(timeout=240)
            ended.set()
            watcher.join()
        seen.code, seen.said = run.returncode, out + err
        seen.left = {one.key: text_of(destination.read(one.key)[0], one.key) for one in destination.list()}
        files = [summary, *(path for path in ray.rglob("*") if path.is_file() and not path.is_symlink())]
        seen.left |= {str(path): text_of(path.read_bytes(), path.name) for path in files}
        yield seen
    finally:
        shutil.rmtree(ray)


@pytest.mark.ray
@pytest.mark.slow
def test_the_smallest_policy_will_do(s3: S3Server, watched: Watched) -> None:
    assert watched.code == 0, watched.said
    rows = manifest.read(Bucket(s3.bucket, "white")).sort_by("key").to_pylist()
    assert [row["error_code"] for row in rows if row["status"] == "failed"] == ["foreign", "unreadable"]
    assert sum(row["published"] for row in rows) == 2
    assert watched.left["1.jpg"] == "a picture of somebody else"
    assert any(name.endswith("/index.html") for name in watched.left), "the page"


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_leaves_no_credential(watched: Watched) -> None:
    token = Path.home() / ".ray/auth_token"
    words = [*WORDS, *([token.read_text()] if token.exists() else [])]
    places = {**watched.left, "stdout and stderr": watched.said, "command lines": "\n".join(watched.commands)}
    assert not [(name, word[:6]) for name, text in places.items() for word in words if word in text]
    for place in ("gcs_server", "raylet", "ray::"):
        assert place in places["command lines"], "not all processes were seen"
    assert sum("/logs/" in name for name in watched.left) > 5, "Ray's logs were not seen"


@pytest.mark.ray
@pytest.mark.slow
def test_a_ray_of_our_own_listens_on_this_machine_only(watched: Watched) -> None:
    assert any("raylet" in who for who in watched.listening.values()), "no socket was seen"
    assert not {at: who for at, who in watched.listening.items() if at[0] not in LOOPBACK}


@pytest.mark.parametrize("how", ["option", "environment"])
@pytest.mark.parametrize(
    "address", ["https://someone:pass-word@s3.example.com", "http://s3.example.com?X-Amz-Key=pass-word"]
)
def test_an_endpoint_with_a_secret_is_refused(tmp_path: Path, how: str, address: str) -> None:
    words, environment = (["--endpoint-url", address], {}) if how == "option" else ([], {"AWS_ENDPOINT_URL": address})
    run = glasseg("whiten", "s3://photos/raw", str(tmp_path / "out"), *words, **environment)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 2 and err.count("\n") == 1 and "s3.example.com" in err and "AWS_ACCESS_KEY_ID" in err
    assert not [word for word in ("someone", "pass-word", *WORDS) if word in out + err]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "place",
    ["s3://AKIAINURL:pass-word/more@photos/raw", "https://photos.s3.example.com/raw/a.jpg?X-Amz-Signature=pass-word"],
)
def test_a_place_with_a_secret_is_refused_without_telling_it(tmp_path: Path, place: str) -> None:
    for words in ((place, str(tmp_path / "out")), (str(tmp_path), place)):
        run = glasseg("whiten", *words)
        out, err = run.communicate(timeout=60)
        assert run.returncode == 2 and err.count("\n") == 1 and "is neither a folder nor s3://" in err
        assert not [word for word in ("AKIAINURL", "pass-word", "more", *WORDS) if word in out + err]


@pytest.mark.slow
def test_a_destination_that_fails_is_said_without_secrets(s3: S3Server, tmp_path: Path) -> None:
    """Refused by the policy, by credentials that are not known there, and by a server that is not there."""
    (tmp_path / "a.jpg").write_bytes(drawn(1))
    with proxied(s3.endpoint_url, keys=s3.narrow) as proxy:
        closed = f"http://127.0.0.1:{free_ports(1)[0]}"
        for endpoint, why in (
            (proxy.url, "no permission"),
            (s3.endpoint_url, "the access key is not known"),
            (closed, "can't reach"),
        ):
            run = glasseg("whiten", str(tmp_path), "s3://photos/elsewhere", "--verbose", "--endpoint-url", endpoint)
            out, err = run.communicate(timeout=60)
            assert run.returncode == 1 and why in err and err.count("\n") == 1, err
            assert not [word for word in WORDS if word in out + err]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ACCESS_KEY_ID", KEY + "\n"),
        pytest.param("AWS_SESSION_TOKEN", TOKEN[:9] + "\n" + TOKEN[9:], marks=pytest.mark.slow),
        pytest.param("AWS_DEFAULT_REGION", "us-east-1\n", marks=pytest.mark.slow),
        pytest.param("AWS_DEFAULT_REGION", SECRET, marks=pytest.mark.slow),
    ],
)
def test_a_variable_that_can_not_be_sent_is_refused_without_telling_it(tmp_path: Path, name: str, value: str) -> None:
    words = ["--verbose", "--log-json", "--endpoint-url", f"http://127.0.0.1:{free_ports(1)[0]}"]
    run = glasseg("whiten", "s3://photos/raw", str(tmp_path / "out"), *words, **{name: value})
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and err.count("\n") == 1 and name in json.loads(err)["message"]
    assert not [word for word in (*WORDS, TOKEN[:9], TOKEN[9:], "Signature", "us-east-1") if word in out + err]


def test_a_traceback_tells_no_secret(tmp_path: Path) -> None:
    """A bug in the code of others, which quotes what it could not use."""
    (tmp_path / "buggy.py").write_text(
        "import os\nfrom jobs import cli\n"
        "cli.cli.main = lambda **words: int(os.environ['AWS_SESSION_TOKEN'] + os.environ['AWS_ACCESS_KEY_ID'])\n"
        "cli.main()\n"
    )
    environment = {**os.environ, **PLANTED, "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(
        [sys.executable, tmp_path / "buggy.py"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1 and "Traceback" in ran.stderr and "ValueError: invalid literal for int()" in ran.stderr
    assert not [word for word in WORDS if word in ran.stdout + ran.stderr]


def test_a_row_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    code, told = rescue._described(ValueError(f"Invalid header value b'{TOKEN}' for https://user:pass-word@host"))
    assert code == "internal_error" and told.startswith("ValueError: Invalid header value")
    assert not [word for word in (*WORDS, "pass-word") if word in told]
