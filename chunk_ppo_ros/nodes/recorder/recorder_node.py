"""recorder_node records the serialized messages of a run into rosbag2 folders in run_dir/exp_name/bag.

A bag holds what is needed to replay the run: docs/bags.md lists it. Cameras are recorded as JPEG, and only where
`run.bag_cameras` asks for it, because `action_chunk` and `transition` hold the images that the model got.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from typing import NoReturn

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosbags.interfaces import Qos

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.core.units import MEBIBYTE
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, load_types
from chunk_ppo_ros.data.bags.salvaging.salvage import cut_off_parts, salvage_part
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.status.diagnostics import PeriodicDiagnostics, Value
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.recorder.camera_recording import TYPE_NAME, CameraRecording
from chunk_ppo_ros.nodes.recorder.command_topics import command_topics
from chunk_ppo_ros.nodes.recorder.topic_recording import TopicRecording
from chunk_ppo_ros.nodes.wire import parameters, topics

CLOSE_TIMEOUT = 3.0  # s, for writing the index of the last part. It is less than the supervisor waits.
PERIOD = 1.0
"""The time after which what was recorded is written to the file, s. So much is lost where the process is killed."""
PARAMETERS = "params.yaml"
"""The file with the settings of a run, in its folder and in that of its recording."""


class RecorderNode(Node):
    """Records topics as the module's docstring says."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        config = parameters.declare(self, "model", "run", "env", "robot", "operate")
        self._conditions = Conditions(self)
        self._num_messages, self._num_bytes = 0, 0
        self._time = RosTime(self, config)
        PeriodicDiagnostics(self, level=lambda: self._conditions.level, tell=self._tell, now=self._time.now)
        self._folder = config.run.folder / "bag"
        self._lock = threading.Lock()  # the cameras are compressed in a thread of their own
        recorded = (*topics.RECORDED, topics.joy_buttons(config.operate.joy_topic), *command_topics(config))
        self._recorder: BagRecorder | None = self._begin(config, recorded)
        self._topics = [TopicRecording(self, topic, self._record, self._note_lost) for topic in recorded]
        self._cameras = CameraRecording(self, config, self._record) if config.run.bag_cameras else None
        self.create_timer(PERIOD, self._on_period, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"records {len(recorded)} topics to {self._folder.resolve()}")

    def _begin(self, config: TrainConfig, recorded: Sequence[topics.Topic]) -> BagRecorder:
        """Returns the recorder. The parts that an earlier process did not end are salvaged meanwhile in a thread."""
        run = config.run
        names = {topic.type_name for topic in recorded} | ({TYPE_NAME} if run.bag_cameras else set())
        types = load_types(names)
        with usable(self._folder, "a folder that can be read and written"):
            recorder = BagRecorder(
                self._folder,
                types,
                part_bytes=run.bag_part_size * MEBIBYTE,
                total_bytes=run.bag_total_size * MEBIBYTE,
                offered=self._offered,
            )
            if (run.folder / PARAMETERS).is_file():
                self._folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(run.folder / PARAMETERS, self._folder / PARAMETERS)
            cut_off = cut_off_parts(self._folder)
        threading.Thread(target=self._salvage, args=(cut_off,), name="salvage", daemon=True).start()
        return recorder

    def _salvage(self, parts: Sequence[object]) -> None:
        for part in parts:
            try:
                self.get_logger().info(str(salvage_part(part)))  # type: ignore[arg-type]
            except (OSError, EpisodesError) as error:
                self.get_logger().error(f"a part of the recording stays cut off: {error}")

    def _offered(self, name: str) -> list[Qos]:
        found = next((one for one in self._topics if one.name == name), None)
        if found is not None:
            return found.offered()
        return [] if self._cameras is None else self._cameras.offered(name)

    def _record(self, topic: str, type_name: str, received: int, data: bytes) -> None:
        with self._lock:
            self._write(topic, type_name, received, data)

    def _write(self, topic: str, type_name: str, received: int, data: bytes) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.write(topic, type_name, received, data)
            self._num_messages += 1
            self._num_bytes += len(data)
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        self._recorder = None
        self._conditions.raise_condition(condition_table.RECORDING_ENDED, reason=str(error))

    def _note_lost(self, topic: str, total: int) -> None:
        self._conditions.raise_condition(condition_table.RECORDING_GAPS, topic=topic, lost=count_of(total, "message"))

    def _on_period(self) -> None:
        for one in self._topics:
            one.adapt()
        if self._cameras is not None:
            self._cameras.look()
        with self._lock:
            try:
                if self._recorder is not None:
                    self._recorder.flush()
            except OSError as error:
                self._end(error)

    def _tell(self) -> tuple[str, dict[str, Value]]:
        """Returns what the diagnostics tell."""
        has_ended = self._recorder is None
        values: dict[str, Value] = {
            "waits for": "" if has_ended or self._num_messages else "the first message",
            "num_messages": self._num_messages,
            "num_bytes": self._num_bytes,
        }
        doing = "has ended" if has_ended else "records"
        return "; ".join([doing, *self._conditions.texts]), values

    def destroy_node(self) -> None:
        """Ends the last part of the bag."""
        if self._cameras is not None:
            self._cameras.close()
        with self._lock:
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                recorder.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(RecorderNode, args, close_timeout=CLOSE_TIMEOUT)


if __name__ == "__main__":
    main()
