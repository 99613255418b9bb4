"""One sender of transitions. It paces them, and sends each again until trainer_node has answered."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import time

import rclpy
from chunk_ppo_msgs import msg
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.serialization import serialize_message

from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.rewards.delivery import Delivery
from store_speed.load_settings import TransitionMaker, load_config
from store_speed.sender_report import SenderReport

_PERIOD = 0.005  # s, of the timer that sends and repeats
_FINAL = (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE)


class Sender(Node):
    """Sends transitions at a rate.

    Args:
        name: the name of the sender.
        count: the number of its transitions.
        rate: how many of them it sends a second.
        folder: the folder of the run.
        total: the number of transitions of all senders.
    """

    def __init__(self, name: str, *, count: int, rate: float, folder: pathlib.Path, total: int) -> None:
        super().__init__("reward_node", use_global_arguments=False)  # Transitions are taken from this node alone.
        self._name, self._count, self._rate = name, count, rate
        self._config = load_config(folder, total)
        self._maker: TransitionMaker | None = None
        self._begun, self._next = 0.0, 0
        self._delivery: Delivery[tuple[int, bytes]] = Delivery()
        self._sent: dict[int, float] = {}
        self.report = SenderReport()
        self._publisher = topics.TRANSITION.create_publisher(self)
        topics.TRANSITION_ACK.create_subscription(self, self._on_ack)
        topics.POLICY_VERSION.create_subscription(self, self._on_version)
        self.create_timer(_PERIOD, self._send)

    @property
    def done(self) -> bool:
        """Whether every transition is answered."""
        return self._next == self._count and not len(self._delivery)

    def _on_version(self, message: msg.PolicyVersion) -> None:
        if self._maker is None:
            self._maker = TransitionMaker(self._config, message.run_id, self._name)
            self._begun = time.monotonic()

    def _send(self) -> None:
        now = time.monotonic()
        if self._maker is None or not self._publisher.get_subscription_count():
            self._begun = now
            return
        due = self._begun + self._next / self._rate
        if self._next < self._count and now >= due:
            message = conversions.transition_to_message(self._maker.make(self._next))
            self._delivery.add(self._next, (self._next, serialize_message(message)))
            self.report.late = now - due
            self._next += 1
        for number, raw in self._delivery.pop_due(now):
            self.report.resent += number in self._sent
            self._sent.setdefault(number, now)
            self._publisher.publish(raw)

    def _on_ack(self, ack: msg.TransitionAck) -> None:
        if ack.sender != self._name:
            return
        if ack.status == msg.TransitionAck.RETRY:
            self._delivery.postpone(ack.sequence_number)
        elif self._delivery.settle(ack.sequence_number) is not None:
            if ack.status in _FINAL:
                self.report.accepted += 1
                self.report.delays.append(time.monotonic() - self._sent[ack.sequence_number])
            else:
                self.report.refused.append(f"{ack.sequence_number}: {ack.message}")


def main(name: str, count: str, rate: str, folder: str, total: str, timeout: str) -> None:
    """Sends everything, and prints the report as JSON. What is not answered in the time is not in it."""
    rclpy.init()
    sender = Sender(name, count=int(count), rate=float(rate), folder=pathlib.Path(folder), total=int(total))
    end = time.monotonic() + float(timeout)
    try:
        while not sender.done and time.monotonic() < end:
            rclpy.spin_once(sender, timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    print(json.dumps(dataclasses.asdict(sender.report)))
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
