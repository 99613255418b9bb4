"""Pi0FASTActorCritic: one backbone that acts (samples FAST tokens), scores them, and values observations.

All methods are pure functions of the parameters, for the caller to `jit`; tokens become actions in the tokenizer, not
here. Acting and scoring share the layout, the constraint and the distribution, so their log-probabilities agree.
Shape letters: B batch, C cameras, L prompt slots, T action-token slots, F FAST tokens, W decoder width.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model import decoding
from chunk_ppo_ros.model.constraint import FastConstraint
from chunk_ppo_ros.model.gemma import KVCache
from chunk_ppo_ros.model.layout import Layout, make_layout
from chunk_ppo_ros.model.pi0_fast import Pi0FAST, embedding_table
from chunk_ppo_ros.model.tokenizer import FORCED_TAIL, TokenIds
from chunk_ppo_ros.model.value_head import apply_value_head, init_value_head
from chunk_ppo_ros.types import ModelObservation

Params = dict[str, Any]


@flax.struct.dataclass
class Sample:
    """Sampled chunks with what training needs of them.

    Attributes:
        action_tokens: int32 [B, T], model ids: FAST tokens, "|", end, then 0.
        token_mask: bool [B, T], true on FAST tokens, the sampled ones.
        token_log_probs: float32 [B, T], nats, under the sampled distribution; 0 where the mask is false.
        value: float32 [B], V(s), in units of reward.
    """

    action_tokens: Array
    token_mask: Array
    token_log_probs: Array
    value: Array


@flax.struct.dataclass
class Evaluation:
    """Scores of given chunks.

    Attributes:
        token_log_probs: float32 [B, T], nats; 0 where the mask is false.
        entropy: float32 [B, T], nats, over legal tokens; 0 where the mask is false.
        value: float32 [B], V(s), in units of reward.
    """

    token_log_probs: Array
    entropy: Array
    value: Array


@dataclasses.dataclass(frozen=True)
class Pi0FASTActorCritic:
    """The policy and its critic over {"actor_backbone": {"PaliGemma": ...}, "value_head": ...}.

    Attributes:
        config: sizes and variants.
        token_ids: ids that the tokenizers fix.
        constraint: what makes a token legal.
    """

    config: Pi0FASTActorCriticConfig
    token_ids: TokenIds
    constraint: FastConstraint

    def __post_init__(self) -> None:
        config = self.config
        _require("token_ids.vocab_size", self.token_ids.vocab_size, config.vocab_size, "model.vocab_size")
        num_fast = self.constraint.legal.shape[1]
        _require("the constraint's FAST tokens", num_fast, self.token_ids.num_fast, "token_ids.num_fast")
        _require(
            "constraint.max_tokens",
            self.constraint.max_tokens,
            config.max_action_tokens - FORCED_TAIL,
            f"model.max_action_tokens less {FORCED_TAIL} forced ones",
        )
        total = config.action_horizon * config.action_dim
        _require("constraint.total", self.constraint.total, total, "model.action_horizon * model.action_dim")

    @property
    def backbone(self) -> Pi0FAST:
        """The network without its heads."""
        return Pi0FAST.from_config(self.config)

    @property
    def prefix_slots(self) -> int:
        """Slots before the first action token: images, prompt and the forced "Action: "."""
        images = len(self.config.cameras) * self.backbone.patches
        return images + self.config.max_prompt_len + len(self.token_ids.action_prefix)

    def init(self, *, key: Array) -> Params:
        """Fresh float32 parameters; compiled as one, because dozens of small programs take seconds to compile."""
        return jax.jit(self._init)(key)

    def _init(self, key: Array) -> Params:
        backbone_key, value_key = jax.random.split(key)
        width = self.backbone.variant.gemma.width
        return {
            "actor_backbone": self.backbone.init(key=backbone_key),
            "value_head": init_value_head(width=width, hidden_dim=self.config.value_head_hidden_dim, key=value_key),
        }

    def sample_actions(
        self,
        params: Params,
        observation: ModelObservation,
        *,
        key: Array,
        temperature: Array | float,
        greedy: bool = False,
    ) -> Sample:
        """Samples one chunk for each row: one prefill, then one token at a time until all rows are complete.

        Args:
            params: the tree of `init`.
            observation: with one batch axis, B.
            key: source of randomness.
            temperature: of the sampled distribution, > 0.
            greedy: take the likeliest legal token instead; log-probs are still those at `temperature`.
        """
        actor, layout = params["actor_backbone"], self._layout(observation)
        prefix, cache = self.backbone.run(actor, self._embed_prefix(actor, observation), layout)

        def next_logits(cache: KVCache, fast_ids: Array, step: Array) -> tuple[Array, KVCache]:
            tokens = self.token_ids.to_model(fast_ids)
            hidden, cache = self.backbone.step(actor, tokens, layout, cache, slot=self.prefix_slots + step)
            return self._logits(actor, hidden), cache

        samples = decoding.sample(
            self.constraint,
            (self._logits(actor, prefix[:, -1]), cache.padded(self.constraint.max_tokens - 1)),
            next_logits,
            key=key,
            temperature=temperature,
            greedy=greedy,
        )
        return Sample(
            action_tokens=self._close(samples),
            token_mask=_with_forced_slots(samples.mask),
            token_log_probs=_with_forced_slots(samples.log_probs),
            value=self._value(params, prefix, layout),
        )

    def evaluate(
        self,
        params: Params,
        observation: ModelObservation,
        action_tokens: Array,
        token_mask: Array,
        *,
        temperature: Array | float,
    ) -> Evaluation:
        """Scores given chunks in one forward pass; differentiable in the parameters.

        Args:
            params: the tree of `init`.
            observation: with one batch axis, B.
            action_tokens: int32 [B, T], model ids; FAST tokens where the mask is true.
            token_mask: bool [B, T], contiguous from slot 0.
            temperature: that of the distribution that was sampled, > 0.

        Returns:
            The scores. A token that the constraint forbids has a log-probability of about -2e38.
        """
        actor, layout = params["actor_backbone"], self._layout(observation)
        scored = self.constraint.max_tokens
        prefix = self._embed_prefix(actor, observation)
        tokens = self.backbone.embed_tokens(actor, action_tokens[:, : scored - 1])
        hidden, _ = self.backbone.run(actor, jnp.concatenate([prefix, tokens], axis=1), layout)
        fast_ids = jnp.clip(self.token_ids.to_fast(action_tokens[:, :scored]), 0, self.token_ids.num_fast - 1)
        log_probs, entropy = decoding.score(
            self.constraint,
            self._logits(actor, hidden[:, self.prefix_slots - 1 :]),
            fast_ids,
            token_mask[:, :scored],
            temperature=temperature,
        )
        return Evaluation(
            token_log_probs=_with_forced_slots(log_probs),
            entropy=_with_forced_slots(entropy),
            value=self._value(params, hidden[:, : self.prefix_slots], layout),
        )

    def compute_action_chunk_log_prob(
        self,
        params: Params,
        observation: ModelObservation,
        action_tokens: Array,
        token_mask: Array,
        *,
        temperature: Array | float,
    ) -> Array:
        """float32 [B], nats: the log-probability of each chunk, summed over its FAST tokens; see `evaluate`."""
        evaluation = self.evaluate(params, observation, action_tokens, token_mask, temperature=temperature)
        return jnp.sum(evaluation.token_log_probs, axis=-1)

    def compute_observation_value(self, params: Params, observation: ModelObservation) -> Array:
        """V(s), float32 [B], in units of reward, of an observation with one batch axis."""
        actor, layout = params["actor_backbone"], self._layout(observation)
        prefix, _ = self.backbone.run(actor, self._embed_prefix(actor, observation), layout)
        return self._value(params, prefix, layout)

    def _layout(self, observation: ModelObservation) -> Layout:
        forced = len(self.token_ids.action_prefix)
        return make_layout(
            jnp.asarray(observation.image_mask),
            jnp.asarray(observation.prompt_mask),
            patches=self.backbone.patches,
            causal_slots=forced + self.constraint.max_tokens - 1,  # the last FAST token predicts nothing
        )

    def _embed_prefix(self, actor: Params, observation: ModelObservation) -> Array:
        """Embeddings [B, prefix_slots, W] of images, prompt and "Action: "."""
        prompt = jnp.asarray(observation.prompt_tokens)
        forced = jnp.broadcast_to(
            jnp.array(self.token_ids.action_prefix, jnp.int32), (prompt.shape[0], len(self.token_ids.action_prefix))
        )
        text = self.backbone.embed_tokens(actor, jnp.concatenate([prompt, forced], axis=1))
        images = self.backbone.embed_images(actor, jnp.asarray(observation.images))
        return jnp.concatenate([images, text], axis=1)

    def _logits(self, actor: Params, hidden: Array) -> Array:
        """float32 [..., F] of hidden states [..., W]."""
        return hidden.astype(jnp.float32) @ decoding.fast_rows(self.token_ids, embedding_table(actor)).T

    def _value(self, params: Params, prefix: Array, layout: Layout) -> Array:
        valid = layout.valid[:, : self.prefix_slots]
        return apply_value_head(params["value_head"], prefix, valid, detach=self.config.detach_value)

    def _close(self, samples: decoding.TokenSamples) -> Array:
        """Model ids [B, T] of sampled FAST tokens, followed by "|", the end token and pads of 0."""
        mask, fast_ids = _with_forced_slots(samples.mask), _with_forced_slots(samples.fast_ids)
        length = jnp.sum(mask, axis=1, keepdims=True)
        slot = jnp.arange(mask.shape[1])
        after = jnp.where(slot == length, self.token_ids.bar, jnp.where(slot == length + 1, self.token_ids.end, 0))
        return jnp.where(mask, self.token_ids.to_model(fast_ids), after).astype(jnp.int32)


def _with_forced_slots(leaf: Array) -> Array:
    """[B, FAST tokens] -> [B, T], zero at the slots that only forced tokens reach."""
    return jnp.pad(leaf, ((0, 0), (0, FORCED_TAIL)))


def _require(what: str, value: int, expected: int, source: str) -> None:
    if value != expected:
        raise ValueError(f"{what} must be {expected} ({source}), got {value}; build both from one configuration")
