"""`python -m chunk_ppo_ros COMMAND`: everything that runs without `ros2`, by one name."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT."""

COMMANDS = {
    "demo": "imitation, PPO over ROS 2 topics in the simulator, evaluation: the whole loop in minutes",
    "train": "the script form: train --config debug|full --exp_name NAME [--no_wandb] [--model tiny|...]",
    "graph": "start the ROS graph (all nodes) without the launch package",
    "pretrain": "imitate scripted demonstrations; writes an openpi checkpoint",
    "evaluate": "measure a checkpoint on unseen starts",
    "export": "write the actor of a checkpoint as an openpi checkpoint",
    "norm-stats": "compute norm_stats.json from recorded episodes",
    "parity": "compare the model with reference data of openpi, number by number",
    "positions": "tell which position rule a checkpoint prefers: ours or that of openpi's sampler",
    "bench": "print medians of acting, updating, observing and the topics",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; errors of use and of input print one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print("usage: python -m chunk_ppo_ros COMMAND [--help | flags]\n")
        print("\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items()))
        return 0 if given else 2
    name = given[0]
    if name not in COMMANDS:
        print(f"chunk_ppo_ros: unknown command '{name}'; commands are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    from chunk_ppo_ros.errors import UserError

    try:
        return int(importlib.import_module(f"chunk_ppo_ros.{name.replace('-', '_')}").main(given[1:]))
    except UserError as error:
        print(f"chunk_ppo_ros {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"chunk_ppo_ros {name}: stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    status = main()
    if status == INTERRUPTED:
        # A thread in which XLA compiles can crash the interpreter's end (segmentation fault), so that is left out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
