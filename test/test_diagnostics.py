"""Tests what all nodes say on /diagnostics: names that do not collide, plain numbers, and one time base."""

from __future__ import annotations

import math
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.config import EnvConfig, TrainConfig
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.nodes.common.status.diagnostics import Diagnostics, PeriodicDiagnostics, key_values, own_name
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.policy.policy_diagnostics import ActTimes, rollout_values
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_to_ns
from support.fake_node import FakeNode

NEWEST = NewestChunk(17, 3, 2, policy_version=7, value=0.5, num_steps=16, human=False, stamp=5, observation_stamp=4)


class InNamespace(FakeNode):
    """A node of a namespace."""

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self._namespace = namespace

    def get_namespace(self) -> str:
        return self._namespace

    def get_name(self) -> str:
        return "policy_node"


def told(node: FakeNode) -> DiagnosticArray:
    """Returns the newest message of a node."""
    message: DiagnosticArray = node.published("/diagnostics")[-1]
    return message


def status_of(namespace: str, name: str = "policy_node") -> DiagnosticStatus:
    """Returns a status as a node of a namespace publishes it."""
    node: Any = InNamespace(namespace)
    Diagnostics(node).publish(DiagnosticStatus(name=name))
    return told(node).status[0]


@pytest.mark.parametrize(
    ("namespace", "name", "hardware"),
    [
        ("/", "policy_node", "aloha"),
        ("/cell_1", "cell_1/policy_node", "aloha/cell_1"),
        ("/lab/cell_1", "lab/cell_1/policy_node", "aloha/lab/cell_1"),
    ],
)
def test_statuses_of_two_namespaces_have_different_names(namespace: str, name: str, hardware: str) -> None:
    status = status_of(namespace)
    assert (status.name, status.hardware_id) == (name, hardware)


def test_a_tool_of_one_namespace_leaves_out_the_statuses_of_another() -> None:
    part = "robot_node: back end"
    for namespace in ("/", "/cell_1", "/cell_2"):
        assert own_name(status_of(namespace, part), namespace) == part
        others = {"/", "/cell_1", "/cell_2"} - {namespace}
        assert [own_name(status_of(other, part), namespace) for other in others] == [None, None]
    assert own_name(status_of("/"), "") == "policy_node"


def test_statuses_of_other_programs_keep_their_names_everywhere() -> None:
    driver = DiagnosticStatus(name="joint_state_broadcaster", hardware_id="aloha_left_bus")
    assert own_name(driver, "/cell_1") == own_name(driver, "/") == "joint_state_broadcaster"


def test_numbers_are_plain_so_that_tools_can_plot_them() -> None:
    values = key_values(
        {"steps": 120_000_000_000, "fill": 0.125, "gap": 1e-7, "acts": True, "rate": math.nan, "waits for": "you"}
    )
    texts = {each.key: each.value for each in values}
    assert texts.pop("waits for") == "you"
    numbers = {key: float(text) for key, text in texts.items()}
    assert math.isnan(numbers.pop("rate"))
    assert numbers == {"steps": 120_000_000_000.0, "fill": 0.125, "gap": 1e-7, "acts": 1.0}


def test_a_status_is_published_at_each_second_with_the_ros_time() -> None:
    node: Any = InNamespace("/cell_1")
    PeriodicDiagnostics(
        node, level=lambda: DiagnosticStatus.WARN, tell=lambda: ("waits", {"queue": 3}), now=lambda: 7_000_000_009
    )
    (timer,) = node.timers
    timer.on_time()
    message = told(node)
    (status,) = message.status
    assert (status.name, status.level, status.message) == ("cell_1/policy_node", DiagnosticStatus.WARN, "waits")
    assert [(each.key, each.value) for each in status.values] == [("queue", "3")]
    assert time_to_ns(message.header.stamp) == 7_000_000_009


# The tests below check the time by which a node stamps that does not read /clock.


def make_time(*, realtime: bool) -> tuple[RosTime, Any]:
    node: Any = FakeNode()
    node.now = 5_000_000_000
    return RosTime(node, TrainConfig(env=EnvConfig(realtime=realtime))), node


def test_in_lockstep_the_time_is_the_newest_that_was_heard_of() -> None:
    time, node = make_time(realtime=False)
    assert time.now() == 5_000_000_000, "simulated time begins at the time of the system"
    state = topics.EPISODE_STATE.message_type(header=header_of(3_000_000_000))
    node.subscribers["episode_state"](state)
    assert time.now() == 3_000_000_000
    time.note(205_000_000_000)
    node.subscribers["episode_state"](state)  # It was on its way when the other message was sent.
    assert time.now() == 205_000_000_000


def test_in_real_time_the_time_is_that_of_the_clock() -> None:
    time, node = make_time(realtime=True)
    time.note(205_000_000_000)
    assert time.now() == 5_000_000_000
    assert "episode_state" not in node.subscribers


# The tests below check the numbers of policy_node.


def test_the_times_of_acting_stand_beside_the_time_of_the_chunk() -> None:
    times = ActTimes(control_rate=50.0)
    assert times.values(NEWEST) == {}
    for hundredth in range(1, 102):
        times.note(hundredth / 100)
    assert times.values(None) == {}
    values = times.values(NEWEST)
    assert values == pytest.approx(
        {"act_time_p50": 0.51, "act_time_p99": 1.0, "chunk_time": 0.32, "act_share_p99": 1.0 / 0.32}
    )


def test_the_rollout_is_told_as_far_as_policy_node_knows_it() -> None:
    state = RolloutState()
    assert rollout_values(state, None) == {}
    state.announce(Announcement(run_id="run", version=8, num_accepted=12, num_required=32))
    values = rollout_values(state, NEWEST)
    assert values == {
        "announced_version": 8,
        "version_is_loaded": False,
        "staleness": 1,
        "rollout_accepted": 12,
        "rollout_in_flight": 0,
        "rollout_required": 32,
        "rollout_fill": 0.375,
    }
    state.weights.loaded(8)
    assert rollout_values(state, NEWEST)["version_is_loaded"] is True
