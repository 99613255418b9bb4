"""Tests rules for the tests themselves, each with the list of what breaks it."""

from __future__ import annotations

import ast
import os
import pathlib

import pytest

TESTS = pathlib.Path(__file__).parent
TREES = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))}


def imported(tree: ast.AST) -> set[str]:
    """Returns the modules that a file imports, by their full names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module}
    return names


def test_test_files_do_not_import_each_other() -> None:
    files = {path.stem for path in TESTS.glob("*.py")}
    offenders = {name: sorted(imported(tree) & files) for name, tree in TREES.items()}
    assert not any(offenders.values()), {name: found for name, found in offenders.items() if found}


def test_files_with_nodes_or_processes_that_have_time_limits_are_marked_graph() -> None:
    """Marked files run one at a time, as test/conftest.py says."""
    timed = {"support.node_harness", "support.robot_rig", "support.spinner", "rclpy.executors", "psutil"}
    marked = {name for name, tree in TREES.items() if "pytest.mark.graph" in ast.unparse(tree)}
    offenders = {
        name: sorted(imported(tree) & timed)
        for name, tree in TREES.items()
        if name.startswith("test_") and name not in marked
    }
    assert not any(offenders.values()), {name: found for name, found in offenders.items() if found}


def test_pytest_xdist_knows_the_group_of_each_test(request: pytest.FixtureRequest) -> None:
    """A worker of pytest-xdist writes the group behind the name. A pair of versions that do not fit loses it silently.

    Each worker would then build the fixtures of each file, and graphs with time limits would run beside each other.
    """
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@test_tests") == is_worker


LIBRARIES = {"_replace", "_asdict", "_fields", "_flax_dataclass", "_exit"}
"""The private names of libraries that tests may use.

They are those of every namedtuple, the mark of flax, which has no public way to ask, and the documented end of a child.
"""


def private_names(tree: ast.AST) -> set[str]:
    """Returns what a file reads or sets of others under a private name, with its line."""
    defined = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_own(node)}
    found = {(name, node.lineno) for node in ast.walk(tree) for name in names_of(node)}
    return {f"{name}:{line}" for name, line in found if is_private(name) and name not in defined | LIBRARIES}


def names_of(node: ast.AST) -> list[str]:
    """Returns the names of others in one node.

    They are attributes, what is imported, and the texts that setattr and its like get.
    """
    if isinstance(node, ast.Attribute):
        return [] if is_own(node) else [node.attr]
    if isinstance(node, ast.ImportFrom):
        return [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("getattr", "setattr", "delattr")):
        texts = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
        return [name for text in texts if isinstance(text, str) for name in text.split(".")]
    return []


def is_own(node: ast.Attribute) -> bool:
    """Returns whether an attribute belongs to the class in which it is written."""
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def is_private(name: str) -> bool:
    """Returns whether a name is private, which is to have one leading underscore."""
    return name.startswith("_") and not name.startswith("__")


def test_no_test_reads_private_names() -> None:
    offenders = {name: sorted(private_names(tree)) for name, tree in TREES.items()}
    assert not any(offenders.values()), {name: found for name, found in offenders.items() if found}
