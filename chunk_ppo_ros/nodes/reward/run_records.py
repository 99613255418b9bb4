"""What reward_node knows about the run: its episodes, and the chunks whose transitions are not complete."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.rewards.assembler import TransitionAssembler
from chunk_ppo_ros.rewards.episodes import Ending, Episodes, Phase
from chunk_ppo_ros.rewards.referee import ChunkJoin


@dataclasses.dataclass(frozen=True)
class Mark:
    """What the operator said about the running episode.

    Attributes:
        ending: how the episode ends, SUCCESS or FAILURE.
        message: why, in words.
    """

    ending: Ending
    message: str


@dataclasses.dataclass(frozen=True)
class Closing:
    """An episode that has ended by its time limit, and waits for the value of what the policy sees after it.

    Attributes:
        id: the last chunk of the episode.
        ending: how the episode ends.
        message: why, in words.
        since: since when it waits, in seconds of a steady clock.
    """

    id: ChunkId
    ending: Ending
    message: str
    since: float


class RunRecords:
    """The records of one run after another.

    Args:
        config: the configuration.

    Attributes:
        run_id: the identity of the run; empty before there is one.
        assembler: the chunks whose transition is not complete.
        join: the chunks whose outcome is not known.
        episodes: the life of the running episode.
        versions: the policy version of each chunk that may become a transition, by sequence number.
        mark: what the operator said about the running episode, until it ends.
        closing: the episode that waits for a value; None where none does.
        last: the last valid chunk of the running episode, which feedback and marks go to.
        human_drives: whether a human drives now.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self.human_drives = False
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
        self.episodes = Episodes(next_episode=next_episode, seed=self._seed)
        self.episodes.human_drives(self.human_drives)
        self.versions: dict[int, int] = {}
        self.forget_ending()

    def forget_ending(self) -> None:
        """Forgets what was said about the end of the episode, because it is over."""
        self.mark: Mark | None = None
        self.closing: Closing | None = None
        self.last: ChunkId | None = None

    def set_driver(self, *, human: bool) -> None:
        """Marks and feedback from now on are on what the human does, not on the policy's last chunk."""
        self.episodes.human_drives(human)
        if human and not self.human_drives:
            self.last = None
        self.human_drives = human

    def is_current(self, id: ChunkId) -> bool:
        """Returns whether a chunk belongs to the running episode, and the episode is not about to close."""
        running = self.episodes.phase is Phase.RUNNING and id.episode == self.episodes.episode
        return running and self.closing is None

    def _seed(self, episode: int) -> int:
        return seeds.episode_seed(seeds.TRAINING, run_seed=self._config.run.seed, episode=episode)
