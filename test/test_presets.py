"""Tests that the presets differ from the defaults in these settings and in no other.

Published results were made with them.
"""

from __future__ import annotations

from typing import Any

import pytest

from chunk_ppo_ros.config import PRESETS, TrainConfig, to_dict
from chunk_ppo_ros.config.parameter_file import flatten
from support.settings_table import TABLE, settings_table

TINY = {
    "model.paligemma_variant": "tiny",
    "model.image_size": 64,
    "model.patch_size": 32,
    "model.max_token_len": 60,
    "model.max_action_tokens": 32,
    "model.vocab_size": 1024,
    "model.value_head_hidden_dim": 128,
    "robot.max_start_jump": 6.3,
}
EXPECTED: dict[str, dict[str, Any]] = {
    "debug": {**TINY, "env.simulator": "kinematic"},
    "demo": {
        **TINY,
        "model.temperature": 0.7,
        "ppo.total_timesteps": 46_000,
        "ppo.num_chunks_per_update": 128,
        "ppo.num_epochs_per_update": 4,
        "ppo.batch_size": 32,
        "ppo.learning_rate": 5e-5,
        "ppo.learning_rate_warmup_steps": 32,
        "ppo.learning_rate_decay_steps": 336,
        "ppo.gamma": 0.5,
        "env.max_episode_chunks": 6,
        "pretrain.num_demonstrations": 1800,
        "pretrain.min_pace": 0.12,
        "pretrain.bc_steps": 1600,
        "run.exp_name": "demo",
    },
    "full": {
        "model.max_token_len": 250,
        "model.max_action_tokens": 150,
        "model.adapt_to_pi": True,
        "ppo.total_timesteps": 500_000,
        "ppo.num_chunks_per_update": 128,
        "ppo.num_epochs_per_update": 4,
        "ppo.batch_size": 32,
        "ppo.learning_rate": 3e-4,
        "run.exp_name": "full",
    },
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_stays_as_it_is(name: str) -> None:
    defaults = flatten(to_dict(TrainConfig()))
    changed = {key: value for key, value in flatten(to_dict(PRESETS[name])).items() if value != defaults.get(key)}
    assert changed == EXPECTED[name]


def test_a_setting_keeps_its_default_and_its_range() -> None:
    """The table lists those that are published. A new setting needs no row before a release."""
    known = settings_table().splitlines()
    changed = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line not in known]
    assert not changed, "say it in CHANGELOG.rst, and run python test/support/settings_table.py"
