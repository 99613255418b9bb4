"""Encodes an action chunk for V(s, a): it embeds the steps, and averages them or attends to them and the observation.

`value_head.py` has the perceptron that computes a value from the encoded chunk.
Shape letters: B batch, P prefix slots, W decoder width, H steps, D action dimensions, E encoder width, N heads, h head
width.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Float32

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import Array, Key, Params
from chunk_ppo_ros.model.backbone.initialization import draw_weights

NUM_HEADS = 4
_HIDDEN_SLOT = -1e30  # The attention logit of a slot that is not valid. Gradients of an infinite one would be NaN.


@dataclasses.dataclass(frozen=True)
class ChunkEncoder:
    """Encodes a normalized chunk [B, H, D], together with an observation, as [B, E].

    Attributes:
        attends: whether a query attends to the prefix and the steps; otherwise the steps are averaged.
        prefix_width: W, the decoder's width.
        action_dim: D, the number of action dimensions.
        max_steps: the largest H, steps.
        width: E, the numbers of an encoded chunk.
    """

    attends: bool
    prefix_width: int
    action_dim: int
    max_steps: int
    width: int

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig, *, prefix_width: int) -> ChunkEncoder | None:
        """Returns the encoder that `model.chunk_value` names, or None where it is none."""
        if config.chunk_value == "none":
            return None
        return cls(
            attends=config.chunk_value == "attention",
            prefix_width=prefix_width,
            action_dim=config.action_dim,
            max_steps=config.max_value_steps,
            width=config.value_head_hidden_dim,
        )

    @property
    def _head_shape(self) -> tuple[int, int]:
        """The number of heads N and their width h. N * h is at least E."""
        return NUM_HEADS, -(-self.width // NUM_HEADS)

    def init(self, *, key: Key) -> Params:
        """Returns fresh float32 parameters."""
        heads, width, prefix = self._head_shape, self.width, self.prefix_width
        spec: dict[str, tuple[tuple[int, ...], int]] = {
            "step": ((self.action_dim, width), self.action_dim),
            "step_embedding": ((self.max_steps, width), 1),
        }
        attention: dict[str, tuple[tuple[int, ...], int]] = {
            "query": ((2 * prefix, *heads), 2 * prefix),
            "prefix_key_value": ((2, prefix, *heads), prefix),
            "step_key_value": ((2, width, *heads), width),
            "out": ((*heads, width), heads[0] * heads[1]),
        }
        weights = draw_weights(spec | attention if self.attends else spec, key=key)
        params: Params = {
            "step": {"kernel": weights["step"], "bias": jnp.zeros(width)},
            "step_embedding": weights["step_embedding"],
        }
        if self.attends:
            kernels = {name: {"kernel": weights[name]} for name in attention}
            params["attention"] = kernels | {"query": {**kernels["query"], "bias": jnp.zeros(heads)}}
        return params

    def encode(
        self,
        params: Params,
        features: Float32[Array, "B W2"],
        hidden: Float32[Array, "B P W"],
        valid: Bool[Array, "B P"],
        actions: Float[Array, "..."],
    ) -> Float32[Array, "B E"]:
        """Returns the chunk as E numbers.

        Args:
            params: the tree of `init`.
            features: the features of the observation from which V(s) is computed; W2 is 2 W.
            hidden: hidden states of the prefix.
            valid: true for the slots that the query may attend to.
            actions: [B, H, D], normalized.

        Raises:
            ValueError: where the actions have another shape, or more steps than there are embeddings.
        """
        self._check(actions)
        linear = actions @ params["step"]["kernel"] + params["step"]["bias"]
        # The steps go through a nonlinear function before the mean. With a linear one, the mean would depend only on
        # the mean action, and not on which step had which action.
        steps = jax.nn.gelu(linear + params["step_embedding"][: actions.shape[1]])
        if not self.attends:
            return jnp.mean(steps, axis=1)
        return _attend(params["attention"], features, hidden, valid, steps)

    def _check(self, actions: Float[Array, "..."]) -> None:
        if actions.ndim != 3 or actions.shape[-1] != self.action_dim:
            raise ValueError(
                f"actions must be [B, H, {self.action_dim}] (model.action_dim), got {actions.shape}; give normalized "
                "chunks with a batch axis"
            )
        if actions.shape[1] > self.max_steps:
            raise ValueError(
                f"steps of a valued chunk must be at most {self.max_steps} (model.max_value_steps), got "
                f"{actions.shape[1]}; raise model.max_value_steps before training"
            )


def _attend(
    params: Params,
    features: Float32[Array, "B W2"],
    hidden: Float32[Array, "B P W"],
    valid: Bool[Array, "B P"],
    steps: Float32[Array, "B H E"],
) -> Float32[Array, "B E"]:
    """Returns the output of an attention to the prefix and the steps, whose one query is made of the features.

    It is multi-head attention (Vaswani et al. 2017, "Attention is all you need", section 3.2.2) with one difference:
    ln(valid slots / H) is added to the logits of the steps. At equal logits, prefix and chunk then have half of the
    attention each, however many image slots there are.
    """
    query = jnp.einsum("bf,fnh->bnh", features, params["query"]["kernel"]) + params["query"]["bias"]
    prefix_keys, prefix_values = jnp.einsum("bpw,cwnh->cbpnh", hidden, params["prefix_key_value"]["kernel"])
    step_keys, step_values = jnp.einsum("bse,cenh->cbsnh", steps, params["step_key_value"]["kernel"])
    balance = jnp.log(jnp.sum(valid, axis=1) / steps.shape[1])[:, None]
    bias = jnp.concatenate(
        [jnp.where(valid, 0.0, _HIDDEN_SLOT), jnp.broadcast_to(balance, (len(steps), steps.shape[1]))], axis=1
    )
    keys = jnp.concatenate([prefix_keys, step_keys], axis=1)
    values = jnp.concatenate([prefix_values, step_values], axis=1)
    logits = jnp.einsum("bnh,bknh->bnk", query, keys) * query.shape[-1] ** -0.5 + bias[:, None]
    found = jnp.einsum("bnk,bknh->bnh", jax.nn.softmax(logits), values)
    return jnp.einsum("bnh,nhe->be", found, params["out"]["kernel"])
