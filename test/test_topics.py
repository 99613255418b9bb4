"""The names, message types and QoS profiles of all topics, which recordings and programs of users rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.runtime.description import NODES
from support.fake_node import FakeNode
from support.node_classes import node_class

TOPICS = {
    "action_chunk": ("chunk_ppo_msgs/msg/ActionChunk", qos.RELIABLE, qos.RELIABLE),
    "bootstrap": ("chunk_ppo_msgs/msg/Bootstrap", qos.RELIABLE, qos.RELIABLE),
    "robot/left/joint_trajectory": ("trajectory_msgs/msg/JointTrajectory", qos.COMMAND, qos.COMMAND),
    "robot/right/joint_trajectory": ("trajectory_msgs/msg/JointTrajectory", qos.COMMAND, qos.COMMAND),
    "execution_result": ("chunk_ppo_msgs/msg/ExecutionResult", qos.RELIABLE, qos.RELIABLE),
    "scripted_motion": ("chunk_ppo_msgs/msg/ScriptedMotion", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "takeover_state": ("chunk_ppo_msgs/msg/TakeoverState", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "follower_left/arm_controller/joint_trajectory": (
        "trajectory_msgs/msg/JointTrajectory",
        qos.COMMAND,
        qos.COMMAND,
    ),
    "follower_right/arm_controller/joint_trajectory": (
        "trajectory_msgs/msg/JointTrajectory",
        qos.COMMAND,
        qos.COMMAND,
    ),
    "follower_left/gripper_controller/joint_trajectory": (
        "trajectory_msgs/msg/JointTrajectory",
        qos.COMMAND,
        qos.COMMAND,
    ),
    "follower_right/gripper_controller/joint_trajectory": (
        "trajectory_msgs/msg/JointTrajectory",
        qos.COMMAND,
        qos.COMMAND,
    ),
    "robot/left/shadow_command": ("trajectory_msgs/msg/JointTrajectory", qos.COMMAND, qos.COMMAND),
    "robot/right/shadow_command": ("trajectory_msgs/msg/JointTrajectory", qos.COMMAND, qos.COMMAND),
    "episode_state": ("chunk_ppo_msgs/msg/EpisodeState", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "operator_call": ("chunk_ppo_msgs/msg/OperatorCall", qos.RELIABLE, qos.RELIABLE),
    "handled_input": ("chunk_ppo_msgs/msg/HandledInput", qos.HANDLED, qos.HANDLED),
    "episode_event": ("chunk_ppo_msgs/msg/EpisodeEvent", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "discarded_episode": ("chunk_ppo_msgs/msg/EpisodeEvent", qos.HISTORY, qos.HISTORY),
    "chunk_outcome": ("chunk_ppo_msgs/msg/ChunkOutcome", qos.RELIABLE, qos.RELIABLE),
    "transition": ("chunk_ppo_msgs/msg/Transition", qos.TRANSITION, qos.TRANSITION_SUBSCRIPTION),
    "policy_version": ("chunk_ppo_msgs/msg/PolicyVersion", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "transition_ack": ("chunk_ppo_msgs/msg/TransitionAck", qos.ACKNOWLEDGMENT, qos.ACKNOWLEDGMENT),
    "repeated_ack": ("chunk_ppo_msgs/msg/TransitionAck", qos.ACKNOWLEDGMENT, qos.ACKNOWLEDGMENT),
    "training_metrics": ("chunk_ppo_msgs/msg/TrainingMetrics", qos.RELIABLE, qos.RELIABLE),
    "episode_metrics": ("chunk_ppo_msgs/msg/TrainingMetrics", qos.RELIABLE, qos.RELIABLE),
    "task_reward": ("chunk_ppo_msgs/msg/TaskReward", qos.RELIABLE, qos.RELIABLE),
    "human_feedback": ("std_msgs/msg/Float32", qos.RELIABLE, qos.RELIABLE),
    "follower_left/joint_states": ("sensor_msgs/msg/JointState", qos.STREAM_PUBLISHER, qos.JOINT_STATES),
    "follower_right/joint_states": ("sensor_msgs/msg/JointState", qos.STREAM_PUBLISHER, qos.JOINT_STATES),
    "leader_left/joint_states": ("sensor_msgs/msg/JointState", qos.JOINT_STATES, qos.JOINT_STATES),
    "leader_right/joint_states": ("sensor_msgs/msg/JointState", qos.JOINT_STATES, qos.JOINT_STATES),
    "/clock": ("rosgraph_msgs/msg/Clock", qos.STREAM_PUBLISHER, qos.SENSOR),
    "/rosout": ("rcl_interfaces/msg/Log", qos.LOG, qos.LOG),
    "annotated_view/compressed": ("sensor_msgs/msg/CompressedImage", qos.IMAGE_PUBLISHER, qos.IMAGE_PUBLISHER),
    "/diagnostics": ("diagnostic_msgs/msg/DiagnosticArray", qos.RELIABLE, qos.RELIABLE),
    "emergency_stop": ("std_msgs/msg/Bool", qos.RELIABLE, qos.RELIABLE),
    "deadman": ("std_msgs/msg/Bool", qos.RELIABLE, qos.RELIABLE),
    "emergency_stop_state": ("std_msgs/msg/Bool", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "robot_node/active": ("std_msgs/msg/Bool", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
    "~/ready": ("std_msgs/msg/Bool", qos.LATCHED, qos.LATCHED_SUBSCRIPTION),
}
"""The topics of the graph but those of the cameras: the type, and the profiles of publishers and subscriptions."""

RECORDED = {
    "action_chunk",
    "bootstrap",
    "execution_result",
    "task_reward",
    "chunk_outcome",
    "transition",
    "transition_ack",
    "episode_event",
    "episode_state",
    "operator_call",
    "handled_input",
    "takeover_state",
    "scripted_motion",
    "policy_version",
    "training_metrics",
    "episode_metrics",
    "follower_left/joint_states",
    "follower_right/joint_states",
    "leader_left/joint_states",
    "leader_right/joint_states",
    "repeated_ack",
    "human_feedback",
    "robot_node/active",
    "emergency_stop",
    "emergency_stop_state",
    "deadman",
    "discarded_episode",
    "policy_node/ready",
    "trainer_node/ready",
    "robot/left/joint_trajectory",
    "robot/right/joint_trajectory",
    "/clock",
    "/diagnostics",
    "/rosout",
}


def table() -> Iterator[topics.Topic]:
    """The topics that stand in the module, alone or by the side of the robot."""
    for value in vars(topics).values():
        for topic in value.values() if isinstance(value, dict) else (value,):
            if isinstance(topic, topics.Topic):
                yield topic


def described(topic: topics.Topic) -> tuple[str, object, object]:
    """The type and the profiles of a topic."""
    return topic.type_name, topic.profile, topic.read_profile


def test_the_table_has_the_names_types_and_profiles_of_the_graph() -> None:
    found = list(table())
    assert {topic.name: described(topic) for topic in found} == TOPICS
    assert len(found) == len(TOPICS)


def test_the_topics_by_side_are_those_of_their_side() -> None:
    for value in vars(topics).values():
        if isinstance(value, dict) and value and isinstance(next(iter(value.values())), topics.Topic):
            assert list(value) == ["left", "right"]
            assert all(side in topic.name for side, topic in value.items())


def test_the_images_of_a_camera_have_the_topic_that_the_robot_s_setting_says() -> None:
    images = "sensor_msgs/msg/Image", qos.IMAGE_PUBLISHER, qos.SENSOR
    topic = topics.simulated_images("cam_high", RobotConfig())
    assert (topic.name, described(topic)) == ("cam_high/camera/color/image_rect_raw", images)
    topic = topics.simulated_images("cam_high", RobotConfig(image_topic="usb/{camera}"))
    assert (topic.name, described(topic)) == ("usb/cam_high", images)


def test_all_that_a_replay_needs_is_recorded() -> None:
    assert {topic.name for topic in topics.RECORDED} == RECORDED
    assert len(topics.RECORDED) == len(RECORDED)


def test_each_topic_is_recorded_or_says_why_not() -> None:
    left_out = set(topics.NOT_RECORDED)
    assert {topic.name for topic in table()} <= RECORDED | left_out
    assert not left_out & RECORDED
    assert all(topics.NOT_RECORDED.values())


def test_each_node_that_says_whether_it_is_ready_is_recorded() -> None:
    slow = {entry.name for entry in NODES if issubclass(node_class(entry.name), WorkerNode)}
    assert {topic.name for topic in topics.READY_OF_NODES} == {f"{name}/ready" for name in slow}
    assert all(described(topic) == described(topics.READY) for topic in topics.READY_OF_NODES)


class Node(FakeNode):
    """A node that keeps with what it was asked for a publisher or a subscription."""

    def create_publisher(self, *given: object, **named: object) -> None:  # type: ignore[override]
        self.asked = given, named

    create_subscription = create_publisher  # type: ignore[assignment]


def hear(message: object) -> None:
    """Takes a message."""


@pytest.mark.parametrize("profile", [None, qos.SENSOR_LOCKSTEP], ids=["its own profile", "another profile"])
def test_a_node_publishes_and_subscribes_as_the_table_says(profile: qos.QoSProfile | None) -> None:
    node, topic = Node(), topics.FOLLOWER_STATES["left"]
    topic.create_publisher(node)  # type: ignore[arg-type]
    name, kind = "follower_left/joint_states", topic.message_type
    assert node.asked == ((kind, name, qos.STREAM_PUBLISHER), {})
    topic.create_subscription(node, hear, profile=profile)  # type: ignore[arg-type]
    assert node.asked == ((kind, name, hear, profile or qos.JOINT_STATES), {})
    topic.create_raw_subscription(node, hear)  # type: ignore[arg-type]
    assert node.asked == ((kind, name, hear, qos.JOINT_STATES), {"raw": True})
