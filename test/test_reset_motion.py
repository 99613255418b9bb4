"""Tests scripted resets by reward_node and robot_node together, with arms that reach each target at once."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.reward.reward_node import RewardNode
from chunk_ppo_ros.nodes.wire import qos, services, topics
from chunk_ppo_ros.robot import aloha
from support.patience import PATIENCE
from support.robot_rig import PERIOD, Graph, running_graph
from support.service_paths import SERVICE_PATHS

pytestmark = pytest.mark.graph

State = msg.EpisodeState
AWAY = np.array(aloha.START_POSE)
AWAY[[0, 7]] = 0.4


class Session:
    """A graph with reward_node, and an operator who calls and listens."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.rig = graph, graph.rig
        self.rig.destroy_publisher(self.rig.events)  # reward_node alone sends events.
        self.rig.state = AWAY.copy()
        self.states: list[msg.EpisodeState] = []
        topics.EPISODE_STATE.create_subscription(self.rig, self.states.append)
        self.versions = self.rig.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        graph.add(RewardNode())
        self.until(lambda: bool(self.states))
        self.versions.publish(msg.PolicyVersion(run_id="run", num_required=4))

    def until(self, condition: Any, *, timeout: float = PATIENCE) -> None:
        self.graph.until(condition, timeout=timeout)

    def until_phase(self, phase: int) -> None:
        self.until(lambda: self.states[-1].phase == phase)

    def until_waits_for(self, text: str) -> None:
        self.until(lambda: text in self.states[-1].waits_for)

    def call(self, name: str, kind: Any = Trigger, **values: object) -> tuple[bool, str]:
        client = self.rig.create_client(kind, SERVICE_PATHS[name])
        self.until(client.service_is_ready)
        future = client.call_async(kind.Request(**values))
        self.until(future.done)
        return future.result().success, future.result().message


@contextmanager
def session(folder: pathlib.Path, **settings: str) -> Iterator[Session]:
    values = {"run__run_dir": str(folder), "episode__reset": "scripted", "robot__scripted_velocity": "0.5", **settings}
    with running_graph(**values) as graph:
        yield Session(graph)


def test_a_scripted_reset_waits_for_the_confirmation_and_moves_slowly(tmp_path: pathlib.Path) -> None:
    with session(tmp_path, robot__confirm_start="true") as run:
        run.until_waits_for("robot_node has started (robot.confirm_start)")
        assert run.states[-1].command == services.CONFIRM_MOTION.command
        assert run.rig.targets == []
        assert run.call("confirm_motion")[0]
        run.until_phase(State.READY)
        np.testing.assert_allclose(run.rig.targets[-1], aloha.START_POSE, atol=1e-6)
        steps = np.diff(np.array([AWAY, *run.rig.targets]), axis=0)
        assert np.max(np.abs(steps[:, 0])) <= 1.2 * 0.5 * PERIOD + 1e-6
        assert run.call("start_episode") == (True, "episode 0 has started")


def test_a_reset_is_paused_and_begun_anew(tmp_path: pathlib.Path) -> None:
    with session(tmp_path) as run:
        run.until(lambda: len(run.rig.targets) > 5)
        assert run.call("pause", SetBool, data=True) == (True, "paused")
        run.graph.spin(0.5)
        run.until(lambda: not run.graph.robot.moves)  # It brakes, on a busy machine for longer.
        stands = run.rig.targets[-1]
        run.graph.spin(0.3)
        np.testing.assert_allclose(run.rig.targets[-1], stands)  # The robot holds where it was.
        assert stands[0] > 0.05
        run.call("pause", SetBool, data=False)
        run.until(lambda: run.rig.targets[-1][0] < stands[0] - 0.02)  # The reset begins anew by itself.
        assert run.call("reset") == (True, "the reset of episode 0 begins anew")
        run.until_phase(State.READY)
        np.testing.assert_allclose(run.rig.targets[-1], aloha.START_POSE, atol=1e-6)


def test_an_emergency_stop_in_a_reset_waits_for_a_person(tmp_path: pathlib.Path) -> None:
    with session(tmp_path, robot__scripted_velocity="0.1") as run:
        run.until(lambda: len(run.rig.targets) > 120)  # for more than two seconds
        assert run.call("emergency_stop", SetBool, data=True)[0]
        run.until_waits_for("a person, because the motion to the start pose ended as")
        run.call("emergency_stop", SetBool, data=False)
        run.graph.spin(1.5)
        stands = run.rig.targets[-1]
        run.graph.spin(0.3)
        np.testing.assert_allclose(run.rig.targets[-1], stands)  # Nothing moves by itself after an emergency stop.
        assert run.call("reset") == (True, "the reset of episode 0 begins anew")
        run.until_waits_for("robot_node to move the arms to the start pose")
        run.until(lambda: run.rig.targets[-1][0] < stands[0])
