"""Tests imitation: what it refuses before it begins, and what it leaves as it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, PretrainConfig, TrainConfig
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.core.errors import CheckpointError, UserError
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_observation
from chunk_ppo_ros.imitation import behavior_cloning, clone_demonstrations
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from support import small_policy


def test_a_taken_folder_is_refused_before_anything_is_demonstrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone_demonstrations, "collect_demonstrations", lambda *_, **__: pytest.fail("it has begun"))
    with pytest.raises(CheckpointError, match="must not exist yet"):
        clone_demonstrations.clone_demonstrations(PRESETS["debug"], tmp_path)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"tokenizer_dir": "nowhere"}, r"tokenizers of nowhere \(run.tokenizer_dir\) cannot be used"),
        (
            {"pretrained_checkpoint_path": "start"},
            "must be empty to imitate demonstrations, .*, got start; leave",
        ),
    ],
)
def test_a_start_that_cannot_be_used_is_refused_before_anything_is_demonstrated(
    setting: dict[str, str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone_demonstrations, "collect_demonstrations", lambda *_, **__: pytest.fail("it has begun"))
    run = dataclasses.replace(PRESETS["debug"].run, **setting)
    with pytest.raises(UserError, match=text):
        clone_demonstrations.clone_demonstrations(dataclasses.replace(PRESETS["debug"], run=run), tmp_path / "new")


def cloning_batch(tokenizer: PolicyTokenizer) -> CloningBatch:
    """Returns two observations and chunks of noise, as the small policy sees them."""
    model, random = tokenizer.config, np.random.default_rng(2)
    seen = [dataclasses.replace(random_observation(model, random), prompt="reach") for _ in range(2)]
    observations = [tokenizer.observe(one) for one in seen]
    chunks = [
        tokenizer.encode_actions(np.tile(one.state, (model.action_horizon, 1)), one.state) for one in observations
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *observations)
    return CloningBatch(stacked, np.stack([c.action_tokens for c in chunks]), np.stack([c.token_mask for c in chunks]))


def settings(tmp_path: Path, **frozen: bool) -> TrainConfig:
    config = small_policy.configure(tmp_path, lora_rank=2)
    imitation = PretrainConfig(bc_steps=2, bc_batch_size=2)
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, **frozen), pretrain=imitation)


def test_imitation_leaves_what_is_frozen(tmp_path: Path) -> None:
    config = settings(tmp_path, freeze_image_tower=True)
    policy, params = small_policy.make_policy(config.model), small_policy.make_params(config.model)
    cloned = behavior_cloning.clone(policy, params, cloning_batch(small_policy.make_tokenizer()), config)
    moved = jax.tree.map(lambda new, old: not np.array_equal(new, old), cloned, params)
    names = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(moved)}
    assert {name for name, leaf in names.items() if leaf} == {name for name in names if "lora_" in name}


def test_the_checkpoint_says_what_was_demonstrated_and_how_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path)
    model = dataclasses.replace(config.model, cameras=TrainConfig().model.cameras)  # all that the simulator has
    config = dataclasses.replace(config, model=model, env=dataclasses.replace(config.env, max_episode_chunks=6))
    tokenizer = small_policy.make_tokenizer()
    state, actions = np.zeros((3, 14), np.float32), np.ones((3, 4, 14), np.float32)
    demonstrated = SimpleNamespace(
        success=[True, False], prompts=("reach", "hold"), episodes=np.array([0, 0, 1]), state=state, actions=actions
    )
    monkeypatch.setattr(clone_demonstrations, "collect_demonstrations", lambda *_, **__: demonstrated)
    monkeypatch.setattr(clone_demonstrations, "fit", lambda *_: dataclasses.replace(tokenizer, config=config.model))
    monkeypatch.setattr(behavior_cloning, "tokenize", lambda *_: cloning_batch(tokenizer))

    def clone(policy: Any, params: Any, batch: Any, config: Any, *, on_step: Any, on_params: Any) -> Any:
        on_params(1, params["actor_backbone"])
        return params

    monkeypatch.setattr(behavior_cloning, "clone", clone)
    written = clone_demonstrations.clone_demonstrations(config, tmp_path / "imitation", also_after=[1])
    assert sorted(child.name for child in written.iterdir()) == ["assets", "checksums.json", "params", "settings.json"]
    for folder in (written, tmp_path / "imitation-1"):
        opened = Checkpoint.open(folder)
        assert opened.settings == RunSettings.of(config)
        fresh, imitation = opened.history.stages
        assert (fresh.kind, imitation.kind, imitation.checkpoint) == ("fresh", "imitation", str(folder))
        data = imitation.data
        assert data is not None
        assert (data.origin, data.episode_count, data.step_count) == ("task reach, simulator kinematic", 2, 3)
        assert data.prompts == ("hold", "reach")


def test_imitation_without_anything_to_train_is_refused(tmp_path: Path) -> None:
    config = settings(tmp_path, freeze_image_tower=True, freeze_text_tower=True)
    policy, params = small_policy.make_policy(config.model), small_policy.make_params(config.model)
    with pytest.raises(UserError, match="leave one of them out"):
        behavior_cloning.clone(policy, params, cloning_batch(small_policy.make_tokenizer()), config)


class OneNumber:
    """Stands in for a policy with one parameter w, in which each token costs (w - 2)^2 / 2 nats."""

    def evaluate(self, params: Any, observation: Any, tokens: Any, mask: Any, *, temperature: float) -> SimpleNamespace:
        assert temperature == 1.0  # As in openpi, whatever `model.temperature` is.
        cost = 0.5 * jnp.square(params["actor_backbone"]["w"] - 2.0)
        return SimpleNamespace(token_log_probs=jnp.where(mask, -cost, 0.0))


def adamw(num_steps: int, *, peak: float) -> list[float]:
    """Returns w after each step by openpi's rule: AdamW, gradients clipped to 1, linear warm-up, cosine decay to 0."""
    w, mean, square, found, warm_up = 0.0, 0.0, 0.0, [], num_steps // 20
    for step in range(num_steps):
        gradient = float(np.clip(w - 2.0, -1.0, 1.0))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.95 * square + 0.05 * gradient**2
        decayed = 0.5 * (1.0 + np.cos(np.pi * (step - warm_up) / (num_steps - warm_up)))
        rate = peak * (step / warm_up if step < warm_up else decayed)
        scaled = mean / (1.0 - 0.9 ** (step + 1)) / (np.sqrt(square / (1.0 - 0.95 ** (step + 1))) + 1e-8)
        w -= rate * (scaled + 1e-4 * w)
        found.append(w)
    return found


def test_imitation_makes_the_steps_of_openpis_optimizer(tmp_path: Path) -> None:
    config = settings(tmp_path)
    slow = dataclasses.replace(config.model, temperature=0.5)
    imitation = PretrainConfig(bc_steps=60, bc_batch_size=2, bc_learning_rate=0.2)
    config = dataclasses.replace(config, model=slow, pretrain=imitation)
    losses: list[float] = []
    calls: list[tuple[int, float]] = []
    params = {"actor_backbone": {"w": jnp.zeros(())}, "value_head": {"bias": jnp.ones(())}}
    cloned = behavior_cloning.clone(
        cast(Any, OneNumber()),
        params,
        cloning_batch(small_policy.make_tokenizer()),
        config,
        on_step=losses.append,
        on_params=lambda step, actor: calls.append((step, float(actor["w"]))),
    )
    expected = adamw(60, peak=0.2)
    assert 1.0 < expected[-1] < 2.0  # On its way it comes from gradients that are clipped to smaller ones.
    np.testing.assert_allclose([w for _, w in calls], expected, rtol=1e-4, atol=1e-6)
    assert [step for step, _ in calls] == list(range(1, 61))
    np.testing.assert_allclose(losses, [0.5 * (w - 2.0) ** 2 for w in [0.0, *expected[:-1]]], rtol=1e-3)
    assert float(cloned["actor_backbone"]["w"]) == calls[-1][1]
    assert cloned["value_head"] is params["value_head"]
    assert behavior_cloning.cloning_loss(
        cast(Any, OneNumber()), params, cloning_batch(small_policy.make_tokenizer()), temperature=1.0
    ) == pytest.approx(2.0)  # The mean over the tokens, however many chunks there are.


def test_the_bar_of_cloning_advances_with_each_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    bars, make_bar = [], behavior_cloning.progress_bar

    def keep(*given: Any, **named: Any) -> Any:
        bars.append(make_bar(*given, **named))
        return bars[0]

    monkeypatch.setattr(behavior_cloning, "progress_bar", keep)
    with behavior_cloning.cloning_progress(3) as on_step:
        for loss in (2.0, 1.0, 0.5):
            on_step(loss)
    assert (bars[0].done, bars[0].total) == (3, 3)
    assert "behavior cloning (compiling" in capsys.readouterr().err
