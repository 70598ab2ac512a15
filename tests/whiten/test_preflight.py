"""What a node says when it can't do the work."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from glasseg.catalog import lock
from glasseg.storage.roots import Folder
from jobs.whiten.order import Order
from jobs.whiten.preflight import trouble

HERE = version("glasseg")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    source, destination = Folder(tmp_path / "in"), Folder(tmp_path / "out")
    source.write("a.jpg", b"a photo")
    destination.write(lock.LOCK, b"{}")
    return Order(source, destination, "run", 1, "model", "options", mask=False, quality=95, max_pixels=1)


def test_a_node_that_sees_both_places_can_do_the_work(order: Order) -> None:
    assert trouble(HERE, (order,), "a.jpg") is None


def test_a_folder_of_another_machine_is_told_from_a_photo_that_nobody_can_read(order: Order, tmp_path: Path) -> None:
    elsewhere = replace(order, source=Folder(tmp_path / "elsewhere"))
    assert "can't read the source" in (trouble(HERE, (elsewhere,), "a.jpg") or "")
    assert trouble(HERE, (elsewhere,), None) is None  # the driver can't read it either: a matter of that photo


def test_a_destination_without_the_runs_lock_is_another_folder(order: Order, tmp_path: Path) -> None:
    said = trouble(HERE, (replace(order, destination=Folder(tmp_path / "local")),), "a.jpg")
    assert "does not see the destination" in (said or "")


def test_another_glasseg_is_refused(order: Order) -> None:
    assert "has glasseg" in (trouble("0.0.1", (order,), "a.jpg") or "")
