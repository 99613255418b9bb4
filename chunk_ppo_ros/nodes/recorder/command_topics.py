"""Names the topics of the commands to the robot, which depend on the back end."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data.topic_names import JOINT_GROUP_COMMANDS
from chunk_ppo_ros.nodes.common.interbotix_interfaces import SINGLE_COMMANDS, load_interfaces
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.nodes.wire.topics import Topic
from chunk_ppo_ros.robot import aloha


def command_topics(config: TrainConfig) -> tuple[Topic, ...]:
    """Returns the topics of all commands that robot_node sends in real time.

    In shadow mode they are what robot_node would command, and what other programs command meanwhile.

    In lockstep there are those of the controllers, which sim_node plays. None are known of a back end of another
    package.

    Raises:
        RegistryError: if the back end is `interbotix`, and Interbotix's interface package is not installed.
    """
    find = _BY_BACKEND.get(config.robot.backend)
    shadow = (*topics.SHADOW_COMMANDS.values(),) if config.robot.shadow else ()
    return (*shadow, *(find() if find is not None else ()))


def _ros2_control() -> tuple[Topic, ...]:
    return (*topics.ARM_COMMANDS.values(), *topics.GRIPPER_COMMANDS.values())


def _interbotix() -> tuple[Topic, ...]:
    interfaces = load_interfaces()
    groups = [Topic(name, interfaces.group_command, qos.COMMAND) for name in JOINT_GROUP_COMMANDS.values()]
    names = [f"follower_{side}/{SINGLE_COMMANDS}" for side in aloha.SIDES]
    return (*groups, *(Topic(name, interfaces.single_command, qos.COMMAND) for name in names))


_BY_BACKEND: dict[str, Callable[[], tuple[Topic, ...]]] = {"ros2_control": _ros2_control, "interbotix": _interbotix}
