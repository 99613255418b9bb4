"""Checks what the set-up needs from the system: a compiler, Python's headers, and OpenGL that needs no screen.

As root in a container or in CI it installs missing packages by apt-get. Elsewhere it prints the command that installs
them. OpenGL is optional. Without it the kinematic simulator is used.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

GL_BACKENDS = {
    "egl": ["libegl1", "libegl-mesa0", "libgl1", "libgl1-mesa-dri"],
    "osmesa": ["libosmesa6"],
}
RENDER_ONE_FRAME = (
    "import mujoco; renderer = mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16);"
    "renderer.render(); renderer.close()"
)
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
APT = ["apt-get", "-o", "Dpkg::Use-Pty=0", "-qq"]


class MissingPackagesError(RuntimeError):
    """Something that the set-up needs is not installed. The text has the command that installs it."""


def may_install() -> bool:
    """Returns whether apt-get may be used: for root in a container or in CI, so that no person's machine is changed."""
    contained = "CI" in os.environ or any(Path(mark).exists() for mark in CONTAINER_MARKS)
    return os.geteuid() == 0 and contained and shutil.which("apt-get") is not None


def apt_install(packages: Sequence[str]) -> bool:
    """Installs Debian packages and returns whether apt-get succeeded."""
    print(f"installing {' '.join(packages)} with apt-get", flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        if subprocess.run([*APT, *command], env=environ, stdin=subprocess.DEVNULL).returncode:
            return False
    return True


def build_needs() -> list[tuple[str, Callable[[], bool], str]]:
    """Returns name, check and Debian package for each need of the virtual environment and of the messages.

    The check returns whether the need is installed.
    """
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return [
        ("a C++ compiler", lambda: shutil.which("g++") is not None, "g++"),
        ("make", lambda: shutil.which("make") is not None, "make"),
        (f"the headers of {python}", header.is_file, f"{python}-dev"),
        (f"venv and pip of {python}", lambda: importlib.util.find_spec("ensurepip") is not None, f"{python}-venv"),
    ]


def ensure_build_tools() -> None:
    """Checks the needs of the build, and installs missing packages where that is allowed.

    Raises:
        MissingPackagesError: when something is missing and cannot be installed.
    """
    missing = [(what, package) for what, there, package in build_needs() if not there()]
    if not missing or (may_install() and apt_install([package for _, package in missing])):
        return
    raise MissingPackagesError(
        f"the build needs {', '.join(what for what, _ in missing)}, found none; "
        f"install it: sudo apt-get install {' '.join(package for _, package in missing)}"
    )


def renders(python: Path, *, backend: str) -> bool:
    """Returns whether MuJoCo, in a separate process, renders a frame with this OpenGL backend."""
    environ = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    return subprocess.run([python, "-c", RENDER_ONE_FRAME], env=environ, capture_output=True).returncode == 0


def find_renderer(python: Path) -> str | None:
    """Returns the first OpenGL backend that renders, or None."""
    return next((backend for backend in GL_BACKENDS if renders(python, backend=backend)), None)


def ensure_rendering(python: Path) -> str | None:
    """Returns an OpenGL backend that renders without a screen, or None. Installs one where that is allowed."""
    backend = find_renderer(python)
    if backend is not None or not may_install():
        return backend
    for backend, packages in GL_BACKENDS.items():
        if apt_install(packages) and renders(python, backend=backend):
            return backend
    return None
