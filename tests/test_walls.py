"""Which package may import which: a package knows those below it, and no two modules import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("jobs.__main__",),
    ("jobs.cli",),
    ("jobs.bench", "jobs.demo"),
    ("jobs.correct",),
    ("jobs.train", "jobs.whiten"),
    ("jobs.destination", "jobs.evaluate"),
    ("jobs",),
    ("glasseg.report",),
    ("glasseg.evaluation",),
    ("glasseg.training",),
    ("glasseg.labels",),
    ("glasseg.catalog", "glasseg.cutout"),
    ("glasseg.lists", "glasseg.model"),
    ("glasseg.images", "glasseg.storage"),
    ("glasseg.drawing",),
    ("glasseg",),
)
"""From the roof to the ground. `jobs` and `glasseg` are the modules at their roots."""
PACKAGES = [package for floor in FLOORS for package in floor]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for top in ("glasseg", "jobs")
    for path in sorted((ROOT / top).rglob("*.py"))
}


def package_of(module: str) -> str:
    """The package of `FLOORS` in which a module lies."""
    return max((one for one in PACKAGES if module == one or module.startswith(one + ".")), key=len)


def imports(module: str) -> Iterator[str]:
    """The modules of ours that a module imports, at its top or within a function."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ({name for name in names if name in MODULES} or {node.module})


# the preflight's question to a node imports the module it is written in, since it travels there by value
USES = {module: sorted(set(imports(module)) - {module}) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_package_imports_only_from_packages_below_it(module: str) -> None:
    floor = {package: number for number, floor in enumerate(FLOORS) for package in floor}
    mine = package_of(module)
    for used in USES[module]:
        theirs = package_of(used)
        assert theirs == mine or floor[theirs] > floor[mine], f"{module} imports {used}"


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(USES).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_library_knows_neither_ray_nor_click() -> None:
    for module, path in MODULES.items():
        if module.startswith("glasseg"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.split(".")[0] for name in names} & {"ray", "click"}, module


def test_every_module_lies_in_a_package_of_the_plan() -> None:
    found = {module.rsplit(".", 1)[0] for module in MODULES if "." in module}
    assert found - {"glasseg", "jobs"} == set(PACKAGES) - {"glasseg", "jobs", "jobs.cli", "jobs.__main__"}


def test_print_who_imports_whom(capsys: pytest.CaptureFixture[str]) -> None:
    """`pytest -k who_imports_whom -s` shows the matrix; a mark: the package of the row imports that of the column."""
    pairs = {(package_of(module), package_of(used)) for module, all_used in USES.items() for used in all_used}
    width = max(map(len, PACKAGES))
    lines = ["".ljust(width + 1) + " ".join(f"{number:>2}" for number in range(len(PACKAGES)))]
    for number, package in enumerate(PACKAGES):
        marks = [" •" if (package, other) in pairs and package != other else " ·" for other in PACKAGES]
        lines.append(f"{package.ljust(width)} {' '.join(marks)}  {number}")
    print("\n".join(lines))
    below = [line.split()[1:-1][: number + 1] for number, line in enumerate(lines[1:])]
    assert all("•" not in marks for marks in below), "a mark left of the diagonal is an import from above"
