"""The settings of the chunk player, of its limits, and of the robot's topics."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.entries.gripper_numbers import GRIPPER_CONVENTION_NAMES, parse_gripper_numbers
from chunk_ppo_ros.config.entries.workspace_box import NO_TABLE, WorkspaceBoxes, parse_workspace_box
from chunk_ppo_ros.config.schema import Checked, setting


@dataclasses.dataclass(frozen=True)
class RobotConfig(Checked):
    """Settings of the chunk player and of its limits."""

    control_rate: float = setting(50.0, "control steps per second, Hz", minimum=1.0, maximum=500.0)
    max_velocity: float = setting(
        3.14159,
        "joint speed above which targets are limited, rad/s; robot_node takes lower values while it runs",
        minimum=0.01,
        maximum=3.14159,
        adjustable=True,
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
    scripted_velocity: float = setting(
        0.5,
        "largest joint speed of a scripted motion, as to the start pose, rad/s",
        minimum=0.01,
        maximum=3.14159,
        graph_only=True,
    )
    max_current: float = setting(
        0.0,
        "current of an arm's motor that stops the motion after half a second, mA (half for wrist_rotate); 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    max_gripper_current: float = setting(
        0.0,
        "current of a gripper's motor that stops the motion after half a second, mA; 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    warn_temperature: float = setting(
        0.0,
        "temperature of a motor above which it is named on /diagnostics, degrees Celsius; 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    max_temperature: float = setting(
        0.0,
        "temperature of a motor above which the robot holds, degrees Celsius; 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    table_height: float = setting(
        NO_TABLE,
        "height of the table in the frame of an arm's base, m; finger tips may touch it; -1 for none",
        minimum=NO_TABLE,
        maximum=1.0,
    )
    workspace_box: tuple[str, ...] = setting(
        (),
        "ranges of x, y and z in the frame of an arm's base that the arm keeps, m, such as x=-0.4/0.6 or left.z=0/0.7",
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
        "after robot_node has started, and after an emergency stop was cleared, the robot moves only when an operator "
        "has confirmed it or started an episode",
        graph_only=True,
    )
    shadow: bool = setting(
        False,
        "shadow mode: the policy acts, but nothing moves the robot and nothing is trained on; what would be commanded "
        "is published on robot/<side>/shadow_command",
        graph_only=True,
    )
    align_leaders: bool = setting(
        False,
        "at a takeover the leader arms are driven to where the followers are, and hold until somebody grips them; it "
        "needs robot.backend interbotix and the drivers of the leaders",
        graph_only=True,
    )
    leader_velocity: float = setting(
        0.3,
        "largest joint speed at which a leader is driven, rad/s",
        minimum=0.01,
        maximum=1.0,
        graph_only=True,
    )
    leader_max_current: float = setting(
        0.0,
        "current of a leader's motor that counts as resistance after half a second, mA; 0 for none",
        minimum=0.0,
        graph_only=True,
    )
    backend: str = setting(
        "ros2_control",
        "what commands the motors: interbotix, ros2_control, or module:Class of your own; see docs/own-robot.md",
        graph_only=True,
    )
    position_gain: int = setting(
        0,
        "Position_P_Gain that the arms' motors are set to with robot.backend interbotix; 0 leaves what they have",
        minimum=0,
        maximum=16383,
        graph_only=True,
    )
    profile_velocity: float = setting(
        0.0,
        "speed that the arms' motors limit themselves to with robot.backend interbotix, rad/s; 0 leaves what they have",
        minimum=0.0,
        maximum=10.0,
        graph_only=True,
    )
    gripper_convention: str = setting(
        "openpi", "gripper numbers: what open and closed mean", choices=GRIPPER_CONVENTION_NAMES
    )
    gripper_numbers: tuple[str, ...] = setting(
        (), "own gripper numbers that replace those of gripper_convention, such as motor_open=1.4 (see docs/units.md)"
    )
    optional_cameras: tuple[str, ...] = setting((), "cameras that may be absent, by name; the model sees them masked")
    hold_on_camera_fault: bool = setting(
        False,
        "the policy holds while a camera of a real robot stands still, is dark, or has changed its size of images",
        graph_only=True,
    )
    image_topic: str = setting(
        "{camera}/camera/color/image_rect_raw {camera}/camera/color/image_raw",
        "image topics that a camera may send on, with spaces between them; {camera} stands for its name",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_gripper_numbers("robot.gripper_numbers", self.gripper_numbers)
        if 0.0 < self.profile_velocity < self.max_velocity:
            raise ValueError(
                f"robot.profile_velocity must be 0, or at least robot.max_velocity, {self.max_velocity} rad/s, got "
                f"{self.profile_velocity}, with which the arms could not follow; lower robot.max_velocity, or take "
                "twice its value"
            )
        if 0.0 < self.max_temperature <= self.warn_temperature:
            raise ValueError(
                f"robot.warn_temperature must be below robot.max_temperature, {self.max_temperature:g} degrees, "
                f"got {self.warn_temperature:g}; lower it, so that a warning comes before the robot holds"
            )
        if self.align_leaders and self.backend != "interbotix":
            raise ValueError(
                f"robot.backend must be interbotix where robot.align_leaders is true, got {self.backend}; set "
                "it to interbotix, or robot.align_leaders to false"
            )
        parse_workspace_box("robot.workspace_box", self.workspace_box)
        if not self.image_topics or not all("{camera}" in pattern for pattern in self.image_topics):
            raise ValueError(
                f"robot.image_topic must contain {{camera}}, which stands for the camera's name, in each topic, got "
                f"'{self.image_topic}'; write for example {{camera}}/camera/color/image_raw"
            )

    @property
    def workspace_boxes(self) -> WorkspaceBoxes:
        """The boxes of `workspace_box`."""
        return parse_workspace_box("robot.workspace_box", self.workspace_box)

    @property
    def image_topics(self) -> tuple[str, ...]:
        """The patterns of `image_topic`, in the order in which topics are preferred."""
        return tuple(self.image_topic.split())
