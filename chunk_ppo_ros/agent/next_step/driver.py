"""Knows who drives the robot, as robot_node reports it."""

from __future__ import annotations


class Driver:
    """Who drives the robot.

    Args:
        human: whether a human drove when an earlier process of policy_node ended.
        known_until: the stamp of the newest chunk of that process, ns of ROS time.

    Attributes:
        is_human: whether a human drives.
    """

    def __init__(self, *, human: bool = False, known_until: int = 0) -> None:
        self.is_human = human
        self._known_until: int | None = known_until  # until the first report
        self._reported_at = 0  # the stamp of the newest report, ns of ROS time
        self._refused_at = 0  # the end of the newest chunk that was refused because a human drives, ns of ROS time

    @property
    def is_taking_over(self) -> bool:
        """Whether a chunk was refused because a human drives, and the report of that takeover has not arrived yet."""
        return self._refused_at > self._reported_at

    def report(self, *, human: bool, stamp: int, segment: int) -> int:
        """Takes a report of robot_node, and returns how often the driver has changed since the report before.

        A human who took over and handed back while policy_node was dead is known by the segment, which is newer than
        the chunks of that time.

        Args:
            human: whether a human drives.
            stamp: the ROS time of the report, ns.
            segment: the stamp of the newest segment that a human drove, ns of ROS time; 0 if there is none.
        """
        known_until, self._known_until = self._known_until, None
        self._reported_at = max(self._reported_at, stamp)
        changed = human != self.is_human
        self.is_human = human
        if known_until is not None and not human and not changed and segment > known_until > 0:
            return 2
        return int(changed)

    def refused(self, stamp: int) -> None:
        """Records that a chunk was refused because a human drives, at a ROS time in ns."""
        self._refused_at = max(self._refused_at, stamp)

    def forget_refusal(self) -> None:
        """Forgets the chunk that was refused, because its episode is over."""
        self._refused_at = 0

    def note_clock(self, now: int) -> None:
        """Records the ROS time, ns, where it was set back behind what is known."""
        self._reported_at, self._refused_at = min(self._reported_at, now), min(self._refused_at, now)
