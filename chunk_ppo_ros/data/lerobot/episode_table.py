"""Reads what meta/episodes (version 3) or meta/episodes.jsonl (version 2) says of each episode."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.lerobot.features import VIDEO
from chunk_ppo_ros.data.lerobot.info import DatasetInfo
from chunk_ppo_ros.data.lerobot.parquet_files.files import column_types, read_columns
from chunk_ppo_ros.data.lerobot.success import SUCCESS_COLUMNS, success_of_value
from chunk_ppo_ros.data.lerobot.tasks import json_lines

EPISODES, EPISODE_LINES = "meta/episodes", "meta/episodes.jsonl"
PARTS = "chunk-*/file-*.parquet"
_DATA_PLACE = ("data/chunk_index", "data/file_index")
_Row = tuple[pathlib.Path, str, Mapping[str, object]]
"""A row of the table: its file, its place for error texts, and its values."""
_VIDEO_FIELDS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")


@dataclasses.dataclass(frozen=True)
class VideoPlace:
    """Says where an episode is in the videos of a camera.

    Attributes:
        path: the video.
        begin: the time at which the episode begins in it, s.
        end: the time at which the episode ends in it, s; None where that is not told.
    """

    path: pathlib.Path
    begin: float
    end: float | None


@dataclasses.dataclass(frozen=True)
class EpisodeEntry:
    """What the dataset says of an episode.

    Attributes:
        number: its number (episode_index).
        listed_in: the file that lists it, for error texts.
        length: its number of steps; None where that is not told.
        success: whether the task was solved; None where that is not told.
        videos: where it is in the videos, by the name of the feature.
        data_file: the file of its rows; None where that is not told.
    """

    number: int
    listed_in: pathlib.Path
    length: int | None
    success: bool | None
    videos: Mapping[str, VideoPlace]
    data_file: pathlib.Path | None


def read_episode_table(
    info: DatasetInfo, is_left_out: Callable[[int], bool] = lambda number: False
) -> dict[int, EpisodeEntry] | None:
    """Returns the entries of the episodes by number, or None where a dataset of version 3 has none and no videos.

    Args:
        info: what meta/info.json says.
        is_left_out: whether the user leaves out the episode of a number. What is wrong with its entry does not count.

    Raises:
        EpisodesError: where files are missing or damaged, or two entries have one number.
    """
    rows = _lines(info) if info.file_per_episode else _table_rows(info)
    if rows is None:
        return None
    found: dict[int, EpisodeEntry] = {}
    for path, where, row in rows:
        entry = _entry(info, path, where, row, is_left_out)
        if entry.number in found and not is_left_out(entry.number):
            raise EpisodesError(
                f"episodes must have different numbers, got episode {entry.number} twice in {entry.listed_in}; it may "
                "be two takes under one number: give them numbers of their own, or download the dataset again"
            )
        found[entry.number] = entry
    return found


def _lines(info: DatasetInfo) -> list[_Row]:
    path = info.folder / EPISODE_LINES
    if not path.is_file():
        raise EpisodesError(f"LeRobot dataset must have {EPISODE_LINES}, got none in {info.folder}; download it again")
    return [(path, f"line {line} of {path}", row) for line, row in json_lines(path)]


def _table_rows(info: DatasetInfo) -> list[_Row] | None:
    parts = sorted((info.folder / EPISODES).glob(PARTS))
    videos = _videos(info)
    if parts:
        return [row for part in parts for row in _rows_of_table(part, videos)]
    if videos:
        raise EpisodesError(
            f"LeRobot dataset with videos must have {EPISODES}/{PARTS}, got none in {info.folder}; download it again"
        )
    return None


def _rows_of_table(part: pathlib.Path, videos: Sequence[str]) -> Iterator[_Row]:
    present = column_types(part)
    wanted = ["episode_index", *(f"videos/{name}/{field}" for name in videos for field in _VIDEO_FIELDS[:3])]
    optional = ["length", *SUCCESS_COLUMNS, *_DATA_PLACE, *(f"videos/{name}/{_VIDEO_FIELDS[3]}" for name in videos)]
    rows = read_columns(part, [*wanted, *(name for name in optional if name in present)]).to_pylist()
    return ((part, f"row {line} of {part}", row) for line, row in enumerate(rows))


def _entry(
    info: DatasetInfo, path: pathlib.Path, where: str, row: Mapping[str, object], is_left_out: Callable[[int], bool]
) -> EpisodeEntry:
    number = _whole(row, "episode_index", where)
    if number is None:
        raise EpisodesError(f"episode_index must be a whole number, got none in {where}; download it again")
    try:
        places = _places_of_version_2(info, number) if info.file_per_episode else _places(info, row, where)
        return EpisodeEntry(number, path, _whole(row, "length", where), _success(row, where), *places)
    except EpisodesError:
        if not is_left_out(number):
            raise
        return EpisodeEntry(number, path, None, None, {}, None)


def _places_of_version_2(info: DatasetInfo, number: int) -> tuple[dict[str, VideoPlace], pathlib.Path]:
    place = {"episode_chunk": number // info.chunks_size, "episode_index": number}
    videos = {
        name: VideoPlace(info.place(info.video_path, video_key=name, **place), 0.0, None) for name in _videos(info)
    }
    return videos, info.place(info.data_path, **place)


def _places(
    info: DatasetInfo, row: Mapping[str, object], where: str
) -> tuple[dict[str, VideoPlace], pathlib.Path | None]:
    videos = {name: _video_place(info, name, row, where) for name in _videos(info)}
    return videos, _data_file(info, row, where)


def undeclared_videos(info: DatasetInfo) -> list[str]:
    """Returns the names of cameras that have videos in the folder and are no feature of meta/info.json."""
    folders = (info.folder / "videos").glob("chunk-*/*" if info.file_per_episode else "*")
    return sorted({folder.name for folder in folders if folder.is_dir() and folder.name not in info.features})


def _videos(info: DatasetInfo) -> list[str]:
    """Returns the features that are videos of colors. Depth is not read."""
    return [name for name, feature in info.features.items() if feature.dtype == VIDEO and not feature.is_depth]


def _data_file(info: DatasetInfo, row: Mapping[str, object], where: str) -> pathlib.Path | None:
    chunk, file = (_whole(row, key, where) for key in _DATA_PLACE)
    if chunk is None or file is None or not info.data_path:
        return None
    return info.place(info.data_path, chunk_index=chunk, file_index=file)


def _video_place(info: DatasetInfo, name: str, row: Mapping[str, object], where: str) -> VideoPlace:
    keys = [f"videos/{name}/{field}" for field in _VIDEO_FIELDS]
    chunk, file = (_whole(row, key, where) for key in keys[:2])
    begin, end = (_time(row, key, where) for key in keys[2:])
    if chunk is None or file is None or begin is None:
        raise EpisodesError(
            f"an episode must have its place in the videos of {name}, got null in {where}; leave {name} out of the "
            "features in meta/info.json, or download the dataset again"
        )
    path = info.place(info.video_path, video_key=name, chunk_index=chunk, file_index=file)
    return VideoPlace(path, begin, end)


def _whole(row: Mapping[str, object], key: str, where: str) -> int | None:
    value = row.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53):
        raise EpisodesError(f"{key} must be a whole number, got {value!r:.80} in {where}; download it again")
    return value


def _time(row: Mapping[str, object], key: str, where: str) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise EpisodesError(f"{key} must be a time in s, got {value!r:.80} in {where}; download it again")
    return float(value)


def _success(row: Mapping[str, object], where: str) -> bool | None:
    told = {key: success_of_value(row[key], f"{key} in {where}") for key in SUCCESS_COLUMNS if key in row}
    known = {key: value for key, value in told.items() if value is not None}
    if len(set(known.values())) > 1:
        raise EpisodesError(f"an episode must be a success or not, got {known} in {where}; correct one of them")
    return next(iter(known.values()), None)
