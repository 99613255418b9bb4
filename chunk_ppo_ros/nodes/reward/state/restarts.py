"""Says what follows for the episode where a node around reward_node was started anew."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_ros.nodes.common.inputs.handled_inputs import HandledInputs
from chunk_ppo_ros.nodes.reward.durable import restoration
from chunk_ppo_ros.nodes.reward.episode_control import EpisodeControl
from chunk_ppo_ros.nodes.reward.reward_watch import Restart, Role
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.unfinished_chunks import UnfinishedChunks
from chunk_ppo_ros.rewards import episodes
from chunk_ppo_ros.rewards.episodes import Phase


class Restarts:
    """Lets the episode end where robot or scene have lost their state, and go on otherwise.

    Beside a robot it goes on when a person has looked. A source of rewards judges again what it is told again.

    Args:
        records: the records of the run.
        control: directs the episodes.
        unfinished: knows which chunks wait for a value.
        inputs: tells which nodes were found to be started anew, with what is handled then.
        find: returns the nodes that were started anew since the last call.
        is_real: whether the robot is real.
    """

    def __init__(
        self,
        records: RunRecords,
        control: EpisodeControl,
        unfinished: UnfinishedChunks,
        inputs: HandledInputs,
        find: Callable[[], list[Restart]],
        *,
        is_real: bool,
    ) -> None:
        self._records = records
        self._control = control
        self._unfinished = unfinished
        self._inputs = inputs
        self._find = find
        self._is_real = is_real

    def look(self) -> None:
        """Looks which nodes were started anew, and does what follows."""
        restarts = self._find()
        self._inputs.note_restarts(restart.text for restart in restarts)
        for restart in restarts:
            self._on_restart(restart)

    def _on_restart(self, restart: Restart) -> None:
        phase, name, director = self._records.episodes.phase, restart.name, self._control.director
        if restart.is_before or restart.role is Role.POLICY:
            self._unfinished.note_unseen_scene()
        if restart.has_lost_the_robot and phase is Phase.RUNNING:
            self._unfinished.wait_anew(self._inputs.now)
            if restart.is_before and self._records.was_stopped:
                director.interrupt("the run was stopped", stopped=True)
            else:
                director.interrupt(f"{name} died and was started anew")
        elif restart.has_lost_the_robot:
            self._control.reset_again(f"{name} was started anew")
        elif restart.role is Role.POLICY:
            self._unfinished.wait_anew(self._inputs.now)
            if self._is_real and phase is Phase.RUNNING:
                text = f"{name} was started anew; {restoration.LOOK}"
                director.publish(self._records.episodes.hold(episodes.RESTART, text))
