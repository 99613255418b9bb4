"""Tests classifier_node among a robot and cameras that the test plays."""

from __future__ import annotations

import array
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from chunk_ppo_msgs.msg import ChunkOutcome, ExecutionResult, TaskReward
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.imitation.success_classifier import ClassifierError, SuccessClassifier, init
from chunk_ppo_ros.nodes.classifier.classifier_node import ClassifierNode
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.robot import aloha
from support.node_harness import Graph, Peer, node_config, running_graph

pytestmark = pytest.mark.graph

CAMERAS = ("cam_high", "cam_left_wrist")
IMAGE = np.full((8, 8, 3), 90, np.uint8)


class Rig(Peer):
    """Plays a robot that ends chunks, two cameras, and a listener to rewards."""

    def __init__(self) -> None:
        super().__init__()
        self.listen(TaskReward, "task_reward", qos.RELIABLE)
        self._results = self.create_publisher(ExecutionResult, "execution_result", qos.RELIABLE)
        pattern = "{camera}/camera/color/image_rect_raw"
        self._cameras = {
            camera: self.create_publisher(Image, aloha.camera_topic(pattern, camera), qos.IMAGE_PUBLISHER)
            for camera in CAMERAS
        }

    def end(self, stamp: int, *, end: int, num_steps: int = 4) -> None:
        times = {"header": header_of(stamp), "end": time_from_ns(end)}
        self._results.publish(ExecutionResult(**times, run_id="run", sender="robot_7", num_steps=num_steps))

    def show(self, camera: str, stamp: int, *, encoding: str = "rgb8") -> None:
        message = image_to_message(IMAGE, stamp=stamp, frame_id=camera)
        message.encoding = encoding
        self._cameras[camera].publish(message)

    @property
    def rewards(self) -> list[TaskReward]:
        return self.heard["task_reward"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a classifier of two cameras that has learned nothing.

    Its threshold is so low that everything is a success.
    """
    path = tmp_path_factory.mktemp("classifier") / "door.npz"
    SuccessClassifier(init(2, key=jax.random.key(0)), CAMERAS, threshold=1e-6, held_out_accuracy=0.5).save(path)
    return path


@pytest.fixture
def graph(trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Graph]:
    reward = {"sources": ("task", "classifier"), "classifier": str(trained)}
    config = node_config(tmp_path, reward=reward, env={"sensor_timeout": 0.5})
    with running_graph(config, tmp_path, Rig, capfd) as graph:
        graph.add(ClassifierNode())
        graph.until(graph.peer.is_connected)
        yield graph


def test_a_chunk_is_judged_by_images_from_after_its_end(graph: Graph, trained: Path) -> None:
    rig = graph.peer
    for camera in CAMERAS:
        rig.show(camera, stamp=90)  # from before
    rig.end(50, end=100)
    rig.show("cam_high", stamp=100)
    graph.spin(0.3)
    assert not rig.rewards
    rig.show("cam_left_wrist", stamp=120)
    graph.until(lambda: rig.rewards)
    (reward,) = rig.rewards
    assert (reward.header.stamp.nanosec, reward.source) == (50, "classifier")
    assert (reward.run_id, reward.sender) == ("run", "robot_7")
    assert reward.success
    assert reward.terminated
    (term,) = reward.terms
    expected = SuccessClassifier.load(trained).probability(dict.fromkeys(CAMERAS, IMAGE))
    assert (term.name, term.weight) == ("solved_probability", 1.0)
    assert term.value == pytest.approx(expected, rel=1e-5)


def test_a_chunk_is_judged_once_and_the_judgment_repeated_until_its_outcome_is_known(graph: Graph) -> None:
    """robot_node repeats a result, and a judgment may be lost. The next process repeats it too."""
    rig = graph.peer
    for camera in CAMERAS:
        rig.show(camera, stamp=120)
    rig.end(50, end=100)
    rig.end(50, end=100)
    graph.until(lambda: rig.rewards)
    judged = rig.rewards[0]
    rig.rewards.clear()
    rig.end(50, end=100)
    graph.until(lambda: rig.rewards)
    assert all(reward == judged for reward in rig.rewards)
    (node,) = [node for node in graph.nodes if isinstance(node, ClassifierNode)]
    graph.remove(node)
    rig.rewards.clear()
    graph.add(ClassifierNode())
    graph.until(lambda: rig.rewards)
    assert all(reward == judged for reward in rig.rewards)
    outcomes = rig.create_publisher(ChunkOutcome, "chunk_outcome", qos.RELIABLE)
    graph.until(outcomes.get_subscription_count)
    outcomes.publish(ChunkOutcome(header=header_of(50), run_id="run", sender="robot_7"))
    graph.spin(0.5)
    rig.rewards.clear()
    graph.spin(4.5)  # It would be repeated after at most four seconds.
    assert not rig.rewards


class CompressedRig(Rig):
    """Plays the same with cameras that send PNG files alone."""

    def __init__(self) -> None:
        super().__init__()
        for camera, publisher in self._cameras.items():
            self.destroy_publisher(publisher)
            topic = f"{camera}/camera/color/image_raw/compressed"
            self._cameras[camera] = self.create_publisher(CompressedImage, topic, qos.IMAGE_PUBLISHER)

    def show(self, camera: str, stamp: int, *, encoding: str = "rgb8") -> None:
        PillowImage.fromarray(IMAGE).save(buffer := io.BytesIO(), "png")
        data = array.array("B", buffer.getvalue())
        self._cameras[camera].publish(CompressedImage(header=header_of(stamp), format=encoding, data=data))


def test_compressed_images_are_judged_as_the_raw_ones(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reward = {"sources": ("classifier",), "classifier": str(trained)}
    with running_graph(node_config(tmp_path, reward=reward), tmp_path, CompressedRig, capfd) as graph:
        graph.add(ClassifierNode())
        graph.until(graph.peer.is_connected)
        graph.peer.end(50, end=100)
        for camera in CAMERAS:
            graph.peer.show(camera, stamp=100)
        graph.until(lambda: graph.peer.rewards)
        ((term,),) = [reward.terms for reward in graph.peer.rewards]
        expected = SuccessClassifier.load(trained).probability(dict.fromkeys(CAMERAS, IMAGE))
        assert term.value == pytest.approx(expected, rel=1e-5)
        assert graph.logged("reads cam_high from cam_high/camera/color/image_raw/compressed")


@pytest.mark.parametrize(("threshold", "ends"), [(0.9999, True), (1e-6, False)])
def test_only_a_success_ends_an_episode_and_only_where_the_classifier_may_end_it(
    threshold: float, ends: bool, trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "strict.npz"
    dataclasses.replace(SuccessClassifier.load(trained), threshold=threshold).save(path)
    reward = {"sources": ("classifier",), "classifier": str(path), "classifier_ends": ends}
    with running_graph(node_config(tmp_path, reward=reward), tmp_path, Rig, capfd) as graph:
        graph.add(ClassifierNode())
        graph.until(graph.peer.is_connected)
        graph.peer.end(50, end=100)
        graph.peer.show("cam_high", stamp=100, encoding="jpeg")
        graph.until(lambda: graph.logged("cam_high: image encoding must be one of"))
        for camera in CAMERAS:
            graph.peer.show(camera, stamp=100)
        graph.until(lambda: graph.peer.rewards)
        (reward,) = graph.peer.rewards
        assert (reward.success, reward.terminated) == (threshold < 0.5, False)
        assert graph.logged("the images of cam_high are valid again") == 1


def test_each_of_several_chunks_that_waited_for_a_camera_is_judged(graph: Graph) -> None:
    rig = graph.peer
    rig.show("cam_left_wrist", stamp=400)
    for stamp in (50, 150):  # what a human drives goes on while cam_high is late
        rig.end(stamp, end=stamp + 50)
    graph.spin(0.3)
    assert not rig.rewards
    rig.show("cam_high", stamp=120)
    graph.until(lambda: rig.rewards)
    rig.show("cam_high", stamp=200)
    graph.until(lambda: len(rig.rewards) == 2)
    assert [reward.header.stamp.nanosec for reward in rig.rewards] == [50, 150]


def test_what_was_refused_is_not_judged_and_a_silent_camera_is_told_once(graph: Graph) -> None:
    rig = graph.peer
    rig.end(50, end=100, num_steps=0)
    rig.show("cam_left_wrist", stamp=200)
    rig.show("cam_high", stamp=200)
    graph.spin(0.3)
    assert not rig.rewards
    rig.end(60, end=300)
    rig.show("cam_left_wrist", stamp=300)
    graph.until(lambda: graph.logged("cam_high after a chunk is silent"))
    rig.show("cam_high", stamp=300)
    graph.until(lambda: rig.rewards)
    graph.until(lambda: graph.logged("cam_high after a chunk is back"))
    assert graph.logged("cam_left_wrist after") == 0


def test_a_classifier_of_other_cameras_is_refused(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reward = {"sources": ("classifier",), "classifier": str(trained)}
    config = node_config(tmp_path, reward=reward)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, cameras=("base_0_rgb",)))
    refusal = pytest.raises(ClassifierError, match="must look at cameras of cam_high, got cam_high, cam_left_wrist")
    with running_graph(config, tmp_path, Rig, capfd), refusal:
        ClassifierNode()
