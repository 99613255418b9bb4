"""Finds frames of a video by their time, with PyAV."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator

import av
import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError

_MAX_AHEAD = 2.0
"""The largest time from the last frame to the next wanted one, s, for which decoding goes on from the last frame.

For other frames a key frame is sought.
"""


class Video:
    """Decodes the frames of an open video when they are asked for. It is fastest for rising times.

    Args:
        path: the path of the file.

    Raises:
        EpisodesError: where the file is missing or is no video.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Opens the file. The class documents arguments and errors."""
        self._path = path
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError) as error:
            raise EpisodesError(f"video must be readable, got {path}: {error}; download or record it again") from error
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._frame: av.VideoFrame | None = None

    def frame_at(self, time: float, *, tolerance: float) -> np.ndarray:
        """Returns the first frame that is not earlier than `time - tolerance`.

        Args:
            time: the time by the video's own time stamps, s.
            tolerance: half the time between two frames, s.

        Returns:
            An RGB image uint8 [h, w, 3].

        Raises:
            EpisodesError: where the video has no frame within the tolerance, or is damaged.
        """
        try:
            frame = self._find(time - tolerance)
        except av.FFmpegError as error:
            raise EpisodesError(
                f"video must be whole, got {self._path}, which cannot be decoded at {time:.3f} s: {error}; "
                "download or record it again"
            ) from error
        if frame is None or frame.time > time + tolerance:
            found = "none" if frame is None else f"one at {frame.time:.3f} s"
            raise EpisodesError(
                f"video must have a frame within {tolerance:.3g} s of {time:.3f} s, got {found} in {self._path}; it is "
                "cut short or lacks frames: download or record it again"
            )
        return frame.to_ndarray(format="rgb24")

    def _find(self, earliest: float) -> av.VideoFrame | None:
        """Returns the first frame at or after a time (s), or None where the video ends before."""
        if self._frame is None or not 0.0 <= earliest - self._frame.time < _MAX_AHEAD:
            self._container.seek(max(0, int(earliest * av.time_base)))
            self._frames = self._container.decode(self._stream)
            self._frame = next(self._frames, None)
        while self._frame is not None and self._frame.time < earliest:
            self._frame = next(self._frames, None)
        return self._frame


open_video = functools.lru_cache(maxsize=8)(Video)
"""Opens the video of a path. The last few videos stay open, because one file holds several episodes."""
