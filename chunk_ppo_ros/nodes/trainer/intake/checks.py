"""Joins all checks of a transition that could be deserialized."""

from __future__ import annotations

import functools
from collections.abc import Callable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.nodes.trainer.intake.plausibility import check_plausible

Check = Callable[[Transition], None]
"""The type of what raises ValueError where a transition cannot be trained on."""


class IntakeChecks:
    """Checks whether transitions fit the run and can be true.

    Args:
        window: how far the numbers of the run have come.
        checks: further checks.

    Attributes:
        window: how far the numbers of the run have come.
    """

    def __init__(self, window: NumberWindow, *checks: Check) -> None:
        self.window = window
        self._checks = checks

    @classmethod
    def of(cls, config: TrainConfig, counters: Counters, fits: Check) -> IntakeChecks:
        """Returns the checks of a run.

        Args:
            config: the configuration of the run.
            counters: the counters of the run, which say how far its numbers have come.
            fits: checks whether a transition fits the learner.
        """
        window = NumberWindow(
            largest_jump=config.run.max_number_jump,
            next_sequence_number=counters.next_sequence_number,
            next_episode=counters.next_episode,
        )
        return cls(window, fits, functools.partial(check_plausible, config=config))

    def check(self, transition: Transition) -> None:
        """Refuses a transition that cannot be trained on, and notes the numbers of one that can.

        Raises:
            ValueError: when it is refused. The text names the field, its value and what it must be.
        """
        self.window.check(transition.id)
        for check in self._checks:
            check(transition)
        self.window.note(transition.id)
