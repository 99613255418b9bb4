"""Finds a folder for the logs of ROS, without which ROS does not begin."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def ensure_log_folder() -> None:
    """Lets ROS write its logs to a temporary folder where its own one cannot be written, and says so.

    Without it the commands would end in a traceback of ROS where the home of the user is read-only, as in some
    containers. It must be called before ROS is initialized.
    """
    folder = log_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        reason = error.strerror or str(error)
    other = tempfile.mkdtemp(prefix="chunk_ppo_ros_log_")
    os.environ["ROS_LOG_DIR"] = other
    print(f"ROS cannot write its logs to {folder} ({reason}); they go to {other}", file=sys.stderr, flush=True)


def log_folder() -> Path:
    """Returns the folder that ROS takes, as rcl_logging does: ROS_LOG_DIR, ROS_HOME/log or ~/.ros/log."""
    if given := os.environ.get("ROS_LOG_DIR"):
        return Path(given).expanduser()
    home = os.environ.get("ROS_HOME") or "~/.ros"
    return Path(home).expanduser() / "log"
