"""Runs the trainer_node of a replay as a process, in a ROS domain that nobody else uses."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.episode import OPERATOR
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.nodes.replay.handled import ReplayError
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.description import LOGS
from chunk_ppo_ros.runtime.supervisor import Supervisor

NODE = "trainer_node"
"""The node."""
_KEPT_LINES = 15


def settings_of_replay(config: TrainConfig, output: Path) -> TrainConfig:
    """Returns the settings of a recorded run, with a folder of its own, and resets that nobody and nothing makes.

    Args:
        config: the settings of the recorded run.
        output: the folder of the replay. Its checkpoints are in `checkpoints/` beside the folder above it.
    """
    run = dataclasses.replace(
        config.run,
        run_dir=str(output.parent),
        exp_name=output.name,
        checkpoint_root=str(output.parent.parent / "checkpoints"),
        checkpoint_dir="",
        resume=False,
        wandb=False,
        autostart=True,
    )
    episode = dataclasses.replace(config.episode, reset=OPERATOR, reset_command="", start_automatically=False)
    return dataclasses.replace(config, run=run, episode=episode)


def keep_off_the_network() -> None:
    """Lets the ROS nodes of this process be found by this machine only, whatever the user chose for other programs.

    A replay publishes chunks and results of a robot, which no robot on the network may hear. It must be called before
    ROS is initialized.
    """
    os.environ.update(graph_lib.network_environment(discovery="localhost"))


class TrainerProcess:
    """The trainer_node of a replay, which runs within the context `running`.

    Args:
        config: the settings of the replay.
        domain_id: the ROS domain.
        environment: further variables of the process.

    Attributes:
        parameter_file: the file with the settings of the replay, as ROS reads them.
    """

    def __init__(self, config: TrainConfig, *, domain_id: int, environment: Mapping[str, str]) -> None:
        graph = graph_lib.describe(config)
        nodes = tuple(dataclasses.replace(one, use_sim_time=False) for one in graph.nodes if one.name == NODE)
        if not nodes:
            raise ReplayError("a recording must be of a training, got one of a run without a trainer")
        self.parameter_file = graph.parameter_file
        self._lines: list[str] = []
        self._logs = graph.run_dir / LOGS
        self._code: int | None = None
        self._supervisor = Supervisor(
            dataclasses.replace(graph, nodes=nodes),
            domain_id=domain_id,
            environment={**graph_lib.network_environment(discovery="localhost"), **environment},
            output=self._lines.append,
        )
        self._thread = threading.Thread(target=self._run, name="supervisor")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs the node within the context."""
        self._thread.start()
        try:
            yield
        finally:
            self._supervisor.stop()
            self._thread.join()

    def goes_on(self) -> bool:
        """Returns whether the node runs. It ends by itself where the run has reached its end.

        Raises:
            ReplayError: where it has failed.
        """
        if self._code not in (None, 0, FRESH_UNASKED):
            text = "\n".join(self._lines[-_KEPT_LINES:])
            raise ReplayError(f"trainer_node has ended; its log is in {self._logs}, with the lines:\n{text}")
        return self._code is None

    def _run(self) -> None:
        self._code = self._supervisor.run()
