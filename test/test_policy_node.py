"""Tests policy_node in a graph of its own. The rest of the graph and the actor are fakes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from chunk_ppo_msgs import msg
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from chunk_ppo_ros.data.store import Store
from chunk_ppo_ros.nodes.policy import actor_store, peer_monitor, policy_node
from chunk_ppo_ros.nodes.wire import conversions, qos
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.tasks.reach import ReachTask
from support.fake_actor import VALUE, FakeActor, FakeCheckpoint
from support.node_harness import Peer, graph_starter
from support.policy_peers import CAMERAS, PolicyPeers

pytestmark = pytest.mark.graph

MILLISECOND = 1_000_000  # ns


@pytest.fixture
def start(tmp_path, monkeypatch, capfd):
    """Starts policy_node with settings and returns the graph once all are connected."""
    monkeypatch.setattr(actor_store, "Actor", FakeActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    FakeActor.gate.set()
    FakeActor.invalid = ()
    FakeActor.num_steps_asked = 16
    with graph_starter(tmp_path, policy_node.PolicyNode, lambda: PolicyPeers(tmp_path), capfd) as start:
        yield start


def begin_episode(graph):
    """Announces version 0, starts episode 0, and returns when the policy acts."""
    graph.peer.announce()
    graph.peer.event(msg.EpisodeEvent.STARTED)
    graph.until(lambda: graph.node.is_active)


@pytest.fixture
def graph(start):
    """Returns a policy with version 0 in episode 0 that waits for its first chunk to be settled."""
    graph = start()
    begin_episode(graph)
    graph.peer.sense(1)
    graph.until(lambda: graph.peer.chunks)
    return graph


def settle_newest(graph, *, end, **fields):
    graph.peer.settle(graph.peer.chunks[-1], end=end, **fields)


def test_a_chunk_and_its_trajectories_share_a_stamp(graph):
    trajectories = [graph.peer.heard[f"robot/{side}/joint_trajectory"] for side in aloha.SIDES]
    graph.until(lambda: all(trajectories))
    chunk = graph.peer.chunks[0]
    assert (chunk.run_id, chunk.sequence_number, chunk.episode, chunk.chunk, chunk.policy_version) == (
        "run",
        0,
        0,
        0,
        0,
    )
    assert chunk.observation.prompt == ReachTask.prompt
    sampled = conversions.chunk_from_message(chunk)
    assert [int(view.max()) for view in sampled.observation.images] == [0, 1, 2]
    for side, (trajectory,) in zip(aloha.SIDES, trajectories, strict=True):
        assert trajectory.header.stamp == chunk.header.stamp
        assert trajectory.joint_names == [*aloha.ARM_JOINTS, "gripper"]
        assert len(trajectory.points) == 16
        # At 50 Hz, step i is due (i + 1) / 50 s after the stamp, and the last of 16 after 0.32 s.
        assert trajectory.points[0].time_from_start.nanosec == 20 * MILLISECOND
        assert trajectory.points[-1].time_from_start.nanosec == 320 * MILLISECOND
        positions = [point.positions for point in trajectory.points]
        np.testing.assert_allclose(positions, sampled.actions[:, aloha.side_slice(side)], atol=1e-6)


def test_the_steps_that_are_asked_are_sent_until_the_time_limit(start):
    """Two whole chunks of 16 are 32 steps. After 16 and 7 of them 9 are left, though 16 are asked.

    reward_node ends the episode then. Where it has counted fewer steps, chunks of one step follow.
    """
    graph = start(env={"max_episode_chunks": 2})
    begin_episode(graph)
    graph.peer.sense(1)
    left = graph.peer.heard["robot/left/joint_trajectory"]
    for number, (asked, sent) in enumerate([(16, 16), (7, 7), (16, 9), (16, 1)]):
        graph.until(lambda number=number: len(left) == number + 1)
        assert (graph.peer.chunks[number].num_steps_asked, len(left[number].points)) == (asked, sent)
        FakeActor.num_steps_asked = (7, 16, 16, 16)[number]  # of the next chunk
        settle_newest(graph, end=(number + 2) * MILLISECOND, num_steps=sent)


def test_an_invalid_chunk_is_sent_and_told_once_until_one_is_valid(graph):
    """Chunks 1 and 2 are not valid. Their trajectories hold the pose that the sensors showed."""
    FakeActor.invalid = (1, 2)
    for number in (0, 1, 2):
        settle_newest(graph, end=(number + 2) * MILLISECOND)
        graph.until(lambda number=number: len(graph.peer.chunks) == number + 2)
    assert [chunk.valid for chunk in graph.peer.chunks] == [True, False, False, True]
    graph.until(lambda: graph.logged("stand for actions again"))
    assert graph.logged("stand for no actions, so that the robot holds its pose: no '|' in chunk 1") == 1
    assert graph.logged("stand for no actions") == 1
    left = graph.peer.heard["robot/left/joint_trajectory"]
    graph.until(lambda: len(left) >= 2)
    np.testing.assert_allclose([point.positions for point in left[1].points], [[0.1] * 6 + [0.5]] * 16, atol=1e-6)


def test_a_version_that_goes_back_is_followed_and_told(graph):
    """The trainer may go on from an older checkpoint. Chunks are then numbered on, and are of the older version."""
    graph.peer.announce(7)
    settle_newest(graph, end=1)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    graph.peer.announce(5)
    graph.until(
        lambda: graph.logged("policy version 5 is announced after version 7: the trainer goes on from an older")
    )
    settle_newest(graph, end=2)
    graph.until(lambda: len(graph.peer.chunks) == 3)
    sampled = [(chunk.sequence_number, chunk.policy_version) for chunk in graph.peer.chunks]
    assert sampled == [(0, 0), (1, 7), (2, 5)]


def test_a_clock_that_steps_stops_nothing(start):
    """The time of all nodes goes a day back and a year ahead, each time after the end of a chunk is known."""
    graph = start(env={"realtime": True})
    clock = graph.peer.create_publisher(Clock, "/clock", qos.SENSOR)
    graph.node.set_parameters([Parameter("use_sim_time", value=True)])
    graph.until(clock.get_subscription_count)
    graph.peer.announce()
    for number, now in enumerate((10**9, 10**9 - 86_400, 10**9 + 31_536_000, 10**9)):
        clock.publish(Clock(clock=Time(sec=now)))
        graph.until(lambda now=now: graph.node.get_clock().now().nanoseconds // 10**9 == now)
        if number == 0:
            graph.peer.event(msg.EpisodeEvent.STARTED, stamp=now * 10**9)
        graph.until(lambda: graph.node.is_active)
        graph.peer.sense(now * 10**9 + 1)
        graph.until(lambda number=number: len(graph.peer.chunks) == number + 1)
        assert time_to_ns(graph.peer.chunks[-1].header.stamp) // 10**9 == now
        settle_newest(graph, end=now * 10**9 + 2, sense=False)
        graph.spin(0.1)


def test_what_another_node_says_of_chunks_and_versions_is_named_and_not_used(graph):
    """A forged outcome would let the policy go on while the robot moves, and a forged path would make it hold."""
    graph.peer.settle(graph.peer.chunks[-1], end=1)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    forger = graph.add(Peer("forger"))
    outcomes = forger.create_publisher(msg.ChunkOutcome, "chunk_outcome", qos.RELIABLE)
    versions = forger.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
    for topic in ("chunk_outcome", "policy_version"):
        graph.until(lambda topic=topic: graph.node.count_publishers(topic) == 2)
    graph.until(forger.is_connected)
    outcomes.publish(msg.ChunkOutcome(run_id="run", sequence_number=1, valid=True))
    versions.publish(msg.PolicyVersion(run_id="run", version=3, checkpoint="/nowhere", num_required=4))
    graph.until(lambda: graph.logged("those of /forger on chunk_outcome, which /peer publishes"))
    graph.until(lambda: graph.logged("those of /forger on policy_version, which /peer publishes"))
    graph.spin(0.2)
    assert len(graph.peer.chunks) == 2 and not graph.logged("policy version 3 cannot be loaded")
    settle_newest(graph, end=3)
    graph.until(lambda: len(graph.peer.chunks) == 3)
    assert graph.peer.chunks[-1].policy_version == 0
    graph.remove(forger)


def test_a_rollout_fills_holds_and_goes_on_with_the_next_version_in_the_same_episode(graph):
    for number in range(1, 4):
        settle_newest(graph, end=number)
        graph.until(lambda number=number: len(graph.peer.chunks) == number + 1)
    settle_newest(graph, end=4)
    graph.until(lambda: graph.peer.bootstraps)
    bootstrap = graph.peer.bootstraps[0]
    assert (bootstrap.sequence_number, bootstrap.policy_version, bootstrap.value) == (3, 0, VALUE)
    assert bootstrap.header.stamp == graph.peer.chunks[-1].header.stamp
    for number in range(4):
        graph.peer.acknowledge(number, number + 1)
    graph.spin(0.3)
    assert len(graph.peer.chunks) == 4
    graph.peer.announce(1)
    graph.until(lambda: len(graph.peer.chunks) == 5)
    chunk = graph.peer.chunks[-1]
    assert (chunk.sequence_number, chunk.episode, chunk.chunk, chunk.policy_version) == (4, 0, 4, 1)
    assert len({(chunk.header.stamp.sec, chunk.header.stamp.nanosec) for chunk in graph.peer.chunks}) == 5


def test_stamps_differ_while_simulated_time_stands_still(start):
    graph = start()
    graph.node.set_parameters([Parameter("use_sim_time", value=True)])  # and nobody publishes /clock
    begin_episode(graph)
    graph.peer.sense(1)
    graph.until(lambda: graph.peer.chunks)
    settle_newest(graph, end=1, valid=False, message="refused")
    graph.peer.sense(2)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert [chunk.header.stamp.nanosec for chunk in graph.peer.chunks] == [1, 2]


def test_what_a_human_drives_becomes_chunks_and_the_policy_goes_on_after_the_hand_back(graph):
    peer = graph.peer
    peer.take_over(stamp=3)
    settle_newest(graph, end=4, intervened=True)
    graph.until(lambda: peer.bootstraps)  # the value at the takeover
    peer.take_over(stamp=10, segment=10)
    graph.spin(0.1)
    peer.sense(12, angle=0.3)
    peer.drive(10, num_steps=16)
    graph.until(lambda: len(peer.chunks) == 2)
    chunk = conversions.chunk_from_message(peer.chunks[1])
    assert (chunk.human_driven, chunk.num_steps_asked, peer.chunks[1].chunk) == (True, 16, 2)
    assert time_to_ns(peer.chunks[1].header.stamp) == 10
    assert chunk.observation.state[0] == pytest.approx(0.1)  # what was seen before the human began
    peer.take_over(stamp=20, human=False, segment=10)
    settle_newest(graph, end=16, sense=False)
    graph.spin(0.2)
    assert len(peer.chunks) == 2  # what the sensors showed before the hand-back does not count
    peer.sense(21)
    graph.until(lambda: len(peer.chunks) == 3)
    # The numbers 1 and 3 of the episode are left out, because the driver changed there.
    assert (peer.chunks[2].human, peer.chunks[2].sequence_number, peer.chunks[2].chunk) == (False, 2, 4)
    graph.until(lambda: len(peer.heard["robot/left/joint_trajectory"]) == 2)  # of the policy's two chunks


def test_what_a_human_drives_is_told_where_it_has_no_tokens_and_left_out_where_its_observation_is_refused(graph):
    peer = graph.peer
    peer.take_over(stamp=3)
    settle_newest(graph, end=4, intervened=True)
    graph.until(lambda: peer.bootstraps)
    FakeActor.invalid = (0,)  # The fake encodes what a human drove as number 0.
    peer.take_over(stamp=10, segment=10)
    peer.drive(10, num_steps=16)
    graph.until(lambda: len(peer.chunks) == 2)
    FakeActor.invalid = ()
    graph.until(lambda: graph.logged("the chunk that the human drove cannot be imitated"))
    peer.sense(20, angle=3.1)
    graph.spin(0.1)
    peer.take_over(stamp=30, segment=30)
    peer.drive(30, num_steps=16)
    settle_newest(graph, end=26, sense=False)
    graph.until(lambda: graph.logged("the observation is refused"))
    peer.sense(40)
    graph.spin(0.1)
    peer.take_over(stamp=50, segment=50)
    peer.drive(50, num_steps=16)
    graph.until(lambda: len(peer.chunks) == 3)
    assert [time_to_ns(chunk.header.stamp) for chunk in peer.chunks[1:]] == [10, 50]
    assert graph.logged("the chunks of the human can be imitated again") == 1
    assert graph.logged("observations are valid again") == 1


def test_a_chunk_that_cannot_be_stored_is_not_published_and_holds_the_policy_until_it_can(graph, monkeypatch):
    def fail(store, entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "append", fail)
    settle_newest(graph, end=2)
    graph.until(lambda: graph.logged("chunks cannot be stored, so that the policy holds: "))
    graph.spin(0.2)
    assert len(graph.peer.chunks) == 1
    monkeypatch.undo()
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.peer.chunks[1].sequence_number == 1
    assert graph.logged("chunks can be stored again") == 1


def test_what_a_human_drives_without_an_observation_is_told(graph):
    graph.peer.sense(5)
    graph.spin(0.2)
    graph.peer.take_over(stamp=6)
    graph.peer.drive(3, num_steps=2)
    graph.until(lambda: graph.logged("the sensors gave no observation just before it"))
    assert len(graph.peer.chunks) == 1


def test_truncation_is_bootstrapped_and_the_next_episode_starts_with_chunk_0(graph):
    settle_newest(graph, end=1, truncated=True)
    graph.until(lambda: graph.peer.bootstraps)
    graph.peer.event(msg.EpisodeEvent.ENDED, outcome=msg.EpisodeEvent.TIME_LIMIT)
    graph.peer.event(msg.EpisodeEvent.RESET, episode=1)
    graph.peer.event(msg.EpisodeEvent.READY, episode=1, stamp=2)
    graph.peer.sense(4)
    graph.spin(0.2)
    assert len(graph.peer.chunks) == 1  # an episode that is ready waits for its start
    graph.peer.event(msg.EpisodeEvent.STARTED, episode=1, stamp=5)
    graph.spin(0.2)
    assert len(graph.peer.chunks) == 1  # what the sensors showed before the start is not of this episode
    graph.peer.sense(5)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert (graph.peer.chunks[1].sequence_number, graph.peer.chunks[1].episode, graph.peer.chunks[1].chunk) == (1, 1, 0)


def test_a_sample_that_a_pause_overtakes_is_dropped_and_its_number_used_again(graph):
    FakeActor.gate.clear()
    settle_newest(graph, end=1)
    graph.until(lambda: graph.node.is_working)
    graph.peer.event(msg.EpisodeEvent.PAUSED)
    graph.spin(0.2)
    FakeActor.gate.set()
    graph.until(lambda: not graph.node.is_working)
    graph.spin(0.2)
    assert len(graph.peer.chunks) == 1
    graph.peer.event(msg.EpisodeEvent.RESUMED, stamp=2)
    graph.peer.sense(2)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.peer.chunks[1].sequence_number == 1


def test_a_camera_that_never_comes_is_named_once_and_its_return_too(start):
    graph = start(env={"sensor_timeout": 0.3})
    begin_episode(graph)
    graph.peer.sense(1, cameras=CAMERAS[:2])
    graph.until(lambda: graph.logged("cam_right_wrist is silent for"))
    graph.spin(2.2)  # two more looks, one a second
    assert graph.logged("cam_right_wrist is silent for") == 1
    assert graph.peer.chunks == []
    graph.peer.sense(2)
    graph.until(lambda: graph.peer.chunks)
    graph.until(lambda: graph.logged("all sensors are back"))


def test_joints_that_are_not_finite_are_told_and_the_policy_holds(graph):
    graph.peer.sense(5, angle=float("nan"))
    graph.until(lambda: graph.logged("left arm: joint waist must be finite, got nan"))
    graph.peer.settle(graph.peer.chunks[0], end=4, sense=False)
    graph.spin(0.3)
    assert len(graph.peer.chunks) == 1
    graph.peer.sense(6)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.logged("the left arm's joint states are valid again") == 1


def test_a_checkpoint_that_does_not_load_keeps_the_old_weights_and_holds(graph):
    graph.peer.announce(1, is_there=False)
    graph.until(lambda: graph.logged("policy version 1 cannot be loaded, so that the policy holds"))
    settle_newest(graph, end=1)
    graph.spin(0.3)
    assert len(graph.peer.chunks) == 1
    graph.peer.announce(2)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.peer.chunks[1].policy_version == 2


def test_a_first_checkpoint_that_does_not_load_leaves_the_node_inactive(start):
    graph = start()
    graph.peer.announce(0, is_there=False)
    graph.until(lambda: graph.logged("step_0 is missing"))
    assert not graph.node.is_ready
    graph.peer.announce(1)
    graph.until(lambda: graph.node.is_active)


def test_activation_is_refused_until_the_weights_are_loaded(start):
    graph = start(run={"autostart": False})
    assert graph.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert graph.node.trigger_activate() == TransitionCallbackReturn.FAILURE
    graph.peer.announce()
    graph.until(lambda: graph.node.is_ready)
    assert not graph.node.is_active
    assert graph.node.trigger_activate() == TransitionCallbackReturn.SUCCESS


def test_a_robot_that_does_not_answer_is_told_and_a_reset_goes_on(start):
    graph = start(reward={"source_timeout": 0.1}, robot={"chunk_deadline": 0.1})
    graph.peer.announce()
    graph.peer.event(msg.EpisodeEvent.STARTED)
    graph.peer.sense(1)
    graph.until(lambda: graph.logged("chunk 0 was sent"))
    graph.spin(1.2)
    assert graph.logged("chunk 0 was sent") == 1
    graph.peer.event(msg.EpisodeEvent.RESET, episode=1)
    graph.peer.event(msg.EpisodeEvent.STARTED, episode=1, stamp=2)
    graph.peer.sense(2)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert (graph.peer.chunks[1].sequence_number, graph.peer.chunks[1].episode) == (1, 1)


def test_the_end_of_a_chunk_is_waited_for_from_when_it_was_sent(start, monkeypatch):
    """The clock stands at 1000 s when the policy's chunk is sent, and at 2000 s when what a human drove is sent."""
    now = 1000.0
    monkeypatch.setattr(peer_monitor, "time", SimpleNamespace(monotonic=lambda: now))
    graph = start()
    begin_episode(graph)
    graph.peer.sense(1)
    graph.until(lambda: graph.peer.chunks)
    graph.node.watch()
    assert not graph.logged("was sent")
    graph.peer.take_over(stamp=3)
    settle_newest(graph, end=4, intervened=True)
    graph.until(lambda: graph.peer.bootstraps)
    now = 2000.0
    graph.peer.take_over(stamp=10, segment=10)
    graph.peer.drive(10, num_steps=16)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    graph.node.watch()
    assert not graph.logged("was sent")
    now = 2100.0
    graph.node.watch()
    assert graph.logged("chunk 1 was sent 100.0 s ago and no outcome has arrived") == 1
    settle_newest(graph, end=20)
    graph.until(lambda: graph.logged("its episode is over; the policy goes on"))


def test_a_trainer_that_leaves_and_comes_back_is_told_once(graph):
    graph.spin(1.1)  # it has been seen
    graph.peer.destroy_publisher(graph.peer.versions)
    graph.until(lambda: graph.logged("peer left the graph"))
    graph.peer.versions = graph.peer.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
    graph.until(lambda: graph.logged("peer is back in the graph"))
    assert graph.logged("peer left the graph") == 1


def test_a_restarted_policy_goes_on_with_the_numbers(graph):
    graph.remove(graph.node)
    graph.node = graph.add(policy_node.PolicyNode())
    graph.until(lambda: graph.node.is_active and graph.peer.is_connected())
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.peer.chunks[1] == graph.peer.chunks[0]
    settle_newest(graph, end=2)
    graph.until(lambda: len(graph.peer.chunks) == 3)
    assert (graph.peer.chunks[2].sequence_number, graph.peer.chunks[2].chunk) == (1, 1)


def test_an_observation_that_the_model_refuses_holds(start):
    """The prompt of the episode is one that only reward_node knows, so that policy_node has not checked it before."""
    graph = start()
    graph.peer.announce()
    graph.peer.event(msg.EpisodeEvent.STARTED, prompt="x" * 201)
    graph.peer.sense(1)
    graph.until(lambda: graph.logged("the observation is refused, so that the policy holds: the prompt must fit"))
    graph.spin(1.2)
    assert graph.logged("the observation is refused") == 1
    assert graph.peer.chunks == []


def test_the_policy_goes_on_with_the_next_observation_that_the_model_takes(graph):
    settle_newest(graph, end=2, sense=False)
    graph.peer.sense(2, angle=3.1)
    graph.until(
        lambda: graph.logged("the observation is refused, so that the policy holds: the state must be in range")
    )
    graph.peer.sense(3)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert graph.logged("observations are valid again") == 1


def test_a_node_that_is_shut_down_holds(graph):
    assert graph.node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    assert not (graph.node.is_active or graph.node.is_configured)
    settle_newest(graph, end=2 * MILLISECOND)
    graph.spin(0.3)
    assert len(graph.peer.chunks) == 1


def prompts(messages):
    """Returns the prompt that each chunk or bootstrap was made with, and the length of what the actor saw."""
    lengths = [conversions.observation_from_message(m.observation).prompt_tokens[0] for m in messages]
    return [(message.observation.prompt, length) for message, length in zip(messages, lengths, strict=True)]


def test_a_chunk_and_the_value_after_it_have_the_prompt_of_their_episode(start):
    """Episode 0 ends by its time limit, and the value after it is of the same prompt. A human drives in episode 1."""
    graph = start()
    peer = graph.peer
    peer.announce()
    peer.event(msg.EpisodeEvent.RESET, prompt="cup")
    peer.event(msg.EpisodeEvent.STARTED, prompt="cup")
    peer.sense(1)
    graph.until(lambda: peer.chunks)
    settle_newest(graph, end=2, truncated=True)
    graph.until(lambda: peer.bootstraps)
    assert prompts([*peer.chunks, *peer.bootstraps]) == [("cup", 3), ("cup", 3)]
    peer.event(msg.EpisodeEvent.ENDED, outcome=msg.EpisodeEvent.TIME_LIMIT, prompt="cup")
    peer.event(msg.EpisodeEvent.RESET, episode=1, prompt="the door")
    peer.event(msg.EpisodeEvent.READY, episode=1, prompt="the door")
    peer.event(msg.EpisodeEvent.STARTED, episode=1, stamp=2, prompt="the door")
    peer.sense(3)
    graph.until(lambda: len(peer.chunks) == 2)
    peer.take_over(stamp=4)
    settle_newest(graph, end=5, num_steps=2, intervened=True)
    graph.until(lambda: len(peer.bootstraps) == 2)
    peer.sense(8)
    peer.take_over(stamp=10, segment=10)
    peer.drive(10, num_steps=16)
    graph.until(lambda: len(peer.chunks) == 3)
    assert peer.chunks[2].human
    assert prompts([*peer.chunks[1:], peer.bootstraps[1]]) == [("the door", 8)] * 3


@pytest.mark.parametrize("event", [msg.EpisodeEvent.STARTED, msg.EpisodeEvent.RESUMED])
def test_a_policy_that_joins_an_episode_late_acts_with_its_prompt(start, event):
    graph = start()
    graph.peer.announce()
    graph.peer.sense(1)
    graph.until(lambda: graph.node.is_active)
    assert graph.node.activity() == graph.node.values()["waits for"] == "waiting for an episode to start"
    graph.peer.event(event, episode=7, prompt="the door")
    graph.peer.sense(2)
    graph.until(lambda: graph.peer.chunks)
    assert graph.peer.chunks[0].episode == 7
    assert prompts(graph.peer.chunks) == [("the door", 8)]


def test_a_policy_that_is_cleaned_up_in_an_episode_goes_on_in_it(start):
    """The episode has no further event, so what the policy knows of it must outlive the clean-up."""
    graph = start()
    graph.peer.announce()
    graph.peer.event(msg.EpisodeEvent.STARTED, episode=2, prompt="the door")
    graph.peer.sense(1)
    graph.until(lambda: graph.peer.chunks)
    settle_newest(graph, end=2, sense=False)
    for trigger in ("deactivate", "cleanup", "configure"):
        assert getattr(graph.node, f"trigger_{trigger}")() == TransitionCallbackReturn.SUCCESS
    graph.until(lambda: graph.node.is_ready)
    if not graph.node.is_active:
        assert graph.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    graph.peer.sense(3)
    graph.until(lambda: len(graph.peer.chunks) == 2)
    assert [(chunk.episode, chunk.chunk) for chunk in graph.peer.chunks] == [(2, 0), (2, 1)]
    assert prompts(graph.peer.chunks) == [("the door", 8)] * 2


def test_a_node_whose_shutdown_fails_does_not_stay_active(graph, monkeypatch):
    def fail():
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(graph.node, "deactivated", fail)
    graph.node.trigger_shutdown()
    assert not graph.node.is_active


def test_a_node_that_is_cleaned_up_can_be_configured_again(graph):
    settle_newest(graph, end=2 * MILLISECOND)
    for trigger in (graph.node.trigger_deactivate, graph.node.trigger_cleanup):
        assert trigger() == TransitionCallbackReturn.SUCCESS
    assert not (graph.node.is_ready or graph.node.is_configured)
    assert graph.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    graph.until(lambda: graph.node.is_ready)
    assert graph.node.trigger_activate() == TransitionCallbackReturn.SUCCESS


def test_a_chunk_that_may_have_gone_to_a_dead_robot_node_is_sent_again_soon(graph):
    """reward_node has seen the new robot_node first, and has ended the episode. The next one starts at once."""
    left = graph.peer.heard["robot/left/joint_trajectory"]
    graph.peer.event(msg.EpisodeEvent.ENDED, outcome=msg.EpisodeEvent.INTERRUPTED)
    graph.spin(0.1)
    graph.peer.event(msg.EpisodeEvent.RESET, episode=1)
    graph.spin(0.1)
    graph.peer.event(msg.EpisodeEvent.STARTED, episode=1)
    graph.peer.sense(2 * MILLISECOND)
    graph.until(lambda: len(graph.peer.chunks) == 2 and len(left) == 2)
    graph.peer.restart_robot_node()
    graph.until(lambda: [chunk.episode for chunk in graph.peer.chunks].count(1) == 2)
    graph.until(lambda: len(left) == 3)
    assert left[1].header == left[2].header
