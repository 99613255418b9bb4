"""Shortens the lines that ROS logs for a terminal, which shows the name of the node already."""

from __future__ import annotations

import re

_LOGGED = re.compile(r"(?P<severity>\[[A-Z]+\]) \[\d+\.\d+\] \[(?P<logger>[^]]*)\]: (?P<text>.*)", re.DOTALL)
"""A line in the format of ROS where RCUTILS_CONSOLE_OUTPUT_FORMAT is not set: severity, Unix time, s, logger and text.
https://docs.ros.org/en/jazzy/Tutorials/Demos/Logging-and-logger-configuration.html"""


def shown_line(line: str, *, node: str) -> str:
    """Returns a line of a node without its time, and without the node's own name.

    A line in another format, such as the user's own, stays as it is. The name of another logger stays, too.

    Args:
        line: the line, without the name that the supervisor puts before it.
        node: the name of the node.
    """
    logged = _LOGGED.fullmatch(line)
    if logged is None:
        return line
    severity, logger, text = logged["severity"], logged["logger"], logged["text"]
    is_own = logger.rpartition(".")[2] == node  # Before the point is the namespace.
    return f"{severity} {text}" if is_own else f"{severity} [{logger}]: {text}"
