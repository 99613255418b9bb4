"""Leads the nodes of a training graph through their lifecycle at random moments. The run must go on to its end.

The graph runs in processes and in lockstep, on the kinematic simulator. An operator in the process of the test picks a
node, waits for a random time, and deactivates the node, or also cleans it up and configures it.
"""

from __future__ import annotations

import collections
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.node import Node
from std_msgs.msg import Bool

from chunk_ppo_ros.nodes.wire import topics
from support.lifecycle_operator import LifecycleOperator
from support.patience import PATIENCE
from support.spinner import Spinner

pytestmark = [pytest.mark.graph, pytest.mark.slow]

NUM_CYCLES = 12
SEED = 12
NODES = ("policy_node", "trainer_node", "robot_node")
NUM_CHUNKS = 6  # an episode has at most 4 chunks: rollouts end within episodes
NUM_UPDATES = 20
SETTINGS = {
    "num_chunks_per_update": NUM_CHUNKS,
    "batch_size": 3,
    "max_start_jump": 10.0,  # fresh weights start anywhere; the velocity limit keeps what follows within bounds
    "num_demonstrations": 16,
    "demonstration_workers": 1,
    "image_size": 32,
    "total_timesteps": NUM_UPDATES * NUM_CHUNKS * 16 - 15,
    "keep_checkpoints": 2,
}


class Observer(Node):
    """Listens to what must be counted once, and to which nodes are ready."""

    def __init__(self, context: Context) -> None:
        super().__init__("lifecycle_operator", context=context)
        self.chunks: list[int] = []
        self.accepted: list[int] = []
        self.refused: list[msg.TransitionAck] = []
        self.versions: list[msg.PolicyVersion] = []
        self.endings: collections.Counter[int] = collections.Counter()
        self.ready: dict[str, bool] = {"robot_node": True}
        topics.ACTION_CHUNK.create_subscription(self, lambda chunk: self.chunks.append(chunk.sequence_number))
        topics.TRANSITION_ACK.create_subscription(self, self._on_ack)
        topics.POLICY_VERSION.create_subscription(self, self.versions.append)
        topics.EPISODE_EVENT.create_subscription(self, self._on_event)
        for name in ("policy_node", "trainer_node"):
            profile = topics.READY.read_profile
            self.create_subscription(
                Bool, f"{name}/ready", lambda ready, name=name: self._on_ready(name, ready), profile
            )

    def _on_ack(self, ack: msg.TransitionAck) -> None:
        if ack.status == msg.TransitionAck.ACCEPTED:
            self.accepted.append(ack.sequence_number)
        elif ack.status in (msg.TransitionAck.REFUSED_VERSION, msg.TransitionAck.REFUSED_INVALID):
            self.refused.append(ack)

    def _on_event(self, event: msg.EpisodeEvent) -> None:
        if event.event == msg.EpisodeEvent.ENDED:
            self.endings[event.outcome] += 1

    def _on_ready(self, name: str, ready: Bool) -> None:
        self.ready[name] = ready.data


class Led:
    """A running graph, what is heard of it, and an operator who leads its nodes."""

    def __init__(self, process: subprocess.Popen[str], context: Context, log: Path) -> None:
        self._process, self._log = process, log
        self.observer = Observer(context)
        self._spinner = Spinner(self.observer, context=context)
        self._operators: dict[str, LifecycleOperator] = {}
        self._random = random.Random(SEED)

    def until(self, condition: Callable[[], object], *, timeout: float = PATIENCE) -> None:
        """Spins until a condition holds, and fails where the graph has ended."""

        def holds() -> bool:
            assert self._process.poll() is None, f"the graph has ended:\n{self._log.read_text()}"
            return bool(condition())

        self._spinner.until(holds, timeout=timeout)

    def cycle(self) -> str:
        """Leads a node down and up again at a random moment, and returns what was done."""
        name, cleans_up = self._random.choice(NODES), self._random.random() < 0.5
        goal = len(self.observer.chunks) + self._random.randrange(NUM_CHUNKS)
        self.until(lambda: len(self.observer.chunks) >= goal)
        self._spinner.spin(self._random.uniform(0.0, 0.3))
        self._ask(name, "deactivate", *(["cleanup"] if cleans_up else []))
        self._spinner.spin(self._random.uniform(0.0, 1.0))
        if cleans_up:
            self._ask(name, "configure")
            self._spinner.spin(0.1)
            self.until(lambda: self.observer.ready[name])
            self._spinner.spin(self._random.uniform(0.0, 1.0))
        self._ask(name, "activate")
        return f"{name} {'cleaned up' if cleans_up else 'deactivated'} after chunk {goal}"

    def _ask(self, name: str, *transitions: str) -> None:
        if name not in self._operators:
            self._operators[name] = LifecycleOperator(self.observer, name, self.until)
        assert self._operators[name].ask(*transitions) == [True] * len(transitions), (name, transitions)

    def finish(self) -> int:
        """Listens until the graph has ended, and returns its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"the run stands still:\n{self._log.read_text()}"
            self._spinner.spin(0.1)
        return self._process.returncode

    def close(self) -> None:
        self._spinner.close()


@pytest.fixture
def led(tmp_path: Path, repository: Path) -> Iterator[Led]:
    flags = [text for name, value in SETTINGS.items() for text in (f"--{name}", str(value))]
    places = ["--run_dir", str(tmp_path / "runs"), "--checkpoint_root", str(tmp_path / "checkpoints"), "--no_wandb"]
    command = [sys.executable, "-m", "chunk_ppo_ros", "graph", "--config", "debug", *places, *flags]
    log, environment = tmp_path / "graph.log", os.environ | {"PYTHONPATH": str(repository)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True)
    context = Context()
    try:
        context.init(domain_id=domain_of(process, log))
        led = Led(process, context, log)
        try:
            yield led
        finally:
            led.close()
    finally:
        context.try_shutdown()
        process.terminate()
        process.wait(timeout=PATIENCE)


def domain_of(process: subprocess.Popen[str], log: Path) -> int:
    """Returns the ROS domain that the graph has claimed, as it prints it first."""
    deadline = time.monotonic() + 30.0
    while (found := re.search(r"ROS_DOMAIN_ID=(\d+)", log.read_text())) is None:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return int(found.group(1))


def test_a_run_goes_on_to_its_end_whatever_node_is_led_through_its_lifecycle(led: Led, tmp_path: Path) -> None:
    observer = led.observer
    led.until(lambda: observer.chunks)
    done = [led.cycle() for _ in range(NUM_CYCLES)]
    print("\n".join(done))
    assert led.finish() == 0
    assert len({version.run_id for version in observer.versions}) == 1
    assert observer.versions[-1].final
    assert observer.chunks == sorted(set(observer.chunks)), "a sequence number was used twice"
    assert len(observer.accepted) == len(set(observer.accepted)), "a transition was accepted twice"
    assert observer.refused == []
    lines = (tmp_path / "runs" / "debug" / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    updates = {record["policy_version"]: record for record in records if record["kind"] == "update"}
    newest = max(updates)
    assert newest == observer.versions[-1].version
    assert updates[newest]["num_chunks"] == NUM_CHUNKS * newest == len(observer.accepted)
    assert observer.endings[msg.EpisodeEvent.FAILURE] == 0, "a robot that is not active is no fault"
    assert observer.endings[msg.EpisodeEvent.DISCARDED] == 0
