"""All services by which an operator asks a node for something, each with the node that answers and its type.

A service stands below the name of its node, such as `reward_node/start_episode`. A namespace moves it with the node.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from chunk_ppo_msgs.srv import EndEpisode, MoveArms
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config.flags.service_calls import service_call


@dataclasses.dataclass(frozen=True)
class Service:
    """A service of one node.

    Attributes:
        node: the name of the node that answers.
        name: the name below that of the node.
        service_type: the type of the requests and responses.
    """

    node: str
    name: str
    service_type: type

    @property
    def path(self) -> str:
        """The name by which a client in the same namespace finds the service."""
        return f"{self.node}/{self.name}"

    @property
    def type_name(self) -> str:
        """The name of the type, such as std_srvs/srv/Trigger."""
        package, kind, *_ = self.service_type.__module__.split(".")
        return f"{package}/{kind}/{self.service_type.__name__}"

    @property
    def command(self) -> str:
        """The start of the command that calls the service where nodes have no namespace; see `command_in`."""
        return self.command_in("")

    def command_in(self, namespace: str, request: str = "") -> str:
        """Returns the command that calls the service, as people type it.

        Args:
            namespace: the namespace of its node; empty or "/" without one.
            request: the request, where it has fields.
        """
        return service_call(f"{namespace.rstrip('/')}/{self.path}", self.type_name, request)

    def create_client(self, node: Node) -> Any:
        """Returns a client of this service for another node."""
        return node.create_client(self.service_type, self.path)


# reward_node directs episodes.
START_EPISODE = Service("reward_node", "start_episode", Trigger)
END_EPISODE = Service("reward_node", "end_episode", EndEpisode)
PAUSE = Service("reward_node", "pause", SetBool)
RESET_DONE = Service("reward_node", "reset_done", Trigger)
RESET = Service("reward_node", "reset", Trigger)

# robot_node moves the robot.
TAKEOVER = Service("robot_node", "takeover", SetBool)
LEADERS_GRIPPED = Service("robot_node", "leaders_gripped", Trigger)
RELEASE_LEADERS = Service("robot_node", "release_leaders", Trigger)
EMERGENCY_STOP = Service("robot_node", "emergency_stop", SetBool)
CONFIRM_MOTION = Service("robot_node", "confirm_motion", Trigger)
MOVE_ARMS = Service("robot_node", "move_arms", MoveArms)
GO_TO_START_POSE = Service("robot_node", "go_to_start_pose", Trigger)
GO_TO_SLEEP_POSE = Service("robot_node", "go_to_sleep_pose", Trigger)
STOP_SCRIPTED_MOTION = Service("robot_node", "stop_scripted_motion", Trigger)
TORQUE_OFF = Service("robot_node", "torque_off", Trigger)
PREPARE_ROBOT = Service("robot_node", "prepare_robot", Trigger)

MOTION_REFUSED = "the motion is refused: "
"""How robot_node's answer begins where a scripted motion has not begun. Other failures end a motion that has begun."""

OPERATOR_SERVICES = tuple(value for value in list(globals().values()) if isinstance(value, Service))
"""All of them, each with a name of its own."""
