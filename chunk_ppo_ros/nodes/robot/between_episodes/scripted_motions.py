"""Moves the robot slowly to poses that a service asks for, while no episode runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from chunk_ppo_msgs.msg import ScriptedMotion as MotionMessage
from chunk_ppo_msgs.srv import MoveArms
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.wire import services, topics
from chunk_ppo_ros.nodes.wire.arrays import header_of, to_array
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.player.scripted_motion import MotionEnd, MotionRefused, MotionRequest, ScriptedMotion

ARRIVED = "the robot is there"


class ScriptedMotions:
    """Serves `move_arms`, `go_to_start_pose`, `go_to_sleep_pose` and `stop_scripted_motion`.

    The first three are answered when the motion has ended, and no callback waits for it. The topic `scripted_motion`
    tells each begin and end.

    Args:
        node: the node that owns the publisher.
        calls: serves, and publishes what was asked and answered.
        player: the chunk player.
        speed: the largest speed of a joint, rad/s.
        unready: returns why no scripted motion may begin now although the player would begin one, or an empty string.
        sleep_pose: returns where the arms are put down, float [14].
        run_id: returns the run that the robot serves, or an empty string while it is not known.
        on_begin: is called when a motion has begun.
    """

    def __init__(
        self,
        node: Node,
        calls: OperatorCalls,
        player: ChunkPlayer,
        *,
        speed: float,
        unready: Callable[[], str],
        sleep_pose: Callable[[], np.ndarray],
        run_id: Callable[[], str],
        on_begin: Callable[[], None],
    ) -> None:
        self._node = node
        self._player = player
        self._speed = speed
        self._unready = unready
        self._sleep_pose = sleep_pose
        self._run_id = run_id
        self._on_begin = on_begin
        self._running: tuple[MotionRequest, ScriptedMotion] | None = None
        self._ended: Future[MotionEnd] = Future()
        self._publisher = topics.SCRIPTED_MOTION.create_publisher(node)
        # A service whose callback waits would hold up the others of its group.
        group = ReentrantCallbackGroup()
        calls.serve(services.MOVE_ARMS, self._on_move, group=group)
        calls.serve(services.GO_TO_START_POSE, self._on_start_pose, group=group)
        calls.serve(services.GO_TO_SLEEP_POSE, self._on_sleep_pose, group=group)
        calls.serve(services.STOP_SCRIPTED_MOTION, self._on_stop)

    @property
    def name(self) -> str:
        """What the present motion is for, or an empty string where there is none."""
        return "" if self._running is None else self._running[0].name

    def update(self) -> None:
        """Tells the end of a motion that has ended. It is called after whatever may end one."""
        if self._running is None:
            return
        request, motion = self._running
        if motion.end is None:
            return
        self._running = None
        self._publish(request, motion)
        if motion.end.status is not Status.EXECUTED:
            text = f"the motion '{request.name}' ended as {motion.end.status.name}: {motion.end.message}"
            self._node.get_logger().warning(text)
        self._ended.set_result(motion.end)

    async def _on_move(self, request: MoveArms.Request, response: MoveArms.Response) -> MoveArms.Response:
        values = np.array(request.poses, np.float64)
        shape = (-1, aloha.ACTION_DIM) if len(values) % aloha.ACTION_DIM == 0 else (1, len(values))
        name = request.name or "move_arms"
        return await self._answer(MotionRequest(name, values.reshape(shape), request.speed or self._speed), response)

    async def _on_start_pose(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer(MotionRequest("start pose", aloha.START_POSE[None], self._speed), response)

    async def _on_sleep_pose(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Goes to the start pose first, as ALOHA's own script does. The grippers stay as they are."""
        poses = np.array([aloha.START_POSE, self._sleep_pose()])
        poses[:, aloha.GRIPPER_INDICES] = np.nan
        return await self._answer(MotionRequest("sleep pose", poses, self._speed), response)

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._running is not None
        self._player.end_scripted("it was stopped by the service stop_scripted_motion")
        self.update()
        response.message = "the robot brakes and holds" if response.success else "no scripted motion is under way"
        return response

    async def _answer(self, request: MotionRequest, response: Any) -> Any:
        try:
            self._begin(request)
        except MotionRefused as error:
            response.success, response.message = False, f"{services.MOTION_REFUSED}{error}"
            return response
        end: Any = await self._ended
        response.success = end.status is Status.EXECUTED
        response.message = ARRIVED if response.success else f"ended as {end.status.name}: {end.message}"
        return response

    def _begin(self, request: MotionRequest) -> None:
        self.update()
        if reason := self._unready():
            raise MotionRefused(reason)
        motion = self._player.move_to(request, now=time.monotonic())
        self._running, self._ended = (request, motion), Future()
        self._node.get_logger().info(f"the robot moves: {request.name}, at {request.speed:g} rad/s at most")
        self._publish(request, motion)
        self._on_begin()

    def _publish(self, request: MotionRequest, motion: ScriptedMotion) -> None:
        end = motion.end
        message = MotionMessage(
            header=header_of(self._node.get_clock().now().nanoseconds),
            run_id=self._run_id(),
            sender=DEFAULT_SENDER,
            name=request.name,
            moves=end is None,
            speed=request.speed,
            action_dim=aloha.ACTION_DIM,
            poses=to_array(request.poses, "float64"),
            num_commands=motion.num_commands,
        )
        if end is not None:
            message.status, message.message = int(end.status), end.message
        self._publisher.publish(message)
