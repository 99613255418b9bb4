"""Holds the sizes of the two towers by the variant's name."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.entries.model_size import GemmaSize, ModelSize, SigLIPSize
from chunk_ppo_ros.core.errors import SettingError

_UNROLLED_DEPTH = 4  # Towers up to this depth run unrolled: a block has less overhead, and compiling stays short.


@dataclasses.dataclass(frozen=True)
class SigLIPConfig(SigLIPSize):
    """The size of the image tower, and how it is computed.

    Attributes:
        remat: whether the backward pass recomputes a block instead of keeping its activations.
    """

    remat: bool = False

    @property
    def head_dim(self) -> int:
        """The width of one attention head."""
        return self.width // self.num_heads

    @property
    def unroll(self) -> int:
        """The number of blocks that each turn of the loop over blocks runs."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class GemmaConfig(GemmaSize):
    """The size of the decoder, its adapters, and how it is computed.

    Attributes:
        lora_rank: rank of the adapters of all matrices in the blocks; 0 means no adapters.
        lora_alpha: numerator of the scale lora_alpha / lora_rank of the adapters of the attention.
        remat: whether the backward pass recomputes a block instead of keeping its activations.
        attend_in_blocks: whether the attention is computed for one sample after the other, a block of queries at a
            time. The backward pass then recomputes a block's weights, so that they stay in a CPU's cache. This is for
            small decoders on CPUs.
    """

    lora_rank: int = 0
    lora_alpha: float = 16.0
    remat: bool = False
    attend_in_blocks: bool = False

    @property
    def lora_scale(self) -> float:
        """The factor that multiplies the adapters of the attention; 0 where there are none."""
        return self.lora_alpha / self.lora_rank if self.lora_rank else 0.0

    @property
    def unroll(self) -> int:
        """The number of blocks that each turn of the loop over blocks runs."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class Towers:
    """The settings of both towers of one PaliGemma."""

    siglip: SigLIPConfig
    gemma: GemmaConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """The settings that a variant's name stands for.

    Attributes:
        size: sizes of both towers.
        lora_rank: rank of the decoder's adapters where the configuration names none; 0 means no adapters.
        remat: whether the backward pass of both towers recomputes a block instead of keeping its activations.
        attend_in_blocks: whether the decoder's attention is computed in blocks (see `GemmaConfig`).
    """

    size: ModelSize
    lora_rank: int = 0
    remat: bool = False
    attend_in_blocks: bool = False


# The published Pi0-FAST has the towers So400m/14 and Gemma 2B.
_PUBLISHED = ModelSize(
    siglip=SigLIPSize(width=1152, depth=27, mlp_dim=4304, num_heads=16),
    gemma=GemmaSize(width=2048, depth=18, mlp_dim=16384, num_heads=8, head_dim=256),
)
# These sizes are chosen so that two CPU cores process a few hundred samples a second in gradient steps.
_TINY = ModelSize(
    siglip=SigLIPSize(width=64, depth=1, mlp_dim=256, num_heads=4),
    gemma=GemmaSize(width=96, depth=3, mlp_dim=256, num_heads=4, head_dim=24),
)

VARIANTS: dict[str, Variant] = {
    "gemma_2b": Variant(_PUBLISHED, remat=True),
    "gemma_2b_lora": Variant(_PUBLISHED, remat=True, lora_rank=16),
    "tiny": Variant(_TINY, attend_in_blocks=True),
}


def resolve_variant(config: Pi0FASTActorCriticConfig) -> Towers:
    """Returns both towers of a policy's configuration: its variant, changed by `tower_sizes` and `lora_rank`.

    Raises:
        SettingError: when sizes do not fit each other.
    """
    variant = VARIANTS[config.paligemma_variant]
    try:
        size = variant.size.changed(config.tower_sizes)
    except ValueError as error:
        raise SettingError(f"model.tower_sizes cannot be used: {error}") from error
    return Towers(
        siglip=SigLIPConfig(**dataclasses.asdict(size.siglip), remat=variant.remat),
        gemma=GemmaConfig(
            **dataclasses.asdict(size.gemma),
            lora_rank=config.lora_rank or variant.lora_rank,
            lora_alpha=config.lora_alpha,
            remat=variant.remat,
            attend_in_blocks=variant.attend_in_blocks,
        ),
    )
