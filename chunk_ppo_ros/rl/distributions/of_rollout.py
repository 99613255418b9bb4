"""Makes histograms of the numbers that an update trains on, of those chunks that no human drove."""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Float

from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.core_jax.arrays import AnyArray
from chunk_ppo_ros.rl.rollout import RolloutBatch

RATIO = "distribution/ratio"
"""The logged name of the histogram of the chunks' ratios after an update, which `trust_region.py` makes."""


def rollout_distributions(rollout: RolloutBatch, returns: Float[AnyArray, "N"]) -> dict[str, Histogram]:
    """Returns the histograms by their logged names. One without any finite number is left out.

    Args:
        rollout: N chunks.
        returns: their returns, in units of reward. Their advantages before normalization are the returns less the
            values (`gae.py`).
    """
    values, rewards, log_probs, mask, human = jax.device_get(
        (rollout.values, rollout.rewards, rollout.token_log_probs, rollout.token_mask, rollout.human_mask)
    )
    counted = ~np.asarray(human, bool)
    columns = {
        "distribution/advantage": np.asarray(returns) - values,
        "distribution/value": values,
        "distribution/return": np.asarray(returns),
        "distribution/reward": rewards,
        "distribution/log_prob": np.where(mask, log_probs, 0.0).sum(axis=-1),
    }
    found = {name: Histogram.of(column[counted]) for name, column in columns.items()}
    return {name: histogram for name, histogram in found.items() if histogram is not None}
