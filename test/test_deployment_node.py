"""Tests deployment_node alone: what it announces, acknowledges and writes, and how it goes on and ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.nodes.common.runner import EndOfRun
from chunk_ppo_ros.nodes.deployment.deployment_node import DeploymentNode
from chunk_ppo_ros.nodes.wire import topics
from support.node_harness import Graph, Peer, graph_starter

pytestmark = pytest.mark.graph
EVENT, ACK = msg.EpisodeEvent, msg.TransitionAck


class Others(Peer):
    """Plays policy_node and reward_node."""

    def __init__(self) -> None:
        super().__init__()
        self.events = topics.EPISODE_EVENT.create_publisher(self)
        self.transitions = topics.TRANSITION.create_publisher(self)
        for topic in (topics.POLICY_VERSION, topics.TRANSITION_ACK):
            self.listen(topic.message_type, topic.name, topic.read_profile)

    @property
    def versions(self) -> list[msg.PolicyVersion]:
        return self.heard[topics.POLICY_VERSION.name]

    @property
    def acknowledgments(self) -> list[msg.TransitionAck]:
        return self.heard[topics.TRANSITION_ACK.name]

    def tell(self, event: int, episode: int, **fields: object) -> None:
        """Publishes an event of the announced run."""
        self.events.publish(EVENT(run_id=self.versions[-1].run_id, event=event, episode=episode, **fields))


Start = Callable[..., Graph]


@pytest.fixture
def start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Start]:
    with graph_starter(tmp_path, DeploymentNode, Others, capfd) as start:

        def start_and_wait(**deploy: object) -> Graph:
            graph = start(deploy={"checkpoints": ("a",), **deploy})
            graph.until(lambda: graph.peer.versions)
            return graph

        yield start_and_wait


def lines(folder: Path) -> list[dict[str, object]]:
    path = folder / "runs" / "debug" / "episodes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def end_episode(graph: Graph, folder: Path, episode: int, **fields: object) -> dict[str, object]:
    """Plays an episode from its reset to its end, and returns its line."""
    known = len(lines(folder))
    for event in (EVENT.RESET, EVENT.STARTED):
        graph.peer.tell(event, episode)
        graph.spin(0.05)
    graph.peer.tell(EVENT.ENDED, episode, **{"outcome": EVENT.SUCCESS, **fields})
    graph.until(lambda: len(lines(folder)) > known)
    return lines(folder)[-1]


def test_one_checkpoint_is_announced_once_as_a_version_that_never_fills(start: Start, tmp_path: Path) -> None:
    graph = start()
    (version,) = graph.peer.versions
    assert (version.version, version.num_accepted, version.final) == (0, 0, False)
    assert version.checkpoint == str(Path("a").resolve())
    assert version.num_required > 10**9
    end_episode(graph, tmp_path, 0)
    graph.peer.tell(EVENT.RESET, 1)
    graph.spin(0.2)
    assert len(graph.peer.versions) == 1


def test_transitions_are_acknowledged_and_those_of_another_run_refused(start: Start) -> None:
    graph = start()
    run_id = graph.peer.versions[0].run_id
    for name in (run_id, "other"):
        chunk = msg.ActionChunk(run_id=name, sender="robot_0", sequence_number=7)
        graph.peer.transitions.publish(msg.Transition(chunk=chunk))
    graph.until(lambda: len(graph.peer.acknowledgments) == 2)
    mine, other = graph.peer.acknowledgments
    assert (mine.run_id, mine.sender, mine.sequence_number, mine.status) == (run_id, "robot_0", 7, ACK.ACCEPTED)
    assert (other.status, other.num_accepted) == (ACK.REFUSED_INVALID, 0)
    assert f"run_id must be '{run_id}', got 'other'" in other.message


def test_numbers_that_jump_are_refused_and_are_not_followed(start: Start, tmp_path: Path) -> None:
    graph = start(checkpoints=("a", "b"))
    run_id = graph.peer.versions[0].run_id
    for number, sender in ((7000, "robot_0"), (107_000, "robot_0"), (2**64 - 1, "robot_0"), (7001, "")):
        chunk = msg.ActionChunk(run_id=run_id, sender=sender, sequence_number=number)
        graph.peer.transitions.publish(msg.Transition(chunk=chunk))
    graph.until(lambda: len(graph.peer.acknowledgments) == 4)
    assert [ack.status for ack in graph.peer.acknowledgments] == [ACK.ACCEPTED, *[ACK.REFUSED_INVALID] * 3]
    end_episode(graph, tmp_path, 0)
    graph.peer.tell(EVENT.RESET, 1)
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert graph.peer.versions[1].next_sequence_number == 7001


def test_an_ended_episode_is_a_line_and_changes_the_results(start: Start, tmp_path: Path) -> None:
    graph = start()
    line = end_episode(
        graph, tmp_path, 0, seed=2**60, prompt="reach", total_reward=1.5, num_chunks=3, message="by the operator"
    )
    expected = {"episode": 0, "policy": 0, "outcome": "SUCCESS", "intervened": False, "counts": True, "seed": 2**60}
    expected |= {"prompt": "reach", "reward": 1.5, "num_chunks": 3, "message": "by the operator"}
    assert expected.items() <= line.items()
    assert str(line["started"]) <= str(line["ended"]) and str(line["started"]).endswith("+00:00")
    assert not end_episode(graph, tmp_path, 1, outcome=EVENT.DISCARDED)["counts"]
    assert not end_episode(graph, tmp_path, 2, intervened=True)["counts"]
    graph.until(lambda: graph.logged("episode 2 ended as SUCCESS: 1 episodes count, success 100.0%"))
    assert "over 1 episode" in (tmp_path / "runs" / "debug" / "results.txt").read_text()


def test_an_event_that_comes_again_makes_no_second_line(start: Start, tmp_path: Path) -> None:
    graph = start()
    end_episode(graph, tmp_path, 0)
    graph.peer.tell(EVENT.ENDED, 0, outcome=EVENT.FAILURE)
    graph.peer.events.publish(EVENT(run_id="other", event=EVENT.ENDED, episode=5))
    graph.spin(0.2)
    assert [line["outcome"] for line in lines(tmp_path)] == ["SUCCESS"]


def test_two_checkpoints_are_announced_for_each_episode_and_the_log_tells_no_rate(start: Start, tmp_path: Path) -> None:
    graph = start(checkpoints=("a", "b"))
    for episode in range(6):
        end_episode(graph, tmp_path, episode, seed=episode // 2)
    versions = graph.peer.versions
    assert [(version.version, version.next_episode) for version in versions] == [(n, n) for n in range(6)]
    acted = [Path(version.checkpoint).name for version in versions]
    assert sorted(acted[:2]) == sorted(acted[2:4]) == sorted(acted[4:]) == ["a", "b"]
    assert [line["checkpoint"] for line in lines(tmp_path)] == acted
    graph.until(lambda: graph.logged("3 episodes of each checkpoint count"))
    assert not graph.logged("100.0%")


def test_a_run_that_is_started_anew_goes_on_with_its_numbers(start: Start, tmp_path: Path) -> None:
    graph = start(checkpoints=("a", "b"))
    run_id = graph.peer.versions[0].run_id
    for episode in range(3):
        end_episode(graph, tmp_path, episode, seed=episode // 2)
    graph.remove(graph.node)
    graph.node = graph.add(DeploymentNode())
    graph.until(lambda: len(graph.peer.versions) >= 4)
    newest = graph.peer.versions[-1]
    assert (newest.run_id, newest.version, newest.next_episode) == (run_id, 3, 3)
    assert {line["checkpoint"] for line in lines(tmp_path)[2:]} != {Path(newest.checkpoint).name}  # the partner acts


def test_the_run_ends_when_enough_episodes_count(start: Start, tmp_path: Path) -> None:
    graph = start(num_episodes=2)
    end_episode(graph, tmp_path, 0)
    end_episode(graph, tmp_path, 1, outcome=EVENT.DISCARDED)
    with pytest.raises(EndOfRun):
        end_episode(graph, tmp_path, 2, outcome=EVENT.TIME_LIMIT)
    graph.remove(graph.node)
    graph.until(lambda: graph.peer.versions[-1].final)
    assert graph.logged("a: success 50.0%")


def test_what_comes_after_the_end_of_the_run_changes_nothing(start: Start, tmp_path: Path) -> None:
    """An executor may hand over several messages before `run_node` looks whether the run has ended."""
    graph = start(checkpoints=("a", "b"), num_episodes=1)
    end_episode(graph, tmp_path, 0)
    with pytest.raises(EndOfRun):
        end_episode(graph, tmp_path, 1)
    (heard,) = [each for each in graph.node.subscriptions if each.topic_name == "/episode_event"]
    for event in (EVENT.RESET, EVENT.STARTED, EVENT.ENDED):
        late = EVENT(run_id=graph.peer.versions[-1].run_id, event=event, episode=2, outcome=EVENT.SUCCESS)
        heard.callback(late, {"source_timestamp": 1})
    graph.remove(graph.node)
    graph.until(lambda: graph.peer.versions[-1].final)
    assert len(lines(tmp_path)) == 2


def test_a_complete_run_that_is_started_anew_ends_without_another_episode(start: Start, tmp_path: Path) -> None:
    graph = start(num_episodes=2)
    end_episode(graph, tmp_path, 0)
    with pytest.raises(EndOfRun):
        end_episode(graph, tmp_path, 1)
    graph.remove(graph.node)
    with pytest.raises(EndOfRun):
        DeploymentNode()
    assert len(lines(tmp_path)) == 2


def test_an_episode_that_cannot_be_written_does_not_count(start: Start, tmp_path: Path) -> None:
    graph = start()
    (tmp_path / "runs" / "debug" / "episodes.jsonl").mkdir()
    graph.peer.tell(EVENT.ENDED, 0, outcome=EVENT.SUCCESS)
    graph.until(lambda: graph.logged("an episode does not count, because it cannot be written down"))


def test_a_graph_without_a_checkpoint_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        graph_starter(tmp_path, DeploymentNode, Others, capfd) as start,
        pytest.raises(SettingError, match="deploy.checkpoints must name a checkpoint, got none"),
    ):
        start()
