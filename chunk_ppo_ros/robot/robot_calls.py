"""The command lines of robot_node's services that texts of this folder name, so that people can copy them."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.flags.service_calls import service_call


@dataclasses.dataclass(frozen=True)
class RobotCalls:
    """Writes the command lines as they are typed for one robot.

    Attributes:
        namespace: the namespace of robot_node, such as /cell_1; empty or "/" without one.
    """

    namespace: str = ""

    @property
    def confirm_motion(self) -> str:
        """The command line by which an operator lets a robot that waits move."""
        return self._trigger("confirm_motion")

    @property
    def leaders_gripped(self) -> str:
        """The command line by which an operator says that the leaders are gripped."""
        return self._trigger("leaders_gripped")

    @property
    def release_leaders(self) -> str:
        """The command line by which an operator has the leaders let go."""
        return self._trigger("release_leaders")

    @property
    def way_out(self) -> str:
        """What is to be done where the robot waits for an operator."""
        return f"look at the robot, then call `{self.confirm_motion}` or start an episode"

    def _trigger(self, name: str) -> str:
        return service_call(f"{self.namespace.rstrip('/')}/robot_node/{name}", "std_srvs/srv/Trigger")


WITHOUT_NAMESPACE = RobotCalls()
"""The command lines where robot_node has no namespace."""
