"""Puts what the nodes of a recorded run have handled into its order, and refuses a recording that lacks some of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


class ReplayError(UserError):
    """A recording cannot be replayed."""


@dataclasses.dataclass(frozen=True)
class Handled:
    """One thing that a node has handled. The fields are those of HandledInput.msg.

    Attributes:
        process: when the process of the node began, ns of the system clock, by which its processes differ.
    """

    node: str
    process: int
    index: int
    name: str
    run_id: str = ""
    steady_time: float = 0.0
    number: int = 0
    content: bytes = b""
    restarts: tuple[str, ...] = ()
    goes_on: bool = False

    @classmethod
    def of(cls, message: Any) -> Handled:
        """Returns the content of a message, as a bag has it."""
        return cls(
            node=str(message.node),
            process=time_to_ns(message.began),
            index=int(message.index),
            name=str(message.name),
            run_id=str(message.run_id),
            steady_time=float(message.steady_time),
            number=int(message.number),
            content=bytes(message.content),
            restarts=tuple(map(str, message.restarts)),
            goes_on=bool(message.goes_on),
        )


def in_order(found: Iterable[Handled], node: str) -> list[Handled]:
    """Returns all that a node has handled, in the order in which it did. The recorder may have got some of it twice.

    Args:
        found: what was recorded.
        node: the name of the node.

    Raises:
        ReplayError: where the recording lacks some of it. What may be missing at the end of a process is not known.
    """
    chosen = {(one.process, one.index): one for one in found if one.node == node}
    ordered = [chosen[key] for key in sorted(chosen)]
    expected, process = 0, None
    for one in ordered:
        expected = expected if one.process == process else 0
        if one.index != expected:
            raise ReplayError(
                f"a recording must have all that {node} has handled, got number {one.index} where {expected} follows; "
                "recorder_node was not there or had lost it, so that the run cannot be replayed"
            )
        expected, process = one.index + 1, one.process
    return ordered


def of_run(ordered: Iterable[Handled], run_id: str) -> tuple[Handled, ...]:
    """Returns what one process of reward_node has handled of a run, and before it.

    Args:
        ordered: what all of its processes have handled.
        run_id: the run.

    Raises:
        ReplayError: where reward_node was started anew while the run went on.
    """
    ordered = list(ordered)
    processes = {one.process for one in ordered if one.run_id == run_id}
    if len(processes) > 1 or any(one.goes_on for one in ordered if one.run_id == run_id):
        raise ReplayError(
            "a recording must be of one process of reward_node, got a run in which it was started anew or which went "
            "on from an earlier one; what the earlier process knew is not in the recording, so that it cannot be "
            "replayed"
        )
    return tuple(one for one in ordered if one.process in processes and one.run_id in (run_id, ""))
