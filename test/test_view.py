"""Tests what view_node draws: the facts below an image, the paths of chunks, and that it reads only while one looks."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from PIL import Image, ImageFont
from sensor_msgs.msg import CompressedImage

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk, chunk_values
from chunk_ppo_ros.nodes.common.status.diagnostics import hardware_id, key_values
from chunk_ppo_ros.nodes.view import annotation, chunk_markers, view_node
from chunk_ppo_ros.nodes.view.annotation import ViewFacts, annotate, facts_lines, to_jpeg, wrapped
from chunk_ppo_ros.nodes.view.chunk_paths import AskedPaths, executed_path, table_points
from chunk_ppo_ros.nodes.view.demand import Demand, Source
from chunk_ppo_ros.nodes.view.view_node import ViewNode
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_to_message
from chunk_ppo_ros.nodes.wire.sensors.joints import arm_trajectory_to_message
from chunk_ppo_ros.reporting.fonts.font_choice import USUAL
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.geometry import arm_poses
from support.fake_node import FakePublisher
from support.node_harness import Graph, Peer, graph_starter

pytestmark = pytest.mark.graph

CHUNK = NewestChunk(17, 12, 3, policy_version=7, value=0.53, num_steps=16, human=False, stamp=5, observation_stamp=4)
FACTS = ViewFacts("put the cube into the other hand", 12, "RUNNING", 3, 48, 0.5, 9, 12, True, "you", "ros2 ...", CHUNK)
"""The facts of an episode that waits for a person."""


def test_the_facts_stand_below_the_image_which_is_whole() -> None:
    image = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    picture = annotate(image, FACTS)
    band = picture.height - annotation.WIDTH
    assert picture.width == annotation.WIDTH and band >= 5 * annotation.LINE_HEIGHT
    shown = np.array(picture.crop((0, 0, annotation.WIDTH, annotation.WIDTH)))
    assert shown.mean((0, 1)) == pytest.approx((200, 30, 30))
    drawn = np.array(picture.crop((0, annotation.WIDTH, *picture.size)))
    assert {tuple(color) for color in drawn.reshape(-1, 3)} >= {annotation.BACKGROUND, annotation.TEXT}
    assert np.array(Image.open(io.BytesIO(to_jpeg(picture)))).shape == (picture.height, picture.width, 3)


def test_the_lines_say_prompt_episode_step_value_success_and_what_is_waited_for() -> None:
    texts = [line.text for line in facts_lines(FACTS)]
    assert texts == [
        "put the cube into the other hand",
        "episode 12 RUNNING · chunk 3 · step 48 · reward 0.50",
        "value 0.53 · policy version 7",
        "9 of 12 episodes solved; the last one was solved",
        "waits for you: ros2 ...",
    ]
    assert [line.text for line in facts_lines(ViewFacts())] == [
        "no prompt yet",
        "episode 0 IDLE · chunk 0 · step 0 · reward 0.00",
    ]


def test_a_long_line_is_broken_between_words_and_nothing_of_it_is_lost() -> None:
    line = annotation.Line("waits for a person to bring the arms to the start pose " * 3, annotation.WAITING)
    parts = wrapped(line, 300)
    assert len(parts) > 3
    assert " ".join(part.text for part in parts) == line.text
    assert {part.color for part in parts} == {annotation.WAITING}


def test_a_text_without_spaces_is_broken_between_characters() -> None:
    """Chinese has no spaces. A font that has no Chinese is as wide as another for this test."""
    line = annotation.Line("x" * 40 + " " + "y" * 100)
    parts = [part.text for part in wrapped(line, 300)]
    assert len(parts) > 3
    assert parts[0] == "x" * len(parts[0]) and "".join(parts) == "x" * 40 + "y" * 100
    assert [part.text for part in wrapped(annotation.Line("wide"), 1)] == list("wide")


def test_all_parts_of_a_broken_line_have_the_font_of_the_whole_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the parts in English of a prompt in Chinese would be in another font, and wider than was measured."""
    bold = USUAL.with_name("DejaVuSans-Bold.ttf")
    monkeypatch.setattr(annotation, "font_of", lambda text: bold if "杯" in text else USUAL)
    parts = wrapped(annotation.Line("lift the cup and lay it down " * 3 + "杯"), 300)
    assert len(parts) > 2 and {part.font for part in parts} == {bold}
    font = ImageFont.truetype(bold, annotation.TEXT_SIZE)
    assert all(font.getlength(part.text) <= 300 for part in parts)


def test_characters_that_no_font_has_are_not_drawn_as_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation, "drawable", lambda text: text.replace("把杯子", "[?]"))
    prompt, where, advice = annotation.drawable_lines(ViewFacts(prompt="把杯子"))
    assert prompt.text == "[?]" and where.text.startswith("episode 0")
    assert advice.color == annotation.WAITING and "install" in advice.text
    assert annotation.drawable_lines(FACTS) == facts_lines(FACTS)


@pytest.mark.parametrize("side", aloha.SIDES)
def test_the_paths_are_those_of_the_simulated_arms(side: str) -> None:
    """The grasp point is 20 mm nearer to the gripper than the middle of the finger tips, along the gripper's axis."""
    state = aloha.START_POSE + np.linspace(-0.2, 0.2, aloha.ACTION_DIM)
    arms = state.reshape(2, -1)[:, : len(aloha.ARM_JOINTS)]
    poses, arm = arm_poses(arms), aloha.SIDES.index(side)
    (point,) = table_points(arms[arm][None], side)
    expected = poses.grasp_points[arm] + poses.gripper_rotations[arm] @ [0.02, 0.0, 0.0]
    np.testing.assert_allclose(point, expected, atol=1e-9)


def test_a_path_knows_where_a_limit_changed_it() -> None:
    commanded = np.tile(aloha.START_POSE, (3, 1))
    path = executed_path(commanded, np.array([0, 4, 0], np.uint8), "right")
    assert path.points.shape == (3, 3)
    assert path.limited.tolist() == [False, True, False]


def markers(found: list[Any]) -> dict[str, tuple[bool, int]]:
    """Returns whether each marker is shown, and how many points it has."""
    return {each.ns: (each.action == each.ADD, len(each.points)) for each in found}


NEEDS_MARKERS = pytest.mark.skipif(
    chunk_markers.marker_array_type() is None,
    reason="visualization_msgs must be installed; `make setup` installs it, or a ROS from apt has it",
)


@NEEDS_MARKERS
def test_the_asked_path_stands_beside_the_executed_one() -> None:
    points = table_points(np.tile(aloha.START_POSE[:6], (4, 1)), "left")
    running = chunk_markers.running_markers("left", points, stamp=5)
    assert markers(running) == {"running/left": (True, 4)}, "what is drawn of the chunk before it stays"
    path = executed_path(np.tile(aloha.START_POSE, (3, 1)), np.array([0, 4, 0], np.uint8), "left")
    ended = chunk_markers.ended_markers("left", path, asked=points, human=False, stamp=5)
    assert markers(ended) == {"asked/left": (True, 4), "executed/left": (True, 3), "limited/left": (True, 1)}
    assert {each.header.frame_id for each in (*running, *ended)} == {"aloha"}
    driven = chunk_markers.ended_markers("left", path, asked=np.zeros((0, 3)), human=True, stamp=5)
    assert markers(driven)["asked/left"] == markers(driven)["running/left"] == (False, 0)


def test_the_asked_path_of_an_ended_chunk_is_that_of_its_stamp() -> None:
    """The next chunk may be asked for before the one that runs has ended."""
    paths, arm = AskedPaths(), np.ones((4, 3))
    paths.add("left", 5, arm)
    paths.add("right", 5, 2 * arm)
    paths.add("left", 6, 3 * arm)
    assert paths.find("left", 5) is arm
    np.testing.assert_array_equal(paths.find("left", 6), 3 * arm)
    assert paths.find("right", 6).shape == (0, 3)


class Reader:
    """A node that keeps the names of the topics that it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def create_subscription(self, kind: type, topic: str, on_message: object, profile: object) -> str:
        self.read.append(topic)
        return topic

    def destroy_subscription(self, topic: str) -> None:
        self.read.remove(topic)


def test_a_camera_that_begins_on_another_topic_after_the_look_is_found() -> None:
    node, publisher = Reader(), FakePublisher("annotated_view")
    sources = [Source(topics.EPISODE_STATE, print), Source(topics.ACTION_CHUNK, print)]
    demand = Demand(node, publisher, lambda: sources)  # type: ignore[arg-type]
    demand.look()
    assert sorted(node.read) == ["action_chunk", "episode_state"] and demand.is_met
    sources[1] = Source(topics.TRANSITION, print)
    demand.look()
    demand.look()
    assert sorted(node.read) == ["episode_state", "transition"]
    publisher.num_subscribers = 0
    demand.look()
    assert node.read == [] and not demand.is_met


# The tests below run the node.


class Robot(Peer):
    """Publishes what a graph publishes, and looks at the drawings when a test wants it."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.pictures: list[CompressedImage] = []
        self.arrays: list[Any] = []
        self.camera = topics.simulated_images("cam_high", RobotConfig())
        self._images = self.camera.create_publisher(self)
        self._state = topics.EPISODE_STATE.create_publisher(self)
        self._diagnostics = topics.DIAGNOSTICS.create_publisher(self)
        self._asked = {side: topic.create_publisher(self) for side, topic in topics.CHUNK_TRAJECTORIES.items()}
        self.create_timer(0.1, self._publish)
        self._seconds = 0

    def is_connected(self) -> bool:
        """Returns whether view_node is there, which listens to nothing yet."""
        return bool(self.count_publishers(topics.ANNOTATED_VIEW.name))

    def look(self) -> list[Any]:
        """Looks at all drawings, and returns the subscriptions."""
        view, kind = topics.ANNOTATED_VIEW, chunk_markers.marker_array_type()
        looks = [self.create_subscription(view.message_type, view.name, self.pictures.append, view.read_profile)]
        if kind is not None:
            looks.append(self.create_subscription(kind, topics.CHUNK_MARKERS_NAME, self.arrays.append, qos.RELIABLE))
        return looks

    def _publish(self) -> None:
        self._seconds += 1
        stamp = self._seconds * 1_000_000_000
        self._images.publish(image_to_message(np.zeros((48, 64, 3), np.uint8), stamp=stamp, frame_id="cam_high"))
        self._state.publish(msg.EpisodeState(prompt="reach", episode=3, phase=msg.EpisodeState.RUNNING))
        status = DiagnosticStatus(name="policy_node", hardware_id=hardware_id("/"))
        status.values = key_values(chunk_values(CHUNK))
        self._diagnostics.publish(DiagnosticArray(status=[status]))
        poses = np.tile(aloha.START_POSE[: aloha.SIDE_DIM], (4, 1))
        for publisher in self._asked.values():
            trajectory = arm_trajectory_to_message(poses, stamp=stamp, period=0.02, origin=ChunkOrigin("run", 1, stamp))
            publisher.publish(trajectory)


@pytest.fixture
def graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Graph]:
    with graph_starter(tmp_path, ViewNode, Robot, capfd) as start:
        yield start()


def listened(robot: Robot) -> dict[str, int]:
    """Returns how many listen to each topic that is drawn from."""
    names = [robot.camera.name, *(topic.name for topic in topics.CHUNK_TRAJECTORIES.values())]
    return {name: robot.count_subscribers(name) for name in names}


def test_it_reads_while_somebody_looks_and_then_no_more(graph: Graph) -> None:
    robot: Robot = graph.peer  # type: ignore[assignment]
    graph.spin(1.2)
    assert set(listened(robot).values()) == {0}
    looks = robot.look()
    graph.until(lambda: len(robot.pictures) >= 3 and robot.pictures[-1].header.stamp.sec > 10)
    picture = Image.open(io.BytesIO(bytes(robot.pictures[-1].data)))
    assert (robot.pictures[-1].format, robot.pictures[-1].header.frame_id) == ("jpeg", "cam_high")
    assert picture.width == annotation.WIDTH and picture.height > annotation.WIDTH * 3 // 4 + 3 * annotation.LINE_HEIGHT
    if chunk_markers.marker_array_type() is not None:
        graph.until(lambda: len(robot.arrays) >= 2)
        assert {each.ns for array in robot.arrays for each in array.markers} >= {"running/left", "running/right"}
    for subscription in looks:
        robot.destroy_subscription(subscription)
    graph.until(lambda: set(listened(robot).values()) == {0})


def test_where_drawing_is_slow_fewer_images_are_drawn(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes 0.3 s here, so that 1.5 s pass from one image to the next."""
    drawn: list[float] = []

    def slow(image: np.ndarray, facts: ViewFacts) -> Image.Image:
        drawn.append(time.monotonic())
        time.sleep(0.3)
        return annotate(image, facts)

    monkeypatch.setattr(view_node, "annotate", slow)
    graph.peer.look()  # type: ignore[attr-defined]
    graph.until(lambda: len(drawn) >= 3)
    assert min(np.diff(drawn)) >= 0.3 / view_node.LARGEST_SHARE


def test_without_visualization_msgs_it_draws_images_and_says_what_is_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "visualization_msgs", None)
    monkeypatch.setitem(sys.modules, "visualization_msgs.msg", None)
    with graph_starter(tmp_path, ViewNode, Robot, capfd) as start:
        graph = start()
        graph.peer.look()
        graph.until(lambda: graph.peer.pictures)
        assert graph.logged("visualization_msgs is not installed, so that chunk_markers is not published; install") == 1
