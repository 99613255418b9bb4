"""The command `rollback` takes a stopped run back to one of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.agent.stored_run.run_folders import CHECKPOINTS_HELP, RUN_HELP, RunFolders
from chunk_ppo_ros.agent.stored_run.stopped_run import roll_back
from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.core.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Runs `python -m chunk_ppo_ros rollback RUN --to step_N`."""
    parser = FlagParser(prog="chunk_ppo_ros rollback", description=__doc__)
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--to", required=True, help="name of the checkpoint, such as step_20")
    parser.add_argument(
        "--checkpoints",
        dest="checkpoint_folder",
        default="",
        help=CHECKPOINTS_HELP,
    )
    parser.add_argument(
        "--leave_out",
        action="store_true",
        help="never train on the transitions that the undone weights have sampled; take this where settings change",
    )
    parsed = parser.parse_args(arguments)
    run = RunFolders.find(parsed.run, checkpoints=parsed.checkpoint_folder)
    try:
        lines = roll_back(run, parsed.to, leave_out=parsed.leave_out)
    except OSError as error:
        raise UserError(f"{run.folder} cannot be taken back: {error}") from error
    print("\n".join(lines))
    return 0
