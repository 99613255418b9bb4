"""Hands the trajectories of the policy to the chunk player, after a look at their size."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.serialization import deserialize_message
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.core.chunk_origin import ChunkOrigin
from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.subscriptions import NoteSender
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.nodes.wire.sensors.joints import arm_trajectory_from_message
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

BYTES_OF_POINT = 256
"""More bytes than a serialized point of seven positions has."""
BYTES_OF_REST = 4096
"""More bytes than the rest of a serialized trajectory has."""


class TrajectoryIntake:
    """Subscribes to `robot/<side>/joint_trajectory`.

    A message of 30,000 points takes half a second to read, in which no command is sent. Therefore messages are taken as
    bytes, and one that is too large for a chunk is refused unread.

    Args:
        node: the node that subscribes.
        player: the chunk player.
        horizon: the largest number H of points in a trajectory.
        look: looks at who publishes trajectories, before one is taken.
        note_sender: notes who sends the trajectories.
        max_observation_age: the age of the observation of a chunk, s, beyond which the chunk is refused.
        lockstep: whether sim_node alone makes the time, so that no two clocks can differ.
        run_id: returns the run that the robot serves, or an empty string while it is not known.
        newest_start: returns the stamp of the newest event that let the policy act, ns; 0 before any.
        on_trajectory: is called after each message that the player took or refused.
        on_repeated: is called with the stamp of a chunk that has ended before its trajectory came, ns.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        *,
        horizon: int,
        look: Callable[[], object],
        note_sender: NoteSender,
        max_observation_age: float,
        lockstep: bool,
        run_id: Callable[[], str],
        newest_start: Callable[[], int],
        on_trajectory: Callable[[], None],
        on_repeated: Callable[[int], None],
    ) -> None:
        self._node = node
        self._player = player
        self._horizon = horizon
        self._look = look
        self._max_observation_age = max_observation_age
        self._lockstep = lockstep
        self._run_id = run_id
        self._newest_start = newest_start
        self._on_trajectory = on_trajectory
        self._on_repeated = on_repeated
        for side, topic in topics.CHUNK_TRAJECTORIES.items():
            take = functools.partial(self._on_bytes, side)
            topic.create_raw_subscription(node, note_sender(topic.name, take))

    def _on_bytes(self, side: str, data: bytes) -> None:
        self._look()
        if self._player.has_ended(stamp := stamp_of(data)):
            self._on_repeated(stamp)
            return
        largest = BYTES_OF_REST + self._horizon * BYTES_OF_POINT
        if len(data) > largest:
            reason = f"a message must have at most {largest} bytes for {self._horizon} points, got {len(data)}"
            self._player.refuse(stamp, f"{side} arm: {reason}")
        else:
            self._take(side, deserialize_message(data, JointTrajectory))
        self._on_trajectory()

    def _take(self, side: str, message: JointTrajectory) -> None:
        stamp = time_to_ns(message.header.stamp)
        now = self._node.get_clock().now().nanoseconds
        try:
            self._check_origin(ChunkOrigin.parse(message.header.frame_id), now)
            if len(message.points) > self._horizon:
                raise ValueError(
                    f"a chunk must have at most {self._horizon} points (model.action_horizon), got "
                    f"{len(message.points)}"
                )
            trajectory = arm_trajectory_from_message(message)
        except ValueError as error:
            self._player.refuse(stamp, f"{side} arm: {error}")
            return
        self._player.receive(side, trajectory, age=(now - stamp) / NANOSECONDS, now=time.monotonic())

    def _check_origin(self, origin: ChunkOrigin, now: int) -> None:
        """Refuses a chunk of another run, and one that was made from what the robot saw too long ago, or not yet.

        Raises:
            ValueError: where the chunk must not be executed.
        """
        run_id = self._run_id()
        if run_id and origin.run_id != run_id:
            raise ValueError(f"a chunk must be of the run {run_id}, got {origin.run_id}; stop the other policy")
        age = (now - origin.observation_stamp) / NANOSECONDS
        if age > self._max_observation_age:
            raise ValueError(
                f"the observation of a chunk must not be older than {self._max_observation_age} s "
                f"(robot.max_observation_age), got {age:.2f} s; see whether policy_node is too slow or was stopped"
            )
        if -age > self._max_observation_age and self._lockstep:
            raise ValueError(
                f"the observation of a chunk must not be {-age:.2f} s ahead of the simulated time; sim_node was "
                "started anew, and policy_node samples another chunk"
            )
        if -age > self._max_observation_age:
            raise ValueError(
                f"the observation of a chunk must not be {-age:.2f} s ahead of this clock; synchronize the clocks of "
                "the machines that drivers, cameras and nodes run on (chrony does)"
            )
        if origin.observation_stamp < (start := self._newest_start()) <= now:
            raise ValueError(
                f"a chunk must be made from what was observed after its episode began or went on, got one from "
                f"{(start - origin.observation_stamp) / NANOSECONDS:.2f} s before; policy_node samples another"
            )
