"""Knows how far the numbers of a run have come, so that a number that jumps is noticed."""

from __future__ import annotations

from collections.abc import Iterable

from chunk_ppo_ros.core.consumption.chunk_ranges import ChunkKey
from chunk_ppo_ros.core.types import ChunkId

MOST_ROBOTS = 16
"""The largest number of robots of one run."""
LONGEST_NAME = 100
"""The largest number of bytes of a robot's name. The journal keeps names in a field of 255 bytes."""


class NumberWindow:
    """Refuses sequence numbers and episodes that are far ahead of those that are known.

    Such a number would otherwise move the counters of the run, which the next chunk and the next episode are numbered
    from. Each robot has numbers of its own. A robot is known when the first chunk of it has passed all checks.

    Args:
        largest_jump: the largest step by which a number may be ahead of the known ones.
        next_sequence_number: the number that follows the newest chunk that was trained on, of whatever robot.
        next_episode: the number that follows its episode.

    Attributes:
        largest_jump: the largest step by which a number may be ahead of the known ones.
    """

    def __init__(self, *, largest_jump: int, next_sequence_number: int = 0, next_episode: int = 0) -> None:
        self.largest_jump = largest_jump
        self._first_number, self._first_episode = next_sequence_number, next_episode
        self._next_numbers: dict[str, int] = {}
        self._next_episodes: dict[str, int] = {}

    def check(self, id: ChunkId) -> None:
        """Refuses a chunk whose robot cannot be one of the run, or whose numbers jump.

        Raises:
            ValueError: when it is refused. The text says which numbers there may be.
        """
        if not 1 <= len(id.sender.encode(errors="replace")) <= LONGEST_NAME:
            raise ValueError(f"sender must have 1 to {LONGEST_NAME} bytes, got {id.sender[:LONGEST_NAME]!r}")
        if id.sender not in self._next_numbers and len(self._next_numbers) >= MOST_ROBOTS:
            known = ", ".join(self._next_numbers)
            raise ValueError(f"a run must have at most {MOST_ROBOTS} robots, got {id.sender!r} beside {known}")
        self._check("sequence_number", id.sequence_number, self.next_sequence_number(id.sender))
        self._check("episode", id.episode, self.next_episode(id.sender))

    def next_sequence_number(self, sender: str) -> int:
        """Returns the number that the next chunk of a robot gets."""
        return self._next_numbers.get(sender, self._first_number)

    def next_episode(self, sender: str) -> int:
        """Returns the number that the next episode of a robot gets."""
        return self._next_episodes.get(sender, self._first_episode)

    def note(self, id: ChunkId) -> None:
        """Records the numbers of a chunk that is known to be of the run."""
        self._next_numbers[id.sender] = max(self.next_sequence_number(id.sender), id.sequence_number + 1)
        self._next_episodes[id.sender] = max(self.next_episode(id.sender), id.episode + 1)

    def note_stored(self, chunks: Iterable[ChunkKey]) -> None:
        """Records the numbers of stored chunks, in ascending order. One that jumps over many others is ignored."""
        for sender, number in sorted(chunks):
            following = self.next_sequence_number(sender)
            if following <= number <= following + self.largest_jump:
                self._next_numbers[sender] = number + 1

    def note_episode(self, sender: str, episode: int) -> None:
        """Records the number of an episode that reward_node tells. One that jumps itself is ignored.

        Episodes may go by without a chunk, so that the next transition is of a much later one.
        """
        following = self.next_episode(sender)
        if following <= episode <= following + self.largest_jump:
            self._next_episodes[sender] = episode + 1

    def _check(self, name: str, number: int, following: int) -> None:
        if number > following + self.largest_jump:
            raise ValueError(
                f"{name} must be at most {following + self.largest_jump} (run.max_number_jump {self.largest_jump} "
                f"beyond {following}, which would be next), got {number}; raise the setting where the number is right"
            )
