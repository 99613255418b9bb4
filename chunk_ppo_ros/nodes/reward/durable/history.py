"""Reads what an earlier process of reward_node has stored of a run."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.store import RecordPlace, read_payload, read_store
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import ChunkLedger
from chunk_ppo_ros.nodes.reward.durable.run_log import OUTCOME, PROGRESS, SETTLED, TRANSITION
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Progress


@dataclasses.dataclass(frozen=True)
class History:
    """What is stored of a run.

    Attributes:
        progress: how far the run has come, or None where nothing is stored of it.
        ledger: the outcomes of its newest chunks.
        transitions: the transitions that trainer_node has not acknowledged for good, in their order.
        damages: what of the store cannot be read, in words.
    """

    progress: Progress | None
    ledger: ChunkLedger
    transitions: tuple[msg.Transition, ...] = ()
    damages: tuple[str, ...] = ()

    @property
    def waiting(self) -> list[msg.ChunkOutcome]:
        """The outcomes of the chunks whose transitions are not complete."""
        return [known.outcome for known in self.ledger if not known.is_settled and known.transition is None]


def read_history(folder: pathlib.Path, run_id: str) -> History:
    """Returns what the store in a folder holds of a run.

    An outcome counts if the progress after it is stored too. Otherwise nobody has heard of it, and it is decided again.

    Raises:
        OSError: when a file cannot be read.
        UserError: when the progress was written by another version of this package.
    """
    contents = read_store(folder)
    places = [place for place in contents.records if place.may_be_of(run_id)]
    progress = next((place for place in reversed(places) if place.key.kind == PROGRESS), None)
    damages = tuple(str(hole) for hole in contents.holes)
    if progress is None:
        return History(None, ChunkLedger(), (), damages)
    ledger, transitions = _chunks(places, before=progress.index)
    known = _progress(progress)
    messages = tuple(deserialize_message(read_payload(place), msg.Transition) for place in transitions)
    return History(known, ledger, messages, damages)


def _progress(place: RecordPlace) -> Progress:
    try:
        return Progress.from_json(read_payload(place))
    except ValueError as error:
        raise UserError(
            f"{place.segment}: {error}, or move the folder away, and the running episode is lost"
        ) from error


def _chunks(places: Iterable[RecordPlace], *, before: int) -> tuple[ChunkLedger, list[RecordPlace]]:
    """Returns the outcomes with an index below `before`, and the transitions of them that are not acknowledged."""
    ledger, transitions, void = ChunkLedger(), dict[int, RecordPlace](), set[int]()
    for place in places:
        number = place.key.number
        if place.key.kind == OUTCOME and place.index > before:
            void.add(number)
        elif place.key.kind == OUTCOME:
            outcome = deserialize_message(read_payload(place), msg.ChunkOutcome)
            ledger.add_outcome(outcome, index=place.index)
            if not outcome.valid:
                transitions.pop(number, None)
        elif place.key.kind == TRANSITION and number not in void:
            transitions[number] = place
            ledger.add_transition(place)
        elif place.key.kind == TRANSITION | SETTLED:
            transitions.pop(number, None)
            ledger.add_acknowledgment(deserialize_message(read_payload(place), msg.TransitionAck))
    return ledger, list(transitions.values())
