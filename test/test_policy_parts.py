"""Tests the parts of policy_node that watch sensors, peers and people: what they report, and when it is over."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from std_msgs.msg import Bool

from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, Hold, SampleChunk
from chunk_ppo_ros.agent.next_step.stored_rollout import StoredRollout
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER, ChunkId
from chunk_ppo_ros.nodes.common.worker import Failed, Succeeded
from chunk_ppo_ros.nodes.policy import actor_store, peer_monitor, policy_loader, sensors
from chunk_ppo_ros.nodes.policy.peer_monitor import PeerMonitor
from chunk_ppo_ros.nodes.policy.policy_loader import PolicyLoader
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.policy.rollout_facts import RolloutFacts
from chunk_ppo_ros.nodes.policy.scene_watch import HOLD_TIME, LATE_TIME, SceneWatch
from chunk_ppo_ros.nodes.policy.sensors import Sensors, make_observation
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.nodes.wire.sensors.joints import StateMessage
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors
from support.fake_actor import FakeActor, FakeCheckpoint
from support.fake_node import FakeNode, FakePublisher, SteadyClock

CONFIG = dataclasses.replace(
    PRESETS["debug"], env=dataclasses.replace(PRESETS["debug"].env, sensor_timeout=2.0, sync_tolerance=0.1)
)
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
SECOND = 1_000_000_000  # ns
CONVENTION = grippers.GRIPPER_CONVENTIONS["openpi"]
IMAGE = np.full((4, 6, 3), 9, np.uint8)


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


# The tests below check what policy_node reports of its sensors.


class Rig:
    """The sensors of a fake node, and what sends to them."""

    def __init__(self, node: FakeNode, clock: SteadyClock, config: TrainConfig = CONFIG) -> None:
        self.node, self.clock = node, clock
        self.num_news = 0
        self.sensors = Sensors(node, config, on_news=self._count)  # type: ignore[arg-type]

    def _count(self) -> None:
        self.num_news += 1

    def show(self, camera: str, *, stamp: int, encoding: str = "rgb8", gray: int = 9) -> None:
        message = image_to_message(np.full_like(IMAGE, gray), stamp=stamp, frame_id=camera)
        message.encoding = encoding
        self.node.subscribers[f"{camera}/camera/color/image_rect_raw"](message)

    def feel(self, side: str, *, stamp: int, angle: float = 0.1) -> None:
        message = StateMessage(CONVENTION).fill(np.array([angle] * 6 + [0.5]), stamp=stamp)
        self.node.subscribers[f"follower_{side}/joint_states"](message)

    def sense(self, *, stamp: int, cameras: tuple[str, ...] = CAMERAS) -> None:
        for camera in cameras:
            self.show(camera, stamp=stamp)
        for side in aloha.SIDES:
            self.feel(side, stamp=stamp)


@pytest.fixture
def rig(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> Rig:
    clock = SteadyClock()
    monkeypatch.setattr(sensors, "time", clock)
    return Rig(node, clock)


def test_the_ages_of_all_sensors_are_told_with_their_topics(rig: Rig) -> None:
    rig.sense(stamp=1 * SECOND, cameras=CAMERAS[:2])
    ages = {age.name: age for age in rig.sensors.ages}
    assert set(ages) == {*CAMERAS, "left arm", "right arm"}
    assert ages["left arm"].topic == "follower_left/joint_states"
    assert ages[CAMERAS[0]].topic.startswith(f"{CAMERAS[0]}/camera/color/image_rect_raw or ")
    assert [name for name, age in ages.items() if math.isnan(age.seconds)] == [CAMERAS[2]]


def test_a_silent_sensor_is_named_only_while_readings_are_waited_for(rig: Rig) -> None:
    rig.sense(stamp=1 * SECOND, cameras=CAMERAS[:2])
    assert rig.num_news == 4
    rig.clock.now += 50.0
    rig.sensors.watch()
    assert rig.sensors.peek() is None
    assert rig.node.take_lines() == []  # Nobody has asked for readings.
    assert rig.sensors.take(newer_than=0) is None
    rig.clock.now += 2.0
    rig.sensors.watch()
    assert rig.node.take_lines() == []
    rig.clock.now += 0.5
    rig.sense(stamp=2 * SECOND, cameras=CAMERAS[:2])
    assert rig.sensors.take(newer_than=0) is None  # It still waits since the first time.
    rig.sensors.watch()
    text = (
        "cam_right_wrist is silent for 2.5 s on cam_right_wrist/camera/color/image_rect_raw or "
        "cam_right_wrist/camera/color/image_raw; the policy holds: check the drivers and topic names "
        "(robot.image_topic, also with /compressed)"
    )
    assert rig.node.take_lines() == [("warning", text)]
    rig.show("cam_right_wrist", stamp=2 * SECOND)
    readings = rig.sensors.take(newer_than=2 * SECOND)
    assert readings is not None
    assert (readings.stamp, readings.state[0]) == (2 * SECOND, pytest.approx(0.1))
    assert rig.node.take_lines() == [("info", "all sensors are back")]
    rig.clock.now += 50.0
    rig.sensors.watch()
    assert rig.sensors.take(newer_than=3 * SECOND) is None
    rig.sensors.stop_waiting()
    rig.clock.now += 50.0
    rig.sensors.watch()
    assert rig.node.take_lines() == []


def test_sensors_whose_stamps_lie_apart_are_told_from_silent_ones(rig: Rig) -> None:
    rig.sense(stamp=1 * SECOND)
    rig.feel("left", stamp=5 * SECOND)  # The clock of its machine is ahead.
    assert rig.sensors.take(newer_than=0) is None
    rig.clock.now += 2.1
    rig.sensors.watch()
    assert [level for level, _ in rig.node.take_lines()] == ["warning"]  # All are silent.
    rig.sense(stamp=2 * SECOND)
    rig.feel("left", stamp=6 * SECOND)
    rig.sensors.watch()
    (back, (level, text)) = rig.node.take_lines()
    assert (back, level) == (("info", "all sensors are back"), "warning")
    assert text.startswith("all sensors send, but for 2.1 s their stamps have been older than the last chunk's end or")
    rig.feel("left", stamp=2 * SECOND)
    assert rig.sensors.peek() is not None
    assert rig.node.take_lines() == []
    assert rig.sensors.take(newer_than=0) is not None
    assert rig.node.take_lines() == [("info", "the stamps of all sensors fit together again")]


def test_readings_that_cannot_be_used_are_told_once_and_are_no_news(rig: Rig) -> None:
    for stamp in (1, 2):
        rig.show("cam_high", stamp=stamp, encoding="jpeg")
        rig.feel("right", stamp=stamp, angle=float("nan"))
    (_, image), (_, arm) = rig.node.take_lines()
    assert image.startswith("cam_high: ")
    assert arm.startswith("right arm: joint waist must be finite, got nan")
    assert rig.num_news == 0
    rig.sense(stamp=3)
    texts = ["the images of cam_high are valid again", "the right arm's joint states are valid again"]
    assert rig.node.take_lines() == [("info", text) for text in texts]


def freeze(rig: Rig, camera: str, *, first: int) -> None:
    """Sends one picture of a camera under many new stamps, and other pictures of the other sensors."""
    for number in range(first, first + 20):
        for other in CAMERAS:
            rig.show(other, stamp=number * SECOND, gray=100 if other == camera else 100 + number % 7)
        for side in aloha.SIDES:
            rig.feel(side, stamp=number * SECOND)


def with_camera_fault(*, is_real: bool, holds: bool) -> TrainConfig:
    env = dataclasses.replace(CONFIG.env, simulator="none" if is_real else CONFIG.env.simulator, realtime=is_real)
    return dataclasses.replace(CONFIG, env=env, robot=dataclasses.replace(CONFIG.robot, hold_on_camera_fault=holds))


@pytest.mark.parametrize("holds", [False, True])
def test_a_camera_that_stands_still_is_named_and_holds_the_policy_where_the_setting_says_so(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    clock = SteadyClock()
    monkeypatch.setattr(sensors, "time", clock)
    rig = Rig(node, clock, with_camera_fault(is_real=True, holds=holds))
    assert rig.sensors.take(newer_than=0) is None  # It waits for readings from now on.
    freeze(rig, "cam_left_wrist", first=1)
    hold = "; the policy holds (robot.hold_on_camera_fault)" if holds else ""
    text = (
        "cam_left_wrist cannot be right: more than 15 images in a row are equal to the bit, although their stamps are "
        f"new; start its driver again{hold}"
    )
    assert node.take_lines() == [("warning", text)]
    assert (rig.sensors.take(newer_than=0) is None) == holds
    clock.now += 50.0
    rig.sensors.watch()
    assert node.take_lines() == []  # The camera holds the policy, not silence or the stamps.
    assert rig.sensors.hold_reason == ("cam_left_wrist cannot be right (robot.hold_on_camera_fault)" if holds else "")
    assert rig.sensors.peek() is not None
    rig.show("cam_left_wrist", stamp=20 * SECOND + 1, gray=50)
    assert node.take_lines() == [("info", "the pictures of cam_left_wrist can be right again")]
    assert rig.sensors.take(newer_than=0) is not None
    assert not rig.sensors.hold_reason


def test_the_policy_holds_while_two_nodes_send_the_images_of_one_camera(rig: Rig) -> None:
    rig.sense(stamp=1)
    topic = "cam_high/camera/color/image_rect_raw"
    rig.node.present = {topic: ["camera", "sim_node"]}
    rig.sensors.watch()
    text = (
        "/camera and /sim_node send images of cam_high, and the policy cannot tell which is the camera, so that it "
        "holds; stop all but one of them"
    )
    assert rig.node.take_lines() == [("error", text)]
    assert rig.sensors.hold_reason == "several nodes send images of cam_high"
    assert rig.sensors.take(newer_than=0) is None
    rig.node.present[topic] = ["camera"]
    rig.sensors.watch()
    assert rig.node.take_lines() == [("info", "one node alone sends images of cam_high again")]
    assert rig.sensors.take(newer_than=0) is not None


@pytest.mark.parametrize("is_mirror", [False, True])
def test_a_scene_of_a_simulator_may_stand_still(node: FakeNode, is_mirror: bool) -> None:
    config = with_camera_fault(is_real=is_mirror, holds=True)
    if is_mirror:
        config = dataclasses.replace(config, env=dataclasses.replace(config.env, mirror="kinematic"))
    rig = Rig(node, SteadyClock(), config)
    freeze(rig, "cam_high", first=1)
    assert node.take_lines() == []
    assert rig.sensors.take(newer_than=0) is not None


def test_a_missing_image_is_blank_and_masked() -> None:
    readings = SyncedSensors((IMAGE, None), np.array([True, False]), np.arange(14.0), stamp=1, newest=1)
    observation = make_observation(readings, image_size=6, prompt="reach")
    assert observation.images.shape == (2, 6, 6, 3)
    assert observation.images[0, 1:5].min() == 9  # It is fitted into the square, with one blank row above and below.
    assert observation.images[0, 0].max() == observation.images[0, 5].max() == observation.images[1].max() == 0
    assert observation.image_mask.tolist() == [True, False]
    assert (observation.prompt, observation.state.dtype) == ("reach", np.float32)


# The tests below check what policy_node expects of other nodes.


def test_topics_on_which_nobody_listens_are_named_until_all_have_a_listener(node: FakeNode) -> None:
    publishers = [FakePublisher("action_chunk"), FakePublisher("bootstrap")]
    peers = PeerMonitor(node, CONFIG, publishers)  # type: ignore[arg-type]
    assert peers.all_listen()
    publishers[0].num_subscribers = publishers[1].num_subscribers = 0
    assert not peers.all_listen()
    publishers[1].num_subscribers = 1
    assert not peers.all_listen()
    publishers[0].num_subscribers = 1
    assert peers.all_listen()
    text = "nobody listens on {}; the policy holds: check that robot_node and reward_node run"
    both, one, over = node.take_lines()
    assert both == ("warning", text.format("action_chunk, bootstrap"))
    assert one == ("warning", text.format("action_chunk"))
    assert over == ("info", "robot_node and reward_node listen")


def test_a_chunk_has_its_own_time_a_deadline_and_the_time_of_the_sources(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteadyClock()
    monkeypatch.setattr(peer_monitor, "time", clock)
    peers = PeerMonitor(node, CONFIG, [])  # type: ignore[arg-type]
    id = ChunkId("run", 7, 0, 3)
    peers.chunk_sent()
    # A chunk has 16 steps at 50 Hz.
    allowed = 0.32 + CONFIG.robot.chunk_deadline + CONFIG.reward.source_timeout
    clock.now += allowed - 0.01
    peers.watch(id)
    assert node.take_lines() == []
    clock.now += 0.02
    peers.watch(id)
    ((level, text),) = node.take_lines()
    assert (level, text.partition(" ago")[0]) == ("warning", f"chunk 7 was sent {allowed + 0.01:.1f} s")
    peers.watch(None)
    assert node.take_lines() == [("info", "the chunk has ended or its episode is over; the policy goes on")]
    peers.watch(None)
    assert node.take_lines() == []


# The tests below check when policy_node loads which weights.


class LoadingNode(FakeNode):
    """Stands for a node that is configured when the test says so, and whose jobs the test runs."""

    config = CONFIG
    is_configured = True

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
        self.num_ready = 0

    @property
    def is_ready(self) -> bool:
        return self.num_ready > 0

    def set_ready(self) -> None:
        self.num_ready += 1

    def submit(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.jobs.append((job, then))

    def work(self) -> None:
        """Runs the oldest job and hands on its outcome."""
        job, then = self.jobs.pop(0)
        try:
            outcome: Any = Succeeded(job())
        except Exception as error:
            outcome = Failed(error)
        then(outcome)


def opened_store(folder: pathlib.Path, node: FakeNode) -> PolicyStore:
    store = PolicyStore(folder / "store" / "policy", node.get_logger())  # type: ignore[arg-type]
    store.open()
    return store


class Loading:
    """A loader, the facts that it reports, and the trainer that announces."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.node, self.changes = folder, LoadingNode(), []
        self.store = opened_store(folder, self.node)
        self.facts = RolloutFacts(
            self.node,  # type: ignore[arg-type]
            self.store,
            StoredRollout(),
            SceneWatch(self.node, CONFIG),  # type: ignore[arg-type]
            action_dim=14,
            peek=lambda: None,
            on_change=lambda: None,
            on_referee=lambda: None,
            on_segment=lambda stamp, readings: None,
        )
        self.sequence_file = CounterFile(folder / "next.json", "next_sequence_number", without="count anew")
        self.loader = PolicyLoader(
            self.node,  # type: ignore[arg-type]
            self.facts,
            self.store,
            self.sequence_file,
            on_change=lambda: self.changes.append(1),
        )

    def announce(self, version: int, *, is_there: bool = True, **fields: Any) -> None:
        checkpoint = self.folder / f"step_{version}"
        if is_there:
            checkpoint.mkdir(exist_ok=True)
        self.node.subscribers["policy_version"](
            msg.PolicyVersion(run_id="run", version=version, checkpoint=str(checkpoint), num_required=4, **fields)
        )


@pytest.fixture
def loading(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Loading:
    monkeypatch.setattr(actor_store, "Actor", FakeActor)
    monkeypatch.setattr(actor_store, "Checkpoint", FakeCheckpoint)
    return Loading(tmp_path)


def test_the_newest_announced_version_is_loaded_once_the_node_is_configured(loading: Loading) -> None:
    loading.loader.load_announced()
    loading.node.is_configured = False
    loading.announce(0)
    assert (loading.node.jobs, loading.changes) == ([], [])
    loading.node.is_configured = True
    loading.loader.load_announced()
    loading.node.work()
    first = loading.loader.actor
    assert first is not None
    assert (first.policy_version, loading.node.num_ready, loading.changes) == (0, 1, [1])
    assert loading.facts.state.weights.is_loaded
    loading.announce(0, num_accepted=2)  # It is loaded, and only its numbers are new.
    assert (loading.node.jobs, loading.changes) == ([], [1, 1])
    loading.announce(1)
    assert not loading.facts.state.weights.is_loaded
    loading.node.work()
    assert loading.loader.actor is first
    assert (first.policy_version, loading.node.num_ready) == (1, 1)
    assert not loading.loader.is_final
    loading.announce(2, final=True)
    assert (loading.node.jobs, loading.loader.is_final) == ([], True)
    loading.loader.drop()
    assert loading.loader.actor is None


def test_weights_that_cannot_be_loaded_are_tried_again_after_a_while(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading.announce(0)
    loading.node.work()
    loading.announce(1, is_there=False)
    loading.node.work()
    loading.loader.watch()
    assert loading.node.jobs == []
    monkeypatch.setattr(policy_loader, "RETRY_PERIOD", 0.0)
    loading.loader.watch()
    loading.node.work()  # It is not there yet.
    assert not loading.facts.state.weights.is_loaded
    (loading.folder / "step_1").mkdir()
    loading.loader.watch()
    loading.node.work()
    actor = loading.loader.actor
    assert actor is not None
    assert (loading.facts.state.weights.is_loaded, actor.policy_version) == (True, 1)
    loading.loader.watch()
    assert loading.node.jobs == []


def test_weights_that_cannot_be_loaded_hold_the_policy_unless_newer_ones_are_announced(loading: Loading) -> None:
    loading.announce(0, is_there=False)
    loading.node.work()
    ((level, text),) = loading.node.take_lines()[1:]
    assert (level, text.startswith("policy version 0 cannot be loaded, so that the policy holds: ")) == ("error", True)
    loading.facts.state.activate()
    loading.facts.state.episode_started(0, prompt="reach", stamp=0)
    step = loading.facts.state.next_step()
    assert isinstance(step, Hold)
    assert "step_0 is missing" in step.reason
    assert loading.changes == []
    loading.announce(1, is_there=False)
    loading.announce(2)
    loading.node.work()
    step = loading.facts.state.next_step()
    assert isinstance(step, Hold)
    assert "is missing" not in step.reason  # Version 2 may still be loaded.
    loading.node.work()
    assert loading.node.take_lines()[-1] == ("info", "the announced weights are loaded")
    assert isinstance(loading.facts.state.next_step(), SampleChunk)


def test_an_announcement_that_changes_only_its_counts_loads_nothing_again(loading: Loading) -> None:
    loading.announce(0)
    loading.announce(0, num_accepted=1)
    loading.node.work()
    loading.announce(0, num_accepted=2)
    assert len([text for _, text in loading.node.take_lines() if text.startswith("loading")]) == 1
    assert not loading.node.jobs
    loading.loader.drop()
    loading.loader.load_announced()
    assert len(loading.node.jobs) == 1


@pytest.mark.parametrize(("known_to_trainer", "stored", "number"), [(3, 7, 7), (9, 7, 9)])
def test_numbers_go_on_after_those_that_the_trainer_and_the_disk_know(
    loading: Loading, known_to_trainer: int, stored: int, number: int
) -> None:
    loading.sequence_file.write("run", stored)
    loading.announce(0, next_sequence_number=known_to_trainer)
    loading.node.work()
    loading.facts.state.activate()
    loading.facts.state.episode_started(0, prompt="reach", stamp=0)
    step = loading.facts.state.next_step()
    assert isinstance(step, SampleChunk)
    assert step.chunk.sequence_number == number


# The tests below check what policy_node does with the messages of other nodes.


class Facts:
    """Returns the facts of a rollout of version 0 of the run "run", which a human may drive."""

    def __init__(self, node: FakeNode, folder: pathlib.Path) -> None:
        self.node = node
        self.num_changes = 0
        self.num_referees = 0
        self.segments: list[int] = []  # the stamps of those whose readings are to be stored
        self.scene = SceneWatch(node, CONFIG)  # type: ignore[arg-type]
        self.store = opened_store(folder, node)
        self.readings: SyncedSensors | None = None
        self.facts = RolloutFacts(
            node,  # type: ignore[arg-type]
            self.store,
            StoredRollout(),
            self.scene,
            action_dim=14,
            peek=lambda: self.readings,
            on_change=self._count,
            on_referee=self._count_referee,
            on_segment=lambda stamp, readings: self.segments.append(stamp),
        )
        self.facts.state.announce(Announcement("run", 0, num_accepted=0, num_required=4))

    def _count(self) -> None:
        self.num_changes += 1

    def _count_referee(self) -> None:
        self.num_referees += 1

    def hear(self, topic: str, message: object) -> None:
        self.node.subscribers[topic](message)

    def end_segment(self, stamp: int, *, dim: int = 14) -> None:
        driven = ExecutionResult(
            status=Status.EXECUTED,
            num_steps=2,
            stamp=stamp,
            human_driven=True,
            commanded=np.zeros((2, dim), np.float32),
            causes=np.zeros(2, np.uint8),
        )
        self.hear("execution_result", conversions.execution_to_message(driven))

    def begin_segment(self, stamp: int) -> None:
        """Shows something in the sensors 1 ns before a human begins a segment."""
        self.readings = SyncedSensors((), np.ones(0, bool), np.zeros(14), stamp=stamp - 1, newest=stamp - 1)
        self.facts.on_readings()
        self.hear("takeover_state", msg.TakeoverState(header=header_of(stamp), human=True, segment=time_from_ns(stamp)))


@pytest.fixture
def facts(node: FakeNode, tmp_path: pathlib.Path) -> Facts:
    return Facts(node, tmp_path)


def test_chunks_that_do_not_count_are_told_until_one_counts(facts: Facts) -> None:
    outcome = msg.ChunkOutcome(
        run_id="run", sender=DEFAULT_SENDER, sequence_number=4, valid=False, message="REFUSED: too far"
    )
    facts.hear("chunk_outcome", msg.ChunkOutcome(run_id="other", valid=False, message="of another run"))
    assert (facts.num_changes, facts.node.take_lines()) == (0, [])
    for _ in range(2):
        facts.hear("chunk_outcome", outcome)
    assert facts.num_changes == 2
    assert facts.node.take_lines() == [("warning", "chunk 4 does not count: REFUSED: too far")]
    facts.hear("chunk_outcome", msg.ChunkOutcome(run_id="run", sender=DEFAULT_SENDER, sequence_number=5, valid=True))
    assert facts.node.take_lines() == [("info", "the robot executes chunks again")]
    facts.hear("transition_ack", msg.TransitionAck(run_id="other", sender=DEFAULT_SENDER))
    facts.hear("transition_ack", msg.TransitionAck(run_id="run", sender="robot_1"))
    facts.hear("chunk_outcome", msg.ChunkOutcome(run_id="run", sender="robot_1", sequence_number=5))
    assert facts.num_changes == 3
    facts.hear("transition_ack", msg.TransitionAck(run_id="run", sender=DEFAULT_SENDER))
    assert facts.num_changes == 4


def test_segments_of_a_human_that_cannot_be_used_are_told_until_one_can(facts: Facts) -> None:
    facts.begin_segment(100)
    facts.node.take_lines()
    changes = facts.num_changes
    facts.end_segment(100, dim=13)
    ((level, text),) = facts.node.take_lines()
    assert (level, facts.num_changes) == ("error", changes)
    assert text.endswith("commanded must have shape (2, 14), got (2, 13)")
    facts.end_segment(100)
    assert facts.num_changes == changes + 1
    assert facts.node.take_lines() == [("info", "the segments of the human are well formed again")]
    stamp = 50_000_000_000  # The newest readings are much older.
    facts.end_segment(stamp)
    ((level, text),) = facts.node.take_lines()
    assert level == "warning"
    assert text.endswith("the sensors gave no observation just before it")
    facts.begin_segment(stamp + 100)
    facts.end_segment(stamp + 100)
    assert facts.node.take_lines() == [("info", "the segments of the human are used again")]
    segment = facts.facts.state.segments.next
    assert segment is not None
    assert (segment.stamp, segment.commanded.shape) == (100, (2, 14))


def test_readings_are_kept_only_while_a_human_drives(facts: Facts) -> None:
    facts.begin_segment(100)
    facts.end_segment(100)
    assert facts.facts.state.segments.next is not None
    assert facts.facts.state.is_human_driven
    facts.hear("takeover_state", msg.TakeoverState(header=header_of(200), human=False))
    assert not facts.facts.state.is_human_driven
    facts.readings = SyncedSensors((), np.ones(0, bool), np.zeros(14), stamp=250, newest=250)
    facts.facts.on_readings()
    facts.facts.state.segments.clear()
    facts.readings = None
    facts.hear("takeover_state", msg.TakeoverState(header=header_of(SECOND), human=True))
    facts.end_segment(SECOND + 250)
    assert facts.facts.state.segments.next is None


def test_the_robot_and_a_referee_that_was_started_anew_are_heard_of(facts: Facts) -> None:
    facts.facts.state.weights.loaded(0)
    facts.facts.state.activate()
    facts.facts.state.episode_started(0, prompt="reach", stamp=0)
    for active in (False, True):
        facts.hear("robot_node/active", Bool(data=active))
        step = facts.facts.state.next_step()
        assert (step == Hold("robot_node is not active")) is not active
    facts.node.present["episode_event"] = ["reward_node"]
    facts.facts.watch()
    assert facts.num_referees == 0
    facts.node.gids["reward_node"] = b"another"
    facts.facts.watch()
    assert facts.num_referees == 1


def test_a_chunk_that_was_refused_because_a_human_drives_holds_the_policy_until_robot_node_reports_it(
    facts: Facts,
) -> None:
    facts.facts.state.weights.loaded(0)
    facts.facts.state.activate()
    facts.facts.state.episode_started(0, prompt="reach", stamp=0)
    step = facts.facts.state.next_step()
    assert isinstance(step, SampleChunk)
    facts.facts.state.chunk_sent(step, stamp=SECOND)
    reason = "REFUSED: a human drives the robot; hand it back by the service takeover with data: false"
    outcome = msg.ChunkOutcome(
        header=header_of(SECOND), run_id="run", sender=DEFAULT_SENDER, sequence_number=0, valid=False, message=reason
    )
    facts.hear("chunk_outcome", outcome)
    assert facts.facts.state.next_step() == Hold("a human takes over")
    facts.hear("takeover_state", msg.TakeoverState(header=header_of(SECOND - 5), human=True))
    assert facts.facts.state.next_step() == Hold("a human drives")
    facts.hear("takeover_state", msg.TakeoverState(header=header_of(2 * SECOND), human=False))
    assert isinstance(facts.facts.state.next_step(), SampleChunk)


IMAGES = f"{CAMERAS[0]}/camera/color/image_rect_raw"


def test_a_simulator_that_was_started_anew_holds_the_policy_until_a_new_scene_begins(node: FakeNode) -> None:
    watch = SceneWatch(node, CONFIG)  # type: ignore[arg-type]
    assert not watch.look(0.0)
    node.present[IMAGES] = ["sim_node"]
    assert not watch.look(1.0)  # It is seen for the first time.
    node.gids["sim_node"] = b"another"
    assert not watch.is_doubtful(2.0)
    assert watch.look(2.0) and watch.is_doubtful(2.0 + HOLD_TIME - 0.1)
    watch.episode_reset(3.0)
    assert not watch.look(3.0)


def test_a_simulator_that_is_seen_after_the_new_scene_began_holds_the_policy_for_a_while(node: FakeNode) -> None:
    watch = SceneWatch(node, CONFIG)  # type: ignore[arg-type]
    node.present[IMAGES] = ["sim_node"]
    watch.look(0.0)
    watch.episode_reset(1.0)
    node.gids["sim_node"] = b"another"
    assert watch.look(2.0)
    assert not watch.look(2.0 + HOLD_TIME)


def test_a_robot_node_that_was_started_anew_holds_the_policy_in_an_episode(node: FakeNode) -> None:
    watch = SceneWatch(node, CONFIG)  # type: ignore[arg-type]
    node.present["execution_result"] = ["robot_node"]
    watch.look(0.0)
    node.gids["robot_node"] = b"another"
    assert not watch.look(1.0, in_episode=False)
    node.gids["robot_node"] = b"a third"
    assert watch.look(2.0)


def test_a_robot_node_that_is_seen_after_its_episode_was_ended_for_it_holds_nothing(node: FakeNode) -> None:
    watch = SceneWatch(node, CONFIG)  # type: ignore[arg-type]
    node.present["execution_result"] = ["robot_node"]
    watch.look(0.0)
    watch.episode_interrupted(10.0)  # reward_node has seen the new process first
    watch.episode_reset(10.0)
    assert not watch.take_late()
    node.gids["robot_node"] = b"another"
    assert not watch.look(11.0)
    assert watch.take_late() and not watch.take_late()  # A chunk may have gone to the old process.
    node.gids["robot_node"] = b"a third"
    assert watch.look(10.0 + LATE_TIME)
    watch.episode_interrupted(16.0)  # for the process that is known already
    watch.episode_reset(16.0)
    node.gids["robot_node"] = b"a fourth"
    assert watch.look(17.0)


def test_a_robot_node_that_is_new_when_an_episode_starts_holds_nothing(facts: Facts) -> None:
    node, scene = facts.node, facts.scene
    node.present["execution_result"] = ["robot_node"]
    facts.hear("episode_event", msg.EpisodeEvent(run_id="run", event=msg.EpisodeEvent.RESET))
    node.gids["robot_node"] = b"another"
    started = msg.EpisodeEvent(run_id="run", event=msg.EpisodeEvent.STARTED)
    facts.hear("episode_event", started)
    assert not scene.look(time.monotonic())
    node.gids["robot_node"] = b"a third"
    facts.hear("episode_event", started)  # reward_node was started anew, and says again that the episode runs
    assert scene.look(time.monotonic())


def test_beside_a_robot_there_is_one_scene(node: FakeNode) -> None:
    real = dataclasses.replace(CONFIG, env=dataclasses.replace(CONFIG.env, simulator="none"))
    watch = SceneWatch(node, real)  # type: ignore[arg-type]
    node.present[IMAGES] = ["camera"]
    watch.look(0.0)
    node.gids["camera"] = b"another"
    assert not watch.look(1.0)


def test_the_value_of_a_new_scene_is_not_sent_after_an_interrupted_episode(facts: Facts) -> None:
    facts.facts.state.weights.loaded(0)
    facts.facts.state.activate()
    facts.facts.state.episode_started(0, prompt="reach", stamp=0)
    step = facts.facts.state.next_step()
    assert isinstance(step, SampleChunk)
    facts.facts.state.chunk_sent(step)
    outcome = msg.ChunkOutcome(run_id="run", sender=DEFAULT_SENDER, sequence_number=0, valid=True, truncated=True)
    facts.hear("chunk_outcome", outcome)
    assert isinstance(facts.facts.state.next_step(), Bootstrap)
    ended, interrupted = msg.EpisodeEvent.ENDED, msg.EpisodeEvent.INTERRUPTED
    facts.hear("episode_event", msg.EpisodeEvent(run_id="run", event=ended, outcome=interrupted))
    assert facts.facts.state.next_step() == Hold("waiting for an episode to start")
