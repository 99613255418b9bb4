"""Conducts the reset of each episode, from its RESET event until the episode is ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.node import Node

from chunk_ppo_ros.nodes.reward.operator_commands import OperatorCommands
from chunk_ppo_ros.nodes.reward.resets.reset_routines import ResetRoutines
from chunk_ppo_ros.nodes.reward.resets.reset_step import OnDone, ResetStep, ResetStopped, Routine
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards.episodes import EpisodeChange, Phase

CLOSING_TIME = 0.3
"""The time that a command has to end when reward_node ends, s."""


class ResetConductor:
    """Conducts resets. What it begins ends with the reset: by a pause, a discarded episode, or another run.

    After a pause the reset begins anew. A hold because transitions wait for trainer_node does not touch a reset.

    Args:
        node: the node, whose logger is used.
        records: the records of the run.
        routines: makes the routine of a reset.
        commands: the command lines of an operator.
        publish: logs and publishes changes of the episode.
    """

    def __init__(
        self,
        node: Node,
        records: RunRecords,
        routines: ResetRoutines,
        commands: OperatorCommands,
        *,
        publish: Callable[[Sequence[EpisodeChange]], None],
    ) -> None:
        self._logger = node.get_logger()
        self._records = records
        self._routines = routines
        self._commands = commands
        self._publish = publish
        self._reset: tuple[str, int] | None = None
        self._routine: Routine | None = None
        self.step: ResetStep | None = None
        """What the reset waits for, or None where none is under way or it has not begun."""

    def tick(self, now: float) -> None:
        """Goes on with the reset of the present episode. `now` is the time of a steady clock, s."""
        self._routines.look_after_ended(now)
        records = self._records
        is_wanted = records.episodes.phase is Phase.RESETTING and not records.episodes.needs_operator
        wanted = (records.run_id, records.episodes.episode) if is_wanted else None
        if wanted != self._reset:
            self.end()
            self._reset = wanted
        if wanted is None:
            return
        if self._routine is None and self.step is None:
            self._routine = self._routines.begin()
        if self._routine is not None:
            self._go_on(self._routine)

    def end(self) -> None:
        """Ends the reset that is under way, if there is one. The next tick begins one anew where it is wanted."""
        if self._routine is not None:
            self._routine.close()
        self._routine, self.step, self._reset = None, None, None

    def finish(self) -> str:
        """Records that a person says that the reset is done, and returns in words what happens.

        Raises:
            ValueError: where no reset is under way, or something still moves or runs.
        """
        episodes, step = self._records.episodes, self.step
        if episodes.phase is not Phase.RESETTING:
            raise ValueError(f"no reset is under way: {episodes.phase.value}")
        on_done = OnDone.FINISH if step is None else step.on_done
        if step is not None and on_done is OnDone.REFUSE:
            raise ValueError(f"the reset is not done: it waits for {step.waits_for}")
        if on_done is OnDone.GO_ON:
            self._routines.note_done()
            return f"the reset of episode {episodes.episode} goes on, because a person says that the scene is ready"
        self.end()
        self._publish(episodes.finish_reset("by the service reset_done"))
        return f"episode {episodes.episode} is ready"

    def close(self) -> None:
        """Ends the reset and all that it has started, because the node ends."""
        self.end()
        self._routines.close(CLOSING_TIME)

    def _go_on(self, routine: Routine) -> None:
        try:
            self.step = next(routine)
        except StopIteration as end:
            self._routine = None
            self.end()
            self._publish(self._records.episodes.finish_reset(end.value))
        except ResetStopped as error:
            self._routine = None
            self._logger.error(f"the reset of episode {self._records.episodes.episode} has stopped: {error}")
            text = (
                f"a person, because {error}; bring robot and scene to the start and call reset_done, or let the reset "
                "begin anew by the service reset"
            )
            self.step = ResetStep(text, self._commands.reset, OnDone.FINISH)
