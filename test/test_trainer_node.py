"""Tests trainer_node in a graph of its own. The rest of the graph and the learner are fakes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.config.parameter_file import write_parameter_file
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.errors import CheckpointError, UserError
from chunk_ppo_ros.data.journal_index import JournalIndex
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import read_store
from chunk_ppo_ros.model.checkpoints.consumed_file import read_consumed
from chunk_ppo_ros.nodes.common.runner import EndOfRun
from chunk_ppo_ros.nodes.trainer import run_loader, trainer_node
from chunk_ppo_ros.nodes.trainer.versions import update_cycle
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from support.fake_learner import FakeLearner, make_transition
from support.lifecycle_operator import LifecycleOperator
from support.node_harness import Peer, graph_starter, node_config
from support.old_messages import load_old_types, old_message
from support.patience import PATIENCE

pytestmark = pytest.mark.graph

ACK = msg.TransitionAck
NUM_REQUIRED = 4  # of node_config


class Rest(Peer):
    """Plays reward_node and policy_node."""

    def __init__(self):
        super().__init__()
        self._transitions = self.create_publisher(msg.Transition, "transition", qos.TRANSITION_SUBSCRIPTION)
        self._events = self.create_publisher(msg.EpisodeEvent, "episode_event", qos.LATCHED)
        self._discarded = self.create_publisher(msg.EpisodeEvent, "discarded_episode", qos.HISTORY)
        self.listen(msg.TransitionAck, "transition_ack", qos.ACKNOWLEDGMENT)
        self.listen(msg.PolicyVersion, "policy_version", qos.LATCHED_SUBSCRIPTION)
        self.announced = self.heard["policy_version"]
        self.listen(msg.TrainingMetrics, "training_metrics", qos.RELIABLE)
        self.listen(msg.TrainingMetrics, "episode_metrics", qos.RELIABLE)
        self.acks = self.heard["transition_ack"]
        self.metrics = self.heard["training_metrics"]
        self.episodes = self.heard["episode_metrics"]

    @property
    def versions(self):
        """The announcements of versions and starts, without those that only count one more transition."""
        pairs = zip([None, *self.announced], self.announced, strict=False)
        return [new for old, new in pairs if old is None or not self._counts_one_more(old, new)]

    @staticmethod
    def _counts_one_more(old, new):
        return (new.version, new.num_accepted) == (old.version, old.num_accepted + 1)

    def send(self, number, *, sender="robot_0", **fields):
        transition = make_transition(number, **fields)
        transition = dataclasses.replace(transition, id=dataclasses.replace(transition.id, sender=sender))
        self._transitions.publish(conversions.transition_to_message(transition))

    def end_episode(self, episode, outcome, **fields):
        fields = {"run_id": "run", "sender": "robot_7", "episode": episode, "outcome": outcome, **fields}
        self._events.publish(msg.EpisodeEvent(event=msg.EpisodeEvent.ENDED, **fields))

    def discard(self, *episodes):
        """Says which episodes were discarded, also to nodes that are dead now."""
        for episode in episodes:
            fields = {"event": msg.EpisodeEvent.ENDED, "outcome": msg.EpisodeEvent.DISCARDED}
            self._discarded.publish(msg.EpisodeEvent(run_id="run", sender="robot_0", episode=episode, **fields))

    @property
    def num_trainers(self):
        return self._transitions.get_subscription_count()

    def statuses(self):
        return [(ack.sequence_number, ack.status, ack.num_accepted) for ack in self.acks]


class FakeReport:
    """Says what is asked of the page of a run."""

    def __init__(self, run_dir):
        self.run_dir, self.calls = run_dir, []

    def request(self):
        self.calls.append("request")

    def close(self):
        self.calls.append("close")

    def leave(self):
        self.calls.append("leave")


@pytest.fixture
def reports(monkeypatch):
    """Returns the reports that the node makes."""
    made = []

    def make(run_dir):
        made.append(FakeReport(run_dir))
        return made[-1]

    monkeypatch.setattr(trainer_node, "ReportWriter", make)
    return made


@pytest.fixture
def start(tmp_path, monkeypatch, capfd, reports):
    """Starts trainer_node with settings and returns the graph once all are connected."""
    monkeypatch.setattr(run_loader, "Learner", FakeLearner)
    for name, value in {
        "update_errors": [],
        "blamed": [],
        "save_errors": [],
        "update_time": 0.0,
        "trained": [],
    }.items():
        monkeypatch.setattr(FakeLearner, name, value)
    with graph_starter(tmp_path, trainer_node.TrainerNode, Rest, capfd) as start:
        yield start
    FakeLearner.gate.set()


@pytest.fixture
def graph(start):
    """Runs a trainer that collects for version 0."""
    graph = start()
    graph.until(lambda: graph.peer.versions)
    return graph


@pytest.fixture
def journal(tmp_path):
    """Returns the numbers of the stored transitions that the newest checkpoint has not trained on."""

    def waiting():
        index = JournalIndex.of(read_store(tmp_path / "runs" / "debug" / "store" / "journal"), "run")
        checkpoints = (path for path in tmp_path.rglob("step_*") if (path / "consumed.json").is_file())
        newest = max(checkpoints, key=lambda path: int(path.name.split("_")[1]))
        consumed = read_consumed(newest).chunks
        return sorted(key[1] for key in index.places if key not in consumed and key not in index.left_out)

    return waiting


def send(graph, *numbers, **fields):
    before = len(graph.peer.acks)
    for number in numbers:
        graph.peer.send(number, **fields)
    graph.until(lambda: len(graph.peer.acks) == before + len(numbers))
    return graph.peer.acks[before:]


@contextmanager
def running_process(graph, folder):
    """Runs trainer_node as a process of its own, which has announced its start. Its updates take ten minutes."""
    parameters, log = folder / "process.yaml", folder / "process.log"
    write_parameter_file(node_config(folder), parameters)
    command = [sys.executable, "-m", "support.fake_learner", "600", "--ros-args", "--params-file", str(parameters)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with log.open("w") as file, subprocess.Popen(command, env=environment, stderr=file) as process:
        try:
            graph.until(lambda: graph.peer.num_trainers == 2 or process.poll() is not None, timeout=180.0)
            graph.until(lambda: graph.peer.versions or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.kill()  # does nothing where it has ended


def test_the_start_is_announced_when_it_is_on_disk(graph):
    (version,) = graph.peer.versions
    assert (version.run_id, version.sender) == ("run", "robot_0")
    assert 0 <= time.time_ns() - time_to_ns(version.header.stamp) < 60 * 10**9
    assert (version.version, version.num_accepted, version.num_required) == (0, 0, NUM_REQUIRED)
    assert Path(version.checkpoint).is_absolute() and Path(version.checkpoint).is_dir()
    assert not version.final


def test_the_newest_announcement_says_how_many_transitions_there_are(graph):
    """A policy_node that was started anew hears it alone."""
    for number in range(2):
        graph.peer.send(number, episode=number)
        graph.until(lambda number=number: graph.peer.announced[-1].num_accepted == number + 1)
    assert (graph.peer.announced[-1].version, graph.peer.announced[-1].next_sequence_number) == (0, 2)
    graph.peer.end_episode(1, msg.EpisodeEvent.DISCARDED, sender="robot_0")
    graph.until(lambda: graph.peer.announced[-1].num_accepted == 1)
    assert [version.num_accepted for version in graph.peer.announced] == [0, 1, 2, 1]


def test_a_rollout_is_journaled_acknowledged_trained_on_in_order_and_announced(graph, journal, tmp_path):
    send(graph, 2, 0, 3)
    assert graph.peer.statuses() == [(2, ACK.ACCEPTED, 1), (0, ACK.ACCEPTED, 2), (3, ACK.ACCEPTED, 3)]
    assert journal() == [0, 2, 3]
    send(graph, 1)
    graph.until(lambda: len(graph.peer.versions) == 2)
    version = graph.peer.versions[-1]
    # There are 4 chunks of 16 executed steps, and the next chunk is number 4.
    assert (version.version, version.num_chunks, version.num_steps, version.next_sequence_number) == (1, 4, 64, 4)
    assert Path(version.checkpoint).name == "step_1" and Path(version.checkpoint).is_dir()
    assert FakeLearner.trained == [[0, 1, 2, 3]]
    assert journal() == []
    graph.until(lambda: graph.peer.metrics)
    metrics = {metric.name: metric.value for metric in graph.peer.metrics[0].metrics}
    assert metrics["loss/policy"] == 0.25 and metrics["transitions/refused"] == 0.0
    assert '"loss/policy": 0.25' in (tmp_path / "runs" / "debug" / "metrics.jsonl").read_text()


def test_repeated_and_foreign_transitions_are_answered_and_not_counted(graph):
    send(graph, 0)
    assert send(graph, 0)[0].status == ACK.DUPLICATE
    other_version = send(graph, 1, version=7)[0]
    assert (other_version.status, other_version.num_accepted) == (ACK.REFUSED_VERSION, 1)
    assert other_version.message == "policy_version must be 0, got 7"
    other_run = send(graph, 1, run_id="other")[0]
    assert (other_run.status, other_run.run_id) == (ACK.REFUSED_INVALID, "other")
    malformed = send(graph, 1, state_dim=13)[0]
    assert (malformed.status, malformed.message) == (ACK.REFUSED_INVALID, "state must have shape (14,), got (13,)")
    send(graph, 1, 2, 3)
    graph.until(lambda: len(graph.peer.versions) == 2)
    graph.until(lambda: graph.peer.metrics)
    assert {metric.name: metric.value for metric in graph.peer.metrics[0].metrics}["transitions/refused"] == 3.0
    assert send(graph, 2)[0].status == ACK.DUPLICATE  # of the update before: its acknowledgment may have been lost


def test_a_full_disk_asks_for_a_repetition_and_is_told_once(graph, monkeypatch):
    def fail(descriptor, parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.writev", fail)
    acks = send(graph, 0, 1)
    assert [(ack.status, ack.num_accepted) for ack in acks] == [(ACK.RETRY, 0), (ACK.RETRY, 0)]
    assert "No space left on device" in acks[0].message
    assert graph.logged("transitions cannot be accepted now") == 1
    monkeypatch.undo()
    assert send(graph, 0)[0].status == ACK.ACCEPTED
    assert graph.logged("transitions are accepted again") == 1


def test_several_robots_of_a_run_fill_its_rollout_each_with_numbers_of_its_own(graph):
    for number, sender in ((0, "robot_0"), (0, "robot_1"), (1, "robot_0")):
        (ack,) = send(graph, number, sender=sender)
        assert (ack.status, ack.sender) == (ACK.ACCEPTED, sender)
    assert send(graph, 0, sender="robot_1")[0].status == ACK.DUPLICATE
    send(graph, 1, sender="robot_1")
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert FakeLearner.trained == [[0, 1, 0, 1]]


def test_transitions_that_arrive_while_the_trainer_is_busy_all_wait_for_it(graph):
    """Eight are under way from each of four robots. Where one is dropped, it comes again only after a second."""
    for number in range(8):
        for robot in range(4):
            graph.peer.send(number, sender=f"robot_{robot}")
    time.sleep(0.5)  # The trainer is busy: its executor does not take a message.
    graph.until(lambda: len(graph.peer.acks) == 32, timeout=30.0)


def test_a_discarded_episode_leaves_the_rollout_and_the_journal(graph, journal):
    send(graph, 0, 1, episode=0)
    send(graph, 2, episode=1)
    graph.peer.end_episode(1, msg.EpisodeEvent.DISCARDED, sender="robot_7")  # It is an episode of another robot.
    graph.peer.end_episode(0, msg.EpisodeEvent.DISCARDED, sender="robot_0")
    graph.until(lambda: len(graph.peer.acks) == 5)
    assert graph.peer.statuses()[3:] == [(0, ACK.DISCARDED, 1), (1, ACK.DISCARDED, 1)]
    late = send(graph, 3, episode=0)[0]
    assert (late.status, late.num_accepted) == (ACK.DISCARDED, 1)
    configure_again(graph)
    graph.until(lambda: journal() == [2])


def test_an_episode_that_was_discarded_while_the_trainer_was_dead_is_not_trained_on(start, tmp_path, journal):
    FakeLearner.start(node_config(tmp_path))  # There is a checkpoint to resume from.
    graph = start(run={"resume": True})
    graph.until(lambda: graph.peer.versions)
    send(graph, 0, episode=0)
    send(graph, 1, episode=1)
    graph.remove(graph.node)
    graph.peer.discard(0, 7)
    graph.peer.end_episode(8, msg.EpisodeEvent.SUCCESS, sender="robot_0")  # It is the newest event.
    node = graph.add(trainer_node.TrainerNode())
    graph.until(lambda: node.is_active and graph.peer.announced[-1].num_accepted == 1)
    assert send(graph, 0, episode=0)[0].status == ACK.DISCARDED
    before = len(graph.peer.acks)
    graph.peer.discard(0)  # reward_node was started anew, and tells of it again.
    graph.spin(0.2)
    assert len(graph.peer.acks) == before and graph.logged("episode 0 is discarded with 1 transition of this") == 1


def test_an_episode_is_recorded(graph, tmp_path):
    graph.peer.end_episode(5, msg.EpisodeEvent.SUCCESS, total_reward=1.5, num_chunks=3)
    graph.until(lambda: graph.peer.episodes)
    assert (graph.peer.episodes[0].run_id, graph.peer.episodes[0].sender) == ("run", "robot_7")
    metrics = {metric.name: metric.value for metric in graph.peer.episodes[0].metrics}
    counts = {"episode/episode": 5.0, "episode/num_chunks": 3.0}
    assert metrics == counts | {"episode/total_reward": 1.5, "episode/success": 1.0, "episode/intervened": 0.0}
    assert '"episode/total_reward": 1.5' in (tmp_path / "runs" / "debug" / "metrics.jsonl").read_text()


def test_a_failed_update_announces_nothing_keeps_the_rollout_and_is_tried_again_on_activation(graph, journal):
    FakeLearner.update_errors.append(UserError("the log-probs differ"))
    send(graph, 0, 1, 2, 3)
    graph.until(lambda: graph.logged("the update of version 0 failed: the log-probs differ"))
    graph.spin(0.3)
    assert len(graph.peer.versions) == 1 and len(journal()) == 4
    assert send(graph, 4)[0].status == ACK.REFUSED_VERSION
    graph.node.trigger_deactivate()
    assert send(graph, 4)[0].status == ACK.RETRY
    graph.node.trigger_activate()
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[0, 1, 2, 3]]
    assert graph.logged("the update is made") == 1


def test_an_episode_that_is_discarded_during_the_update_is_still_trained_on(graph):
    FakeLearner.gate.clear()
    send(graph, 0, 1, 2, 3)
    graph.peer.end_episode(0, msg.EpisodeEvent.DISCARDED)
    graph.until(lambda: graph.logged("episode 0 is discarded after the update began, so its transitions are still"))
    FakeLearner.gate.set()
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert FakeLearner.trained == [[0, 1, 2, 3]]
    assert len(graph.peer.acks) == 4


def test_an_episode_that_is_discarded_during_an_update_that_fails_is_not_trained_on(graph, journal):
    FakeLearner.update_errors.append(UserError("the log-probs differ"))
    FakeLearner.gate.clear()
    send(graph, 0, 1, 2, 3)
    graph.peer.end_episode(0, msg.EpisodeEvent.DISCARDED, sender="robot_0")
    graph.until(lambda: graph.logged("episode 0 is discarded after the update began"))
    FakeLearner.gate.set()
    graph.until(lambda: len(graph.peer.acks) == 8)
    assert {ack.status for ack in graph.peer.acks[4:]} == {ACK.DISCARDED}
    graph.until(lambda: graph.peer.versions[-1].num_accepted == 0)
    assert FakeLearner.trained == []


def test_a_checkpoint_that_cannot_be_written_is_tried_again_before_the_version_is_announced(
    graph, journal, monkeypatch
):
    monkeypatch.setattr(update_cycle, "SAVE_RETRY_PERIOD", 0.1)
    errors = CheckpointError("No space left on device"), OSError(28, "No space left on device", "/tmp/assets")
    FakeLearner.save_errors.extend(errors)
    send(graph, 0, 1, 2, 3)
    graph.until(lambda: graph.logged("the update is made but not announced"))
    assert len(graph.peer.versions) == 1 and len(journal()) == 4
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert FakeLearner.trained == [[0, 1, 2, 3]]
    assert journal() == []
    assert graph.logged("the checkpoint is saved") == 1


def test_a_run_has_its_page_before_its_first_update(graph, reports):
    assert reports[-1].calls == ["request"]


def test_at_the_end_the_last_version_is_final_and_the_report_is_written(start, reports):
    graph = start(ppo={"total_timesteps": 64, "num_chunks_per_update": 4, "batch_size": 2})
    graph.until(lambda: graph.peer.versions)
    for number in range(NUM_REQUIRED):
        graph.peer.send(number)
    with pytest.raises(EndOfRun) as end:
        graph.until(lambda: False)
    assert end.value.code == 0
    graph.node.failure = None  # The process would end here.
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert [version.final for version in graph.peer.versions] == [False, True]
    assert [(report.run_dir.name, report.calls) for report in reports if report.calls] == [
        ("debug", ["request", "request", "close"])
    ]


def test_a_node_that_is_cleaned_up_drops_its_run(graph, reports):
    send(graph, 0)
    graph.node.trigger_deactivate()
    graph.node.trigger_cleanup()
    assert reports[-1].calls == ["request", "leave"]
    (ack,) = send(graph, 1)
    assert (ack.status, ack.message, ack.num_accepted) == (ACK.RETRY, "trainer_node is not active", 0)
    graph.peer.end_episode(0, msg.EpisodeEvent.SUCCESS)
    graph.spin(0.1)
    assert graph.peer.episodes == []


def test_a_run_goes_on_when_its_node_is_cleaned_up_and_configured_again(graph, journal):
    send(graph, 0)
    kept = journal()
    configure_again(graph)
    graph.spin(0.2)
    assert not graph.node.is_active and len(graph.peer.versions) == 1
    assert operator(graph).ask("activate", "activate") == [True, False]
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert [version.version for version in graph.peer.versions] == [0, 0]
    assert journal() == kept == [0]
    (ack,) = send(graph, 1)
    assert (ack.status, ack.num_accepted) == (ACK.ACCEPTED, 2)


def operator(graph):
    return LifecycleOperator(graph.peer, "trainer_node", graph.until)


def configure_again(graph):
    """Cleans the node up and configures it, and returns when its run is loaded."""
    assert operator(graph).ask("deactivate", "cleanup", "configure") == [True] * 3
    graph.until(lambda: graph.node.is_ready)


def test_a_transition_that_comes_while_the_node_has_no_run_is_accepted_once_when_it_has_one(graph):
    send(graph, 0)
    assert operator(graph).ask("deactivate", "cleanup") == [True] * 2
    assert [ack.status for ack in send(graph, 0, 1)] == [ACK.RETRY] * 2
    assert operator(graph).ask("configure") == [True]
    graph.until(lambda: graph.node.is_ready)
    assert [ack.status for ack in send(graph, 1)] == [ACK.RETRY]
    assert operator(graph).ask("activate") == [True]
    graph.until(lambda: graph.peer.versions[-1].num_accepted == 1)
    assert [ack.status for ack in send(graph, 0, 1)] == [ACK.DUPLICATE, ACK.ACCEPTED]
    send(graph, 2, 3)
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[0, 1, 2, 3]]


def test_episodes_that_end_while_the_node_has_no_run_count_when_it_has_one(graph, journal):
    send(graph, 0, episode=0)
    send(graph, 1, episode=1)
    assert operator(graph).ask("deactivate", "cleanup") == [True] * 2
    graph.peer.end_episode(0, msg.EpisodeEvent.DISCARDED, sender="robot_0")
    graph.peer.end_episode(1, msg.EpisodeEvent.DISCARDED, sender="robot_0", run_id="another run")
    graph.peer.end_episode(2, msg.EpisodeEvent.SUCCESS)
    graph.spin(0.1)
    assert len(journal()) == 2 and graph.peer.episodes == []
    assert operator(graph).ask("configure") == [True]
    graph.until(lambda: graph.peer.episodes)
    assert [metric.value for metric in graph.peer.episodes[0].metrics if metric.name == "episode/episode"] == [2.0]
    graph.until(lambda: graph.node.is_ready)
    assert operator(graph).ask("activate") == [True]
    graph.until(lambda: graph.peer.versions[-1].num_accepted == 1)
    assert send(graph, 0, episode=0)[0].status == ACK.DISCARDED
    configure_again(graph)
    graph.until(lambda: journal() == [1])


@pytest.mark.parametrize("transitions", [("deactivate", "activate"), ("deactivate", "cleanup", "configure")])
def test_an_update_during_which_the_node_is_led_through_its_lifecycle_counts_once(graph, journal, transitions):
    FakeLearner.gate.clear()
    send(graph, 0, 1, 2, 3)
    assert all(operator(graph).ask(*transitions))
    FakeLearner.gate.set()
    graph.until(lambda: graph.node.is_ready)
    if not graph.node.is_active:
        assert operator(graph).ask("activate") == [True]
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    graph.until(lambda: journal() == [])
    assert send(graph, 4, version=1)[0].status == ACK.ACCEPTED
    assert graph.peer.versions[-1].num_chunks == 4


def test_a_run_that_is_cleaned_up_while_it_begins_goes_on(start, monkeypatch):
    """The first checkpoint is written after the node was cleaned up, so that the run cannot begin a second time."""
    begins, begun = threading.Event(), FakeLearner.start

    def begin(config):
        assert begins.wait(5.0)
        return begun(config)

    monkeypatch.setattr(FakeLearner, "start", begin)
    graph = start()
    assert operator(graph).ask("cleanup", "configure", "cleanup", "configure") == [True] * 4
    begins.set()
    graph.until(lambda: graph.node.is_ready)
    graph.spin(0.1)
    assert not graph.node.is_active
    assert operator(graph).ask("activate") == [True]
    graph.until(lambda: graph.peer.versions)
    assert send(graph, 0)[0].status == ACK.ACCEPTED


def test_a_node_that_an_operator_configures_in_vain_is_told_and_can_be_configured_again(graph, monkeypatch):
    def fail(config):
        raise OSError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(FakeLearner, "start", fail)
        assert operator(graph).ask("deactivate", "cleanup", "configure") == [True] * 3
        graph.until(lambda: graph.logged("training cannot start: the disk is gone; when that is repaired, clean"))
        assert operator(graph).ask("activate") == [False]
    assert operator(graph).ask("cleanup", "configure") == [True] * 2
    graph.until(lambda: graph.node.is_ready)
    assert operator(graph).ask("activate") == [True]
    graph.until(lambda: len(graph.peer.versions) == 2)
    assert graph.node.failure is None


def test_an_update_that_does_not_compile_is_told_where_an_operator_configured_the_node(graph, monkeypatch):
    def fail(learner):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(FakeLearner, "warm_up", fail)
    configure_again(graph)
    graph.until(lambda: graph.logged("training cannot start: out of memory"))


def test_a_node_that_is_shut_down_asks_for_a_repetition_and_its_process_goes_on(graph):
    assert operator(graph).ask("shutdown") == [True]
    assert send(graph, 0)[0].status == ACK.RETRY
    assert operator(graph).ask("configure") == [False]


def test_a_start_that_fails_ends_the_node(start):
    with pytest.raises(CheckpointError, match="nothing to start from"):
        start(run={"pretrained_checkpoint_path": "somewhere"}).until(lambda: False)


def test_a_start_that_fails_is_told_where_the_node_is_started_by_hand(start):
    graph = start(run={"pretrained_checkpoint_path": "somewhere", "autostart": False})
    graph.node.trigger_configure()
    graph.until(lambda: graph.logged("training cannot start: there is nothing to start from"))
    assert not graph.node.is_ready


def test_a_fresh_run_does_not_take_the_journal_of_an_older_one(start, tmp_path, journal):
    older = RolloutJournal(tmp_path / "runs" / "debug" / "store" / "journal")
    older.open()
    older.begin_run("an older run", NOTHING_CONSUMED)
    older.add(("robot_0", 9), b"old", lambda error: None)
    older.close()
    graph = start()
    graph.until(lambda: graph.peer.versions)
    assert (graph.peer.versions[0].num_accepted, graph.peer.versions[0].next_sequence_number) == (0, 0)
    assert journal() == []
    assert ("robot_0", 9) in JournalIndex.of(read_store(older.folder), "an older run").places  # It stays on disk.


def test_a_journal_of_an_earlier_release_is_taken_over(start, tmp_path, journal):
    FakeLearner.start(node_config(tmp_path))  # There is a checkpoint to resume from.
    old = tmp_path / "runs" / "debug" / "journal" / "v0" / "2.cdr"
    old.parent.mkdir(parents=True)
    message = serialize_message(conversions.transition_to_message(make_transition(2)))
    old.write_bytes(b"chunk_ppo_ros transition, message format 2\n" + message)
    graph = start(run={"resume": True})
    graph.until(lambda: graph.peer.versions)
    assert (graph.peer.versions[0].num_accepted, graph.peer.versions[0].next_sequence_number) == (1, 3)
    assert send(graph, 2)[0].status == ACK.DUPLICATE
    assert not old.exists()


def test_a_second_trainer_of_a_run_is_refused_by_one_sentence(graph, tmp_path):
    parameters = tmp_path / "second.yaml"
    write_parameter_file(node_config(tmp_path), parameters)
    command = [sys.executable, "-m", "support.fake_learner", "0", "--ros-args", "--params-file", str(parameters)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120.0, check=False)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "must be written by one process, but process" in result.stderr
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step_0"]
    assert send(graph, 0)[0].status == ACK.ACCEPTED


def test_a_journal_of_older_messages_ends_a_resume_and_stays(start, tmp_path, journal):
    FakeLearner.start(node_config(tmp_path))  # there is a checkpoint to resume from
    old = tmp_path / "runs" / "debug" / "journal" / "v0" / "9.cdr"
    old.parent.mkdir(parents=True)
    old.write_bytes(old_message(load_old_types(), "Transition", run_id="run", sequence_number=9))
    graph = start(run={"resume": True})
    with pytest.raises(UserError, match=r"must have message format 2, got another one in .*9\.cdr; go on with"):
        graph.until(lambda: False)
    assert old.is_file()


def test_a_trainer_killed_in_mid_update_goes_on_from_its_journal(start, tmp_path, journal):
    graph = start(run={"autostart": False, "resume": True})
    with running_process(graph, tmp_path) as first:
        send(graph, 1, 0, 3, 2)
        graph.until(lambda: len(journal()) == 4)
        graph.spin(0.5)
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
    assert journal() == [0, 1, 2, 3]
    graph.node.trigger_configure()
    graph.until(lambda: graph.node.is_ready)
    graph.node.trigger_activate()
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    restarted = next(version for version in graph.peer.versions if version.num_accepted)
    assert (restarted.version, restarted.num_accepted, restarted.next_sequence_number) == (0, 4, 4)
    assert FakeLearner.trained == [[0, 1, 2, 3]]


def test_a_restored_rollout_waits_until_it_is_known_what_was_discarded_meanwhile(start, tmp_path, journal):
    graph = start(run={"autostart": False, "resume": True})
    with running_process(graph, tmp_path) as first:
        send(graph, 0, 1, 2, episode=0)
        send(graph, 3, episode=1)
        graph.until(lambda: len(journal()) == 4)
        first.send_signal(signal.SIGKILL)
    graph.node.trigger_configure()
    graph.until(lambda: graph.node.is_ready)
    graph.node.trigger_activate()
    graph.until(lambda: graph.peer.announced[-1].num_accepted == 4)
    graph.peer.discard(0)  # reward_node was found later.
    graph.until(lambda: graph.peer.announced[-1].num_accepted == 1)
    send(graph, 4, 5, 6, episode=1)
    graph.until(lambda: graph.peer.versions[-1].version == 1)
    assert FakeLearner.trained == [[3, 4, 5, 6]]


def test_a_stop_in_mid_update_ends_the_process_at_once(start, tmp_path, journal):
    graph = start(run={"autostart": False})
    with running_process(graph, tmp_path) as process:
        send(graph, 0, 1, 2, 3)
        graph.until(lambda: len(journal()) == 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE) == 0  # It does not wait for the update.
    assert "Traceback" not in (tmp_path / "process.log").read_text()
