"""Finds the folders of PYTHONPATH that a run needs, so that its command can be given again in another terminal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path


def needed_folders(modules: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """Returns the folders of PYTHONPATH in which modules are found, each once, in the order of the modules.

    The current folder is left out, because parts are searched there too. So are folders of a workspace of ROS, because
    its setup file puts them on PYTHONPATH in each terminal in which it is sourced.

    Args:
        modules: full names of modules. None of them is imported.
        environ: the variables of the environment.
    """
    folders = [Path(entry) for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    found = (_first(module, folders) for module in modules)
    sourced = [Path(entry).resolve() for entry in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    return list(
        dict.fromkeys(
            str(folder.resolve())
            for folder in found
            if folder is not None
            and folder.resolve() != Path.cwd()
            and not any(folder.resolve().is_relative_to(prefix) for prefix in sourced)
        )
    )


def _first(module: str, folders: Iterable[Path]) -> Path | None:
    """Returns the first folder that has a module, or None."""
    for folder in folders:
        spec = PathFinder.find_spec(module.partition(".")[0], [str(folder)])
        if spec is not None and (spec.origin is not None or _has_file(folder, module)):
            return folder
    return None


def _has_file(folder: Path, module: str) -> bool:
    """Returns whether a folder has the file of a module. Its parents may be folders without __init__.py."""
    path = folder.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
