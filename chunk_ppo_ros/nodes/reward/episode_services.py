"""Offers the services for episodes, and converts requests to the types of `rewards/episodes.py`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from chunk_ppo_msgs.srv import EndEpisode
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.rewards.episodes import Ending

OPERATOR_ENDINGS = (Ending.SUCCESS, Ending.FAILURE, Ending.DISCARDED)
"""The endings that an operator may choose."""


class EpisodeAnswers(Protocol):
    """What the services ask for. Each method returns in words what happens, and raises a ValueError with the reason."""

    def start_episode(self) -> str:
        """Starts the episode whose scene is ready."""

    def end_episode(self, ending: Ending) -> str:
        """Ends the running episode."""

    def pause(self, paused: bool) -> str:
        """Pauses the episode or goes on."""

    def reset_done(self) -> str:
        """Takes a person's word that the reset is done."""

    def reset(self) -> str:
        """Begins the reset anew."""


def serve_episodes(
    node: Node,
    calls: OperatorCalls,
    answers: EpisodeAnswers,
    *,
    whole: Callable[[], AbstractContextManager[None]] = nullcontext,
    handles: Handles = not_told,
) -> None:
    """Offers the services start_episode, end_episode, pause, reset_done and reset.

    A pause also stops a scripted motion of robot_node, which moves between episodes, where no event tells of a pause.

    Args:
        node: the node that offers the services.
        calls: serves, and publishes what was asked and answered.
        answers: does what is asked for.
        whole: gives a context in which what one call does belongs together.
        handles: tells in which order calls are handled among other inputs. `start_episode` is not told as a call,
            because `EpisodeCalls` tells of each start, also of those that nobody has called for.
    """

    def answer(action: Callable[[], str]) -> tuple[bool, str]:
        with whole():
            return _answered(action)

    end = handles(
        services.END_EPISODE,
        lambda request: answer(lambda: answers.end_episode(_operator_ending(request.outcome))),
    )
    pause = handles(services.PAUSE, lambda request: answer(lambda: answers.pause(request.data)))
    reset_done = handles(services.RESET_DONE, lambda request: answer(answers.reset_done))
    reset = handles(services.RESET, lambda request: answer(answers.reset))

    def on_start(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = answer(answers.start_episode)
        return response

    def on_end(request: EndEpisode.Request, response: EndEpisode.Response) -> EndEpisode.Response:
        response.success, response.message = end(request)
        return response

    def on_pause(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = pause(request)
        if request.data and scripted_motion.service_is_ready():
            scripted_motion.call_async(Trigger.Request())
        return response

    def on_reset_done(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = reset_done(request)
        return response

    def on_reset(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = reset(request)
        return response

    scripted_motion = services.STOP_SCRIPTED_MOTION.create_client(node)
    calls.serve(services.START_EPISODE, on_start)
    calls.serve(services.END_EPISODE, on_end)
    calls.serve(services.PAUSE, on_pause)
    calls.serve(services.RESET_DONE, on_reset_done)
    calls.serve(services.RESET, on_reset)


def _answered(action: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, action()
    except ValueError as error:
        return False, str(error)


def _operator_ending(outcome: int) -> Ending:
    if outcome not in list(OPERATOR_ENDINGS):
        names = ", ".join(f"{ending.value} ({ending.name})" for ending in OPERATOR_ENDINGS)
        raise ValueError(f"outcome must be one of {names}, got {outcome}")
    return Ending(outcome)
