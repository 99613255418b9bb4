"""Finds the rows of each episode in the data files, and checks them against what the dataset lists."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.lerobot.episode_table import PARTS, EpisodeEntry
from chunk_ppo_ros.data.lerobot.features import IMAGE
from chunk_ppo_ros.data.lerobot.info import DatasetInfo
from chunk_ppo_ros.data.lerobot.parquet_files.columns import numbers
from chunk_ppo_ros.data.lerobot.parquet_files.files import column_types, read_columns
from chunk_ppo_ros.data.lerobot.success import ROW_SUCCESS
from chunk_ppo_ros.data.lerobot.tasks import TASK_INDEX

EPISODE_INDEX, FRAME_INDEX, TIMESTAMP = "episode_index", "frame_index", "timestamp"
_OPTIONAL = (FRAME_INDEX, TIMESTAMP, TASK_INDEX, ROW_SUCCESS)


@dataclasses.dataclass(frozen=True)
class EpisodeRows:
    """The rows of one episode of T steps, in the order of its steps.

    Attributes:
        files: the data files of the dataset.
        file: int [T], the data file of each step.
        row: int [T], the row in that file.
        values: float64 [T], the columns with a number in each row by name; NaN where a row has none.
    """

    files: Sequence[pathlib.Path]
    file: np.ndarray
    row: np.ndarray
    values: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.row)

    def where(self, step: int) -> str:
        """Returns the place of a step, for error texts."""
        return f"row {self.row[step]} of {self.files[self.file[step]]}"


@dataclasses.dataclass(frozen=True)
class RowIndex:
    """The rows of all episodes.

    Attributes:
        files: the data files.
        file: int [N], the data file of each row.
        row: int [N], the row in that file.
        values: float64 [N], the columns with a number in each row by name.
        other_columns: the columns of the files that meta/info.json does not declare.
    """

    files: Sequence[pathlib.Path]
    file: np.ndarray
    row: np.ndarray
    values: Mapping[str, np.ndarray]
    other_columns: tuple[str, ...]

    def counts(self) -> dict[int, int]:
        """Returns the number of rows of each episode by its number, rising."""
        found, counts = np.unique(self.values[EPISODE_INDEX], return_counts=True)
        return {int(number): int(count) for number, count in zip(found, counts, strict=True)}

    def of_episode(self, number: int, source: str) -> EpisodeRows:
        """Returns the rows of an episode, ordered by frame_index where there is one.

        Raises:
            EpisodesError: where steps are missing or there twice.
        """
        at = np.flatnonzero(self.values[EPISODE_INDEX] == number)
        if FRAME_INDEX in self.values:
            at = at[np.argsort(self.values[FRAME_INDEX][at], kind="stable")]
        values = {name: column[at] for name, column in self.values.items()}
        rows = EpisodeRows(self.files, self.file[at], self.row[at], values)
        if FRAME_INDEX in values:
            _check_frames(values[FRAME_INDEX], rows, source)
        return rows


def find_data_files(info: DatasetInfo, entries: Mapping[int, EpisodeEntry] | None) -> list[pathlib.Path]:
    """Returns the data files of a dataset: those that its table of episodes names, and all others in data/.

    Raises:
        EpisodesError: where there is none, or one that the table names is missing.
    """
    named = {entry.data_file: number for number, entry in (entries or {}).items() if entry.data_file}
    missing = [(number, path) for path, number in named.items() if not path.is_file()]
    if missing:
        number, path = missing[0]
        raise EpisodesError(
            f"LeRobot dataset must have the data file of each episode, got no {path}, which has episode {number}; "
            "download it again, or leave the episode out (--leave_out_episodes)"
        )
    parts = "chunk-*/episode_*.parquet" if info.file_per_episode else PARTS
    files = sorted({*named, *(info.folder / "data").glob(parts)})
    if not files:
        raise EpisodesError(f"LeRobot dataset must have data/{parts}, got none in {info.folder}; download it again")
    return files


def read_row_index(
    info: DatasetInfo, files: Sequence[pathlib.Path], entries: Mapping[int, EpisodeEntry] | None
) -> RowIndex:
    """Returns the rows of data files.

    Args:
        info: what meta/info.json says.
        files: the data files.
        entries: what the table of episodes says; None where there is none.

    Raises:
        EpisodesError: where a file is damaged or lacks a column, or a row has no episode, or is in the file of another.
    """
    owners = {entry.data_file: number for number, entry in (entries or {}).items() if info.file_per_episode}
    names = [EPISODE_INDEX, *(name for name in _OPTIONAL if name in info.features)]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    lengths = []
    for path in files:
        table = read_columns(path, names)
        for name in names:
            columns[name].append(numbers(table[name], name, path))
        _check_numbers(columns[EPISODE_INDEX][-1], path)
        _check_owner(columns[EPISODE_INDEX][-1], owners.get(path), path)
        lengths.append(len(table))
        _check_declared(info, column_types(path), path)
    present = set(column_types(files[0]))
    return RowIndex(
        files=files,
        file=np.repeat(np.arange(len(files)), lengths),
        row=np.concatenate([np.arange(length) for length in lengths]),
        values={name: np.concatenate(parts) for name, parts in columns.items()},
        other_columns=tuple(sorted(present - set(info.features))),
    )


def check_against_table(
    info: DatasetInfo,
    counts: Mapping[int, int],
    entries: Mapping[int, EpisodeEntry] | None,
    is_left_out: Callable[[int], bool],
) -> None:
    """Checks that the episodes of the rows are those that the dataset lists.

    Args:
        info: what meta/info.json says.
        counts: the number of rows of each episode.
        entries: what the table of episodes says; None where there is none.
        is_left_out: whether the user leaves out the episode of a number. Such episodes are not compared.

    Raises:
        EpisodesError: where an episode is missing, not listed, or of another length, or the counts differ.
    """
    left_out = any(is_left_out(number) for number in {*counts, *(entries or {})})
    for number, entry in (entries or {}).items():
        if not is_left_out(number) and number not in counts:
            raise EpisodesError(
                f"each listed episode must have rows, got none of episode {number} ({entry.listed_in} lists it) in "
                f"{info.folder}; download the dataset again, or leave out 'episode {number}' (--leave_out_episodes)"
            )
    for number, count in counts.items():
        if entries is None or is_left_out(number):
            continue
        if number not in entries:
            raise EpisodesError(
                f"the table of episodes must list each episode, got {count} rows of episode {number} and no entry in "
                f"{info.folder}; download the dataset again, or leave out 'episode {number}' (--leave_out_episodes)"
            )
        length = entries[number].length
        if length is not None and length != count:
            raise EpisodesError(
                f"episode {number} must have the {length} steps that {entries[number].listed_in} lists, got {count} "
                f"rows in {info.folder}; it may be two takes under one number, or cut short: download the dataset "
                f"again, or leave out 'episode {number}' (--leave_out_episodes)"
            )
    totals = (
        ("total_episodes", info.total_episodes, len(counts)),
        ("total_frames", info.total_frames, sum(counts.values())),
    )
    for key, told, found in totals:
        if told is not None and told != found and not left_out:
            raise EpisodesError(
                f"{key} must be what the rows hold, got {told} in {info.path} and {found} in the data files; download "
                "the dataset again, or correct the number if you removed episodes"
            )


def _check_numbers(values: np.ndarray, path: pathlib.Path) -> None:
    bad = np.flatnonzero(~((values >= 0) & (values == np.floor(values)) & (values < 2**53)))
    if bad.size:
        raise EpisodesError(
            f"episode_index must be a whole number, got {values[bad[0]]:g} in row {bad[0]} of {path}; download it again"
        )


def _check_owner(values: np.ndarray, number: int | None, path: pathlib.Path) -> None:
    """Refuses rows of another episode in the file of one episode."""
    others = np.flatnonzero(values != number) if number is not None else np.array([], np.int64)
    if others.size:
        raise EpisodesError(
            f"{path} must have the rows of episode {number}, got row {others[0]} of episode {values[others[0]]:g}; "
            "download the dataset again"
        )


def _check_declared(info: DatasetInfo, present: Mapping[str, pyarrow.DataType], path: pathlib.Path) -> None:
    """Refuses files that lack a declared column, or whose images are declared as something else."""
    missing = [name for name, feature in info.features.items() if feature.dtype != "video" and name not in present]
    if missing:
        raise EpisodesError(
            f"data files must have the features of meta/info.json, got no {', '.join(missing)} in {path}; download the "
            "dataset again, or take them out of the features there"
        )
    for name, feature in info.features.items():
        if name in present and (feature.dtype == IMAGE) != _holds_images(present[name]):
            raise EpisodesError(
                f"{name} must hold what meta/info.json declares, {feature.dtype}, got {present[name]} in {path}; "
                "correct the dtype there"
            )


def _holds_images(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _check_frames(frames: np.ndarray, rows: EpisodeRows, source: str) -> None:
    """Refuses steps that are missing or there twice. Frames are sorted, and NaN is last."""
    wrong = np.flatnonzero(frames != np.arange(len(frames)))
    if not wrong.size:
        return
    step = int(wrong[0])
    twice = step > 0 and frames[step] == frames[step - 1]
    problem = f"{frames[step]:g} twice" if twice else f"{frames[step]:g} in the place of {step}"
    raise EpisodesError(
        f"frame_index must count the steps of {source} from 0 to {len(frames) - 1}, got {problem} "
        f"({rows.where(step)}); steps are missing, or two takes have one number: leave the episode out "
        "(--leave_out_episodes), or download it again"
    )
