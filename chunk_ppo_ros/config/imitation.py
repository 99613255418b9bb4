"""The settings of behavior cloning, and of the tokenizers that are fitted for it."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting


@dataclasses.dataclass(frozen=True)
class PretrainConfig(Checked):
    """Settings of behavior cloning on demonstrations or recorded episodes, and of the tokenizers fitted to them."""

    num_demonstrations: int = setting(500, "demonstrated episodes", minimum=1)
    aim_noise: float = setting(
        0.04,
        "standard deviation of the noise that each chunk adds to the demonstrator's executed target, m; in "
        "transfer_cube it shrinks in proportion for targets nearer than 0.2 m, and 0.02 suits it",
        minimum=0.0,
    )
    min_pace: float = setting(
        0.3,
        "smallest share of the way that a demonstrated chunk covers (transfer_cube: smallest share of the top speed); "
        "the share is random up to 1 and mostly small",
        minimum=0.01,
        maximum=1.0,
    )
    bc_steps: int = setting(1_000, "gradient steps of behavior cloning", minimum=2)
    bc_batch_size: int = setting(32, "chunks in a minibatch of behavior cloning", minimum=1)
    bc_learning_rate: float = setting(1e-3, "peak learning rate of behavior cloning", minimum=0.0, maximum=1.0)
    fast_vocab_size: int = setting(128, "tokens of the fitted FAST tokenizer", minimum=64, maximum=65536)
    fast_scale: float = setting(3.0, "factor on DCT coefficients before rounding", minimum=0.1, maximum=1000.0)
    prompt_vocab_size: int = setting(384, "pieces of the trained prompt tokenizer", minimum=340, maximum=65536)
    demonstration_workers: int = setting(2, "processes that collect demonstrations", minimum=1, maximum=64)
    chunk_stride: int = setting(
        5, "control steps between the starts of two chunks of a recorded episode; openpi takes 1", minimum=1
    )
    episode_cameras: tuple[str, ...] = setting(
        (), "names of model.cameras in recorded episodes, in the same order; empty takes the robot's names"
    )
    validation_fraction: float = setting(
        0.1, "part of the recorded episodes that is held out and scored", minimum=0.0, maximum=0.5
    )
    measured_chunks: int = setting(
        256,
        "largest number of held-out chunks whose likelihood and decoded actions are measured after an imitation",
        minimum=1,
    )
