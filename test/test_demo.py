"""Tests the steps of `demo`, with stand-ins for imitation, the graph of nodes and the evaluation."""

from __future__ import annotations

import dataclasses
import multiprocessing.pool
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.cli import demo
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import ChunkOutcome
from chunk_ppo_ros.evaluation.evaluate import EvaluationResult
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.reporting.metrics_file import read_records
from chunk_ppo_ros.runtime.claims.run_folder import claim_run
from support.small_policy import configure, save_own


@dataclasses.dataclass
class Stage:
    """Keeps what the demo asked of the stand-ins. The graph ends with `status`, and leaves a checkpoint if `saves`."""

    config: TrainConfig
    status: int = 0
    saves: bool = True
    graphs: list[tuple[TrainConfig, bool, int]] = dataclasses.field(default_factory=list)
    evaluated: list[tuple[str, int, bool]] = dataclasses.field(default_factory=list)
    filmed: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)

    def clone(self, config: TrainConfig, folder: Path) -> Path:
        assert self.graphs == []
        return save_own(folder, config.model)

    def describe(self, config: TrainConfig, *, record: bool) -> tuple[TrainConfig, bool]:
        return config, record

    def supervisor(self, graph: tuple[TrainConfig, bool], *, domain_id: int, environment: Any) -> Any:
        stage = self

        class Supervisor:
            def run(self) -> int:
                stage.graphs.append((*graph, domain_id))
                if stage.saves:
                    save_own(Path(graph[0].run.checkpoint_root) / graph[0].run.exp_name, graph[0].model, step=7)
                return stage.status

        return Supervisor()

    def evaluate(
        self,
        checkpoint: Checkpoint,
        config: TrainConfig,
        *,
        episodes: int,
        greedy: bool,
        on_episode: Any,
        on_outcome: Any,
    ) -> EvaluationResult:
        number = 1 + (checkpoint.root.name == "step_7")  # the steps of each chunk, which tell both films apart
        for episode in range(episodes):
            on_outcome(episode, fake_outcome(number))
            on_episode()
        self.evaluated.append((checkpoint.root.name, episodes, greedy))
        success = np.arange(episodes) < (1 if checkpoint.root.name == "step_0" else episodes)
        zeros = np.zeros(episodes)
        return EvaluationResult(str(checkpoint.root), "greedy", success, zeros, zeros, zeros + 1)

    def film(self, path: Path, config: TrainConfig, *, start: int, commands: np.ndarray) -> None:
        self.filmed.append((path.name, start, len(commands)))


def fake_outcome(num_steps: int) -> ChunkOutcome:
    execution = ExecutionResult(status=Status.EXECUTED, commanded=np.zeros((num_steps, 14), np.float32))
    return ChunkOutcome(0.0, (), execution, terminated=False, truncated=True)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(configure(tmp_path, run={"exp_name": "shown"}))
    monkeypatch.setattr(demo, "clone_demonstrations", made.clone)
    monkeypatch.setattr(demo, "describe", made.describe)
    monkeypatch.setattr(demo, "Supervisor", made.supervisor)
    monkeypatch.setattr(demo, "evaluate_checkpoint", made.evaluate)
    monkeypatch.setattr(demo, "write_video", made.film)
    monkeypatch.setattr(demo, "worker_pool", multiprocessing.pool.ThreadPool)
    return made


def start_metrics(config: TrainConfig) -> None:
    """Writes the first record of a run, which the trainer node writes otherwise."""
    log = demo.MetricsLog.open(
        Path(config.run.run_dir) / "shown", config=config, run_id="other", start="an imitation", is_fallback=False
    )
    log.write("update", Metrics({"ratio/mean": 1.0}), counters=demo.Counters("other", 1, 32, 128))
    log.close()


def test_the_graph_trains_the_imitation_and_both_are_measured_on_the_same_starts(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    start_metrics(stage.config)
    assert demo.demonstrate(stage.config, episodes=4, record=True) == 0
    ((config, record, domain),) = stage.graphs
    assert record
    assert domain == int(os.environ["ROS_DOMAIN_ID"]), "an exported domain is respected"
    assert config.run.on_load_failure == "fail"
    assert Path(config.run.pretrained_checkpoint_path).parent.name == "shown-imitation"
    assert sorted(stage.evaluated) == [("step_0", 4, True), ("step_7", 4, True)]
    evaluations = [
        record for record in read_records(Path(stage.config.run.run_dir) / "shown") if record["kind"] == "evaluation"
    ]
    assert [record["evaluation/success_mean"] for record in evaluations] == [0.25, 1.0]
    start = demo.evaluation_start(stage.config.run.seed, 1)  # the first that only the trained policy solved
    assert sorted(stage.filmed) == [("after.mp4", start, 2), ("before.mp4", start, 1)]
    printed, shown = capsys.readouterr()
    assert shown.count("evaluation of both policies (compiling") == 1 and "0/4 " in shown
    assert "paired test of success" in printed
    page = (Path(stage.config.run.run_dir) / "shown" / "report.html").resolve()
    assert printed.splitlines()[-1] == f"open its page in a browser: {page}"
    assert page.is_file()


@pytest.mark.parametrize(
    ("status", "saves", "error", "text"),
    [
        (3, True, demo.GraphFailed, "the graph ended with status 3; its last lines and .*/runs/shown/logs say why"),
        (130, True, KeyboardInterrupt, "^$"),
        (
            0,
            False,
            demo.GraphFailed,
            "without a checkpoint in .*shown; see the logs in .*/runs/shown/logs",
        ),
    ],
)
def test_a_graph_that_failed_is_not_measured(
    stage: Stage, status: int, saves: bool, error: type[BaseException], text: str
) -> None:
    stage.status, stage.saves = status, saves
    with pytest.raises(error, match=text):
        demo.demonstrate(stage.config, episodes=4, record=False)
    assert stage.evaluated == []


@pytest.mark.parametrize(("reason", "simulator"), [(None, "mujoco"), ("no display", "kinematic")])
def test_the_command_takes_the_kinematic_simulator_where_mujoco_cannot_render(
    reason: str | None,
    simulator: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[TrainConfig, int, bool]] = []

    def demonstrate(config: TrainConfig, *, episodes: int, record: bool) -> int:
        asked.append((config, episodes, record))
        return 0

    monkeypatch.setattr(demo, "rendering_available", lambda: reason)
    monkeypatch.setattr(demo, "demonstrate", demonstrate)
    monkeypatch.setattr(demo, "check_simulated", lambda config: None)
    monkeypatch.chdir(tmp_path)  # where the folder of the run is made
    assert demo.main(["--episodes", "20"]) == 0
    ((config, episodes, record),) = asked
    assert (config.env.simulator, episodes, record) == (simulator, 20, False)
    assert config.run.exp_name.startswith("demo-2")
    assert config.ppo == dataclasses.replace(PRESETS["demo"].ppo, total_timesteps=32_000)
    assert ("kinematic simulator is used: no display" in capsys.readouterr().out) == (reason is not None)


@pytest.mark.parametrize(
    ("flags", "total"), [(["--config", "demo"], 46_000), (["--total_timesteps", "5000"], 5_000), ([], 32_000)]
)
def test_the_demo_trains_for_less_than_its_preset_unless_it_is_told(
    flags: list[str], total: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainConfig] = []
    monkeypatch.setattr(demo, "demonstrate", lambda config, **_: asked.append(config) or 0)
    monkeypatch.setattr(demo, "check_simulated", lambda config: None)
    monkeypatch.chdir(tmp_path)  # where the folder of the run is made
    assert demo.main(["--simulator", "kinematic", *flags]) == 0
    (config,) = asked
    assert config.ppo.total_timesteps == total


def test_a_demo_in_the_folder_of_a_running_graph_is_refused_before_its_imitation(stage: Stage) -> None:
    with claim_run(stage.config.run.folder), pytest.raises(SettingError, match="that nothing else runs now"):
        demo.demonstrate(stage.config, episodes=4, record=False)
    assert not Path(stage.config.run.checkpoint_root).exists(), "it had imitated before it was refused"


def test_a_demo_holds_the_folder_of_its_run_from_the_imitation_to_the_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def is_held(what: str) -> None:
        with pytest.raises(SettingError, match="that nothing else runs now"), claim_run(stage.config.run.folder):
            pass
        asked.append(what)

    for name in ("clone_demonstrations", "train_over_ros", "write_report"):
        step = getattr(demo, name)
        monkeypatch.setattr(demo, name, lambda *a, step=step, name=name, **k: (is_held(name), step(*a, **k))[1])
    start_metrics(stage.config)
    assert demo.demonstrate(stage.config, episodes=4, record=False) == 0
    assert asked == ["clone_demonstrations", "train_over_ros", "write_report"]
    with claim_run(stage.config.run.folder):
        pass


def test_an_interval_needs_two_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo.main(["--episodes", "1"])
    assert "--episodes must be at least 2 for an interval, got 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "variables", "error"),
    [
        (["--resume"], {}, "a demo always begins with a new imitation; go on with the run of a stopped demo"),
        (["--exp_name", "taken"], {}, "already holds step_7 of an earlier run"),
        ([], {"ROS_DOMAIN_ID": "300"}, "the ROS domain must be within 0..232, got 300"),
        (["--task", "nothing"], {}, "env.task must be one of reach"),
    ],
)
def test_what_a_later_part_would_refuse_is_refused_before_the_imitation_and_leaves_no_folder(
    flags: list[str], variables: dict[str, str], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_own(tmp_path / "checkpoints" / "taken", configure(tmp_path).model, step=7)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(demo, "demonstrate", lambda config, **_: pytest.fail("it began"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=error):
        demo.main(["--simulator", "kinematic", *flags])
    assert not (tmp_path / "runs").exists()
