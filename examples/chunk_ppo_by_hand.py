"""Computes an update of PPO on action chunks with numbers that you can check by hand.

Run `python examples/chunk_ppo_by_hand.py`. Every number is computed twice, by plain arithmetic in this file and by the
functions that training uses. The two must agree. The policy is a table of token probabilities, and the values are given
numbers. The example needs no model, no simulator and no robot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.rl import ratios
from chunk_ppo_ros.rl.gae import gae


def main() -> None:
    """Computes and prints the steps of an update."""
    log_prob_of_a_chunk()
    ratio = ratio_of_a_chunk()
    advantages = advantages_of_an_episode()
    loss_of_a_chunk(4, ratio, advantages[0])
    loss_of_a_chunk(5, ratio, advantages[2])
    print("\nAll numbers by hand agree with the package.")


def log_prob_of_a_chunk() -> None:
    """Computes the log-probability of a chunk from its sampled tokens. Forced tokens and pads do not count."""
    heading("1. The log-probability of a chunk")
    say("The policy sampled three tokens, with probabilities 1/2, 1/4 and 1/2. The fourth slot is a pad.")
    say("One chunk is one action, so the probabilities of its tokens are multiplied:")
    pencil = math.log(1 / 2) + math.log(1 / 4) + math.log(1 / 2)
    say(f"  log pi(chunk) = ln 1/2 + ln 1/4 + ln 1/2 = ln 1/16 = {pencil:.4f} nats")
    tokens = jnp.log(jnp.array([[1 / 2, 1 / 4, 1 / 2, 1.0]]))
    package = ratios.chunk_log_ratio(tokens, jnp.zeros((1, 4)), jnp.array([[True, True, True, False]]))
    agree("log pi(chunk)", pencil, package[0])


def ratio_of_a_chunk() -> float:
    """Computes how much likelier the same tokens became. The stored tokens are scored again, not the actions."""
    heading("2. The ratio")
    say("After a gradient step the same three tokens have probabilities 3/5, 1/4 and 5/8:")
    pencil = (3 / 5 * 1 / 4 * 5 / 8) / (1 / 2 * 1 / 4 * 1 / 2)
    say("  ratio = (3/5 * 1/4 * 5/8) / (1/2 * 1/4 * 1/2) = (3/32) / (1/16) = 3/2")
    say("Before the step the ratio must be 1. Otherwise sampling and training disagree, and training refuses to start.")
    old = jnp.log(jnp.array([[1 / 2, 1 / 4, 1 / 2, 1.0]]))
    new = jnp.log(jnp.array([[3 / 5, 1 / 4, 5 / 8, 0.1]]))  # The last number is of a pad.
    log_ratio = ratios.chunk_log_ratio(new, old, jnp.array([[True, True, True, False]]))
    ratio = ratios.limited_exp(log_ratio, limit=20.0)[0]
    agree("ratio", pencil, ratio)
    return float(ratio)


def advantages_of_an_episode() -> np.ndarray:
    """Computes GAE with one entry per chunk. Discount and lambda are 1/2, so that the fractions are short."""
    heading("3. Rewards, advantages and returns of an episode of three chunks")
    say("A chunk's reward is the sum over its executed steps. V is the value of the observation before the chunk.")
    say("The task is solved in the third chunk. The episode terminates, and no reward comes after it.")
    say("  chunk   reward r   value v   next value v'")
    rewards, values, next_values = [0.0, 1.0, 4.0], [1.0, 2.0, 6.0], [2.0, 6.0, 0.0]
    for chunk, row in enumerate(zip(rewards, values, next_values, strict=True)):
        say(f"  {chunk:5}   {row[0]:8.1f}   {row[1]:7.1f}   {row[2]:13.1f}")
    say("With discount 1/2, each chunk was better than expected by delta = r + 1/2 v' - v")
    say("  delta_0 = 0 + 1/2 * 2 - 1 = 0,  delta_1 = 1 + 1/2 * 6 - 2 = 2,  delta_2 = 4 + 0 - 6 = -2")
    say("With lambda 1/2, the advantage adds the later deltas, from the end: A_t = delta_t + 1/2 * 1/2 * A_{t+1}")
    pencil_2 = -2.0
    pencil_1 = 2.0 + pencil_2 / 4
    pencil_0 = 0.0 + pencil_1 / 4
    say("  A_2 = -2,  A_1 = 2 - 2/4 = 3/2,  A_0 = 0 + (3/2)/4 = 3/8")
    say("The value is trained towards the returns A + v, which are 11/8, 7/2 and 4.")
    ends = jnp.array([False, False, True])
    advantages, returns = gae(
        rewards=jnp.array(rewards),
        discounts=jnp.full(3, 1 / 2),
        values=jnp.array(values),
        next_values=jnp.array(next_values),
        terminated=ends,
        segment_end=ends,
        gae_lambda=1 / 2,
    )
    agree("advantages", [pencil_0, pencil_1, pencil_2], advantages)
    agree("returns", [11 / 8, 7 / 2, 4.0], returns)
    truncation(rewards, values)
    return np.asarray(advantages)


def truncation(rewards: Sequence[float], values: Sequence[float]) -> None:
    """Computes the advantages of the same episode where the time limit ends it instead of success."""
    say("If the time limit ends the episode instead, the third chunk counts its next value, for example 8:")
    say("  delta_2 = A_2 = 4 + 1/2 * 8 - 6 = 2,  A_1 = 2 + 2/4 = 5/2,  A_0 = 0 + (5/2)/4 = 5/8")
    advantages, _ = gae(
        rewards=jnp.array(rewards),
        discounts=jnp.full(3, 1 / 2),
        values=jnp.array(values),
        next_values=jnp.array([2.0, 6.0, 8.0]),
        terminated=jnp.zeros(3, bool),
        segment_end=jnp.array([False, False, True]),
        gae_lambda=1 / 2,
    )
    agree("advantages", [5 / 8, 5 / 2, 2.0], advantages)


def loss_of_a_chunk(step: int, ratio: float, advantage: float) -> None:
    """Computes the clipped loss of a chunk. The clip removes a gain from a larger ratio, but never a loss."""
    heading(f"{step}. The clipped loss at ratio {ratio:.2f} and advantage {advantage:.3f}")
    say("  loss = -min(ratio * A, clip(ratio, 0.8, 1.2) * A)")
    pencil = -min(ratio * advantage, 1.2 * advantage)
    say(f"       = -min({ratio:.2f} * {advantage:.3f}, 1.20 * {advantage:.3f}) = {pencil:.3f}")
    if advantage > 0:
        say("The chunk was good and its ratio is already above 1.2. Its loss is constant, so its gradient is 0.")
    else:
        say(
            "The chunk was bad and became likelier. The clip has no effect, so the gradient makes it less likely again."
        )
    loss = ratios.clipped_surrogate(jnp.array([ratio]), jnp.array([advantage]), clip_range=(0.8, 1.2))
    agree("loss", pencil, loss[0])


def heading(text: str) -> None:
    """Prints the title of a step."""
    print(f"\n{text}\n{'-' * len(text)}")


def say(text: str) -> None:
    """Prints one line of the derivation."""
    print(text)


def agree(name: str, pencil: float | Sequence[float], package: object) -> None:
    """Prints the numbers of the package, and raises AssertionError where they differ from those by hand."""
    np.testing.assert_allclose(np.asarray(package), pencil, rtol=1e-5, atol=1e-6, err_msg=name)
    numbers = ", ".join(f"{number:.4f}" for number in np.atleast_1d(np.asarray(package)))
    print(f"  [package] {name} = {numbers}")


if __name__ == "__main__":
    main()
