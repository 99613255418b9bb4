"""Typical values of the settings of the policy network and of its imitation."""

from __future__ import annotations

POLICY: dict[str, str] = {
    "model.action_horizon": (
        "16 (0.32 s at 50 Hz) in simulation; that of the checkpoint otherwise. Longer chunks need more tokens and "
        "react later."
    ),
    "model.temperature": (
        "0.7 to 1. A lower one makes motion steadier and explores less. Training and the robot use the same one."
    ),
    "model.dtype": "`bfloat16` on a GPU with large models, with `ppo.recompute_log_probs`.",
    "model.max_action_tokens": "What `inspect` says that your recordings need, and some more.",
    "model.value_bins": "51 where returns differ much in size; then set `value_min` and `value_max`.",
    "model.delta_actions": (
        "true for openpi's checkpoints of real ALOHAs. false for imitation from scratch, with a larger "
        "`pretrain.fast_scale`."
    ),
    "model.action_dim": "14, for two arms of ALOHA. 7 for recordings of one arm. It belongs to the checkpoint.",
    "model.max_token_len": (
        "60 for the small model, 180 to 250 for pi0-FAST. Raise it where `inspect` says that prompts or chunks need "
        "more."
    ),
    "model.paligemma_variant": (
        "`tiny` in simulation on a CPU. `gemma_2b_lora` to train on a robot, and `gemma_2b` to train all weights on a "
        "large GPU."
    ),
    "model.value_head_hidden_dim": "128 for the small model, 512 for pi0-FAST. There is seldom a reason to change it.",
    "model.max_value_steps": "At least `model.action_horizon`, where `model.chunk_value` is set.",
    "model.image_size": (
        "64 for the small model, 224 for pi0-FAST, which it belongs to. Raise it where objects are a few pixels large."
    ),
    "model.patch_size": (
        "32 for the small model, 14 for pi0-FAST, which it belongs to. Smaller patches show more and cost more time."
    ),
    "model.cameras": "The three of ALOHA. Change it for a model of your own with fewer cameras.",
    "model.vocab_size": (
        "257152 for pi0-FAST, which it belongs to. 1024 for the small model, whose tokenizers have a few hundred "
        "pieces."
    ),
    "model.action_limit": (
        "1.5. Raise it where `inspect` says that more than a tenth of the recorded actions is clipped, and their "
        "norm_stats are right."
    ),
    "model.constrain_decoding": (
        "true. Take false for a checkpoint that never learned FAST's own tail, or to compare with openpi's decoding."
    ),
    "model.detach_value": (
        "true. Take false where the value head is too weak alone, and look whether the policy gets worse."
    ),
    "model.value_min": (
        "Below the smallest return by the width of two bins. Lower it while `value/clipped_returns` is above 0."
    ),
    "model.value_max": (
        "Above the largest return by the width of two bins. Raise it while `value/clipped_returns` is above 0."
    ),
    "model.chunk_value": "`none`. Take `pooled` or `attention` to look at V(s, a); docs/model.md says what each costs.",
    "model.tower_sizes": "Empty. Set it for a model of your own size that is trained from scratch.",
    "model.lora_rank": "0, or 16 with `gemma_2b_lora`'s own adapters. Set it to give another variant adapters.",
    "model.lora_alpha": "16, as openpi's. It matters only where `model.lora_rank` is set.",
    "model.adapt_to_pi": (
        "true for openpi's checkpoints of real ALOHAs, false for policies that were trained in this package's "
        "simulator. It belongs to the checkpoint."
    ),
    "model.adapt_gripper": (
        "`openpi`, for openpi's checkpoints. Set another only for a policy whose statistics were computed with it."
    ),
    "model.adapt_gripper_numbers": "Empty. Set it as `model.adapt_gripper`.",
    "pretrain.num_demonstrations": "1,800 for reach, 1,600 for the hand-over.",
    "pretrain.bc_steps": (
        "1,600 for the demonstrations of reach, some thousands for recordings. Stop where the likelihood of held-out "
        "episodes gets worse."
    ),
    "pretrain.bc_learning_rate": "1e-3 for the small model from scratch, 2.5e-5 for a checkpoint of openpi.",
    "pretrain.fast_scale": "3 to 10 with relative joints, 10 to 20 with absolute ones. A larger scale is finer.",
    "pretrain.chunk_stride": "5. Take 1 where there are few recordings.",
    "pretrain.aim_noise": (
        "0.04 m for reach, 0.02 m for the hand-over. Noise shows the policy how to recover; too much ruins fine motion."
    ),
    "pretrain.min_pace": (
        "0.12 for reach, where slow demonstrations leave PPO something to learn. 1 for demonstrations at full speed."
    ),
    "pretrain.bc_batch_size": "32. Lower it where memory is short.",
    "pretrain.fast_vocab_size": "128 to 512. More pieces make shorter chunks, which are learned later.",
    "pretrain.prompt_vocab_size": "384. Raise it for many prompts with different words.",
    "pretrain.demonstration_workers": "The number of cores that are free.",
    "pretrain.episode_cameras": (
        "Empty for ALOHA's names. Name the cameras of your recordings in the order of `model.cameras`."
    ),
    "pretrain.validation_fraction": "0.1. Raise it where there are few episodes, so that more than one is held out.",
    "pretrain.measured_chunks": "256. Raise it for closer figures, at the cost of time.",
}
"""Sentences by the dotted name of the setting."""
