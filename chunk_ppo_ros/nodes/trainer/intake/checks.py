"""Joins all checks of a transition that could be deserialized."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import DEFAULT_SENDER, Transition
from chunk_ppo_ros.nodes.trainer.intake.plausibility import check_plausible


class IntakeChecks:
    """Checks whether transitions fit the run and can be true.

    Args:
        config: the configuration of the run.
        counters: the counters of the run, which say how far its numbers have come.
        fits: raises ValueError where a transition does not fit the learner.

    Attributes:
        window: how far the numbers of the run have come.
    """

    def __init__(self, config: TrainConfig, counters: Counters, fits: Callable[[Transition], None]) -> None:
        self._config = config
        self._fits = fits
        self.window = NumberWindow(
            (DEFAULT_SENDER,),
            largest_jump=config.run.max_number_jump,
            next_sequence_number=counters.next_sequence_number,
            next_episode=counters.next_episode,
        )

    def check(self, transition: Transition) -> None:
        """Refuses a transition that cannot be trained on, and notes the numbers of one that can.

        Raises:
            ValueError: when it is refused. The text names the field, its value and what it must be.
        """
        self.window.check(transition.id)
        self._fits(transition)
        check_plausible(transition, self._config)
        self.window.note(transition.id)
