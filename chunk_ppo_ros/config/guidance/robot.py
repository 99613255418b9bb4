"""Typical values of the settings of the robot and of the operator's screen."""

from __future__ import annotations

ROBOT: dict[str, str] = {
    "robot.control_rate": "50 Hz for ALOHA. It belongs to the recordings and to the checkpoint.",
    "robot.max_velocity": "0.5 rad/s for the first episodes on a robot, 1.5 rad/s to train.",
    "robot.max_acceleration": "10 rad/s^2 on a robot. Lower it where arms shake when they stop.",
    "robot.max_start_jump": (
        "0.2 rad on a robot, 6.3 in a simulator. Raise it a little where many chunks are refused for a jump, after you "
        "have looked at the motion."
    ),
    "robot.max_following_error": (
        "0.3 rad on a robot, 0 in a simulator. Raise it where heavy loads make the arms sag; look at their currents."
    ),
    "robot.state_timeout": (
        "0.3 s for a driver that reports at 30 Hz or faster. Raise it only where a slower driver makes motions end."
    ),
    "robot.deadman_timeout": "0 without a switch. 0.3 s with a switch that reports at 10 Hz.",
    "robot.max_gripper_velocity": "2.0 on a robot, whose motor does not follow faster. 8 in a simulator.",
    "robot.scripted_velocity": "0.5 rad/s. 0.3 for the first motions of a robot.",
    "robot.max_current": (
        "3000 mA with Interbotix's ViperX 300 S. 0 where the driver tells no currents. Lower it where the arms must "
        "push less."
    ),
    "robot.max_gripper_current": (
        "600 mA with Interbotix's `Current_Limit` of 200, which is 538 mA. Raise it with that limit."
    ),
    "robot.warn_temperature": "60 degrees Celsius. 0 where the driver tells no temperatures.",
    "robot.max_temperature": "70 degrees Celsius. The motors switch themselves off at 80, and then the arm falls.",
    "robot.table_height": (
        "0 where the bases stand on the table's top, -0.02 where a plate lifts them by 20 mm. Measure yours."
    ),
    "robot.workspace_box": (
        "`[x=-0.4/0.6, y=-0.5/0.5, z=-0.1/0.7]` for an arm on a table. Make it smaller where something stands around "
        "the robot."
    ),
    "robot.chunk_deadline": "1 s. Look at the load of machine and network before you raise it.",
    "robot.max_observation_age": (
        "1.5 s on a robot. It must be longer than the policy needs for a chunk. Shorter reacts only to newer images."
    ),
    "robot.pair_timeout": "0.2 s. Raise it where the trajectories of the two arms come by a slow network.",
    "robot.confirm_start": "true on a robot, false in a simulator.",
    "robot.shadow": "true for the first start of a new checkpoint on a robot.",
    "robot.align_leaders": "true with Interbotix's leader arms. false without leaders, or to bring them by hand.",
    "robot.leader_velocity": "0.3 rad/s. Lower it where people stand near the leaders.",
    "robot.leader_max_current": (
        "1200 mA with Interbotix's WidowX 250 S, which stalls at 2300. Lower it where the leaders push too much."
    ),
    "robot.backend": "`interbotix` on a stock ALOHA, `ros2_control` in the simulator and with its controllers.",
    "robot.position_gain": (
        "0, which leaves Interbotix's 800. Raise it a little where arms sag, and try it with nobody in reach."
    ),
    "robot.profile_velocity": "3.14159 rad/s on a robot, twice `robot.max_velocity`. 0 in a simulator.",
    "robot.gripper_convention": (
        "`openpi` for openpi's checkpoints and the original ALOHA. It must be that of the recordings; docs/units.md "
        "has the three sets."
    ),
    "robot.gripper_numbers": "Empty. Set it for fingers or a gripper of your own; docs/units.md has the names.",
    "robot.optional_cameras": (
        "Empty. Name a camera that your robot does not have, and that the policy has learned to do without."
    ),
    "robot.hold_on_camera_fault": "true on a robot. false where another simulation stands for the cameras.",
    "robot.image_topic": "The default, for RealSense cameras. Change it for another driver; `{camera}` must be in it.",
    "operate.joy_buttons": "Empty without a pedal. `[0=success, 1=failure, 2=pause]` for one with three.",
    "operate.joy_topic": "`joy`. Change it where another node publishes on this topic.",
}
"""Sentences by the dotted name of the setting."""
