"""Tests from which of its topics a camera is read, and that raw and compressed images are the same."""

from __future__ import annotations

import array
import io

import numpy as np
import pytest
from PIL import Image as PillowImage
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.sensors import camera_reader
from chunk_ppo_ros.nodes.common.sensors.camera_reader import CameraReader
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message, image_to_message
from support.fake_node import FakeNode, SteadyClock

RECT, RAW = "cam_high/camera/color/image_rect_raw", "cam_high/camera/color/image_raw"
TIMEOUT = 2.0
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


class Rig:
    """A reader of a fake node, and what it read."""

    def __init__(self, clock: SteadyClock, image_topic: str | None = None) -> None:
        self.clock, self.node = clock, FakeNode()
        self.heard: list[Image | CompressedImage] = []
        config = RobotConfig() if image_topic is None else RobotConfig(image_topic=image_topic)
        self.reader = CameraReader(
            self.node,  # type: ignore[arg-type]
            "cam_high",
            config,
            profile=qos.SENSOR,
            timeout=TIMEOUT,
            on_image=self.heard.append,
        )

    def send(self, topic: str) -> bool:
        """Sends an image, and returns whether it was read."""
        before = len(self.heard)
        self.node.subscribers[topic](image_to_message(PIXELS, stamp=1, frame_id="cam_high"))
        return len(self.heard) > before


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(camera_reader, "time", clock)
    return clock


@pytest.mark.parametrize("topic", [RECT, RAW])
def test_either_name_of_the_raw_topic_is_read(clock: SteadyClock, topic: str) -> None:
    """realsense2_camera 4.57.4 has renamed image_rect_raw to image_raw."""
    rig = Rig(clock)
    assert set(rig.node.subscribers) == {RECT, RAW}
    assert [rig.send(topic) for _ in range(3)] == [True] * 3
    assert rig.node.take_lines() == ([("info", f"reads cam_high from {RAW}")] if topic == RAW else [])


def test_a_camera_that_sends_on_both_topics_is_read_once(clock: SteadyClock) -> None:
    rig = Rig(clock)
    assert rig.send(RAW)
    assert rig.send(RECT)  # It is named first, and so it is preferred from now on.
    for _ in range(3):
        clock.now += TIMEOUT
        assert not rig.send(RAW)
        assert rig.send(RECT)
    assert [text for _, text in rig.node.take_lines()] == [f"reads cam_high from {topic}" for topic in (RAW, RECT)]


def test_the_nodes_that_send_images_of_a_camera_are_known(clock: SteadyClock) -> None:
    rig = Rig(clock)
    rig.node.present = {RECT: ["sim_node"], RAW: ["camera"]}
    assert rig.reader.senders(of_all_topics=True) == ()  # none of them has sent yet
    rig.send(RECT)
    assert rig.reader.senders(of_all_topics=False) == ("/sim_node",)
    assert rig.reader.senders(of_all_topics=True) == ("/camera", "/sim_node")
    rig.node.present[RECT] = ["camera", "camera"]  # one that was killed and started anew
    assert rig.reader.senders(of_all_topics=True) == ("/camera",)


def test_the_other_topic_takes_the_place_of_a_silent_one(clock: SteadyClock) -> None:
    rig = Rig(clock)
    assert rig.send(RECT)
    clock.now += TIMEOUT + 0.1
    assert rig.send(RAW)
    assert rig.node.take_lines() == [("info", f"reads cam_high from {RAW}")]


def test_compressed_images_are_asked_for_only_where_nobody_publishes_raw_ones(clock: SteadyClock) -> None:
    rig = Rig(clock)
    rig.node.present = {f"{RAW}/compressed": ["camera"], RAW: ["camera"]}
    rig.reader.watch()
    assert set(rig.node.subscribers) == {RECT, RAW}
    rig.node.present = {f"{RAW}/compressed": ["camera"]}
    rig.reader.watch()
    rig.reader.watch()
    assert set(rig.node.subscribers) == {RECT, RAW, f"{RAW}/compressed"}
    assert rig.send(f"{RAW}/compressed")
    rig.node.present = {f"{RECT}/compressed": ["camera"]}
    rig.reader.watch()  # The topic in use is not silent.
    assert f"{RECT}/compressed" not in rig.node.subscribers


def test_a_topic_of_compressed_images_may_be_named_alone(clock: SteadyClock) -> None:
    rig = Rig(clock, "{camera}/compressed")
    assert set(rig.node.subscribers) == {"cam_high/compressed"}
    assert rig.reader.topic_names == "cam_high/compressed"
    with pytest.raises(ValueError, match=r"robot.image_topic must name a topic of raw images for a simulator, got"):
        topics.simulated_images("cam_high", RobotConfig(image_topic="{camera}/compressed"))


def compressed(format: str, **options: int) -> CompressedImage:
    PillowImage.fromarray(PIXELS).save(buffer := io.BytesIO(), format, **options)
    return CompressedImage(format=f"rgb8; {format} compressed bgr8", data=array.array("B", buffer.getvalue()))


def test_a_png_gives_the_pixels_of_the_raw_image() -> None:
    raw = image_from_message(image_to_message(PIXELS, stamp=1, frame_id="cam_high"))
    decoded = image_from_message(compressed("png"))
    np.testing.assert_array_equal(decoded, raw)
    assert decoded.dtype == np.uint8


def test_a_jpeg_gives_nearly_those_pixels() -> None:
    smooth = np.broadcast_to(np.arange(16, dtype=np.uint8)[:, None] * 10, (12, 16, 3))
    PillowImage.fromarray(np.ascontiguousarray(smooth)).save(buffer := io.BytesIO(), "jpeg", quality=98)
    decoded = image_from_message(CompressedImage(format="jpeg", data=array.array("B", buffer.getvalue())))
    assert np.abs(decoded.astype(int) - smooth).max() <= 4


def test_a_damaged_file_is_refused() -> None:
    message = compressed("png")
    message.data = message.data[:60]
    with pytest.raises(ValueError, match=r"compressed image must be a whole JPEG or PNG file, got 60 bytes"):
        image_from_message(message)
