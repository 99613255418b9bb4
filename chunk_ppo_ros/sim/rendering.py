"""Finds an OpenGL that renders without a screen. It tries EGL first and OSMesa second.

MuJoCo fixes its OpenGL when it is first imported, by the environment variable MUJOCO_GL. A failed attempt cannot be
undone within a process and may abort it. Therefore each candidate renders a tiny image in its own process.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys

from chunk_ppo_ros.core.errors import SimulatorUnavailable

BACKENDS = ("egl", "osmesa")
INSTALL_COMMAND = "apt-get install -y libegl1 libgl1-mesa-dri (EGL) or libosmesa6 (OSMesa)"
PROBE_TIMEOUT = 60.0  # s; the first import of MuJoCo on a busy machine takes several seconds
_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 2'/><geom size='.1' rgba='1 0 0 1'/>"
    "<camera pos='0 0 1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 8, 8)
renderer.update_scene(data, camera=0)
if renderer.render()[4, 4, 0] == 0:
    raise RuntimeError("the rendered image is black")
renderer.close()
"""

_logger = logging.getLogger(__name__)


def rendering_available() -> str | None:
    """Returns why MuJoCo cannot render on this machine, or None when it can. The first call takes seconds."""
    return None if _working_backend() else _reason()


def select_backend() -> None:
    """Sets MUJOCO_GL to an OpenGL that works here. It must be called before the first import of mujoco.

    Raises:
        SimulatorUnavailable: when no OpenGL works (the text has the command that installs one), or mujoco was imported
            before with another OpenGL.
    """
    backend = _working_backend()
    if backend is None:
        raise SimulatorUnavailable(_reason())
    if os.environ.get("MUJOCO_GL") != backend:
        if "mujoco" in sys.modules:
            raise SimulatorUnavailable(
                f"mujoco must be imported after its OpenGL is chosen, got it imported before; set MUJOCO_GL={backend}"
            )
        _logger.info("rendering with %s", backend)
        os.environ["MUJOCO_GL"] = backend


def _reason() -> str:
    failures = "; ".join(f"{backend}: {_probe(backend)}" for backend in _candidates())
    return (
        f"MuJoCo must render without a screen, got no working OpenGL ({failures}); "
        f"install one: {INSTALL_COMMAND}, or set env.simulator to kinematic"
    )


def _working_backend() -> str | None:
    return next((backend for backend in _candidates() if _probe(backend) is None), None)


def _candidates() -> tuple[str, ...]:
    """Returns the backend that the user chose by MUJOCO_GL, or all backends that need no screen."""
    chosen = os.environ.get("MUJOCO_GL")
    return (chosen,) if chosen else BACKENDS


@functools.cache
def _probe(backend: str) -> str | None:
    """Renders an image with `backend` in its own process, and returns what went wrong, or None."""
    environment = {**os.environ, "MUJOCO_GL": backend}
    try:
        result = subprocess.run(
            [sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, timeout=PROBE_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return f"no image within {PROBE_TIMEOUT:.0f} s"
    if result.returncode == 0:
        return None
    lines = result.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {result.returncode}"
