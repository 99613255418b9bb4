"""What policy_node says of itself on /diagnostics: how long it takes to act, and how full the rollout is."""

from __future__ import annotations

import collections

import numpy as np

from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.nodes.common.status.diagnostics import Value

NUM_TIMES = 256
"""The number of newest chunks whose times are kept. A p99 needs more than a hundred."""


class ActTimes:
    """How long the newest chunks took, from the readings to the chunk that can be sent.

    Args:
        control_rate: the rate at which steps are executed, Hz.
    """

    def __init__(self, control_rate: float) -> None:
        self._control_rate = control_rate
        self._seconds: collections.deque[float] = collections.deque(maxlen=NUM_TIMES)

    def note(self, seconds: float) -> None:
        """Notes the time that one chunk took, s."""
        self._seconds.append(seconds)

    def values(self, newest: NewestChunk | None) -> dict[str, Value]:
        """Returns the median and the p99, s, beside the time that the newest chunk is executed for; none before any.

        Args:
            newest: the newest chunk.
        """
        if not self._seconds or newest is None:
            return {}
        median, late = (float(value) for value in np.quantile(self._seconds, (0.5, 0.99)))
        chunk_time = newest.num_steps / self._control_rate
        return {
            "act_time_p50": median,
            "act_time_p99": late,
            "chunk_time": chunk_time,
            "act_share_p99": late / chunk_time,
        }


def rollout_values(state: RolloutState, newest: NewestChunk | None) -> dict[str, Value]:
    """Returns which version acts, and how full the rollout is, as far as policy_node knows.

    `staleness` is how many versions the newest chunk is behind the announced one. The policy is strictly on-policy, so
    that it is not 0 only until the first chunk of a new version.

    Args:
        state: the state of the rollout.
        newest: the newest chunk.
    """
    announced, fill = state.weights.newest, state.fill
    if announced is None:
        return {}
    required = max(fill.num_required, 1)
    return {
        "announced_version": announced.version,
        "version_is_loaded": state.weights.is_loaded,
        "staleness": 0 if newest is None else announced.version - newest.policy_version,
        "rollout_accepted": fill.num_accepted,
        "rollout_in_flight": fill.num_in_flight,
        "rollout_required": fill.num_required,
        "rollout_fill": fill.num_accepted / required,
    }
