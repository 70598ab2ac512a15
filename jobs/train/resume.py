"""What an unfinished run leaves in OUT, and whether a run begins there, resumes the unfinished one or is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from glasseg.config import TrainConfig
from glasseg.errors import GlassegError, PhotoError
from glasseg.model import folder as model_folder
from glasseg.storage.roots import Folder, Root, tidy
from jobs.terminal import say

UNFINISHED: Final = "_training/"
"""Below OUT, what an unfinished run needs to be resumed; deleted when the model is complete."""
RUN_JSON: Final = UNFINISHED + "run.json"
"""What the unfinished run trains on and how: its recipe, the fingerprint of its data, the model it started from."""
CHANGEABLE: Final = {"epochs", "cooldown", "sides", "learning_rate", "patience"}
"""Fields of the recipe that may be changed when a run is resumed: how long, how large and how fast."""


def refuse_finished(root: Root, *, overwrite: bool) -> None:
    """Raises GlassegError when OUT holds a finished model."""
    if root.exists(model_folder.SPEC_NAME) and not root.exists(RUN_JSON) and not overwrite:
        raise GlassegError(f"{root.uri} already holds a finished model: choose another place, or add --overwrite")


def unfinished(root: Root) -> dict[str, Any] | None:
    """What an unfinished run has noted in OUT, None when there is none. Raises GlassegError when it can't be read."""
    if not root.exists(RUN_JSON):
        return None
    try:
        noted = json.loads(root.read(RUN_JSON)[0])
    except (PhotoError, ValueError) as error:
        raise GlassegError(f"{root.uri_of(RUN_JSON)} can't be read: {error}; start again with --overwrite") from error
    return dict(noted)


def resumed(config: TrainConfig, noted: dict[str, Any], chosen: Collection[str]) -> TrainConfig:
    """`config` with what an unfinished run `noted` for every field that is not `chosen`.

    Raises GlassegError for words that this glasseg does not know.
    """
    names = {one.name for one in fields(TrainConfig)} & noted.keys() - set(chosen)
    own: dict[str, Any] = {name: noted[name] for name in names}
    own |= {name: tuple(value) for name, value in own.items() if isinstance(value, list)}
    try:
        return replace(config, **own)
    except ValueError as error:
        raise GlassegError(f"the unfinished run can't be resumed: {error}; start again with --overwrite") from error


def begin_or_resume(root: Root, about: dict[str, Any], *, overwrite: bool) -> str | None:
    """Note in OUT what this run is, unless the unfinished run there differs from it.

    Returns the id of the model that the run started from, None for untrained weights. Raises GlassegError for an
    unfinished run on other data or of another recipe, and when OUT can't be written to.
    """
    mine = {"fingerprint": about["data"]["fingerprint"], "from": about["started_from"], **about["recipe"]}
    mine = json.loads(json.dumps(mine))  # as it will be read
    theirs = None if overwrite else unfinished(root)
    if theirs is None:
        clear(root)
        _delete_model(root)
    else:
        mine["from"] = mine["from"] or theirs.get("from")  # --start-from need not be repeated
        _refuse_other(root, mine, theirs)
        changed = [
            f"{name} {mine[name]} instead of {theirs[name]}"
            for name in sorted(CHANGEABLE & mine.keys())
            if mine[name] != theirs.get(name)
        ]
        say("  " + ", ".join(["resuming the unfinished run in it", *changed]))
    write(root, RUN_JSON, json.dumps(mine, indent=2).encode())
    return mine["from"]


def _refuse_other(root: Root, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raises GlassegError when the unfinished run in OUT, `theirs`, is another than `mine`."""
    other = sorted(name for name in mine if mine[name] != theirs.get(name) and name not in CHANGEABLE)
    if "fingerprint" in other:
        raise GlassegError(f"{root.uri} holds an unfinished run on other data: choose another OUT, or --overwrite")
    if other:
        name = other[0]
        raise GlassegError(
            f"{root.uri} holds an unfinished run with {name} {theirs.get(name)}, not {mine[name]}: "
            f"resume that one, or start again with --overwrite"
        )


def clear(root: Root) -> None:
    """Delete what only an unfinished run needs; first the note that there is one. Raises GlassegError if it can't."""
    try:
        root.delete(RUN_JSON)
        if not isinstance(root, Folder):
            for entry in list(root.list(UNFINISHED)):
                root.delete(entry.key)
        elif (root.path / UNFINISHED).exists():
            _remove(root.path / UNFINISHED)
    except (OSError, GlassegError, PhotoError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise GlassegError(f"can't delete {root.uri_of(UNFINISHED)}: {why}") from error
    tidy(root)


def _remove(folder: Path) -> None:
    """Delete a folder, but for what NFS keeps in it until nobody has the deleted file open any more."""
    shutil.rmtree(folder, ignore_errors=True)
    left = [path.name for path in folder.rglob("*") if not path.is_dir()]
    if folder.exists() and not (left and all(name.startswith(".nfs") for name in left)):
        shutil.rmtree(folder)  # raises why it can't


def clear_finished(root: Root) -> None:
    """Delete what the finished run needed. The model is complete: what can't be deleted is only worth a warning."""
    try:
        clear(root)
    except GlassegError as error:
        say(f"  warning: {error}; the model is complete: delete that folder by hand")


def _delete_model(root: Root) -> None:
    try:
        root.delete(model_folder.SPEC_NAME)
    except PhotoError as error:
        raise GlassegError(f"can't replace the model in {root.uri}: {error}") from error


def write(root: Root, name: str, data: bytes) -> None:
    """Write a file into OUT. Raises GlassegError if it can't."""
    try:
        root.write(name, data)
        root.sync([name])
    except PhotoError as error:
        raise GlassegError(f"can't write to {root.uri}: {error}") from error
