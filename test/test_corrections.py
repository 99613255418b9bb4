"""The operator corrects a policy that imitates: who drives, what is recorded, and what is imitated then."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import small_policy

from chunk_ppo_ros import pretrain
from chunk_ppo_ros.config import PretrainConfig, TrainConfig
from chunk_ppo_ros.corrections import Corrections
from chunk_ppo_ros.sim.demonstrations import Demonstrations, demonstration_start, make_demonstrator, record_episode
from chunk_ppo_ros.sim.simulator import make_simulator

CAMERAS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")


def configure(tmp_path: Path, **imitation: int | float) -> TrainConfig:
    config = small_policy.configure(tmp_path, cameras=CAMERAS)
    return dataclasses.replace(config, pretrain=PretrainConfig(demonstration_workers=1, **imitation))


def test_the_operator_says_what_it_would_do_where_another_drives(tmp_path: Path) -> None:
    config = configure(tmp_path, min_pace=1.0, aim_noise=0.0)
    seen = []

    def hold(images: np.ndarray, state: np.ndarray) -> np.ndarray:
        seen.append((images, state))
        return np.tile(state, (config.model.action_horizon, 1))

    with closing(make_simulator(config)) as simulator:
        recording = record_episode(simulator, config, seed=3, drive=hold)
        assert len(recording.actions) == config.env.max_episode_chunks and not recording.success
        # It stood still all the time, and the operator went on meaning to go to the targets.
        np.testing.assert_allclose(recording.state, recording.state[:1].repeat(len(recording.state), axis=0), atol=1e-6)
        simulator.reset(seed=3)
        intended = (
            make_demonstrator(config)
            .plan(recording.state[0], simulator.scene(), random=np.random.default_rng(0))
            .intended
        )
    for actions in recording.actions:
        np.testing.assert_allclose(actions, intended, atol=1e-5)
    np.testing.assert_array_equal(np.stack([images for images, _ in seen]), recording.images)


@pytest.mark.parametrize(("every", "due"), [(0, []), (2, [2, 4]), (3, [3]), (6, [])])
def test_corrections_come_between_steps_and_not_after_the_last(tmp_path: Path, every: int, due: list[int]) -> None:
    config = configure(tmp_path, bc_steps=6, corrections_every=every)
    corrections = Corrections(config, small_policy.make_tokenizer())
    assert [step for step in range(1, 7) if corrections.are_due(step)] == due


def test_chunks_that_are_too_long_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, tokenizer = configure(tmp_path), small_policy.make_tokenizer()
    still = np.zeros((4, 14), np.float32)
    shaken = np.random.default_rng(0).uniform(-1.5, 1.5, (4, 14)).astype(np.float32)
    with pytest.raises(ValueError, match="at most 30 FAST tokens"):
        tokenizer.encode_actions(shaken, still[0])
    driven = Demonstrations(
        images=np.zeros((3, 1, 32, 32, 3), np.uint8),
        image_mask=np.ones((3, 1), bool),
        state=still[:3],
        actions=np.stack([still, shaken, still]),
        rewards=np.arange(3, dtype=np.float32),
        episodes=np.zeros(3, np.int32),
        success=np.array([False]),
        prompt="reach",
    )
    monkeypatch.setattr("chunk_ppo_ros.corrections.drive_and_ask", lambda *_, **__: driven)
    kept = Corrections(config, tokenizer).collect(small_policy.make_params(small_policy.MODEL)["actor_backbone"])
    assert kept.rewards.tolist() == [0.0, 2.0] and kept.actions.shape == (2, 4, 14)
    assert "2 chunks of the operator's are imitated too, 1 too long ones are not" in capsys.readouterr().out


def test_corrections_are_imitated_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(
        tmp_path, num_demonstrations=2, bc_steps=3, bc_batch_size=2, corrections_every=1, corrected_episodes=1
    )
    sizes, take, starts = [], pretrain.CloningBatch.take, []

    def taken(batch: pretrain.CloningBatch, index: np.ndarray) -> pretrain.CloningBatch:
        sizes.append(len(batch))
        return take(batch, index)

    def started(config: TrainConfig, episode: int) -> int:
        starts.append(episode)
        return demonstration_start(config, episode)

    monkeypatch.setattr(pretrain.CloningBatch, "take", taken)
    monkeypatch.setattr("chunk_ppo_ros.corrections.demonstration_start", started)
    pretrain.pretrain(config, tmp_path / "imitation")
    limit = config.env.max_episode_chunks  # an untrained policy solves nothing, so its episodes last so long
    assert np.diff(sizes).tolist() == [limit, limit]
    assert starts == [2, 3]  # after the demonstrations 0 and 1, each once
    assert capsys.readouterr().out.count("the policy drove 1 episodes and solved 0%") == 2
