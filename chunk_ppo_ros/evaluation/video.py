"""Makes a short video of an episode of an evaluation, from the commands that were sent to the simulator in it.

The episode is simulated again with larger images, so that an evaluation does not become slower by the video. A start
and its commands always give the same motion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ChunkOutcome
from chunk_ppo_ros.sim.simulator import make_simulator

IMAGE_SIZE = 224
"""The height and width of each camera in a video, pixels, or the nearest size of whole patches of the model."""
STEPS_PER_FRAME = 2
"""The control steps from one frame to the next: at 50 Hz a video has 25 frames in a second."""
STILL_FRAMES = 15
"""The number of times that the last frame is repeated, so that one sees how the episode ended."""
_QUALITY = "26"  # the constant rate factor of H.264; lower is better and larger


class EpisodeCommands:
    """Collects what was commanded in the episodes of an evaluation.

    It is called with the number of an episode and the outcome of each of its chunks.
    """

    def __init__(self) -> None:
        self._episodes: dict[int, list[np.ndarray]] = {}

    def __call__(self, episode: int, outcome: ChunkOutcome) -> None:
        """Takes the outcome of a chunk."""
        commanded = outcome.execution.commanded
        self._episodes.setdefault(episode, []).extend([commanded] if len(commanded) else [])

    def of(self, episode: int) -> np.ndarray:
        """Returns the commands of an episode, float32 [n, 14], rad, grippers normalized; none where nothing moved."""
        commands = self._episodes.get(episode, [])
        return np.concatenate(commands) if commands else np.zeros((0, 14), np.float32)


def shown_episode(success: Iterable[bool]) -> int:
    """Returns the episode that a video shows: the first one that was solved, or the first one where none was."""
    return next((episode for episode, solved in enumerate(success) if solved), 0)


def shown_pair(before: Iterable[bool], after: Iterable[bool]) -> int:
    """Returns the episode that shows a difference: solved after training and not before, if there is one."""
    before, after = list(before), list(after)
    learned = [new and not old for old, new in zip(before, after, strict=True)]
    return learned.index(True) if any(learned) else shown_episode(after)


def write_video(path: Path, config: TrainConfig, *, start: int, commands: np.ndarray) -> None:
    """Writes an MP4 file (H.264) of an episode, with all cameras side by side. An existing file is replaced.

    Args:
        path: the file to write.
        config: the settings of the evaluation.
        start: the seed of the episode's start.
        commands: float [n, 14], the commands of its control steps, rad, grippers normalized.

    Raises:
        OSError: when the file cannot be written.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        _encode(unfinished, _frames(_larger(config), start, commands), rate=_rate(config))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _rate(config: TrainConfig) -> Fraction:
    return Fraction(config.robot.control_rate).limit_denominator(1000) / STEPS_PER_FRAME


def _larger(config: TrainConfig) -> TrainConfig:
    """Returns the settings with images of the size of the video."""
    patch = config.model.patch_size
    size = patch * max(1, round(IMAGE_SIZE / patch))
    return dataclasses.replace(config, model=dataclasses.replace(config.model, image_size=size))


def _frames(config: TrainConfig, start: int, commands: np.ndarray) -> Iterator[np.ndarray]:
    """Yields uint8 [h, w, 3] with an even height and width, for every second control step and the last one."""
    with closing(make_simulator(config)) as simulator:
        simulator.reset(seed=start)
        frame = _side_by_side(simulator.render())
        yield frame
        for step, command in enumerate(commands, start=1):
            simulator.step(np.asarray(command, float))
            if step % STEPS_PER_FRAME == 0 or step == len(commands):
                frame = _side_by_side(simulator.render())
                yield frame
    for _ in range(STILL_FRAMES):
        yield frame


def _side_by_side(images: np.ndarray) -> np.ndarray:
    """Returns the images of all cameras in a row. H.264 in yuv420p has even heights and widths only."""
    row = np.concatenate(list(images), axis=1)
    height, width = (size // 2 * 2 for size in row.shape[:2])
    return np.ascontiguousarray(row[:height, :width])


def _encode(path: Path, frames: Iterator[np.ndarray], *, rate: Fraction) -> None:
    # With faststart the index stands before the frames, so that a browser begins to play at once.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options={"crf": _QUALITY, "preset": "medium"})
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
