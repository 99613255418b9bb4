"""Lets a launch file import what the nodes import.

`ros2` runs on the Python of the system, which has no jax. The executables of the nodes run on the Python of `.venv`,
whose first line names it. A launch file runs this file before it imports the package.
"""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shlex
import site
import subprocess
import sys

from ament_index_python.packages import get_package_prefix

ASK = "import json, sys; print(json.dumps([list(sys.version_info[:2]), sys.path]))"
SHELL_STARTS = "'''exec' "
"""How the second line of an executable begins where a shell starts Python. pip writes it where the path of Python has a
space or is long, because the first line of a program can name no such path."""


def interpreter_of_nodes() -> str:
    """Returns the path of the Python that the executables of the nodes run on."""
    prefix = pathlib.Path(get_package_prefix("chunk_ppo_ros"))
    executable = prefix / "lib" / "chunk_ppo_ros" / "trainer_node"
    first, second, *_ = executable.read_text(encoding="utf-8").splitlines()
    if second.startswith(SHELL_STARTS):
        return shlex.split(second.removeprefix(SHELL_STARTS))[0]
    return first.removeprefix("#!").split()[0]


def add_packages_of_nodes() -> None:
    """Puts the packages of the nodes before those of this process, where this process lacks some of them.

    Raises:
        RuntimeError: when the nodes run on another version of Python, whose packages cannot be imported here, or on one
            that lacks packages too.
    """
    if not _missing():
        return
    interpreter = interpreter_of_nodes()
    answer = subprocess.run([interpreter, "-c", ASK], capture_output=True, text=True, check=True)
    version, paths = json.loads(answer.stdout.splitlines()[-1])
    if version != list(sys.version_info[:2]):
        here, there = (".".join(map(str, numbers[:2])) for numbers in (sys.version_info, version))
        raise RuntimeError(
            f"the nodes must run on the Python of ros2, which is {here}, got {there} of {interpreter}; run "
            "`make clean` and `make setup` with ROS sourced"
        )
    before = list(sys.path)
    for path in paths:
        if pathlib.PurePath(path).name == "site-packages":
            site.addsitedir(path)  # It also reads the files that name the checkout of an editable install.
    sys.path[:] = [path for path in sys.path if path not in before] + before
    if missing := _missing():
        raise RuntimeError(
            f"the nodes must find {' and '.join(missing)}, but {interpreter} does not; run `make setup` with ROS "
            "sourced, and build the workspace by .venv/bin/colcon of the package"
        )


def _missing() -> list[str]:
    return [name for name in ("chunk_ppo_ros", "jax") if importlib.util.find_spec(name) is None]


add_packages_of_nodes()
