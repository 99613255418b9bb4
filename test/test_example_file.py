"""Tests that texts name the example of a parameter file by a path that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chunk_ppo_ros.cli.table import COMMANDS
from chunk_ppo_ros.config.flags import example_file as module
from chunk_ppo_ros.config.flags.example_file import EXAMPLE, example_file
from chunk_ppo_ros.config.parameter_file import load_config_file

ROOT = Path(__file__).resolve().parents[1]


def test_the_path_is_short_in_a_checkout_and_whole_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert example_file() == EXAMPLE
    monkeypatch.chdir(tmp_path)
    assert example_file() == str(ROOT / EXAMPLE)


def test_a_file_of_the_user_is_not_taken_for_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path(EXAMPLE).touch()
    assert example_file() == str(ROOT / EXAMPLE)


@pytest.mark.parametrize("libraries", ["lib/python3.12/site-packages", "local/lib/python3.12/dist-packages"])
def test_an_installed_package_names_the_file_of_its_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libraries: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", tmp_path / libraries / "chunk_ppo_ros")
    assert example_file() == EXAMPLE, "there is no file"
    installed = tmp_path / "share" / "chunk_ppo_ros" / EXAMPLE  # as data_files of setup.py puts it
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert example_file() == str(installed)


@pytest.mark.parametrize("name", ["graph", "deploy", "doctor", "start-of-day"])
def test_the_help_names_a_file_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    parser = COMMANDS[name].make_parser("chunk_ppo_ros")
    assert parser is not None
    named = re.findall(r"--params_file (\S+/robot\.yaml)", parser.format_help())
    assert named and all(Path(path).is_file() for path in named)


def test_a_missing_file_is_refused_with_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"got mine.yaml; {ROOT / EXAMPLE} is an example"):
        load_config_file("mine.yaml")
