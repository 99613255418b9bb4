"""The histograms of an update."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.reporting.metric_table.row import MetricRow

_ROLLOUT = "rl/distributions/of_rollout.py"


@dataclasses.dataclass(frozen=True)
class DistributionRow(MetricRow):
    """The description of a histogram.

    Attributes:
        title: what stands above it on the page of a run.
    """

    title: str = ""


DISTRIBUTIONS = (
    DistributionRow(
        "distribution/ratio",
        "1",
        "The ratios of new to old probability of chunks after the update. Bins have equal widths of the logarithm.",
        _ROLLOUT,
        "Most are within the clip range, around 1.",
        "kl/after is logged",
        title="Ratio of a chunk after the update",
    ),
    DistributionRow(
        "distribution/advantage",
        "reward",
        "The advantages of the chunks before they are normalized.",
        _ROLLOUT,
        "They are on both sides of 0; a few that are far off decide the update.",
        title="Advantage of a chunk",
    ),
    DistributionRow(
        "distribution/value",
        "reward",
        "The values of the chunks that fed GAE.",
        _ROLLOUT,
        "They spread like the returns.",
        title="Values and returns of chunks",
    ),
    DistributionRow("distribution/return", "reward", "The returns, the targets of the values.", _ROLLOUT),
    DistributionRow(
        "distribution/reward",
        "reward",
        "The rewards of the chunks.",
        _ROLLOUT,
        "They move to the right.",
        title="Reward of a chunk",
    ),
    DistributionRow(
        "distribution/log_prob",
        "nats",
        "The log-probabilities of the chunks under the policy that sampled them.",
        _ROLLOUT,
        "They rise slowly; where they come near 0, the policy explores no more.",
        title="Log-probability of a sampled chunk",
    ),
)
