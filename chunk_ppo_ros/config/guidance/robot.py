"""Typical values of the settings of the robot and of the operator's screen.

Those of a limit name a value for a robot and a value for a simulator. Where 0 switches a limit off, they say so.
"""

from __future__ import annotations

ROBOT: dict[str, str] = {
    "robot.control_rate": (
        "50 Hz for ALOHA. It belongs to the recordings and to the checkpoint. Set `robot.max_velocity` where the robot "
        "must move more slowly."
    ),
    "robot.max_velocity": (
        "0.5 rad/s for the first episodes on a robot, 1.5 rad/s to train on it, and no more: the other limits of "
        "`config/robot.yaml` are chosen for this speed. 3.14159 is for simulators."
    ),
    "robot.max_acceleration": (
        "10 rad/s^2 on a robot, which then stops from 1.5 rad/s in 0.15 s. Take 5 where arms shake when they stop. A "
        "smaller value makes every stop longer, an emergency stop too. 0 is for simulators: nothing is limited."
    ),
    "robot.max_start_jump": (
        "0.2 rad on a robot, 6.3 in a simulator. Where many chunks are refused for a jump, look at the motion first, "
        "and take 0.3 at most. An arm that was moved by less than this goes on without asking you."
    ),
    "robot.max_following_error": (
        "0.3 rad on a robot. Do not raise it for an arm that sags: at this error its motors already give all their "
        "torque, so take load off the arm. 0 is for simulators: nobody looks whether the arms follow."
    ),
    "robot.state_timeout": (
        "0.3 s for a driver that reports at 30 Hz or faster. Raise it to 0.5 at most, and only where a slower driver "
        "makes motions end: meanwhile the arms move without being seen."
    ),
    "robot.deadman_timeout": (
        "0.3 s with a switch that reports at 10 Hz. A longer time lets the robot move on for longer after the switch "
        "fell silent. 0 means that there is no switch."
    ),
    "robot.max_gripper_velocity": (
        "2.0 openings/s on a robot, whose motor does 2.3 with openpi's numbers. 8 in a simulator, which limits no real "
        "motor."
    ),
    "robot.scripted_velocity": (
        "0.5 rad/s, and 0.3 for the first motions of a robot. `robot.max_velocity` limits these motions too."
    ),
    "robot.max_current": (
        "3000 mA with Interbotix's ViperX 300 S, whose motors stall at 4400. Lower it where the arms must push less. "
        "Raise it only where it stops motions that are right, and stay well below 4400. 0 looks at no current: take it "
        "in a simulator, or where the driver tells no currents."
    ),
    "robot.max_gripper_current": (
        "600 mA with Interbotix's `Current_Limit` of 200, which is 538 mA. Where you have raised that limit, take a "
        "tenth more than it, as 900 for 300 (807 mA). 0 looks at no current, as `robot.max_current`."
    ),
    "robot.warn_temperature": (
        "60 degrees Celsius, below `robot.max_temperature`. 0 warns of nothing: take it in a simulator, or where the "
        "driver tells no temperatures."
    ),
    "robot.max_temperature": (
        "70 degrees Celsius. Do not raise it: at 80 the motors switch themselves off, and then the arm falls. 0 looks "
        "at no temperature, as `robot.warn_temperature`."
    ),
    "robot.table_height": (
        "0 where the bases stand on the table's top, -0.02 where a plate lifts them by 20 mm. Measure yours. -1 means "
        "that there is no table: nothing then keeps the arms from hitting one."
    ),
    "robot.workspace_box": (
        "`[x=-0.4/0.6, y=-0.5/0.5, z=-0.1/0.7]` for an arm on a table. Make it smaller where something stands around "
        "the robot. It knows nothing of the other arm: with 0.94 m between the bases both arms reach the middle, and "
        "can hit each other. Take x=-0.4/0.4 where they need not meet. Empty is for simulators."
    ),
    "robot.chunk_deadline": (
        "1 s. Look at the load of machine and network before you raise it: a late chunk was made for where the robot "
        "was."
    ),
    "robot.max_observation_age": (
        "1.5 s on a robot. It must be longer than the policy needs for a chunk, and no longer than necessary: the "
        "robot acts on what the cameras saw then."
    ),
    "robot.pair_timeout": "0.2 s. Raise it where the trajectories of the two arms come by a slow network.",
    "robot.confirm_start": "true on a robot, so that a person has looked before it moves. false in a simulator.",
    "robot.shadow": "true for the first start of a new checkpoint on a robot. false to train or to measure.",
    "robot.align_leaders": (
        "true with Interbotix's leader arms, which then move by themselves at a takeover. false without leaders, or to "
        "bring them by hand."
    ),
    "robot.leader_velocity": "0.3 rad/s. Lower it where people stand near the leaders.",
    "robot.leader_max_current": (
        "1200 mA with Interbotix's WidowX 250 S, whose motors stall at 2300. Lower it where the leaders push too much. "
        "0 looks at no current: take it without leaders only."
    ),
    "robot.backend": "`interbotix` on a stock ALOHA, `ros2_control` in the simulator and with its controllers.",
    "robot.position_gain": (
        "0, which leaves Interbotix's 800. A larger gain makes an arm sag less, and press harder on what it meets. "
        "Raise it by 100 at a time, to 1000 at most, and try it with nobody in reach. A smaller one lets an arm sag."
    ),
    "robot.profile_velocity": (
        "3.14159 rad/s on a robot, as in Interbotix's motor configuration. Keep it at about twice "
        "`robot.max_velocity`, or the motors fall behind. 0 leaves what the motors have, which may be no limit at all. "
        "It is for simulators."
    ),
    "robot.gripper_convention": (
        "`openpi` for openpi's checkpoints and the original ALOHA. It must be that of the recordings; docs/units.md "
        "has the three sets."
    ),
    "robot.gripper_numbers": "Empty. Set it for fingers or a gripper of your own; docs/units.md has the names.",
    "robot.optional_cameras": (
        "Empty. Name a camera that your robot does not have, and that the policy has learned to do without."
    ),
    "robot.hold_on_camera_fault": "true on a robot. false only where another simulation stands for the cameras.",
    "robot.image_topic": "The default, for RealSense cameras. Change it for another driver; `{camera}` must be in it.",
    "operate.joy_buttons": (
        "Empty without a pedal. `[0=success, 1=failure, 2=emergency_stop]` for one with three. A robot with a pedal "
        "should have a button that stops it."
    ),
    "operate.joy_topic": "`joy`. Change it where another node publishes on this topic.",
}
"""Sentences by the dotted name of the setting."""
