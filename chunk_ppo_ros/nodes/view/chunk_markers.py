"""Makes the markers that show what a chunk asked for beside what was executed, and what the running chunk asks for.

`visualization_msgs` is imported when the first markers are made, because the graph runs without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Point

from chunk_ppo_ros.nodes.view.chunk_paths import ExecutedPath
from chunk_ppo_ros.nodes.wire.arrays import header_of

FRAME = "aloha"
"""The frame of the markers, that of the table. No transform is needed where it is the fixed frame of the display."""
RUNNING, ASKED = (0.6, 0.8, 1.0, 0.5), (0.25, 0.55, 1.0, 0.9)
EXECUTED, LIMITED = (1.0, 0.6, 0.1, 0.9), (1.0, 0.1, 0.1, 1.0)
"""The colors of the four kinds of markers: pale blue, blue, orange, red; red, green, blue, opacity within 0..1."""
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


def running_markers(side: str, points: np.ndarray, *, stamp: int) -> list[Any]:
    """Returns the path of one arm that the newest chunk asks for. What is drawn of the chunk before it stays.

    Args:
        side: left or right.
        points: float [k, 3], the targets of the gripper, m.
        stamp: the stamp of the chunk, ns of ROS time.
    """
    return [_line(f"running/{side}", points, RUNNING, stamp)]


def ended_markers(side: str, path: ExecutedPath, *, asked: np.ndarray, human: bool, stamp: int) -> list[Any]:
    """Returns the path of one arm that a chunk asked for, the executed one, and where a limit changed a target.

    They stay until the next chunk has ended, so that there is time to compare them.

    Args:
        side: left or right.
        path: the executed path.
        asked: float [k, 3], the targets of the gripper, m; empty where they are not known.
        human: whether a human drove it, so that no path is asked for.
        stamp: the stamp of the chunk, ns of ROS time.
    """
    limited = _marker(f"limited/{side}", "ADD" if path.limited.any() else "DELETE", stamp)
    limited.type = limited.POINTS
    limited.scale.x = limited.scale.y = POINT_WIDTH
    _color(limited, LIMITED)
    limited.points = _points(path.points[path.limited])
    removed = [_marker(f"running/{side}", "DELETE", stamp)] if human else []
    lines = [_line(f"asked/{side}", asked, ASKED, stamp), _line(f"executed/{side}", path.points, EXECUTED, stamp)]
    return [*lines, limited, *removed]


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
