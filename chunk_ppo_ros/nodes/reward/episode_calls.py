"""Answers what operators ask of episodes: to reset, start, end and pause them. docs/episodes.md has the table."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from chunk_ppo_ros.config import EpisodeConfig
from chunk_ppo_ros.config.episode import OPERATOR
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.resets.reset_conductor import ResetConductor
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards import episodes as episodes_lib
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Mark
from chunk_ppo_ros.rewards.episodes import Ending, Phase

START = "start"
"""The name by which the start of an episode is told among the inputs of reward_node, whoever has started it."""


class EpisodeCalls:
    """Does what operators ask for. Each method returns in words what happens, and raises a ValueError where it refuses.

    Args:
        node: the node, whose logger is used.
        config: the settings of episodes.
        records: the records of the run.
        director: directs the episodes.
        conductor: conducts the resets.
        is_real: whether the robot is real. A simulator starts its episodes by itself, also while a human drives.
        deliver: sends the transitions that are complete.
        look_for_restarts: looks which nodes were started anew, so that no episode starts with a robot that is lost.
        handles: tells in which order episodes are started among other inputs.
    """

    def __init__(
        self,
        node: Node,
        config: EpisodeConfig,
        records: RunRecords,
        director: EpisodeDirector,
        conductor: ResetConductor,
        *,
        is_real: bool,
        deliver: Callable[[], None],
        look_for_restarts: Callable[[], None] = lambda: None,
        handles: Handles = not_told,
    ) -> None:
        self._is_real = is_real
        self._logger = node.get_logger()
        self._config = config
        self._records = records
        self._director = director
        self._conductor = conductor
        self._deliver = deliver
        self._look_for_restarts = look_for_restarts
        self._start = handles(START, self._start_now)

    def start_episode(self) -> str:
        """Starts the episode whose scene is ready.

        Raises:
            ValueError: where no episode waits for its start, where somebody else makes the reset and it is not done, or
                where a human drives a real robot.
        """
        self._look_for_restarts()
        episodes = self._records.episodes
        if episodes.phase is Phase.RESETTING and self._config.reset != OPERATOR:
            step = self._conductor.step
            waits = "" if step is None else f"; it waits for {step.waits_for}"
            raise ValueError(f"the reset of episode {episodes.episode} is not done ({self._config.reset}){waits}")
        if self._is_real and self._records.human_drives:
            raise ValueError(
                "a human drives, so that the episode would count as one in which a human took over; hand back first by "
                "the service takeover with data: false"
            )
        episodes.check_start()
        self._start("by the service start_episode")
        paused = ", and is paused: call the service pause with data: false" if episodes.paused else ""
        return f"episode {episodes.episode} has started{paused}"

    def start_if_ready(self) -> None:
        """Starts an episode that is ready, where episodes start by themselves and nobody drives or has paused."""
        episodes = self._records.episodes
        may_start = self._config.start_automatically and not episodes.paused and not self._records.human_drives
        if may_start and episodes.phase is Phase.READY:
            self._start("by itself (episode.start_automatically)")

    def _start_now(self, message: str = "as in the recorded run") -> None:
        self._director.publish(self._records.episodes.start(message))

    def reset_done(self) -> str:
        """Takes a person's word that the reset is done.

        Raises:
            ValueError: where no reset is under way, or something still moves or runs.
        """
        return self._conductor.finish()

    def reset(self) -> str:
        """Begins the reset of an episode anew that has not started.

        Raises:
            ValueError: where there is no such episode.
        """
        episodes = self._records.episodes
        if episodes.phase is Phase.RUNNING:
            raise ValueError(
                f"no reset can begin while episode {episodes.episode} runs; end it first by the service end_episode"
            )
        changes = episodes.begin_reset_again("by the service reset")
        self._conductor.end()
        self._director.publish(changes)
        paused = " when the pause ends" if episodes.needs_operator else ""
        return f"the reset of episode {episodes.episode} begins anew{paused}"

    def end_episode(self, ending: Ending) -> str:
        """Ends the episode as the operator says.

        Raises:
            ValueError: where no episode can end in this way.
        """
        records = self._records
        episode, phase = records.episodes.episode, records.episodes.phase
        if phase is Phase.IDLE or (phase is not Phase.RUNNING and ending is not Ending.DISCARDED):
            raise ValueError(f"no episode can end as {ending.name}: {phase.value}{self._last_end()}")
        answer = f"episode {episode} ends as {ending.name}"
        if records.mark is not None and records.mark.ending is not ending:
            answer += f" (was {records.mark.ending.name})"
            self._logger.warning(f"{answer}: the operator has changed the mark")
        if ending is Ending.DISCARDED:
            self._director.discard("by the operator")
            return answer
        records.mark = Mark(ending, "by the operator")
        if records.join.in_flight():
            return f"{answer} with the running chunk"
        if records.unheard_until and records.closing is None:
            return f"{answer} with the chunk that may run, of which reward_node hears after its start"
        self._director.apply_mark(records.mark)
        self._deliver()
        return answer

    def end_if_marked(self, now: float) -> None:
        """Ends an episode that an operator has marked, where no chunk came that an earlier process may have known.

        Args:
            now: the present time of a steady clock, s.
        """
        records = self._records
        if not 0.0 < records.unheard_until <= now:
            return
        records.unheard_until = 0.0
        if records.mark is not None and records.closing is None and not records.join.in_flight():
            self._director.apply_mark(records.mark)
            self._deliver()

    def _last_end(self) -> str:
        """Returns how the last episode ended, because an operator who marks too late means that one."""
        ended = self._director.ended
        if ended is None:
            return ""
        outcome = "without an outcome" if ended.ending is Ending.NONE else f"as {ended.ending.name}"
        return f"; episode {ended.episode} has ended {outcome}"

    def pause(self, paused: bool) -> str:
        """Pauses for the operator or goes on. A reset that is under way ends, and begins anew after the pause."""
        episodes = self._records.episodes
        if paused:
            self._conductor.end()
            self._director.publish(episodes.hold(episodes_lib.OPERATOR, "by the operator"))
        else:
            self._director.forget_failures()
            for reason in (episodes_lib.ROBOT, episodes_lib.RESTART, episodes_lib.OPERATOR):
                self._director.publish(episodes.release(reason, "by the operator"))
        return "paused" if episodes.paused else "not paused"
