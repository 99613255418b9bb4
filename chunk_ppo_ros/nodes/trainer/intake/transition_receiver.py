"""Receives the transitions of trainer_node, reads them, and answers each."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs import msg

from chunk_ppo_ros.nodes.common.inputs.handled_inputs import HandledInputs
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.intake.received import head_of, read_transition
from chunk_ppo_ros.nodes.trainer.intake.set_aside import SetAside
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


class TransitionReceiver:
    """Subscribes to `transition`.

    Args:
        node: the node that subscribes and reports the conditions.
        acknowledger: publishes the answers.
        set_aside: stores what is not trained on.
        guard: leaves out the transitions of other nodes than reward_node.
        inputs: tells in which order transitions are answered among other inputs.
        run: returns the run, or None while the node has none.
        before_answer: is called with the run before it is told that a transition was accepted.
        on_accepted: is called with the run after a transition of it was accepted.
    """

    def __init__(
        self,
        node: WorkerNode,
        acknowledger: Acknowledger,
        set_aside: SetAside,
        guard: PublisherGuard,
        inputs: HandledInputs,
        *,
        run: Callable[[], TrainingRun | None],
        before_answer: Callable[[TrainingRun], None],
        on_accepted: Callable[[TrainingRun], None],
    ) -> None:
        self._node = node
        self._acknowledger = acknowledger
        self._set_aside = set_aside
        self._inputs = inputs
        self._run = run
        self._before_answer = before_answer
        self._on_accepted = on_accepted
        of_each_robot = guard.only_from_one(
            topics.TRANSITION.name, self._on_transition, self._on_foreign, part_of=lambda raw: head_of(raw).sender
        )
        topics.TRANSITION.create_raw_subscription(node, of_each_robot)

    def _on_transition(self, raw: bytes) -> None:
        run, flaw = self._run(), ""
        try:
            message = read_transition(raw)
        except ValueError as error:
            message, flaw = msg.Transition(chunk=head_of(raw)), str(error)
        if not flaw:
            self._node.ros_time.note(time_to_ns(message.outcome.execution.end))
        if run is None or not self._node.is_active:
            retry = Acknowledgment(msg.TransitionAck.RETRY, "trainer_node is not active")
            self._answer(run, message, retry)
        elif flaw:
            refusal = Acknowledgment(msg.TransitionAck.REFUSED_INVALID, flaw)
            run.intake.refuse(run.buffer, raw, message, refusal, lambda answer: self._answer(run, message, answer))
        else:
            run.intake.take(run.buffer, raw, message, lambda answer: self._answer(run, message, answer))

    def _on_foreign(self, raw: bytes, publisher: str) -> None:
        """Sets a transition of another node aside. It is not answered, because reward_node would take the answer."""
        if self._run() is not None:
            head = head_of(raw)
            reason = f"it comes from {publisher}, which is not the node that transitions come from"
            self._set_aside((head.sender, head.sequence_number), raw, reason, lambda error: None)

    def _answer(self, run: TrainingRun | None, message: msg.Transition, acknowledgment: Acknowledgment) -> None:
        buffer = run.buffer if run is not None else None
        if run is not None and acknowledgment.is_accepted:
            self._before_answer(run)
        self._acknowledger.acknowledge(conversions.chunk_id(message.chunk), acknowledgment, buffer)
        self._acknowledger.report(message, acknowledgment, buffer)
        if acknowledgment.status != msg.TransitionAck.RETRY:
            self._inputs.tell(topics.TRANSITION.name, message.chunk.sequence_number)
        if run is not None and run is self._run() and self._node.is_active and acknowledgment.is_accepted:
            self._on_accepted(run)
