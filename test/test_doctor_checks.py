"""Tests what the command `doctor` finds in facts: a table of changes to a faultless robot, and of what is said."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from chunk_ppo_ros.core.findings import text as report
from chunk_ppo_ros.core.findings.finding import Finding, Level, ok
from chunk_ppo_ros.nodes.doctor.check_table import GROUPS, Group, run_checks
from chunk_ppo_ros.nodes.doctor.facts import CvBridgeFacts, Disk, DiskFacts, Gpu, GpuFacts, ModelFacts, WeightFacts
from chunk_ppo_ros.nodes.doctor.graph_facts import Diagnostic, DriverFacts, JointFacts, ManagerFacts, TopicFacts
from chunk_ppo_ros.robot.gripper_linkage import ALOHA_VX300S
from support.doctor_facts import (
    CONFIG,
    FACTS,
    GRAPH,
    JOINTS,
    MOTOR,
    POSE,
    arm,
    driver,
    findings_of,
    graph_findings,
    image,
    topic,
    with_config,
)

GIBIBYTE = 1 << 30
RIGHT = GRAPH.followers[1]
SLEEP = (0.0, -2.05, 1.7, 0.0, -2.0, 0.0, *POSE[6:])


def lines(found: dict[str, Finding]) -> str:
    return "\n".join(f"{finding.level.value} {finding.name}: {finding.found}" for finding in found.values())


def ros(**changes: str) -> dict[str, Any]:
    return {"ros": dataclasses.replace(FACTS.ros, **changes)}


def weights(**changes: Any) -> dict[str, Any]:
    return {"weights": dataclasses.replace(FACTS.weights, **changes)}


def left(**changes: Any) -> dict[str, Any]:
    return {"followers": (arm("follower_left", **changes), RIGHT)}


def test_nothing_is_found_where_all_is_well() -> None:
    found = findings_of()
    assert [name for name, finding in found.items() if finding.level in (Level.WARN, Level.ERROR)] == [], lines(found)
    assert found["controller manager"].level is Level.SKIPPED
    assert set(run_checks(FACTS)) == {group.name for group in GROUPS}


@pytest.mark.parametrize(
    ("changes", "name", "level", "found", "advice"),
    [
        (ros(distribution=""), "ROS_DISTRO", Level.SKIPPED, "no release of ROS is sourced", ""),
        (ros(domain="300"), "ROS_DOMAIN_ID", Level.ERROR, "'300' is no ROS domain", "0..232"),
        (ros(domain=""), "ROS_DOMAIN_ID", Level.OK, "0", ""),
        (ros(discovery_range=""), "ROS_AUTOMATIC_DISCOVERY_RANGE", Level.WARN, "anyone on the network", "=LOCALHOST"),
        (ros(discovery_range="SUBNET"), "ROS_AUTOMATIC_DISCOVERY_RANGE", Level.WARN, "SUBNET: anyone", "=LOCALHOST"),
        (ros(discovery_range="local"), "ROS_AUTOMATIC_DISCOVERY_RANGE", Level.ERROR, "'local' is unknown", "SUBNET"),
        (
            ros(discovery_range="", localhost_only="1"),
            "ROS_AUTOMATIC_DISCOVERY_RANGE",
            Level.WARN,
            "outdated ROS_LOCALHOST_ONLY",
            "in its place",
        ),
        (ros(static_peers="10.0.0.2"), "ROS_STATIC_PEERS", Level.OK, "10.0.0.2", ""),
        (ros(static_peers="10.0.0.2", discovery_range="OFF"), "ROS_STATIC_PEERS", Level.ERROR, "10.0.0.2", "LOCALHOST"),
        ({"gpu": GpuFacts(problem="none")}, "memory", Level.WARN, "far too slow on a CPU", "install"),
        ({"gpu": GpuFacts((Gpu("T4", 16_000, 16_000),))}, "memory", Level.ERROR, "T4 has 16000 MiB", "ppo.freeze_"),
        ({"gpu": GpuFacts((Gpu("A6000", 48_000, 900),))}, "memory", Level.WARN, "900 MiB free", "end the other"),
        (
            {"disk": DiskFacts(Disk("checkpoints", 30 * GIBIBYTE), FACTS.disk.recordings)},
            "checkpoints",
            Level.ERROR,
            "30.0 GiB are free for checkpoints; 5 checkpoints",
            "run.keep_checkpoints",
        ),
        (
            {"disk": DiskFacts(FACTS.disk.checkpoints, Disk("runs", GIBIBYTE))},
            "recordings",
            Level.WARN,
            "1.0 GiB are free for runs; a recording may grow to 20.0 GiB",
            "run.bag_total_size",
        ),
        (
            {"disk": DiskFacts(FACTS.disk.checkpoints, Disk("runs", 30 * GIBIBYTE))},
            "transitions",
            Level.WARN,
            "30.0 GiB are free for runs; stored transitions may grow to 50.0 GiB (run.max_disk), by up to 4.84 GiB",
            "run.max_disk",
        ),
        (
            {"config": with_config(robot={"max_acceleration": 0.0, "max_current": 0.0, "table_height": -1.0})},
            "limits that are off",
            Level.WARN,
            "robot.max_acceleration 0, robot.max_current 0, robot.table_height -1",
            "config/robot.yaml",
        ),
        (
            {"config": with_config(robot={"workspace_box": (), "profile_velocity": 0.0, "warn_temperature": 0.0})},
            "limits that are off",
            Level.WARN,
            "robot.warn_temperature 0, robot.profile_velocity 0, robot.workspace_box empty",
            "config/robot.yaml",
        ),
        (
            {
                "config": with_config(
                    robot={"align_leaders": True, "confirm_start": False, "hold_on_camera_fault": False}
                )
            },
            "limits that are off",
            Level.WARN,
            "robot.leader_max_current 0, robot.confirm_start false, robot.hold_on_camera_fault false",
            "config/robot.yaml",
        ),
        (
            {"config": with_config(env={"mirror": "kinematic"}, robot={"hold_on_camera_fault": False})},
            "limits that are off",
            Level.OK,
            "none",
            "",
        ),
        (
            {
                "config": with_config(
                    robot={
                        "backend": "ros2_control",
                        "max_current": 0.0,
                        "max_temperature": 0.0,
                        "leader_max_current": 0.0,
                    }
                )
            },
            "limits that are off",
            Level.OK,
            "none",
            "",
        ),
        ({"config": with_config(env={"simulator": "mujoco"})}, "limits that are off", Level.SKIPPED, "mujoco", ""),
        ({"weights": None}, "checkpoint", Level.SKIPPED, "no checkpoint is named", ""),
        ({"weights": None}, "statistics", Level.SKIPPED, "no checkpoint", ""),
        ({"weights": WeightFacts("a", problem="it is damaged")}, "checkpoint", Level.ERROR, "it is damaged", "correct"),
        (weights(state_dim=7), "statistics", Level.ERROR, "7 dimensions of states and 14", "norm_stats.json"),
        (weights(ranges=(1.0, 0.001, *[1.0] * 12)), "statistics", Level.WARN, "dimensions 1 of the states", "norm-st"),
        (weights(settings={}), "settings", Level.SKIPPED, "openpi's do not", ""),
        (
            weights(settings={"model.cameras": ["base_0_rgb"]}),
            "settings",
            Level.ERROR,
            "model.cameras was ['base_0_rgb'] when",
            "set model.cameras as it was",
        ),
        ({"cv_bridge": CvBridgeFacts(is_installed=False)}, "cv_bridge", Level.SKIPPED, "not installed", ""),
        ({"cv_bridge": CvBridgeFacts(True, "it differs")}, "cv_bridge", Level.WARN, "it differs", "other programs"),
    ],
)
def test_the_workstation(changes: dict[str, Any], name: str, level: Level, found: str, advice: str) -> None:
    finding = findings_of(**changes)[name]
    assert finding.level is level
    assert found in finding.found
    assert advice in finding.advice and bool(advice) == bool(finding.advice)


def test_a_small_model_needs_no_gpu() -> None:
    found = findings_of(model=ModelFacts(900_000, 900_000), gpu=GpuFacts(problem="none"))
    assert found["memory"].level is Level.SKIPPED


@pytest.mark.parametrize(
    ("changes", "name", "level", "found", "advice"),
    [
        (
            {"followers": (JointFacts("follower_left", TopicFacts("follower_left/joint_states")), RIGHT)},
            "follower_left/joint_states",
            Level.ERROR,
            "nobody publishes",
            "start the driver",
        ),
        (
            {"followers": (JointFacts("follower_left", TopicFacts("l/joint_states", ("/l/xs_sdk",))), RIGHT)},
            "l/joint_states",
            Level.ERROR,
            "/l/xs_sdk publishes on it, and nothing comes",
            "reads its motors",
        ),
        (left(rate=30.0), "rate of follower_left/joint_states", Level.WARN, "30.0 Hz", "latency_timer"),
        (left(rate=4.0), "rate of follower_left/joint_states", Level.ERROR, "gap 250 ms", "latency_timer"),
        (left(positions=SLEEP), "position of follower_left", Level.WARN, "shoulder -2.05", "sleep pose"),
        (left(positions=(-math.pi,) * 8), "position of follower_left", Level.ERROR, "all joints are at -pi", "cables"),
        (left(positions=(0.0,) * 8), "position of follower_left", Level.WARN, "exactly 0", "stands there"),
        (left(positions=(0.0, 2.0, *POSE[2:])), "position of follower_left", Level.ERROR, "shoulder 2.00", "homing"),
        (
            {"followers": (dataclasses.replace(RIGHT, names=("hip", *JOINTS[1:])),)},
            "joints of follower_right/joint_states",
            Level.ERROR,
            "without waist",
            "check the driver",
        ),
        (left(age=-3600.0), "age of follower_left/joint_states", Level.ERROR, "in the future", "chrony"),
        (left(age=0.15), "age of follower_left/joint_states", Level.WARN, "150.0 ms", "chrony"),
        (left(age=3.0), "age of follower_left/joint_states", Level.ERROR, "robot.state_timeout is 0.2 s", "chrony"),
        (
            left(positions=(*POSE[:7], float(ALOHA_VX300S.finger_from_motor(MOTOR)))),
            "linkage of follower_left",
            Level.WARN,
            "fits aloha_vx300s, and the settings say another",
            "driver_linkage=0.0275/0.035",
        ),
        (left(positions=(*POSE[:7], 0.03)), "linkage of follower_left", Level.WARN, "fits none", "motor_configs"),
        (left(positions=(*POSE[:6], 1.49, 0.058)), "opening of follower_left", Level.OK, "1.00", ""),
        (
            {"images": (), "other_images": ("/cam_high/color/image",)},
            "cam_high",
            Level.ERROR,
            "but somebody does on /cam_high/color/image",
            "robot.image_topic",
        ),
        ({"images": ()}, "cam_high", Level.ERROR, "nobody publishes on", "start its driver"),
        (
            {"images": (image("cam_high", topic=TopicFacts("high", ("/cam",))),)},
            "cam_high",
            Level.ERROR,
            "nothing comes on high (/cam)",
            "cable",
        ),
        ({"images": (image("cam_high", mean=3.0, spread=1.0),)}, "image of cam_high", Level.ERROR, "dark", "lens"),
        ({"images": (image("cam_high", problem="no yuv"),)}, "image of cam_high", Level.ERROR, "no yuv", "rgb8"),
        (
            {"images": (image("cam_high"), image("cam_left_wrist", width=848))},
            "image of cam_high",
            Level.WARN,
            "the cameras have the sizes 640x480, 848x480",
            "color_profile",
        ),
        ({"images": (image("cam_high", topic=topic("h", rate=9.0)),)}, "rate of cam_high", Level.WARN, "9.0", "30 Hz"),
        ({"images": (image("cam_high", topic=topic("h", rate=0.1)),)}, "rate of cam_high", Level.ERROR, "0.1", "cable"),
        (
            {"drivers": (DriverFacts("follower_left", problem="no messages"),)},
            "arm of follower_left",
            Level.ERROR,
            "no messages",
            "workspace",
        ),
        ({"drivers": (driver("l", mode="velocity"),)}, "arm of l", Level.ERROR, "got velocity", "drops the torque"),
        ({"drivers": (driver("l", upper=(1.0,) * 6),)}, "arm of l", Level.ERROR, "waist 1.000", "aloha_vx300s"),
        ({"drivers": (driver("l", gripper_mode="pwm"),)}, "gripper of l", Level.ERROR, "mode pwm", "prepare_robot"),
        (
            {"drivers": (driver("l", gripper_mode="linear_position"),), "nodes": ()},
            "gripper of l",
            Level.OK,
            "as aloha_bringup starts it",
            "",
        ),
        (
            {"drivers": (driver("l", gripper_mode="linear_position"),)},
            "gripper of l",
            Level.ERROR,
            "linear_position",
            "prepare_robot",
        ),
        ({"nodes": ("rviz",)}, "graph", Level.SKIPPED, "no node of this package runs", ""),
        ({"nodes": ("robot_node",)}, "graph", Level.WARN, "policy_node", "logs"),
        (
            {"publishers": {"episode_event": ("/a", "/b")}},
            "publishers of episode_event",
            Level.ERROR,
            "/a, /b publish",
            "stop",
        ),
        (
            {"diagnostics": (Diagnostic("robot_node", True, False, "stopped: by hand"),)},
            "diagnostics of robot_node",
            Level.ERROR,
            "stopped: by hand",
            "troubles.md",
        ),
        (
            {"diagnostics": (Diagnostic("robot_node", False, True, "suspended"),)},
            "diagnostics of robot_node",
            Level.WARN,
            "suspended",
            "troubles.md",
        ),
    ],
)
def test_the_robot(changes: dict[str, Any], name: str, level: Level, found: str, advice: str) -> None:
    finding = graph_findings(**changes)[name]
    assert finding.level is level, finding
    assert found in finding.found
    assert advice in finding.advice and bool(advice) == bool(finding.advice)


@pytest.mark.parametrize(
    ("manager", "level", "found"),
    [
        (ManagerFacts("follower_left", update_rate=10), Level.ERROR, "update_rate 10 Hz"),
        (ManagerFacts("follower_left", update_rate=50), Level.OK, "update_rate 50 Hz"),
        (ManagerFacts("follower_left", problem="it is not there"), Level.WARN, "it is not there"),
    ],
)
def test_a_controller_manager_must_be_as_fast_as_the_policy(manager: ManagerFacts, level: Level, found: str) -> None:
    graph = dataclasses.replace(GRAPH, managers=(manager,))
    findings = findings_of(config=with_config(robot={"backend": "ros2_control"}), graph=graph)
    finding = findings["controller manager of follower_left"]
    assert finding.level is level
    assert found in finding.found
    assert findings["get_robot_info"].level is Level.SKIPPED


def test_an_opening_far_outside_its_range_is_of_another_convention() -> None:
    config = with_config(robot={"gripper_convention": "interbotix"})
    closed = arm("follower_left", positions=(*POSE[:6], -0.6213, 0.0184))  # openpi's closed gripper
    finding = findings_of(config=config, graph=dataclasses.replace(GRAPH, followers=(closed, RIGHT)))
    # (0.01842 - 0.0440) / (0.0579 - 0.0440) = -1.84
    assert finding["opening of follower_left"].level is Level.WARN
    assert "-1.84" in finding["opening of follower_left"].found


def test_an_optional_camera_that_is_silent_is_no_error() -> None:
    config = with_config(robot={"optional_cameras": ("cam_high",)})
    found = findings_of(config=config, graph=dataclasses.replace(GRAPH, images=()))
    assert [found[name].level for name in ("cam_high", "cam_left_wrist")] == [Level.WARN, Level.ERROR]


def test_a_simulator_in_lockstep_may_be_silent_and_has_times_of_its_own() -> None:
    config = with_config(env={"simulator": "mujoco", "realtime": False}, robot={"backend": "ros2_control"})
    silent = JointFacts("follower_left", TopicFacts("follower_left/joint_states", ("/sim_node",)))
    images = (image("cam_high", topic=TopicFacts("high", ("/sim_node",))),)
    found = findings_of(config=config, graph=dataclasses.replace(GRAPH, followers=(silent, RIGHT), images=images))
    for name in (
        "follower_left/joint_states",
        "rate of follower_right/joint_states",
        "cam_high",
        "stamps",
        "controller manager",
    ):
        assert found[name].level is Level.SKIPPED, found[name]


def test_the_checks_of_a_robot_that_was_not_looked_at_are_left_out() -> None:
    found = findings_of(graph=None)
    left_out = ("topics", "linkage", "stamps", "get_robot_info", "controller manager", "graph")
    assert {found[name].level for name in left_out} == {Level.SKIPPED}
    assert {found[name].found for name in left_out} == {"only the workstation was looked at (--workstation)"}


def test_a_check_that_fails_hides_no_other() -> None:
    def breaks(facts: object) -> list[Finding]:
        raise KeyError("gripper")

    found = run_checks(FACTS, [Group("one", (breaks, lambda facts: [ok("rest", "well")]))])["one"]
    assert [finding.level for finding in found] == [Level.ERROR, Level.OK]
    assert "this check itself failed: KeyError('gripper')" in found[0].found
    assert found[0].name == "breaks"


def test_the_table_and_the_json_say_the_same() -> None:
    findings = {
        "arms": [Finding("left", Level.ERROR, "no power", "switch it on"), ok("right", "well")],
        "cameras": [Finding("high", Level.WARN, "long " * 40, "short")],
    }
    table = report.as_table(findings)
    assert table.startswith("arms\n  ERROR    left: no power\n             -> switch it on\n  OK       right: well\n\n")
    assert table.endswith("1 OK, 1 WARN, 1 ERROR, 0 SKIPPED")
    assert max(map(len, table.splitlines())) <= 118
    read = json.loads(report.as_json(findings))
    assert read["format"] == 1
    assert read["counts"] == {"OK": 1, "WARN": 1, "ERROR": 1, "SKIPPED": 0}
    assert read["findings"][0] == {
        "group": "arms",
        "name": "left",
        "level": "ERROR",
        "found": "no power",
        "advice": "switch it on",
    }
    assert report.has_errors(findings)
    assert not report.has_errors({"arms": findings["arms"][1:]})
    assert CONFIG.env.is_real
