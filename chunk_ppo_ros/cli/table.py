"""The table of all commands: what each does, and where its parser and its work are."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chunk_ppo_ros.config.flags import FlagParser

FIRST_STEPS, TRAIN, LOOK, DATA, ROBOT, CHECKPOINTS, DEVELOPERS = GROUPS = (
    "first steps",
    "train",
    "look at runs",
    "data",
    "robot",
    "checkpoints",
    "developers",
)
"""What one wants to do, in the order in which `--help` lists the commands."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of the program.

    Attributes:
        module: the module of the command, relative to the package. It has a function `main(arguments) -> int`.
        line: a line that says what the command does.
        group: one of GROUPS.
        parser: the function that makes its parser, as "MODULE:FUNCTION" relative to the package. Its module must load
            neither jax nor mujoco nor rclpy, because `--help` and the completion of the shell call it. An empty text
            lets the command alone know its flags.
    """

    module: str
    line: str
    group: str = ""
    parser: str = ""

    def make_parser(self, package: str) -> FlagParser | None:
        """Returns the parser without loading the command, or None where the command alone knows its flags."""
        if not self.parser:
            return None
        module, _, function = self.parser.partition(":")
        parser: FlagParser = getattr(importlib.import_module(f"{package}.{module}"), function)()
        return parser


COMMANDS = {
    "demo": Command(
        "cli.demo",
        "run the whole loop in minutes: imitation, PPO over ROS 2 topics in a simulator, evaluation",
        FIRST_STEPS,
        "config.commands.training:demo_parser",
    ),
    "doctor": Command(
        "nodes.doctor.command",
        "check a workstation and a running robot, and say what to do; commands nothing",
        FIRST_STEPS,
        "nodes.doctor.flags:doctor_parser",
    ),
    "completion": Command(
        "cli.completion",
        "print the line for bash or zsh by which Tab completes commands, flags and choices",
        FIRST_STEPS,
        "cli.completion:completion_parser",
    ),
    "pretrain": Command(
        "imitation.command",
        "imitate scripted demonstrations or recorded episodes; writes an openpi checkpoint",
        TRAIN,
        "config.commands.training:pretrain_parser",
    ),
    "train": Command(
        "agent.train",
        "train in one process without ROS",
        TRAIN,
        "config.commands.training:train_parser",
    ),
    "graph": Command(
        "agent.run_start.graph_command",
        "train over ROS 2 topics: start all nodes, in simulation or on a robot",
        TRAIN,
        "runtime.graph:graph_parser",
    ),
    "check-task": Command(
        "sim.check_task.command",
        "check a task of your own before it is trained on",
        TRAIN,
        "config.commands.tasks:check_task_parser",
    ),
    "evaluate": Command(
        "evaluation.evaluate",
        "measure how often a checkpoint, or each of two, solves its task",
        LOOK,
        "evaluation.deployment.flags:evaluate_parser",
    ),
    "report": Command(
        "reporting.command",
        "write the page and the plot of a run, which may still go on or was stopped",
        LOOK,
        "config.commands.runs:report_parser",
    ),
    "store": Command(
        "agent.stored_run.command",
        "list, verify, prune or export what a run has stored",
        LOOK,
        "config.commands.runs:store_parser",
    ),
    "rollback": Command(
        "agent.stored_run.rollback_command",
        "take a stopped run back to one of its checkpoints",
        LOOK,
        "config.commands.runs:rollback_parser",
    ),
    "replay": Command(
        "nodes.replay.command",
        "feed a recorded run through reward_node and trainer_node again, and compare the transitions",
        LOOK,
        "config.commands.runs:replay_parser",
    ),
    "replay-updates": Command(
        "nodes.trainer.replay_updates",
        "make the updates of a run again from its stored transitions, and compare the weights to the bit",
        LOOK,
        "config.commands.runs:replay_updates_parser",
    ),
    "command-stream": Command(
        "evaluation.command_stream.command",
        "measure and draw how evenly the robot was commanded in a recorded run",
        LOOK,
        "config.commands.runs:command_stream_parser",
    ),
    "inspect": Command(
        "imitation.inspection.command",
        "look at recorded episodes before they are used, and say what is fine, asked or refused",
        DATA,
        "config.commands.recordings:inspect_parser",
    ),
    "salvage": Command(
        "data.bags.salvaging.command",
        "make whole bags of the parts of a recording that were cut off",
        DATA,
        "config.commands.recordings:salvage_parser",
    ),
    "norm-stats": Command(
        "imitation.norm_stats",
        "compute norm_stats.json from recorded episodes",
        DATA,
        "config.commands.recordings:norm_stats_parser",
    ),
    "measure-imitation": Command(
        "imitation.measuring.command",
        "measure on recorded episodes, without a robot, how well a checkpoint learned to imitate",
        DATA,
        "config.commands.recordings:measure_imitation_parser",
    ),
    "train-classifier": Command(
        "imitation.train_classifier",
        "train a success classifier on the images of recorded episodes",
        DATA,
        "config.commands.recordings:train_classifier_parser",
    ),
    "export-lerobot": Command(
        "agent.stored_run.lerobot_command",
        "write a run, a bag or any recording as a LeRobot dataset",
        DATA,
        "config.commands.recordings:export_lerobot_parser",
    ),
    "topic": Command(
        "nodes.command_line.topic",
        "look at the topics of a running graph without the command ros2: topic list|echo|hz|pub",
        LOOK,
        "nodes.command_line.flags:topic_parser",
    ),
    "call": Command(
        "nodes.command_line.call",
        "call a service of a running graph without the command ros2",
        ROBOT,
        "nodes.command_line.flags:call_parser",
    ),
    "start-of-day": Command(
        "nodes.start_of_day.command",
        "move each joint by 2 degrees and the grippers, look through the cameras, and write a report",
        ROBOT,
        "nodes.start_of_day.flags:start_of_day_parser",
    ),
    "operate": Command(
        "nodes.operate.command",
        "show what a run does and waits for, with keys and pedals for an operator",
        ROBOT,
        "nodes.operate.flags:operate_parser",
    ),
    "deploy": Command(
        "evaluation.deployment.command",
        "let a checkpoint act without a trainer, in simulation or on a robot, and count its successes",
        ROBOT,
        "evaluation.deployment.flags:deploy_parser",
    ),
    "export": Command(
        "agent.export",
        "write the actor of a checkpoint as an openpi checkpoint",
        CHECKPOINTS,
        "config.commands.checkpoints:export_parser",
    ),
    "serve": Command(
        "agent.serving.command",
        "serve a checkpoint over openpi's websocket protocol, so that openpi's client gets chunks from it",
        CHECKPOINTS,
        "config.commands.checkpoints:serve_parser",
    ),
    "positions": Command(
        "evaluation.positions",
        "find which position rule a checkpoint prefers: ours or that of openpi's sampler",
        CHECKPOINTS,
        "config.commands.checkpoints:positions_parser",
    ),
    "parity": Command(
        "evaluation.parity.parity",
        "compare the model with reference data of openpi, number by number",
        DEVELOPERS,
        "config.commands.checkpoints:parity_parser",
    ),
    "bench": Command(
        "evaluation.bench.bench",
        "print medians of acting, updating, observing and the topics",
        DEVELOPERS,
        "config.commands.developers:bench_parser",
    ),
}
"""All commands by name."""
