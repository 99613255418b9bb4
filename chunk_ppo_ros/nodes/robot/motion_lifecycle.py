"""Gives a node the lifecycle of ROS 2 by which an operator lets the robot move, or not."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool

from chunk_ppo_ros.config.flags.service_calls import lifecycle_change
from chunk_ppo_ros.nodes.wire import topics


class MotionLifecycle(LifecycleNode):
    """A lifecycle node that may move the robot while it is active. It reads sensors and answers in every state.

    Before anything else it says that it is not active. Where it is started anew, the others know it again by its other
    topics, and policy_node would send a chunk before this node listens.

    Args:
        name: the name of the node.
    """

    _may_move = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._active_publisher = topics.ROBOT_ACTIVE.create_publisher(self)
        self._tell()

    @property
    def inactive(self) -> str:
        """The reason why the node must not move the robot, or an empty string while it is active."""
        if self._may_move:
            return ""
        name = self.get_fully_qualified_name()
        return (
            f"{self.get_name()} is not active; call `{lifecycle_change(name, 'activate')}`, and before it "
            f"`{lifecycle_change(name, 'configure')}` where it is unconfigured"
        )

    def start(self, *, autostart: bool) -> None:
        """Configures and activates the node if `autostart` is set. Otherwise, and later, an operator does."""
        if autostart:
            self.trigger_configure()
            self.trigger_activate()

    def halted(self) -> None:
        """Is called when the node must not move the robot from now on."""

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets the robot move."""
        self._may_move = True
        self._tell()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops the robot, which brakes and holds."""
        self._halt()
        return super().on_deactivate(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops the robot for good."""
        self._halt()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stops the robot after a transition that failed. The node can be configured again."""
        self._halt()
        return super().on_error(state)

    def _halt(self) -> None:
        self._may_move = False
        self._tell()  # Before the policy learns that its chunk is cancelled.
        self.halted()

    def _tell(self) -> None:
        self._active_publisher.publish(Bool(data=self._may_move))
