"""Typical values of the settings of chunk PPO and of rewards."""

from __future__ import annotations

LEARNING: dict[str, str] = {
    "ppo.total_timesteps": (
        "46,000 steps (about 3,000 chunks) for reach, some 300,000 for the hand-over. Raise it, with `run.resume`, to "
        "go on with a run that has ended."
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
    "ppo.clip_coef": "0.1 to 0.3. `sequence_mean` needs a clip that is smaller by the number of tokens of a chunk.",
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
    "ppo.rate_backoff": "0.5. A smaller factor reaches an accepted update in fewer attempts, with a smaller step.",
    "ppo.undo_from": "`memory`. Take `checkpoint` where the memory of the GPU is short.",
    "ppo.freeze_image_tower": "true for adapters on a robot: an update is faster, and the images mean what they meant.",
    "ppo.critic_warmup_updates": (
        "1 to 3 for a good initial policy whose value head is fresh. Meanwhile only the value head learns."
    ),
    "ppo.recompute_log_probs": "true with `model.dtype` bfloat16.",
    "ppo.discount_per_step": (
        "false. true where chunks have different lengths, as with `chunk_length.length_rule` scheduled or uncertainty."
    ),
    "ppo.value_huber_delta": (
        "10, which is larger than most errors. Lower it towards the usual error of V(s) where single returns are far "
        "larger than others."
    ),
    "ppo.log_ratio_clamp": "20. It keeps numbers finite, and does not limit an update: that is `ppo.max_kl`.",
    "ppo.gae_value": "`observation`. Read the ablation in docs/results/README.md before you take `chunk`.",
    "ppo.freeze_text_tower": "false. true to train only the image tower and the value head.",
    "ppo.normalize_advantages": (
        "true. Take false where the size of the advantages must count, such as to compare with other code."
    ),
    "ppo.max_logp_gap": (
        "0, the limit of the dtype. Do not raise it to silence an error: it means that sampling and training disagree."
    ),
    "reward.jerk_penalty": (
        "Begin with the weight at which a shaky chunk costs a tenth of what success is worth. Independent noise of "
        "0.02 rad on every target has a jerk of about 0.1."
    ),
    "reward.clamped_penalty": "0.001 to 0.01 a step, where most chunks end as LIMITED.",
    "reward.novelty_weight": "0.1 of what success is worth, where rewards are rare.",
    "reward.sources": (
        "`[task]` in simulation. On a robot `[]`, where you judge each episode, `[classifier]`, or your own nodes."
    ),
    "reward.source_timeout": "5 s in simulation, 10 s on a robot.",
    "reward.term_weights": (
        "Empty. Change the weight of a term that counts too much or too little in `reward/term/...`."
    ),
    "reward.execution_terms": "Empty. Name a function of yours, as `my_reward:travel=-0.02`.",
    "reward.scene_terms": "Empty. Name a function of yours, in a simulator.",
    "reward.effort_penalty": (
        "0. Begin with the weight at which a strained chunk costs a tenth of what success is worth."
    ),
    "reward.human_success_weight": "1. Raise it where the other terms together are worth more than success.",
    "reward.feedback_weight": "1, for feedback of -1 to 1.",
    "reward.classifier": "Empty, or the file that `train-classifier` wrote.",
    "reward.classifier_ends": (
        "true. false where the classifier sees a success too early, or episodes must have one length."
    ),
    "reward.max_chunk_reward": (
        "20. Raise it where your terms may add up to more: trainer_node takes a larger reward for a fault."
    ),
}
"""Sentences by the dotted name of the setting."""
