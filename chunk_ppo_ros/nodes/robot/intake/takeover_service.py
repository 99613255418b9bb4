"""Lets an operator take over the robot by the leader arms, and hand it back, by the service `takeover`."""

from __future__ import annotations

from collections.abc import Callable

from std_srvs.srv import SetBool

from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer


class TakeoverService:
    """Serves `takeover`. A request for the present driver changes nothing.

    Args:
        calls: serves, and publishes what was asked and answered.
        player: the chunk player.
        refusal: returns why nobody can take over, or an empty string.
        on_driver: is called after a request, with whether a human drives.
    """

    def __init__(
        self,
        calls: OperatorCalls,
        player: ChunkPlayer,
        *,
        refusal: Callable[[], str],
        on_driver: Callable[[bool], None],
    ) -> None:
        self._player = player
        self._refusal = refusal
        self._on_driver = on_driver
        calls.serve(services.TAKEOVER, self._on_request)

    def _on_request(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        refusal = self._refusal()
        if refusal:
            response.success, response.message = False, refusal
            return response
        if request.data:
            self._player.take_over()
        else:
            self._player.give_back()
        self._on_driver(request.data)
        response.success = True
        response.message = "a human drives" if request.data else "the policy drives"
        return response
