"""Says of a run that it is done, where it begins again before anything is loaded or started, and where it ends."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from chunk_ppo_ros.agent.restore import banner
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import FRESH_UNASKED, CheckpointError
from chunk_ppo_ros.model.checkpoints.layouts import METADATA
from chunk_ppo_ros.model.checkpoints.metadata import Provenance, read_metadata
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint


def end_if_done(config: TrainConfig) -> int | None:
    """Prints that a resumed run is done and how it goes on, and returns its exit code.

    It returns None where the run is not done, and where its newest checkpoint cannot be read: whoever loads that says
    what is wrong.
    """
    newest = newest_checkpoint(config.run.checkpoint_folder) if config.run.resume else None
    if newest is None:
        return None
    with contextlib.suppress(CheckpointError):
        metadata, _ = read_metadata(newest / METADATA)
        counters, total = metadata.counters, config.ppo.total_timesteps
        if counters.num_steps >= total:
            print(done_line(counters.run_id, num_steps=counters.num_steps, total=total))
            return tell_end(newest, metadata.provenance)
    return None


def done_line(run_id: str, *, num_steps: int, total: int) -> str:
    """Returns a line that says that a run is done, and how it goes on."""
    return (
        f"run {run_id} is done: it has trained on {num_steps} control steps of ppo.total_timesteps {total}; raise "
        "--total_timesteps to go on"
    )


def tell_end(newest: Path, provenance: Provenance) -> int:
    """Prints the newest checkpoint of a run that is done, and where nobody asked for its first weights.

    Returns:
        The exit code of the run.
    """
    print(f"the newest checkpoint is {newest}", flush=True)
    if not provenance.is_fallback:
        return 0
    print(banner(f"it was trained from {provenance}"), file=sys.stderr, flush=True)
    return FRESH_UNASKED
