"""Repair of the ROS wheels from PyPI, whose exported CMake files name include folders of the machine that built them.

Every `*.cmake` file under `<prefix>/share` that names `/opt/python/cp*/include/python*` or the numpy headers beside it
gets the folders of the running interpreter and its numpy instead. A second run changes nothing. A ROS installed by apt
needs no repair and is never touched: it is told apart by the wheels' bootstrapper.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

PYTHON_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+t?/include/python\d+\.\d+t?")
NUMPY_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+t?/lib/python\d+\.\d+t?/site-packages/numpy/_?core/include")


def has_ros_wheels(prefix: Path) -> bool:
    """True where `prefix` is a Python environment whose ROS came from wheels."""
    return any(prefix.glob("lib/python3*/site-packages/ros_wheels_bootstrapper*"))


def repaired(text: str, *, python_include: str, numpy_include: str) -> str:
    """Returns the text of a CMake file with both foreign include folders replaced."""
    text = PYTHON_INCLUDE.sub(lambda _: python_include, text)
    return NUMPY_INCLUDE.sub(lambda _: numpy_include, text)


def repair_prefix(prefix: Path, *, python_include: str, numpy_include: str) -> list[Path]:
    """Repairs every CMake file under `prefix/share` in place; returns the files that changed."""
    changed = []
    for path in sorted((prefix / "share").rglob("*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = repaired(before, python_include=python_include, numpy_include=numpy_include)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def repair(prefix: Path) -> None:
    """Repairs the wheels in `prefix` for the running interpreter, and says so where anything changed."""
    import numpy as np  # only where the wheels are: the set-up commands of ROS from apt do without

    changed = repair_prefix(prefix, python_include=sysconfig.get_paths()["include"], numpy_include=np.get_include())
    if changed:
        print(f"repaired {len(changed)} CMake files of the ROS wheels in {prefix}", flush=True)


if __name__ == "__main__":
    repair(Path(sys.prefix))
