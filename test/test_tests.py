"""Rules for the tests themselves, each with the list of what breaks it."""

from __future__ import annotations

import ast
import pathlib

TESTS = pathlib.Path(__file__).parent
TREES = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(TESTS.rglob("*.py"))}


def imported(tree: ast.AST) -> set[str]:
    """The modules that a file imports, by their full names."""
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
    """They run one at a time then; test/conftest.py says how."""
    timed = {"support.node_harness", "support.robot_rig", "rclpy.executors", "psutil"}
    marked = {name for name, tree in TREES.items() if "pytest.mark.graph" in ast.unparse(tree)}
    offenders = {
        name: sorted(imported(tree) & timed)
        for name, tree in TREES.items()
        if name.startswith("test_") and name not in marked
    }
    assert not any(offenders.values()), {name: found for name, found in offenders.items() if found}
