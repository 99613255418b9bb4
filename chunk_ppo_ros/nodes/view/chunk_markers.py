"""Makes the markers that show the chunk that was asked for beside the one that was executed.

`visualization_msgs` is imported when the first markers are made, because the graph runs without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Point

from chunk_ppo_ros.nodes.view.chunk_paths import ExecutedPath
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.robot import aloha

FRAME = "aloha"
"""The frame of the markers, that of the table. No transform is needed where it is the fixed frame of the display."""
ASKED, EXECUTED, LIMITED = (0.25, 0.55, 1.0, 0.9), (1.0, 0.6, 0.1, 0.9), (1.0, 0.1, 0.1, 1.0)
"""The colors of the three kinds of markers: blue, orange and red; red, green, blue and opacity within 0..1."""
LINE_WIDTH, POINT_WIDTH = 0.004, 0.012
"""The widths of lines and of points, m."""


def marker_array_type() -> type | None:
    """Returns the type of the markers' message, or None where visualization_msgs is not installed."""
    try:
        from visualization_msgs.msg import MarkerArray
    except ImportError:
        return None
    kind: type = MarkerArray
    return kind


def asked_markers(side: str, points: np.ndarray, *, stamp: int) -> list[Any]:
    """Returns the path of one arm that was asked for. What was executed before is removed until it is known again.

    Args:
        side: left or right.
        points: float [k, 3], the targets of the gripper, m.
        stamp: the stamp of the chunk, ns of ROS time.
    """
    removed = [_marker(f"{name}/{side}", "DELETE", stamp) for name in ("executed", "limited")]
    return [_line(f"asked/{side}", points, ASKED, stamp), *removed]


def executed_markers(side: str, path: ExecutedPath, *, human: bool, stamp: int) -> list[Any]:
    """Returns the path of one arm that was executed, with points where a limit changed a target.

    Args:
        side: left or right.
        path: the path.
        human: whether a human drove it, so that no path was asked for.
        stamp: the stamp of the chunk, ns of ROS time.
    """
    limited = _marker(f"limited/{side}", "ADD" if path.limited.any() else "DELETE", stamp)
    limited.type = limited.POINTS
    limited.scale.x = limited.scale.y = POINT_WIDTH
    _color(limited, LIMITED)
    limited.points = _points(path.points[path.limited])
    removed = [_marker(f"asked/{side}", "DELETE", stamp)] if human else []
    return [_line(f"executed/{side}", path.points, EXECUTED, stamp), limited, *removed]


def _line(name: str, points: np.ndarray, color: tuple[float, ...], stamp: int) -> Any:
    """Returns a line, or the removal of it where it has fewer than two points."""
    line = _marker(name, "ADD" if len(points) > 1 else "DELETE", stamp)
    line.type = line.LINE_STRIP
    line.scale.x = LINE_WIDTH
    _color(line, color)
    line.points = _points(points)
    return line


def _marker(name: str, action: str, stamp: int) -> Any:
    from visualization_msgs.msg import Marker

    marker = Marker(header=header_of(stamp, frame_id=FRAME), ns=name, action=getattr(Marker, action))
    marker.pose.orientation.w = 1.0
    return marker


def _color(marker: Any, color: tuple[float, ...]) -> None:
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = color


def _points(points: np.ndarray) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in points.astype(float).tolist()]


MARKER_NAMES = tuple(f"{name}/{side}" for name in ("asked", "executed", "limited") for side in aloha.SIDES)
"""The namespaces of all markers, which displays can switch off one by one."""
