"""Puts together the parts of reward_node that direct episodes, reset them, answer operators and publish their state."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_calls import EpisodeCalls
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.episode_publisher import EpisodePublisher
from chunk_ppo_ros.nodes.reward.episode_services import serve_episodes
from chunk_ppo_ros.nodes.reward.operator_commands import OperatorCommands
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.resets.reset_conductor import ResetConductor
from chunk_ppo_ros.nodes.reward.resets.reset_routines import ResetRoutines
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.state.episode_state import EpisodeStatePublisher
from chunk_ppo_ros.nodes.reward.state.run_books import RunBooks
from chunk_ppo_ros.nodes.reward.state.run_facts import RunFacts
from chunk_ppo_ros.nodes.reward.state.simulated_repair import SimulatedRepair
from chunk_ppo_ros.nodes.reward.state.waits import Wait, Waits
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.rewards.bookkeeping.episode_prompts import EpisodePrompts
from chunk_ppo_ros.rewards.episodes import ROBOT, EpisodeChange, Phase
from chunk_ppo_ros.runtime.description import LOGS
from chunk_ppo_ros.sim.tasks.registry import prompt_schedule


class EpisodeControl:
    """Directs the episodes of a run.

    Args:
        node: the node.
        config: the configuration.
        records: the records of the run.
        outbox: the transitions that the trainer has not acknowledged.
        outcomes: publishes how chunks ended.
        log: stores what is decided before it is published.
        conditions: the conditions of the node.
        deliver: sends the transitions that are complete.
        look_for_restarts: looks which nodes were started anew, before an episode starts.
        handles: tells in which order calls and starts are handled among other inputs.

    Attributes:
        director: directs one episode after another.

    Raises:
        UserError: where the program of `episode.reset_command` is not there.
    """

    def __init__(
        self,
        node: Node,
        config: TrainConfig,
        records: RunRecords,
        outbox: TransitionOutbox,
        outcomes: OutcomePublisher,
        log: RunLog,
        conditions: Conditions,
        *,
        deliver: Callable[[], None],
        look_for_restarts: Callable[[], None] = lambda: None,
        handles: Handles = not_told,
    ) -> None:
        _check_command(config.episode.reset_arguments)
        self._records, self._log = records, log
        folder, commands = config.run.folder, OperatorCommands.of(node)
        self._books = RunBooks(node, conditions, folder / "episode_counts.json", now=time.monotonic())
        self._logger = node.get_logger()
        self._is_real = config.env.is_real
        self._repair = SimulatedRepair(is_real=self._is_real)
        self._tells_prompts = config.episode.has_several_prompts
        self._prompts = EpisodePrompts(prompt_schedule(config), config.deploy, has_starts=config.env.has_scene)
        self._facts = RunFacts(node, records, conditions, add_motion=lambda s: self._books.times.add_motion(s))
        publisher = EpisodePublisher(node, conditions, folder / "episodes.json")
        self.director = EpisodeDirector(
            node, records, publisher, outbox, outcomes, log, config.reward, on_changes=self._note
        )
        routines = ResetRoutines(
            node,
            config.episode,
            records,
            commands,
            folder=folder / LOGS,
            robot_message=lambda: self._facts.human_message,
        )
        self._conductor = ResetConductor(node, records, routines, commands, publish=self.director.publish)
        self._waits = Waits(
            records,
            commands,
            has_simulator=not config.env.is_real,
            starts_automatically=config.episode.start_automatically,
            announcer=config.deploy.announcer,
        )
        self._state = EpisodeStatePublisher(
            node,
            records,
            self._books,
            conditions,
            reset=config.episode.reset,
            find_wait=self._find_wait,
            queue=lambda: len(outbox.delivery),
        )
        self._calls = EpisodeCalls(
            node,
            config.episode,
            records,
            self.director,
            self._conductor,
            is_real=config.env.is_real,
            deliver=deliver,
            look_for_restarts=look_for_restarts,
            handles=handles,
        )
        calls = OperatorCalls(node, run_id=lambda: records.run_id)
        serve_episodes(node, calls, self._calls, whole=log.whole, handles=handles)

    def prompt_of(self, episode: int) -> str:
        """Returns the task in words of an episode that begins. Where the run has several prompts, the log names it."""
        prompt = self._prompts.prompt_of(episode, self._books.counts)
        if self._tells_prompts:
            self._logger.info(f"episode {episode} has the prompt '{prompt}'")
        return prompt

    def begin_run(self, run_id: str) -> None:
        """Begins a run with the counts and times that the disk has of it, and takes its name into the records."""
        self._books.begin_run(run_id, now=time.monotonic())

    def note_version(self, version: msg.PolicyVersion) -> None:
        """Takes the announcement of a version of the present run."""
        self._facts.note_version(version)

    def reset_again(self, message: str) -> None:
        """Begins the reset of an episode anew that has not started, because robot_node has lost its state.

        A simulator that is resetting its scene goes on with it by itself.
        """
        episodes = self._records.episodes
        if episodes.phase is Phase.READY or (episodes.phase is Phase.RESETTING and self._is_real):
            self._conductor.end()
            self.director.publish(episodes.begin_reset_again(message))

    def tick(self, now: float) -> None:
        """Goes on with resets, starts episodes that start by themselves, and publishes the state.

        Args:
            now: the time by which time-outs are measured, s of a steady clock.
        """
        self._conductor.tick(now)
        self._calls.start_if_ready()
        self._calls.end_if_marked(now)
        paused = ROBOT in self._records.episodes.holds
        if self._repair.is_over(paused=paused, now=now):
            self.director.forget_failures()
            self.director.publish(self._records.episodes.release(ROBOT, "the simulated robot is tried again"))
        self._update(time.monotonic())

    def close(self) -> None:
        """Ends what a reset has started, and stores the counts and times."""
        self._conductor.close()
        self._update(time.monotonic())
        self._books.store(time.monotonic())

    def _note(self, changes: Sequence[EpisodeChange]) -> None:
        for change in changes:
            if self._books.note(change):
                self._log.publish(lambda: self._books.store(time.monotonic()))
        self._update(time.monotonic())

    def _update(self, now: float) -> None:
        self._books.update(self._facts.activity, moves=self._facts.moves, now=now)
        self._state.update(now)

    def _find_wait(self) -> Wait:
        final, is_updating = self.director.final, self._facts.is_updating
        return self._waits.find(step=self._conductor.step, final=final, is_updating=is_updating)


def _check_command(arguments: Sequence[str]) -> None:
    if arguments and shutil.which(arguments[0]) is None:
        raise UserError(
            f"episode.reset_command must name a program that can be run, got '{arguments[0]}'; give its whole path, or "
            "make the file executable"
        )
