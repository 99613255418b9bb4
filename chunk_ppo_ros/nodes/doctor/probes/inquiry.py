"""Asks the drivers of the arms for what they tell of themselves. Nothing that is asked changes anything there."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.node import Node

from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.nodes.common.interbotix_interfaces import load_interfaces
from chunk_ppo_ros.nodes.doctor.graph_facts import DriverFacts, ManagerFacts
from chunk_ppo_ros.nodes.robot.interbotix.driver_link import ARM_GROUP
from chunk_ppo_ros.robot import aloha


class Question:
    """One call of a service, which is sent as soon as the service is there.

    Args:
        node: the node that asks.
        kind: the type of the service.
        service: the name of the service.
        values: the fields of the request.
    """

    def __init__(self, node: Node, kind: Any, service: str, **values: object) -> None:
        self._service = service
        self._client: Any = node.create_client(kind, service)
        self._request = kind.Request(**values)
        self._future: Any = None

    def ask(self) -> None:
        """Sends the request where the service is there and it was not sent yet."""
        if self._future is None and self._client.service_is_ready():
            self._future = self._client.call_async(self._request)

    @property
    def answer(self) -> Any:
        """The response, or None before it came."""
        return self._future.result() if self._future is not None and self._future.done() else None

    @property
    def problem(self) -> str:
        """Why there is no response, or empty."""
        if self._future is None:
            return f"the service {self._service} is not there"
        return "" if self._future.done() else f"the service {self._service} does not answer"


class DriverInquiry:
    """Asks Interbotix's driver of a follower for its joints, limits and modes. It reads no registers of motors.

    Reading registers would make the driver's joint states pause while a robot may move.

    Args:
        node: the node that asks.
        arm: the namespace of the driver.
    """

    def __init__(self, node: Node, arm: str) -> None:
        self._arm = arm
        self._problem = ""
        self.questions: list[Question] = []
        try:
            kind = load_interfaces().robot_info
        except RegistryError as error:
            self._problem = str(error)
            return
        name = f"{arm}/get_robot_info"
        self.questions = [
            Question(node, kind, name, cmd_type="group", name=ARM_GROUP),
            Question(node, kind, name, cmd_type="single", name=aloha.GRIPPER),
        ]

    def facts(self) -> DriverFacts:
        """Returns what was answered so far."""
        problem = self._problem or next(filter(None, (question.problem for question in self.questions)), "")
        if problem:
            return DriverFacts(self._arm, problem)
        group, gripper = (question.answer for question in self.questions)
        return DriverFacts(
            self._arm,
            mode=group.mode,
            joints=tuple(group.joint_names),
            ids=tuple(group.joint_ids),
            lower=tuple(group.joint_lower_limits),
            upper=tuple(group.joint_upper_limits),
            gripper_mode=gripper.mode,
        )


class ManagerInquiry:
    """Asks the controller manager of an arm for its update rate.

    Args:
        node: the node that asks.
        arm: the namespace of the controller manager.
    """

    def __init__(self, node: Node, arm: str) -> None:
        self._arm = arm
        name = f"{arm}/controller_manager/get_parameters"
        self.questions = [Question(node, GetParameters, name, names=["update_rate"])]

    def facts(self) -> ManagerFacts:
        """Returns what was answered so far."""
        question = self.questions[0]
        if question.problem:
            return ManagerFacts(self._arm, problem=question.problem)
        values = question.answer.values
        return ManagerFacts(self._arm, update_rate=values[0].integer_value if values else 0)
