"""Files that are written whole or not at all, and the counters that are kept in such files."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from typing import BinaryIO

import pytest

from chunk_ppo_ros.core.atomic_file import sync_file, write_atomically
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.errors import DamagedFile, UserError
from chunk_ppo_ros.core.files.checked_json import read_checked_json, write_checked_json
from chunk_ppo_ros.core.files.durable_folders import make_folder


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


class Disk:
    """Records which files and folders in a folder are synced, and when a file is renamed."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.steps: list[str] = []
        self._sync, self._replace = os.fsync, pathlib.Path.replace
        monkeypatch.setattr(os, "fsync", self.sync)
        monkeypatch.setattr(pathlib.Path, "replace", lambda path, target: self.replace(path, target))

    def sync(self, descriptor: int) -> None:
        path = pathlib.Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_relative_to(self.folder):
            self.steps.append(f"sync {path}")
        self._sync(descriptor)

    def replace(self, path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        self.steps.append(f"rename {path} {target}")
        return self._replace(path, target)


def test_a_durable_file_is_synced_before_it_is_renamed_and_its_folder_after(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path)
    disk = Disk(tmp_path, monkeypatch)
    write_atomically(tmp_path / "file", lambda file: file.write(b"new"))
    temporary = tmp_path / f".file.{os.getpid()}"
    assert disk.steps == [f"sync {temporary}", f"rename {temporary} {tmp_path / 'file'}", f"sync {tmp_path}"]
    disk.steps.clear()
    write_atomically(tmp_path / "file", lambda file: file.write(b"plot"), durable=False)
    assert disk.steps == [f"rename {temporary} {tmp_path / 'file'}"]


def test_the_folders_above_a_new_folder_are_synced(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    make_folder(tmp_path / "a" / "b")
    assert disk.steps == [f"sync {tmp_path / 'a'}", f"sync {tmp_path}"]
    make_folder(tmp_path / "a" / "b")
    assert len(disk.steps) == 2


def test_a_written_file_is_synced_with_its_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    disk = Disk(tmp_path, monkeypatch)
    sync_file(path)
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "missing")
    assert disk.steps == [f"sync {path}", f"sync {tmp_path}"]


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
    assert json.loads(path.read_text()) == {"run_id": "run", "next_episode": 17, "checksum": "f90c338c"}
    assert counter(path).read("run") == 17
    assert counter(path).read("other run") == 0


@pytest.mark.parametrize("content", ["{}", '{"run_id": "run"}', '{"run_id": "run", "next_episode": null}'])
def test_a_broken_counter_is_an_error_that_says_what_to_do(tmp_path: pathlib.Path, content: str) -> None:
    path = tmp_path / "episodes.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"episodes\.json must hold run_id and next_episode, got \{.*\}; remove it, and count anew"
    ):
        counter(path).read("run")


@pytest.mark.parametrize("content", ["[]", "", "\0", "{"])
def test_a_counter_that_is_no_json_object_is_an_error_that_says_what_to_do(
    tmp_path: pathlib.Path, content: str
) -> None:
    path = tmp_path / "episodes.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"episodes\.json must hold a JSON object, got .*; remove it, and count anew"):
        counter(path).read("run")


CONTENT = {"run_id": "run", "next": 17, "times": [0.1, 1e-9], "names": {"é": None, "a": True}}


def test_a_flipped_bit_of_a_checked_file_is_named_or_changes_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.json"
    write_checked_json(path, CONTENT)
    data = path.read_bytes()
    for position in range(0, 8 * len(data), 3):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        with contextlib.suppress(DamagedFile):
            read = read_checked_json(path)
            assert {key: read[key] for key in CONTENT} == CONTENT


def test_a_cut_checked_file_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.json"
    write_checked_json(path, CONTENT, indent=2)
    data = path.read_bytes()
    assert read_checked_json(path) == CONTENT
    for length in range(len(data) - 1):  # without its last line end the file is still whole
        path.write_bytes(data[:length])
        with pytest.raises(DamagedFile, match="must hold a JSON object, got"):
            read_checked_json(path)


def test_a_file_of_an_earlier_version_without_a_checksum_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"run_id": "run", "next": 3}')
    assert read_checked_json(path) == {"run_id": "run", "next": 3}
