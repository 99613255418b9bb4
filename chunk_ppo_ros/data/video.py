"""Finds frames of a video by their time, with PyAV."""

from __future__ import annotations

import dataclasses
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
_DAMAGE = (av.FFmpegError, ValueError, IndexError, OverflowError, MemoryError, TypeError)
"""What PyAV raises for videos that are cut short or changed."""


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """Says what the head of a video declares.

    Attributes:
        height: the height of a frame, pixels.
        width: the width of a frame, pixels.
        channels: the number of channels: 1 for gray, else 3. Transparency does not count.
        bits: the bits of each channel.
        num_frames: the number of frames; None where the file does not say it.
        rate: the mean number of frames per second; None where the file does not say it.
        duration: the duration, s; None where the file does not say it.
    """

    height: int
    width: int
    channels: int
    bits: int
    num_frames: int | None
    rate: float | None
    duration: float | None


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
        except _DAMAGE as error:
            raise EpisodesError(f"video must be readable, got {path}: {error}; download or record it again") from error
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._frame: av.VideoFrame | None = None

    def facts(self) -> VideoFacts:
        """Returns what the head of the file declares.

        Raises:
            EpisodesError: where it declares no size or no format of pixels.
        """
        stream = self._stream
        try:
            pixels = stream.codec_context.format
            if pixels is None:
                raise ValueError("no format of pixels")
            colors = [part for part in pixels.components if not part.is_alpha]
            return VideoFacts(
                height=stream.codec_context.height,
                width=stream.codec_context.width,
                channels=1 if len(colors) == 1 and not pixels.has_palette else 3,
                bits=max(part.bits for part in colors),
                num_frames=stream.frames or None,
                rate=float(stream.average_rate) if stream.average_rate else None,
                duration=float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None,
            )
        except (*_DAMAGE, AttributeError, ZeroDivisionError) as error:
            raise EpisodesError(
                f"video must declare its format, got {self._path}: {error}; download or record it again"
            ) from error

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
            if frame is not None and frame.is_corrupt:
                raise ValueError("the frame is damaged")
            image = None if frame is None else frame.to_ndarray(format="rgb24")
        except _DAMAGE as error:
            self._frame = None
            raise EpisodesError(
                f"video must be whole, got {self._path}, which cannot be decoded at {time:.3f} s: {error}; "
                "download or record it again"
            ) from error
        if frame is None or image is None or _time(frame) > time + tolerance:
            found = "none" if frame is None else f"one at {_time(frame):.3f} s"
            raise EpisodesError(
                f"video must have a frame within {tolerance:.3g} s of {time:.3f} s, got {found} in {self._path}; it is "
                "cut short or lacks frames: download or record it again"
            )
        return image

    def _find(self, earliest: float) -> av.VideoFrame | None:
        """Returns the first frame at or after a time (s), or None where the video ends before."""
        if self._frame is None or not 0.0 <= earliest - _time(self._frame) < _MAX_AHEAD:
            self._frame = None
            self._container.seek(max(0, int(earliest * av.time_base)))
            self._frames = self._container.decode(self._stream)
            self._frame = next(self._frames, None)
        while self._frame is not None and _time(self._frame) < earliest:
            self._frame = next(self._frames, None)
        return self._frame


def _time(frame: av.VideoFrame) -> float:
    """Returns the time of a frame, s.

    Raises:
        ValueError: where it has none.
    """
    if frame.time is None:
        raise ValueError("a frame has no time stamp")
    return float(frame.time)


def open_video(path: pathlib.Path) -> Video:
    """Returns the open video of a path. The last few videos stay open, because one file holds several episodes.

    Raises:
        EpisodesError: where the file is missing or is no video.
    """
    return _open(path, *_stamp(path))


def describe_video(path: pathlib.Path) -> VideoFacts:
    """Returns what the head of a video declares. What was found is kept, because one file holds several episodes.

    Raises:
        EpisodesError: where the file is missing, is no video, or declares no format.
    """
    return _describe(path, *_stamp(path))


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    """Returns when a file was last changed and its size, so that a changed file is opened anew."""
    try:
        found = path.stat()
    except OSError as error:
        raise EpisodesError(f"video must be readable, got {path}: {error}; download or record it again") from error
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=8)
def _open(path: pathlib.Path, _changed: int, _size: int) -> Video:
    return Video(path)


@functools.lru_cache(maxsize=4096)
def _describe(path: pathlib.Path, _changed: int, _size: int) -> VideoFacts:
    return Video(path).facts()
