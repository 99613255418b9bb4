"""Tests in which order a replay hands over what was handled, and that it refuses a recording that lacks some of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.data.bags.bag_messages import MessagePlace
from chunk_ppo_ros.data.bags.storage.stored import Place
from chunk_ppo_ros.nodes.replay.conductor import Conductor
from chunk_ppo_ros.nodes.replay.handled import Handled, ReplayError, in_order, of_run
from chunk_ppo_ros.nodes.replay.recorded_run import RecordedRun
from chunk_ppo_ros.nodes.wire import topics

Ack = msg.TransitionAck
PLACE = MessagePlace(0, 0, Place(-1, 0, 0))


def handled(index: int, name: str = "tick", *, process: int = 1, node: str = "reward_node", **fields: Any) -> Handled:
    return Handled(node, process, index, name, **{"run_id": "run", **fields})


# The tests below put what was recorded into its order.


def test_the_order_is_that_of_the_node_and_what_is_recorded_twice_counts_once() -> None:
    first, second, third = handled(0, process=5, run_id=""), handled(1, process=5), handled(2, process=5)
    later, other = handled(0, process=9), handled(0, node="trainer_node")
    assert in_order([later, third, first, other, second, second], "reward_node") == [first, second, third, later]


@pytest.mark.parametrize(("indices", "got"), [([1, 2], "number 1 where 0"), ([0, 1, 3], "number 3 where 2")])
def test_a_recording_that_lacks_an_input_is_refused(indices: Sequence[int], got: str) -> None:
    with pytest.raises(ReplayError, match=rf"must have all that reward_node has handled, got {got} follows"):
        in_order([handled(index) for index in indices], "reward_node")


def test_a_run_has_what_came_before_it_and_nothing_of_other_runs() -> None:
    before, of_other, ours = handled(0, run_id=""), handled(1, run_id="other"), handled(2)
    assert of_run([before, of_other, ours], "run") == (before, ours)
    died_before_the_run = handled(0, process=0, run_id="")
    assert of_run([died_before_the_run, before, ours], "run") == (before, ours)


@pytest.mark.parametrize(
    "found",
    [
        [handled(0), handled(0, process=2, goes_on=True)],
        [handled(0, goes_on=True)],
        [handled(0), handled(0, process=2)],
    ],
    ids=["it died", "the run was resumed", "it began anew without what was stored"],
)
def test_a_run_in_which_reward_node_was_started_anew_is_refused(found: Sequence[Handled]) -> None:
    with pytest.raises(ReplayError, match="of one process of reward_node, got a run in which it was started anew"):
        of_run(found, "run")


# The tests below conduct replays of nodes that say what a test wants.


@dataclasses.dataclass
class Nodes:
    """Stands for reward_node and for what is heard of trainer_node. It keeps in one list what happens.

    Attributes:
        sends: the transitions (as numbers) and the ends of episodes (as texts) that reward_node sends after an input.
        is_deaf: whether trainer_node does nothing.
    """

    sends: dict[int, Sequence[int | str]] = dataclasses.field(default_factory=dict)
    is_deaf: bool = False
    done: list[str] = dataclasses.field(default_factory=list)
    transitions: dict[int, msg.Transition] = dataclasses.field(default_factory=dict)
    ends: dict[int, msg.EpisodeEvent] = dataclasses.field(default_factory=dict)
    answered: set[int] = dataclasses.field(default_factory=set)
    ended: set[int] = dataclasses.field(default_factory=set)
    version: int = 0

    def hand_over(self, recorded: Handled, raw: bytes) -> None:
        self.done.append(f"{recorded.name} {raw.decode()}" if recorded.name == "action_chunk" else recorded.name)
        for sent in self.sends.get(recorded.index, ()):
            if isinstance(sent, int):
                self.transitions[sent] = msg.Transition(chunk=msg.ActionChunk(sequence_number=sent))
            else:
                number = int(sent.split()[1])
                self.ends[number] = msg.EpisodeEvent(episode=number)

    def send(self, topic: topics.Topic, message: Any) -> None:
        if self.is_deaf:
            return
        if topic is topics.TRANSITION:
            self.done.append(f"trainer: transition {message.chunk.sequence_number}")
            self.answered.add(message.chunk.sequence_number)
        else:
            self.done.append(f"trainer: end {message.episode}")
            self.ended.add(message.episode)

    def wait(
        self,
        is_done: Callable[[], bool],
        *,
        patience: float,
        go_on: Callable[[], bool],
        tell: Callable[[], None] = lambda: None,
    ) -> bool:
        if not is_done():
            tell()
        if not is_done() and not self.is_deaf:
            self.version += 1
            self.done.append(f"trainer: version {self.version}")
        return is_done()


def acked(index: int, number: int, status: int = Ack.ACCEPTED, *, run_id: str = "run") -> Handled:
    ack = Ack(run_id=run_id, sequence_number=number, status=status)
    return handled(index, "transition_ack", content=serialize_message(ack))


def announced(index: int, version: int) -> Handled:
    return handled(index, "policy_version", content=serialize_message(msg.PolicyVersion(version=version)))


def answers(*steps: tuple[str, int]) -> tuple[Handled, ...]:
    return tuple(handled(index, name, number=number, node="trainer_node") for index, (name, number) in enumerate(steps))


def conduct(
    nodes: Nodes, inputs: Sequence[Handled], answered: Sequence[Handled] = (), *, goes_on: bool = True
) -> list[str]:
    recorded = RecordedRun("run", tuple(inputs), tuple(answered), {("action_chunk", 3): PLACE})
    Conductor(recorded, nodes, nodes, lambda place: b"3", patience=1.0, go_on=lambda: goes_on).run()
    return nodes.done


CHUNK = handled(0, "action_chunk", number=3)


@pytest.mark.parametrize(
    ("sends", "inputs", "answered", "done"),
    [
        pytest.param(
            {1: [3]},
            [CHUNK, handled(1), acked(2, 3)],
            answers(("transition", 3)),
            ["action_chunk 3", "tick", "trainer: transition 3", "transition_ack"],
            id="an answer is handled after trainer_node has answered again",
        ),
        pytest.param(
            {0: [3, "end 1"]},
            [CHUNK, acked(1, 3)],
            answers(("episode_event", 1), ("transition", 3)),
            ["action_chunk 3", "trainer: end 1", "trainer: transition 3", "transition_ack"],
            id="trainer_node had heard of a discard before the transition, although it was sent later",
        ),
        pytest.param(
            {0: [3, "end 1"]},
            [CHUNK, acked(1, 3)],
            answers(("transition", 3), ("episode_event", 1)),
            ["action_chunk 3", "trainer: transition 3", "transition_ack", "trainer: end 1"],
            id="or after it",
        ),
        pytest.param(
            {0: [3, 4]},
            [CHUNK, acked(1, 4), acked(2, 3), acked(3, 3, Ack.DUPLICATE)],
            answers(("transition", 4), ("transition", 3), ("transition", 3)),
            [
                "action_chunk 3",
                "trainer: transition 4",
                "transition_ack",
                "trainer: transition 3",
                *["transition_ack"] * 2,
            ],
            id="transitions were answered in another order, and one of them twice",
        ),
        pytest.param(
            {0: [3], 2: [4]},
            [CHUNK, announced(1, 1), handled(2), acked(3, 4, Ack.REFUSED_VERSION)],
            answers(("transition", 3), ("saved_version", 1), ("transition", 4)),
            [
                *("action_chunk 3", "trainer: transition 3", "trainer: version 1", "policy_version", "tick"),
                *("trainer: transition 4", "transition_ack"),
            ],
            id="a version is announced after the update of what came before it",
        ),
        pytest.param(
            {0: [3]},
            [CHUNK, acked(1, 3, Ack.RETRY), acked(2, 3, run_id="other"), acked(3, 3)],
            answers(("transition", 3)),
            ["action_chunk 3", "transition_ack", "transition_ack", "trainer: transition 3", "transition_ack"],
            id="an answer that says later, and one to another run, are no answers",
        ),
        pytest.param(
            {0: [3]},
            [CHUNK, acked(1, 3)],
            (),
            ["action_chunk 3", "trainer: transition 3", "transition_ack"],
            id="trainer_node was killed before it told that it had answered",
        ),
        pytest.param(
            {0: [3], 2: ["end 0"]},
            [announced(0, 0), CHUNK, announced(1, 0), handled(2), announced(3, 0), acked(4, 3)],
            answers(("saved_version", 0), ("episode_event", 0), ("saved_version", 0), ("transition", 3)),
            [
                *("policy_version", "action_chunk 3", "policy_version", "tick", "policy_version", "trainer: end 0"),
                *("trainer: transition 3", "transition_ack"),
            ],
            id="a trainer_node that was started anew announces its version again",
        ),
        pytest.param(
            {0: [3]},
            [CHUNK],
            answers(("transition", 3), ("transition", 5)),
            ["action_chunk 3", "trainer: transition 3"],
            id="the recording ends with answers that reward_node has not heard, and before what it sent last",
        ),
    ],
)
def test_trainer_node_answers_in_the_recorded_order(
    sends: dict[int, Sequence[int | str]], inputs: Sequence[Handled], answered: Sequence[Handled], done: list[str]
) -> None:
    assert conduct(Nodes(sends), inputs, answered) == done


def test_a_chunk_that_is_not_recorded_is_refused() -> None:
    with pytest.raises(ReplayError, match="must have action_chunk 4, which reward_node has handled, got none"):
        conduct(Nodes(), [handled(0, "action_chunk", number=4)])


def test_a_reward_node_that_sends_something_else_ends_the_replay() -> None:
    with pytest.raises(ReplayError, match=r"must send what it sent in the recorded run \(transition 3\)"):
        conduct(Nodes(), [CHUNK, acked(1, 3)], answers(("transition", 3)))


def test_a_trainer_that_says_nothing_ends_the_replay_unless_the_run_is_over() -> None:
    with pytest.raises(
        ReplayError, match=r"within 1 s what it said in the recorded run \(the answer to transition 3\)"
    ):
        conduct(Nodes({0: [3]}, is_deaf=True), [CHUNK, acked(1, 3)])
    done = conduct(Nodes({0: [3]}, is_deaf=True), [CHUNK, acked(1, 3)], goes_on=False)
    assert done == ["action_chunk 3", "transition_ack"]
