"""Tests that the commands on the page of a graph start the same graph, with the flags that are no settings."""

from __future__ import annotations

import dataclasses
import json
import shlex
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from chunk_ppo_ros.cli import demo
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.config.flags.run_start import VARIABLE, RunStart
from chunk_ppo_ros.core.consumption.consumed import Consumed
from chunk_ppo_ros.nodes.trainer import run_loader
from chunk_ppo_ros.reporting.page.provenance import provenance, run_command
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.graph_flags import chosen_flags, given_to_graph
from support.started_graphs import Start, claim, page_of, starter


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    return starter(monkeypatch)


def parameter_file(folder: Path, **sections: dict[str, Any]) -> str:
    path = folder / "my robot.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": sections}}))
    return str(path)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--record"],
        ["--namespace", "/cell_1", "--log_level", "warn", "--domain_id", "43"],
        ["--discovery", "static_peers", "--static_peers", "10.0.0.2;10.0.0.3", "--on_node_exit", "respawn"],
        ["--discovery", "subnet", "--record", "--gamma", "0.5"],
        ["--sources="],
    ],
)
def test_the_printed_command_starts_the_same_graph(tmp_path: Path, start: Start, given: list[str]) -> None:
    first = start([*given, "--run_dir", str(tmp_path), "--checkpoint_root", str(tmp_path), "--no_wandb"])
    run = page_of(first)
    command = run_command(run, resume=False)
    program, name, *words = shlex.split(command)
    assert (program, name) == ("chunk_ppo", "graph")
    again = start(words)
    assert again == first
    assert ("--domain_id=43" in words) is ("--domain_id" in given)
    assert run_command(run, resume=True) == f"{command} --resume"


def test_the_printed_command_reads_the_parameter_file_and_gives_by_flags_what_differs_from_it(
    tmp_path: Path, start: Start
) -> None:
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "wandb": False}
    ppo = {"gamma": 0.5, "gae_lambda": 0.5, "batch_size": 16}
    file = parameter_file(tmp_path, run=places, ppo=ppo)
    usual = PRESETS["debug"].ppo.gae_lambda  # The flag gives again what the preset has, and the file does not.
    first = start(["--params_file", file, "--gae_lambda", str(usual), "--clip_coef", "0.3"])
    run = page_of(first)
    command = run_command(run, resume=False)
    words = shlex.split(command)[2:]
    assert words == ["--config", "debug", f"--params_file={file}", f"--gae_lambda={usual}", "--clip_coef=0.3"]
    assert start(words).config == first.config
    assert "again, so that changes of that file count, but for those of robot and simulator." in str(provenance(run))
    Path(file).unlink()
    assert run_command(run, resume=False) == command, "the page is made of the record, and reads no other file"


def test_what_the_file_said_of_the_robot_and_the_run_is_given_by_flags(tmp_path: Path, start: Start) -> None:
    """The file may say by now that the robot moves, and the run must not be gone on with where it is made again."""
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "wandb": False}
    robot = {"shadow": True, "max_velocity": PRESETS["debug"].robot.max_velocity}
    run = {**places, "resume": True, "exp_name": "shadowed"}
    file = parameter_file(tmp_path, run=run, robot=robot, env={"simulator": "kinematic", "realtime": True})
    page = page_of(start(["--params_file", file, "--no_resume"]))
    again, going_on = (shlex.split(run_command(page, resume=resume)) for resume in (False, True))
    for words in (again, going_on):
        limit = f"--max_velocity={robot['max_velocity']}"
        assert {"--shadow", limit, "--simulator=kinematic", "--exp_name=shadowed"} <= set(words)
    assert again[-1] == "--no_resume" and going_on[-1] == "--resume"
    moving = {"shadow": False, "max_velocity": 3.0}
    assert parameter_file(tmp_path, run=run, robot=moving, env={"simulator": "mujoco", "realtime": True}) == file
    config = start(again[2:]).config
    assert (config.robot.shadow, config.env.simulator, config.run.resume) == (True, "kinematic", False)


def test_all_settings_are_flags_where_the_preset_below_the_file_is_gone(tmp_path: Path, start: Start) -> None:
    places = {"run_dir": str(tmp_path), "checkpoint_root": str(tmp_path), "wandb": False}
    first = start(["--params_file", parameter_file(tmp_path, run=places, ppo={"gamma": 0.5})])
    known = RunStart.of_environment(first.named["environment"])
    run = page_of(first, run_start=dataclasses.replace(known, preset="of another version"))
    words = shlex.split(run_command(run, resume=False))[2:]
    assert "--gamma=0.5" in words and not any(word.startswith("--params_file") for word in words)
    assert start(words).config == first.config
    assert "again, so that changes" not in str(provenance(run))


def test_a_run_that_recorded_no_flags_has_the_plain_command(tmp_path: Path, start: Start) -> None:
    first = start(["--run_dir", str(tmp_path), "--checkpoint_root", str(tmp_path), "--no_wandb", "--record"])
    run = page_of(first)
    known = run_command(run, resume=True)
    assert " --record " in known
    del run.start["run_start"]
    assert run_command(run, resume=True) == known.replace(" --record", "")


def test_the_domain_is_given_once(tmp_path: Path, start: Start) -> None:
    first = start(["--run_dir", str(tmp_path), "--checkpoint_root", str(tmp_path), "--domain_id", "44"])
    run = page_of(first)
    run.start["variables"] = {"ROS_DOMAIN_ID": "44"}
    assert run_command(run, resume=True).startswith("chunk_ppo graph --config debug --domain_id=44 ")
    run.start["run_start"] = {}
    assert run_command(run, resume=True).startswith("ROS_DOMAIN_ID=44 chunk_ppo graph --config debug --")


def test_the_trainer_of_a_graph_records_how_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = dataclasses.replace(PRESETS["debug"].run, run_dir=str(tmp_path), wandb=False)
    config = dataclasses.replace(PRESETS["debug"], run=run)
    provenance = types.SimpleNamespace(is_fallback=False)
    learner: Any = types.SimpleNamespace(run_id="one-1", provenance=provenance, consumed=Consumed())
    monkeypatch.setattr(run_loader, "Learner", types.SimpleNamespace(start=lambda config: learner))
    given = {"flags": {"record": True}, "given": ["ppo.gamma"]}
    monkeypatch.setenv(VARIABLE, json.dumps(given))
    run_loader.RunLoader(config).load().close()
    assert RunData.read(config.run.folder).start["run_start"] == {"preset": "", "file": {}, **given}
    monkeypatch.delenv(VARIABLE)  # The node was started by hand.
    run_loader.RunLoader(config).load().close()
    assert RunData.read(config.run.folder).start["run_start"]["flags"] == {}


def test_the_demo_says_whether_it_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    class FakeSupervisor:
        def __init__(self, graph: graph_lib.Graph, *, domain_id: int, environment: dict[str, str]) -> None:
            seen.append(environment)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(demo, "Supervisor", FakeSupervisor)
    monkeypatch.setattr(demo, "claim_domain", claim)
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    run = dataclasses.replace(PRESETS["debug"].run, run_dir=str(tmp_path), checkpoint_root=str(tmp_path))
    for record in (True, False):
        demo.train_over_ros(dataclasses.replace(PRESETS["debug"], run=run), record=record)
    assert [RunStart.of_environment(each).flags for each in seen] == [{"record": True}, {}]


def test_only_flags_that_are_not_their_defaults_are_told() -> None:
    parser = graph_lib.graph_parser()
    assert chosen_flags(vars(parser.parse_args([]))) == chosen_flags({}) == {}
    assert given_to_graph(parser.parse_args([])) == RunStart()
    given = parser.parse_args(["--record", "--gamma", "0.5", "--no_wandb", "--model", "tiny", "--sources="])
    names = ("ppo.gamma", "reward.sources", "run.wandb", "model")
    assert given_to_graph(given) == RunStart({"model": "tiny", "record": True}, given=names)
