"""Kills policy_node in a process of its own at each instant of a rollout. The rollout must go on as if nothing was.

The rest of the graph is played in the process of the test: the robot executes each stamp once, as robot_node does, and
the referee repeats the outcome of a chunk that it gets again, as reward_node does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from support.dying_policy import INSTANTS
from support.node_harness import Graph, node_config, running_graph
from support.patience import PATIENCE
from support.policy_peers import PolicyPeers

pytestmark = pytest.mark.graph

MILLISECOND = 1_000_000  # ns


class AnsweringPeers(PolicyPeers):
    """Executes and judges what policy_node sends.

    Attributes:
        executed: the sequence numbers of the chunks that the robot executed, in order.
        holds: whether outcomes are kept back.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.executed: list[int] = []
        self.holds = False
        self._num_chunks = self._num_halves = 0
        self._now = 1
        self._judged: set[int] = set()  # the sequence numbers of the chunks whose outcome is known
        self._halves: dict[int, set[str]] = {}  # the halves that have arrived, by stamp
        self.create_timer(0.01, self._answer)

    def _answer(self) -> None:
        for chunk in self.chunks[self._num_chunks :]:
            if chunk.sequence_number in self._judged or chunk.human:
                self._judge(chunk)
        self._num_chunks = len(self.chunks)
        for side in ("left", "right"):
            for half in self.heard[f"robot/{side}/joint_trajectory"]:
                self._halves.setdefault(time_to_ns(half.header.stamp), set()).add(side)
        if self.holds:
            return
        for chunk in {chunk.sequence_number: chunk for chunk in self.chunks}.values():
            number, stamp = chunk.sequence_number, time_to_ns(chunk.header.stamp)
            if number not in self._judged and len(self._halves.get(stamp, ())) == 2:
                self.executed.append(number)
                self._judge(chunk)

    def _judge(self, chunk: msg.ActionChunk) -> None:
        self._judged.add(chunk.sequence_number)
        self._now += MILLISECOND
        self.settle(chunk, end=self._now, num_steps=16)

    def show(self) -> None:
        """Shows the sensors again, as a simulator in lockstep does for a node that was started anew."""
        self.sense(self._now)


class Killed:
    """policy_node in a process that dies and is started again, and its peers."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph, self._folder = graph, folder
        self.peer: AnsweringPeers = graph.peer  # type: ignore[assignment]
        self.process: subprocess.Popen[bytes] | None = None
        self.peer.create_timer(0.2, self.peer.show)

    def start(self, instant: str = "never") -> None:
        """Starts a process that dies at an instant."""
        command = [sys.executable, "-m", "support.dying_policy", instant, "--ros-args", "--params-file"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen([*command, str(self._folder / "parameters.yaml")], env=environment)

    def await_death(self) -> None:
        process = self.process
        assert process is not None
        self.graph.until(lambda: process.poll() is not None, timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, self.graph.seen()

    def await_chunks(self, count: int) -> None:
        """Waits until so many chunks have been executed and the last bootstrap has arrived."""
        self.graph.until(lambda: len(self.peer.executed) >= count, timeout=PATIENCE)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def killed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Killed]:
    write_parameter_file(node_config(tmp_path), tmp_path / "parameters.yaml")
    with running_graph(node_config(tmp_path), tmp_path, lambda: AnsweringPeers(tmp_path), capfd) as graph:
        killed = Killed(graph, tmp_path)
        killed.peer.announce()
        killed.peer.event(msg.EpisodeEvent.STARTED)
        try:
            yield killed
        finally:
            killed.kill()


@pytest.mark.slow
def test_what_a_human_drives_becomes_a_chunk_after_a_restart(killed: Killed) -> None:
    """The process dies while it encodes the segment. The next one hears its end again, but sees later images only."""
    peer, graph = killed.peer, killed.graph
    peer.holds = True
    killed.start("encoding")
    graph.until(lambda: peer.heard["robot/left/joint_trajectory"], timeout=PATIENCE)
    begin = time.time_ns()
    peer.take_over(stamp=begin - 7)
    peer.settle(peer.chunks[0], end=begin - 6, intervened=True)
    graph.until(lambda: peer.bootstraps)
    peer.take_over(stamp=begin, segment=begin)
    graph.spin(0.5)
    peer.drive(begin, num_steps=16)
    killed.await_death()
    killed.start()
    peer.create_timer(0.5, lambda: peer.sense(begin + 2, angle=0.3))
    peer.create_timer(0.5, lambda: peer.drive(begin, num_steps=16))
    graph.until(lambda: peer.chunks[-1].human, timeout=PATIENCE)
    assert (peer.chunks[-1].sequence_number, time_to_ns(peer.chunks[-1].header.stamp)) == (1, begin)
    assert peer.chunks[-1].observation.state[0] == pytest.approx(0.1)


def stamps_of(chunks: list[msg.ActionChunk]) -> dict[int, set[int]]:
    """Returns the stamps with which each chunk was published."""
    stamps: dict[int, set[int]] = {}
    for chunk in chunks:
        stamps.setdefault(chunk.sequence_number, set()).add(time_to_ns(chunk.header.stamp))
    return stamps


@pytest.mark.parametrize(
    "instants",
    [
        ["before its trajectories", "before its value is computed"],
        pytest.param([instant for instant in INSTANTS if instant != "encoding"], marks=pytest.mark.slow),
    ],
    ids=["two instants", "all instants"],
)
def test_a_rollout_is_sampled_once_whenever_its_process_is_killed(killed: Killed, instants: list[str]) -> None:
    """A rollout has four chunks. Each process dies at another instant, and the next one goes on."""
    for instant in instants:
        killed.start(instant)
        killed.await_death()
    killed.start()
    killed.graph.until(lambda: killed.peer.bootstraps, timeout=PATIENCE)
    killed.graph.spin(0.5)
    assert killed.peer.executed == [0, 1, 2, 3]
    stamps = stamps_of(killed.peer.chunks)
    assert sorted(stamps) == [0, 1, 2, 3]
    assert all(len(each) == 1 for each in stamps.values())
    chunks = {chunk.sequence_number: chunk for chunk in killed.peer.chunks}
    assert [chunks[number].chunk for number in range(4)] == [0, 1, 2, 3]
    assert {bootstrap.sequence_number for bootstrap in killed.peer.bootstraps} == {3}
    for number in range(4):
        killed.peer.acknowledge(number, number + 1)
    killed.peer.announce(1, next_sequence_number=4)
    killed.await_chunks(5)
    assert killed.peer.executed == [0, 1, 2, 3, 4]
