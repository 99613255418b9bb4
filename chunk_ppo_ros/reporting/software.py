"""Says which software a run is made by: versions of packages, and the commit of the checkout that runs."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import chunk_ppo_ros

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "mujoco")
"""The packages on whose versions the numbers of a run depend most."""

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
