"""Makes a policy of a few parameters and transitions by hand, for tests of the update without a model."""

from __future__ import annotations

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl.rollout import stack_transitions

NUM_SLOTS = 3  # T; the last slot is a pad
NUM_SYMBOLS = 2  # V


@flax.struct.dataclass
class ToyScores:
    token_log_probs: jax.Array
    entropy: jax.Array
    value: ValueEstimate
    chunk_value: ValueEstimate | None = None


def init_params(logits: tuple[float, float] = (0.0, 0.0)) -> dict:
    """Returns parameters of a policy that draws every token from one categorical distribution over two symbols.

    The value is one number.
    """
    return {"actor_backbone": {"logits": jnp.array(logits)}, "value_head": {"bias": jnp.zeros(())}}


def evaluate(params, observation, action_tokens, token_mask, *, temperature, actions=None) -> ToyScores:
    log_probs = jax.nn.log_softmax(params["actor_backbone"]["logits"] / temperature)
    entropy = -jnp.sum(jnp.exp(log_probs) * log_probs)
    batch = observation.state.shape[0]
    return ToyScores(
        token_log_probs=log_probs[action_tokens],
        entropy=jnp.full(action_tokens.shape, entropy),
        value=ValueEstimate.scalar(jnp.full((batch,), params["value_head"]["bias"])),
    )


def init_adapted_params() -> dict:
    """Returns parameters of a policy of the same kind in two parts.

    One part makes an embedding of an observation, and the other part is added to it.
    """
    actor = {"tower": jnp.array([0.3, -0.2]), "adapter": jnp.array([-0.3, 0.2])}
    return {"actor_backbone": actor, "value_head": {"bias": jnp.zeros(())}}


def embed(params, observation) -> jax.Array:
    """Returns two numbers for each observation, [B, 2]."""
    return params["actor_backbone"]["tower"] * (1.0 + observation.state)


def evaluate_embedded(params, embedding, action_tokens, token_mask, *, temperature, actions=None) -> ToyScores:
    log_probs = jax.nn.log_softmax((embedding + params["actor_backbone"]["adapter"]) / temperature)
    entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1, keepdims=True)
    return ToyScores(
        token_log_probs=jnp.take_along_axis(log_probs, action_tokens, axis=-1),
        entropy=jnp.broadcast_to(entropy, action_tokens.shape),
        value=ValueEstimate.scalar(jnp.full((len(embedding),), params["value_head"]["bias"])),
    )


def evaluate_adapted(params, observation, action_tokens, token_mask, *, temperature, actions=None) -> ToyScores:
    embedding = embed(params, observation)
    return evaluate_embedded(params, embedding, action_tokens, token_mask, temperature=temperature)


def observation() -> types.ModelObservation:
    return types.ModelObservation(
        images=np.zeros((1, 2, 2, 3), np.uint8),
        image_mask=np.ones(1, bool),
        prompt_tokens=np.ones(2, np.int32),
        prompt_mask=np.ones(2, bool),
        state=np.zeros(1, np.float32),
    )


def transition(
    number: int,
    *,
    episode: int = 0,
    chunk: int | None = None,
    tokens: tuple[int, int] = (0, 0),
    log_prob: float = float(np.log(0.5)),
    reward: float = 0.0,
    value: float = 0.0,
    next_value: float = 0.0,
    terminated: bool = False,
    truncated: bool = False,
    intervened: bool = False,
    temperature: float = 1.0,
    valid: bool = True,
    human: bool = False,
    run_id: str = "run",
) -> types.Transition:
    """Returns a transition whose two sampled tokens had `log_prob` nats each. The third slot is a pad."""
    sampled = types.SampledChunk(
        observation=observation(),
        action_tokens=np.array([*tokens, 0], np.int32),
        token_mask=np.array([True, True, False]),
        token_log_probs=np.array([log_prob, log_prob, 0.0], np.float32),
        value=value,
        actions=np.zeros((2, 1), np.float32),
        policy_version=0,
        temperature=temperature,
        num_steps_asked=2,
        entropy=0.5,
        valid=valid,
        human_driven=human,
    )
    outcome = types.ChunkOutcome(
        reward=reward,
        reward_terms=(types.RewardTerm("task", reward),),
        execution=ExecutionResult(status=Status.TAKEOVER if intervened else Status.EXECUTED, num_steps=2),
        terminated=terminated,
        truncated=truncated,
    )
    identity = types.ChunkId(run_id, number, episode, number if chunk is None else chunk)
    return types.Transition(identity, sampled, outcome, next_value, None, discount=0.9)


def sample_rollout(params, *, seed=0, num_chunks=8, **changes):
    """Returns sampled chunks of two tokens. The reward is the number of ones among them. Each chunk is an episode."""
    log_probs = np.asarray(jax.nn.log_softmax(params["actor_backbone"]["logits"]), np.float64)
    probabilities = np.exp(log_probs) / np.exp(log_probs).sum()
    tokens = np.random.default_rng(seed).choice(2, size=(num_chunks, 2), p=probabilities)
    transitions = []
    for number, pair in enumerate(tokens):
        made = transition(number, tokens=tuple(pair), reward=float(pair.sum()), terminated=True, **changes)
        log_prob = np.append(log_probs[pair], 0.0).astype(np.float32)
        chunk = dataclasses.replace(made.chunk, token_log_probs=log_prob)
        transitions.append(dataclasses.replace(made, chunk=chunk))
    return stack_transitions(transitions)
