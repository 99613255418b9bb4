"""Makes tiny packages with entry points, as if they were installed: modules and a dist-info folder on the path."""

from __future__ import annotations

import importlib
import pathlib
import sys
from collections.abc import Mapping

import pytest


def install(
    folder: pathlib.Path,
    patch: pytest.MonkeyPatch,
    *,
    name: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
) -> None:
    """Puts a package on `sys.path` until the test ends.

    Args:
        folder: an empty folder of the test.
        patch: takes the folder from the path again.
        name: the name of the package as an installer would show it.
        modules: the source of each top-level module; names must be unique within a test run.
        entry_points: for each group the names and values of its entry points.
    """
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        patch.delitem(sys.modules, module, raising=False)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [
        line
        for group, entries in entry_points.items()
        for line in (f"[{group}]", *(f"{entry} = {value}" for entry, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    patch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
