"""Tests the parts of reward_node: what it watches, publishes and sends again, without a graph."""

from __future__ import annotations

import dataclasses
import inspect
import pathlib

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from std_msgs.msg import Float32
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config import DeployConfig, RewardConfig, TrainConfig
from chunk_ppo_ros.core.types import DEFAULT_SENDER, ChunkId
from chunk_ppo_ros.data.store import Store
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_publisher import EpisodePublisher
from chunk_ppo_ros.nodes.reward.episode_services import serve_episodes
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.report_intake import ReportIntake
from chunk_ppo_ros.nodes.reward.reward_watch import Restart, RewardWatch, Role
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.rewards.chunk_join import ChunkJoin, SourceReport
from chunk_ppo_ros.rewards.episodes import Ending, Event
from support.executions import execution
from support.fake_node import FakeNode
from support.toy_policy import transition

ACK = msg.TransitionAck
ACTIONS = np.zeros((4, 14), np.float32)
CONFIG = RewardConfig(sources=("task", "scale"), source_timeout=2.0)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def log(node: FakeNode, tmp_path: pathlib.Path) -> RunLog:
    log = RunLog(node, Conditions(node), Store(tmp_path / "store", name="reward"))  # type: ignore[arg-type]
    log.open()
    return log


# The tests below check what reward_node watches.


def test_nodes_that_leave_are_reported_and_those_that_were_started_anew_are_returned(node: FakeNode) -> None:
    watch = RewardWatch(node, CONFIG, Conditions(node))  # type: ignore[arg-type]
    topics = {"execution_result": "robot_node", "task_reward": "sim_node", "action_chunk": "policy_node"}
    node.present = {topic: [name] for topic, name in topics.items()}
    now = 0.0
    assert watch.restarted(now) == []
    for (topic, name), role in zip(topics.items(), (Role.ROBOT, Role.SOURCE, Role.POLICY), strict=True):
        del node.present[topic]
        assert watch.restarted(now + 1.4) == []
        assert node.take_lines() == []
        assert watch.restarted(now + 1.6) == []
        assert node.take_lines() == [("error", f"{name} left the graph; the episode waits for it")]
        node.present[topic] = [name]
        now += 2.0
        node.gids[name] = b"another process"
        assert watch.restarted(now) == [Restart(name, role)]
        assert node.take_lines() == [("info", f"{name} is back in the graph")]


def test_a_process_that_is_back_after_a_break_of_the_network_was_not_started_anew(node: FakeNode) -> None:
    watch = RewardWatch(node, CONFIG, Conditions(node))  # type: ignore[arg-type]
    node.present = {"execution_result": ["robot_node"]}
    watch.restarted(0.0)
    node.present = {}
    watch.restarted(2.0)
    node.present = {"execution_result": ["robot_node"]}
    assert watch.restarted(3.0) == []
    assert [text for _, text in node.take_lines()][-1] == "robot_node is back in the graph"


def test_a_robot_that_was_started_anew_beside_reward_node_is_noticed(node: FakeNode) -> None:
    node.present = {
        "execution_result": ["robot_node"],
        "task_reward": ["sim_node", "classifier"],
        "action_chunk": ["p"],
    }
    first = RewardWatch(node, CONFIG, Conditions(node))  # type: ignore[arg-type]
    first.restarted(0.0)
    peers = first.peers
    assert sorted(peers) == ["execution_result robot_node", "task_reward sim_node"]
    node.gids = {"sim_node": b"another process", "p": b"another process"}
    second = RewardWatch(node, CONFIG, Conditions(node))  # type: ignore[arg-type]
    second.expect(peers, now=10.0)
    assert second.restarted(10.0) == [Restart("sim_node", Role.SOURCE, is_before=True)]
    lost = {name: Restart(name, Role.SOURCE).has_lost_the_robot for name in ("sim_node", "classifier")}
    assert lost == {"sim_node": True, "classifier": False}


def test_each_part_that_is_silent_for_too_long_is_named_until_it_is_back(node: FakeNode) -> None:
    watch, join = RewardWatch(node, CONFIG, Conditions(node)), ChunkJoin(CONFIG.sources)  # type: ignore[arg-type]

    def look(now: float, *, unacknowledged: float = 0.0, bootstrap: float = 0.0) -> list[str]:
        watch.look_for_silence(now, join=join, unacknowledged_for=unacknowledged, bootstrap_due_for=bootstrap)
        return [text for _, text in node.take_lines()]

    join.add_chunk(5, ChunkId("run", 0, 0, 0), ACTIONS, 4, now=10.0)
    assert look(12.0, unacknowledged=2.0, bootstrap=2.0) == []
    assert look(12.1) == ["robot_node is silent: no execution_result after a chunk for 2.0 s"]
    join.add_execution(execution(4, stamp=5), now=12.1)
    join.add_source(5, SourceReport("task", ()), now=12.1)
    late = "reward source 'scale' is silent: no task_reward after a chunk for 2.0 s"
    assert look(12.2) == ["robot_node is back", late]
    join.add_source(5, SourceReport("scale", ()), now=12.3)
    join.pop_complete()
    assert look(12.3) == ["reward source 'scale' is back"]
    assert look(13.0, unacknowledged=2.1, bootstrap=2.1) == [
        "trainer_node is silent: no transition_ack (transitions are sent again) for 2.0 s",
        "policy_node is silent: no bootstrap after a truncated episode for 2.0 s",
    ]
    assert look(14.0) == ["trainer_node is back", "policy_node is back"]


@pytest.mark.parametrize(("checkpoints", "name"), [((), "trainer_node"), (("a",), "deployment_node")])
def test_the_node_that_does_not_acknowledge_is_named(checkpoints: tuple[str, ...], name: str, node: FakeNode) -> None:
    announcer = DeployConfig(checkpoints=checkpoints).announcer
    watch = RewardWatch(node, CONFIG, Conditions(node), announcer=announcer)  # type: ignore[arg-type]
    watch.look_for_silence(13.0, join=ChunkJoin(CONFIG.sources), unacknowledged_for=2.1, bootstrap_due_for=0.0)
    assert [text.split()[0] for _, text in node.take_lines()] == [name]


def test_what_is_stored_together_keeps_its_signature(log: RunLog) -> None:
    """rclpy's EventsExecutor calls a timer's function with an argument where the signature allows for one."""

    def tick(now: float) -> None:
        pass

    assert inspect.signature(log.whole_call(tick)) == inspect.signature(tick)


# The tests below check what reward_node publishes and stores of episodes.


def test_an_episode_is_published_and_its_number_stored_also_after_a_full_disk(
    node: FakeNode, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "run" / "episodes.json"
    publisher = EpisodePublisher(node, Conditions(node), path)  # type: ignore[arg-type]
    assert publisher.next_number("run") == 0
    path.parent.write_text("a file in the place of the folder")
    for _ in range(2):
        publisher.store_number("run", 4)
    ((level, text),) = node.take_lines()
    assert (level, text.startswith("the record of episodes cannot be written: ")) == ("error", True)
    path.parent.unlink()
    publisher.store_number("run", 4)
    assert node.take_lines() == [("info", "the record of episodes is written again")]
    assert publisher.next_number("run") == 5
    path.write_text("[]")
    assert publisher.next_number("run") == 0
    ((level, text),) = node.take_lines()
    assert (level, text.startswith("the record of episodes cannot be read, numbers may repeat: ")) == ("error", True)


def test_a_change_of_an_episode_is_logged_and_published_with_all_its_numbers(
    node: FakeNode, tmp_path: pathlib.Path
) -> None:
    publisher = EpisodePublisher(node, Conditions(node), tmp_path / "e.json")  # type: ignore[arg-type]
    records = RunRecords(TrainConfig(), prompt_for=lambda episode: f"task of {episode}")
    records.begin("run", next_episode=3)
    changes = [*records.episodes.begin("go"), *records.episodes.start("ready")]
    records.set_driver(human=True)
    records.episodes.add_chunk(1.5, num_steps=4)
    node.now = 7_000_000_009
    publisher.publish("run", [*changes, *records.episodes.end(Ending.FAILURE, "dropped")])
    reset, started, ended = node.published("episode_event")
    assert [event.event for event in (reset, started, ended)] == [Event.RESET, Event.STARTED, Event.ENDED]
    assert (ended.run_id, ended.sender, ended.prompt, ended.message) == ("run", DEFAULT_SENDER, "task of 3", "dropped")
    assert (ended.episode, ended.outcome, ended.total_reward, ended.num_chunks) == (3, Ending.FAILURE, 1.5, 1)
    assert (reset.intervened, ended.intervened, reset.seed == ended.seed) == (False, True, True)
    assert (ended.header.stamp.sec, ended.header.stamp.nanosec) == (7, 9)
    assert [text for level, text in node.take_lines() if level == "info"] == [
        "episode 3 ENDED as FAILURE, reward 1.50, 1 chunk; dropped"
    ]


class Answers:
    """Answers the services, and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def start_episode(self) -> str:
        raise ValueError("no reset was asked for")

    def end_episode(self, ending: Ending) -> str:
        self.calls.append(ending)
        return "it ends"

    def pause(self, paused: bool) -> str:
        self.calls.append(paused)
        return "paused"

    def reset_done(self) -> str:
        return "it is ready"

    def reset(self) -> str:
        raise ValueError("an episode runs")


def test_a_service_answers_with_what_happened_or_why_not(node: FakeNode) -> None:
    answers = Answers()
    serve_episodes(node, OperatorCalls(node, run_id=lambda: "run"), answers)  # type: ignore[arg-type]
    response = node.services["reset_done"](Trigger.Request(), Trigger.Response())
    assert (response.success, response.message) == (True, "it is ready")
    response = node.services["reset"](Trigger.Request(), Trigger.Response())
    assert (response.success, response.message) == (False, "an episode runs")
    response = node.services["start_episode"](Trigger.Request(), Trigger.Response())
    assert (response.success, response.message) == (False, "no reset was asked for")
    response = node.services["end_episode"](EndEpisode.Request(outcome=Ending.FAILURE), EndEpisode.Response())
    assert (response.success, response.message) == (True, "it ends")
    response = node.services["end_episode"](EndEpisode.Request(outcome=Ending.TIME_LIMIT), EndEpisode.Response())
    assert (response.success, response.message) == (
        False,
        "outcome must be one of 1 (SUCCESS), 2 (FAILURE), 3 (DISCARDED), got 4",
    )
    response = node.services["pause"](SetBool.Request(data=True), SetBool.Response())
    assert (response.success, response.message) == (True, "paused")
    stops = node.clients["robot_node/stop_scripted_motion"]
    assert stops.requests == [Trigger.Request()]  # Between episodes the robot may be under way to its start pose.
    node.services["pause"](SetBool.Request(data=False), SetBool.Response())
    stops.is_ready = False
    node.services["pause"](SetBool.Request(data=True), SetBool.Response())
    assert len(stops.requests) == 1
    assert answers.calls == [Ending.FAILURE, True, False, True]


# The tests below check what reward_node remembers of chunks.


def test_a_source_that_is_not_configured_is_named_once_and_not_used(node: FakeNode, log: RunLog) -> None:
    records, reports = RunRecords(TrainConfig(reward=CONFIG), prompt_for=str), []
    ReportIntake(
        node,  # type: ignore[arg-type]
        CONFIG,
        records,
        Conditions(node),  # type: ignore[arg-type]
        OutcomePublisher(node, log),  # type: ignore[arg-type]
        log,
        on_report=lambda: reports.append(1),
    )
    for _ in range(2):
        node.subscribers["task_reward"](msg.TaskReward(source="human"))
    assert node.take_lines() == [("warning", "reward source 'human' is not in reward.sources and is not used")]
    assert reports == []
    node.subscribers["task_reward"](msg.TaskReward(source="scale"))
    node.subscribers["execution_result"](msg.ExecutionResult())
    assert reports == [1, 1]
    node.subscribers["human_feedback"](Float32(data=float("inf")))
    assert node.take_lines() == [("error", "human_feedback must be finite, got inf; it is not used")]
    node.subscribers["takeover_state"](msg.TakeoverState(human=True))
    assert records.human_drives


def test_records_belong_to_one_run_and_a_takeover_takes_the_last_chunk_from_marks() -> None:
    records = RunRecords(TrainConfig(), prompt_for=str)
    records.begin("run", next_episode=3)
    id = ChunkId("run", 0, 3, 0)
    assert not records.is_current(id)
    records.episodes.begin("go")
    records.episodes.start("ready")
    assert records.is_current(id)
    assert not records.is_current(dataclasses.replace(id, episode=2))
    records.last = id
    records.set_driver(human=False)
    assert records.last == id
    records.set_driver(human=True)
    assert records.last is None
    records.last = id  # It is a chunk that the human drove.
    records.set_driver(human=True)
    assert records.last == id
    records.begin("next run", next_episode=0)
    assert (records.run_id, records.last, records.human_drives) == ("next run", None, True)
    records.episodes.begin("go")
    (change,) = records.episodes.start("ready")
    assert change.intervened


# The tests below check which transitions reward_node sends again.


def test_transitions_are_kept_until_their_acknowledgment_and_refusals_are_logged(node: FakeNode, log: RunLog) -> None:
    outbox = TransitionOutbox(node, Conditions(node), log)  # type: ignore[arg-type]
    outbox.begin_run("run")
    assert node.take_lines() == []
    for number in range(5):
        outbox.add(transition(number))
    outbox.send_due(0.0)
    assert len(node.published("transition")) == 5

    def answer(number: int, status: int, run_id: str = "run", sender: str = DEFAULT_SENDER) -> int:
        ack = ACK(run_id=run_id, sender=sender, sequence_number=number, status=status, message="because")
        node.subscribers["transition_ack"](ack)
        return len(outbox.delivery)

    assert answer(0, ACK.ACCEPTED, run_id="other") == answer(0, ACK.ACCEPTED, sender="robot_7") == 5
    assert answer(0, ACK.RETRY) == 5
    assert answer(0, ACK.ACCEPTED) == 4
    assert answer(1, ACK.DUPLICATE) == 3
    assert answer(2, ACK.DISCARDED) == 2
    assert node.take_lines() == []
    for _ in range(2):
        assert answer(3, ACK.REFUSED_VERSION) == 1
    assert node.take_lines() == [("warning", "trainer_node refused transition 3: because")]
    assert answer(4, ACK.REFUSED_INVALID) == 0
    assert node.take_lines() == [("error", "trainer_node refused transition 4: because")]


def test_another_run_drops_the_transitions_and_a_discarded_episode_withdraws_its_own(
    node: FakeNode, log: RunLog
) -> None:
    outbox = TransitionOutbox(node, Conditions(node), log)  # type: ignore[arg-type]
    outbox.begin_run("run")
    for number, episode in enumerate((0, 1, 0)):
        one = transition(number)
        outbox.add(dataclasses.replace(one, id=dataclasses.replace(one.id, episode=episode)))
    assert outbox.discard_episode(0) == [0, 2]
    assert [message.chunk.sequence_number for message in outbox.delivery.payloads()] == [1]
    outbox.begin_run("next run")
    assert node.take_lines() == [("warning", "1 transition of run run is dropped: run next run began")]
    assert len(outbox.delivery) == 0
