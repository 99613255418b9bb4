"""Serves `prepare_robot`, by which an operator has the motors of both arms prepared again."""

from __future__ import annotations

from std_srvs.srv import Trigger

from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.robot.robot_backends import PreparesAgain, RobotBackend
from chunk_ppo_ros.nodes.wire import services


def serve_preparation(calls: OperatorCalls, backend: RobotBackend) -> None:
    """Offers the service where the back end can prepare the motors again."""
    if not isinstance(backend, PreparesAgain):
        return

    def on_prepare(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        problem = backend.prepare_again()
        response.success, response.message = not problem, problem or "the preparation of both arms has begun"
        return response

    calls.serve(services.PREPARE_ROBOT, on_prepare)
