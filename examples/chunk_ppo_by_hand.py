"""PPO on action chunks with numbers that one can follow with a pencil.

Run it: `python examples/chunk_ppo_by_hand.py`. Every number is worked out twice, by plain arithmetic in this file and
by the functions that training uses, and the two must agree. The policy is a table of token probabilities, the value a
few given numbers; there is no model, no simulator and no robot here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.rl import ratios
from chunk_ppo_ros.rl.gae import gae


def main() -> None:
    """Goes through the steps of an update."""
    log_prob_of_a_chunk()
    ratio = ratio_of_a_chunk()
    advantages = advantages_of_an_episode()
    loss_of_a_chunk(4, ratio, advantages[0])
    loss_of_a_chunk(5, ratio, advantages[2])
    print("\nAll pencil numbers agree with the package.")


def log_prob_of_a_chunk() -> None:
    """A chunk is a few sampled tokens; forced tokens and pads do not count."""
    heading("1. The log-probability of a chunk")
    say("The policy sampled three tokens, with probabilities 1/2, 1/4 and 1/2. The fourth slot is a pad.")
    say("One chunk is one action, so that the probabilities of its tokens are multiplied:")
    pencil = math.log(1 / 2) + math.log(1 / 4) + math.log(1 / 2)
    say(f"  log pi(chunk) = ln 1/2 + ln 1/4 + ln 1/2 = ln 1/16 = {pencil:.4f} nats")
    tokens = jnp.log(jnp.array([[1 / 2, 1 / 4, 1 / 2, 1.0]]))
    package = ratios.chunk_log_ratio(tokens, jnp.zeros((1, 4)), jnp.array([[True, True, True, False]]))
    agree("log pi(chunk)", pencil, package[0])


def ratio_of_a_chunk() -> float:
    """How much likelier the same tokens became; the stored tokens are scored again, never the actions."""
    heading("2. The ratio")
    say("After a gradient step the same three tokens have probabilities 3/5, 1/4 and 5/8:")
    pencil = (3 / 5 * 1 / 4 * 5 / 8) / (1 / 2 * 1 / 4 * 1 / 2)
    say("  ratio = (3/5 * 1/4 * 5/8) / (1/2 * 1/4 * 1/2) = (3/32) / (1/16) = 3/2")
    say(
        "Before the step it was exactly 1. If it is not, sampling and training disagree, and training refuses to start."
    )
    old = jnp.log(jnp.array([[1 / 2, 1 / 4, 1 / 2, 1.0]]))
    new = jnp.log(jnp.array([[3 / 5, 1 / 4, 5 / 8, 0.1]]))  # whatever the pad says
    log_ratio = ratios.chunk_log_ratio(new, old, jnp.array([[True, True, True, False]]))
    ratio = ratios.limited_exp(log_ratio, limit=20.0)[0]
    agree("ratio", pencil, ratio)
    return float(ratio)


def advantages_of_an_episode() -> np.ndarray:
    """GAE with one entry a chunk; discount and lambda are 1/2 to keep the fractions short."""
    heading("3. Rewards, advantages and returns of an episode of three chunks")
    say("A chunk's reward is the sum over its executed steps; V is the value of the observation before it.")
    say("The task is solved in the third chunk: it terminates, and nothing comes after it.")
    say("  chunk   reward r   value v   next value v'")
    rewards, values, next_values = [0.0, 1.0, 4.0], [1.0, 2.0, 6.0], [2.0, 6.0, 0.0]
    for chunk, row in enumerate(zip(rewards, values, next_values, strict=True)):
        say(f"  {chunk:5}   {row[0]:8.1f}   {row[1]:7.1f}   {row[2]:13.1f}")
    say("How much better than expected each chunk went, with discount 1/2: delta = r + 1/2 v' - v")
    say("  delta_0 = 0 + 1/2 * 2 - 1 = 0,  delta_1 = 1 + 1/2 * 6 - 2 = 2,  delta_2 = 4 + 0 - 6 = -2")
    say("The advantage looks further ahead, with lambda 1/2: A_t = delta_t + 1/2 * 1/2 * A_{t+1}, from the end")
    pencil_2 = -2.0
    pencil_1 = 2.0 + pencil_2 / 4
    pencil_0 = 0.0 + pencil_1 / 4
    say("  A_2 = -2,  A_1 = 2 - 2/4 = 3/2,  A_0 = 0 + (3/2)/4 = 3/8")
    say("The value learns towards the return A + v: 11/8, 7/2 and 4.")
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
    """The same episode, stopped by the clock instead of by success."""
    say("Had the time limit struck instead, the third chunk would count its next value, say 8:")
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
    """The clip takes away what would be gained by going on, never what would be lost."""
    heading(f"{step}. The clipped loss at ratio {ratio:.2f} and advantage {advantage:.3f}")
    say("  loss = -min(ratio * A, clip(ratio, 0.8, 1.2) * A)")
    pencil = -min(ratio * advantage, 1.2 * advantage)
    say(f"       = -min({ratio:.2f} * {advantage:.3f}, 1.20 * {advantage:.3f}) = {pencil:.3f}")
    if advantage > 0:
        say("The chunk was good and is already likelier than 1.2: its loss is flat, and it pushes no further.")
    else:
        say("The chunk was bad and became likelier: the clip does not bind, so that it can be pushed back.")
    loss = ratios.clipped_surrogate(jnp.array([ratio]), jnp.array([advantage]), clip_range=(0.8, 1.2))
    agree("loss", pencil, loss[0])


def heading(text: str) -> None:
    """Prints the title of a step."""
    print(f"\n{text}\n{'-' * len(text)}")


def say(text: str) -> None:
    """Prints one line of the derivation."""
    print(text)


def agree(name: str, pencil: float | Sequence[float], package: object) -> None:
    """Prints what the package says, and raises AssertionError where it is not the pencil's number."""
    np.testing.assert_allclose(np.asarray(package), pencil, rtol=1e-5, atol=1e-6, err_msg=name)
    numbers = ", ".join(f"{number:.4f}" for number in np.atleast_1d(np.asarray(package)))
    print(f"  [package] {name} = {numbers}")


if __name__ == "__main__":
    main()
