"""Ray, started and stopped quietly: an address that was given, RAY_ADDRESS, else a local cluster of our own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from glasseg.errors import GlassegError

CONNECT_SECONDS = 10.0


@contextmanager
def engine(address: str | None, *, cpus: int, verbose: bool) -> Iterator[None]:
    """Connect to Ray for the time of the block; `cpus` is the size of a cluster of our own ("local", or no address).

    Raises GlassegError when the address can't be reached. A bare `ray.init()` would join any cluster it finds on the
    machine, so "local" is said.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data  # sets up its loggers; after that they can be quietened

    if ray.is_initialized():  # a program that brings its own connection keeps it
        yield
        return

    level = logging.INFO if verbose else logging.CRITICAL
    chosen = given_cluster(address)
    own = {"num_cpus": cpus, "include_dashboard": False} if not chosen else {}
    if own:
        os.environ.setdefault("RAY_enable_metrics_collection", "0")  # nobody could read them, and they cost CPU
    if chosen:
        _refuse_unreachable(chosen)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with nullcontext() if verbose else _quiet_stderr():
            ray.init(address=chosen or "local", log_to_driver=verbose, logging_level=level, **own)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: another version of Ray or Python there
        what = f"reach a Ray cluster at {chosen}" if chosen else "start Ray on this machine"
        raise GlassegError(f"can't {what}: {str(error).splitlines()[0]}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own handler would end the process without our last rows
    for name in ("ray", "ray.data", "ray.train", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        ray.shutdown()


def given_cluster(address: str | None) -> str | None:
    """The address of the cluster to join, from `address` or RAY_ADDRESS; None for one of our own."""
    chosen = address or os.environ.get("RAY_ADDRESS")
    return None if chosen == "local" else chosen


def available_cpus() -> int:
    """CPUs that this process may use; in a container fewer than the machine has."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "MICROSECONDS PERIOD", or "max PERIOD"
    if quota.exists():
        limit, period = quota.read_text().split()
        if limit != "max":
            cpus = min(cpus, max(1, int(limit) // int(period)))
    return cpus


def room(cpus: int, gpus: float) -> int:
    """How many workers of so many CPUs and GPUs the connected cluster holds; GlassegError for none.

    Ray itself would wait for ever.
    """
    import ray

    wants = [(kind, amount) for kind, amount in (("CPU", cpus), ("GPU", gpus)) if amount]
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = sum(min(int(node.get(kind, 0) // amount) for kind, amount in wants) for node in nodes)
    if found < 1:
        has = ray.cluster_resources()
        raise GlassegError(
            f"the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, one worker wants "
            f"{cpus} and {gpus:g}: lower --cpus-per-worker or --gpus-per-worker"
        )
    return found


def _refuse_unreachable(address: str) -> None:
    """Raise GlassegError when nothing listens at HOST:PORT: Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto": Ray knows what is meant
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise GlassegError(
            f"can't reach a Ray cluster at {address}: {error.strerror or error}; is its head running, is the port open?"
        ) from error


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep what native code writes to file descriptor 2 off the screen: Ray's core says there even that it is quiet."""
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
