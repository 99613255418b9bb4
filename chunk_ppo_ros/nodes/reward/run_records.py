"""Keeps reward_node's records of the run: its episodes, and the chunks whose transitions are not complete."""

from __future__ import annotations

from collections.abc import Callable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Closing, Mark
from chunk_ppo_ros.rewards.chunk_join import ChunkJoin
from chunk_ppo_ros.rewards.episodes import Episodes, Phase

NUM_INTERRUPTED = 8
"""The number of interrupted episodes that are remembered, because their last chunks may arrive late."""
NUM_DISCARDED = 64
"""The number of discarded episodes that are remembered, because trainer_node may be dead when they are discarded.

Of an episode that it has not heard of it has no transition, and it has transitions of the newest ones alone that are
not trained on yet. `qos.HISTORY` keeps as many messages.
"""


class RunRecords:
    """The records of the present run. When another run begins, they begin anew.

    Args:
        config: the configuration.
        prompt_for: returns the task of an episode in words, from the number of the episode. It is called once for each
            episode.

    Attributes:
        run_id: the identity of the run, or empty before the first run.
        assembler: the chunks whose transition is not complete.
        join: the chunks whose outcome is not known.
        episodes: the life of the running episode.
        versions: the policy version of each chunk that may become a transition, by sequence number.
        mark: the operator's decision on the running episode, or None. It is kept until the episode ends.
        unheard_until: the time in seconds of a steady clock until which policy_node may send a running chunk again
            that an earlier process knew; 0 where that is over.
        closing: the episode that waits for a value, or None.
        closing_since: the time since which it waits, in seconds of a steady clock.
        last: the last valid chunk of the running episode, which gets feedback and marks, or None.
        human_drives: whether a human drives now.
        interrupted: the newest episodes that the death of a node interrupted.
        discarded: the newest episodes that were discarded.
        stopped: those of them that a regular stop of the graph cut, in which nobody died.
        is_stopping: whether this process ends regularly, and does not die.
        was_stopped: whether the process before ended regularly while the running episode ran.
        running_when_robot_died: the number of chunks of the run that were running when robot_node or the simulator
            died.
    """

    def __init__(self, config: TrainConfig, *, prompt_for: Callable[[int], str]) -> None:
        self._config = config
        self._prompt_for = prompt_for
        self.human_drives = False
        self.is_stopping = False
        self.begin("", next_episode=0)

    def begin(self, run_id: str, *, next_episode: int) -> None:
        """Forgets the run before and begins one.

        Args:
            run_id: the identity of the run.
            next_episode: the number of its first episode.
        """
        self.run_id = run_id
        self.assembler = TransitionAssembler(self._config.ppo)
        self.join = ChunkJoin(self._config.reward.sources)
        self.episodes = Episodes(next_episode=next_episode, seed=self._seed, prompt=self._prompt_for)
        self.episodes.human_drives(self.human_drives)
        self.versions: dict[int, int] = {}
        self.interrupted: tuple[int, ...] = ()
        self.discarded: tuple[int, ...] = ()
        self.running_when_robot_died = 0
        self.stopped: tuple[int, ...] = ()
        self.was_stopped = False
        self.unheard_until = 0.0
        self.closing_since = 0.0
        self.forget_ending()

    def forget_ending(self) -> None:
        """Forgets the mark, the closing and the last chunk of the episode, because it is over."""
        self.unheard_until = 0.0
        self.mark: Mark | None = None
        self.closing: Closing | None = None
        self.last: ChunkId | None = None

    def note_interrupted(self, *, stopped: bool = False) -> None:
        """Remembers that the death of a node, or a regular stop of the graph, interrupts the present episode."""
        episode = self.episodes.episode
        if episode not in self.interrupted:
            self.interrupted = (*self.interrupted, episode)[-NUM_INTERRUPTED:]
            self.stopped = (*self.stopped, *([episode] if stopped else []))[-NUM_INTERRUPTED:]

    def note_discarded(self, episode: int) -> None:
        """Remembers that an episode is discarded."""
        others = (one for one in self.discarded if one != episode)
        self.discarded = (*others, episode)[-NUM_DISCARDED:]

    def set_driver(self, *, human: bool) -> None:
        """Records who drives. When a human takes over, marks and feedback no longer go to the policy's last chunk."""
        self.episodes.human_drives(human)
        if human and not self.human_drives:
            self.last = None
        self.human_drives = human

    def is_current(self, id: ChunkId) -> bool:
        """Returns whether a chunk belongs to the running episode, which is not waiting to close."""
        running = self.episodes.phase is Phase.RUNNING and id.episode == self.episodes.episode
        return running and self.closing is None

    def _seed(self, episode: int) -> int:
        purpose, deployed = seeds.TRAINING, len(self._config.deploy.checkpoints)
        if deployed:  # The starts are those of an evaluation, and each checkpoint acts once from each.
            purpose, episode = seeds.EVALUATION, episode // deployed
        return seeds.episode_seed(purpose, run_seed=self._config.run.seed, episode=episode)
