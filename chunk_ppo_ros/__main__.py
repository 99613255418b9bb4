"""`python -m chunk_ppo_ros COMMAND`: everything that runs without `ros2`, by one name."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.commands import leave, run_command

COMMANDS = {
    "demo": "imitation, PPO over ROS 2 topics in the simulator, evaluation: the whole loop in minutes",
    "train": "the script form: train --config debug|full --exp_name NAME [--no_wandb] [--model tiny|...]",
    "graph": "start the ROS graph (all nodes) without the launch package",
    "pretrain": "imitate scripted demonstrations or recorded episodes; writes an openpi checkpoint",
    "evaluate": "measure a checkpoint on unseen starts",
    "export": "write the actor of a checkpoint as an openpi checkpoint",
    "norm-stats": "compute norm_stats.json from recorded episodes",
    "train-classifier": "train a success classifier on the images of recorded episodes",
    "parity": "compare the model with reference data of openpi, number by number",
    "positions": "tell which position rule a checkpoint prefers: ours or that of openpi's sampler",
    "bench": "print medians of acting, updating, observing and the topics",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    return run_command("chunk_ppo_ros", COMMANDS, arguments)


if __name__ == "__main__":
    leave(main())
