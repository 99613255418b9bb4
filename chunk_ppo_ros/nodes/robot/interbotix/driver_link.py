"""The topics and services of one follower's driver."""

from __future__ import annotations

import array
import collections
import itertools
import time
from typing import Any

from rclpy.node import Node

from chunk_ppo_ros.data import topic_names
from chunk_ppo_ros.data.topic_names import GROUP_COMMANDS
from chunk_ppo_ros.nodes.common.interbotix_interfaces import (
    ARM_GROUP,
    SINGLE_COMMANDS,
    DriverInterfaces,
)
from chunk_ppo_ros.nodes.common.peers.listeners import Listeners
from chunk_ppo_ros.nodes.common.peers.topic_publishers import TopicPublishers
from chunk_ppo_ros.nodes.robot.interbotix.waits import CountReached, ServiceCall
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.robot import aloha

FRESH_STATES = 10
"""The number of joint states that must come after a change of modes, a third of a second at the driver's 30 Hz."""

NUM_ARRIVALS = 100
"""The number of joint states whose arrivals are remembered, a second at the driver's 100 Hz."""
ALL_GROUP = "all"
"""The driver's name of all joints of an arm with the gripper."""


class DriverLink:
    """Commands and calls the driver of one follower, and knows whether it runs.

    Args:
        node: the node that owns publishers and clients.
        side: "left" or "right".
        interfaces: the types of Interbotix's messages and services.
    """

    def __init__(self, node: Node, side: str, interfaces: DriverInterfaces) -> None:
        self.name = f"follower_{side}"
        self.full_name = f"{node.get_namespace().rstrip('/')}/{self.name}"
        """The name with the namespace of robot_node, in which the driver is."""
        self._node = node
        self._interfaces = interfaces
        self._states_topic = topic_names.FOLLOWER_STATES[side]
        self._arm = node.create_publisher(interfaces.group_command, f"{self.name}/{GROUP_COMMANDS}", qos.COMMAND)
        self._gripper = node.create_publisher(interfaces.single_command, f"{self.name}/{SINGLE_COMMANDS}", qos.COMMAND)
        self._listeners = Listeners(node, [self._arm, self._gripper])
        self._drivers = TopicPublishers(node, self._states_topic)
        self._commanders = [TopicPublishers(node, publisher.topic_name) for publisher in (self._arm, self._gripper)]
        self._info: Any = node.create_client(interfaces.robot_info, f"{self.name}/get_robot_info")
        self._modes: Any = node.create_client(interfaces.operating_modes, f"{self.name}/set_operating_modes")
        self._reboots: Any = node.create_client(interfaces.reboot, f"{self.name}/reboot_motors")
        self._registers: Any = node.create_client(interfaces.register_values, f"{self.name}/get_motor_registers")
        self._settings: Any = node.create_client(interfaces.register_values, f"{self.name}/set_motor_registers")
        self._torque: Any = node.create_client(interfaces.torque_enable, f"{self.name}/torque_enable")
        self._num_states = 0
        # the steady times of the last joint states, s
        self._arrivals: collections.deque[float] = collections.deque(maxlen=NUM_ARRIVALS)

    @property
    def state_periods(self) -> list[float]:
        """The times between the last joint states, s."""
        return [later - earlier for earlier, later in itertools.pairwise(self._arrivals)]

    def drivers(self) -> frozenset[bytes]:
        """Returns the ids of all that publish the arm's joint states. A driver that was started again has a new id."""
        return self._drivers.ids

    def absence(self, drivers: frozenset[bytes]) -> str:
        """Returns what is missing where the driver does not run, or an empty string.

        Args:
            drivers: what `drivers` has returned.
        """
        unheard = self._listeners.unheard()
        if unheard:
            return f"nobody listens to {', '.join(unheard)}; start the driver of the arm"
        return "" if drivers else f"nobody publishes {self._states_topic}; start the driver of the arm"

    def rivals(self) -> str:
        """Returns the nodes that command the arm beside this one, or an empty string."""
        names = frozenset[str]().union(*(publishers.nodes for publishers in self._commanders))
        return ", ".join(sorted(names - {self._node.get_fully_qualified_name()}))

    def note_states(self, publisher: bytes) -> None:
        """Counts joint states of the driver. `publisher` is the id of who sent them, or empty where it is not known."""
        self._drivers.note_sender(publisher)
        self._num_states += 1
        self._arrivals.append(time.monotonic())

    def send_arm(self, positions: list[float]) -> None:
        """Commands the six joints, rad."""
        self._arm.publish(self._interfaces.group_command(name=ARM_GROUP, cmd=array.array("f", positions)))

    def send_gripper(self, motor: float) -> None:
        """Commands the gripper's motor, rad. The driver needs at least 10 ms for it."""
        self._gripper.publish(self._interfaces.single_command(name=aloha.GRIPPER, cmd=motor))

    def arm_info(self) -> ServiceCall:
        """Asks for mode, joints and limits of the arm."""
        return self._call(self._info, self._interfaces.robot_info, cmd_type="group", name=ARM_GROUP)

    def gripper_info(self) -> ServiceCall:
        """Asks for the mode of the gripper."""
        return self._call(self._info, self._interfaces.robot_info, cmd_type="single", name=aloha.GRIPPER)

    def arm_register(self, register: str) -> ServiceCall:
        """Reads a register of the six joints' motors."""
        values = {"cmd_type": "group", "name": ARM_GROUP, "reg": register}
        return self._call(self._registers, self._interfaces.register_values, **values)

    def motor_register(self, motor: str, register: str) -> ServiceCall:
        """Reads a register of one motor."""
        values = {"cmd_type": "single", "name": motor, "reg": register}
        return self._call(self._registers, self._interfaces.register_values, **values)

    def set_arm_register(self, register: str, value: int) -> ServiceCall:
        """Writes a register of the six joints' motors. The answer does not say whether they took it."""
        values = {"cmd_type": "group", "name": ARM_GROUP, "reg": register, "value": value}
        return self._call(self._settings, self._interfaces.register_values, **values)

    def set_gripper_register(self, register: str, value: int) -> ServiceCall:
        """Writes a register of the gripper's motor."""
        values = {"cmd_type": "single", "name": aloha.GRIPPER, "reg": register, "value": value}
        return self._call(self._settings, self._interfaces.register_values, **values)

    def switch_torque_off(self) -> ServiceCall:
        """Switches the torque of all motors off. The arm falls where nothing supports it."""
        values = {"cmd_type": "group", "name": ALL_GROUP, "enable": False}
        return self._call(self._torque, self._interfaces.torque_enable, **values)

    def reboot_gripper(self) -> ServiceCall:
        """Reboots the gripper's motor, after which it has torque again."""
        values = {"cmd_type": "single", "name": aloha.GRIPPER, "enable": True, "smart_reboot": False}
        return self._call(self._reboots, self._interfaces.reboot, **values)

    def set_gripper_mode(self, mode: str) -> ServiceCall:
        """Sets the operating mode of the gripper, which has no torque meanwhile."""
        values = {"cmd_type": "single", "name": aloha.GRIPPER, "mode": mode, "profile_type": "velocity"}
        return self._call(self._modes, self._interfaces.operating_modes, **values)

    def fresh_states(self) -> CountReached:
        """Waits for joint states that were sent after now."""
        self._arrivals.clear()
        missing = f"no joint states come on {self._states_topic}; check that the driver reads its motors"
        return CountReached(lambda: self._num_states, growth=FRESH_STATES, missing=missing)

    def _call(self, client: Any, kind: Any, **values: object) -> ServiceCall:
        return ServiceCall(client, kind.Request(**values))
