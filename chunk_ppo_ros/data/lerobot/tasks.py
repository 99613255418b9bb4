"""Reads the tasks of a dataset, and finds the one task of an episode."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow

from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.lerobot.info import DatasetInfo, parse_json
from chunk_ppo_ros.data.lerobot.parquet_files.files import column_types, index_column, read_columns

TASKS, TASK_LINES = "meta/tasks.parquet", "meta/tasks.jsonl"
TASK_INDEX = "task_index"
_TEXT_COLUMNS = ("task", "__index_level_0__", "tasks", "text", "prompt", "instruction", "language_instruction")
_ADVICE = "give the task by --prompt, or download the dataset again"


def read_tasks(info: DatasetInfo) -> dict[int, str]:
    """Returns the tasks by number. Blank ones are empty.

    Raises:
        EpisodesError: where the file is missing or damaged, or two tasks have one number.
        UnansweredQuestion: where several columns may be the task.
    """
    path = info.folder / (TASK_LINES if info.file_per_episode else TASKS)
    if not path.is_file():
        raise EpisodesError(
            f"LeRobot dataset must have {path.relative_to(info.folder)}, got none in {info.folder}; {_ADVICE}"
        )
    pairs = _of_lines(path) if info.file_per_episode else _of_table(path)
    tasks: dict[int, str] = {}
    for number, text in pairs:
        number = int(number) if isinstance(number, float) and number.is_integer() else number
        if isinstance(number, bool) or not isinstance(number, int):
            raise EpisodesError(f"task_index must be a whole number, got {number!r:.80} in {path}; {_ADVICE}")
        if text is not None and not isinstance(text, str):
            raise EpisodesError(f"tasks must be texts, got {text!r:.80} for task {number} in {path}; {_ADVICE}")
        task = "" if not text or text.isspace() else text
        if tasks.setdefault(number, task) != task:
            raise EpisodesError(
                f"task {number} must have one text, got {tasks[number]!r} and {task!r} in {path}; {_ADVICE}"
            )
    return tasks


def task_of(numbers: np.ndarray, tasks: Mapping[int, str], source: str) -> str:
    """Returns the one task of an episode.

    Args:
        numbers: float64 [T], the number of the task at each step.
        tasks: the tasks by number.
        source: the name of the episode, for error texts.

    Raises:
        EpisodesError: where a step has no task, or one that the dataset does not list.
        UnansweredQuestion: where the steps have several tasks.
    """
    unknown = np.flatnonzero([not float(number).is_integer() or int(number) not in tasks for number in numbers])
    if unknown.size:
        step = int(unknown[0])
        raise EpisodesError(
            f"task_index must be one of the {len(tasks)} tasks of the dataset, got {numbers[step]:g} in step {step} of "
            f"{source}; {_ADVICE}"
        )
    texts = list(dict.fromkeys(tasks[int(number)] for number in dict.fromkeys(numbers)))
    if len(texts) > 1:
        first = int(np.flatnonzero([tasks[int(number)] == texts[1] for number in numbers])[0])
        raise UnansweredQuestion(
            f"an episode must have one task, got {len(texts)} ({', '.join(map(repr, texts[:3]))}; the second begins in "
            f"step {first}) in {source}; give one for all by --prompt, or split the episode"
        )
    return texts[0]


def _of_lines(path: pathlib.Path) -> Iterable[tuple[object, object]]:
    for number, line in json_lines(path):
        if TASK_INDEX not in line or "task" not in line:
            raise EpisodesError(
                f"a task must have task_index and task, got {', '.join(line) or 'nothing'} in line {number} of {path}; "
                f"{_ADVICE}"
            )
        yield line[TASK_INDEX], line["task"]


def json_lines(path: pathlib.Path) -> list[tuple[int, dict[str, object]]]:
    """Returns the JSON objects of a file with one in each line, with the numbers of their lines.

    Raises:
        EpisodesError: where the file cannot be read, or a line is not a JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise EpisodesError(f"LeRobot dataset must be whole, got {path}: {error!r}; download it again") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except (ValueError, RecursionError) as error:
            raise EpisodesError(
                f"LeRobot dataset must be whole, got no JSON in line {number} of {path}: {error}; download it again"
            ) from error
        if not isinstance(value, dict):
            raise EpisodesError(f"line {number} must be a JSON object, got {value!r:.80} in {path}; download it again")
        found.append((number, value))
    return found


def _of_table(path: pathlib.Path) -> Iterable[tuple[object, object]]:
    names = tuple(column_types(path))
    if TASK_INDEX not in names:
        raise EpisodesError(f"tasks must have the column {TASK_INDEX}, got {', '.join(names)} in {path}; {_ADVICE}")
    table = read_columns(path, names)
    texts = [name for name in names if name != TASK_INDEX and _is_text(table[name].type)]
    column = _text_column(texts, index_column(path), path, names)
    return zip(table[TASK_INDEX].to_pylist(), table[column].to_pylist(), strict=True)


def _text_column(texts: Sequence[str], index: str, path: pathlib.Path, names: Sequence[str]) -> str:
    known = [name for name in (index, *_TEXT_COLUMNS) if name in texts]
    if known or len(texts) == 1:
        return (known or list(texts))[0]
    if not texts:
        raise EpisodesError(f"tasks must have a column of texts, got {', '.join(names)} in {path}; {_ADVICE}")
    raise UnansweredQuestion(
        f"tasks must have one column of texts, or one that is named task, got {', '.join(texts)} in {path}; give the "
        "task by --prompt, or rename the column"
    )


def _is_text(kind: pyarrow.DataType) -> bool:
    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or kind == pyarrow.string_view())
