"""Joins both towers to Pi0-FAST's backbone, one PaliGemma over openpi's parameter tree.

The meaning of action tokens is not known here.

Source: Pertsch et al., "FAST: Efficient Action Tokenization for Vision-Language-Action Models", 2025.
Shape letters: B batch, C cameras, P patches of a camera, S slots, W decoder width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Real

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import AnyArray, Array, Key, Params, Scalar
from chunk_ppo_ros.model.backbone import gemma, siglip
from chunk_ppo_ros.model.backbone.gemma_attention import KVCache
from chunk_ppo_ros.model.backbone.gemma_kernels import BlockKernels, arrange_blocks
from chunk_ppo_ros.model.backbone.layout import Layout
from chunk_ppo_ros.model.backbone.variants import Towers, resolve_variant


@dataclasses.dataclass(frozen=True)
class Pi0FAST:
    """Pure functions of a backbone's parameters {"PaliGemma": {"img": ..., "llm": ...}}, which are all float32.

    Attributes:
        variant: sizes of both towers.
        image_size: height and width of the images, pixels.
        patch_size: height and width of a patch, pixels.
        vocab_size: V, the number of tokens in the vocabulary.
        dtype: dtype of the computation, to which parameters are cast where they are used.
    """

    variant: Towers
    image_size: int
    patch_size: int
    vocab_size: int
    dtype: jnp.dtype

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig) -> Pi0FAST:
        """Returns the backbone of a policy's configuration."""
        return cls(
            variant=resolve_variant(config),
            image_size=config.image_size,
            patch_size=config.patch_size,
            vocab_size=config.vocab_size,
            dtype=jnp.dtype(config.dtype),
        )

    @property
    def patches(self) -> int:
        """The number P of image tokens of one camera."""
        return (self.image_size // self.patch_size) ** 2

    def init(self, *, key: Key) -> Params:
        """Returns fresh parameters."""
        image_key, text_key = jax.random.split(key)
        image_tower = siglip.init_siglip(
            self.variant.siglip,
            image_size=self.image_size,
            patch_size=self.patch_size,
            output_dim=self.variant.gemma.width,
            key=image_key,
        )
        decoder = gemma.init_gemma(self.variant.gemma, vocab_size=self.vocab_size, key=text_key)
        return {"PaliGemma": {"img": image_tower, "llm": decoder}}

    def embed_images(
        self, params: Params, images: Real[Array, "B C height width 3"]
    ) -> Float[Array, "B image_tokens W"]:
        """Returns the C * P image tokens of RGB images, 0 .. 255. One tower embeds the images of all cameras."""
        batch, cameras = images.shape[:2]
        flat = images.reshape(batch * cameras, *images.shape[2:])
        tokens = siglip.apply_siglip(self.variant.siglip, params["PaliGemma"]["img"], flat, dtype=self.dtype)
        return tokens.reshape(batch, cameras * self.patches, -1)

    def embed_tokens(self, params: Params, tokens: Int[AnyArray, "*batch"]) -> Float[Array, "*batch W"]:
        """Returns the embeddings of tokens."""
        return gemma.embed_tokens(params["PaliGemma"]["llm"], tokens, dtype=self.dtype)

    def run(
        self, params: Params, embeddings: Float[Array, "B S W"], layout: Layout
    ) -> tuple[Float[Array, "B S W"], KVCache]:
        """Returns the hidden states of a whole sequence of embeddings, and the cache of its keys and values.

        The layout may have more slots than S. The first S slots are used then.
        """
        slots = embeddings.shape[1]
        return gemma.run_gemma(
            self.variant.gemma,
            params["PaliGemma"]["llm"],
            embeddings,
            positions=layout.positions[:, :slots],
            mask=layout.mask[:, :slots, :slots],
            shared=min(layout.context, slots),
        )

    def arrange(self, params: Params) -> tuple[BlockKernels, ...]:
        """Returns the decoder's blocks in the form that `step` reads. The caller makes them once for many tokens."""
        return arrange_blocks(self.variant.gemma, params["PaliGemma"]["llm"]["layers"], dtype=self.dtype)

    def step(
        self,
        params: Params,
        blocks: Sequence[BlockKernels],
        tokens: Int[Array, "B"],
        layout: Layout,
        cache: Sequence[KVCache],
        *,
        slot: Scalar,
    ) -> tuple[Float[Array, "B W"], tuple[KVCache, ...]]:
        """Returns the hidden states of one token of each row, and the cache with the token's keys and values in it.

        Args:
            params: the backbone's parameters.
            blocks: what `arrange` made of these parameters.
            tokens: one token of each row.
            layout: the layout of all slots.
            cache: keys and values of each block for all slots, filled before `slot`.
            slot: the slot of the tokens.
        """
        hidden, filled = gemma.run_arranged(
            self.variant.gemma,
            params["PaliGemma"]["llm"],
            blocks,
            self.embed_tokens(params, tokens)[:, None],
            positions=jax.lax.dynamic_slice_in_dim(layout.positions, slot, 1, axis=1),
            mask=jax.lax.dynamic_slice_in_dim(layout.mask, slot, 1, axis=1),
            cache=cache,
            slot=slot,
        )
        return hidden[:, 0], filled


def embedding_table(params: Params) -> Float[Array, "V W"]:
    """Returns the token embedding, float32, whose rows are the output head too."""
    return jnp.asarray(params["PaliGemma"]["llm"]["embedder"]["input_embedding"])
