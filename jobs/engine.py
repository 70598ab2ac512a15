"""Ray, started and stopped quietly: an address that was given, RAY_ADDRESS, else a local cluster of our own."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from glasseg.errors import GlassegError

CONNECT_SECONDS = 10.0
LONGEST_TMPDIR = 35
"""Bytes of TMPDIR with which the paths of Ray's sockets are still short enough for the system, which allows 107."""
_UNREAD = ("RAY_enable_metrics_collection", "RAY_task_events_report_interval_ms", "RAY_event_stats")
"""What Ray records for its dashboard, which a cluster of our own does not have: half a percent of two cores."""


@contextmanager
def engine(address: str | None, *, cpus: int, verbose: bool) -> Iterator[None]:
    """Connect to Ray for the duration of the block; `cpus` is the size of our own cluster ("local", or no address).

    Raises GlassegError when the address can't be reached. A bare `ray.init()` would join any cluster it finds on the
    machine, so "local" is passed.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # under `uv run` Ray would upload the current folder, photos and all, and make an environment of it for each worker
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    if len(os.fsencode(os.environ.get("TMPDIR", ""))) > LONGEST_TMPDIR and os.access("/tmp", os.W_OK):
        os.environ.setdefault("RAY_TMPDIR", "/tmp")
    chosen = given_cluster(address)
    if not chosen and "ray" not in sys.modules:
        # Ray reads it on import: no machine will join, so the whole cluster can listen on 127.0.0.1
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():  # a program that brings its own connection keeps it
        import ray.data

        yield
        return

    level = logging.INFO if verbose else logging.CRITICAL
    own = {"num_cpus": cpus, "include_dashboard": False} if not chosen else {}
    if chosen:
        _refuse_unreachable(chosen)
    else:
        for record in _UNREAD:
            os.environ.setdefault(record, "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        # a second's imports, while Ray's processes start; they also set up loggers, which can be silenced only then
        with ThreadPoolExecutor(1) as aside, quiet_stderr(verbose):
            importing = aside.submit(importlib.import_module, "ray.data")
            ray.init(address=chosen or "local", log_to_driver=verbose, logging_level=level, **own)
        importing.result()
    except Exception as error:  # Ray raises a bare one when its processes do not start in time
        # RuntimeError: the cluster has another version of Ray or Python; RayError: its token is missing here
        expected = (OSError, RuntimeError, ValueError, ray.exceptions.RayError)
        if not isinstance(error, expected) and type(error) is not Exception:
            raise
        what = f"join the Ray cluster at {chosen}" if chosen else "start Ray on this machine"
        raise GlassegError(f"can't {what}: {' '.join(str(error).split())}{_hint(error)}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own handler would end the process without our last rows
    for name in ("ray", "ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    # what Ray says of a worker that died it prints to stdout, whatever `log_to_driver` is; there is no public API
    ray._private.worker._worker_logs_enabled = verbose
    try:
        yield
    finally:
        ray.shutdown()


def _hint(error: Exception) -> str:
    """The way out, where what Ray says does not name it."""
    if isinstance(error, ConnectionError):
        return "; does it have a token, and is RAY_AUTH_TOKEN set to it here?"
    if "AF_UNIX" in str(error):
        return "; set RAY_TMPDIR to a folder with a short name"
    if "timed out during startup" in str(error):
        return " Is the machine very busy? Then try again."
    return ""


@contextmanager
def bounded_retries() -> Iterator[None]:
    """Allow calls with `ray_remote_args_fn`, the one way to bound an actor's retries, without Ray's warning to users.

    Ray will rename it in 2.64, which pyproject.toml excludes.
    """
    from ray.util.annotations import RayDeprecationWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RayDeprecationWarning)
        yield


def given_cluster(address: str | None) -> str | None:
    """The address of the cluster to join, from `address` or RAY_ADDRESS; None for one of our own."""
    chosen = address or os.environ.get("RAY_ADDRESS")
    return None if chosen == "local" else chosen


def available_cpus() -> int:
    """CPUs that this process may use; in a container these may be fewer than the machine has."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "MICROSECONDS PERIOD", or "max PERIOD"
    if quota.exists():
        limit, period = quota.read_text().split()
        if limit != "max":
            cpus = min(cpus, max(1, int(limit) // int(period)))
    return cpus


def _refuse_unreachable(address: str) -> None:
    """Raise GlassegError when no Ray listens at HOST:PORT: Ray itself would keep trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" is for Ray to resolve
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise GlassegError(
            f"can't reach a Ray cluster at {address}: {error.strerror or error}; is its head running, is the port open?"
        ) from error
    if os.environ.get("RAY_USE_TLS", "0").lower() not in {"1", "true"} and not _speaks_grpc(f"{host}:{port}"):
        raise GlassegError(
            f"what listens at {address} is not a Ray cluster: give the port of its head, 6379 unless it was started "
            "with another, or 10001 after ray://"
        )


def _speaks_grpc(address: str) -> bool:
    """Whether a gRPC server answers at HOST:PORT, as Ray's head and its client server are."""
    import grpc

    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:  # as Ray goes there
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
            return True
        except grpc.FutureTimeoutError:
            return False


@contextmanager
def quiet_stderr(verbose: bool) -> Iterator[None]:
    """Keep what native code writes to file descriptor 2 off the screen, unless `verbose`.

    Ray's core even announces there that it is quiet, and TensorFlow prints a greeting before it can be told not to.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
