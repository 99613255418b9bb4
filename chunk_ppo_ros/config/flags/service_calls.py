"""Writes the command lines by which people call services on this machine, and finds them in texts."""

from __future__ import annotations

import functools
import re
import shutil

from chunk_ppo_ros.config.flags.program import command_line

SERVICE_CALL = re.compile(r"(?:ros2 service call /[\w/]+ [\w/]+|chunk_ppo call /[\w/]+)(?: (?:'\{.*?\}'|\"\{.*?\}\"))?")
"""Finds what `service_call` writes. The request may stand in double quotes too."""


@functools.cache
def has_ros2() -> bool:
    """Returns whether this machine has the command `ros2`, which the wheels of ROS do not bring."""
    return shutil.which("ros2") is not None


def service_call(name: str, service_type: str, request: str = "") -> str:
    """Returns the command line that calls a service: that of `ros2` where it is there, and otherwise that of `call`.

    Args:
        name: the full name of the service.
        service_type: its type, such as std_srvs/srv/Trigger. `call` finds it by itself.
        request: the request, where it has fields.
    """
    words = f"ros2 service call {name} {service_type}" if has_ros2() else command_line("call", name)
    return words + (f" '{request}'" if request else "")


def lifecycle_change(node: str, transition: str) -> str:
    """Returns the command line that brings a lifecycle node to another state.

    Args:
        node: the full name of the node.
        transition: such as activate.
    """
    if has_ros2():
        return f"ros2 lifecycle set {node} {transition}"
    request = f"{{transition: {{label: {transition}}}}}"
    return service_call(f"{node}/change_state", "lifecycle_msgs/srv/ChangeState", request)
