"""Computes the log-probabilities of all action tokens in each slot of given chunks.

`Pi0FASTActorCritic.evaluate` returns those of the given tokens alone, by the same forward pass.
Shape letters: B batch, T most tokens of a row (the decoder's max_tokens), F FAST tokens.
"""

from __future__ import annotations

import flax.struct
import jax.numpy as jnp
from jaxtyping import Float, Int

from chunk_ppo_ros.core_jax.arrays import AnyArray, Params, Scalar
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.pi0_fast import embedding_table
from chunk_ppo_ros.model.decoders import FreeDecoder
from chunk_ppo_ros.model.decoding import legal_log_probs, walk
from chunk_ppo_ros.model.embedded import AnyObservation
from chunk_ppo_ros.model.prefix import Prefix


@flax.struct.dataclass
class ActionLogProbs:
    """The log-probabilities of action tokens, each slot given the tokens before it, in nats.

    Attributes:
        fast: those of the FAST tokens, in the order of their ids; about -2e38 where a token is not legal.
        bar: that of "|", which ends a chunk; 0 where decoding is constrained, because "|" is forced then.
    """

    fast: Float[AnyArray, "*batch T F"]
    bar: Float[AnyArray, "*batch T"]


def action_log_probs(
    policy: Pi0FASTActorCritic,
    params: Params,
    observation: AnyObservation,
    action_tokens: Int[AnyArray, "B slots"],
    *,
    temperature: Scalar,
) -> ActionLogProbs:
    """Returns the log-probabilities of all action tokens in each slot of given chunks.

    Args:
        policy: the policy that scores.
        params: all parameters of the policy.
        observation: observations with one batch axis, B.
        action_tokens: model ids of the chunks.
        temperature: temperature of the distribution, > 0.
    """
    decoder, ids, actor = policy.decoder, policy.token_ids, params[ACTOR]
    prefix = Prefix.from_config(policy.config, ids.action_prefix)
    layout = prefix.layout(observation, sampled=decoder.max_tokens - 1)  # No token follows the last one.
    tokens = jnp.asarray(action_tokens)[:, : decoder.max_tokens]
    answers = policy.backbone.embed_tokens(actor, tokens[:, :-1])
    embedded = jnp.concatenate([prefix.embed(actor, observation), answers], axis=1)
    hidden, _ = policy.backbone.run(actor, embedded, layout)
    logits = hidden[:, prefix.num_slots - 1 :].astype(jnp.float32) @ decoder.output_rows(embedding_table(actor)).T
    log_probs = legal_log_probs(logits, decoder.legal(walk(decoder, decoder.to_choices(tokens))), temperature)
    fast = log_probs[..., decoder.to_choices(ids.to_model(jnp.arange(ids.num_fast)))]
    bar = log_probs[..., ids.bar] if isinstance(decoder, FreeDecoder) else jnp.zeros(log_probs.shape[:-1])
    return ActionLogProbs(fast, bar)
