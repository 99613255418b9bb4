"""Registries of parts, such as tasks and readers. Each kind of part has a registry, and other packages can add parts.

A part of this package is one line in the registry of its kind. Another package adds a part by an entry point in its
`pyproject.toml`, in the group of that registry:

    [project.entry-points."chunk_ppo_ros.tasks"]
    stack = "my_package.stack:make_task"

A part can also be named as "module:attribute", such as "my_task:Stack", without a package. Its module is searched where
Python searches, and then in the folder in which the command was started.

A part is imported only when `get` is called. So names can be listed where MuJoCo, JAX or ROS are missing.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar, cast

from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.own_parts.missing_part import find_missing
from chunk_ppo_ros.core.own_parts.user_code import raised
from chunk_ppo_ros.core.suggestions import did_you_mean

PartT = TypeVar("PartT")
EntryPoint = importlib.metadata.EntryPoint

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def short_name(name: str) -> str:
    """Returns the name of a part without the module of a reference: "stack" of "stack", "Stack" of "my_task:Stack"."""
    return name.rpartition(":")[2]


def check_short_names(what: str, names: Iterable[str]) -> None:
    """Refuses names of parts that are equal without the modules of references.

    Args:
        what: name of the setting that has the names, for the error.
        names: the names.

    Raises:
        RegistryError: where two of them are equal.
    """
    listed = list(names)
    if len({short_name(name) for name in listed}) < len(listed):
        raise RegistryError(
            f"{what} must have names that differ without their modules, got {', '.join(listed)}; rename one of the "
            "functions"
        )


class Registry(Generic[PartT]):
    """The parts of one kind by name. It holds the parts of this package and of all installed packages."""

    def __init__(self, what: str, *, group: str, own: Mapping[str, str], attributes: tuple[str, ...] = ()) -> None:
        """Makes the registry without importing any part.

        Args:
            what: name of the setting that chooses a part, such as "env.task"; errors use it.
            group: entry-point group that other packages use.
            own: parts of this package, from name to "module:attribute", in the order in which they are listed.
            attributes: names of the attributes that every part must have; "__call__" means that it must be callable.
        """
        self.what, self.group = what, group
        self._own = {name: EntryPoint(name, value, group) for name, value in own.items()}
        self._attributes = attributes

    def names(self) -> tuple[str, ...]:
        """Returns all names: first those of this package in listed order, then the others in alphabetical order."""
        return (*self.own_names(), *self.other_names())

    def own_names(self) -> tuple[str, ...]:
        """Returns the names of the parts of this package, in listed order."""
        return tuple(self._own)

    def other_names(self) -> tuple[str, ...]:
        """Returns the names of the parts of other packages, in alphabetical order."""
        return tuple(sorted({entry.name for entry in _find(self.group, tuple(sys.path))} - set(self._own)))

    def get(self, name: str) -> PartT:
        """Imports the module of the part with this name and returns the part.

        Args:
            name: a registered name, or a reference "module:attribute".

        Raises:
            RegistryError: when no part has the name, when two packages use it, when the part cannot be imported, or
                when it lacks an attribute. The text names the module, or the entry point and its package.
        """
        if ":" in name:
            return self._load(self._reference(name))
        found = [entry for entry in _find(self.group, tuple(sys.path)) if entry.name == name]
        entries = [*([self._own[name]] if name in self._own else []), *found]
        if not entries:
            raise RegistryError(self._unknown(name))
        if len(entries) > 1:
            raise RegistryError(
                f"{self.what} {name!r} must belong to one package, got {', '.join(map(_origin, entries))}; rename all "
                "but one of these entry points, or uninstall a package"
            )
        return self._load(entries[0])

    def _reference(self, name: str) -> EntryPoint:
        """Returns a reference as an entry point of no package, and lets Python search the current folder too.

        Raises:
            RegistryError: for a text that is no reference.
        """
        if not _REFERENCE.fullmatch(name):
            raise RegistryError(
                f"{self.what} must be a registered name or module:attribute, such as my_module:MyClass, got {name!r}; "
                "write a dot for each folder, and leave .py out"
            )
        folder = str(Path.cwd())
        if folder not in sys.path and "" not in sys.path:
            sys.path.append(folder)  # At the end, so that a file of the user's hides no module of a library.
        return EntryPoint(name, name, self.group)

    def _load(self, entry: EntryPoint) -> PartT:
        try:
            part = entry.load()
        except (Exception, SystemExit) as error:  # the module belongs to somebody else and may raise anything
            missing = find_missing(entry, error, needs=self._attributes)
            if missing is not None:
                raise RegistryError(
                    f"{self.what} {entry.name!r} must name a part that is there, got {missing.what} from "
                    f"{_origin(entry)}; {missing.advice or _repair(entry)}"
                ) from error
            raise RegistryError(
                f"{self.what} {entry.name!r} must be importable, got {raised(error)} from {_origin(entry)}; "
                f"{_repair(entry)}"
            ) from error
        lacks = [name for name in self._attributes if not hasattr(part, name)]
        if lacks:
            raise RegistryError(
                f"{self.what} {entry.name!r} must have {', '.join(self._attributes)}, got {part!r} without "
                f"{', '.join(lacks)} from {_origin(entry)}; {_repair(entry)}"
            )
        return cast(PartT, part)

    def _unknown(self, name: str) -> str:
        names = self.names()
        hint = did_you_mean(name, names, otherwise="; install the package that has it")
        module = name if "." in name else "my_module"
        return (
            f"{self.what} must be one of {', '.join(names) or 'none'}, got {name!r}{hint} (a part of your own is "
            f"named with its module, such as {module}:MyPart; other packages add names by entry points of the group "
            f"{self.group})"
        )


@functools.lru_cache(maxsize=32)
def _find(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Returns the entry points of a group.

    They are cached for each value of `sys.path`, because a search through all packages takes 20 ms.
    """
    return tuple(importlib.metadata.entry_points(group=group))


def _is_reference(entry: EntryPoint) -> bool:
    return entry.dist is None and entry.name == entry.value


def _origin(entry: EntryPoint) -> str:
    """Returns where a part comes from, for a message."""
    if _is_reference(entry):
        return f"the module {entry.module}, which is searched in PYTHONPATH and in {Path.cwd()}"
    package = entry.dist.name if entry.dist is not None else "chunk_ppo_ros"
    return f"the entry point '{entry.name} = {entry.value}' of {package}"


def _repair(entry: EntryPoint) -> str:
    """Returns what to do about a part that cannot be used, for a message."""
    if _is_reference(entry):
        return "start the command in the folder of the module, or repair the module"
    return "repair or uninstall that package"
