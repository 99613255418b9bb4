"""Checks what Interbotix's drivers of the followers tell by get_robot_info: joints, limits and operating modes."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped
from chunk_ppo_ros.nodes.common.interbotix_interfaces import GRIPPER_MODE
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.graph_facts import DriverFacts
from chunk_ppo_ros.nodes.robot.interbotix import driver_checks

INTERBOTIX = "interbotix"
FIRST_GRIPPER_MODE = "linear_position"
"""The mode in which aloha_bringup starts the grippers."""


def arms(facts: Facts) -> Iterator[Finding]:
    """Says whether the joints, the limits and the mode of each arm are those that robot_node asks for."""
    if facts.graph is None:
        yield skipped("get_robot_info", NOT_LOOKED)
        return
    if facts.config.robot.backend != INTERBOTIX:
        yield skipped("get_robot_info", f"robot.backend is {facts.config.robot.backend}")
        return
    for driver in facts.graph.drivers:
        yield _arm(driver)
        if not driver.problem:
            yield _gripper(driver, is_prepared="robot_node" in facts.graph.nodes)


def _arm(driver: DriverFacts) -> Finding:
    name = f"arm of {driver.arm}"
    if driver.problem:
        advice = "start the driver of the arm, in a shell in which the workspace with its messages is sourced"
        return error(name, driver.problem, advice)
    try:
        driver_checks.check_arm(
            mode=driver.mode, names=driver.joints, ids=driver.ids, lower=driver.lower, upper=driver.upper
        )
    except driver_checks.DriverRefused as refusal:
        found, _, advice = str(refusal).rpartition("; ")
        return error(name, found, advice)
    return ok(name, f"mode {driver.mode}, six joints in our order, the limits of aloha_vx300s")


def _gripper(driver: DriverFacts, *, is_prepared: bool) -> Finding:
    """Judges the mode of a gripper, which robot_node sets when it starts."""
    name, mode, wanted = f"gripper of {driver.arm}", driver.gripper_mode, GRIPPER_MODE
    if mode == wanted:
        return ok(name, f"mode {mode}")
    if mode == FIRST_GRIPPER_MODE and not is_prepared:
        return ok(name, f"mode {mode}, as aloha_bringup starts it; robot_node sets {wanted} when it starts")
    return error(name, f"mode {mode or 'unknown'}, not {wanted}", "call the service prepare_robot of robot_node")


CHECKS = (arms,)
