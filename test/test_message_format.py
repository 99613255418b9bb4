"""Tests that recorded messages say their format, and that another format is refused with advice."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros import nodes
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder
from chunk_ppo_ros.data.earlier_journal import take_over
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.readers import read_episodes
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.wire import reports, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.rewards.chunk_join import SourceReport
from support.old_messages import load_old_types, old_message

RECORDED = {
    "action_chunk": "chunk_ppo_msgs/msg/ActionChunk",
    "execution_result": "chunk_ppo_msgs/msg/ExecutionResult",
    "chunk_outcome": "chunk_ppo_msgs/msg/ChunkOutcome",
}

OURS = {topic.name: topic.message_type for topic in topics.RECORDED if topic.type_name.startswith("chunk_ppo_msgs/")}
"""The topics of this package that are recorded, and their types."""

CHECKED_BY_CONVERSIONS = {
    ("chunk_intake.py", "action_chunk"),
    ("chunk_intake.py", "bootstrap"),
    ("report_intake.py", "execution_result"),
    ("report_intake.py", "task_reward"),
    ("rollout_facts.py", "execution_result"),
    ("transition_receiver.py", "transition"),
}
"""The subscriptions whose node refuses a malformed message in its own way, and calls a conversion that checks."""

ONLY_STAMPS = {("report_outbox.py", "chunk_outcome"), ("ros_time.py", "episode_state")}
"""The subscriptions whose node reads nothing but the stamp, which stands first in every format."""

NODES = pathlib.Path(nodes.__file__).parent
CREATING = ("create_publisher", "create_subscription", "create_raw_subscription")


@pytest.mark.parametrize("topic", OURS)
def test_every_message_that_is_recorded_says_its_time_its_format_its_run_and_its_sender(topic: str) -> None:
    message = OURS[topic]()
    assert message.format.version == msg.MessageFormat.VERSION == FORMAT
    identified = message.chunk if isinstance(message, msg.Transition) else message
    assert (identified.run_id, identified.sender) == ("", "")
    assert next(iter(identified.get_fields_and_field_types().items())) == ("header", "std_msgs/Header")


def test_only_messages_of_ros_itself_are_recorded_beside_our_messages() -> None:
    assert len(OURS) == 18
    packages = {topic.type_name.split("/")[0] for topic in topics.RECORDED}
    standard = {"sensor_msgs", "std_msgs", "trajectory_msgs", "diagnostic_msgs", "rosgraph_msgs", "rcl_interfaces"}
    assert packages == {"chunk_ppo_msgs", *standard}


def creating_calls(path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """The calls in a file that make a publisher or a subscription, as whose method is called and its name."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CREATING:
            yield ast.unparse(call.func.value), call.func.attr


def test_no_node_subscribes_to_our_messages_without_a_check_of_their_format() -> None:
    """The processes of nodes/bench, and the nodes that a replay starts, are from one version of the package."""
    unchecked = set()
    for path in (path for path in NODES.rglob("*.py") if path.parent.name not in ("bench", "replay", "wire")):
        for owner, method in creating_calls(path):
            topic = getattr(topics, owner.removeprefix("topics."), None)
            if method != "create_publisher" and isinstance(topic, topics.Topic) and topic.name in OURS:
                unchecked.add((path.name, topic.name))
    assert unchecked == CHECKED_BY_CONVERSIONS | ONLY_STAMPS


def test_publishers_and_subscriptions_are_made_from_the_table_of_topics() -> None:
    owners = {path: {owner for owner, _ in creating_calls(path)} for path in NODES.rglob("*.py")}
    assert owners.pop(NODES / "wire" / "topics.py") == {"node"}
    assert len({path for path in owners if owners[path]}) > 15
    drivers = ("robot/interbotix/driver_link.py", "robot/leaders/leader_link.py", "sim/driver_commands.py")
    # Interbotix's driver names its topics, a user names others, and a replay holds back what its reward_node publishes.
    for path in (*drivers, "command_line/topic.py", "replay/replayed_referee.py"):
        del owners[NODES / path]
    beside = {(path.name, owner) for path in owners for owner in owners[path] if not owner.startswith("topic")}
    assert not beside


class Subscriber:
    """A node and its logger in one. It keeps the callback of its subscription, and what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def create_subscription(self, kind: type, topic: str, callback: Callable[[Any], None], profile: object) -> None:
        self.receive = callback

    def get_logger(self) -> Subscriber:
        return self

    def error(self, text: str) -> None:
        self.lines.append(text)

    info = error


def test_a_node_refuses_messages_of_another_format_and_says_so_once() -> None:
    node, used = Subscriber(), []
    conditions = Conditions(node)  # type: ignore[arg-type]
    subscribe(node, conditions, topics.POLICY_VERSION, used.append)  # type: ignore[arg-type]
    other, present = msg.PolicyVersion(format=msg.MessageFormat(version=3)), msg.PolicyVersion()
    for message in (other, other, present):
        node.receive(message)
    assert used == [present]
    assert node.lines == [
        f"messages on policy_version are not used: format.version must be {FORMAT}, got 3; build all nodes from one "
        "version of this package",
        "messages on policy_version have the right format again",
    ]


def test_a_reward_of_another_format_is_a_report_with_an_error() -> None:
    report = reports.source_report(msg.TaskReward(source="scale", format=msg.MessageFormat(version=3)))
    assert report.error == (
        f"task_reward of 'scale': format.version must be {FORMAT}, got 3; build all nodes from one version of this "
        "package"
    )


def test_a_report_of_a_source_says_which_result_it_answers_and_comes_back() -> None:
    report = SourceReport("scale", (RewardTerm("poured", 0.5, weight=2.0),), terminated=True, success=True)
    result = msg.ExecutionResult(header=header_of(7), run_id="run", sender="robot_7", num_steps=4)
    message = reports.source_report_to_message(report, result)
    assert (message.header, message.run_id, message.sender) == (result.header, "run", "robot_7")
    assert reports.source_report(message) == report


def test_a_bag_of_older_messages_is_refused_by_one_sentence(tmp_path: pathlib.Path) -> None:
    types, folder = load_old_types(), tmp_path / "bag"
    recorder = BagRecorder(folder, types, part_bytes=1 << 30, total_bytes=1 << 40)
    for topic, name in RECORDED.items():
        recorder.write(f"/{topic}", name, 1, old_message(types, name.split("/")[-1]))
    recorder.close()
    with pytest.raises(EpisodesError) as caught:
        read_episodes(folder, TrainConfig())
    assert str(caught.value) == (
        f"a recording must have message format {FORMAT}, got an older one in {folder / 'part_0000'}; read it with the "
        "version of chunk_ppo_ros that recorded it, or record again"
    )


def test_a_journal_of_older_messages_is_refused_by_one_sentence(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "journal" / "v3" / "7.cdr"
    path.parent.mkdir(parents=True)
    path.write_bytes(old_message(load_old_types(), "Transition", sequence_number=7, policy_version=3))
    journal = RolloutJournal(tmp_path / "store" / "journal")
    with pytest.raises(UserError) as caught:
        take_over(tmp_path / "journal", journal)
    assert str(caught.value) == (
        f"a journaled transition must have message format {FORMAT}, got another one in {path}; go on with the version "
        f"of chunk_ppo_ros that wrote it until the next update, or remove {path.parent} and have its chunks sampled "
        "again"
    )
    assert path.is_file()  # whoever has the older version can still use it
