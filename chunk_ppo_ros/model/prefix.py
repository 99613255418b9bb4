"""Embeds what comes before the first action token of a row: images, prompt and the forced "Action: ".

Shape letters: B batch, C cameras, P patches of a camera, L prompt slots, W decoder width; I is C * P.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.core_jax.arrays import Array, Params
from chunk_ppo_ros.model.backbone.layout import Layout, make_layout
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.model.embedded import AnyObservation, EmbeddedObservation


@dataclasses.dataclass(frozen=True)
class Prefix:
    """The slots before the first action token.

    Attributes:
        backbone: the network that embeds images and tokens.
        num_cameras: number of cameras, C.
        max_prompt_len: number of slots of the prompt, L.
        action_prefix: model ids of "Action: ".
    """

    backbone: Pi0FAST
    num_cameras: int
    max_prompt_len: int
    action_prefix: tuple[int, ...]

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig, action_prefix: tuple[int, ...]) -> Prefix:
        """Returns the prefix of a model."""
        return cls(Pi0FAST.from_config(config), len(config.cameras), config.max_prompt_len, action_prefix)

    @property
    def num_slots(self) -> int:
        """The number of slots: images, prompt and "Action: "."""
        return self.num_cameras * self.backbone.patches + self.max_prompt_len + len(self.action_prefix)

    def layout(self, observation: AnyObservation, *, sampled: int) -> Layout:
        """Returns the layout of rows with this prefix and `sampled` slots of action tokens after it."""
        return make_layout(
            jnp.asarray(observation.image_mask),
            jnp.asarray(observation.prompt_mask),
            patches=self.backbone.patches,
            causal_slots=len(self.action_prefix) + sampled,
        )

    def embed(self, actor: Params, observation: AnyObservation) -> Float[Array, "B prefix W"]:
        """Returns the embeddings of images, prompt and "Action: ".

        Args:
            actor: the parameters of the backbone, {"PaliGemma": ...}.
            observation: observations with one batch axis, B.
        """
        prompt = jnp.asarray(observation.prompt_tokens)
        forced = jnp.broadcast_to(jnp.array(self.action_prefix, jnp.int32), (prompt.shape[0], len(self.action_prefix)))
        text = self.backbone.embed_tokens(actor, jnp.concatenate([prompt, forced], axis=1))
        return jnp.concatenate([self._image_tokens(actor, observation), text], axis=1)

    def embed_images(self, actor: Params, observation: ModelObservation) -> EmbeddedObservation:
        """Returns the observation with image tokens in the place of images. No gradient flows into the image tower."""
        return EmbeddedObservation(
            image_tokens=jax.lax.stop_gradient(self._image_tokens(actor, observation)),
            image_mask=jnp.asarray(observation.image_mask),
            prompt_tokens=jnp.asarray(observation.prompt_tokens),
            prompt_mask=jnp.asarray(observation.prompt_mask),
            state=jnp.asarray(observation.state),
        )

    def _image_tokens(self, actor: Params, observation: AnyObservation) -> Float[Array, "B I W"]:
        """Returns the image tokens, in the dtype of the computation."""
        if isinstance(observation, EmbeddedObservation):
            return observation.image_tokens
        return self.backbone.embed_images(actor, jnp.asarray(observation.images))
