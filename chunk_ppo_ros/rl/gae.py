"""Estimates advantages over one sequence of chunks (generalized advantage estimation).

For a batch of sequences, the caller uses `jax.vmap`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from chunk_ppo_ros.core_jax.arrays import AnyArray, Array, Scalar


def gae(
    *,
    rewards: Float[AnyArray, "N"],
    discounts: Float[AnyArray, "N"],
    values: Float[AnyArray, "N"],
    next_values: Float[AnyArray, "N"],
    terminated: Bool[AnyArray, "N"],
    segment_end: Bool[AnyArray, "N"],
    gae_lambda: Scalar,
) -> tuple[Float[Array, "N"], Float[Array, "N"]]:
    r"""Returns the advantages and returns of N consecutive chunks.

    .. math::
        \delta_t &= r_t + \gamma_t (1 - d_t) v'_t - v_t \\
        A_t &= \delta_t + \gamma_t \lambda (1 - e_t) A_{t+1}, \qquad A_N = 0 \\
        G_t &= A_t + v_t

    with reward r, discount gamma, value v, next value v', terminated d and segment end e of chunk t.
    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation", eq. 16.

    Three things differ from it. Time counts chunks. The discount is an array. The value after a chunk is given, and not
    read from the next entry, so that a segment may end anywhere. After termination (d) nothing follows. Truncation and
    takeover only cut the sum over later chunks (e), and the future after them is worth v'.

    Args:
        rewards: the reward of each chunk, summed over its executed steps.
        discounts: the factor on `next_values` before termination, within 0..1.
        values: V of the observation before each chunk, in units of reward. `ppo.gae_value` may give V(s, a) of the
            chunk itself, which is no baseline for its own action. It subtracts from the advantage what it predicts of
            the action's effect, and a perfect V(s, a) leaves an advantage of 0 on average.
        next_values: V of the observation after each chunk, in units of reward; ignored where terminated.
        terminated: whether an end state was reached.
        segment_end: whether entry t + 1 does not continue entry t, because t was terminated, truncated or cut by a
            takeover, or because the next transition is not its successor. The last entry always counts as an end.
        gae_lambda: lambda within 0..1; 0 is the temporal difference of one chunk, and 1 the sum to the segment's end.

    Returns:
        The advantages and the returns, in units of reward. No gradient flows through them.

    Raises:
        ValueError: if the shapes are not all [N].
    """
    arrays = (rewards, discounts, values, next_values, terminated, segment_end)
    shapes = [jnp.shape(array) for array in arrays]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise ValueError(f"inputs of gae must be of one shape [N], got {shapes}; vmap over sequences")
    deltas = jnp.asarray(rewards + discounts * jnp.where(terminated, 0.0, next_values) - values)
    decays = jnp.where(segment_end, 0.0, discounts * gae_lambda)

    def step(advantage: Array, delta_decay: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, decay = delta_decay
        advantage = delta + decay * advantage
        return advantage, advantage

    _, advantages = jax.lax.scan(step, jnp.zeros((), deltas.dtype), (deltas, decays), reverse=True)
    return jax.lax.stop_gradient((advantages, advantages + values))
