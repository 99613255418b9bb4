"""Answers transitions: each is judged at once, and acknowledged when it is on disk."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.rollout_journal import OnDurable, RolloutJournal
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment, Answer
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.trainer.stored_transitions import StoredTransitions
from chunk_ppo_ros.nodes.wire import conversions

HandOver = Callable[[Callable[[], None]], None]
"""The type of what calls a function in the executor of the node. It may be called from any thread."""

SetAside = Callable[[ChunkKey, bytes, str, OnDurable], None]
"""The type of what stores a transition that no update takes: its key, its message, the reason, and what is called when
it is stored."""


class TransitionIntake:
    """Takes transitions into rollouts.

    A transition that is accepted is in the journal before it is acknowledged, and one that is refused for good is set
    aside before. So its sender may forget it.

    Args:
        journal: stores the accepted transitions.
        stored: knows the transitions that were accepted before.
        set_aside: stores the refused transitions.
        hand_over: hands a call over from the thread of a store to the executor.
    """

    def __init__(
        self, journal: RolloutJournal, stored: StoredTransitions, set_aside: SetAside, hand_over: HandOver
    ) -> None:
        self._journal = journal
        self._stored = stored
        self._set_aside = set_aside
        self._hand_over = hand_over
        self.waits_for_disk = False
        """Whether the newest transition could not be stored, so that it must be sent again."""

    def take(self, buffer: RolloutBuffer, raw: bytes, message: msg.Transition, answer: Answer) -> None:
        """Judges a transition.

        Args:
            buffer: the rollout that it is for.
            raw: the serialized message.
            message: the same message, deserialized.
            answer: is called by the executor with the answer, which may be later. A transition that is sent again while
                it is being stored gets one answer.
        """
        key = conversions.chunk_id(message.chunk).key
        if buffer.is_being_stored(key):
            return
        judged = self._stored.known(message) or buffer.judge(message)
        if isinstance(judged, Transition):
            self._accept(buffer, raw, judged, answer)
        elif judged.is_refusal:
            self.refuse(buffer, raw, message, judged, answer)
        else:
            answer(judged)

    def _accept(self, buffer: RolloutBuffer, raw: bytes, transition: Transition, answer: Answer) -> None:
        def on_durable(error: OSError | None) -> None:
            self.waits_for_disk = error is not None
            if error is None:
                answer(buffer.accept(transition))
            else:
                buffer.release(transition)
                answer(Acknowledgment(msg.TransitionAck.RETRY, f"the journal cannot be written: {error}"))

        buffer.reserve(transition)
        self._journal.add(transition.id.key, raw, lambda error: self._hand_over(lambda: on_durable(error)))

    def refuse(
        self, buffer: RolloutBuffer, raw: bytes, message: msg.Transition, refusal: Acknowledgment, answer: Answer
    ) -> None:
        """Sets a transition aside, and answers it when it is stored.

        Args:
            buffer: the rollout that counts it.
            raw: the serialized message, or as much of it as there is.
            message: what of it could be read.
            refusal: the answer.
            answer: is called by the executor.
        """
        key = conversions.chunk_id(message.chunk).key

        def on_durable(error: OSError | None) -> None:
            self.waits_for_disk = error is not None
            if error is None:
                buffer.num_refused += 1
                answer(refusal)
            else:
                answer(Acknowledgment(msg.TransitionAck.RETRY, f"the transition cannot be set aside: {error}"))

        self._set_aside(key, raw, refusal.reason, lambda error: self._hand_over(lambda: on_durable(error)))
