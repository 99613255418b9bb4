"""Says what a run is made by: versions of packages, the commit of the checkout, and the variables that it needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import chunk_ppo_ros
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.own_parts.python_path import needed_folders

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "mujoco")
"""The packages on whose versions the numbers of a run depend most."""

_OF_BACKENDS = {"interbotix": "interbotix_xs_msgs"}
"""The package of messages that a back end of this package needs, and that is not among the requirements."""
_ROOT = Path(__file__).resolve().parents[2]
_GIT_TIMEOUT = 5.0  # s


def software() -> dict[str, str]:
    """Returns versions by name, and "commit" where the package runs from a git checkout. It imports no package."""
    found = {"chunk_ppo_ros": chunk_ppo_ros.__version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    commit = _commit()
    return {**found, "machine": f"{platform.system()} {platform.machine()}", **({"commit": commit} if commit else {})}


def needed_variables(config: TrainConfig) -> dict[str, str]:
    """Returns the variables of the environment without which the command of a run would be refused or go elsewhere.

    PYTHONPATH has the folders with the parts of one's own and with the messages of the back end, where they are found
    by that variable only. ROS_DOMAIN_ID is there for a real robot that is not in domain 0. A simulation takes a free
    domain without it.

    Args:
        config: the settings of the run.
    """
    needed = {}
    if folders := needed_folders(_modules(config), os.environ):
        needed["PYTHONPATH"] = os.pathsep.join(folders)
    domain = os.environ.get("ROS_DOMAIN_ID", "")
    if config.env.is_real and domain not in ("", "0"):
        needed["ROS_DOMAIN_ID"] = domain
    return needed


def _modules(config: TrainConfig) -> list[str]:
    """Returns the modules of the parts that a run has from elsewhere. It imports none of them."""
    reward, backend = config.reward, config.robot.backend
    parts = [config.env.task, backend, *reward.scene_weights, *reward.execution_weights]
    own = [part.partition(":")[0] for part in parts if ":" in part]
    return [*([_OF_BACKENDS[backend]] if backend in _OF_BACKENDS else []), *own]


def _commit() -> str:
    """Returns the commit, with "changed" where files differ from it; empty where this is no git checkout."""
    if not (_ROOT / ".git").exists():
        return ""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no") if commit else ""
    return f"{commit}, with changed files" if changed else commit


def _git(*arguments: str) -> str:
    """Returns what git prints, or an empty text where it fails or is not installed."""
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
