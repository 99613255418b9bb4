"""Asks the controllers of ros2_control for their rate and their joints, without blocking.

Where nobody answers nothing is known, as beside sim_node, which has no controllers.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.robot import aloha

STEP_PERIOD = 0.5
"""The seconds between two looks at the answers."""
PERIOD = 5.0
"""The seconds after which a controller is asked again, because it may have been started again."""


@dataclasses.dataclass(frozen=True)
class Question:
    """Says which parameter of which node must be what.

    Attributes:
        node: the name of the node, relative to the namespace of robot_node.
        parameter: the name of its parameter.
        joints: the joints that it must be; empty for a rate.
    """

    node: str
    parameter: str
    joints: tuple[str, ...] = ()


QUESTIONS = tuple(
    Question(f"follower_{side}/{node}", parameter, joints)
    for side in aloha.SIDES
    for node, parameter, joints in (
        ("controller_manager", "update_rate", ()),
        ("arm_controller", "joints", aloha.ARM_JOINTS),
        ("gripper_controller", "joints", (aloha.LEFT_FINGER,)),
    )
)
"""What is asked of the controllers of both arms."""


class ControllerChecks:
    """Asks again and again, and judges the newest answers.

    Args:
        node: the node that asks.
        control_rate: the rate of the commands, Hz.
    """

    def __init__(self, node: Node, *, control_rate: float) -> None:
        self._control_rate = control_rate
        self._clients: dict[Question, Any] = {
            question: node.create_client(GetParameters, f"{question.node}/get_parameters") for question in QUESTIONS
        }
        self._pending: dict[Question, Future] = {}
        self._asked_at: dict[Question, float] = {}  # steady s
        self._answers: dict[Question, Any] = {}
        node.create_timer(STEP_PERIOD, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def problem(self) -> str:
        """Returns which controller is not as it must be, as far as they have answered, or an empty string."""
        return "; ".join(filter(None, (self._judge(*answer) for answer in self._answers.items())))

    def findings(self) -> tuple[Finding, ...]:
        """Returns what the controllers have told."""
        return tuple(
            Finding(f"{question.node} {question.parameter}", _text(self._answers[question]))
            if question in self._answers
            else Finding(f"{question.node} {question.parameter}", "nobody answers")
            for question in QUESTIONS
        )

    def _judge(self, question: Question, value: Any) -> str:
        if question.joints:
            if list(value.string_array_value) == list(question.joints):
                return ""
            return (
                f"the joints of {question.node} must be {', '.join(question.joints)} in this order, got {_text(value)}"
                "; correct the file of the controllers"
            )
        if value.integer_value >= self._control_rate:
            return ""
        return (
            f"update_rate of {question.node} must be at least {self._control_rate:g} Hz (robot.control_rate), got "
            f"{value.integer_value}: commands in between are lost, and the arm moves in leaps; set it, and the "
            "driver's loop_hz"
        )

    def _step(self) -> None:
        now = time.monotonic()
        for question, client in self._clients.items():
            pending = self._pending.get(question)
            if pending is not None and pending.done():
                answer: Any = self._pending.pop(question).result()
                self._note(question, answer.values)
            elif now - self._asked_at.get(question, -PERIOD) >= PERIOD:
                self._ask(question, client, now)

    def _ask(self, question: Question, client: Any, now: float) -> None:
        """Asks, and forgets the last answer where nobody has answered since."""
        late = self._pending.pop(question, None)
        if late is not None:
            client.remove_pending_request(late)
        if late is not None or not client.service_is_ready():
            self._answers.pop(question, None)
        if client.service_is_ready():
            self._pending[question] = client.call_async(GetParameters.Request(names=[question.parameter]))
            self._asked_at[question] = now

    def _note(self, question: Question, values: list[Any]) -> None:
        if values and values[0].type:
            self._answers[question] = values[0]


def _text(value: Any) -> str:
    return ", ".join(value.string_array_value) or str(value.integer_value)
