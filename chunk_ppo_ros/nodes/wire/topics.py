"""All topics of the graph, each with its name, the type of its messages and its QoS profiles.

docs/design.md says which node owns what is sent on a topic. A new topic is one entry here, and stands in `RECORDED` or
in `NOT_RECORDED`. A node subscribes to messages of this package by `nodes/common/subscriptions.py`, which checks
their format.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState, Joy
from std_msgs.msg import Bool, Float32
from trajectory_msgs.msg import JointTrajectory

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.data import topic_names
from chunk_ppo_ros.nodes.wire import qos
from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class Topic:
    """A topic of the graph.

    Attributes:
        name: the name. It is relative to the namespace of the node, or to the node where it begins with "~", or
            absolute where it begins with "/".
        message_type: the type of the messages.
        profile: the QoS profile of publishers. Subscriptions have it too where `read` is None.
        read: the QoS profile of subscriptions, or None.
    """

    name: str
    message_type: type
    profile: QoSProfile
    read: QoSProfile | None = None

    @property
    def type_name(self) -> str:
        """The name of the message type as ROS writes it, such as std_msgs/msg/Header."""
        package, kind, *_ = self.message_type.__module__.split(".")
        return f"{package}/{kind}/{self.message_type.__name__}"

    @property
    def read_profile(self) -> QoSProfile:
        """The QoS profile of subscriptions."""
        return self.profile if self.read is None else self.read

    def create_publisher(self, node: Node) -> Publisher:
        """Returns a publisher of a node on this topic."""
        return node.create_publisher(self.message_type, self.name, self.profile)

    def create_subscription(
        self,
        node: Node,
        on_message: Callable[..., None],
        *,
        profile: QoSProfile | None = None,
        events: SubscriptionEventCallbacks | None = None,
    ) -> Subscription[Any]:
        """Subscribes a node to this topic, and returns the subscription. Nothing checks the format of the messages.

        Args:
            node: the node that subscribes.
            on_message: is called with each message, and a `WithOrigin` also with who sent it and when.
            profile: a profile that replaces that of the topic. Sensors are read in another way in lockstep.
            events: what is called for events of DDS; rclpy logs incompatible profiles by default.
        """
        named: dict[str, Any] = {} if events is None else {"event_callbacks": events}
        return node.create_subscription(self.message_type, self.name, on_message, profile or self.read_profile, **named)

    def create_raw_subscription(self, node: Node, on_bytes: Callable[..., None]) -> None:
        """Subscribes a node to this topic. `on_bytes` is called with each message as it was serialized."""
        node.create_subscription(self.message_type, self.name, on_bytes, self.read_profile, raw=True)

    def record(
        self, node: Node, on_bytes: Callable[..., None], *, profile: QoSProfile, events: SubscriptionEventCallbacks
    ) -> Subscription[Any]:
        """Subscribes a recorder in the same way, with a profile of its own, and returns the subscription."""
        named: dict[str, Any] = {"event_callbacks": events, "raw": True}
        return node.create_subscription(self.message_type, self.name, on_bytes, profile, **named)


# policy_node publishes these.
ACTION_CHUNK = Topic(topic_names.ACTION_CHUNK, msg.ActionChunk, qos.RELIABLE)
BOOTSTRAP = Topic("bootstrap", msg.Bootstrap, qos.RELIABLE)
CHUNK_TRAJECTORIES = {
    side: Topic(f"robot/{side}/joint_trajectory", JointTrajectory, qos.COMMAND) for side in aloha.SIDES
}
"""The topics of each arm's half of a chunk."""

# robot_node publishes these. The commands go to the controllers of the robot's drivers, or to sim_node.
EXECUTION_RESULT = Topic(topic_names.EXECUTION_RESULT, msg.ExecutionResult, qos.RELIABLE)
SCRIPTED_MOTION = Topic("scripted_motion", msg.ScriptedMotion, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
ROBOT_ACTIVE = Topic("robot_node/active", Bool, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
TAKEOVER_STATE = Topic("takeover_state", msg.TakeoverState, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
ARM_COMMANDS = {side: Topic(name, JointTrajectory, qos.COMMAND) for side, name in topic_names.ARM_COMMANDS.items()}
"""The topics of the controllers that move each arm's six joints."""
GRIPPER_COMMANDS = {
    side: Topic(f"follower_{side}/gripper_controller/joint_trajectory", JointTrajectory, qos.COMMAND)
    for side in aloha.SIDES
}
"""The topics of the controllers that move each arm's gripper."""

SHADOW_COMMANDS = {side: Topic(f"robot/{side}/shadow_command", JointTrajectory, qos.COMMAND) for side in aloha.SIDES}
"""The topics of what robot_node would command in shadow mode. No driver listens to them."""

# reward_node publishes these.
EPISODE_EVENT = Topic(topic_names.EPISODE_EVENT, msg.EpisodeEvent, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
DISCARDED_EPISODE = Topic("discarded_episode", msg.EpisodeEvent, qos.HISTORY)
"""The topic of the ends of discarded episodes, of which a node that was dead then hears when it is there again."""
EPISODE_STATE = Topic("episode_state", msg.EpisodeState, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
CHUNK_OUTCOME = Topic(topic_names.CHUNK_OUTCOME, msg.ChunkOutcome, qos.RELIABLE)
TRANSITION = Topic("transition", msg.Transition, qos.TRANSITION, read=qos.TRANSITION_SUBSCRIPTION)
REPEATED_ACK = Topic("repeated_ack", msg.TransitionAck, qos.ACKNOWLEDGMENT)
"""The topic of what trainer_node has answered to the transition of a chunk that policy_node has sent again."""

# trainer_node publishes these. In a run without a trainer, deployment_node publishes the first two.
POLICY_VERSION = Topic("policy_version", msg.PolicyVersion, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
TRANSITION_ACK = Topic("transition_ack", msg.TransitionAck, qos.ACKNOWLEDGMENT)
TRAINING_METRICS = Topic("training_metrics", msg.TrainingMetrics, qos.RELIABLE)
"""The topic of the numbers of each update."""
EPISODE_METRICS = Topic("episode_metrics", msg.TrainingMetrics, qos.RELIABLE)
"""The topic of the numbers of each episode. Between the numbers of updates they would break the lines that rqt_plot and
Foxglove draw, because neither joins two numbers that have a NaN between them."""

# A reward source publishes task_reward: sim_node, classifier_node, or a program of the user. An operator publishes
# human_feedback.
TASK_REWARD = Topic("task_reward", msg.TaskReward, qos.RELIABLE)
HUMAN_FEEDBACK = Topic("human_feedback", Float32, qos.RELIABLE)

# The drivers of the robot publish these, or sim_node those of the followers and the cameras. It publishes joint states
# reliably in real time too, as the drivers do.
FOLLOWER_STATES = {
    side: Topic(name, JointState, qos.STREAM_PUBLISHER, read=qos.JOINT_STATES)
    for side, name in topic_names.FOLLOWER_STATES.items()
}
LEADER_STATES = {side: Topic(name, JointState, qos.JOINT_STATES) for side, name in topic_names.LEADER_STATES.items()}


def camera_images(camera: str, config: RobotConfig) -> tuple[Topic, ...]:
    """Returns the topics that a camera may send images on, whose names are a setting of the robot.

    Topics that are preferred come first, raw ones before compressed ones.
    """
    names = [aloha.camera_topic(pattern, camera) for pattern in config.image_topics]
    raw = [name for name in names if not name.endswith(aloha.COMPRESSED)]
    compressed = [name for name in names if name.endswith(aloha.COMPRESSED)]
    compressed += [name + aloha.COMPRESSED for name in raw]
    return (
        *(Topic(name, Image, qos.IMAGE_PUBLISHER, read=qos.SENSOR) for name in raw),
        *(Topic(name, CompressedImage, qos.IMAGE_PUBLISHER, read=qos.SENSOR) for name in compressed),
    )


def simulated_images(camera: str, config: RobotConfig) -> Topic:
    """Returns the topic that sim_node publishes a camera's images on, the first that may have raw ones.

    Raises:
        ValueError: where the settings name topics of compressed images only.
    """
    first = camera_images(camera, config)[0]
    if first.message_type is not Image:
        raise ValueError(
            f"robot.image_topic must name a topic of raw images for a simulator, got '{config.image_topic}'; leave "
            f"{aloha.COMPRESSED} out"
        )
    return first


# view_node publishes these while somebody looks. The type of the markers is that of visualization_msgs, which may be
# missing.
ANNOTATED_VIEW = Topic("annotated_view/compressed", CompressedImage, qos.IMAGE_PUBLISHER)
CHUNK_MARKERS_NAME = "chunk_markers"

# sim_node publishes the time in lockstep. Each node that has diagnostics publishes them. A node whose work is slow
# publishes whether it is ready. rclpy publishes what each node logs.
CLOCK = Topic(topic_names.CLOCK, Clock, qos.STREAM_PUBLISHER, read=qos.SENSOR)
ROSOUT = Topic("/rosout", Log, qos.LOG)
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, qos.RELIABLE)
READY = Topic("~/ready", Bool, qos.LATCHED, read=qos.LATCHED_SUBSCRIPTION)
READY_OF_NODES = tuple(
    dataclasses.replace(READY, name=READY.name.replace("~", node)) for node in ("policy_node", "trainer_node")
)
"""The same topic by the names that it has for other nodes, of each node whose work is slow."""

# People and their devices publish these, and robot_node says on the last whether there is an emergency stop.
EMERGENCY_STOP = Topic("emergency_stop", Bool, qos.RELIABLE)
DEADMAN = Topic("deadman", Bool, qos.RELIABLE)
EMERGENCY_STOP_STATE = Topic("emergency_stop_state", Bool, qos.LATCHED, qos.LATCHED_SUBSCRIPTION)

# reward_node and robot_node publish what an operator has asked them for.
OPERATOR_CALL = Topic("operator_call", msg.OperatorCall, qos.RELIABLE)

# reward_node and trainer_node publish what they have handled, for replays of a recording.
HANDLED_INPUT = Topic("handled_input", msg.HandledInput, qos.HANDLED)


def joy_buttons(name: str) -> Topic:
    """Returns the topic of the buttons of pedals and pads, whose name is the setting `operate.joy_topic`."""
    return Topic(name, Joy, qos.RELIABLE, read=qos.RELAXED)


PUBLISHED_BY_ONE = (
    *CHUNK_TRAJECTORIES.values(),
    *ARM_COMMANDS.values(),
    *GRIPPER_COMMANDS.values(),
    *FOLLOWER_STATES.values(),
    *LEADER_STATES.values(),
    EXECUTION_RESULT,
    EPISODE_EVENT,
    EPISODE_STATE,
    TAKEOVER_STATE,
    SCRIPTED_MOTION,
    POLICY_VERSION,
)
"""The topics on which one node alone may publish. A second one would move the robot, or take the run over."""


def published_by_one(config: RobotConfig) -> tuple[Topic, ...]:
    """Returns the topics on which one node alone may publish beside a robot.

    In shadow mode a person may move the arms by another program, which then publishes the commands.
    """
    commands = (*ARM_COMMANDS.values(), *GRIPPER_COMMANDS.values()) if config.shadow else ()
    return tuple(topic for topic in PUBLISHED_BY_ONE if topic not in commands)


RECORDED = (
    ACTION_CHUNK,
    BOOTSTRAP,
    EXECUTION_RESULT,
    TASK_REWARD,
    CHUNK_OUTCOME,
    TRANSITION,
    TRANSITION_ACK,
    EPISODE_EVENT,
    DISCARDED_EPISODE,
    EPISODE_STATE,
    OPERATOR_CALL,
    HANDLED_INPUT,
    TAKEOVER_STATE,
    SCRIPTED_MOTION,
    POLICY_VERSION,
    TRAINING_METRICS,
    EPISODE_METRICS,
    REPEATED_ACK,
    HUMAN_FEEDBACK,
    ROBOT_ACTIVE,
    *READY_OF_NODES,
    EMERGENCY_STOP,
    EMERGENCY_STOP_STATE,
    DEADMAN,
    *CHUNK_TRAJECTORIES.values(),
    *FOLLOWER_STATES.values(),
    *LEADER_STATES.values(),
    CLOCK,
    DIAGNOSTICS,
    ROSOUT,
)
"""The topics that recorder_node records of every run. docs/bags.md says what is in a bag beside them."""

NOT_RECORDED = {
    READY.name: "its messages are recorded on the topics of READY_OF_NODES",
    **dict.fromkeys(
        [topic.name for each in (ARM_COMMANDS, GRIPPER_COMMANDS, SHADOW_COMMANDS) for topic in each.values()],
        "the back end and the shadow mode decide which commands there are; nodes/recorder/command_topics.py lists them",
    ),
    ANNOTATED_VIEW.name: "view_node draws it again from what is recorded",
}
"""The names of the other topics that stand here, and why they are not in `RECORDED`.

Those whose names are settings are made by functions. recorder_node records the buttons of pedals, and cameras where
`run.bag_cameras` asks for it.
"""
