"""Typical values of the settings that people change most, and the reason to change each.

The reference pages of the documentation show them beside the defaults. docs/learning.md has the measurements.
"""

from __future__ import annotations

TYPICAL: dict[str, str] = {
    "ppo.total_timesteps": (
        "46,000 steps (about 3,000 chunks) for reach, some 300,000 for the hand-over. Raise it, with "
        "`run.resume`, to go on with a run that has ended."
    ),
    "ppo.num_chunks_per_update": (
        "128. Rollouts of 32 are mostly noise where a chunk has ten tokens or more. Larger ones learn more slowly and "
        "more steadily."
    ),
    "ppo.num_epochs_per_update": (
        "2 to 4. More epochs use each chunk more often, and move the policy farther in an update. Raise it where "
        "`kl/after` stays below 0.05."
    ),
    "ppo.batch_size": "32. Lower it where memory is short, and raise `ppo.gradient_accumulation_steps` to match.",
    "ppo.gradient_accumulation_steps": "1. Raise it where a minibatch does not fit the device.",
    "ppo.learning_rate": (
        "3e-5 to 1e-4 for the small model, 2e-5 for adapters, 5e-6 for all weights of a large model. Choose it so that "
        "`kl/after` is 0.1 to 0.7 nats a chunk. Lower it where updates are undone."
    ),
    "ppo.learning_rate_warmup_steps": (
        "The gradient steps of one or two rollouts: 32 in the preset demo, 8 in `config/robot.yaml`. The first steps "
        "of Adam all have full size, so that without it the first updates go too far."
    ),
    "ppo.learning_rate_decay_steps": "The gradient steps of the rest of the run, where its length is known.",
    "ppo.value_learning_rate": (
        "1e-4 to 1e-3. Raise it where `value/explained_variance` stays below 0 for many updates."
    ),
    "ppo.gamma": (
        "0.5 where a chunk changes the reward at once, as in reach. 0.9 to 0.99 where its effect comes many chunks "
        "later."
    ),
    "ppo.gamma_step": "`gamma ** (1 / H)`, to discount a whole chunk as gamma does.",
    "ppo.gae_lambda": (
        "0.9 to 0.97. Lower it where returns are noisy and the value is good. 1 does not trust the value at all."
    ),
    "ppo.ratio": (
        "`chunk` for chunks of up to ten tokens. Take `token` where chunks have more and `clip_fraction/chunk` stays "
        "above 0.5."
    ),
    "ppo.clip_coef": ("0.1 to 0.3. `sequence_mean` needs a clip that is smaller by the number of tokens of a chunk."),
    "ppo.clip_coef_high": "0.28, where the entropy falls too early.",
    "ppo.ent_coef": "0 to 0.01. Raise it a little where `loss/entropy` falls to near 0 before success rises.",
    "ppo.ref_kl_coef": "0.1, where motion drifts away from sensible motion while the reward rises.",
    "ppo.bc_coef": "0.1 to 1, where humans take over and their chunks are to be imitated.",
    "ppo.vf_coef": "0.5. It matters only where `model.detach_value` is false.",
    "ppo.max_grad_norm": "1. Look at `grad_norm/actor` before you change it.",
    "ppo.target_kl": "0.1 to 0.5, for updates of many epochs.",
    "ppo.max_kl": (
        "1.0 in simulation, 0.5 on a robot. Lower it where success rises and falls again. Keep it above 0: it is the "
        "net that undoes an update that went too far."
    ),
    "ppo.rate_backoff": "0.5.",
    "ppo.undo_from": "`checkpoint` where the memory of the GPU is short.",
    "ppo.freeze_image_tower": "true for adapters on a robot: an update is faster, and the images mean what they meant.",
    "ppo.critic_warmup_updates": (
        "1 to 3 for a good initial policy whose value head is fresh. Meanwhile only the value head learns."
    ),
    "ppo.recompute_log_probs": "true with `model.dtype` bfloat16.",
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
    "env.max_episode_chunks": (
        "6 for reach, 20 for the hand-over, 40 on a robot. A limit that is too short hides successes; one that is too "
        "long wastes time on failures."
    ),
    "env.sensor_timeout": "1 s on a robot.",
    "chunk_length.length_rule": "`fixed`. Read docs/chunk-length.md before another.",
    "chunk_length.executed_steps": "All of a chunk, or half of it where the robot must react sooner.",
    "robot.control_rate": "50 Hz for ALOHA. It belongs to the recordings and to the checkpoint.",
    "robot.max_velocity": "0.5 rad/s for the first episodes on a robot, 1.5 rad/s to train.",
    "robot.max_acceleration": "10 rad/s^2 on a robot. Lower it where arms shake when they stop.",
    "robot.max_start_jump": "0.2 rad on a robot, 6.3 in a simulator.",
    "robot.max_following_error": "0.3 rad on a robot.",
    "robot.state_timeout": "0.3 s for a driver that reports at 30 Hz or faster.",
    "robot.deadman_timeout": "0.3 s with a switch that reports at 10 Hz.",
    "reward.jerk_penalty": (
        "Begin with the weight at which a shaky chunk costs a tenth of what success is worth. Independent noise of "
        "0.02 rad on every target has a jerk of about 0.1."
    ),
    "reward.clamped_penalty": "0.001 to 0.01 a step, where most chunks end as LIMITED.",
    "reward.novelty_weight": "0.1 of what success is worth, where rewards are rare.",
    "pretrain.num_demonstrations": "1,800 for reach, 1,600 for the hand-over.",
    "pretrain.bc_steps": (
        "1,600 for the demonstrations of reach, some thousands for recordings. Stop where the likelihood of held-out "
        "episodes gets worse."
    ),
    "pretrain.bc_learning_rate": "1e-3 for the small model from scratch, 2.5e-5 for a checkpoint of openpi.",
    "pretrain.fast_scale": "3 to 10 with relative joints, 10 to 20 with absolute ones. A larger scale is finer.",
    "pretrain.chunk_stride": "5. Take 1 where there are few recordings.",
    "run.keep_checkpoints": "3. Raise it where you want to go back farther by `rollback`.",
    "run.max_disk": "Some GiB less than what is free on the disk; `doctor` says whether it fits.",
}
"""Sentences by the dotted name of the setting."""
