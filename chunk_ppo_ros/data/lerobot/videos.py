"""Checks the videos of a dataset against what it declares, and reads their frames."""

from __future__ import annotations

import functools
import itertools
import pathlib
from collections.abc import Mapping

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import ReadImage
from chunk_ppo_ros.data.lerobot.episode_table import EpisodeEntry, VideoPlace
from chunk_ppo_ros.data.lerobot.features import Feature
from chunk_ppo_ros.data.lerobot.images import check_colors, check_size
from chunk_ppo_ros.data.lerobot.info import DatasetInfo
from chunk_ppo_ros.data.video import VideoFacts, describe_video, open_video

_MAX_RATE_ERROR = 0.05
"""The largest relative difference between the frames per second of a video and those that are declared."""
_FEWEST_FRAMES = 5
"""The number of frames from which the mean rate of a video is compared."""
_ADVICE = "download or record it again"


def check_places(info: DatasetInfo, entries: Mapping[int, EpisodeEntry]) -> None:
    """Checks that the times of episodes in videos fit their lengths and do not overlap.

    Raises:
        EpisodesError: where they do not.
    """
    spans: dict[tuple[str, pathlib.Path], list[tuple[float, float, int]]] = {}
    for number, entry in entries.items():
        for name, place in entry.videos.items():
            if place.end is None:
                continue
            if entry.length is not None and abs(place.end - place.begin - entry.length / info.rate) > 1.0 / info.rate:
                raise EpisodesError(
                    f"episode {number} of {entry.length} steps must take {entry.length / info.rate:.3f} s in the "
                    "videos of "
                    f"{name}, got {place.begin:.3f} to {place.end:.3f} s in {entry.listed_in}; download the dataset "
                    "again"
                )
            spans.setdefault((name, place.path), []).append((place.begin, place.end, number))
    for (name, path), found in spans.items():
        for first, second in itertools.pairwise(sorted(found)):
            if second[0] < first[1] - 0.5 / info.rate:
                raise EpisodesError(
                    f"episodes must not share frames of {name}, got episodes {first[2]} and {second[2]} at "
                    f"{second[0]:.3f} s of {path}; download the dataset again"
                )


def frames_by_video(entries: Mapping[int, EpisodeEntry]) -> dict[tuple[str, pathlib.Path], int | None]:
    """Returns the number of frames that all episodes in a video have together, by feature and path.

    It is None where the length of one of them is not told.
    """
    found: dict[tuple[str, pathlib.Path], int | None] = {}
    for entry in entries.values():
        for name, place in entry.videos.items():
            so_far = found.get((name, place.path), 0)
            found[name, place.path] = None if so_far is None or entry.length is None else so_far + entry.length
    return found


def check_video(
    info: DatasetInfo, feature: Feature, place: VideoPlace, num_frames: int | None, length: int, source: str
) -> None:
    """Compares the head of a video with what is declared. A video that is not there is not compared.

    Args:
        info: what meta/info.json says.
        feature: the feature of the camera.
        place: where the episode is.
        num_frames: the number of frames of all episodes in this video; None where that is not known.
        length: the number of steps of the episode.
        source: the name of the episode, for error texts.

    Raises:
        EpisodesError: where the video is damaged, or has another size, rate, number of frames or depth of color.
    """
    if not place.path.is_file():
        return
    facts = describe_video(place.path)
    where = f"{place.path} ({source})"
    check_size(feature, facts.height, facts.width, where)
    check_colors(feature, facts.channels, facts.bits, where)
    _check_rate(info, feature, facts, where)
    if facts.num_frames is None:
        return
    exact = info.file_per_episode
    wanted = num_frames if num_frames is not None else length
    if facts.num_frames < wanted or (exact and facts.num_frames != wanted):
        rule = "one frame for each step" if exact else "a frame for each step of its episodes"
        raise EpisodesError(
            f"video of {feature.camera} must have {rule}, {wanted}, got {facts.num_frames} in {where}; {_ADVICE}, or "
            "leave "
            "the episode out (--leave_out_episodes)"
        )
    if facts.duration and place.begin + (length - 1.5) / info.rate > facts.duration:
        raise EpisodesError(
            f"video of {feature.camera} must last to the end of its episode, {place.begin + length / info.rate:.3f} "
            "s, got "
            f"{facts.duration:.3f} s in {where}; {_ADVICE}"
        )


def _check_rate(info: DatasetInfo, feature: Feature, facts: VideoFacts, where: str) -> None:
    several = facts.num_frames is None or facts.num_frames >= _FEWEST_FRAMES
    rates = {"meta/info.json says of the camera": feature.rate, "the video has": facts.rate if several else None}
    for who, rate in rates.items():
        if rate is not None and abs(rate / info.rate - 1.0) > _MAX_RATE_ERROR:
            raise EpisodesError(
                f"video of {feature.camera} must have the {info.rate:g} frames per second of the dataset (fps), {who} "
                f"{rate:.4g}, got {where}; correct meta/info.json, or {_ADVICE}"
            )


def video_camera(feature: Feature, place: VideoPlace, times: np.ndarray, tolerance: float) -> ReadImage:
    """Returns the function that reads a step's image from a video.

    Args:
        feature: the feature of the camera.
        place: where the episode is.
        times: float64 [T], the times of the steps from the start of the episode, s.
        tolerance: half the time between two frames, s.
    """
    return functools.partial(_read_frame, feature, place, times, tolerance)


def _read_frame(feature: Feature, place: VideoPlace, times: np.ndarray, tolerance: float, step: int) -> np.ndarray:
    image = open_video(place.path).frame_at(place.begin + float(times[step]), tolerance=tolerance)
    check_size(feature, image.shape[0], image.shape[1], str(place.path))
    return image
