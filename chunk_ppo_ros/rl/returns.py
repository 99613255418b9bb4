"""The discount between two chunks. Pure Python, so that processes without JAX can use it.

Not here: the reward of a chunk, which is the plain sum over its executed steps and is made where rewards are assembled.
"""

from __future__ import annotations

from chunk_ppo_ros import config as config_lib


def chunk_discount(config: config_lib.PPOConfig, num_steps: int) -> float:
    r"""Factor on the value after a chunk of k executed control steps.

    The chunk is the unit of time by default, and the discount is `gamma` whatever k is. With `discount_per_step` it is
    :math:`\gamma_{step}^k`: the discount of an option that lasted k steps (Sutton, Precup and Singh 1999, eq. 3).

    Differs from the option's return: rewards within a chunk are summed without a discount in both forms.

    Args:
        config: reads `gamma`, `discount_per_step` and `gamma_step`.
        num_steps: executed control steps k, at least 0. A chunk that was refused (k = 0) has taken no time.

    Returns:
        The discount, within 0..1, before termination is applied.

    Raises:
        ValueError: if `num_steps` is negative.
    """
    if num_steps < 0:
        raise ValueError(f"num_steps must be at least 0, got {num_steps}; count the control steps that were executed")
    return float(config.gamma_step**num_steps if config.discount_per_step else config.gamma)
