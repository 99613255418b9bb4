"""The topics and services of one leader's driver.

The publisher of its commands exists only while it is commanded. What others send is heard as long as the leader holds.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from std_srvs.srv import SetBool

from chunk_ppo_ros.data.topic_names import GROUP_COMMANDS
from chunk_ppo_ros.nodes.common.interbotix_interfaces import ARM_GROUP, SINGLE_COMMANDS, DriverInterfaces
from chunk_ppo_ros.nodes.common.peers.topic_publishers import TopicPublishers
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import ARM_MODE, DriverRefused
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import ALL_GROUP
from chunk_ppo_ros.nodes.robot.interbotix.leaders import GRAVITY_COMPENSATION
from chunk_ppo_ros.nodes.robot.interbotix.waits import ServiceCall
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.robot import aloha


class LeaderLink:
    """Commands and calls the driver of one leader.

    Args:
        node: the node that owns the publisher and the clients.
        side: "left" or "right".
        interfaces: the types of Interbotix's messages and services.
    """

    def __init__(self, node: Node, side: str, interfaces: DriverInterfaces) -> None:
        self.name = f"leader_{side}"
        self._node = node
        self._interfaces = interfaces
        # A leader is looked at five times a second, and each look must show who drives and commands it now.
        self._drivers = TopicPublishers(node, topics.LEADER_STATES[side].name, look_period=0.0)
        self._commanders = [
            TopicPublishers(node, f"{self.name}/{commands}", look_period=0.0)
            for commands in (GROUP_COMMANDS, SINGLE_COMMANDS)
        ]
        self._commands: Publisher | None = None
        self._heard: Subscription | None = None
        self._num_sent = self._num_heard = 0
        self._info: Any = node.create_client(interfaces.robot_info, f"{self.name}/get_robot_info")
        self._modes: Any = node.create_client(interfaces.operating_modes, f"{self.name}/set_operating_modes")
        self._registers: Any = node.create_client(interfaces.register_values, f"{self.name}/get_motor_registers")
        self._torque: Any = node.create_client(interfaces.torque_enable, f"{self.name}/torque_enable")
        self._gravity: Any = node.create_client(SetBool, f"{self.name}/{GRAVITY_COMPENSATION}_enable")

    @property
    def has_gravity_service(self) -> bool:
        """Whether gravity compensation can be switched."""
        return bool(self._gravity.service_is_ready())

    @property
    def is_connected(self) -> bool:
        """Whether the driver listens to the commands."""
        return self._commands is not None and self._commands.get_subscription_count() > 1  # We listen too.

    def drivers(self) -> frozenset[bytes]:
        """Returns the ids of all that publish the leader's joint states. A driver that starts again has a new id."""
        return self._drivers.ids

    def has_gravity_node(self) -> bool:
        """Returns whether Interbotix's gravity compensation could command the leader."""
        return any(name.endswith(f"/{GRAVITY_COMPENSATION}") for name in self._nodes())

    def rivals(self) -> str:
        """Returns the nodes that command the leader beside this one and gravity compensation, or an empty string."""
        own = self._node.get_fully_qualified_name()
        return ", ".join(n for n in self._nodes() if n != own and not n.endswith(f"/{GRAVITY_COMPENSATION}"))

    def check_uncontradicted(self) -> None:
        """Checks that the driver was sent no command but ours since `open`, until `leave`.

        Raises:
            DriverRefused: if it was.
        """
        if self._num_heard > self._num_sent:
            raise DriverRefused("another program sends it commands; stop that program, such as gravity compensation")

    def open(self) -> None:
        """Makes the publisher, and listens to what is sent."""
        topic, kind = f"{self.name}/{GROUP_COMMANDS}", self._interfaces.group_command
        if self._heard is None:
            self._num_sent = self._num_heard = 0
            self._heard = self._node.create_subscription(kind, topic, self._on_command, qos.COMMAND)
        if self._commands is None:
            self._commands = self._node.create_publisher(kind, topic, qos.COMMAND)

    def close(self) -> None:
        """Removes the publisher. The motors hold their last goal, and what others send is still heard."""
        if self._commands is not None:
            self._node.destroy_publisher(self._commands)
            self._commands = None

    def leave(self) -> None:
        """Removes the publisher, and listens no longer."""
        self.close()
        if self._heard is not None:
            self._node.destroy_subscription(self._heard)
            self._heard = None
        self._num_sent = self._num_heard = 0

    def send(self, positions: list[float]) -> None:
        """Commands the six joints, rad, where the publisher exists."""
        if self._commands is not None:
            self._num_sent += 1
            self._commands.publish(self._interfaces.group_command(name=ARM_GROUP, cmd=positions))

    def arm_info(self) -> ServiceCall:
        """Asks for mode and joints of the arm."""
        return self._call(self._info, self._interfaces.robot_info, cmd_type="group", name=ARM_GROUP)

    def set_arm_mode(self) -> ServiceCall:
        """Sets the arm to the mode in which it takes positions. It has torque afterwards, and no goal."""
        values = {"cmd_type": "group", "name": ARM_GROUP, "mode": ARM_MODE, "profile_type": "velocity"}
        return self._call(self._modes, self._interfaces.operating_modes, **values)

    def arm_register(self, register: str) -> ServiceCall:
        """Reads a register of the six joints' motors."""
        values = {"cmd_type": "group", "name": ARM_GROUP, "reg": register}
        return self._call(self._registers, self._interfaces.register_values, **values)

    def set_arm_torque(self, *, enable: bool) -> ServiceCall:
        """Switches the torque of the six joints."""
        return self._switch("group", ARM_GROUP, enable)

    def set_gripper_limp(self) -> ServiceCall:
        """Switches the torque of the gripper off."""
        return self._switch("single", aloha.GRIPPER, False)

    def set_limp(self) -> ServiceCall:
        """Switches the torque of all motors off. The arm falls where nobody holds it."""
        return self._switch("group", ALL_GROUP, False)

    def stop_gravity_compensation(self) -> ServiceCall:
        """Switches Interbotix's gravity compensation off, which gives all motors torque."""
        return ServiceCall(self._gravity, SetBool.Request(data=False))

    def _switch(self, kind: str, name: str, enable: bool) -> ServiceCall:
        values = {"cmd_type": kind, "name": name, "enable": enable}
        return self._call(self._torque, self._interfaces.torque_enable, **values)

    def _call(self, client: Any, kind: Any, **values: object) -> ServiceCall:
        return ServiceCall(client, kind.Request(**values))

    def _nodes(self) -> list[str]:
        """Returns the nodes that command the leader."""
        return sorted(frozenset[str]().union(*(publishers.nodes for publishers in self._commanders)))

    def _on_command(self, message: Any) -> None:
        self._num_heard += 1
