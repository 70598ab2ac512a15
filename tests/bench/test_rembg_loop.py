"""`--versus-rembg`: the refusals, and the real package with a network of one layer, where both are installed."""

from __future__ import annotations

import importlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glasseg.errors import GlassegError
from glasseg.images import encoder
from glasseg.storage.folder import Folder
from jobs.bench import rembg_loop
from jobs.whiten.order import Order


def test_a_missing_package_is_one_line_that_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rembg_loop, "PACKAGES", ("no_such_package",))
    with pytest.raises(GlassegError, match=r'^--versus-rembg needs no_such_package: pip install "rembg\[cpu\]"$'):
        rembg_loop.found(tmp_path / "isnet.onnx", verbose=False)


def test_a_missing_model_is_one_line_that_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rembg_loop, "PACKAGES", ())
    with pytest.raises(GlassegError, match=r"^there is no .*isnet.onnx: rembg's IS-Net is https://.*\.onnx$"):
        rembg_loop.found(tmp_path / "isnet.onnx", verbose=False)


def one_layer(path: Path, side: int) -> Path:
    """A model file with the shapes of rembg's: the mean of the colours is the mask."""
    onnx = importlib.import_module("onnx")
    given, made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, channels, side, side])
        for name, channels in (("given", 3), ("made", 1))
    )
    mean = onnx.helper.make_node("ReduceMean", ["given"], ["made"], axes=[1], keepdims=1)
    graph = onnx.helper.make_graph([mean], "one layer", [given], [made])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("side", [320, 1024])
def test_rembg_puts_photos_on_white(side: int, tmp_path: Path) -> None:
    for name in ("onnx", *rembg_loop.PACKAGES):
        pytest.importorskip(name)
    model = one_layer(tmp_path / "one.onnx", side)
    assert rembg_loop.found(model, verbose=True)["model"] == "one.onnx"
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[:, 30:] = (250, 120, 20)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.jpg").write_bytes(encoder.encode(photo, "jpeg", 95))
    order = Order(
        Folder(tmp_path / "in"), Folder(tmp_path / "out"), "", 1, "", "", mask=False, quality=95, max_pixels=1
    )
    rembg_loop.remove(order, model, ["a.jpg", "b.jpg"], 2, verbose=True)
    for name in ("a", "b"):
        made = np.asarray(Image.open(BytesIO((tmp_path / "out" / f"{name}.jpg").read_bytes())))
        assert made.shape == (40, 60, 3)
        assert made[:, :20].min() > 250  # the darkest of the photo is what this network takes for the background
        assert abs(made[20, 50].astype(int) - (250, 120, 20)).max() < 25  # twice a JPEG


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    for name in ("onnx", *rembg_loop.PACKAGES):
        pytest.importorskip(name)
    with pytest.raises(GlassegError, match=r"neither an IS-Net nor a U²-Net"):
        rembg_loop.found(one_layer(tmp_path / "one.onnx", 512), verbose=True)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(GlassegError, match=r"rembg can't open .*broken.onnx"):
        rembg_loop.found(tmp_path / "broken.onnx", verbose=False)
