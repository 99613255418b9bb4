"""The command `train` hands its settings on, and warns of what is known to fail."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup
from chunk_ppo_ros.agent.run_start.starting_checkpoint import StartingCheckpoint
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.types import Observation
from support.small_policy import configure, save_openpi


def test_the_command_trains_with_its_flags_and_names_the_newest_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[TrainConfig, object]] = []

    def fake_train(setup: TrainingSetup, env: object) -> SimpleNamespace:
        trained.append((setup.config, env))
        return SimpleNamespace(root=tmp_path / "step_7")

    monkeypatch.chdir(tmp_path)  # where the folder of the run is made
    monkeypatch.setattr(train, "train", fake_train)
    monkeypatch.setattr(train, "check_simulated", lambda config: None)
    monkeypatch.setattr(train, "simulated", lambda config: contextlib.nullcontext("an environment"))
    assert train.main(["--config", "demo", "--seed", "5", "--checkpoint_root", str(tmp_path)]) == 0
    (config, env) = trained[0]
    assert config.ppo == PRESETS["demo"].ppo
    assert (config.run.seed, config.run.checkpoint_root, env) == (5, str(tmp_path), "an environment")
    assert capsys.readouterr().out.endswith(f"the newest checkpoint is {tmp_path / 'step_7'}\n")


def test_a_run_that_is_stopped_in_its_first_rollout_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Report:
        """Notes the requests in the place of the process that draws pages."""

        def __init__(self, run_dir: Path) -> None:
            events.append(f"page of {run_dir.name}")

        def __enter__(self) -> Report:
            return self

        def __exit__(self, *_: object) -> None:
            events.append("closed")

        def request(self) -> None:
            events.append("requested")

    class Stopped:
        """An environment in which the user stops the run at its start."""

        def reset(self, *, seed: int) -> Observation:
            events.append("rollout")
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "ReportWriter", Report)
    start = str(save_openpi(tmp_path / "imitation"))
    config = configure(tmp_path, run={"pretrained_checkpoint_path": start, "exp_name": "mine"})
    setup = TrainingSetup(config, StartingCheckpoint.of(config.run))
    with pytest.raises(KeyboardInterrupt):
        train.train(setup, cast(ChunkEnv, Stopped()))
    assert events == ["page of mine", "requested", "rollout", "closed"]


@pytest.mark.parametrize(
    ("variant", "rank", "rate", "warned"),
    [
        ("gemma_2b", 0, 3e-4, True),
        ("gemma_2b", 0, 1e-4, False),
        ("gemma_2b", 8, 3e-4, False),
        ("gemma_2b_lora", 0, 3e-4, False),
        ("tiny", 0, 3e-4, False),
    ],
)
def test_a_rate_that_ruins_all_of_gemma_2b_gives_a_warning(
    variant: str, rank: int, rate: float, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    full = PRESETS["full"]
    config = dataclasses.replace(
        full,
        model=dataclasses.replace(full.model, paligemma_variant=variant, lora_rank=rank),
        ppo=dataclasses.replace(full.ppo, learning_rate=rate),
    )
    train.warn_of_large_rate(config)
    printed = capsys.readouterr().out
    assert printed.startswith("warning: ppo.learning_rate 0.0003 on all of gemma_2b") if warned else printed == ""
