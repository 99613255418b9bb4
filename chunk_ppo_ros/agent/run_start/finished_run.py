"""Says of a run that it is done, where it begins again before anything is loaded or started, and where it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from chunk_ppo_ros.agent.restore import banner
from chunk_ppo_ros.agent.run_start.starting_checkpoint import OpenedCheckpoint, StartingCheckpoint
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.model.checkpoints.metadata import Provenance


def end_if_done(config: TrainConfig, start: StartingCheckpoint) -> int | None:
    """Prints that a resumed run is done and how it goes on, and returns its exit code.

    It returns None where the run is not done, and where its newest checkpoint cannot be opened: whoever loads that says
    what is wrong.

    Args:
        config: the configuration of the run.
        start: the checkpoint that it starts from.
    """
    if not config.run.resume or not isinstance(start, OpenedCheckpoint):
        return None
    metadata, total = start.checkpoint.require_metadata(), config.ppo.total_timesteps
    if metadata.counters.num_steps < total:
        return None
    print(done_line(metadata.counters.run_id, num_steps=metadata.counters.num_steps, total=total))
    return tell_end(start.checkpoint.root, metadata.provenance)


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
