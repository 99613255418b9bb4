"""The command `train` hands its settings on, and warns of what is known to fail."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup
from chunk_ppo_ros.config import PRESETS, TrainConfig


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
