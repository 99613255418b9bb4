"""JSON files that are whole or absent, locks on folders, and the record of the code that made a result."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chunk_ppo_ros.core.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CODE = ("chunk_ppo_ros", "experiments")


class Busy(UserError):
    """Another process uses this folder."""


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replaces the file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns the file's values; None where the file does not exist."""
    return dict(json.loads(path.read_text())) if path.is_file() else None


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Locks a folder against other processes. The lock ends with the process.

    Raises:
        Busy: when another process has the lock and `wait` is false.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Busy(f"{folder} is in use by another process; wait for it, or end it") from error
        yield


@functools.cache
def code_version() -> str:
    """Returns a checksum over the Python files that a curve runs."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def provenance() -> dict[str, Any]:
    """Returns the commit, the changed files of the code, its checksum, the date and the machine."""
    return {
        "commit": _git("rev-parse", "--short=10", "HEAD") or "not a git checkout",
        "changed_files": [line[3:] for line in _git("status", "--porcelain", "--", *CODE).splitlines()],
        "code": code_version(),
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "python": platform.python_version(),
    }


def _git(*arguments: str) -> str:
    """Returns the output of git; empty where there is no git or no repository."""
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.rstrip("\n")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
