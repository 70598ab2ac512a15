"""What `--versus-rembg` compares the pipeline with: rembg on the same photos, a process with one thread for each core.

A photo is decoded, its background removed with rembg's own defaults and replaced by white, and written as a JPEG.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path, PurePosixPath
from typing import Any, Final

from glasseg.errors import GlassegError
from jobs.bench.machine import version
from jobs.bench.plain_loop import shares, together
from jobs.bench.process import process, receive
from jobs.whiten.order import Order

PACKAGES = ("rembg", "onnxruntime")
MODELS: Final = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
SESSIONS: Final = {1024: "dis_custom", 320: "u2net_custom"}
"""rembg's sessions for model files, by the side of the square that the network sees: IS-Net, U²-Net and its kin."""


def found(model: Path, *, verbose: bool) -> dict[str, str]:
    """The versions of what `--versus-rembg` compares with. Raises GlassegError when it can't be used."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise GlassegError(f'--versus-rembg needs {" and ".join(missing)}: pip install "rembg[cpu]"')
    if not model.is_file():
        raise GlassegError(f"there is no {model}: rembg's IS-Net is {MODELS}/isnet-general-use.onnx")
    with process(verbose, _open, model) as pipe:
        try:
            name = receive(pipe)
        except GlassegError as error:
            raise GlassegError(f"rembg can't open {model}; add --verbose to see why") from error
    if name is None:
        raise GlassegError(f"{model} is neither an IS-Net nor a U²-Net: take {MODELS}/isnet-general-use.onnx")
    runtime = version("onnxruntime", "onnxruntime-gpu")
    return {"model": model.name, "rembg": version("rembg"), "onnxruntime": runtime}


def remove(order: Order, model: Path, keys: Sequence[str], processes: int, *, verbose: bool) -> None:
    """Put the photos called `keys` on white. Raises GlassegError when a process dies."""
    for _ in together(_remove_share, (order, model), shares(keys, processes), verbose=verbose):
        pass


def _open(pipe: Connection, model: Path) -> None:
    session = _session(model)
    pipe.send(session and session.model_name)


def _session(model: Path) -> Any:
    """A session of rembg with one thread; None when the network sees another square than those of `SESSIONS`."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["U2NET_HOME"] = str(model.parent)  # newer versions open only files that lie there
    import onnxruntime
    from rembg import new_session

    side = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].shape[-1]
    return new_session(SESSIONS[side], model_path=str(model)) if side in SESSIONS else None


def _remove_share(pipe: Connection, order: Order, model: Path, keys: Sequence[str]) -> None:
    from PIL import Image
    from rembg import remove

    session = _session(model)
    pipe.send("ready")
    pipe.recv()
    for key in keys:
        with Image.open(BytesIO(order.source.read(key)[0])) as photo:
            cut = remove(photo, session=session, bgcolor=(255, 255, 255, 255))
        made = BytesIO()
        cut.convert("RGB").save(made, "JPEG", quality=order.quality)
        order.destination.write(f"{PurePosixPath(key).stem}.jpg", made.getvalue())
    pipe.send("done")
