"""The command `rollback` takes a stopped run back to one of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders
from chunk_ppo_ros.agent.stored_run.stopped_run import roll_back
from chunk_ppo_ros.config.commands.runs import rollback_parser
from chunk_ppo_ros.core.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo rollback RUN --to step_N`."""
    parsed = rollback_parser().parse_args(arguments)
    run = RunFolders.find(parsed.run, checkpoints=parsed.checkpoint_folder, needs_stores=False)
    try:
        lines = roll_back(run, parsed.to, leave_out=parsed.leave_out)
    except OSError as error:
        raise UserError(f"{run.folder} cannot be taken back: {error}") from error
    print("\n".join(lines))
    return 0
