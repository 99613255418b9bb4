"""Offers the services for episodes, and converts requests to the types of `rewards/episodes.py`."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs.srv import EndEpisode
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.rewards.episodes import Ending

OPERATOR_ENDINGS = (Ending.SUCCESS, Ending.FAILURE, Ending.DISCARDED)
"""The endings that an operator may choose."""


def serve_episodes(
    node: Node,
    calls: OperatorCalls,
    *,
    start: Callable[[], str],
    end: Callable[[Ending], str],
    pause: Callable[[bool], str],
) -> None:
    """Offers the services start_episode, end_episode and pause.

    A pause also stops a scripted motion of robot_node, which moves between episodes, where no event tells of a pause.

    Each function returns in words what happened. If it raises a ValueError, the response of the service gives the
    reason.

    Args:
        node: the node that offers the services.
        calls: serves, and publishes what was asked and answered.
        start: starts the episode whose scene is ready.
        end: ends the running episode.
        pause: pauses the episode or goes on.
    """

    def on_start(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = _answer(start)
        return response

    def on_end(request: EndEpisode.Request, response: EndEpisode.Response) -> EndEpisode.Response:
        response.success, response.message = _answer(lambda: end(_operator_ending(request.outcome)))
        return response

    def on_pause(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = _answer(lambda: pause(request.data))
        if request.data and scripted_motion.service_is_ready():
            scripted_motion.call_async(Trigger.Request())
        return response

    scripted_motion = services.STOP_SCRIPTED_MOTION.create_client(node)
    calls.serve(services.START_EPISODE, on_start)
    calls.serve(services.END_EPISODE, on_end)
    calls.serve(services.PAUSE, on_pause)


def _answer(action: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, action()
    except ValueError as error:
        return False, str(error)


def _operator_ending(outcome: int) -> Ending:
    if outcome not in list(OPERATOR_ENDINGS):
        names = ", ".join(f"{ending.value} ({ending.name})" for ending in OPERATOR_ENDINGS)
        raise ValueError(f"outcome must be one of {names}, got {outcome}")
    return Ending(outcome)
