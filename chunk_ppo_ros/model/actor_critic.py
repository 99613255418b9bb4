"""Joins one backbone, a decoder and a value head to the policy that samples FAST tokens, scores them and values states.

All methods are pure functions of the parameters, which the caller compiles by `jax.jit`. The tokenizer makes actions of
tokens. Sampling and scoring share the layout, the decoder and the distribution, so their log-probabilities agree.
Shape letters: B batch, C cameras, L prompt slots, T action-token slots, K choices of the decoder, W decoder width.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Float32, Int, Int32, Shaped

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.core_jax.arrays import AnyArray, Array, Key, Params, Scalar
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR, VALUE
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.model import decoding
from chunk_ppo_ros.model.backbone.gemma_attention import KVCache
from chunk_ppo_ros.model.backbone.layout import Layout
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST, embedding_table
from chunk_ppo_ros.model.decoders import Decoder, make_decoder
from chunk_ppo_ros.model.embedded import AnyObservation, EmbeddedObservation
from chunk_ppo_ros.model.outputs import ChunkScores, Sample
from chunk_ppo_ros.model.prefix import Prefix
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from chunk_ppo_ros.model.value_head import ValueHead

Caches = tuple[KVCache, ...]


@dataclasses.dataclass(frozen=True)
class Pi0FASTActorCritic:
    """The policy and its critic, with the parameters {"actor_backbone": {"PaliGemma": ...}, "value_head": ...}.

    Attributes:
        config: sizes and variants.
        token_ids: token ids that the tokenizers decide.
        constraint: the automaton that decides which tokens are legal; None where decoding is free.
    """

    config: Pi0FASTActorCriticConfig
    token_ids: TokenIds
    constraint: FastConstraint | None

    def __post_init__(self) -> None:
        """Refuses token ids and a constraint that were made for another configuration."""
        _ = self.decoder

    @property
    def decoder(self) -> Decoder:
        """The decoder, which decides what may be sampled and scored."""
        return make_decoder(self.config, self.token_ids, self.constraint)

    @property
    def backbone(self) -> Pi0FAST:
        """The network without its heads."""
        return Pi0FAST.from_config(self.config)

    @property
    def value_head(self) -> ValueHead:
        """The value head, which computes V(s), and V(s, a) where the configuration has it."""
        return ValueHead.from_config(self.config, prefix_width=self.backbone.variant.gemma.width)

    @property
    def prefix_slots(self) -> int:
        """The number of slots before the first action token: images, prompt and the forced "Action: "."""
        return self._prefix.num_slots

    def init(self, *, key: Key) -> Params:
        """Returns fresh float32 parameters.

        They are drawn in one compiled program, because dozens of small programs would take seconds to compile.
        """
        return jax.jit(self._init)(key)

    def _init(self, key: Key) -> Params:
        backbone_key, value_key = jax.random.split(key)
        return {
            ACTOR: self.backbone.init(key=backbone_key),
            VALUE: self.value_head.init(key=value_key),
        }

    def sample_actions(
        self,
        params: Params,
        observation: AnyObservation,
        *,
        key: Key,
        temperature: Scalar,
        greedy: bool = False,
    ) -> Sample:
        """Samples one chunk for each row.

        The backbone runs once over images and prompt, and then for one token at a time until all rows are complete.

        Args:
            params: the tree of `init`.
            observation: observations with one batch axis, B.
            key: source of randomness.
            temperature: temperature of the sampled distribution, > 0.
            greedy: take the likeliest legal token instead; the log-probabilities are still those at `temperature`.
        """
        decoder = self.decoder
        actor, layout = params[ACTOR], self._layout(observation)
        prefix, cache = self.backbone.run(actor, self._prefix.embed(actor, observation), layout)
        blocks = self.backbone.arrange(actor)

        def next_logits(
            cache: Caches, choices: Int32[Array, "B"], step: Int32[Array, ""]
        ) -> tuple[Float32[Array, "B K"], Caches]:
            tokens = decoder.to_model(choices)
            hidden, cache = self.backbone.step(actor, blocks, tokens, layout, cache, slot=self.prefix_slots + step)
            return _logits(rows, hidden), cache

        rows = decoder.output_rows(embedding_table(actor))
        samples = decoding.sample(
            decoder,
            (_logits(rows, prefix[:, -1]), cache.padded(decoder.max_tokens - 1).by_block()),
            next_logits,
            key=key,
            temperature=temperature,
            greedy=greedy,
        )
        mask = self._with_forced_slots(samples.mask)
        return Sample(
            action_tokens=decoder.close(self._with_forced_slots(decoder.to_model(samples.choices)), mask),
            token_mask=mask,
            token_log_probs=self._with_forced_slots(samples.log_probs),
            token_entropies=self._with_forced_slots(samples.entropies),
            value=self._value(params, prefix, layout).mean,
        )

    def evaluate(
        self,
        params: Params,
        observation: AnyObservation,
        action_tokens: Int[AnyArray, "B T"],
        token_mask: Bool[AnyArray, "B T"],
        *,
        temperature: Scalar,
        actions: Float[AnyArray, "B H D"] | None = None,
    ) -> ChunkScores:
        """Scores given chunks in one forward pass. The scores are differentiable in the parameters.

        Args:
            params: the tree of `init`.
            observation: observations with one batch axis, B.
            action_tokens: model ids; where the mask is true, they must be ids that can be sampled.
            token_mask: true on the tokens to score, which are contiguous from slot 0.
            temperature: temperature of the distribution that was sampled, > 0.
            actions: normalized actions that the tokens stand for, which V(s, a) values; None leaves V(s, a) out.

        Returns:
            The scores. A token that the constraint forbids has a log-probability of about -2e38.
        """
        decoder = self.decoder
        actor, layout = params[ACTOR], self._layout(observation)
        prefix = self._prefix.embed(actor, observation)
        action_tokens, token_mask = jnp.asarray(action_tokens), jnp.asarray(token_mask)
        tokens = self.backbone.embed_tokens(actor, action_tokens[:, : decoder.max_tokens - 1])
        hidden, _ = self.backbone.run(actor, jnp.concatenate([prefix, tokens], axis=1), layout)
        log_probs, entropy = decoding.score(
            decoder,
            _logits(decoder.output_rows(embedding_table(actor)), hidden[:, self.prefix_slots - 1 :]),
            decoder.to_choices(action_tokens[:, : decoder.max_tokens]),
            token_mask[:, : decoder.max_tokens],
            temperature=temperature,
        )
        prefix_hidden = hidden[:, : self.prefix_slots]
        chunk_value = None
        if actions is not None and self.config.chunk_value != "none":
            chunk_value = self._chunk_value(params, prefix_hidden, layout, actions)
        return ChunkScores(
            token_log_probs=self._with_forced_slots(log_probs),
            entropy=self._with_forced_slots(entropy),
            value=self._value(params, prefix_hidden, layout),
            chunk_value=chunk_value,
        )

    def compute_action_chunk_log_prob(
        self,
        params: Params,
        observation: AnyObservation,
        action_tokens: Int[AnyArray, "B T"],
        token_mask: Bool[AnyArray, "B T"],
        *,
        temperature: Scalar,
    ) -> Float32[Array, "B"]:
        """Returns the log-probability of each chunk in nats, summed over its sampled tokens; see `evaluate`."""
        evaluation = self.evaluate(params, observation, action_tokens, token_mask, temperature=temperature)
        return jnp.sum(evaluation.token_log_probs, axis=-1)

    def compute_observation_value(self, params: Params, observation: AnyObservation) -> Float32[Array, "B"]:
        """Returns V(s), in units of reward, of an observation with one batch axis."""
        actor, layout = params[ACTOR], self._layout(observation)
        prefix, _ = self.backbone.run(actor, self._prefix.embed(actor, observation), layout)
        return self._value(params, prefix, layout).mean

    def compute_action_chunk_value(
        self, params: Params, observation: ModelObservation, actions: Float[AnyArray, "B H D"]
    ) -> Float32[Array, "B"]:
        """Returns V(s, a), in units of reward, of observations and the action chunks that are to be executed in them.

        Args:
            params: the tree of `init`.
            observation: observations with one batch axis, B.
            actions: normalized actions; H is at most `model.max_value_steps`. No gradient flows into them.

        Raises:
            ValueError: where `model.chunk_value` is none, or the actions have another shape or too many steps.
        """
        actor, layout = params[ACTOR], self._layout(observation)
        prefix, _ = self.backbone.run(actor, self._prefix.embed(actor, observation), layout)
        return self._chunk_value(params, prefix, layout, actions).mean

    def embed_observation(self, params: Params, observation: ModelObservation) -> EmbeddedObservation:
        """Returns the observation with image tokens in the place of images. Every method takes it like an observation.

        No gradient flows into the image tower, so this is for training that leaves the image tower as it is.
        """
        return self._prefix.embed_images(params[ACTOR], observation)

    @property
    def _prefix(self) -> Prefix:
        return Prefix.from_config(self.config, self.token_ids.action_prefix)

    def _layout(self, observation: AnyObservation) -> Layout:
        return self._prefix.layout(observation, sampled=self.decoder.max_tokens - 1)  # No token follows the last one.

    def _value(self, params: Params, prefix: Float[Array, "B prefix W"], layout: Layout) -> ValueEstimate:
        valid = layout.valid[:, : self.prefix_slots]
        return self.value_head.observation_value(params[VALUE], prefix, valid)

    def _chunk_value(
        self, params: Params, prefix: Float[Array, "B prefix W"], layout: Layout, actions: Float[AnyArray, "B H D"]
    ) -> ValueEstimate:
        valid = layout.valid[:, : self.prefix_slots]
        return self.value_head.chunk_value(params[VALUE], prefix, valid, jnp.asarray(actions))

    def _with_forced_slots(self, leaf: Shaped[Array, "B sampled"]) -> Shaped[Array, "B T"]:
        """Returns numbers of the sampled tokens, with zeros appended for the slots that only forced tokens reach."""
        return jnp.pad(leaf, ((0, 0), (0, self.config.max_action_tokens - leaf.shape[1])))


def _logits(rows: Float[Array, "K W"], hidden: Float[Array, "*batch W"]) -> Float32[Array, "*batch K"]:
    """Returns the logits of hidden states: their products with the embedding rows of the choices."""
    return hidden.astype(jnp.float32) @ rows.T
