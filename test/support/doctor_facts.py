"""Facts of a robot on which the command `doctor` has nothing to find fault with. Tests change single ones."""

from __future__ import annotations

import dataclasses
from typing import Any

from chunk_ppo_ros.config import MODELS, EnvConfig, PPOConfig, RobotConfig, TrainConfig
from chunk_ppo_ros.core.findings.finding import Finding
from chunk_ppo_ros.nodes.doctor.check_table import run_checks
from chunk_ppo_ros.nodes.doctor.facts import (
    CvBridgeFacts,
    Disk,
    DiskFacts,
    Facts,
    Gpu,
    GpuFacts,
    ModelFacts,
    RosFacts,
    WeightFacts,
)
from chunk_ppo_ros.nodes.doctor.graph_facts import DriverFacts, GraphFacts, ImageFacts, JointFacts, TopicFacts
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gripper_linkage import VX300S
from chunk_ppo_ros.runtime.description import NODES

CONFIG = TrainConfig(
    model=MODELS["gemma_2b_lora"],
    ppo=PPOConfig(freeze_image_tower=True),
    env=EnvConfig(simulator="none", realtime=True),
    robot=RobotConfig(
        backend="interbotix",
        state_timeout=0.2,
        max_acceleration=10.0,
        max_following_error=0.3,
        max_current=3000.0,
        max_gripper_current=600.0,
        warn_temperature=60.0,
        max_temperature=70.0,
        profile_velocity=3.14159,
        table_height=0.0,
        workspace_box=("x=-0.4/0.6", "y=-0.5/0.5", "z=-0.1/0.7"),
        confirm_start=True,
        hold_on_camera_fault=True,
    ),
)
MOTOR = 0.5
POSE = (*aloha.START_POSE[:6].tolist(), MOTOR, float(VX300S.finger_from_motor(MOTOR)))
JOINTS = (*aloha.ARM_JOINTS, "gripper", "left_finger")


def topic(name: str, *, rate: float, age: float = 0.01, publishers: tuple[str, ...] = ("/driver",)) -> TopicFacts:
    """Returns a topic on which 100 messages came at a steady rate."""
    return TopicFacts(name, publishers, tuple(number / rate for number in range(100)), (age,) * 100)


def arm(name: str, *, rate: float = 100.0, age: float = 0.01, positions: tuple[float, ...] = POSE) -> JointFacts:
    """Returns an arm in its start pose."""
    return JointFacts(name, topic(f"{name}/joint_states", rate=rate, age=age), JOINTS, positions)


def image(camera: str, **changes: Any) -> ImageFacts:
    """Returns a camera that sends lit images of 640x480 pixels."""
    facts = ImageFacts(
        camera,
        topic(f"{camera}/camera/color/image_raw", rate=30.0, age=0.05),
        encoding="rgb8",
        height=480,
        width=640,
        mean=120.0,
        spread=40.0,
    )
    return dataclasses.replace(facts, **changes)


def driver(name: str, **changes: Any) -> DriverFacts:
    """Returns a driver that is prepared."""
    facts = DriverFacts(
        name,
        mode="position",
        joints=aloha.ARM_JOINTS,
        ids=(1, 2, 4, 6, 7, 8),
        lower=tuple(aloha.LOWER_LIMITS[:6].tolist()),
        upper=tuple(aloha.UPPER_LIMITS[:6].tolist()),
        gripper_mode="current_based_position",
    )
    return dataclasses.replace(facts, **changes)


GRAPH = GraphFacts(
    nodes=tuple(node.name for node in NODES),
    followers=(arm("follower_left"), arm("follower_right")),
    leaders=(arm("leader_left"), arm("leader_right")),
    images=tuple(image(camera) for camera in aloha.CAMERAS),
    publishers={"episode_event": ("/reward_node",)},
    drivers=(driver("follower_left"), driver("follower_right")),
)
FACTS = Facts(
    config=CONFIG,
    ros=RosFacts("jazzy", "rmw_fastrtps_cpp", "7", "LOCALHOST", "", ""),
    gpu=GpuFacts((Gpu("NVIDIA H100", 80_000, 79_000),)),
    model=ModelFacts(num_parameters=2_900_000_000, num_trained=40_000_000),
    disk=DiskFacts(Disk("checkpoints", 1 << 40), Disk("runs", 1 << 40)),
    cv_bridge=CvBridgeFacts(is_installed=True),
    weights=WeightFacts(
        "step_3", settings={"model.action_horizon": 16}, state_dim=14, action_dim=14, ranges=(1.0,) * 14, size=9
    ),
    graph=GRAPH,
)


def findings_of(**changes: Any) -> dict[str, Finding]:
    """Returns the findings by name of these facts, of which some parts are changed."""
    found = run_checks(dataclasses.replace(FACTS, **changes))
    return {finding.name: finding for group in found.values() for finding in group}


def graph_findings(**changes: Any) -> dict[str, Finding]:
    """Returns the findings by name where parts of the graph are changed."""
    return findings_of(graph=dataclasses.replace(GRAPH, **changes))


def with_config(**sections: dict[str, Any]) -> TrainConfig:
    """Returns the configuration with some settings changed."""
    changed = {name: dataclasses.replace(getattr(CONFIG, name), **values) for name, values in sections.items()}
    return dataclasses.replace(CONFIG, **changed)
