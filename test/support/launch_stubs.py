"""Small classes in the place of the package `launch`, with which tests load the launch files without ROS from apt."""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LAUNCH = pathlib.Path(__file__).parents[2] / "launch"
NODE_ACTIONS = "chunk_ppo_ros.nodes.launching.node_actions"
GRAPH_ACTIONS = "chunk_ppo_ros.nodes.launching.graph_actions"


class Action:
    """An action of `launch`: it keeps what it was made with."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named


class DeclareLaunchArgument(Action):
    """The action that declares an argument."""


class Shutdown(Action):
    """The action that ends the graph."""


class LogInfo(Action):
    """The action that logs a line."""


class OpaqueFunction(Action):
    """The action that is made by a function when it is its turn."""


class TimerAction(Action):
    """The action that lets others wait."""


STUBS = {
    "ament_index_python": {},
    "ament_index_python.packages": {
        "get_package_prefix": lambda name: str(LAUNCH.parent),
        "get_package_share_directory": lambda name: str(LAUNCH.parent),
    },
    "launch": {"LaunchContext": Action, "LaunchDescription": Action, "LaunchDescriptionEntity": Action},
    "launch.actions": {
        "DeclareLaunchArgument": DeclareLaunchArgument,
        "LogInfo": LogInfo,
        "OpaqueFunction": OpaqueFunction,
        "SetEnvironmentVariable": Action,
        "Shutdown": Shutdown,
        "TimerAction": TimerAction,
    },
    "launch.events": {},
    "launch.events.process": {"ProcessExited": Action},
    "launch_ros": {},
    "launch_ros.actions": {"Node": Action},
}
"""The modules that the launch file imports, and what it takes from each."""


@contextmanager
def stubbed_launch() -> Iterator[Any]:
    """Puts the stubs in the place of `launch`, and gives the module that makes the actions of both launch files."""
    before = {name: sys.modules.pop(name, None) for name in (*STUBS, NODE_ACTIONS, GRAPH_ACTIONS)}
    for name, attributes in STUBS.items():
        module = types.ModuleType(name)
        vars(module).update(attributes)
        sys.modules[name] = module
    try:
        yield importlib.import_module(GRAPH_ACTIONS)
    finally:
        for name, known in before.items():
            del sys.modules[name]
            if known is not None:
                sys.modules[name] = known


def load_launch_file(name: str) -> Any:
    """Returns a launch file as a module."""
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), LAUNCH / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
