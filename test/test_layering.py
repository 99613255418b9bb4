"""Imports run one way, ROS stays in nodes/, and the nodes beside the policy do not load JAX. See docs/design.md."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = "chunk_ppo_ros"
ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))

# From the ground up: a room may import the ground, the rooms named here, and itself. The other modules at the top of
# the package are the agent and the commands, which may import every room but the nodes.
# `pytrees` and `value_support` are the ground of the rooms with JAX: the types, made known to it, and what a value is.
GROUND = {"types", "config", "chunk_length", "errors", "seeds", "interrupts", "supervised", "workers"}
ROOMS: dict[str, set[str]] = {
    "robot": set(),
    "sim": {"robot"},
    "rewards": {"robot"},
    "model": {"robot", "pytrees", "value_support"},
    "rl": {"robot", "pytrees", "value_support"},
}
ROS = {"rclpy", "rcl_interfaces", "ament_index_python", "lifecycle_msgs", "diagnostic_msgs", "chunk_ppo_msgs"}
ROS |= {"std_msgs", "std_srvs", "sensor_msgs", "trajectory_msgs", "builtin_interfaces", "rosgraph_msgs", "cv_bridge"}
JAX = {"jax", "jaxlib", "flax", "optax", "orbax"}
STANDARD_AND_NUMPY = {*sys.stdlib_module_names, "numpy"}


def modules(tree: ast.AST) -> set[str]:
    """Full names of everything that a file imports, inside functions as well, outside TYPE_CHECKING."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found |= modules(node)
    return found


IMPORTS = {path.relative_to(ROOT / PACKAGE): modules(ast.parse(path.read_text(encoding="utf-8"))) for path in FILES}


def foreign(path: pathlib.Path) -> set[str]:
    """Top names of what a file imports from outside of the package."""
    return {name.split(".")[0] for name in IMPORTS[path]} - {PACKAGE, "__future__"}


def own(path: pathlib.Path) -> set[str]:
    """First names below the package of what a file imports from inside."""
    return {name.split(".")[1] for name in IMPORTS[path] if name.startswith(f"{PACKAGE}.")}


def test_there_is_something_to_look_at() -> None:
    assert {path.parts[0] for path in IMPORTS} >= {*ROOMS, "nodes"}
    assert "config" in own(pathlib.Path("rewards/assembler.py"))
    assert "rclpy" in foreign(pathlib.Path("nodes/qos.py"))


@pytest.mark.parametrize("path", [path for path in IMPORTS if path.parts[0] != "nodes"], ids=str)
def test_only_nodes_import_ros(path: pathlib.Path) -> None:
    assert not foreign(path) & ROS
    assert "nodes" not in own(path)


@pytest.mark.parametrize("path", [path for path in IMPORTS if path.parts[0] in ROOMS], ids=str)
def test_rooms_import_only_what_is_below(path: pathlib.Path) -> None:
    allowed = GROUND | ROOMS[path.parts[0]] | {path.parts[0]}
    assert own(path) - {"__version__"} <= allowed


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_imports_the_standard_library_and_numpy(name: str) -> None:
    path = pathlib.Path(f"{name}.py")
    assert foreign(path) <= STANDARD_AND_NUMPY
    assert own(path) <= GROUND


@pytest.mark.parametrize("path", [path for path in IMPORTS if path.parts[0] in ("robot", "rewards", "sim")], ids=str)
def test_the_robot_side_does_not_import_jax(path: pathlib.Path) -> None:
    assert not foreign(path) & JAX


@pytest.mark.parametrize("room", ["robot", "rewards"])
def test_robot_and_rewards_are_numpy_only(room: str) -> None:
    for path in IMPORTS:
        if path.parts[0] == room:
            assert foreign(path) <= STANDARD_AND_NUMPY, path


@pytest.mark.parametrize(
    "module",
    [
        "nodes.robot_node",
        "nodes.reward_node",
        "nodes.sim_node",
        "nodes.recorder_node",
        "graph",
        "sim",
        "robot",
        "rewards",
    ],
)
def test_a_fresh_interpreter_does_not_load_jax(module: str) -> None:
    program = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module('{PACKAGE}.{module}')\n"
        "for each in pkgutil.iter_modules(getattr(package, '__path__', []), package.__name__ + '.'):\n"
        "    importlib.import_module(each.name)\n"
        f"sys.exit(', '.join(sorted({JAX!r} & set(sys.modules))) or None)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
