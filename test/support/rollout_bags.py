"""Writes recordings message by message, as recorder_node writes them."""

from __future__ import annotations

import array
import io
import pathlib

import numpy as np
from chunk_ppo_msgs import msg
from PIL import Image
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, JointState

from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, load_types
from chunk_ppo_ros.nodes.wire.arrays import header_of, time_from_ns
from chunk_ppo_ros.robot import aloha
from support.recorded_bytes import recorded_bytes

START = 1_700_000_000_000_000_000  # ns of ROS time, such as a wall clock shows
MS = 1_000_000
H = 4
TYPES = {
    "action_chunk": "chunk_ppo_msgs/msg/ActionChunk",
    "execution_result": "chunk_ppo_msgs/msg/ExecutionResult",
    "chunk_outcome": "chunk_ppo_msgs/msg/ChunkOutcome",
    "episode_event": "chunk_ppo_msgs/msg/EpisodeEvent",
    "follower_left/joint_states": "sensor_msgs/msg/JointState",
    "follower_right/joint_states": "sensor_msgs/msg/JointState",
    "image": "sensor_msgs/msg/CompressedImage",
    "clock": "rosgraph_msgs/msg/Clock",
}


class Recording:
    """Writes a folder of parts with the messages that the nodes would have published."""

    def __init__(
        self, folder: pathlib.Path, *, namespace: str = "", sender: str = "robot_0", part_bytes: int = 1 << 30
    ) -> None:
        self._types = load_types(TYPES.values())
        self._recorder = BagRecorder(folder, self._types, part_bytes=part_bytes, total_bytes=1 << 40)
        self.namespace = namespace
        self.sender = sender
        self._time = 0

    def _write(self, topic: str, message: object, kind: str = "") -> None:
        self._time += 1
        name = f"{self.namespace}/{topic}"
        data = recorded_bytes(message, TYPES[kind or topic], self._types)
        self._recorder.write(name, TYPES[kind or topic], self._time, data)

    def joints(
        self, first_ms: int, last_ms: int, *, every_ms: int = 10, offset: float = 0.0, motor: float = 0.396059
    ) -> None:
        """Writes joint states.

        The left waist is at its time in s since START plus the offset, and the right one at minus this position. The
        fingers are half open (0.03822 m), and so are their motors by the linkage.
        """
        for time in range(first_ms, last_ms + 1, every_ms):
            for side, sign in (("left", 1.0), ("right", -1.0)):
                position = array.array("d", [sign * (time / 1000 + offset), *[0.0] * 5, motor, 0.03822, -0.03822])
                names = [*aloha.ARM_JOINTS, aloha.GRIPPER, aloha.LEFT_FINGER, aloha.RIGHT_FINGER]
                message = JointState(header=header_of(START + time * MS), name=names, position=position)
                self._write(f"follower_{side}/joint_states", message)

    def chunk(
        self,
        number: int,
        at_ms: int,
        *,
        episode: int = 0,
        num_steps: int = H,
        end_ms: int = 0,
        masked: bool = False,
        height: int = 2,
        changed: dict[str, int] | None = None,
    ) -> None:
        """Writes a chunk whose actions are 100 * number + step in all dimensions, and how it was executed."""
        actions = np.repeat(100.0 * number + np.arange(H), 14)
        header = header_of(START + at_ms * MS)
        chunk = msg.ActionChunk(header=header, run_id="run", sequence_number=number, episode=episode, horizon=H)
        chunk.sender, chunk.action_dim, chunk.actions = self.sender, 14, array.array("f", actions)
        chunk.observation.prompt = "reach"
        seen = chunk.observation
        seen.num_cameras, seen.height, seen.width, seen.image_mask = 3, height, 2, [True, not masked, True]
        # Camera c of chunk n shows the gray 10 n + c. A masked camera is black.
        grays = np.repeat([10 * number, 0 if masked else 10 * number + 1, 10 * number + 2], 12).astype(np.uint8)
        seen.images = array.array("B", grays.tobytes())
        for field, value in (changed or {}).items():
            setattr(chunk, field, value)
        self._write("action_chunk", chunk)
        end = time_from_ns(START + (end_ms or at_ms + 20 * num_steps) * MS)
        result = msg.ExecutionResult(header=header, sender=self.sender, num_steps=num_steps, end=end)
        self._write("execution_result", result)

    def outcome(self, number: int, at_ms: int, *, episode: int = 0, success: bool = False, reward: float = 0.0) -> None:
        """Writes how a chunk ended."""
        header = header_of(START + at_ms * MS)
        outcome = msg.ChunkOutcome(header=header, run_id="run", sequence_number=number, episode=episode)
        outcome.sender, outcome.success, outcome.reward = self.sender, success, reward
        self._write("chunk_outcome", outcome)

    def ended(self, at_ms: int, *, episode: int = 0, outcome: int = msg.EpisodeEvent.SUCCESS) -> None:
        """Writes how an episode ended."""
        event = msg.EpisodeEvent(header=header_of(START + at_ms * MS), run_id="run", sender=self.sender)
        event.episode, event.event, event.outcome = episode, msg.EpisodeEvent.ENDED, outcome
        self._write("episode_event", event)

    def clock(self, at_ms: int) -> None:
        """Writes the time, as a simulator in lockstep does."""
        self._write("clock", Clock(clock=time_from_ns(START + at_ms * MS)))

    def image(self, camera: str, at_ms: int, gray: int) -> None:
        """Writes an image of a camera of 6x4 pixels."""
        Image.fromarray(np.full((4, 6, 3), gray, np.uint8)).save(content := io.BytesIO(), "PNG")
        message = CompressedImage(header=header_of(START + at_ms * MS), format="rgb8; png compressed bgr8")
        message.data = array.array("B", content.getvalue())
        self._write(f"{camera}/camera/color/image_rect_raw/compressed", message, "image")

    def close(self) -> None:
        self._recorder.close()
