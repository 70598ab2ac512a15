"""A real S3 server for the whole test session, and roots that every storage test runs on."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import pytest
from s3server import ADMIN, S3Server, create_buckets, start_server

hypothesis.settings.register_profile("glasseg", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("glasseg")
# a background job of a shell starts with Ctrl-C ignored, and so would the commands that tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tests that start Ray come first: they take longest, and the others fill what is left of two processes."""
    items.sort(key=lambda item: "ray_session" not in item.fixturenames and not item.get_closest_marker("ray"))


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """No test waits for its disk: what it writes need not outlast a power cut. Commands that it starts do wait."""
    with mock.patch.object(os, "fsync", lambda descriptor: None):
        yield


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


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[], str]:
    """Makes fresh empty folders, one per call."""

    def fresh() -> str:
        folder = tmp_path / uuid.uuid4().hex[:8]
        folder.mkdir()
        return str(folder)

    return fresh


@pytest.fixture(params=["folder", "s3"])
def new_uri(request: pytest.FixtureRequest, new_folder: Callable[[], str]) -> Callable[[], str]:
    """Makes uris of fresh empty roots, one per call: folders in one run of the test, S3 prefixes in the other.

    For tests of the storage itself, and one of each kind of place that a command takes; others ask for `new_folder`.
    """
    if request.param == "folder":
        return new_folder
    server: S3Server = request.getfixturevalue("s3")
    return lambda: f"s3://{server.bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def folder_uri(new_folder: Callable[[], str]) -> str:
    """One fresh empty folder."""
    return new_folder()


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

    from glasseg.model.segmenter import _limit_threads

    _limit_threads(tf, 1)
    return tf


@pytest.fixture(scope="session")
def untrained_folder(tensorflow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the compact network with random weights, always the same ones; its masks mean nothing."""
    import keras

    from glasseg.model import folder as model_folder
    from glasseg.model import unet

    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("untrained")
    alpha = {"threshold": 0.5, "ramp": 0.6}
    model_folder.save(folder, unet.build("compact"), resize="letterbox", passes=1, training={"minutes": 0}, **alpha)
    return folder


@pytest.fixture(scope="session")
def untrained_model(untrained_folder: Path) -> Any:
    """The ModelFolder of `untrained_folder`."""
    from glasseg.model import folder as model_folder

    return model_folder.load(str(untrained_folder))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for the module; skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no browser tests: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no browser tests: chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
