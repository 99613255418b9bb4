"""The metrics of an update: of the gradient steps, of what the policy became, and of whether the update was kept."""

from __future__ import annotations

from chunk_ppo_ros.reporting.metric_table.row import MetricRow

_LOSSES, _TRUST = "rl/losses.py", "rl/trust_region.py"
_CHUNK_VALUE, _REFERENCE = "model.chunk_value is not none", "ppo.ref_kl_coef is not 0"

UPDATES = (
    MetricRow(
        "loss/policy",
        "advantage",
        "The clipped surrogate loss, as a mean over the gradient steps that had a chunk of the policy.",
        _LOSSES,
        "It is near 0 and changes its sign; its size says little.",
    ),
    MetricRow(
        "loss/value",
        "reward squared, or nats",
        "The loss of V(s): Huber's, or a cross-entropy where model.value_bins is above 1.",
        _LOSSES,
        "It falls at first; a cross-entropy ends near 1.2, the entropy of its target.",
    ),
    MetricRow("loss/chunk_value", "as loss/value", "The same loss of V(s, a).", _LOSSES, when=_CHUNK_VALUE),
    MetricRow(
        "loss/entropy",
        "nats per token",
        "The mean entropy of the distributions of the sampled tokens.",
        _LOSSES,
        "It falls slowly; near 0 the policy samples the same chunk each time and learns no more.",
    ),
    MetricRow(
        "loss/reference",
        "nats per chunk",
        "Half the squared log-ratio of policy and reference, summed over the tokens of a chunk.",
        _LOSSES,
        when=_REFERENCE,
    ),
    MetricRow(
        "loss/cloning",
        "nats per chunk",
        "The negative log-probability of what humans drove, over all chunks that train the policy.",
        _LOSSES,
        "It falls while the policy learns from takeovers.",
        when="ppo.bc_coef is not 0",
    ),
    MetricRow(
        "ratio/mean",
        "1",
        "The mean probability ratio of new and old policy, at the level of ppo.ratio.",
        _LOSSES,
        "It is near 1.",
    ),
    MetricRow("ratio/min", "1", "The smallest ratio of all gradient steps.", _LOSSES, "Compare it with ppo.clip_coef."),
    MetricRow("ratio/max", "1", "The largest ratio of all gradient steps.", _LOSSES, "Compare it with ppo.clip_coef."),
    MetricRow(
        "ratio/clip_fraction",
        "share",
        "The ratios outside the clip range, at the level of ppo.ratio.",
        _LOSSES,
        "The published runs had means of 0.03 to 0.63; decide by kl/after.",
    ),
    MetricRow(
        "clip_fraction/chunk",
        "share",
        "The same share, had ppo.ratio been chunk.",
        _LOSSES,
        "Above 0.5 with a good kl/after, take ppo.ratio token.",
    ),
    MetricRow("clip_fraction/token", "share", "The same share, had ppo.ratio been token.", _LOSSES),
    MetricRow("clip_fraction/sequence_mean", "share", "The same share, had ppo.ratio been sequence_mean.", _LOSSES),
    MetricRow(
        "kl/k2",
        "nats per chunk",
        "Half the mean squared log-ratio of new and old policy, as a mean over the gradient steps (Schulman 2020, k2).",
        _LOSSES,
        "Compare it with ppo.target_kl, which is compared with the kl/k2 of each minibatch.",
    ),
    MetricRow(
        "kl/approx",
        "nats per chunk",
        "The estimate k3 of the KL of old and new policy, as a mean over the gradient steps (Schulman 2020).",
        _LOSSES,
        "One rare token can make it large; decide by kl/after.",
    ),
    MetricRow(
        "kl/after",
        "nats per chunk",
        "Half the mean squared log-ratio of the policy before and after the update, over the whole rollout.",
        _TRUST,
        "It is 0.1 to 0.7 in runs that learn well; above ppo.max_kl the update is undone.",
        when="ppo.max_kl is not 0, the policy was trained and the update stayed finite",
    ),
    MetricRow("kl/after_k3", "nats per chunk", "The estimate k3 of the same KL.", _TRUST, when="kl/after is logged"),
    *(
        MetricRow(
            f"ratio/after_p{percent:02d}",
            "1",
            f"The ratio of new to old probability after the update, below which {percent} % of the chunks are.",
            _TRUST,
            "It is near 1." if percent == 50 else "",
            when="kl/after is logged",
        )
        for percent in (5, 25, 50, 75, 95)
    ),
    MetricRow(
        "kl/reference",
        "nats per chunk",
        "The KL of the policy to the reference before the update, from the mean log-ratio; it may be negative.",
        "rl/update.py",
        "It rises from 0 and levels off.",
        when=_REFERENCE,
    ),
    MetricRow(
        "update/accepted",
        "0 or 1",
        "Whether the update was kept. Where it is 0, the new version has the weights of the one before.",
        _TRUST,
        "It is 1 in nearly all updates.",
    ),
    MetricRow(
        "update/rolled_back",
        "attempts",
        "How often the update was undone before it was kept or given up.",
        _TRUST,
        "It is 0 in most updates; otherwise lower ppo.learning_rate.",
    ),
    MetricRow(
        "update/rate_scale",
        "1",
        "The factor on the actor's learning rate in the last attempt.",
        _TRUST,
        "It is 1; far below, ppo.learning_rate is too high.",
    ),
    MetricRow(
        "update/epochs_done",
        "passes",
        "The passes over the rollout that were made.",
        "rl/epochs.py",
        "It is ppo.num_epochs_per_update, unless ppo.target_kl stopped the update.",
    ),
    MetricRow(
        "grad_norm/actor",
        "1",
        "The global norm of the actor's gradient before it is scaled down.",
        "rl/gradient_step.py",
        "Compare it with ppo.max_grad_norm; it is 0 while the policy is frozen.",
    ),
    MetricRow("grad_norm/value", "1", "The same norm of the value head's gradient.", "rl/gradient_step.py"),
    MetricRow(
        "logp_gap/max_ratio",
        "1",
        "The largest |ratio - 1| of a chunk before the first step, between recorded and recomputed log-probs.",
        "rl/log_prob_check.py",
        "Rounding makes about 1e-5 in float32 and 0.02 to 0.6 in bfloat16; ppo.max_logp_gap is its limit.",
    ),
    MetricRow(
        "logp_gap/token_max",
        "nats",
        "The largest difference of a token's recorded and recomputed log-prob.",
        "rl/log_prob_check.py",
    ),
)
