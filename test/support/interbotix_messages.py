"""Builds the stand-in of Interbotix's interface package, the folder `interbotix_xs_msgs` beside this file.

It is built once for each state of its files, kept below `.cache/`, and never installed. It has the few messages and
services that the fake driver and the simulated drivers of sim_node need. Run as a program, this file prints the folder
to put on PYTHONPATH, or nothing where Interbotix's own package is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).with_name("interbotix_xs_msgs")
BUILDER = ROOT / "tools" / "build_messages.py"
CACHE = ROOT / ".cache" / "interbotix_xs_msgs"


def _key() -> str:
    """Returns what the build depends on: the files, the interpreter, and the ROS that is sourced."""
    digest = hashlib.sha256(f"{sys.executable} {sys.version} {os.environ.get('AMENT_PREFIX_PATH', '')}".encode())
    files = [*BUILDER.with_name("rosidl_for_wheels").iterdir(), *SOURCE.rglob("*")]
    for path in (BUILDER, *sorted(path for path in files if path.is_file())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def interface_folder() -> Path:
    """Returns the folder to put on sys.path. The first call builds the package, which takes about 20 s on two cores."""
    place = CACHE / _key()
    place.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of pytest-xdist start at once
        if not (place / "built").exists():
            print("building the messages of Interbotix's driver, once, in about 20 s", file=sys.stderr, flush=True)
            command = [sys.executable, BUILDER, place / "prefix", place / "build", "--source", SOURCE]
            result = subprocess.run(command, capture_output=True, text=True, timeout=600)
            assert result.returncode == 0, result.stderr
            (place / "built").touch()
    (package,) = (place / "prefix").rglob("interbotix_xs_msgs/msg/__init__.py")
    return package.parents[2]


if __name__ == "__main__":
    found = importlib.util.find_spec(SOURCE.name)
    if found is None or found.origin is None:  # The folder of the stand-in's sources is no package.
        print(interface_folder())
