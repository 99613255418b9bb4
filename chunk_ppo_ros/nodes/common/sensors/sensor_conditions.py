"""The part of the table of conditions that is about the sensors of policy_node, classifier_node and robot_node.

`condition_table.py` has the rest.
"""

from __future__ import annotations

from chunk_ppo_ros.nodes.common.conditions import Condition

SENSORS_SILENT = Condition(
    key="silent sensors",
    text="{sensors}; the policy holds: check the drivers and topic names (robot.image_topic, also with /compressed)",
    cleared="all sensors are back",
    renewed_by=("names",),
)
SENSORS_APART = Condition(
    key="stamps of sensors",
    text="all sensors send, but for {waited:.1f} s their stamps have been older than the last chunk's end or more than "
    "{tolerance} s apart (env.sync_tolerance); check the clocks of the machines",
    cleared="the stamps of all sensors fit together again",
)
IMAGE_UNREADABLE = Condition(
    key="images of {camera}",
    text="{camera}: {reason}",
    cleared="the images of {camera} are valid again",
    renewed_by=("reason",),
)
CAMERA_SHARED = Condition(
    key="publishers of {camera}",
    text="{senders} send images of {camera}, and the policy cannot tell which is the camera, so that it holds; stop "
    "all but one of them",
    cleared="one node alone sends images of {camera} again",
    renewed_by=("senders",),
    is_error=True,
)
CAMERA_DOUBTFUL = Condition(
    key="pictures of {camera}",
    text="{camera} cannot be right: {reason}",
    cleared="the pictures of {camera} can be right again",
    renewed_by=("kind",),
)
ARM_UNREADABLE = Condition(
    key="joint states of the {side} arm",
    text="{side} arm: {reason}",
    cleared="the {side} arm's joint states are valid again",
    renewed_by=("reason",),
)
JOINT_STATES_UNUSED = Condition(
    key="joint states of the {arm}",
    text="joint states of the {arm} are not used: {reason}",
    cleared="joint states of the {arm} are used again",
    is_error=True,
)
CURRENTS_UNKNOWN = Condition(
    key="currents of the motors",
    text="the joint states of these arms tell no currents in mA: {arms}; robot.max_current and "
    "robot.max_gripper_current limit nothing there, and a motor without torque is found only by where its joint is",
    cleared="the joint states of both arms tell currents again",
    renewed_by=("arms",),
)
MOTOR_HOT = Condition(
    key="temperature of a motor",
    text="the {motor} is hot: {celsius:.0f} C, more than {limit:g} C (robot.warn_temperature); let the robot rest "
    "in its sleep pose",
    cleared="no motor is hot any more",
    renewed_by=("motor",),
)
OUTSIDE_WORKSPACE = Condition(
    key="workspace",
    text="{place} (robot.table_height, robot.workspace_box); from there it moves only inward; if a chunk does not move "
    "it, lead it by its leader arm, or support it, switch its torque off, and move it by hand",
    cleared="the arms are in their workspaces again",
)
FINGER_IMPOSSIBLE = Condition(
    key="finger of the {arm}",
    text="{arm}: {reason}",
    cleared="the finger of the {arm} is where it can be again",
)
CAMERA_LATE = Condition(
    key="{camera} after a chunk",
    text="{camera} after a chunk is silent: no image after the end of the chunk for {timeout} s on {topics}; check the "
    "driver, the topic (robot.image_topic) and the clocks",
    cleared="{camera} after a chunk is back",
    is_error=True,
)
