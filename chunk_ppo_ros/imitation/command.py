"""The command `pretrain` clones the behavior of scripted demonstrations or of recorded episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.agent.run_start.checkpoint_settings import setup_for_imitation
from chunk_ppo_ros.config import flags
from chunk_ppo_ros.config.commands.training import pretrain_parser
from chunk_ppo_ros.core.folders import removed_after_failure
from chunk_ppo_ros.imitation.clone_demonstrations import clone_demonstrations
from chunk_ppo_ros.imitation.clone_recorded import clone_episodes


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo pretrain --exp_name NAME [--episodes PATH ...]`.

    It writes the checkpoint `checkpoints/NAME-imitation`.
    """
    parser = pretrain_parser()
    parsed = parser.parse_args(arguments)
    print(flags.preset_line(parsed))
    flags.print_unused(parsed)
    setup = setup_for_imitation(parser, parsed)
    config = setup.config
    directory = Path(config.run.checkpoint_root) / f"{config.run.exp_name}-imitation"
    with removed_after_failure(directory, unless=directory.is_dir):
        if parsed.episodes:
            written = clone_episodes(parsed.episodes, config, directory, start=setup.start)
        else:
            written = clone_demonstrations(config, directory)
    print(f"wrote {written}")
    return 0
