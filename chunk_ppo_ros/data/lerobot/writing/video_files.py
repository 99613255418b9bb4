"""Writes the images of one camera into videos, in which episodes follow each other without gaps."""

from __future__ import annotations

import fractions
import os
import pathlib

import av
import numpy as np
from av.video.stream import VideoStream

from chunk_ppo_ros.data.lerobot.writing.file_places import FilePlace
from chunk_ppo_ros.data.lerobot.writing.form import AV1, H264, Shape, pixel_format

_ENCODERS = {
    # Every second frame is a key frame, as in LeRobot's own videos, so that a frame is found quickly.
    H264: ("libx264", {"crf": "18", "g": "2", "bf": "0", "preset": "fast"}),
    AV1: ("libsvtav1", {"crf": "30", "g": "2", "preset": "10"}),
}


class VideoFiles:
    """The videos of a camera.

    Args:
        pattern: the path of a video with the places {chunk_index} and {file_index}.
        codec: H264 or AV1.
        rate: frames per second.
        shape: the shape of the images.
        max_bytes: the length from which on the next episode begins a new video, bytes.
    """

    def __init__(self, pattern: str, *, codec: str, rate: int, shape: Shape, max_bytes: int) -> None:
        self._pattern, self._codec, self._rate, self._shape = pattern, codec, rate, shape
        self._max_bytes = max_bytes
        self._place = FilePlace()
        self._video: _Video | None = None

    def begin_episode(self) -> tuple[FilePlace, float]:
        """Returns the video of the next episode, and the time at which the episode begins in it, s."""
        if self._video is not None and self._video.num_bytes > self._max_bytes:
            self._video.close()
            self._video, self._place = None, self._place.next()
        if self._video is None:
            path = self._place.path(self._pattern)
            self._video = _Video(path, codec=self._codec, rate=self._rate, shape=self._shape)
        return self._place, self._video.num_frames / self._rate

    def add(self, image: np.ndarray) -> None:
        """Adds an image, uint8 [h, w, 3], of the episode that has begun."""
        if self._video is None:
            raise RuntimeError("an episode must begin before its images are added")
        self._video.add(image)

    def close(self) -> None:
        """Ends the last video."""
        if self._video is not None:
            self._video.close()
            self._video = None


class _Video:
    """A video that is being written."""

    def __init__(self, path: pathlib.Path, *, codec: str, rate: int, shape: Shape) -> None:
        encoder, options = _ENCODERS[codec]
        os.environ.setdefault("SVT_LOG", "1")  # The encoder of AV1 would print its settings for each video.
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_frames = 0
        self.num_bytes = 0  # of what the encoder has given so far, which is some frames behind
        self._container = av.open(str(path), "w")
        stream = self._container.add_stream(encoder, rate=rate, options=options)
        if not isinstance(stream, VideoStream):
            raise RuntimeError(f"{encoder} must make videos, got {type(stream).__name__}; install the pinned PyAV")
        self._stream = stream
        self._stream.height, self._stream.width, self._stream.pix_fmt = shape[0], shape[1], pixel_format(shape)
        self._base = fractions.Fraction(1, rate)
        self._stream.codec_context.time_base = self._base

    def add(self, image: np.ndarray) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = self.num_frames, self._base
        self._write(self._stream.encode(frame))
        self.num_frames += 1

    def close(self) -> None:
        self._write(self._stream.encode(None))
        self._container.close()

    def _write(self, packets: list[av.Packet]) -> None:
        self.num_bytes += sum(packet.size for packet in packets)
        self._container.mux(packets)
