"""Sizes of the two towers, by variant name, and where the action tokens' rows are; no parameters here."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.model_size import GemmaSize, ModelSize, SigLIPSize

_UNROLLED_DEPTH = 4  # towers up to this depth run unrolled: less overhead for a block, and still little to compile


@dataclasses.dataclass(frozen=True)
class SigLIPConfig(SigLIPSize):
    """The image tower: its size, and how it is computed.

    Attributes:
        remat: recompute a block in the backward pass instead of keeping its activations.
    """

    remat: bool = False

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.width // self.num_heads

    @property
    def unroll(self) -> int:
        """Blocks for each turn of the loop over blocks."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class GemmaConfig(GemmaSize):
    """The decoder: its size, its adapters, and how it is computed.

    Attributes:
        lora_rank: rank of the adapters of all matrices in the blocks; 0 has none.
        lora_alpha: adapters of the attention are scaled by lora_alpha / lora_rank.
        remat: recompute a block in the backward pass instead of keeping its activations.
        attend_in_blocks: attend to one sample after the other, a block of queries at a time, and recompute its weights
            in the backward pass, so that they stay in a CPU's cache; for small decoders on CPUs.
    """

    lora_rank: int = 0
    lora_alpha: float = 16.0
    remat: bool = False
    attend_in_blocks: bool = False

    @property
    def lora_scale(self) -> float:
        """Factor on the adapters of the attention; 0 where there are none."""
        return self.lora_alpha / self.lora_rank if self.lora_rank else 0.0

    @property
    def unroll(self) -> int:
        """Blocks for each turn of the loop over blocks."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class Towers:
    """Both towers of one PaliGemma as they are built."""

    siglip: SigLIPConfig
    gemma: GemmaConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """What a variant's name stands for.

    Attributes:
        size: sizes of both towers.
        lora_rank: rank of the decoder's adapters where the configuration names none; 0 has none.
        remat: see `SigLIPConfig` and `GemmaConfig`; it is the same for both towers.
        attend_in_blocks: see `GemmaConfig`.
    """

    size: ModelSize
    lora_rank: int = 0
    remat: bool = False
    attend_in_blocks: bool = False


# So400m/14 and Gemma 2B: the published Pi0-FAST.
_PUBLISHED = ModelSize(
    siglip=SigLIPSize(width=1152, depth=27, mlp_dim=4304, num_heads=16),
    gemma=GemmaSize(width=2048, depth=18, mlp_dim=16384, num_heads=8, head_dim=256),
)
# Sized so that two CPU cores make a few hundred gradient samples a second.
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
    """Both towers of a policy's configuration: its variant, changed by `tower_sizes` and `lora_rank`.

    Raises:
        ValueError: when sizes do not fit each other.
    """
    variant = VARIANTS[config.paligemma_variant]
    size = variant.size.changed(config.tower_sizes)
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
