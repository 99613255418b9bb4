"""The command `store` looks at what a run has stored, removes what was trained on, and writes it as bags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from chunk_ppo_ros.agent.stored_run.export_bags import export_run
from chunk_ppo_ros.agent.stored_run.listing import list_stores, verify_stores
from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders
from chunk_ppo_ros.agent.stored_run.stopped_run import prune
from chunk_ppo_ros.config.commands.runs import store_parser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.units import GIBIBYTE
from chunk_ppo_ros.core.wording.counts import clause


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo store ACTION RUN`. `verify` returns 1 where something is damaged."""
    parser = store_parser()
    parsed = parser.parse_args(arguments)
    if parsed.action == "export" and not parsed.to:
        parser.error("export needs --to, the folder to write")
    if parsed.action == "prune" and parsed.size is None:
        parser.error("prune needs --max_disk, the size that the transitions may have, in GiB and at least 0")
    run = RunFolders.find(parsed.run, checkpoints=parsed.checkpoint_folder)
    actions: dict[str, Callable[[], tuple[list[str], bool]]] = {
        "list": lambda: (list_stores(run), True),
        "verify": lambda: verify_stores(run),
        "prune": lambda: (_prune(run, parsed.size, all_trained=parsed.all_trained), True),
        "export": lambda: (export_run(run, Path(parsed.to)), True),
    }
    try:
        lines, is_right = actions[parsed.action]()
    except OSError as error:
        raise UserError(f"the stores of {run.folder} cannot be read or written: {error}") from error
    print("\n".join(lines))
    return 0 if is_right else 1


def _prune(run: RunFolders, size: float, *, all_trained: bool) -> list[str]:
    max_bytes = round(size * GIBIBYTE)
    pruned = prune(run, max_bytes=max_bytes, all_trained=all_trained)
    files, left = clause(len(pruned.removed), "file", "is", "are"), f"{pruned.num_bytes / GIBIBYTE:.3f} GiB"
    lines = [f"{files} removed, and {left} of transitions are left"]
    if pruned.num_bytes > max_bytes and not all_trained:
        lines.append(
            f"what is left waits for an update, or would after a rollback to {pruned.oldest}, the oldest checkpoint; "
            "--all_trained removes what only a rollback needs"
        )
    return lines
