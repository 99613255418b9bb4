"""The node of an operator's screen: it listens to the graph, calls services, and reads the pedals.

It publishes nothing but the emergency stop, and subscribes to no images.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from chunk_ppo_ros.config import OperateConfig
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.operate import intake
from chunk_ppo_ros.nodes.operate.actions.table import ACTIONS, Action, Request
from chunk_ppo_ros.nodes.operate.pedals import Pedals
from chunk_ppo_ros.nodes.operate.picture import Answer, Board, Picture
from chunk_ppo_ros.nodes.wire import services, topics
from chunk_ppo_ros.nodes.wire.services import Service
from chunk_ppo_ros.nodes.wire.topics import Topic
from chunk_ppo_ros.runtime.description import NODES

LOOKING_PERIOD = 0.5
"""The time between two looks at who is there, s."""
ANSWER_TIMEOUT, LONG_TIMEOUT = 5.0, 180.0
"""How long an answer is waited for, s: of most services, and of those that answer when a motion has ended."""
NAME = "operate"


class OperatorLink(Node):
    """Connects the board to the graph.

    Args:
        board: is told everything.
        config: names the topic and the buttons of the pedals.
        namespace: the namespace of the graph.
        on_pedal: is called with the action of a pedal that was pressed.
    """

    def __init__(self, board: Board, config: OperateConfig, *, namespace: str, on_pedal: Callable[[str], None]) -> None:
        super().__init__(
            NAME,
            namespace=namespace,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._board = board
        self._on_pedal = on_pedal
        self._joy_topic = config.joy_topic
        self._pedals = Pedals(config.buttons, now=time.monotonic())
        self._conditions = Conditions(self)
        self._seen: set[str] = set()
        self._waiting: dict[Any, float] = {}  # the answers that are waited for, and until when, steady s
        wanted = {action.service.path: action.service for action in ACTIONS}
        self._callers = {path: service.create_client(self) for path, service in wanted.items()}
        self._stop = topics.EMERGENCY_STOP.create_publisher(self)
        self._subscribe()
        self.create_timer(LOOKING_PERIOD, self._look)

    def call(self, action: Action, request: Request) -> None:
        """Calls the service of an action, and shows the answer when it comes, or that nobody answers."""
        label = action.label(self._board.picture)
        timeout = LONG_TIMEOUT if action.long else ANSWER_TIMEOUT
        self._ask(label, action.service, request, timeout=timeout)

    def stop(self) -> None:
        """Stops the robot, by the topic first, because that needs nobody's answer."""
        self._stop.publish(Bool(data=True))
        self._ask("EMERGENCY STOP", services.EMERGENCY_STOP, {"data": True}, timeout=ANSWER_TIMEOUT)

    def _ask(self, label: str, service: Service, request: Request, *, timeout: float) -> None:
        client = self._callers[service.path]
        asked = Answer(time_of_day(), label, None, since=time.monotonic())
        if not client.service_is_ready():
            also = "; it was sent on the topic too" if service is services.EMERGENCY_STOP and request["data"] else ""
            self._show(
                dataclasses.replace(asked, success=False, message=f"{service.node} is not there to answer{also}")
            )
            return
        self._show(asked)
        future = client.call_async(service.service_type.Request(**request))  # type: ignore[attr-defined]
        self._waiting[future] = time.monotonic() + timeout
        future.add_done_callback(functools.partial(self._on_answer, asked))

    def _on_answer(self, asked: Answer, future: Any) -> None:
        if self._waiting.pop(future, None) is not None and not future.cancelled():
            answer = future.result()
            self._show(dataclasses.replace(asked, success=answer.success, message=answer.message))

    def _show(self, answer: Answer) -> None:
        """Shows an answer, unless something else was asked since."""

        def change(picture: Picture) -> Picture:
            if picture.answer is not None and picture.answer.since > answer.since:
                return picture
            return dataclasses.replace(picture, answer=answer)

        self._board.change(change)

    def _subscribe(self) -> None:
        now = time.monotonic
        told: list[tuple[Topic, Callable[[Picture, Any], Picture]]] = [
            (topics.EPISODE_STATE, lambda picture, message: intake.with_episode(picture, message, now=now())),
            (topics.TAKEOVER_STATE, intake.with_driver),
            (topics.SCRIPTED_MOTION, intake.with_motion),
            (topics.POLICY_VERSION, intake.with_version),
            (topics.TRANSITION_ACK, intake.with_acknowledgment),
            (topics.CHUNK_OUTCOME, intake.with_outcome),
            (topics.OPERATOR_CALL, lambda picture, message: intake.with_call(picture, message, clock=time_of_day())),
        ]
        for topic, change in told:
            subscribe(self, self._conditions, topic, functools.partial(self._change, change))
        topics.DIAGNOSTICS.create_subscription(self, self._on_diagnostics)
        topics.EMERGENCY_STOP_STATE.create_subscription(self, self._on_stop_state)
        # Best effort is heard from every publisher, and the next message repeats a state that was lost.
        topics.joy_buttons(self._joy_topic).create_subscription(self, self._on_joy)

    def _change(self, change: Callable[[Picture, Any], Picture], message: Any) -> None:
        self._board.change(lambda picture: change(picture, message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._board.change(lambda picture: intake.with_diagnostics(picture, message, now=time.monotonic()))

    def _on_stop_state(self, message: Bool) -> None:
        self._board.change(lambda picture: dataclasses.replace(picture, stopped=message.data))

    def _on_joy(self, message: Joy) -> None:
        for name in self._pedals.on_buttons(message.buttons, now=time.monotonic()):
            self._on_pedal(name)

    def _look(self) -> None:
        """Looks which nodes are there, whether answers are overdue, and what the pedals do."""
        known = {node.name for node in NODES}
        here = self.get_namespace()
        names = {name for name, namespace in self.get_node_names_and_namespaces() if namespace == here} & known
        self._seen |= names
        gone = tuple(sorted(self._seen - names))
        senders = self.count_publishers(self._joy_topic)
        pedals = self._pedals.problem(num_senders=senders, topic=self._joy_topic, now=time.monotonic())
        problems = (*filter(None, [pedals]), *self._conditions.texts)
        self._board.change(
            lambda picture: dataclasses.replace(picture, nodes=frozenset(names), gone=gone, problems=problems)
        )
        self._give_up()

    def _give_up(self) -> None:
        """Ends the wait for answers that are overdue, because the node that should answer may have ended."""
        now = time.monotonic()
        for future in [future for future, until in list(self._waiting.items()) if until < now]:
            self._waiting.pop(future, None)
            self._board.change(_without_answer)


def time_of_day() -> str:
    """Returns the local time of day."""
    return time.strftime("%H:%M:%S")


def _without_answer(picture: Picture) -> Picture:
    answer = picture.answer
    if answer is None or answer.success is not None:
        return picture
    text = "no answer came; look at the log of the node"
    return dataclasses.replace(picture, answer=dataclasses.replace(answer, success=False, message=text))
