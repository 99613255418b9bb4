"""recorder_node records the serialized messages of the rollout topics into rosbag2 folders in run_dir/exp_name/bag.

In real time it also records each command to the robot. Camera topics are not recorded, because `action_chunk` and
`transition` hold the images that the model got.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import NoReturn

from rclpy.node import Node

from chunk_ppo_ros.core.files.disk_errors import usable
from chunk_ppo_ros.core.units import MEBIBYTE
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, load_types
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.recorder.command_topics import command_topics
from chunk_ppo_ros.nodes.wire import parameters, topics

CLOSE_TIMEOUT = 3.0  # s, for writing the index of the last part. It is less than the supervisor waits.


class RecorderNode(Node):
    """Records topics as the module's docstring says."""

    def __init__(self) -> None:
        super().__init__("recorder_node")
        config = parameters.declare(self, "run", "env", "robot")
        run, recorded = config.run, (*topics.RECORDED, *command_topics(config))
        self._conditions = Conditions(self)
        folder = run.folder / "bag"
        types = load_types(topic.type_name for topic in recorded)
        with usable(folder, "a folder that can be read and written"):
            self._recorder: BagRecorder | None = BagRecorder(
                folder,
                types,
                part_bytes=run.bag_part_size * MEBIBYTE,
                total_bytes=run.bag_total_size * MEBIBYTE,
            )
        for topic in recorded:
            record = functools.partial(self._record, self.resolve_topic_name(topic.name), topic.type_name)
            topic.create_raw_subscription(self, record)
        self.get_logger().info(f"records {len(recorded)} topics to {folder.resolve()}")

    def _record(self, topic: str, type_name: str, data: bytes) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.write(topic, type_name, time.time_ns(), data)
        except OSError as error:
            self._recorder = None
            self._conditions.raise_condition(condition_table.RECORDING_ENDED, reason=str(error))

    def destroy_node(self) -> None:
        """Ends the last part of the bag."""
        if self._recorder is not None:
            self._recorder.close()
        super().destroy_node()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(RecorderNode, args, close_timeout=CLOSE_TIMEOUT)


if __name__ == "__main__":
    main()
