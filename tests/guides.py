"""What people read (the README and the guides), and what it shows: blocks of code, commands, tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from jobs.cli import cli

ROOT = Path(__file__).parents[1]
PATHS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "cluster/README.md")
GUIDES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
"""Their texts, by their paths in the repository."""


def blocks(language: str, *names: str) -> list[str]:
    """The blocks of code in a language, of all guides or of those called `names`."""
    return [found for name in names or GUIDES for found in re.findall(rf"```{language}\n(.*?)```", GUIDES[name], re.S)]


def commands(*names: str, programs: tuple[str, ...] = ("glasseg",)) -> list[str]:
    """The commands of some programs in the shell blocks of all guides or of `names`, each once."""
    lines = "\n".join(blocks("sh", *names)).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return list(dict.fromkeys(part for part in parts if part.startswith(tuple(f"{one} " for one in programs))))


def section(name: str, heading: str) -> str:
    """The text of a guide from a heading to the next one of the same level."""
    [level] = re.findall(rf"^(#+) {re.escape(heading)}$", GUIDES[name], re.M)
    return re.split(rf"^#{{1,{len(level)}}} ", GUIDES[name].split(f"\n{level} {heading}\n")[1], flags=re.M)[0]


def first_cells(text: str) -> list[str]:
    """The names in the first cells of the tables in a text, where these are written as code."""
    cells = re.findall(r"^\| (`[^|]+`) \|", text, re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def parse(command: str) -> click.Context:
    """A command as the real `glasseg` or `ray` understands it, without running it; raises click's exceptions."""
    program, *words = shlex.split(command, comments=True)
    found, parent = _ray() if program == "ray" else cli, None
    while isinstance(found, click.Group):
        parent = click.Context(found, parent, **found.context_settings)  # its settings hold for the commands in it
        name, *words = words
        found = found.commands[name]
    return found.make_context(program, words, parent)


def _ray() -> click.Command:
    from ray.scripts.scripts import cli as ray  # it takes seconds

    return ray
