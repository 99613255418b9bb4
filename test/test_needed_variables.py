"""Tests that the commands on a run's page set the variables of the environment without which they would fail."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.core.own_parts.python_path import needed_folders
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.provenance import provenance
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.software import needed_variables

PRINTER = '#!/bin/sh\necho "PYTHONPATH=$PYTHONPATH" "ROS_DOMAIN_ID=$ROS_DOMAIN_ID" "$@"\n'


def config_of(folder: Path, **sections: dict[str, Any]) -> TrainConfig:
    given = {"run": {"run_dir": str(folder / "runs"), "exp_name": "one", "wandb": False}, **sections}
    debug = PRESETS["debug"]
    return dataclasses.replace(
        debug, **{name: dataclasses.replace(getattr(debug, name), **changes) for name, changes in given.items()}
    )


def module_in(folder: Path, name: str) -> Path:
    """Makes a package that cannot be imported, because none of those that a run needs may be imported here."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise ImportError\n")
    return folder


def printed_commands(config: TrainConfig) -> list[str]:
    """Returns the commands on the page of a run that has just begun."""
    MetricsLog.open(config.run.folder, config=config, run_id="one-1", form="graph").close()
    text = str(provenance(RunData.read(config.run.folder)))
    return [re.sub(r"</?span>", "", part.partition("</pre>")[0]) for part in text.split("<pre>")[1:]]


def called(command: str, folder: Path, **environ: str) -> str:
    """Runs a command in a shell that has no other variables, with a program in the place of `chunk_ppo`."""
    program = folder / "chunk_ppo"
    program.write_text(PRINTER)
    program.chmod(0o755)
    environ = {"PATH": f"{folder}{os.pathsep}{os.defpath}", **environ}
    return subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=True).stdout


def test_the_commands_of_a_run_with_the_messages_on_pythonpath_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = module_in(tmp_path / "the messages", "interbotix_xs_msgs")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'other'}{os.pathsep}{messages}")
    go_on, again = printed_commands(config_of(tmp_path, robot={"backend": "interbotix"}))
    for command in (go_on, again):
        plain = command.replace("&#x27;", "'").replace("&#39;", "'").replace("&quot;", '"')
        printed = called(plain, tmp_path, PYTHONPATH="/opt/ros/packages")
        assert printed.startswith(f"PYTHONPATH={messages}:/opt/ros/packages ROS_DOMAIN_ID= graph --config")


def test_the_commands_of_a_run_with_a_part_of_one_s_own_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, terms = module_in(tmp_path / "tasks", "stack_task"), module_in(tmp_path / "terms", "stack_terms")
    monkeypatch.setenv("PYTHONPATH", f"{terms}{os.pathsep}{tasks}")
    reward = {"scene_terms": ("stack_terms.scene:rise=0.5", "near=1.0")}
    config = config_of(tmp_path, env={"task": "stack_task:Stack"}, reward=reward)
    assert needed_variables(config) == {"PYTHONPATH": f"{tasks}{os.pathsep}{terms}"}


def test_a_part_in_a_folder_without_init_file_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other" / "lab").mkdir(parents=True)  # It has the same name, and not the module.
    (tmp_path / "mine" / "lab").mkdir(parents=True)
    (tmp_path / "mine" / "lab" / "stack.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'other'}{os.pathsep}{tmp_path / 'mine'}")
    config = config_of(tmp_path, env={"task": "lab.stack:Stack"})
    assert needed_variables(config) == {"PYTHONPATH": str(tmp_path / "mine")}


def test_a_run_that_needs_no_variable_has_the_plain_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(module_in(tmp_path / "path", "interbotix_xs_msgs")))
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    go_on, _ = printed_commands(config_of(tmp_path))
    assert go_on.startswith("chunk_ppo graph --config debug")


def test_folders_that_a_terminal_has_anyway_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sourced = module_in(tmp_path / "ws" / "install" / "lib" / "python", "of_ros")
    here = module_in(tmp_path / "here", "of_this_folder")
    monkeypatch.chdir(here)
    environ = {"PYTHONPATH": f"{sourced}{os.pathsep}{here}", "AMENT_PREFIX_PATH": str(tmp_path / "ws" / "install")}
    assert needed_folders(["of_ros.msg", "of_this_folder", "nowhere"], environ) == []
    assert needed_folders(["of_ros.msg"], {"PYTHONPATH": environ["PYTHONPATH"]}) == [str(sourced)]


def test_the_commands_of_a_robot_go_to_the_domain_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    config = config_of(tmp_path, env={"simulator": REAL_ROBOT})
    for domain, expected in (("7", {"ROS_DOMAIN_ID": "7"}), ("0", {}), ("", {})):
        monkeypatch.setenv("ROS_DOMAIN_ID", domain)
        assert needed_variables(config) == expected


def test_the_page_of_a_run_that_recorded_no_variables_has_the_plain_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chunk_ppo_ros.reporting.metrics_log.needed_variables", lambda config: {})
    go_on, again = printed_commands(config_of(tmp_path))
    assert (go_on, again) == (f"{again} --resume", again)
