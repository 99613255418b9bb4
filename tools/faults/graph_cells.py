"""The faults of the graph as data: which node, in which state of robot_node, has which fault."""

from __future__ import annotations

import dataclasses
import itertools
import random

STATES = ("idle", "playing", "driving", "paused")
"""What robot_node does when the fault begins: nothing, a chunk, a human's motion, or nothing during a pause."""
FOLLOWERS = ("follower_left", "follower_right")
LEADERS = ("leader_left", "leader_right")
STATE_FAULTS = (
    "cut",
    "delayed",
    "frozen",
    "leaping",
    "minus_pi",
    "zero",
    "nan",
    "renamed",
    "duplicated",
    "reordered",
    "clock_ahead",
    "clock_behind",
    "forged_stamp",
    "oversized",
)
"""What can be wrong with the joint states of an arm."""
CHUNK_FAULTS = (
    "killed",
    "stopped",
    "nan",
    "renamed",
    "duplicated",
    "reordered",
    "forged_run",
    "forged_stamp",
    "oversized",
    "clock_ahead",
    "clock_behind",
    "second_publisher",
    "twin_publisher",
)
"""What can be wrong with the trajectories of policy_node."""
EVENT_FAULTS = ("duplicated", "reordered", "forged_format")
"""What can be wrong with the episode events of reward_node."""
PROCESS_FAULTS = ("killed", "stopped")
OPERATOR_FAULTS = ("emergency_stop", "speed_lowered")
"""What an operator does at any moment. It is no fault, and robot_node must take it at any moment too."""
CLOCK_FAULTS = ("clock_ahead", "clock_behind")
"""What can be wrong with the clock of robot_node."""
UNSEEN = {
    "cameras": "robot_node reads no images; policy_node holds where a camera is silent",
    "trainer_node": "robot_node reads nothing of trainer_node",
    "classifier_node": "robot_node reads nothing of classifier_node",
}
"""Nodes whose faults cannot reach robot_node, with the reason."""
STOPPING = frozenset(
    {
        "minus_pi",
        "zero",
        "leaping",
        "cut",
        "delayed",
        "nan",
        "renamed",
        "oversized",
        "clock_ahead",
        "clock_behind",
        "forged_stamp",
    }
)
"""The faults of a follower's joint states that must end a running chunk before it is executed."""
TIMED = frozenset({"minus_pi", "zero", "leaping", "clock_ahead", "clock_behind", "forged_stamp"})
"""The faults of which the first message is the cause of a stop."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A fault of a node while robot_node is in a state.

    Attributes:
        node: the node, or the arm whose joint states are wrong.
        state: one of `STATES`.
        fault: the fault.
        unreachable: why the fault cannot reach robot_node, or an empty string.
    """

    node: str
    state: str
    fault: str
    unreachable: str = ""

    @property
    def must_stop(self) -> bool:
        """Whether the chunk that plays when the fault begins must not be executed to its end."""
        is_states = self.node in FOLLOWERS and self.fault in STOPPING
        return self.state == "playing" and (is_states or self.steps_clock or self.fault == "emergency_stop")

    @property
    def steps_clock(self) -> bool:
        """Whether the clock of robot_node is set, and set back at the end of the fault."""
        return self.node == "robot_node" and self.fault in CLOCK_FAULTS

    def __str__(self) -> str:
        return f"{self.node}/{self.state}/{self.fault}"


def all_cells() -> list[Cell]:
    """Returns all cells, the unreachable ones among them."""
    faults = {
        **dict.fromkeys((*FOLLOWERS, *LEADERS), STATE_FAULTS),
        "policy_node": CHUNK_FAULTS,
        "reward_node": EVENT_FAULTS,
        "robot_node": (*PROCESS_FAULTS, *CLOCK_FAULTS),
        "operator": OPERATOR_FAULTS,
        **dict.fromkeys(UNSEEN, PROCESS_FAULTS),
    }
    pairs = ((node, fault) for node, names in faults.items() for fault in names)
    return [Cell(node, state, fault, UNSEEN.get(node, "")) for (node, fault), state in itertools.product(pairs, STATES)]


def sample(num_cells: int | None, seed: int) -> list[Cell]:
    """Returns the reachable cells in a random order, or the first `num_cells` of them."""
    cells = [cell for cell in all_cells() if not cell.unreachable]
    random.Random(seed).shuffle(cells)
    return cells[:num_cells]
