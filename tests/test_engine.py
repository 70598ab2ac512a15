"""Whether what answers at an address is a Ray cluster."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from glasseg.errors import GlassegError
from jobs import engine


def test_a_cluster_is_reached_past_a_proxy_for_the_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray goes to its head without one."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        engine._refuse_unreachable(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_another_server_is_not_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: [server.accept() for _ in range(2)], daemon=True)
        thread.start()
        with pytest.raises(GlassegError, match="is not a Ray cluster: give the port of its head"):
            engine._refuse_unreachable(f"127.0.0.1:{server.getsockname()[1]}")
