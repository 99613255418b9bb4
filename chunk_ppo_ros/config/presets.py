"""Named configurations to start from. MODELS holds sizes of the model, PRESETS whole runs."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.env import KINEMATIC, MUJOCO, EnvConfig
from chunk_ppo_ros.config.imitation import PretrainConfig
from chunk_ppo_ros.config.model import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.ppo import PPOConfig
from chunk_ppo_ros.config.robot import RobotConfig
from chunk_ppo_ros.config.run import RunConfig
from chunk_ppo_ros.config.train import TrainConfig

TINY_MODEL = Pi0FASTActorCriticConfig(
    paligemma_variant="tiny",
    image_size=64,
    patch_size=32,
    max_token_len=60,
    max_action_tokens=32,
    vocab_size=1024,
    value_head_hidden_dim=128,
)

SIMULATED_ROBOT = RobotConfig(max_start_jump=6.3)
"""The robot's settings in a simulator. A jump is limited there, not refused, because an untrained policy makes many."""

MODELS: dict[str, Pi0FASTActorCriticConfig] = {
    "tiny": TINY_MODEL,
    "gemma_2b": Pi0FASTActorCriticConfig(max_token_len=250, max_action_tokens=150, adapt_to_pi=True),
    "gemma_2b_lora": Pi0FASTActorCriticConfig(
        paligemma_variant="gemma_2b_lora", max_token_len=250, max_action_tokens=150, adapt_to_pi=True
    ),
}

PRESETS: dict[str, TrainConfig] = {
    "debug": TrainConfig(
        model=TINY_MODEL,
        ppo=PPOConfig(
            total_timesteps=5_000,
            num_chunks_per_update=32,
            num_epochs_per_update=2,
            batch_size=8,
            learning_rate=1e-4,
        ),
        env=EnvConfig(simulator=KINEMATIC),
        robot=SIMULATED_ROBOT,
    ),
    "demo": TrainConfig(
        model=dataclasses.replace(TINY_MODEL, temperature=0.7),
        ppo=PPOConfig(
            total_timesteps=46_000,
            num_chunks_per_update=128,
            num_epochs_per_update=4,
            batch_size=32,
            learning_rate=5e-5,
            learning_rate_warmup_steps=32,
            learning_rate_decay_steps=336,
            gamma=0.5,  # In reach the progress of the present chunk matters most. A larger gamma adds noise.
            max_kl=1.0,
        ),
        env=EnvConfig(simulator=MUJOCO, max_episode_chunks=6),
        robot=SIMULATED_ROBOT,
        pretrain=PretrainConfig(num_demonstrations=1800, min_pace=0.12, bc_steps=1600),
        run=RunConfig(exp_name="demo"),
    ),
    "full": TrainConfig(
        model=MODELS["gemma_2b"],
        ppo=PPOConfig(
            total_timesteps=500_000,
            num_chunks_per_update=128,
            num_epochs_per_update=4,
            batch_size=32,
            learning_rate=3e-4,
        ),
        run=RunConfig(exp_name="full"),
    ),
}

ABOUT: dict[str, str] = {
    "debug": "a smoke test of a minute on the kinematic simulator, which learns next to nothing",
    "demo": "learns reach on MuJoCo in minutes on two cores, from an imitation made with the same preset",
    "full": "the size of openpi's Pi0-FAST, for a GPU; give it a checkpoint of openpi to start from",
}
"""The purpose of each preset, in one line."""
