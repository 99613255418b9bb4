"""Tests that whatever a node opens at its start ends it with one line, where the disk refuses it."""

from __future__ import annotations

import dataclasses
import errno
import os
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from chunk_ppo_ros.agent.run_start.run_log import open_metrics
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.files.deployed_run import EPISODES
from chunk_ppo_ros.core.files.disk_errors import DiskError, usable
from chunk_ppo_ros.data.earlier_journal import EARLIER, take_over
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import Store, StoredQueue
from chunk_ppo_ros.evaluation.deployment.records import EpisodeFile
from chunk_ppo_ros.evaluation.deployment.run_file import DEPLOYMENT_FILE, DeployedRun
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.trainer.intake.set_aside import SetAside
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME
from support.fake_node import FakeNode


def open_counter(folder: Path) -> None:
    CounterFile(folder / "next.json", "next", without="numbers begin at 0").read("run")


def open_policy_store(folder: Path) -> None:
    PolicyStore(folder / "policy", FakeNode().get_logger()).open()  # type: ignore[arg-type]


def begin_deployment(folder: Path) -> None:
    DeployedRun.begin_or_continue(config_in(folder))


def config_in(folder: Path) -> TrainConfig:
    run = dataclasses.replace(TrainConfig().run, run_dir=str(folder.parent), exp_name=folder.name)
    return dataclasses.replace(TrainConfig(), run=run)


def open_metrics_of(folder: Path) -> None:
    # Nothing else of a learner is asked before the file is opened.
    learner = types.SimpleNamespace(provenance=types.SimpleNamespace(is_fallback=False), run_id="run")
    open_metrics(learner, config_in(folder), form="graph", run_start=RunStart())  # type: ignore[arg-type]


FOLDERS: dict[str, Callable[[Path], object]] = {
    "robot": lambda folder: Store(folder / "robot", name="robot").open(),
    "sim": lambda folder: StoredQueue(Store(folder / "sim", name="sim")).open(),
    "journal": lambda folder: RolloutJournal(folder / "journal").open(),
    "set_aside": lambda folder: SetAside(folder).begin_run("run"),
    "policy": open_policy_store,
}
FILES: dict[str, Callable[[Path], object]] = {
    "next.json": open_counter,
    EPISODES: lambda folder: EpisodeFile(folder).read(),
    FILE_NAME: open_metrics_of,
    f"{EARLIER}/v0/0.cdr": lambda folder: take_over(folder / EARLIER, RolloutJournal(folder / "journal")),
}


def check(error: UserError, path: Path, advice: str) -> None:
    """Makes sure that the text is one line that names the path and says what to do."""
    assert "\n" not in str(error)
    assert str(path) in str(error)
    assert advice in str(error)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_store_whose_folder_is_a_file_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match="must be a folder that can be read and written, but") as error:
        FOLDERS[name](tmp_path)
    check(error.value, tmp_path / name, "move the file away")


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_state_that_is_a_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match="must be a f.* but") as error:
        FILES[name](tmp_path)
    check(error.value, tmp_path / name, "move the folder away")


def test_a_deployment_whose_folder_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(UserError, match="must be a folder whose files can be written") as error:
        begin_deployment(tmp_path / "run")
    check(error.value, tmp_path / "run", "move the file away")
    assert not (tmp_path / DEPLOYMENT_FILE).exists()


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "mend its permissions and its owner"),
        (errno.EROFS, "mount the disk so that it can be written"),
        (errno.ENOSPC, "make room on the disk"),
        (errno.EIO, "look at the disk"),
    ],
)
def test_a_store_that_the_disk_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, advice: str
) -> None:
    opened = os.open

    def refuse(path: str | Path, *arguments: int, **options: int) -> int:
        if Path(path).name == "LOCK":
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError) as error:
        FOLDERS[name](tmp_path)
    check(error.value, tmp_path / name, advice)
    monkeypatch.undo()
    FOLDERS[name](tmp_path)  # Nothing is left that hinders the next try.


def test_who_handles_an_error_of_the_disk_gets_it_as_one_and_an_error_that_advises_passes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="look at the disk") as error, usable(tmp_path, "a folder"):
        raise OSError("it hums")
    with pytest.raises(DiskError) as outer, usable(tmp_path, "a file"):
        raise error.value
    assert outer.value is error.value
