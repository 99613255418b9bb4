"""The metrics of the rollout that an update trained on: its targets and rewards, its chunks, and its transitions."""

from __future__ import annotations

from chunk_ppo_ros.reporting.metric_table.row import WITH_PROMPTS, MetricRow

_LOSSES, _TARGETS = "rl/losses.py", "rl/targets.py"
_LENGTH, _RUN = "robot/chunk_length.py", "reporting/run_metrics.py"

ROLLOUTS = (
    MetricRow(
        "value/explained_variance",
        "1",
        "1 - Var(returns - values) / Var(returns), with the values that fed GAE; null where all returns are equal.",
        _TARGETS,
        "It rises from 0 towards 1; below 0 the values are worse than a constant.",
    ),
    MetricRow(
        "value/chunk_explained_variance",
        "1",
        "The same of V(s, a) before the update.",
        _TARGETS,
        when="model.chunk_value is not none",
    ),
    MetricRow(
        "value/clipped_returns",
        "share",
        "The returns beyond the range of the value's histogram.",
        _LOSSES,
        "It is 0; otherwise widen model.value_min and model.value_max.",
    ),
    MetricRow("value/mean", "reward", "The mean of the values that fed GAE.", _TARGETS, "It follows return/mean."),
    MetricRow("return/mean", "reward", "The mean of the returns, the targets of the values.", _TARGETS),
    MetricRow(
        "advantage/std", "reward", "The standard deviation of the advantages before they are normalized.", _TARGETS
    ),
    MetricRow("reward/chunk_mean", "reward", "The mean reward of a chunk.", _TARGETS, "It rises."),
    MetricRow("reward/chunk_std", "reward", "The standard deviation of the rewards of the chunks.", _TARGETS),
    MetricRow("reward/chunk_min", "reward", "The smallest reward of a chunk.", _TARGETS),
    MetricRow("reward/chunk_max", "reward", "The largest reward of a chunk.", _TARGETS),
    MetricRow(
        "reward/term/<term>",
        "reward per chunk",
        "What the term adds to the reward of a chunk on average: its weight times its value.",
        "rewards/terms.py",
    ),
    MetricRow("tokens/mean_per_chunk", "tokens", "The mean number of sampled tokens of a chunk.", _TARGETS),
    MetricRow(
        "decoding/invalid_fraction",
        "share",
        "The chunks whose tokens stood for no actions, in which the robot held its pose.",
        _TARGETS,
        "It is 0 under constrained decoding.",
    ),
    MetricRow(
        "rollout/num_chunks/<prompt>",
        "chunks",
        "The chunks of the rollout whose episode had the prompt.",
        _RUN,
        "Over many updates it follows the weights of episode.prompts and the lengths of the episodes.",
        WITH_PROMPTS,
    ),
    MetricRow(
        "reward/chunk_mean/<prompt>",
        "reward",
        "The mean reward of these chunks; without any, it is not logged.",
        _RUN,
        "It rises for each prompt.",
        WITH_PROMPTS,
    ),
    MetricRow("rollout/human_fraction", "share", "The chunks that humans drove.", _TARGETS),
    MetricRow(
        "safety/limited_chunks",
        "chunks",
        "The chunks of the rollout in which the safety layer changed a target.",
        _RUN,
        "It falls; a policy from demonstrations asks for few targets beyond the limits.",
    ),
    MetricRow(
        "safety/clamped_share",
        "share",
        "The executed control steps in which the safety layer changed a target.",
        _RUN,
        "It falls.",
    ),
    MetricRow(
        "safety/max_clamp",
        "rad (grippers: 1)",
        "The largest change that the safety layer made to a target.",
        _RUN,
    ),
    MetricRow(
        "safety/faults",
        "chunks",
        "The chunks that the safety layer stopped before their end. A chunk that it refused makes no transition.",
        _RUN,
        "It is 0.",
    ),
    MetricRow("safety/takeovers", "chunks", "The chunks that a human's takeover cut.", _RUN),
    MetricRow("chunk/num_steps_mean", "control steps", "The mean number of executed steps of a chunk.", _LENGTH),
    MetricRow("chunk/num_steps_min", "control steps", "The fewest executed steps of a chunk.", _LENGTH),
    MetricRow("chunk/num_steps_max", "control steps", "The most executed steps of a chunk.", _LENGTH),
    MetricRow(
        "chunk/entropy_mean",
        "nats per token",
        "The mean entropy of the policy while it acted.",
        _LENGTH,
        "Choose chunk_length.low_entropy and chunk_length.high_entropy by it.",
    ),
    MetricRow("chunk/entropy_min", "nats per token", "The smallest of these entropies.", _LENGTH),
    MetricRow("chunk/entropy_max", "nats per token", "The largest of these entropies.", _LENGTH),
    MetricRow("time/rollout", "s", "The time from the first chunk of the rollout to its last.", _RUN),
    MetricRow("time/update", "s", "The time of the update; in the script form, with its checkpoint.", _RUN),
    MetricRow(
        "transitions/refused",
        "transitions",
        "The transitions that trainer_node refused in this rollout.",
        "nodes/trainer/trainer_node.py",
        "It is 0.",
        when="the ROS graph trains",
    ),
    MetricRow(
        "transitions/set_aside",
        "transitions",
        "The transitions that cannot be trained on and were set aside in this rollout, with those that were refused.",
        "nodes/trainer/trainer_node.py",
        "It is 0; otherwise the log names the reasons, and docs/store.md says what to do.",
        when="the ROS graph trains",
    ),
)
