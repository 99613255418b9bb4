"""Makes the status of the back end that robot_node publishes on /diagnostics beside its own."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from chunk_ppo_ros.nodes.common.peers.robot_readiness import BACK_END_STATUS, REACHES_ARMS
from chunk_ppo_ros.nodes.common.status.diagnostics import key_values
from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, features_of, findings_of, problem_of
from chunk_ppo_ros.nodes.robot.start_wait import StartWait


def backend_status(backend: RobotBackend, start: StartWait) -> DiagnosticStatus:
    """Returns what a back end says of its drivers.

    It is an ERROR where commands do not move the arms, but a WARN where drivers are waited for in the usual time after
    the start. It is a WARN too where the back end has advice.

    Args:
        backend: the back end.
        start: knows which waits are usual.
    """
    findings, features, problem = findings_of(backend), features_of(backend), problem_of(backend)
    advice = "; ".join(f"{each.name}: {each.advice}" for each in findings if each.advice)
    wait = start.usual(problem, now=time.monotonic())
    level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.WARN if advice else DiagnosticStatus.OK
    if wait:
        level = DiagnosticStatus.WARN
    values = [KeyValue(key=each.name, value=each.value) for each in findings]
    values += key_values({REACHES_ARMS: not problem})
    if features is not None:
        values = [
            KeyValue(key="backend", value=features.backend),
            KeyValue(key="features", value=features.summary()),
            *values,
        ]
    return DiagnosticStatus(
        level=level,
        name=BACK_END_STATUS,
        message=wait or problem or advice or "commands reach the arms",
        values=values,
    )
