"""Switches the torque of both arms off, from the sleep pose alone, and only when it is asked for twice."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, SwitchesTorque
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

CONFIRM_TIME = 10.0
"""The seconds within which the second call must come."""
WARNING = (
    "the torque is still on. Without it both arms sink to where something holds them, and the grippers let go: support "
    f"the arms, see that nobody has a hand below them, and call torque_off again within {CONFIRM_TIME:g} s"
)


class TorqueOff:
    """Serves `torque_off`. The first call says what will happen, and the second one does it.

    Args:
        node: the node, whose logger is used.
        calls: serves, and publishes what was asked and answered.
        player: the chunk player.
        backend: the back end.
        sleep_pose: returns where the arms are put down, float [14].
    """

    def __init__(
        self,
        node: Node,
        calls: OperatorCalls,
        player: ChunkPlayer,
        backend: RobotBackend,
        *,
        sleep_pose: Callable[[], np.ndarray],
    ) -> None:
        self._logger = node.get_logger()
        self._player = player
        self._backend = backend
        self._sleep_pose = sleep_pose
        self._asked_at = -CONFIRM_TIME  # steady s
        group = ReentrantCallbackGroup()  # The answer waits for the drivers, which other callbacks must not.
        calls.serve(services.TORQUE_OFF, self._on_call, group=group)

    async def _on_call(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        now = time.monotonic()
        backend = self._backend
        if not isinstance(backend, SwitchesTorque):
            response.message = "this robot.backend cannot switch the torque off; do it by the drivers of the arms"
            return response
        if reason := self._player.readiness.not_at(self._sleep_pose(), now=now):
            self._asked_at = -CONFIRM_TIME
            response.message = f"the torque stays on: {reason}; call go_to_sleep_pose first"
            return response
        if now - self._asked_at > CONFIRM_TIME:
            self._asked_at = now
            response.message = WARNING
            return response
        self._asked_at = -CONFIRM_TIME
        self._logger.warning("the torque of both arms is switched off, as was asked for twice")
        problem = await backend.switch_torque_off()
        response.success, response.message = not problem, problem or "the torque of both arms is off"
        return response
