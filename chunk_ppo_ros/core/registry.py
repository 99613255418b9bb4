"""Named parts that can be added from another package: a registry for each kind of part.

A part of this package is one line in the registry of its kind. A part of another package is an entry point of the
registry's group in that package's `pyproject.toml`:

    [project.entry-points."chunk_ppo_ros.tasks"]
    stack = "my_package.stack:make_task"

Nothing is imported before a part is asked for, so that names can be listed where MuJoCo, JAX or ROS are missing.
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from typing import Generic, TypeVar, cast

from chunk_ppo_ros.core.errors import RegistryError

PartT = TypeVar("PartT")
EntryPoint = importlib.metadata.EntryPoint


class Registry(Generic[PartT]):
    """The parts of one kind by name, of this package and of all installed packages."""

    def __init__(self, what: str, *, group: str, own: Mapping[str, str], attributes: tuple[str, ...] = ()) -> None:
        """Makes the registry and imports nothing.

        Args:
            what: how an error calls the place where a name is given, such as "env.task".
            group: the group of the entry points of other packages.
            own: the parts of this package, each name with "module:attribute", in the order in which they are listed.
            attributes: what every part must have; with "__call__" it must be callable.
        """
        self.what, self.group = what, group
        self._own = {name: EntryPoint(name, value, group) for name, value in own.items()}
        self._attributes = attributes

    def names(self) -> tuple[str, ...]:
        """Returns the names of all parts: this package's in their order, then the others by the alphabet."""
        return (*self.own_names(), *self.other_names())

    def own_names(self) -> tuple[str, ...]:
        """Returns the names of the parts of this package, in their order."""
        return tuple(self._own)

    def other_names(self) -> tuple[str, ...]:
        """Returns the names of the parts of other packages, by the alphabet."""
        return tuple(sorted({entry.name for entry in _find(self.group, tuple(sys.path))} - set(self._own)))

    def get(self, name: str) -> PartT:
        """Returns the part with a name; its module is imported now.

        Raises:
            RegistryError: where no part has the name, where two packages give it, or where the part of a package cannot
                be imported or lacks an attribute; the text names the entry point and its package.
        """
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

    def _load(self, entry: EntryPoint) -> PartT:
        try:
            part = entry.load()
        except Exception as error:  # the module belongs to somebody else and may raise anything
            raise RegistryError(
                f"{self.what} {entry.name!r} must be importable, got {error!r} from {_origin(entry)}; repair or "
                "uninstall that package"
            ) from error
        missing = [name for name in self._attributes if not hasattr(part, name)]
        if missing:
            raise RegistryError(
                f"{self.what} {entry.name!r} must have {', '.join(self._attributes)}, got {part!r} without "
                f"{', '.join(missing)} from {_origin(entry)}; repair that package"
            )
        return cast(PartT, part)

    def _unknown(self, name: str) -> str:
        names = self.names()
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "install the package that has it"
        return (
            f"{self.what} must be one of {', '.join(names) or 'none'}, got {name!r}; {hint} (other packages add names "
            f"by entry points of the group {self.group})"
        )


@functools.lru_cache(maxsize=32)
def _find(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Returns the entry points of a group.

    They are kept for each `sys.path`, because looking through all packages takes 20 ms.
    """
    return tuple(importlib.metadata.entry_points(group=group))


def _origin(entry: EntryPoint) -> str:
    """Returns where an entry point comes from, for a message."""
    package = entry.dist.name if entry.dist is not None else "chunk_ppo_ros"
    return f"the entry point '{entry.name} = {entry.value}' of {package}"
