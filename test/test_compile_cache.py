"""Tests the folder of compiled programs, of which there is one for each CPU, bounded in size."""

from __future__ import annotations

import os
import pathlib

import pytest

from support import compile_cache


def write(folder: pathlib.Path, name: str, *, size: int, used: float) -> pathlib.Path:
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


def test_another_cpu_has_another_folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = compile_cache.compile_cache(tmp_path)
    assert here.is_dir() and here == compile_cache.compile_cache(tmp_path)
    monkeypatch.setattr(compile_cache, "cpu_features", lambda: "flags: sse2")
    assert compile_cache.compile_cache(tmp_path) != here


def test_what_was_not_used_for_longest_goes_first_wherever_it_is(tmp_path: pathlib.Path) -> None:
    here, other = compile_cache.compile_cache(tmp_path), tmp_path / "jaxlib-of-last-year"
    other.mkdir()
    oldest = write(other, "oldest", size=60, used=1.0)
    old, new = write(here, "old", size=60, used=2.0), write(here, "new", size=60, used=3.0)
    compile_cache.compile_cache(tmp_path, max_size=180)
    assert oldest.exists() and old.exists() and new.exists()
    compile_cache.compile_cache(tmp_path, max_size=179)
    assert not oldest.exists() and old.exists() and new.exists()
    compile_cache.compile_cache(tmp_path, max_size=60)
    assert not old.exists() and new.exists()


def test_the_tests_and_what_they_start_keep_their_programs_there(repository: pathlib.Path) -> None:
    folder = pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    assert folder.parent == repository / ".cache" / "test_programs"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0"
