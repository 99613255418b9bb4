"""Computes V(s) and V(s, a) by two-layer perceptrons on the decoder's hidden states of images and prompt.

Shape letters: B batch, P prefix slots, W decoder width, H steps, D action dimensions.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Float32

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import Array, Key, Params
from chunk_ppo_ros.core_jax.value_distribution import ValueDistribution, ValueEstimate
from chunk_ppo_ros.model.backbone.initialization import draw_weights
from chunk_ppo_ros.model.chunk_value import ChunkEncoder


@dataclasses.dataclass(frozen=True)
class ValueHead:
    """Pure functions of a head's parameters {"hidden", "output"}, and "chunk" where chunks are valued too.

    Attributes:
        prefix_width: W, the decoder's width.
        hidden_dim: width of the perceptrons' hidden layers, and of the chunk's encoding.
        distribution: how the outputs are read as a value, as one number or as a histogram.
        detach: whether the gradient of both values is kept out of the backbone.
        encoder: encodes a chunk for V(s, a); None where there is only V(s).
    """

    prefix_width: int
    hidden_dim: int
    distribution: ValueDistribution
    detach: bool
    encoder: ChunkEncoder | None

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig, *, prefix_width: int) -> ValueHead:
        """Returns the value head of a policy's configuration."""
        return cls(
            prefix_width=prefix_width,
            hidden_dim=config.value_head_hidden_dim,
            distribution=ValueDistribution.from_config(config),
            detach=config.detach_value,
            encoder=ChunkEncoder.from_config(config, prefix_width=prefix_width),
        )

    def init(self, *, key: Key) -> Params:
        """Returns fresh float32 parameters.

        The output layers are zero, so every value starts at 0, or with a histogram in the middle of its range.
        """
        params = self._init_perceptron(2 * self.prefix_width, key=key)
        if self.encoder is not None:
            encoder_key, perceptron_key = jax.random.split(jax.random.fold_in(key, 1))
            perceptron = self._init_perceptron(2 * self.prefix_width + self.encoder.width, key=perceptron_key)
            params["chunk"] = self.encoder.init(key=encoder_key) | perceptron
        return params

    def observation_value(
        self, params: Params, hidden: Float[Array, "B P W"], valid: Bool[Array, "B P"]
    ) -> ValueEstimate:
        """Returns V(s) of each observation, [B], which is f([last hidden, mean of valid hidden]).

        Args:
            params: the tree of `init`.
            hidden: hidden states of the prefix after the final norm; the last slot predicts the first action token.
            valid: true for the slots that count in the mean.
        """
        return self._estimate(params, _features(self._seen(hidden), valid))

    def chunk_value(
        self, params: Params, hidden: Float[Array, "B P W"], valid: Bool[Array, "B P"], actions: Float[Array, "..."]
    ) -> ValueEstimate:
        """Returns V(s, a) of each observation and chunk, [B], which is f([features of V(s), the encoded chunk]).

        Args:
            params: the tree of `init`.
            hidden: hidden states of the prefix, as for `observation_value`.
            valid: true for the slots that count in the mean and in the attention.
            actions: [B, H, D], normalized. No gradient flows into them.

        Raises:
            ValueError: where there is no encoder, or the actions do not fit it.
        """
        if self.encoder is None:
            raise ValueError(
                "model.chunk_value must be pooled or attention to value a chunk, got none; train a head with it first"
            )
        seen, chunk_params = self._seen(hidden), params["chunk"]
        features = _features(seen, valid)
        chunk = self.encoder.encode(chunk_params, features, seen, valid, jax.lax.stop_gradient(actions))
        return self._estimate(chunk_params, jnp.concatenate([features, chunk], axis=-1))

    def _init_perceptron(self, inputs: int, *, key: Key) -> Params:
        weights = draw_weights({"hidden": ((inputs, self.hidden_dim), inputs)}, key=key)
        bins = self.distribution.bins
        return {
            "hidden": {"kernel": weights["hidden"], "bias": jnp.zeros(self.hidden_dim)},
            "output": {"kernel": jnp.zeros((self.hidden_dim, bins)), "bias": jnp.zeros(bins)},
        }

    def _seen(self, hidden: Float[Array, "B P W"]) -> Float32[Array, "B P W"]:
        wide = hidden.astype(jnp.float32)
        return jax.lax.stop_gradient(wide) if self.detach else wide

    def _estimate(self, params: Params, features: Float32[Array, "B features"]) -> ValueEstimate:
        inner = jax.nn.gelu(features @ params["hidden"]["kernel"] + params["hidden"]["bias"])
        return ValueEstimate(inner @ params["output"]["kernel"] + params["output"]["bias"], self.distribution)


def _features(hidden: Float32[Array, "B P W"], valid: Bool[Array, "B P"]) -> Float32[Array, "B 2*W"]:
    """Returns the hidden state of the last slot, followed by the mean of the valid hidden states."""
    weights = valid[..., None] / jnp.sum(valid, axis=1, keepdims=True)[..., None]
    return jnp.concatenate([hidden[:, -1], jnp.sum(hidden * weights, axis=1)], axis=-1)
