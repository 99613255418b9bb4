"""Finds what the policy saw at the starts of the chunks of a recording."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.rollout_messages import RecordedChunk
from chunk_ppo_ros.data.bags.single_messages import read_message
from chunk_ppo_ros.data.episode import ReadImage


@dataclasses.dataclass(frozen=True)
class PolicyImages:
    """Reads the images that the policy saw at the starts of chunks from the bags again.

    Attributes:
        bags: the parts of the recording.
        cameras: the names of the cameras, in the order of the messages.
    """

    bags: tuple[pathlib.Path, ...]
    cameras: tuple[str, ...]

    def readers(self, chunks: Sequence[RecordedChunk], starts: Sequence[int]) -> dict[str, ReadImage]:
        """Returns functions that read the cameras which the policy had in all chunks.

        Args:
            chunks: the executed chunks of an episode.
            starts: the first steps of these chunks.
        """
        seen = [all(column) for column in zip(*(chunk.seen for chunk in chunks), strict=True)]
        by_step = dict(zip(starts, chunks, strict=True))
        return {
            camera: functools.partial(self._read, by_step, index)
            for index, camera in enumerate(self.cameras)
            if index < len(seen) and seen[index]
        }

    def _read(self, by_step: dict[int, RecordedChunk], camera: int, step: int) -> np.ndarray:
        """Returns the image of a camera at the first step of a chunk.

        Raises:
            EpisodesError: where the message has other images than it says.
        """
        chunk = by_step[step]
        seen = read_message(self.bags, chunk.channel, chunk.place, chunk.stamp).observation
        shape = (seen.num_cameras, seen.height, seen.width, 3)
        if len(seen.images) != np.prod(shape, dtype=object) or camera >= seen.num_cameras:
            raise EpisodesError(
                f"the images of a chunk must be {list(shape)} bytes, got {len(seen.images)} in chunk "
                f"{chunk.sequence_number} of {chunk.episode_name} in {self.bags[chunk.place.bag]}; leave it out"
            )
        return np.asarray(seen.images).reshape(shape)[camera]
