"""Tests a learner that keeps no copy to undo an update from, and reads its checkpoint again instead."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import PRESETS, PPOConfig, TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.rl.update_errors import UpdateError
from support import small_policy
from support.rollouts import sampled_rollout
from support.trees import assert_trees_equal

NUM_CHUNKS = 4
GIGABYTE = 1e9


def configure(folder: Path, undo_from: str, **ppo: Any) -> TrainConfig:
    imitated = folder / "imitated"
    if not imitated.exists():
        small_policy.save_openpi(imitated)
    run = {"pretrained_checkpoint_path": str(imitated), "on_load_failure": "fail", "exp_name": undo_from}
    config = small_policy.configure(folder, run=run)
    settings = {"num_chunks_per_update": NUM_CHUNKS, "batch_size": 2, "undo_from": undo_from, **ppo}
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, **settings))


def updated(folder: Path, undo_from: str, **ppo: Any) -> tuple[Any, list[Metrics]]:
    """Returns the arrays and the metrics of a run of two updates."""
    config = configure(folder, undo_from, **ppo)
    learner = Learner.start(config)
    learner.warm_up()
    metrics = []
    for _ in range(2):
        metrics.append(learner.update(sampled_rollout(learner, config)))
        learner.save()
    return jax.device_get(learner.state), metrics


@pytest.mark.parametrize(
    ("settings", "num_undone"),
    [({}, 0), ({"max_kl": 1e-3, "learning_rate": 3e-2}, 1), ({"max_kl": 1e-12}, 8), ({"critic_warmup_updates": 1}, 0)],
)
def test_a_run_has_the_same_bits_whatever_its_updates_are_undone_from(
    tmp_path: Path, settings: dict[str, Any], num_undone: int
) -> None:
    from_memory, expected = updated(tmp_path, "memory", **settings)
    from_checkpoint, metrics = updated(tmp_path, "checkpoint", **settings)
    assert_trees_equal(from_checkpoint, from_memory)
    assert metrics == expected
    undone = sum(each["update/rolled_back"] for each in metrics)
    assert undone == 8 if num_undone == 8 else undone >= num_undone


def test_an_update_that_fails_after_its_first_step_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path, "checkpoint")
    learner = Learner.start(config)
    before = jax.device_get(learner.state)
    with pytest.raises(UpdateError, match="must be finite"):
        learner.update(sampled_rollout(learner, config, reward=math.inf))
    assert_trees_equal(jax.device_get(learner.state), before)

    def fails(transitions: object, config: object) -> Metrics:
        raise ValueError("two packages name a metric alike")

    monkeypatch.setattr("chunk_ppo_ros.agent.learner.rollout_metrics", fails)
    with pytest.raises(ValueError, match="alike"):
        learner.update(sampled_rollout(learner, config))
    assert_trees_equal(jax.device_get(learner.state), before)
    assert learner.policy_version == 0


def test_a_reference_stays_whole_where_updates_use_up_the_parameters(tmp_path: Path) -> None:
    _, metrics = updated(tmp_path, "checkpoint", ref_kl_coef=0.1)
    assert metrics[0]["kl/reference"] == 0.0 and metrics[1]["kl/reference"] != 0.0


def gigabytes(ppo: PPOConfig) -> float:
    """Returns what all of gemma_2b needs while an update is made, without activations, GB of float32 on a device.

    These are parameters, gradients and moments, and the copy to undo it from.
    """
    model = dataclasses.replace(PRESETS["full"].model, paligemma_variant="gemma_2b", lora_rank=0)
    params = {
        ACTOR: jax.eval_shape(lambda: Pi0FAST.from_config(model).init(key=jax.random.key(0))),
        VALUE: {"bias": jax.ShapeDtypeStruct((), np.float32)},
    }
    trained = FrozenTowers.of(ppo).trained_leaves(params[ACTOR])
    moments = jax.eval_shape(lambda: make_optimizer(ppo).init(params, trained=trained))
    gradients, _ = Partition({ACTOR: trained, VALUE: True}).split(params)
    size = sum(map(num_bytes, (params, moments, gradients)))
    copy = num_bytes(gradients) + num_bytes(moments) if ppo.undo_from == "memory" else 0
    return (size + copy) / GIGABYTE


def num_bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def test_all_of_gemma_2b_fits_80_gb_only_without_the_copy() -> None:
    sizes = {undo_from: gigabytes(PPOConfig(undo_from=undo_from)) for undo_from in ("memory", "checkpoint")}
    assert sizes["checkpoint"] == pytest.approx(46.8, abs=0.1)
    assert sizes["memory"] == pytest.approx(81.9, abs=0.1)
    frozen = PPOConfig(undo_from="checkpoint", freeze_image_tower=True)
    assert gigabytes(frozen) == pytest.approx(41.8, abs=0.1)
