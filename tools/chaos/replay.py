"""Makes the updates of a run again from the stored transitions, in a fresh process, and compares the weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from chaos.settings import RUN


def weights_equal(folder: Path, environment: Mapping[str, str]) -> bool:
    """Prints what the command `replay-updates` says, and returns whether it found the weights equal.

    Args:
        folder: the folder of everything that the run has written.
        environment: the variables of the process.
    """
    command = [sys.executable, "-m", "chunk_ppo_ros", "replay-updates", str(folder / "runs" / RUN)]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    print((done.stdout + done.stderr).strip(), flush=True)
    return done.returncode == 0
