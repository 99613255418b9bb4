"""Runs a small graph that is recorded, with an operator who marks, discards, pauses and rewards, for tests of bags."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float32
from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.wire import services, topics

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from chaos.settings import SMALL_GRAPH, SMALL_TOWERS

RUN = "taped"
NUM_CHUNKS = 6  # of an update
NUM_UPDATES = 3
_SETTINGS = {
    **SMALL_GRAPH,
    "total_timesteps": NUM_UPDATES * NUM_CHUNKS * 4 - 3,
    "num_chunks_per_update": NUM_CHUNKS,
    "batch_size": NUM_CHUNKS,
    "simulator": "kinematic",
    "feedback_weight": 1.0,
}


class Operator(Node):
    """Acts at the numbers of the outcomes that it hears."""

    def __init__(self, context: Context) -> None:
        super().__init__("operator", context=context, use_global_arguments=False)
        self.heard = 0
        self._feedback = topics.HUMAN_FEEDBACK.create_publisher(self)
        self._end = services.END_EPISODE.create_client(self)
        self._pause = services.PAUSE.create_client(self)
        topics.CHUNK_OUTCOME.create_subscription(self, self._on_outcome)
        self._acts: dict[int, Callable[[], Any]] = {
            2: lambda: self._feedback.publish(Float32(data=0.25)),
            4: lambda: self._mark(msg.EpisodeEvent.SUCCESS),
            7: lambda: self._mark(msg.EpisodeEvent.DISCARDED),
            10: lambda: self._feedback.publish(Float32(data=-0.5)),
            12: lambda: self._mark(msg.EpisodeEvent.FAILURE),
        }

    def _mark(self, outcome: int) -> None:
        self._end.call_async(EndEpisode.Request(outcome=outcome))

    def _on_outcome(self, message: msg.ChunkOutcome) -> None:
        self.heard += 1
        act = self._acts.pop(self.heard, None)
        if act is not None:
            self._in_a_pause(act)

    def _in_a_pause(self, act: Callable[[], Any]) -> None:
        """Pauses, and acts while nothing runs, so that nobody can doubt to which chunk the act belongs."""

        def go_on() -> None:
            act()
            self._later(lambda: self._pause.call_async(SetBool.Request(data=False)))

        self._pause.call_async(SetBool.Request(data=True)).add_done_callback(lambda _: self._later(go_on))

    def _later(self, act: Callable[[], Any]) -> None:
        def fire() -> None:
            timer.cancel()
            act()

        timer = self.create_timer(0.5, fire)


def record_run(folder: Path, repository: Path, *flags: str) -> str:
    """Runs the graph to its end below a folder, and returns what it printed."""
    given = [text for name, value in _SETTINGS.items() for text in (f"--{name}", str(value))]
    places = ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"), "--exp_name", RUN]
    domain = os.environ["ROS_DOMAIN_ID"]
    command = [sys.executable, "-m", "chunk_ppo_ros", "graph", "--config", "debug", *places, "--no_wandb", "--record"]
    command += [*given, "--domain_id", domain, *flags, "--tower_sizes", *SMALL_TOWERS]
    context = Context()
    rclpy.init(args=[], context=context, domain_id=int(domain))
    operator, executor = Operator(context), SingleThreadedExecutor(context=context)
    executor.add_node(operator)
    log = folder / "output"
    with log.open("w") as output:
        environment = os.environ | {"PYTHONPATH": str(repository)}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 240.0
            while process.poll() is None and time.monotonic() < deadline:
                executor.spin_once(timeout_sec=0.05)
        finally:
            process.terminate()
            process.wait(timeout=20.0)
            executor.shutdown(timeout_sec=0.2)
            operator.destroy_node()
            context.try_shutdown()
    text = log.read_text()
    assert process.returncode == 0, text
    return text
