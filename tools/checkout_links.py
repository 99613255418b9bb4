"""Links the files of a checkout into its `.venv`, which an editable install of the Python package does not have.

They are the ament index entries, `launch/`, `config/` and the nodes, as ROS 2 looks for them.
"""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

NAME = "chunk_ppo_ros"
PROGRAM = "chunk_ppo"
NODE_LIST = Path(NAME) / "runtime" / "description.py"
"""The file with the list of nodes, relative to the checkout."""


def link_checkout(root: Path, venv: Path) -> None:
    """Makes the links of the checkout `root` in the environment `venv`."""
    share = venv / "share"
    link(root / "resource" / NAME, share / "ament_index" / "resource_index" / "packages" / NAME)
    link(root / "package.xml", share / NAME / "package.xml")
    for name in ("launch", "config"):
        link_files(root / name, share / NAME / name)
    nodes = [node.name for node in runpy.run_path(str(root / NODE_LIST))["NODES"]]
    for name in (*nodes, PROGRAM, NAME):  # The last two are the program, as `ros2 run` finds it.
        link(venv / "bin" / name, venv / "lib" / NAME / name)


def link_files(folder: Path, at: Path) -> None:
    """Makes a folder with a link to each file of another one. `ros2 launch` finds no file behind a linked folder."""
    if at.is_symlink():
        at.unlink()
    shutil.rmtree(at, ignore_errors=True)
    for file in sorted(folder.iterdir()):
        if file.is_file():
            link(file, at / file.name)


def link(target: Path, at: Path) -> None:
    """Makes a symbolic link and replaces an existing file or link."""
    at.parent.mkdir(parents=True, exist_ok=True)
    at.unlink(missing_ok=True)
    at.symlink_to(target)
