"""Defines how far reward_node has come with a run, as it is stored so that another process can go on from there."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, EpisodeStanding, Event, Phase


@dataclasses.dataclass(frozen=True)
class Mark:
    """The operator's decision on how the running episode ends.

    Attributes:
        ending: how the episode ends, SUCCESS or FAILURE.
        message: why, in words.
    """

    ending: Ending
    message: str


@dataclasses.dataclass(frozen=True)
class Closing:
    """An episode that has ended by its time limit, and waits for the value of the observation after it.

    Attributes:
        id: the last chunk of the episode.
        version: the policy version that sampled it, whose value is waited for.
        ending: how the episode ends.
        message: why, in words.
    """

    id: ChunkId
    version: int
    ending: Ending
    message: str


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        run_id: the identity of the run.
        standing: where the present episode is.
        holds: the reasons to pause that an operator must end, with their texts.
        started: the stamp of the start of the episode, ns of ROS time.
        mark: the operator's decision on the running episode, or None.
        closing: the episode that waits for a value, or None.
        last: the last valid chunk of the running episode, or None.
        num_faults: the number of episodes that failed in a row.
        num_refusals: the number of chunks in a row of which nothing counted.
        interrupted: the numbers of the newest episodes that the death of a node interrupted.
        stopped: the numbers of those that a regular stop of the graph interrupted.
        is_stopped: whether the process that stored this has ended regularly, or went on from one that had and has not
            seen robot and scene since.
        discarded: the numbers of the newest discarded episodes.
        running_when_robot_died: the number of chunks that were running when robot_node or the simulator died.
        feedback: the operator's feedback on chunks that run, by their stamps.
        peers: which processes robot_node and sim_node are, by topic and name.
        changes: the changes of episodes that were about to be published when this was stored.
    """

    run_id: str
    standing: EpisodeStanding
    holds: Mapping[str, str] = dataclasses.field(default_factory=dict)
    started: int = 0
    mark: Mark | None = None
    closing: Closing | None = None
    last: ChunkId | None = None
    num_faults: int = 0
    num_refusals: int = 0
    interrupted: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()
    is_stopped: bool = False
    discarded: tuple[int, ...] = ()
    running_when_robot_died: int = 0
    feedback: Mapping[int, float] = dataclasses.field(default_factory=dict)
    peers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    changes: tuple[EpisodeChange, ...] = ()

    def to_json(self) -> bytes:
        """Returns the progress as one line of JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["standing"] = dataclasses.asdict(self.standing) | {"phase": self.standing.phase.name}
        fields["changes"] = [dataclasses.asdict(change) for change in self.changes]
        for name in ("mark", "closing", "last"):
            fields[name] = None if fields[name] is None else dataclasses.asdict(fields[name])
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Progress:
        """Returns the progress that `to_json` has written.

        Raises:
            ValueError: when the text is something else.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            standing = fields["standing"]
            fields["standing"] = EpisodeStanding(**standing | {"phase": Phase[standing["phase"]]})
            fields["mark"] = _with_ending(Mark, fields["mark"])
            closing = fields["closing"]
            fields["closing"] = _with_ending(Closing, closing and closing | {"id": ChunkId(**closing["id"])})
            fields["last"] = None if fields["last"] is None else ChunkId(**fields["last"])
            for name in ("interrupted", "stopped", "discarded"):
                fields[name] = tuple(fields.get(name, ()))
            fields["feedback"] = {int(stamp): float(value) for stamp, value in fields["feedback"].items()}
            fields["changes"] = tuple(
                _with_ending(EpisodeChange, change | {"event": Event(change["event"])}) for change in fields["changes"]
            )
            return cls(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"the stored progress of a run must be what this version of chunk_ppo_ros writes, got {text[:200]!r} "
                f"({error}); go on with the version that wrote it"
            ) from error


def _with_ending(kind: type[Any], fields: dict[str, Any] | None) -> Any:
    """Returns a value of a type that has a field `ending`, or None where there are no fields."""
    return None if fields is None else kind(**fields | {"ending": Ending(fields["ending"])})
