"""Finds which module or attribute of a part "module:attribute" is not there, and what is like it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from chunk_ppo_ros.core.suggestions import nearest, question


@dataclasses.dataclass(frozen=True)
class Missing:
    """What of a part is not there.

    Attributes:
        what: such as "no Tuch in /home/me/my_task.py".
        advice: such as "did you mean Touch?"; empty where nothing is like it.
    """

    what: str
    advice: str


def find_missing(entry: importlib.metadata.EntryPoint, error: BaseException, *, needs: Iterable[str]) -> Missing | None:
    """Returns what is not there, or None where the import of the part failed for another reason.

    Args:
        entry: the part.
        error: what its import raised.
        needs: the names of the attributes that a part must have. Only such parts are suggested.
    """
    if isinstance(error, ModuleNotFoundError):
        is_own = error.name is not None and f"{entry.module}.".startswith(f"{error.name}.")
        return _missing_module(str(error.name)) if is_own else None
    owner: object = sys.modules.get(entry.module)
    if owner is None or not isinstance(error, AttributeError):
        return None
    for name in entry.attr.split("."):
        if not hasattr(owner, name):
            fitting = [key for key, part in vars(owner).items() if all(hasattr(part, need) for need in needs)]
            place = getattr(owner, "__file__", None) or entry.module
            return Missing(f"no {name} in {place}", question(_nearest_public(name, fitting)))
        owner = getattr(owner, name)
    return None


def _missing_module(name: str) -> Missing:
    parent, dot, last = name.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", ()) if parent else [str(Path.cwd())]
    files = [file for folder in map(Path, folders) if folder.is_dir() for file in sorted(folder.iterdir())]
    beside = dict.fromkeys(file.stem for file in files if file.suffix == ".py" or file.is_dir())
    return Missing(f"no module {name}", question([f"{parent}{dot}{one}" for one in _nearest_public(last, beside)]))


def _nearest_public(name: str, known: Iterable[str]) -> list[str]:
    return nearest(name, [one for one in known if not one.startswith("_")])
