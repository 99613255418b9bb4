"""The arguments of the launch files: which there are, and which the user has given.

Every setting of the configuration is an argument of its own name, with or without its section, as it is a flag of the
command `graph`. The launch files declare the ones that most people need, and `--show-args` lists those.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from chunk_ppo_ros.config import TrainConfig, flags
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.suggestions import did_you_mean
from chunk_ppo_ros.runtime.graph_flags import DISCOVERY, LOG_LEVELS
from chunk_ppo_ros.runtime.restarts.node_ends import ON_NODE_EXIT

BOOLS = {"true": True, "1": True, "false": False, "0": False}
"""What an argument that is true or false may be, in any case, as the conditions of `launch` take it too."""
OF_LAUNCH = ("launch-prefix", "launch-prefix-filter")
"""The arguments that `ros2 launch` makes of its own flags."""


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of a launch file.

    Attributes:
        name: its name.
        default: its value where none is given.
        text: what it means.
        choices: the values that it takes; empty where it takes any, or where it is true or false. `launch` would take
            no other spelling than those of a list.
    """

    name: str
    default: str
    text: str
    choices: tuple[str, ...] = ()


SETTINGS = (
    Argument("run_dir", "", "folder of the runs; outputs go to run_dir/exp_name"),
    Argument("resume", "", "whether to go on with the run exp_name, true or false"),
    Argument("live_view", "", "whether view_node draws for Foxglove, rqt and rviz, true or false"),
    Argument("autostart", "", "whether the nodes configure and activate themselves, true or false"),
)
"""The settings that all launch files declare."""
GRAPH_ARGUMENTS = (
    Argument("record", "false", "whether to record the topics as a rosbag2 folder run_dir/exp_name/bag, true or false"),
    Argument("namespace", "", "namespace of all nodes, such as /cell_1; empty is none"),
    Argument("log_level", "", "least severity that the nodes log; empty is info", ("", *LOG_LEVELS)),
    Argument("discovery", "localhost", "which machines may see the graph", tuple(DISCOVERY)),
    Argument("static_peers", "", "addresses separated by ';', for discovery:=static_peers"),
    Argument("domain_id", "", "ROS domain; empty is ROS_DOMAIN_ID, or a free one in simulation where it is not set"),
    Argument("on_node_exit", "stop", "what happens when a node ends by itself", ON_NODE_EXIT),
)
"""The arguments of the graph, which all launch files have."""


def setting_kinds() -> dict[str, object]:
    """Returns the type of each setting, by its name and by its name with its section."""
    kinds: dict[str, object] = {}
    for section, section_type in typing.get_type_hints(TrainConfig).items():
        hints = typing.get_type_hints(section_type)
        for field in dataclasses.fields(section_type):
            kinds[field.name] = kinds[f"{section}.{field.name}"] = hints[field.name]
    return kinds


@dataclasses.dataclass(frozen=True)
class Given:
    """The arguments that were given, or have a default.

    Attributes:
        values: their texts by their names. An empty text stands for an argument that was not given.
    """

    values: Mapping[str, str]

    def __call__(self, name: str) -> str:
        """Returns the text of an argument; empty where it was not given."""
        return self.values.get(name, "")

    def is_true(self, name: str) -> bool:
        """Returns whether an argument is true; False where it was not given.

        Raises:
            SettingError: for a text that is neither true nor false.
        """
        return bool(self(name)) and _as_bool(name, self(name))

    def under_present_names(self, aliases: Mapping[str, str]) -> Given:
        """Returns these arguments with some names replaced.

        Args:
            aliases: the present name of a setting by another name that the launch file takes for it.

        Raises:
            SettingError: when both names are given and have different values.
        """
        values = dict(self.values)
        for alias, name in aliases.items():
            text = values.pop(alias, "")
            if text and values.get(name, text) not in ("", text):
                raise SettingError(
                    f"{alias} and {name} are two names of one argument and must have one value, got {text} and "
                    f"{values[name]}; leave out {alias}"
                )
            values[name] = text or values.get(name, "")
        return Given(values)

    def flags(self) -> list[str]:
        """Returns the flags that give the same settings to a command. Arguments that are no settings are left out.

        Raises:
            SettingError: for a setting that is true or false and has another text.
        """
        kinds = setting_kinds()
        found: list[str] = []
        for name, text in self.values.items():
            if name in kinds and text:
                found += _flag(name, text, kinds[name])
        return found


def _as_bool(name: str, text: str) -> bool:
    if text.lower() not in BOOLS:
        raise SettingError(f"{name} must be true or false, got {text}; write {name}:=true or {name}:=false")
    return BOOLS[text.lower()]


def _flag(name: str, text: str, kind: object) -> list[str]:
    """Returns the flag of a setting, with its values as words of their own where it takes several."""
    if kind is bool:
        section, _, field = name.rpartition(".")
        prefix = f"--{section}." if section else "--"
        return [prefix + field if _as_bool(name, text) else f"{prefix}no_{field}"]
    if typing.get_origin(kind) is tuple:
        return [f"--{name}", *text.split()]
    return [f"--{name}={text}"]


class SettingsParser(flags.FlagParser):
    """The parser of the flags that stand for arguments of a launch file.

    Args:
        prog: the name of the launch file.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog=prog, description=None)
        flags.add_config_flags(self, preset="debug")

    def refuse(self, message: str) -> NoReturn:
        """Raises a SettingError, because a launch file must not end the process."""
        raise SettingError(message)


def check_names(names: Iterable[str], declared: Iterable[str]) -> None:
    """Refuses arguments that no launch file of this package takes.

    Args:
        names: the names of what was given.
        declared: the names that the launch file declares.

    Raises:
        SettingError: when a name is unknown; the text suggests the nearest known ones.
    """
    known = {*declared, *setting_kinds(), *OF_LAUNCH}
    for name in sorted(set(names) - known):
        alike = sorted(one for one in known if ("." in one) == ("." in name))
        advice = did_you_mean(name, alike, otherwise="; --show-args lists the arguments")
        raise SettingError(f"unknown argument {name}{advice}")


def is_started_directly(file: str, command: Sequence[str]) -> bool:
    """Returns whether a command line names a launch file, so that all arguments there are meant for it.

    Where another launch file includes it, some arguments are those of the other one.

    Args:
        file: the name of the launch file.
        command: the command line, such as that of `ros2 launch`.
    """
    return any(pathlib.PurePath(word).name == file for word in command)
