"""Lets people stop the robot: by an emergency stop that holds until it is cleared, or by releasing a switch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.wire import qos, services, topics
from chunk_ppo_ros.robot.gate.emergency_stop import EmergencyStop

LONGEST_WRITE = 0.5
"""The time for which the end of the node waits for the disk, s."""


def stop_file(config: TrainConfig, namespace: str) -> Path:
    """Returns the file that holds an emergency stop over a restart.

    For a real robot there is one on this machine, for the namespace of the node, whatever the name of the run. It is
    in the folder of ROS, ~/.ros or $ROS_HOME. A simulated robot has one in the folder of its run.

    Args:
        config: the settings of the run.
        namespace: the namespace of robot_node.
    """
    if not config.env.is_real:
        return config.run.folder / "emergency_stop"
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    return home / "chunk_ppo_ros" / f"emergency_stop{namespace.rstrip('/').replace('/', '_')}"


class OperatorStops:
    """Takes the topic and the service `emergency_stop` and the topic `deadman`, and publishes `emergency_stop_state`.

    The service begins and clears an emergency stop. The topic can only begin one, so that a message that is lost or
    late clears nothing.

    Args:
        node: the node that subscribes.
        calls: serves, and publishes what was asked and answered.
        file: the file that holds an emergency stop over a restart.
        deadman_timeout: the time within which the pressed switch must be reported again, s; 0 for no switch.
        on_change: is called after each change, so that the robot stops at once.
        on_clear: is called when an emergency stop has been cleared, before the robot can move again.
    """

    def __init__(
        self,
        node: Node,
        calls: OperatorCalls,
        file: Path,
        *,
        deadman_timeout: float,
        on_change: Callable[[], None],
        on_clear: Callable[[], None],
    ) -> None:
        self._node = node
        self._stop = EmergencyStop(file)
        self._clear = services.EMERGENCY_STOP.command_in(node.get_namespace(), "{data: false}")
        self._deadman_timeout = deadman_timeout
        self._pressed_at: float | None = None  # steady s
        self._out_of_time = ""  # why messages of the switch do not count, or empty
        self._on_change = on_change
        self._on_clear = on_clear
        self._state = topics.EMERGENCY_STOP_STATE.create_publisher(node)
        # ROS hands the message of a best-effort publisher to no reliable subscription, and warns of that by default.
        quiet = SubscriptionEventCallbacks(use_default_callbacks=False)
        for profile in (qos.RELIABLE, qos.RELAXED):
            topics.EMERGENCY_STOP.create_subscription(node, self._on_stop, profile=profile, events=quiet)
        self._calls = calls
        calls.serve(services.EMERGENCY_STOP, self._on_service)
        if deadman_timeout:
            topics.DEADMAN.create_subscription(node, WithOrigin(self._on_deadman))
        self._state.publish(Bool(data=bool(self._stop.reason)))
        if self._stop.reason:
            node.get_logger().error(f"{self.reason}; it was begun before this node started")

    @property
    def reason(self) -> str:
        """The reason why the robot must stand still, and what ends it; empty where it may move."""
        if self._stop.reason:
            return f"emergency stop: {self._stop.reason}; look at the robot, then call {self._clear}"
        if not self._deadman_timeout:
            return ""
        if self._pressed_at is None or time.monotonic() - self._pressed_at > self._deadman_timeout:
            timeout = f"robot.deadman_timeout {self._deadman_timeout} s"
            return f"the switch on the topic deadman is not pressed ({timeout}){self._out_of_time}"
        return ""

    def _on_stop(self, message: Bool) -> None:
        if message.data and not self._stop.reason:
            self._begin("by the topic emergency_stop")
            self._calls.tell("topic emergency_stop", success=True, message=self.reason)

    def _on_service(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            self._begin("by the service emergency_stop")
            response.success, response.message = True, self.reason
            return response
        was_stopped = bool(self._stop.reason)
        try:
            self._stop.clear()
        except OSError as error:
            response.success, response.message = False, f"the emergency stop holds: its file cannot be removed: {error}"
            return response
        if was_stopped:
            self._on_clear()
        self._changed("the emergency stop is cleared")
        response.success, response.message = True, "the emergency stop is cleared"
        return response

    def _begin(self, reason: str) -> None:
        if self._stop.reason:
            return
        self._stop.stop(reason, on_error=self._tell_unwritten)
        self._changed(self.reason)

    def _tell_unwritten(self, error: OSError) -> None:
        """Is called in the thread that writes the file."""
        self._node.get_logger().error(f"the emergency stop holds, but not over a restart of this node: {error}")

    def close(self) -> None:
        """Waits until the file of an emergency stop is written. A disk that hangs does not hold the end of the node."""
        self._stop.wait(LONGEST_WRITE)

    def _changed(self, text: str) -> None:
        self._on_change()  # The robot stops before anything is told.
        self._node.get_logger().warning(text)
        self._state.publish(Bool(data=bool(self._stop.reason)))

    def _on_deadman(self, message: Bool, origin: MessageOrigin) -> None:
        """Counts the switch as pressed from when the message was sent. It may have waited for a process that stood."""
        age = (time.time_ns() - origin.sent) / NANOSECONDS
        if not message.data:
            self._pressed_at, self._out_of_time = None, ""
            self._on_change()
        elif abs(age) <= self._deadman_timeout:
            self._pressed_at, self._out_of_time = time.monotonic() - max(age, 0.0), ""
        else:
            self._out_of_time = (
                f"; a message was sent {abs(age):.1f} s {'ago' if age > 0.0 else 'ahead of this clock'}, see whether "
                "it is late, or the clock of the switch's machine is wrong"
            )
