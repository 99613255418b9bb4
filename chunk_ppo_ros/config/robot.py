"""The settings of the chunk player, of its limits, and of the robot's topics."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting


@dataclasses.dataclass(frozen=True)
class RobotConfig(Checked):
    """Settings of the chunk player and of its limits."""

    control_rate: float = setting(50.0, "control steps per second, Hz", minimum=1.0, maximum=500.0)
    max_velocity: float = setting(
        3.14159, "joint speed above which targets are limited, rad/s", minimum=0.01, maximum=3.14159
    )
    max_acceleration: float = setting(
        0.0, "joint acceleration above which targets are limited, rad/s^2; 0 for no limit", minimum=0.0
    )
    max_gripper_velocity: float = setting(8.0, "gripper speed limit, normalized opening per second", minimum=0.01)
    max_start_jump: float = setting(
        0.5, "a chunk is refused where a joint is farther than this from its first target, rad", minimum=0.0
    )
    max_following_error: float = setting(
        0.0,
        "distance of a joint from its command that stops the motion after half a second, rad; 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    chunk_deadline: float = setting(1.0, "a trajectory older than this on arrival is refused, s", minimum=0.01)
    max_observation_age: float = setting(
        2.0,
        "a chunk is refused where its observation is older than this when it arrives, s",
        minimum=0.01,
        graph_only=True,
    )
    pair_timeout: float = setting(
        0.2, "longest wait for the other arm's trajectory with the same stamp, s", minimum=0.001, graph_only=True
    )
    state_timeout: float = setting(
        0.5, "joint states older than this stop the motion, s", minimum=0.01, graph_only=True
    )
    deadman_timeout: float = setting(
        0.0,
        "the robot holds unless the topic deadman says within this time that a switch is pressed, s; 0 for no switch",
        minimum=0.0,
        graph_only=True,
    )
    confirm_start: bool = setting(
        False,
        "after robot_node has started, the robot moves only when an operator has started or resumed an episode",
        graph_only=True,
    )
    backend: str = setting(
        "ros2_control", "what commands the motors; other packages register more, see docs/robot.md", graph_only=True
    )
    gripper_convention: str = setting("openpi", "gripper constants", choices=("openpi", "interbotix"))
    optional_cameras: tuple[str, ...] = setting((), "cameras that may be absent, by name; the model sees them masked")
    image_topic: str = setting(
        "{camera}/camera/color/image_rect_raw", "image topic of a camera; {camera} stands for its name"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "{camera}" not in self.image_topic:
            raise ValueError(
                f"robot.image_topic must contain {{camera}}, which stands for the camera's name, got "
                f"'{self.image_topic}'; add it"
            )
