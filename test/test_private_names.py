"""Tests that no module of the package uses a private name of a library or of another class.

It also tests that no module states facts by `assert`.
"""

from __future__ import annotations

import ast
import pathlib

import chunk_ppo_ros

ROOT = pathlib.Path(chunk_ppo_ros.__file__).parent
TREES = {path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
ALLOWED = {"_parameter_overrides", "_exit"}
ALLOWED |= {"_actions", "_option_string_actions", "_action_groups", "_group_actions", "_positionals", "_optionals"}
"""The private names that modules may use.

They are those that rclpy has no public reader of (nodes/wire/parameters.py says why), what argparse keeps for its
subclasses, and the public function os._exit.
"""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def defined(tree: ast.AST) -> set[str]:
    """Returns the private names that a module defines: functions, fields, and attributes that are assigned."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return {name for name in names if is_private(name)}


def used(tree: ast.AST) -> set[str]:
    """Returns the private attributes that a module reads."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)}


def test_private_attributes_are_defined_in_the_module_that_uses_them() -> None:
    """A private name of a base class in another room or library does not count as defined here."""
    offenders = {str(path): used(tree) - defined(tree) - ALLOWED for path, tree in TREES.items()}
    assert not {path: names for path, names in offenders.items() if names}


def test_no_module_asserts() -> None:
    """An assertion vanishes under `python -O`. Its error says neither what must be nor what to do."""
    offenders = [
        f"{path}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert not offenders
