"""Files that are written whole or not at all, and the counters that are kept in such files."""

from __future__ import annotations

import json
import pathlib
from typing import BinaryIO

import pytest

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.errors import UserError


def counter(path: pathlib.Path) -> CounterFile:
    return CounterFile(path, "next_episode", without="count anew")


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, lambda file: file.write(b"first"))
    write_atomically(path, lambda file: file.write(b"second"))
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_has_its_old_content_until_the_new_one_is_whole(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def write(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        seen.append(path.read_bytes())

    write_atomically(path, write)
    assert (seen, path.read_bytes()) == ([b"old"], b"new")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("cannot be drawn")])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: pathlib.Path, error: Exception) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(file: BinaryIO) -> None:
        file.write(b"ne")
        raise error

    with pytest.raises(type(error), match=str(error.args[-1])):
        write_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_number_goes_on_within_a_run_and_starts_again_in_another(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "episodes.json"
    assert counter(path).read("run") == 0
    counter(path).write("run", 17)
    assert json.loads(path.read_text()) == {"run_id": "run", "next_episode": 17}
    assert counter(path).read("run") == 17
    assert counter(path).read("other run") == 0


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"run_id": "run"}', '{"run_id": "run", "next_episode": null}', "", "\0"]
)
def test_a_broken_counter_is_an_error_that_says_what_to_do(tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "episodes.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"episodes\.json must hold run_id and next_episode, got '.*'; remove it, and count anew"
    ):
        counter(path).read("run")
