"""Lets a human bring robot and scene to the start of an episode by the leader arms (episode.reset: teleoperated)."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs.msg import EpisodeEvent
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.episode import TELEOPERATED
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.robot.leaders.takeover import Takeover
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.leaders.gestures import SQUEEZE
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

PERIOD = 0.05
"""The seconds between two looks at the gesture that ends a reset."""
GESTURE = "double squeeze of both leaders"
_ENDS_RESET = (EpisodeEvent.READY, EpisodeEvent.STARTED, EpisodeEvent.ENDED)


class TeleoperatedReset:
    """Begins to let a human drive at each reset, and hands back when the reset is done. Nothing of it is recorded.

    Args:
        node: the node that owns the timer and the client.
        calls: publishes the gesture.
        takeover: lets a human drive.
    """

    def __init__(self, node: Node, calls: OperatorCalls, takeover: Takeover) -> None:
        self._node = node
        self._calls = calls
        self._takeover = takeover
        self._is_active = False
        call = services.RESET_DONE.command_in(node.get_namespace())
        self._task = f"bring robot and scene to the start; then {SQUEEZE}, or call {call}, and keep holding the leaders"
        self._done = services.RESET_DONE.create_client(node)
        node.create_timer(PERIOD, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_event(self, event: int) -> None:
        """Takes the event of an EpisodeEvent. A reset begins, and what is not a reset ends it."""
        if event == EpisodeEvent.RESET:
            self._is_active = True
            self._takeover.task = self._task
            self._takeover.begin(needs_grip=True)
        elif event in _ENDS_RESET and self._is_active:
            self.end()

    def end(self) -> None:
        """Hands back, if a reset is under way. The followers hold, and so do the leaders."""
        if self._is_active:
            self._is_active, self._takeover.task = False, ""
            self._takeover.end()

    def _look(self) -> None:
        if self._is_active and self._takeover.has_squeezed_twice:
            self.end()
            self._call_done()

    def _call_done(self) -> None:
        """Tells reward_node that the reset is done. Its answer is told when it comes."""
        if not self._done.service_is_ready():
            self._tell(False, f"the service {services.RESET_DONE.path} is not there; check that reward_node runs")
            return
        self._done.call_async(Trigger.Request()).add_done_callback(self._on_answer)

    def _on_answer(self, future: Future[Trigger.Response]) -> None:
        if (response := future.result()) is not None:
            self._tell(response.success, response.message)

    def _tell(self, success: bool, message: str) -> None:
        self._calls.tell(GESTURE, success=success, message=message)
        if not success:
            self._node.get_logger().warning(f"the reset is not done: {message}")


def make_takeover(
    node: Node,
    calls: OperatorCalls,
    player: ChunkPlayer,
    config: TrainConfig,
    *,
    refusal: Callable[[], str],
    on_driver: Callable[[bool], None],
) -> Takeover:
    """Returns the takeover of a configuration, which also makes resets where `episode.reset` says so.

    Arguments are those of `Takeover`.
    """
    takeover = Takeover(node, calls, player, config.robot, refusal=refusal, on_driver=on_driver)
    if config.episode.reset == TELEOPERATED and not config.robot.shadow:
        takeover.on_event = TeleoperatedReset(node, calls, takeover).on_event
    return takeover
