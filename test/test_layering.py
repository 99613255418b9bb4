"""Tests which room may import which, and what else it may import.

The table is data, and docs/design.md gives the reasons.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys

import pytest

from chunk_ppo_ros.runtime.description import NODES
from support.fresh_python import run_program

PACKAGE = "chunk_ppo_ros"
ROOT = pathlib.Path(__file__).parents[1] / PACKAGE
MAX_FILES = 15
"""The largest number of modules in one folder, without __init__.py."""

ROS = {"rclpy", "rcl_interfaces", "ament_index_python", "lifecycle_msgs", "diagnostic_msgs", "chunk_ppo_msgs"}
ROS |= {"launch", "launch_ros", "geometry_msgs", "visualization_msgs"}
ROS |= {"std_msgs", "std_srvs", "sensor_msgs", "trajectory_msgs", "builtin_interfaces", "rosgraph_msgs"}
JAX = {"jax", "jaxlib", "flax", "optax", "orbax", "jaxtyping"}

# Each room is listed with the rooms that it may import. A room may always import itself, and its folders each other.
ROOMS: dict[str, set[str]] = {
    "core": set(),
    "config": {"core"},
    "core_jax": {"core", "config"},
    "robot": {"core", "config"},
    "runtime": {"core", "config"},
    "sim": {"core", "config", "robot", "runtime"},
    "rewards": {"core", "config", "robot"},
    "data": {"core", "config", "robot"},
    "model": {"core", "config", "core_jax", "robot"},
    "rl": {"core", "config", "core_jax", "robot"},
    "reporting": {"core", "config", "data"},
    "agent": {"core", "config", "core_jax", "robot", "runtime", "sim", "rewards", "data", "model", "rl", "reporting"},
}
ROOMS["imitation"] = ROOMS["agent"] | {"agent"}
ROOMS["evaluation"] = ROOMS["imitation"] | {"imitation"}
ROOMS["nodes"] = ROOMS["evaluation"] | {"evaluation"}
ROOMS["cli"] = ROOMS["evaluation"] | {"evaluation"}
ROOMS["__main__"] = {"cli"}

# These are the packages, beside the standard library, that the rooms without a closed list may not import, and the
# closed lists.
ONLY = {"core": {"numpy"}, "config": {"yaml"}, "robot": {"numpy"}, "rewards": {"numpy"}, "runtime": set()}
WITHOUT_JAX = {"core", "config", "robot", "runtime", "sim", "rewards", "data", "reporting", "cli", "__main__"}
TYPED = {"core", "core_jax", "rewards", "robot", "model", "rl", "agent", "imitation", "evaluation"}
"""The rooms of arrays and trees, whose modules do not use `typing.Any`."""
ANY_FOR_JSON = {
    "core.distributions.histogram": "a histogram, as `json` reads it",
    "core.files.checked_json": "the object of a small file, as `json` reads it",
    "evaluation.bench.measurement": "the record of a figure, as `json` reads it",
    "evaluation.parity.parity_set": "config.json of the reference data",
    "rewards.bookkeeping.episode_progress": "the progress of a run, as `json` reads it",
}
"""The modules of those rooms that use `typing.Any` for what `json` reads, and the reason of each."""
OUTSIDE = {"experiments", "tools", "examples", "test"}
"""The folders beside the package. Their files may import the package, never the other way."""
NODES_SHARE = ("wire", "common")
"""The folders of nodes/ that the folder of a node may import, beside itself."""
NO_NODES = ("bench", "doctor", "replay")
"""The folders of nodes/ that belong to no node, and may import the folders of several."""
NODES_WITHOUT_JAX = (*(node.folder for node in NODES if not node.uses_jax), *NODES_SHARE, "operate")


def imports(tree: ast.AST) -> set[str]:
    """Returns the full names of everything that a file imports, inside functions as well.

    What is imported under TYPE_CHECKING is left out, because it is never loaded: only type checkers read it. So the
    rules of this file do not bind it, and runtime/description.py may name the type of the configuration.
    """
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found |= imports(node)
    return found


def dotted(path: pathlib.Path) -> str:
    """Returns the module of a file, relative to the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted(ROOT.rglob("*.py"))
MODULES = {dotted(path): imports(ast.parse(path.read_text(encoding="utf-8"))) for path in FILES}
del MODULES["__init__"]


def uses_any(path: pathlib.Path) -> bool:
    """Returns whether a file has `Any` or `typing.Any` somewhere, for example in an annotation."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return "Any" in attributes(path) | {node.id for node in nodes if isinstance(node, ast.Name)}


def attributes(path: pathlib.Path) -> set[str]:
    """Returns the names of all attributes that a file reads or writes, of whatever object."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def constants(path: pathlib.Path) -> set[str]:
    """Returns all strings that are written as literals in a file; docstrings and parts of f-strings are among them."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def room(module: str) -> str:
    """Returns the room of a module."""
    return module.split(".")[0]


def foreign(module: str) -> set[str]:
    """Returns the top names of what a module imports from outside of the package."""
    return {name.split(".")[0] for name in MODULES[module]} - {PACKAGE, "__future__"}


def own(module: str) -> set[str]:
    """Returns the modules of the package that a module imports. For a package it returns its `__init__`."""
    below = {name.removeprefix(f"{PACKAGE}.") for name in MODULES[module] if name.startswith(f"{PACKAGE}.")}
    return (below & set(MODULES)) - {module}


def reachable(module: str) -> set[str]:
    """Returns the modules of the package that are loaded with a module, without the `__init__` of their folders."""
    found, new = set(), {module}
    while new:
        found |= new
        new = {name for known in new for name in own(known)} - found
    return found


def listing(offenders: dict[str, set[str]]) -> str:
    """Returns one line for each offender that has something, for the message of an assertion."""
    return "".join(f"\n  {module}: {', '.join(sorted(names))}" for module, names in offenders.items() if names)


def test_there_is_something_to_look_at() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)
    assert "config" in {room(name) for name in own("rewards.assembler")}
    assert "rclpy" in foreign("nodes.wire.qos")


def test_the_root_holds_nothing_but_the_entry_points() -> None:
    assert sorted(path.name for path in ROOT.iterdir() if path.is_file()) == ["__init__.py", "__main__.py", "py.typed"]


def test_no_folder_outgrows_fifteen_files() -> None:
    folders = {path.parent for path in FILES}
    counts = {str(folder): sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert not {folder: count for folder, count in counts.items() if count > MAX_FILES}


def test_every_room_says_what_is_in_it() -> None:
    assert not [folder for folder in {path.parent for path in FILES} if not (folder / "__init__.py").is_file()]
    texts = {path: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in FILES}
    assert not [str(path) for path, text in texts.items() if not text]


def test_rooms_import_only_the_rooms_of_the_table() -> None:
    offenders = {
        module: {name for name in own(module) if room(name) not in ROOMS[room(module)] | {room(module)}}
        for module in MODULES
    }
    assert not any(offenders.values()), listing(offenders)


def test_no_imports_go_in_a_circle() -> None:
    left = {module: own(module) for module in MODULES}
    while free := [module for module, names in left.items() if not names & set(left)]:
        for module in free:
            del left[module]
    assert not left, listing({module: names & set(left) for module, names in left.items()})


def test_only_nodes_import_ros() -> None:
    offenders = {module: foreign(module) & ROS for module in MODULES if room(module) != "nodes"}
    assert not any(offenders.values()), listing(offenders)


def test_the_folder_of_a_node_imports_no_other_node() -> None:
    """What two nodes share is in nodes/wire or nodes/common.

    nodes/bench is no node, because it measures parts of several, nodes/doctor is none, because it checks what several
    need, and nodes/replay is none, because it hands over to a reward_node what the recorded one has handled.
    """
    offenders = {}
    for module in MODULES:
        room_name, *rest = module.split(".")
        if room_name == "nodes" and rest and rest[0] not in NO_NODES:
            allowed = {f"nodes.{folder}" for folder in (rest[0], *NODES_SHARE)}
            offenders[module] = {
                name for name in own(module) if room(name) == "nodes" and ".".join(name.split(".")[:2]) not in allowed
            }
    assert len(offenders) > len(NODES)
    assert not any(offenders.values()), listing(offenders)


def test_nothing_imports_what_stands_outside_of_the_package() -> None:
    assert all((ROOT.parent / folder).is_dir() for folder in OUTSIDE)
    offenders = {module: foreign(module) & OUTSIDE for module in MODULES}
    assert not any(offenders.values()), listing(offenders)


def test_rooms_with_a_closed_list_import_nothing_else() -> None:
    allowed = {name: {*sys.stdlib_module_names, *packages} for name, packages in ONLY.items()}
    offenders = {module: foreign(module) - allowed[room(module)] for module in MODULES if room(module) in ONLY}
    assert not any(offenders.values()), listing(offenders)


def test_checkpoint_folders_are_opened_in_one_place() -> None:
    """Whoever has a path of a checkpoint calls `Checkpoint.open` and hands on the value that it returns."""
    files = ("orbax_trees", "metadata_file", "metadata.read_metadata", "metadata.write_metadata")
    readers = {f"{PACKAGE}.model.checkpoints.{name}" for name in files}
    users = {module for module in MODULES if MODULES[module] & readers}
    assert users  # or nothing has these names any more
    offenders = {module: MODULES[module] & readers for module in users if not module.startswith("model.checkpoints")}
    assert not any(offenders.values()), listing(offenders)


def test_arrays_and_trees_have_types() -> None:
    """`Any` hides what an array or a tree is. `core_jax/arrays.py` has the types, and JSON can be `object`."""
    users = {dotted(path) for path in FILES if room(dotted(path)) in TYPED and uses_any(path)}
    assert not users - set(ANY_FOR_JSON), "use a type, or list the module with its reason"
    assert not set(ANY_FOR_JSON) - users, "these modules do without Any: take them out of the list"


def test_who_catches_all_errors_says_why() -> None:
    """Such a handler hides faults of the program, unless it raises or shows them, or they belong to somebody else."""
    catches_all = re.compile(r"except (Base)?Exception\b[^#]*$")
    silent = {
        f"{dotted(path)}, line {number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if catches_all.search(line)
    }
    assert not silent, "catch the errors that are expected, or say in a comment on the line why all are caught"


def test_misspelt_names_are_compared_in_one_place() -> None:
    assert {module for module in MODULES if "difflib" in foreign(module)} == {"core.suggestions"}


def test_what_is_frozen_is_decided_in_one_place() -> None:
    settings = {"freeze_image_tower", "freeze_text_tower"}
    assert {dotted(path) for path in FILES if attributes(path) & settings} == {"model.backbone.freezing"}


def test_the_groups_of_parameters_are_named_in_one_place() -> None:
    assert {dotted(path) for path in FILES if constants(path) & {"actor_backbone", "value_head"}} == {
        "core_jax.parameter_groups"
    }


def test_the_list_of_nodes_imports_the_standard_library_only() -> None:
    assert foreign("runtime.description") <= set(sys.stdlib_module_names)
    assert own("runtime.description") == set()


def test_rooms_without_jax_do_not_import_it() -> None:
    offenders = {module: foreign(module) & JAX for module in MODULES if room(module) in WITHOUT_JAX}
    assert not any(offenders.values()), listing(offenders)


def test_what_hands_our_data_types_to_jax_loads_the_room_that_registers_them() -> None:
    """`core_jax/__init__.py` registers `ModelObservation` as a pytree, whichever module of the room is imported."""
    users = {module for module in MODULES if {"jax", "flax"} & foreign(module) and "core.types" in own(module)}
    assert "rl.rollout" in users
    assert not {module for module in users if "core_jax" not in {room(name) for name in reachable(module)}}


@pytest.mark.parametrize(
    "start",
    # The demo, the other module of cli/, imports the evaluation and loads JAX by it.
    [*sorted(WITHOUT_JAX - {"cli"}), "cli.commands", *(f"nodes.{n}" for n in NODES_WITHOUT_JAX)],
)
def test_a_fresh_interpreter_does_not_load_jax(start: str) -> None:
    names = [f"{PACKAGE}.{module}" for module in MODULES if module == start or module.startswith(f"{start}.")]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"sys.exit(', '.join(sorted({JAX - {'jaxtyping'}!r} & set(sys.modules))) or None)\n"
    )
    result = run_program(program)
    assert result.returncode == 0, result.stderr
