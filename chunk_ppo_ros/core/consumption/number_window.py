"""Knows how far the numbers of a run have come, so that a number that jumps is noticed."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.types import ChunkId


class NumberWindow:
    """Refuses sequence numbers and episodes that are far ahead of those that are known.

    Such a number would otherwise move the counters of the run, which the next chunk and the next episode are numbered
    from.

    Args:
        senders: the robots of the run.
        largest_jump: the largest step by which a number may be ahead of the known ones.
        next_sequence_number: the number that follows the newest chunk that was trained on.
        next_episode: the number that follows its episode.

    Attributes:
        largest_jump: the largest step by which a number may be ahead of the known ones.
    """

    def __init__(
        self, senders: tuple[str, ...], *, largest_jump: int, next_sequence_number: int = 0, next_episode: int = 0
    ) -> None:
        self.largest_jump = largest_jump
        self._next_numbers = dict.fromkeys(senders, next_sequence_number)
        self._next_episodes = dict.fromkeys(senders, next_episode)

    def check(self, id: ChunkId) -> None:
        """Refuses a chunk of another robot, or whose numbers jump.

        Raises:
            ValueError: when it is refused. The text says which numbers there may be.
        """
        if id.sender not in self._next_numbers:
            raise ValueError(f"sender must be {' or '.join(self._next_numbers)}, got {id.sender[:100]!r}")
        self._check("sequence_number", id.sequence_number, self._next_numbers[id.sender])
        self._check("episode", id.episode, self._next_episodes[id.sender])

    def next_sequence_number(self, sender: str) -> int:
        """Returns the number that the next chunk of a robot of the run gets."""
        return self._next_numbers[sender]

    def next_episode(self, sender: str) -> int:
        """Returns the number that the next episode of a robot of the run gets."""
        return self._next_episodes[sender]

    def note(self, id: ChunkId) -> None:
        """Records the numbers of a chunk that is known to be of the run."""
        self._next_numbers[id.sender] = max(self._next_numbers[id.sender], id.sequence_number + 1)
        self._next_episodes[id.sender] = max(self._next_episodes[id.sender], id.episode + 1)

    def note_stored(self, chunks: Iterable[ChunkKey]) -> None:
        """Records the numbers of stored chunks, in ascending order. One that jumps over many others is ignored."""
        for sender, number in sorted(chunks):
            following = self._next_numbers.get(sender)
            if following is not None and following <= number <= following + self.largest_jump:
                self._next_numbers[sender] = number + 1

    def note_episode(self, sender: str, episode: int) -> None:
        """Records the number of an episode that reward_node tells. One that jumps itself is ignored.

        Episodes may go by without a chunk, so that the next transition is of a much later one.
        """
        following = self._next_episodes.get(sender)
        if following is not None and following <= episode <= following + self.largest_jump:
            self._next_episodes[sender] = episode + 1

    def _check(self, name: str, number: int, following: int) -> None:
        if number > following + self.largest_jump:
            raise ValueError(
                f"{name} must be at most {following + self.largest_jump} (run.max_number_jump {self.largest_jump} "
                f"beyond {following}, which would be next), got {number}; raise the setting where the number is right"
            )
