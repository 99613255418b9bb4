"""Numbers the files of a dataset: file 0 to 999 of chunk 0, then those of chunk 1."""

from __future__ import annotations

import dataclasses
import pathlib

CHUNK_SIZE = 1000
"""The number of files in a folder."""
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
"""The templates of paths, as LeRobot has them."""


@dataclasses.dataclass(frozen=True)
class FilePlace:
    """The numbers of a file.

    Attributes:
        chunk_index: the number of its folder.
        file_index: its number in the folder.
    """

    chunk_index: int = 0
    file_index: int = 0

    def next(self) -> FilePlace:
        """Returns the numbers of the file after this one."""
        number = self.chunk_index * CHUNK_SIZE + self.file_index + 1
        return FilePlace(*divmod(number, CHUNK_SIZE))

    def path(self, pattern: str) -> pathlib.Path:
        """Returns the path of the file."""
        return pathlib.Path(pattern.format(chunk_index=self.chunk_index, file_index=self.file_index))

    def columns(self, prefix: str) -> dict[str, object]:
        """Returns the numbers as columns of the table of episodes."""
        return {f"{prefix}/chunk_index": self.chunk_index, f"{prefix}/file_index": self.file_index}
