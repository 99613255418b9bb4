"""Tests that a replay stays away from robots, and that it claims nothing of what was not compared."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
import yaml

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.replay import command
from chunk_ppo_ros.nodes.replay.comparison import compare
from chunk_ppo_ros.nodes.replay.recorded_run import RecordedRun
from chunk_ppo_ros.runtime import ros_domain


class Started(UserError):
    """Ends a replay where its nodes would be started."""


@pytest.fixture
def bag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"/**": {"ros__parameters": {"run.exp_name": "mine"}}}))
    recorded = RecordedRun("mine-1", lost=(4, 5))
    monkeypatch.setattr(command, "find_bags", lambda folder: [folder])
    monkeypatch.setattr(command, "read_run", lambda bags: recorded)
    return tmp_path


def test_a_replay_is_neither_on_the_network_nor_in_the_domain_of_a_robot(
    bag: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ros_domain.claim_domain() as free:
        pass
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("ROS_STATIC_PEERS", "192.168.1.20")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free))
    domains: list[int] = []

    def start(config: config_lib.TrainConfig, *, domain_id: int, environment: object) -> None:
        domains.append(domain_id)
        raise Started("started")

    monkeypatch.setattr(command, "TrainerProcess", start)
    with pytest.raises(Started):
        command.main([str(bag)])
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert os.environ["ROS_STATIC_PEERS"] == ""
    assert domains and free not in domains
    assert "the recording lacks 2 accepted transitions" in capsys.readouterr().out


def test_a_folder_is_removed_although_a_page_is_still_written_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "replay"
    folder.mkdir()
    remove_tree, removed = shutil.rmtree, []

    def remove(path: Path) -> None:
        removed.append(path)
        if len(removed) == 1:
            (folder / ".report.html").touch()
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), "replay")
        remove_tree(path)

    monkeypatch.setattr(shutil, "rmtree", remove)
    command.remove(folder)
    assert len(removed) == 2 and not folder.exists()


def test_nothing_to_compare_is_not_equal() -> None:
    result = compare({}, {}, source="those of the recording")
    assert not result.is_equal
    assert "nothing is shown to be equal" in str(result)
