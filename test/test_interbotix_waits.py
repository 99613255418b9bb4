"""Tests how the answer of a driver's service is waited for, with a client that has no ROS."""

from __future__ import annotations

from typing import Any

from rclpy.task import Future

from chunk_ppo_ros.nodes.robot.interbotix.waits import ServiceCall


class FakeClient:
    """A service that is there from the start, and answers when the test sets the result of a future."""

    srv_name = "follower_left/get_robot_info"

    def __init__(self) -> None:
        self.is_there = True
        self.futures: list[Future] = []
        self.forgotten: list[Future] = []

    def service_is_ready(self) -> bool:
        return self.is_there

    def call_async(self, request: Any) -> Future:
        self.futures.append(Future())
        return self.futures[-1]

    def remove_pending_request(self, future: Future) -> None:
        self.forgotten.append(future)


def test_a_service_that_never_answers_is_asked_again_and_a_late_answer_is_not_used() -> None:
    client = FakeClient()
    call = ServiceCall(client, "request")  # type: ignore[arg-type]
    assert call.answer is None
    assert not call.is_over(100.0) and not call.is_over(101.0)
    assert call.reason == "its driver is being prepared"
    assert not call.is_over(103.0)
    assert "follower_left/get_robot_info has not answered yet" in call.reason
    assert not call.is_over(110.1)  # Ten seconds are over, and the answer is forgotten.
    assert client.forgotten == client.futures
    assert "has not answered yet" in call.reason  # The service is there.
    assert not call.is_over(110.2)
    first, second = client.futures
    first.set_result("late")
    assert not call.is_over(110.3)
    second.set_result("answer")
    assert call.is_over(110.4)
    assert call.answer == "answer"


def test_a_service_that_left_after_it_was_asked_in_vain_is_missed() -> None:
    client = FakeClient()
    call = ServiceCall(client, "request")  # type: ignore[arg-type]
    assert "is not there yet" in call.reason  # It was not looked for.
    assert not call.is_over(100.0) and not call.is_over(110.1)
    client.is_there = False
    assert not call.is_over(110.2)
    assert "follower_left/get_robot_info is not there yet" in call.reason
