"""Writes bags: demonstrations by leader arms (MCAP, SQLite, and one without its end), and a recording of our own."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from chunk_ppo_ros.robot import aloha
from fuzz_recordings.motion import CAMERAS, NUM_STEPS, PROMPT, motion, picture

START = 1_700_000_000_000_000_000  # ns of ROS time
_PERIOD = 20_000_000  # ns, the control period
_MESSAGES = pathlib.Path(__file__).parents[2] / "msg"
_JOINTS = [*aloha.ARM_JOINTS, aloha.GRIPPER, aloha.LEFT_FINGER, aloha.RIGHT_FINGER]


def _load_types() -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted(_MESSAGES.glob("*.msg")):
        types.register(get_types_from_msg(path.read_text(encoding="utf-8"), f"chunk_ppo_msgs/msg/{path.stem}"))
    return types


class _Bag:
    """Writes messages into a bag, each received 1 ms after its stamp."""

    def __init__(self, folder: pathlib.Path, storage: StoragePlugin) -> None:
        self.types = _load_types()
        self._writer = Writer(folder, version=Writer.VERSION_LATEST, storage_plugin=storage)
        self._writer.open()
        self._connections: dict[str, Any] = {}

    def write(self, topic: str, type_name: str, stamp: int, **fields: Any) -> None:
        """Writes a message, whose fields that are not given are 0 or empty."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, type_name, typestore=self.types)
        message = self.blank(type_name, header=self.header(stamp), **fields)
        data = self.types.serialize_cdr(message, type_name)
        self._writer.write(self._connections[topic], stamp + 1_000_000, data)

    def close(self, **custom: str) -> None:
        """Ends the bag, with custom data."""
        for key, value in custom.items():
            self._writer.set_custom_data(key, value)
        self._writer.close()

    def header(self, stamp: int) -> Any:
        """Returns a header with a stamp in ns."""
        return self.types.types["std_msgs/msg/Header"](self.time(stamp), "")

    def time(self, stamp: int) -> Any:
        """Returns a stamp in ns as a message."""
        return self.types.types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))

    def blank(self, type_name: str, **fields: Any) -> Any:
        """Returns a message whose fields that are not given are 0 or empty."""
        _, described = self.types.fielddefs[type_name]
        return self.types.types[type_name](**{field: self._zero(kind) for field, kind in described} | fields)

    def _zero(self, kind: Any) -> Any:
        node, description = kind
        if node is Nodetype.NAME:
            return self.blank(description)
        if node is Nodetype.BASE:
            return "" if description[0] == "string" else 0
        ((element, inner), length) = description
        if element is Nodetype.BASE and inner[0] != "string":
            return np.zeros(length if node is Nodetype.ARRAY else 0, inner[0])
        return []

    def joints(self, number: int, part: str, step: float) -> None:
        """Writes the joint states of both arms at a step, with the leaders 0.01 rad further."""
        for side, first in (("left", 0), ("right", 7)):
            arm = np.array([np.interp(step, np.arange(NUM_STEPS), column) for column in motion(number).T])[first:][:6]
            position = np.array(
                [*(arm + 0.01 * (part == "leader")), 0.39606 if part == "follower" else -0.2, 0.0382, -0.0382]
            )
            stamp = START + number * 10**10 + round(step * _PERIOD)
            fields = {"name": _JOINTS, "position": position}
            self.write(f"/{part}_{side}/joint_states", "sensor_msgs/msg/JointState", stamp, **fields)


def _write_teleop(folder: pathlib.Path, storage: StoragePlugin) -> None:
    for number in range(2):
        bag = _Bag(folder / f"take_{number}", storage)
        for step in np.arange(0, NUM_STEPS, 0.5):
            for part in ("follower", "leader"):
                bag.joints(number, part, float(step))
            if step == round(step):
                for camera in CAMERAS:
                    image = picture(number, camera, int(step))
                    bag.write(
                        f"/{camera}/camera/color/image_raw",
                        "sensor_msgs/msg/Image",
                        START + number * 10**10 + int(step) * _PERIOD,
                        height=16,
                        width=16,
                        encoding="rgb8",
                        step=48,
                        data=image.reshape(-1),
                    )
        bag.close(prompt=PROMPT, success="true")


def write_teleop_mcap(folder: pathlib.Path) -> None:
    """Writes two demonstrations as MCAP bags."""
    _write_teleop(folder, StoragePlugin.MCAP)


def write_teleop_sqlite(folder: pathlib.Path) -> None:
    """Writes two demonstrations as SQLite bags."""
    _write_teleop(folder, StoragePlugin.SQLITE3)


def write_teleop_cut_off(folder: pathlib.Path) -> None:
    """Writes two demonstrations, of which the second has neither metadata nor the index at its end."""
    _write_teleop(folder, StoragePlugin.MCAP)
    (folder / "take_1/metadata.yaml").unlink()
    for file in (folder / "take_1").glob("*.mcap"):
        file.write_bytes(file.read_bytes()[:-600])


def write_rollout(folder: pathlib.Path) -> None:
    """Writes a recording of recorder_node: two episodes of one chunk each, in one part."""
    bag = _Bag(folder / "part_0000", StoragePlugin.MCAP)
    for number in range(2):
        for step in np.arange(-1, NUM_STEPS + 1, 0.5):
            bag.joints(number, "follower", float(step))
        _write_chunk(bag, number)
    bag.close()


def _write_chunk(bag: _Bag, number: int) -> None:
    """Writes an episode of one chunk, which was executed whole."""
    stamp = START + number * 10**10
    pictures = np.stack([picture(number, camera, 0) for camera in CAMERAS])
    observation = bag.blank(
        "chunk_ppo_msgs/msg/ModelObservation",
        num_cameras=len(CAMERAS),
        height=16,
        width=16,
        images=pictures.reshape(-1),
        image_mask=np.ones(len(CAMERAS), bool),
        state=motion(number)[0],
        prompt=PROMPT,
    )
    version = bag.types.fielddefs["chunk_ppo_msgs/msg/MessageFormat"][0][0][2]
    same = {"run_id": "fuzz", "sender": "robot"}
    chunk = {**same, "episode": number, "sequence_number": number}
    bag.write(
        "/action_chunk",
        "chunk_ppo_msgs/msg/ActionChunk",
        stamp,
        **chunk,
        format=bag.blank("chunk_ppo_msgs/msg/MessageFormat", version=version),
        horizon=NUM_STEPS,
        action_dim=14,
        actions=(motion(number) + np.float32(0.01)).reshape(-1),
        observation=observation,
    )
    end = bag.time(stamp + NUM_STEPS * _PERIOD)
    result = {"num_steps": NUM_STEPS, "end": end}
    bag.write("/execution_result", "chunk_ppo_msgs/msg/ExecutionResult", stamp, **same, **result)
    bag.write("/chunk_outcome", "chunk_ppo_msgs/msg/ChunkOutcome", stamp, **chunk, success=True)
