"""classifier_node is a reward source that looks at the cameras after each chunk and says whether the task is solved.

The name of the source is 'classifier'. Its term `solved_probability` is the probability of success. If it is at least
the classifier's threshold, the node reports success, which ends the episode if `reward.classifier_ends` is set.
"""

from __future__ import annotations

import collections
import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from chunk_ppo_ros.config import CLASSIFIER_SOURCE
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.store import Key
from chunk_ppo_ros.imitation.success_classifier import ClassifierError, SuccessClassifier
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.reports.report_outbox import ReportOutbox
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from chunk_ppo_ros.nodes.common.sensors.camera_reader import CameraReader
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import SensorAge, age_of, age_values
from chunk_ppo_ros.nodes.common.status.diagnostics import PeriodicDiagnostics, Value
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.wire import parameters, qos, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.reports import source_report_to_message
from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
from chunk_ppo_ros.rewards.chunk_join import SourceReport
from chunk_ppo_ros.robot import aloha

TERM = "solved_probability"
"""The name of the term of the reward source `CLASSIFIER_SOURCE`."""
WATCH_PERIOD = 0.5  # s, steady clock
NUM_REMEMBERED = 4096
"""The number of results that are known when they come again."""


class ClassifierNode(Node):
    """Judges a chunk when each camera has sent an image from after its end.

    A human's segments follow each other without a pause, so several of them may wait for the cameras.
    """

    _made = False  # ROS also destroys a node whose constructor failed.

    def __init__(self, *, context: Context | None = None) -> None:
        super().__init__("classifier_node", context=context)
        config = parameters.declare(self, "model", "env", "robot", "reward", "run")
        self._ends, self._timeout = config.reward.classifier_ends, config.env.sensor_timeout
        self._classifier = SuccessClassifier.load(Path(config.reward.classifier))
        cameras = tuple(aloha.ROBOT_CAMERAS[key] for key in config.model.cameras)
        if not set(self._classifier.cameras) <= set(cameras):
            raise ClassifierError(
                f"the classifier {config.reward.classifier} must look at cameras of {', '.join(cameras)}, got "
                f"{', '.join(self._classifier.cameras)}; train it with this model.cameras"
            )
        blank = np.zeros((config.model.image_size, config.model.image_size, 3), np.uint8)
        self._classifier.probability(dict.fromkeys(self._classifier.cameras, blank))  # This compiles it.
        self._images: dict[str, tuple[int, np.ndarray]] = {}  # the stamp in ns and the newest image
        # The results that are not judged yet, oldest first, each with the steady time in s since which it waits.
        self._results: collections.deque[tuple[ExecutionResult, float]] = collections.deque()
        self._conditions = Conditions(self)
        self._newest = math.nan  # the probability of the newest judgment
        self._time = RosTime(self, config)
        PeriodicDiagnostics(self, level=lambda: self._conditions.level, tell=self._tell, now=self._time.now)
        self._known: collections.deque[int] = collections.deque(maxlen=NUM_REMEMBERED)  # stamps of the newest results
        folder = config.run.folder / "store" / "classifier"
        self._reports = ReportOutbox(self, topics.TASK_REWARD, folder, self._conditions, on_open=self._on_open)
        self._reports.open()
        self._made = True
        only_from_one = self._reports.guard.only_from_one
        subscribe(self, self._conditions, topics.EPISODE_EVENT, self._on_event, note_sender=only_from_one)
        subscribe(self, self._conditions, topics.EXECUTION_RESULT, self._on_result, note_sender=only_from_one)
        profile = qos.SENSOR_LOCKSTEP if config.env.is_lockstep else qos.SENSOR
        self._readers = {
            camera: CameraReader(
                self,
                camera,
                config.robot,
                profile=profile,
                timeout=self._timeout,
                on_image=functools.partial(self._on_image, camera),
            )
            for camera in self._classifier.cameras
        }
        self.create_timer(WATCH_PERIOD, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f"judges chunks by {config.reward.classifier}, whose accuracy was {self._classifier.held_out_accuracy:.1%} "
            f"at the threshold {self._classifier.threshold:.2f}"
        )

    def destroy_node(self) -> None:
        """Stores what waits, and destroys the node."""
        if self._made:
            self._made = False
            self._reports.close()
        super().destroy_node()

    def _on_open(self, found: frozenset[Key]) -> None:
        self._known.extend(sorted(key.number for key in found))

    def _on_event(self, message: EpisodeEvent) -> None:
        if message.event == EpisodeEvent.RESET:
            self._reports.note_run(message.run_id)
            self._reports.note_reset(time_to_ns(message.header.stamp))

    def _on_result(self, message: ExecutionResult) -> None:
        if message.num_steps == 0:
            return  # Nothing has moved, so no reward source must report.
        self._time.note(time_to_ns(message.end))
        stamp = time_to_ns(message.header.stamp)
        if stamp in self._known:  # robot_node repeats a result until the outcome of its chunk is known.
            self._reports.send_again(stamp)
            return
        self._known.append(stamp)
        self._results.append((message, time.monotonic()))
        self._judge()

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        try:
            image = image_from_message(message)
        except ValueError as error:
            self._conditions.raise_condition(sensor_conditions.IMAGE_UNREADABLE, camera=camera, reason=str(error))
            return
        self._conditions.clear_condition(sensor_conditions.IMAGE_UNREADABLE, camera=camera)
        stamp = time_to_ns(message.header.stamp)
        self._time.note(stamp)
        self._images[camera] = (stamp, image)
        self._judge()

    def _judge(self) -> None:
        """Publishes the judgment, once each camera has sent an image from after the end of the chunk."""
        while self._results and not self._missing(self._results[0][0]):
            result, _ = self._results.popleft()
            probability = self._classifier.probability({camera: image for camera, (_, image) in self._images.items()})
            self._newest = probability
            success = probability >= self._classifier.threshold
            report = SourceReport(
                CLASSIFIER_SOURCE,
                (RewardTerm(TERM, probability, weight=1.0),),
                terminated=success and self._ends,
                success=success,
            )
            self._reports.put(source_report_to_message(report, result))

    def _tell(self) -> tuple[str, dict[str, Value]]:
        """Returns what the diagnostics tell."""
        waits = f"images from after the end of {count_of(len(self._results), 'chunk')}" if self._results else ""
        values: dict[str, Value] = {
            "waits for": waits,
            "queue": len(self._results),
            TERM: self._newest,
            "threshold": float(self._classifier.threshold),
            **age_values(self._ages()),
        }
        doing = f"waits for {waits}" if waits else "has judged all chunks"
        return "; ".join([doing, *self._conditions.texts]), values

    def _ages(self) -> list[SensorAge]:
        """Returns how old the newest image of each camera is."""
        now = self._time.now()
        return [
            age_of(camera, self._images[camera][0] if camera in self._images else None, now=now, topic=each.topic_names)
            for camera, each in self._readers.items()
        ]

    def _missing(self, result: ExecutionResult) -> list[str]:
        end = time_to_ns(result.end)
        return [camera for camera in self._classifier.cameras if self._images.get(camera, (-1, None))[0] < end]

    def _watch(self) -> None:
        for reader in self._readers.values():
            reader.watch()
        overdue = self._results and time.monotonic() - self._results[0][1] > self._timeout
        missing = self._missing(self._results[0][0]) if overdue else []
        for camera in self._classifier.cameras:
            if camera in missing:
                names = self._readers[camera].topic_names
                self._conditions.raise_condition(
                    sensor_conditions.CAMERA_LATE, camera=camera, timeout=self._timeout, topics=names
                )
            else:
                self._conditions.clear_condition(sensor_conditions.CAMERA_LATE, camera=camera)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(ClassifierNode, args)


if __name__ == "__main__":
    main()
