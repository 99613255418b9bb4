"""Checks the videos of a dataset against what it declares, and reads their frames."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Mapping, Sequence

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
_MAX_TINT = 8.0
"""The largest mean difference between the channels of a picture that is gray but was compressed, of 255."""
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
                    f"videos of {name}, got {place.begin:.3f} to {place.end:.3f} s in {entry.listed_in}; download the "
                    "dataset again"
                )
            spans.setdefault((name, place.path), []).append((place.begin, place.end, number))
    for (name, path), found in spans.items():
        for first, second in itertools.pairwise(sorted(found)):
            if second[0] < first[1] - 0.5 / info.rate:
                raise EpisodesError(
                    f"episodes must not share frames of {name}, got episodes {first[2]} and {second[2]} at "
                    f"{second[0]:.3f} s of {path}; download the dataset again"
                )


@dataclasses.dataclass(frozen=True)
class FrameCount:
    """The frames that a video must have.

    Attributes:
        number: the number of steps of all its episodes; None where the length of one is not told.
        exact: whether the episodes fill it from its start without gaps, so that it must not have more frames.
    """

    number: int | None
    exact: bool


def frames_by_video(
    info: DatasetInfo, entries: Mapping[int, EpisodeEntry]
) -> dict[tuple[str, pathlib.Path], FrameCount]:
    """Returns the frames that each video must have, by feature and path.

    Episodes that were removed leave gaps, and their frames stay. So do those whose place is not known.
    """
    all_placed = all(entry.videos for entry in entries.values())
    found: dict[tuple[str, pathlib.Path], list[tuple[VideoPlace, int | None]]] = {}
    for entry in entries.values():
        for name, place in entry.videos.items():
            found.setdefault((name, place.path), []).append((place, entry.length))
    return {key: _frame_count(info, places, all_placed) for key, places in found.items()}


def _frame_count(info: DatasetInfo, places: Sequence[tuple[VideoPlace, int | None]], all_placed: bool) -> FrameCount:
    lengths = [length for _, length in places if length is not None]
    spans = sorted((place.begin, place.end) for place, _ in places if place.end is not None)
    ends = [0.0, *(end for _, end in spans)]
    joined = all(abs(begin - end) < 0.5 / info.rate for (begin, _), end in zip(spans, ends, strict=False))
    filled = info.file_per_episode or (all_placed and len(spans) == len(places) and joined)
    return FrameCount(sum(lengths) if len(lengths) == len(places) else None, filled)


def check_video(
    info: DatasetInfo, feature: Feature, place: VideoPlace, frames: FrameCount, length: int, source: str
) -> None:
    """Compares the head of a video with what is declared. A video that is not there is not compared.

    Args:
        info: what meta/info.json says.
        feature: the feature of the camera.
        place: where the episode is.
        frames: the frames that the video must have.
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
    check_colors(feature, facts.channels, facts.bits, where, is_video=True)
    _check_rate(info, feature, facts, where)
    _check_gray(feature, place, info, where)
    if facts.num_frames is None:
        return
    wanted = length if frames.number is None else frames.number
    exact = frames.exact and frames.number is not None
    if facts.num_frames < wanted or (exact and facts.num_frames != wanted):
        rule = "one frame for each step of its episodes" if exact else "a frame for each step of its episodes"
        raise EpisodesError(
            f"video of {feature.camera} must have {rule}, {wanted}, got {facts.num_frames} in {where}; {_ADVICE}, or "
            "leave the episode out (--leave_out_episodes)"
        )
    if facts.duration and place.begin + (length - 1.5) / info.rate > facts.duration:
        raise EpisodesError(
            f"video of {feature.camera} must last to the end of its episode, {place.begin + length / info.rate:.3f} s, "
            f"got {facts.duration:.3f} s in {where}; {_ADVICE}"
        )


def _check_gray(feature: Feature, place: VideoPlace, info: DatasetInfo, where: str) -> None:
    """Refuses a video of colors that is declared as gray. Its first frame of the episode tells."""
    if feature.image_size is None or feature.image_size[2] != 1:
        return
    image = open_video(place.path).frame_at(place.begin, tolerance=0.5 / info.rate).astype(np.int16)
    if np.ptp(image, axis=2).mean() > _MAX_TINT:
        raise EpisodesError(
            f"images of {feature.camera} must be gray as declared in meta/info.json (1 channel), got colors in "
            f"{where}; correct the shape there"
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
