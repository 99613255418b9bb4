"""Findings about what the cameras saw, on a few frames: sizes, dark cameras and frozen ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, blocking, fine, hint
from chunk_ppo_ros.data.checks.sources import named
from chunk_ppo_ros.data.episode import Episode

T = TypeVar("T")

NUM_EPISODES = 3
"""The number of episodes of which frames are looked at."""

DARK = 8.0
"""The mean gray level up to which a frame is dark, of 255."""


@dataclasses.dataclass(frozen=True)
class CameraFrames:
    """A few frames of a camera in an episode.

    Attributes:
        source: the name of the episode.
        camera: the name of the camera.
        images: uint8 [h, w, 3] at the first, a middle and the last step; fewer for short episodes.
        problem: why a frame cannot be read, or empty.
    """

    source: str
    camera: str
    images: tuple[np.ndarray, ...]
    problem: str = ""


def spread(things: Sequence[T], number: int = NUM_EPISODES) -> list[T]:
    """Returns a few things, such as episodes, spread evenly over all of them, with the first and the last."""
    rows = np.unique(np.linspace(0, len(things) - 1, min(number, len(things))).round().astype(int))
    return [things[row] for row in rows]


def look_at(episode: Episode, cameras: Sequence[str] = ()) -> list[CameraFrames]:
    """Returns frames of the cameras of an episode; of all of them where none is named."""
    steps = np.arange(len(episode)) if episode.image_steps is None else episode.image_steps
    if not len(steps):
        return []
    chosen = np.unique([steps[0], steps[len(steps) // 2], steps[-1]]).tolist()
    names = [name for name in cameras or episode.cameras if name in episode.cameras]
    return [_frames(episode, name, chosen) for name in names]


def camera_findings(looked_at: Sequence[CameraFrames]) -> Iterator[DataFinding]:
    """Yields a finding for each camera about its frames."""
    for camera in dict.fromkeys(frames.camera for frames in looked_at):
        frames = [each for each in looked_at if each.camera == camera]
        yield from _judge(camera, frames)


def _frames(episode: Episode, camera: str, steps: Sequence[int]) -> CameraFrames:
    images: list[np.ndarray] = []
    for step in steps:
        try:
            images.append(episode.cameras[camera](int(step)))
        except EpisodesError as error:
            return CameraFrames(episode.source, camera, tuple(images), str(error))
    return CameraFrames(episode.source, camera, tuple(images))


def _judge(camera: str, frames: Sequence[CameraFrames]) -> Iterator[DataFinding]:
    key = "images"
    for broken in (each for each in frames if each.problem):
        yield blocking(key, Verdict.REFUSE, f"{camera}: {broken.problem}", "leave it out by --leave_out_episodes")
    sizes = sorted({f"{image.shape[1]}x{image.shape[0]}" for each in frames for image in each.images})
    dark = [each.source for each in frames if each.images and max(image.mean() for image in each.images) <= DARK]
    frozen = [each.source for each in frames if _is_frozen(each)]
    if dark:
        advice = "look at the camera, leave such episodes out, or make it an absent one by --optional_cameras"
        yield hint("dark_camera", f"{camera} is dark in {named(dark)}", advice, camera=camera)
    elif frozen:
        text = f"{camera} shows the very same picture at the first, a middle and the last step of {named(frozen)}"
        yield hint("frozen_camera", text, "leave such episodes out by --leave_out_episodes", camera=camera)
    elif sizes:
        mixed = " (of several sizes)" if len(sizes) > 1 else ""
        yield fine(key, f"{camera}: {', '.join(sizes)} pixels{mixed}, neither dark nor frozen", camera=camera)


def _is_frozen(frames: CameraFrames) -> bool:
    first, *others = frames.images or (np.empty(0),)
    return len(others) > 1 and all(np.array_equal(first, other) for other in others)
