"""Runs `python -m chunk_ppo_ros COMMAND`: each command that needs no `ros2` has a name here."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.cli.commands import leave, run_command

COMMANDS = {
    "demo": ("cli.demo", "run the whole loop in minutes: imitation, PPO over ROS 2 topics in a simulator, evaluation"),
    "train": (
        "agent.train",
        "train in one process without ROS: train --config debug|demo|full --exp_name NAME [--no_wandb]",
    ),
    "graph": ("agent.run_start.graph_command", "start the ROS graph (all nodes) without the launch package"),
    "deploy": (
        "evaluation.deployment.command",
        "let a checkpoint act without a trainer, in simulation or on a robot, and count its successes",
    ),
    "doctor": ("nodes.doctor.command", "check a workstation and a running robot, and say what to do; commands nothing"),
    "operate": (
        "nodes.operate.command",
        "show what a run does and waits for, with keys and pedals for an operator",
    ),
    "start-of-day": (
        "nodes.start_of_day.command",
        "move each joint by 2 degrees and the grippers, look through the cameras, and write a report",
    ),
    "pretrain": (
        "imitation.command",
        "imitate scripted demonstrations or recorded episodes; writes an openpi checkpoint",
    ),
    "measure-imitation": (
        "imitation.measuring.command",
        "measure on recorded episodes, without a robot, how well a checkpoint learned to imitate",
    ),
    "evaluate": ("evaluation.evaluate", "measure how often a checkpoint, or each of two, solves its task"),
    "report": ("reporting.command", "write the page and the plot of a run, which may still go on or was stopped"),
    "replay-updates": (
        "nodes.trainer.replay_updates",
        "make the updates of a run again from its stored transitions, and compare the weights to the bit",
    ),
    "store": (
        "agent.stored_run.command",
        "list, verify, prune or export what a run has stored: store list|verify|prune|export RUN",
    ),
    "rollback": (
        "agent.stored_run.rollback_command",
        "take a stopped run back to one of its checkpoints: rollback RUN --to step_N",
    ),
    "serve": (
        "agent.serving.command",
        "serve a checkpoint over openpi's websocket protocol, so that openpi's client gets chunks from it",
    ),
    "export": ("agent.export", "write the actor of a checkpoint as an openpi checkpoint"),
    "inspect": (
        "imitation.inspection.command",
        "look at recorded episodes before they are used, and say what is fine, asked or refused",
    ),
    "check-task": (
        "sim.check_task.command",
        "check a task of your own before it is trained on: check-task module:Class",
    ),
    "norm-stats": ("imitation.norm_stats", "compute norm_stats.json from recorded episodes"),
    "train-classifier": ("imitation.train_classifier", "train a success classifier on the images of recorded episodes"),
    "parity": ("evaluation.parity.parity", "compare the model with reference data of openpi, number by number"),
    "positions": (
        "evaluation.positions",
        "find which position rule a checkpoint prefers: ours or that of openpi's sampler",
    ),
    "command-stream": (
        "evaluation.command_stream.command",
        "measure and draw how evenly the robot was commanded in a recorded run",
    ),
    "bench": ("evaluation.bench.bench", "print medians of acting, updating, observing and the topics"),
}
"""The module of each command, below the package, and what the command does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    return run_command("chunk_ppo_ros", COMMANDS, arguments)


if __name__ == "__main__":
    leave(main())
