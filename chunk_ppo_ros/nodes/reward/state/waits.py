"""Says what a run waits for, and by which command a person ends the wait."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.nodes.reward.operator_commands import OperatorCommands
from chunk_ppo_ros.nodes.reward.resets.reset_step import ResetStep
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards.episodes import Phase


@dataclasses.dataclass(frozen=True)
class Wait:
    """What is waited for.

    Attributes:
        text: what is waited for, in words; empty where nothing is.
        command: the command that ends the wait; empty where no command does.
        is_brief: whether the wait is a part of each chunk, which nobody needs to be told of.
    """

    text: str = ""
    command: str = ""
    is_brief: bool = False

    @property
    def line(self) -> str:
        """The wait and its command in one line."""
        return f"waits for {self.text}" + (f": {self.command}" if self.command else "")


class Waits:
    """Finds what is waited for.

    Args:
        records: the records of the run.
        commands: the command lines of an operator.
        has_simulator: whether sim_node resets the scene and starts episodes.
        starts_automatically: whether an episode starts when it is ready.
        announcer: the node that announces the run and acknowledges its transitions.
    """

    def __init__(
        self,
        records: RunRecords,
        commands: OperatorCommands,
        *,
        has_simulator: bool,
        starts_automatically: bool,
        announcer: str,
    ) -> None:
        self._records = records
        self._commands = commands
        self._has_simulator = has_simulator
        self._starts_automatically = starts_automatically
        self._announcer = announcer

    def find(self, *, step: ResetStep | None, final: bool, is_updating: bool) -> Wait:
        """Returns what is waited for now.

        Args:
            step: what the reset waits for, or None.
            final: whether training has reached its end.
            is_updating: whether the trainer makes an update.
        """
        episodes = self._records.episodes
        if not self._records.run_id:
            return Wait(f"{self._announcer} to announce the run; its own status or its log says what it does")
        if episodes.phase is Phase.IDLE:
            return Wait() if final else Wait("the next episode", is_brief=True)
        if episodes.paused:
            return self._paused()
        if episodes.phase is Phase.RESETTING:
            return self._resetting(step)
        if episodes.phase is Phase.READY:
            return self._ready()
        return self._running(is_updating=is_updating)

    def _paused(self) -> Wait:
        episodes = self._records.episodes
        text = "; ".join(episodes.holds.values())
        if episodes.needs_operator:
            return Wait(f"the end of the pause ({text})", self._commands.go_on)
        return Wait(f"{self._announcer}, and is paused until then ({text})")

    def _resetting(self, step: ResetStep | None) -> Wait:
        if self._has_simulator:
            return Wait("sim_node to reset the scene and to start the episode", is_brief=True)
        if step is None:
            return Wait("the reset to begin", is_brief=True)
        return Wait(step.waits_for, step.command)

    def _ready(self) -> Wait:
        records = self._records
        if self._has_simulator:
            return Wait("sim_node to start the episode", is_brief=True)
        if not self._starts_automatically:
            return Wait(
                f"the start of episode {records.episodes.episode}, which is ready", self._commands.start_episode
            )
        if records.human_drives:
            return Wait("the person who drives to hand back the robot", self._commands.hand_back)
        return Wait("the episode to start by itself", is_brief=True)

    def _running(self, *, is_updating: bool) -> Wait:
        records = self._records
        in_flight = records.join.in_flight()
        if records.closing is not None:
            return Wait("policy_node to value the last observation of the episode", is_brief=True)
        if in_flight and "robot" in in_flight[0].missing:
            return Wait(f"robot_node to execute chunk {in_flight[0].id.sequence_number}", is_brief=True)
        if in_flight:
            sources = ", ".join(in_flight[0].missing)
            number = in_flight[0].id.sequence_number
            return Wait(f"the reward sources to judge chunk {number} ({sources})", is_brief=True)
        if records.human_drives:
            return Wait("the person who drives to hand back the robot or to end the episode", is_brief=True)
        if is_updating:
            return Wait("trainer_node to make its update")
        return Wait("policy_node to sample the next chunk; its own status says what it waits for", is_brief=True)
