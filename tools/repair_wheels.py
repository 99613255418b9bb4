"""Repairs the ROS wheels from PyPI, whose CMake files name include folders of the machine that built them.

The wrong folders are `/opt/python/cp*/include/python*` and that of the numpy headers. They are replaced by the folders
of the running interpreter and of its numpy, in every `*.cmake` file under `<prefix>/share`. A second run changes
nothing. A ROS that apt installed needs no repair and is never changed. It lacks the bootstrapper by which wheels are
recognized.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

PYTHON_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+t?/include/python\d+\.\d+t?")
NUMPY_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+t?/lib/python\d+\.\d+t?/site-packages/numpy/_?core/include")


def has_ros_wheels(prefix: Path) -> bool:
    """Returns whether `prefix` is a Python environment whose ROS came from wheels."""
    return any(prefix.glob("lib/python3*/site-packages/ros_wheels_bootstrapper*"))


def repaired(text: str, *, python_include: str, numpy_include: str) -> str:
    """Returns the text of a CMake file in which both wrong include folders are replaced."""
    text = PYTHON_INCLUDE.sub(lambda _: python_include, text)
    return NUMPY_INCLUDE.sub(lambda _: numpy_include, text)


def repair_prefix(prefix: Path, *, python_include: str, numpy_include: str) -> list[Path]:
    """Repairs every CMake file under `prefix/share`, and returns the files that it changed."""
    changed = []
    for path in sorted((prefix / "share").rglob("*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = repaired(before, python_include=python_include, numpy_include=numpy_include)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def repair(prefix: Path) -> None:
    """Repairs the wheels in `prefix` for the running interpreter, and prints how many files it changed, if any."""
    import numpy as np  # It is imported here because the set-up with ROS from apt has no numpy yet.

    changed = repair_prefix(prefix, python_include=sysconfig.get_paths()["include"], numpy_include=np.get_include())
    if changed:
        print(f"repaired {len(changed)} CMake files of the ROS wheels in {prefix}", flush=True)


if __name__ == "__main__":
    repair(Path(sys.prefix))
