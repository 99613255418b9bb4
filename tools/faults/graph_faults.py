"""Sends trajectories and episode events that are wrong."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import numpy as np
from chunk_ppo_msgs.msg import EpisodeEvent
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from faults.graph_rig import Rig

TOO_MANY = 30_000
"""The number of points of a trajectory that is too large to be read."""
LATE = 4.0
"""The age of an observation from before policy_node was stopped, s."""
CLOCK_STEP = 3.0
"""The step of the clock of policy_node, s."""
CENTURY = 2.0e8
"""How far a forged stamp is ahead, s."""


def inject_chunks(rig: Rig, fault: str) -> list[int]:
    """Sends one or two chunks with a fault, and returns their stamps, ns."""
    motion = rig.motion(8, 0.01)
    offsets = {"forged_stamp": CENTURY, "clock_ahead": CLOCK_STEP, "clock_behind": -CLOCK_STEP}
    halves = rig.chunk(
        motion,
        run="another" if fault == "forged_run" else "faults",
        offset=offsets.get(fault, 0.0),
        age=LATE if fault == "stopped" else 0.0,
    )
    if fault == "killed":
        del halves["right"]
    elif fault == "duplicated":
        rig.send(halves)
    elif fault == "reordered":
        later = rig.chunk(motion)
        rig.send({"left": later["left"]})
        rig.send({"left": halves["left"]})
        return [rig.send({"right": later["right"]}), rig.send({"right": halves["right"]})]
    else:
        _spoil(halves["left"], fault)
    return [rig.send(halves)]


def _spoil(half: JointTrajectory, fault: str) -> None:
    if fault == "nan":
        half.points[3].positions[2] = math.nan
    elif fault == "renamed":
        half.joint_names = [f"old_{name}" for name in half.joint_names]
    elif fault == "oversized":
        half.points = [half.points[0]] * TOO_MANY


def inject_event(rig: Rig, fault: str) -> None:
    """Publishes episode events with a fault."""
    if fault == "duplicated":
        message = rig.tell(EpisodeEvent.PAUSED)
        rig.publish_event(message)
    elif fault == "reordered":
        rig.tell(EpisodeEvent.RESUMED)
        rig.tell(EpisodeEvent.PAUSED)
    else:
        message = EpisodeEvent(run_id="another", event=EpisodeEvent.STARTED)
        message.format.version = np.iinfo(np.uint8).max
        rig.publish_event(message)


class Intruder(Node):
    """A second node that publishes trajectories.

    Args:
        name: its name, which may be that of the rig.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, enable_rosout=False)
        self._publishers_of = {side: topic.create_publisher(self) for side, topic in topics.CHUNK_TRAJECTORIES.items()}

    def send(self, halves: dict[str, JointTrajectory]) -> list[int]:
        """Publishes the halves of a chunk, and returns its stamp, ns."""
        for side, message in halves.items():
            self._publishers_of[side].publish(message)
        return [time_to_ns(halves["left"].header.stamp)]


@contextlib.contextmanager
def intruder(name: str = "intruder") -> Iterator[Intruder]:
    """Lets a second node publish trajectories."""
    node = Intruder(name)
    try:
        yield node
    finally:
        node.destroy_node()
