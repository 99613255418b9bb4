"""Makes the status of the back end that robot_node publishes on /diagnostics beside its own."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from chunk_ppo_ros.nodes.common.peers.robot_readiness import BACK_END_STATUS
from chunk_ppo_ros.nodes.robot.robot_backends import RobotBackend, features_of, findings_of, problem_of


def backend_status(backend: RobotBackend) -> DiagnosticStatus:
    """Returns what a back end says of its drivers: ERROR where they do not move the arms, WARN where it has advice."""
    findings, features, problem = findings_of(backend), features_of(backend), problem_of(backend)
    advice = "; ".join(f"{each.name}: {each.advice}" for each in findings if each.advice)
    level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.WARN if advice else DiagnosticStatus.OK
    values = [KeyValue(key=each.name, value=each.value) for each in findings]
    if features is not None:
        values = [
            KeyValue(key="backend", value=features.backend),
            KeyValue(key="features", value=features.summary()),
            *values,
        ]
    return DiagnosticStatus(
        level=level,
        name=BACK_END_STATUS,
        message=problem or advice or "commands reach the arms",
        values=values,
    )
