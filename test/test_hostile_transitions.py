"""Sends forged and broken transitions to trainer_node: each is answered, set aside, and stops nothing."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from chunk_ppo_msgs import msg
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.set_aside import SetAsideTransition, read_set_aside
from chunk_ppo_ros.nodes.trainer import run_loader, trainer_node
from chunk_ppo_ros.nodes.wire import conversions, qos, topics
from support.fake_learner import FakeLearner, make_transition
from support.node_harness import Graph, Peer, graph_starter, node_config

pytestmark = pytest.mark.graph

ACK = msg.TransitionAck
ENDED = msg.EpisodeEvent.ENDED
Start = Callable[..., Graph]


class Sender(Peer):
    """Plays reward_node, with what a forger may send."""

    def __init__(self, name: str = "peer") -> None:
        super().__init__(name)
        self.transitions = topics.TRANSITION.create_publisher(self)
        self.events = topics.EPISODE_EVENT.create_publisher(self)
        for topic in (topics.TRANSITION_ACK, topics.POLICY_VERSION, topics.TRAINING_METRICS):
            self.listen(topic.message_type, topic.name, topic.read_profile)

    @property
    def acks(self) -> list[msg.TransitionAck]:
        return self.heard[topics.TRANSITION_ACK.name]

    @property
    def versions(self) -> list[msg.PolicyVersion]:
        return self.heard[topics.POLICY_VERSION.name]


class _NoReport:
    def __init__(self, run_dir: Path) -> None: ...

    def request(self) -> None: ...

    def close(self) -> None: ...

    def leave(self) -> None: ...


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Start]:
    monkeypatch.setattr(run_loader, "Learner", FakeLearner)
    monkeypatch.setattr(trainer_node, "ReportWriter", _NoReport)
    for name in ("update_errors", "blamed", "save_errors", "trained"):
        monkeypatch.setattr(FakeLearner, name, [])
    with graph_starter(tmp_path, trainer_node.TrainerNode, Sender, capfd) as start:
        yield start


@pytest.fixture
def graph(start: Start) -> Graph:
    """Runs a trainer that collects four transitions for version 0."""
    graph = start()
    graph.until(lambda: graph.peer.versions)
    return graph


@pytest.fixture
def aside(tmp_path: Path) -> Callable[[], list[SetAsideTransition]]:
    return lambda: read_set_aside(tmp_path / "runs" / "debug" / "store" / "set_aside")


def send(graph: Graph, message: msg.Transition | bytes) -> msg.TransitionAck:
    """Sends a message and returns its acknowledgment."""
    before = len(graph.peer.acks)
    graph.peer.transitions.publish(message)
    graph.until(lambda: len(graph.peer.acks) > before)
    return graph.peer.acks[-1]


def honest(number: int, **fields: Any) -> msg.Transition:
    return conversions.transition_to_message(make_transition(number, **fields))


def train(graph: Graph, *numbers: int) -> None:
    """Sends what the rollout lacks, and checks that it is trained on with nothing else."""
    version = graph.peer.versions[-1].version
    for number in numbers:
        assert send(graph, honest(number, version=version)).status == ACK.ACCEPTED
    graph.until(lambda: graph.peer.versions[-1].version == version + 1)
    assert FakeLearner.trained[-1] == list(numbers)


def numbered(number: int) -> msg.Transition:
    message = honest(0)
    message.chunk.sequence_number = message.outcome.sequence_number = number
    return message


def of_episode(number: int) -> msg.Transition:
    message = honest(0)
    message.chunk.episode = message.outcome.episode = number
    return message


def rewarded(reward: float, *terms: float) -> msg.Transition:
    message = honest(0)
    message.outcome.reward = reward
    message.outcome.terms = [msg.RewardTerm(name=f"t{at}", value=term, weight=1.0) for at, term in enumerate(terms)]
    return message


def changed(part: str, **fields: Any) -> msg.Transition:
    message = honest(0)
    for name, value in fields.items():
        setattr(getattr(message, part) if part else message, name, value)
    return message


FORGERIES: dict[str, tuple[msg.Transition, str]] = {
    "a number far ahead": (numbered(100_000), "sequence_number must be at most 5000"),
    "-1 wrapped": (numbered(2**64 - 1), "sequence_number must be at most 5000"),
    "the largest that a rollout may hold": (numbered(2**31), "sequence_number must be at most 5000"),
    "an episode far ahead": (of_episode(2**32 - 1), "episode must be at most 5000"),
    "a reward of 50": (rewarded(50.0, 50.0), "reward must be within -20..20"),
    "a reward of 1e30": (rewarded(1e30, 1e30), "must add at most 200"),
    "a reward that is not a number": (rewarded(float("nan")), "reward must be finite"),
    "a reward that its terms contradict": (rewarded(1.0, 0.5), "reward must be the sum of its terms"),
    "terms that cancel each other": (rewarded(0.0, 1e30, -1e30), "must add at most 200"),
    "an absurd value": (changed("chunk", value=1e30), "value must be within"),
    "an absurd next value": (changed("", next_value=-1e30), "next_value must be within"),
    "an absurd discount": (changed("", discount=1e-30), "discount must be 0.99"),
    "targets that are no angles": (changed("chunk", actions=[1e30] * (16 * 14)), "actions must be within"),
    "a token that does not exist": (changed("chunk", action_tokens=[2**31 - 1] * 6), "action_tokens must be within"),
    "no sampled token": (changed("chunk", token_mask=[False] * 6), "token_mask must name a sampled token"),
    "log-probs above 0": (changed("chunk", token_log_probs=[1e30] * 6), "token_log_probs must not be positive"),
    "a chunk of another run": (honest(0, run_id="other"), "run_id must be 'run', got 'other'"),
    "another version far ahead": (honest(0, version=2**63), "policy_version must be 0"),
    "another format": (changed("format", version=9), "format"),
    "more steps than were asked": (changed("chunk", num_steps_asked=3), "num_steps must be within 1..3"),
    "two identities": (changed("outcome", sequence_number=7), "must have one identity"),
}


@pytest.mark.parametrize(("message", "reason"), FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_transition_is_answered_set_aside_and_moves_nothing(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]], message: msg.Transition, reason: str
) -> None:
    ack = send(graph, message)
    assert ack.status in (ACK.REFUSED_INVALID, ACK.REFUSED_VERSION) and reason in ack.message
    assert (ack.run_id, ack.sequence_number, ack.num_accepted) == (
        message.chunk.run_id,
        message.chunk.sequence_number,
        0,
    )
    (kept,) = aside()
    assert kept.id == conversions.chunk_id(message.chunk) and kept.reason == ack.message
    train(graph, 0, 1, 2, 3)
    version = graph.peer.versions[-1]
    assert (version.next_sequence_number, version.next_episode) == (4, 1)


def test_a_chunk_of_a_robot_without_a_name_is_set_aside(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    transition = make_transition(0)
    other = dataclasses.replace(transition, id=dataclasses.replace(transition.id, sender=""))
    ack = send(graph, conversions.transition_to_message(other))
    assert (ack.sender, ack.status) == ("", ACK.REFUSED_INVALID)
    assert [one.reason for one in aside()] == ["sender must have 1 to 100 bytes, got ''"]
    train(graph, 0, 1, 2, 3)


def test_what_is_sent_again_with_other_content_is_set_aside_and_changes_nothing(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    assert send(graph, honest(0)).status == ACK.ACCEPTED
    assert send(graph, honest(0)).status == ACK.DUPLICATE
    ack = send(graph, rewarded(2.0, 2.0))
    assert (ack.status, ack.num_accepted) == (ACK.REFUSED_INVALID, 1)
    assert "sequence_number must be new, got 0" in ack.message and len(aside()) == 1
    for number in (1, 2, 3):
        send(graph, honest(number))
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert send(graph, honest(0)).status == ACK.DUPLICATE
    assert send(graph, rewarded(2.0, 2.0)).status == ACK.REFUSED_INVALID
    assert FakeLearner.trained == [[0, 1, 2, 3]]


def test_bytes_that_are_no_transition_are_answered_as_far_as_they_can_be_read(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    raw = serialize_message(honest(3))
    ack = send(graph, raw[:150])
    assert (ack.run_id, ack.sender, ack.sequence_number) == ("run", "robot_0", 3)
    assert ack.status == ACK.REFUSED_INVALID and "must be a serialized Transition, got 150 bytes" in ack.message
    assert send(graph, b"\x00\x01\x00\x00garbage").run_id == ""
    assert [len(one.message) for one in aside()] == [150, 11]
    train(graph, 0, 1, 2, 3)


def test_many_forgeries_make_one_line_of_the_log_for_each_kind(graph: Graph) -> None:
    """The numbers in their reasons differ, and the disk must not fill up with them."""
    for number in range(30):
        send(graph, numbered(100_000 + number))
    for number in range(30):
        send(graph, rewarded(100.0 + number, 100.0 + number))
    assert graph.logged("is refused: sequence_number must be at most") == 1
    assert graph.logged("is refused: reward must be within") == 1
    train(graph, 0, 1, 2, 3)


def test_random_damage_is_answered_and_stops_nothing(graph: Graph) -> None:
    """The seed is fixed. Damage may leave a transition that can be true, but here it is of another version."""
    raw, chance = serialize_message(honest(0, version=5)), random.Random(0)  # No transition of version 5 is accepted.
    for _ in range(60):
        damaged = bytearray(raw)
        for _ in range(chance.choice((1, 5, 50))):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        assert send(graph, bytes(damaged)).status in (ACK.REFUSED_INVALID, ACK.REFUSED_VERSION)
    train(graph, 0, 1, 2, 3)


def test_the_transitions_because_of_which_an_update_failed_are_set_aside_and_replaced(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    FakeLearner.update_errors.append(UserError("|ratio - 1| is 3"))
    FakeLearner.blamed.append((1,))
    for number in range(4):
        send(graph, honest(number))
    graph.until(lambda: len(graph.peer.acks) == 5)
    ack = graph.peer.acks[-1]
    assert (ack.sequence_number, ack.status, ack.num_accepted) == (1, ACK.REFUSED_INVALID, 3)
    graph.until(lambda: graph.peer.versions[-1].num_accepted == 3)
    assert graph.logged("transitions 1 of version 0 are set aside, because the update failed: |ratio - 1| is 3") == 1
    assert send(graph, honest(1)).status == ACK.DUPLICATE  # Whoever sends it again is told that it had been accepted.
    assert send(graph, honest(4)).status == ACK.ACCEPTED
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[0, 2, 3, 4]]
    assert [one.id.sequence_number for one in aside() if one.id] == [1]
    assert graph.logged("the update is made without the transitions that are set aside") == 1


@pytest.mark.parametrize("mended", ["trainer_node", "policy_node"])
def test_a_run_pauses_where_more_than_half_of_two_rollouts_in_a_row_fail(graph: Graph, mended: str) -> None:
    FakeLearner.update_errors += [UserError("other weights")] * 2
    FakeLearner.blamed += [(0, 1, 2), (3, 4, 5)]
    for number in range(4):
        send(graph, honest(number))
    graph.until(lambda: len(graph.peer.acks) == 7)
    for number in (4, 5, 6):
        send(graph, honest(number))
    text = "failed: more than half of the transitions of 2 rollouts in a row cannot be trained on: other weights"
    graph.until(lambda: graph.logged(text))
    graph.spin(0.3)
    assert len(graph.peer.acks) == 10 and FakeLearner.trained == []
    if mended == "policy_node":  # What it has sampled before still fails, and is replaced.
        FakeLearner.update_errors.append(UserError("other weights"))
        FakeLearner.blamed.append((3, 4, 5))
    graph.node.trigger_deactivate()
    graph.node.trigger_activate()
    if mended == "policy_node":
        graph.until(lambda: len(graph.peer.acks) == 13)
        for number in (7, 8, 9):
            send(graph, honest(number))
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[3, 4, 5, 6] if mended == "trainer_node" else [6, 7, 8, 9]]


def store(folder: Path, *stored: tuple[int, bytes]) -> None:
    """Writes records into the journal of the run, whose checksums are right."""
    journal = RolloutJournal(folder / "runs" / "debug" / "store" / "journal")
    journal.open()
    journal.begin_run("run", FakeLearner.start(node_config(folder)).consumed)
    for number, raw in stored:
        journal.add(("robot_0", number), raw, lambda error: None)
    journal.close()


def test_stored_records_that_cannot_be_trained_on_are_set_aside_at_a_resume(
    start: Start, tmp_path: Path, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    raw = serialize_message(honest(1))
    forged = serialize_message(rewarded(1e9, 1e9))
    store(
        tmp_path,
        (0, serialize_message(honest(0))),
        (1, raw[: len(raw) // 2]),
        (2, b""),
        (3, forged),
        (100_000, serialize_message(numbered(100_000))),
    )
    graph = start(run={"resume": True})
    graph.until(lambda: graph.peer.versions)
    version = graph.peer.versions[-1]
    assert (version.num_accepted, version.next_episode) == (1, 1)
    assert version.next_sequence_number == 4  # The one that jumps is not followed.
    graph.until(lambda: len(aside()) == 4)
    train_rest = [send(graph, honest(number)) for number in (5, 6, 7)]
    assert [ack.status for ack in train_rest] == [ACK.ACCEPTED] * 3
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[0, 5, 6, 7]]


def test_a_stored_episode_far_ahead_is_not_followed(start: Start, tmp_path: Path) -> None:
    store(tmp_path, (0, serialize_message(of_episode(10**6))))
    graph = start(run={"resume": True})
    graph.until(lambda: graph.peer.versions)
    version = graph.peer.versions[-1]
    assert (version.num_accepted, version.next_sequence_number, version.next_episode) == (0, 1, 0)
    train(graph, 1, 2, 3, 4)


def test_episodes_without_a_transition_are_followed(start: Start) -> None:
    """reward_node numbers on while the robot cannot begin an episode."""
    graph = start(run={"max_number_jump": 5})
    graph.until(lambda: graph.peer.versions)
    for episode in range(12):
        graph.peer.events.publish(msg.EpisodeEvent(run_id="run", sender="robot_0", episode=episode, event=ENDED))
        graph.spin(0.02)
    assert send(graph, of_episode(17)).status == ACK.ACCEPTED


def test_a_clock_that_steps_stops_nothing(graph: Graph) -> None:
    """The time of the trainer goes a day back and a year ahead. Only the stamps of what it says follow it."""
    clock = graph.peer.create_publisher(Clock, "/clock", qos.SENSOR)
    graph.node.set_parameters([Parameter("use_sim_time", value=True)])
    graph.until(clock.get_subscription_count)
    for number, now in enumerate((10**9, 10**9 - 86_400, 10**9 + 31_536_000, 10**9)):
        clock.publish(Clock(clock=Time(sec=now)))
        graph.until(lambda now=now: graph.node.get_clock().now().nanoseconds // 10**9 == now)
        ack = send(graph, honest(number))
        assert (ack.status, ack.header.stamp.sec) == (ACK.ACCEPTED, now)
    graph.until(lambda: graph.peer.versions[-1].version == 1)


def test_a_full_disk_asks_to_send_a_forged_transition_again(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    def fail(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.writev", fail)
        ack = send(graph, numbered(100_000))
    assert ack.status == ACK.RETRY and "cannot be set aside" in ack.message and aside() == []
    assert send(graph, numbered(100_000)).status == ACK.REFUSED_INVALID


def test_transitions_of_another_node_are_named_set_aside_and_not_answered(
    graph: Graph, aside: Callable[[], list[SetAsideTransition]]
) -> None:
    assert send(graph, honest(0)).status == ACK.ACCEPTED
    forger = graph.add(Sender("forger"))
    graph.until(lambda: graph.node.count_publishers("transition") == 2 and forger.is_connected())
    graph.until(lambda: forger.transitions.get_subscription_count())
    forger.transitions.publish(honest(1))
    graph.until(aside)
    assert graph.logged("those of /forger on transition as robot_0, which /peer publishes") == 1
    assert "it comes from /forger" in aside()[0].reason
    assert len(graph.peer.acks) == 1
    graph.remove(forger)
    graph.until(lambda: graph.logged("no messages of other nodes come any more"), timeout=30.0)
    for number in (1, 2, 3):
        assert send(graph, honest(number)).status == ACK.ACCEPTED
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[0, 1, 2, 3]]
