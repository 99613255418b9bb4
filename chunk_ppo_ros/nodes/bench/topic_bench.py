"""Measures the sending of transitions between two processes.

One process sends them by reward_node's outbox. The other acknowledges them as trainer_node does (`topic_receiver.py`).
`python -m chunk_ppo_ros bench` starts the first process, which starts the second.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rclpy
from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ObservationSource, Transition
from chunk_ppo_ros.data.store import Store
from chunk_ppo_ros.evaluation.bench.bench_inputs import PROMPT, RUN_ID, random_chunk, transition_of
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure, measure, rate_of
from chunk_ppo_ros.nodes.bench.topic_receiver import Receiver
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.executors import make_step_executor
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.nodes.wire import topics

WINDOW = 8
"""The number of transitions that are in flight at a time, which is as many as reward_node's outbox allows."""

TIMEOUT = 60.0  # s, for finding the receiver and for one run
NUM_DIFFERENT = 8  # the number of chunks in a rollout with different pixels, which the other chunks repeat
_PAUSE = 0.1  # s, for the receiver to remove what it stored of the rollout before


class Sender(Node):
    """Sends transitions by reward_node's outbox, in its executor. They are stored in a temporary folder before."""

    def __init__(self) -> None:
        super().__init__("bench_sender")
        self._settled: set[int] = set()
        self._refusals: list[str] = []
        self._folder = tempfile.TemporaryDirectory()
        conditions = Conditions(self)
        log = RunLog(self, conditions, Store(Path(self._folder.name), name="reward", run_id=RUN_ID))
        log.open()
        self._outbox = TransitionOutbox(self, conditions, log)
        self._outbox.begin_run(RUN_ID)
        topics.TRANSITION_ACK.create_subscription(self, self._on_ack)
        self._executor = make_step_executor()
        self._executor.add_node(self)

    def find_receiver(self) -> None:
        """Waits until the receiver is found.

        Raises:
            UserError: when it is not found in time.
        """
        deadline = time.monotonic() + TIMEOUT
        sent, answered = topics.TRANSITION.name, topics.TRANSITION_ACK.name
        while not (self.count_subscribers(sent) and self.count_publishers(answered)):
            if time.monotonic() > deadline:
                raise UserError(f"the receiving process must be found within {TIMEOUT} s; is loopback up?")
            self._executor.spin_once(timeout_sec=0.1)

    def send(self, transitions: Sequence[Transition], *, window: int) -> None:
        """Sends transitions until all are accepted, with at most `window` of them unacknowledged at a time.

        Raises:
            UserError: when one is refused, or not all are accepted in time.
        """
        waiting = collections.deque(transitions)
        deadline = time.monotonic() + TIMEOUT
        self._settled.clear()
        while len(self._settled) < len(transitions):
            while waiting and len(self._outbox.delivery) < window:
                self._add(waiting.popleft())
            self._outbox.send_due(time.monotonic())
            self._executor.spin_once(timeout_sec=0.1)
            if self._refusals or time.monotonic() > deadline:
                why = self._refusals or f"{len(self._settled)} answers in {TIMEOUT} s"
                raise UserError(f"all {len(transitions)} transitions must be accepted, got {why}")

    def _add(self, transition: Transition) -> None:
        chunk = dataclasses.replace(transition.chunk, source=ObservationSource(prompt=PROMPT))
        self._outbox.add(dataclasses.replace(transition, chunk=chunk))

    def _on_ack(self, ack: msg.TransitionAck) -> None:
        if ack.status in (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE):
            self._settled.add(ack.sequence_number)
        else:
            self._refusals.append(f"{ack.sequence_number}: {ack.message}")


def sending(sender: Sender, image_sizes: Sequence[int], num_transitions: int, *, runs: int) -> list[Figure]:
    """Measures rollouts of `num_transitions` at each image size, once with `WINDOW` in flight and once with one."""
    random = np.random.default_rng()
    versions, numbers = itertools.count(), itertools.count()

    def rollout(image_size: int) -> list[Transition]:
        model = dataclasses.replace(PRESETS["debug"].model, image_size=image_size, patch_size=1)
        version = next(versions)
        chunks = [
            dataclasses.replace(random_chunk(model, random), policy_version=version) for _ in range(NUM_DIFFERENT)
        ]
        time.sleep(_PAUSE)
        cycle = itertools.islice(itertools.cycle(chunks), num_transitions)
        return [transition_of(chunk, next(numbers), random) for chunk in cycle]

    def case(image_size: int, window: int) -> Case[list[Transition]]:
        num_cameras = len(PRESETS["debug"].model.cameras)
        size = f"{num_cameras} cameras at {image_size} ({num_cameras * image_size**2 * 3 / 1e3:.0f} kB)"
        how = "one at a time" if window == 1 else f"{window} under way"
        return Case(
            f"transitions, {size}, {how}",
            "transitions/s",
            lambda: rollout(image_size),
            lambda transitions: sender.send(transitions, window=window),
            rate_of(num_transitions),
        )

    cases = [case(image_size, window) for image_size in image_sizes for window in (WINDOW, 1)]
    return measure("topics", cases, runs=runs)


@contextlib.contextmanager
def receiving_process(folder: Path, num_transitions: int) -> Iterator[None]:
    """Runs the receiver in a process that ends with this context or with the present process."""
    command = [
        sys.executable,
        "-m",
        "chunk_ppo_ros.runtime.supervised",
        str(os.getpid()),
        "chunk_ppo_ros.nodes.bench.topic_bench",
    ]
    command += ["--receive", "--folder", str(folder), "--num_transitions", str(num_transitions)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures as JSON. With `--receive` it is the receiving process instead."""
    given = _parse(arguments)
    if given.receive:
        run_node(lambda: Receiver(given.folder, given.num_transitions), [])
    rclpy.init(args=[])
    try:
        with receiving_process(given.folder / "journal", given.num_transitions):
            sender = Sender()
            sender.find_receiver()
            figures = sending(sender, given.image_sizes, given.num_transitions, runs=given.runs)
            sender.destroy_node()
    finally:
        rclpy.try_shutdown()
    print(json.dumps([figure.record() for figure in figures]))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receive", action="store_true")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--num_transitions", type=int, required=True)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--image_sizes", type=int, nargs="+", default=())
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
