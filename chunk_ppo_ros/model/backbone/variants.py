"""Sizes of the two towers, by variant name, and where the action tokens' rows are; no parameters here."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig

_UNROLLED_DEPTH = 4  # towers up to this depth run unrolled: less overhead for a block, and still little to compile


@dataclasses.dataclass(frozen=True)
class SigLIPConfig:
    """Size of the image tower.

    Attributes:
        width: of the residual stream; a multiple of num_heads.
        depth: number of blocks.
        mlp_dim: hidden width of a block's MLP.
        num_heads: attention heads.
        remat: recompute a block in the backward pass instead of keeping its activations.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    remat: bool = False

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(
                f"SigLIP width must be a multiple of num_heads ({self.num_heads}), got {self.width}; "
                "heads are equally wide"
            )

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.width // self.num_heads

    @property
    def unroll(self) -> int:
        """Blocks for each turn of the loop over blocks."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class GemmaConfig:
    """Size of the decoder.

    Attributes:
        width: of the residual stream.
        depth: number of blocks.
        mlp_dim: hidden width of a block's gated MLP.
        num_heads: query heads.
        head_dim: width of one head; even, because RoPE turns pairs.
        num_kv_heads: key/value heads, each read by num_heads / num_kv_heads query heads (Ainslie et al., 2023).
        lora_rank: rank of the adapters of all matrices in the blocks; 0 has none.
        lora_alpha: adapters of the attention are scaled by lora_alpha / lora_rank.
        remat: recompute a block in the backward pass instead of keeping its activations.
        attend_in_blocks: attend to one sample after the other, a block of queries at a time, and recompute its weights
            in the backward pass, so that they stay in a CPU's cache; for small decoders on CPUs.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    head_dim: int
    num_kv_heads: int = 1
    lora_rank: int = 0
    lora_alpha: float = 16.0
    remat: bool = False
    attend_in_blocks: bool = False

    def __post_init__(self) -> None:
        if self.head_dim % 2:
            raise ValueError(f"Gemma head_dim must be even, got {self.head_dim}; RoPE turns pairs")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"Gemma num_heads must be a multiple of num_kv_heads ({self.num_kv_heads}), got {self.num_heads}; "
                "as many query heads must share each key/value head"
            )

    @property
    def lora_scale(self) -> float:
        """Factor on the adapters of the attention; 0 where there are none."""
        return self.lora_alpha / self.lora_rank if self.lora_rank else 0.0

    @property
    def unroll(self) -> int:
        """Blocks for each turn of the loop over blocks."""
        return self.depth if self.depth <= _UNROLLED_DEPTH else 1


@dataclasses.dataclass(frozen=True)
class Variant:
    """Both towers of one PaliGemma."""

    siglip: SigLIPConfig
    gemma: GemmaConfig


TowerT = TypeVar("TowerT", SigLIPConfig, GemmaConfig)

# So400m/14 and Gemma 2B: the published Pi0-FAST.
_PUBLISHED = Variant(
    siglip=SigLIPConfig(width=1152, depth=27, mlp_dim=4304, num_heads=16, remat=True),
    gemma=GemmaConfig(width=2048, depth=18, mlp_dim=16384, num_heads=8, head_dim=256, remat=True),
)

VARIANTS: dict[str, Variant] = {
    "gemma_2b": _PUBLISHED,
    "gemma_2b_lora": Variant(_PUBLISHED.siglip, dataclasses.replace(_PUBLISHED.gemma, lora_rank=16)),
    # Sized so that two CPU cores make a few hundred gradient samples a second.
    "tiny": Variant(
        siglip=SigLIPConfig(width=64, depth=1, mlp_dim=256, num_heads=4),
        gemma=GemmaConfig(width=96, depth=3, mlp_dim=256, num_heads=4, head_dim=24, attend_in_blocks=True),
    ),
}


def resolve_variant(config: Pi0FASTActorCriticConfig) -> Variant:
    """Both towers of a policy's configuration: the named variant's, with the sizes that are set replacing its own."""
    variant = VARIANTS[config.paligemma_variant]
    gemma = _with_sizes(variant.gemma, config, prefix="gemma_")
    rank = config.lora_rank or gemma.lora_rank
    return Variant(
        siglip=_with_sizes(variant.siglip, config, prefix="siglip_"),
        gemma=dataclasses.replace(gemma, lora_rank=rank, lora_alpha=config.lora_alpha),
    )


def _with_sizes(tower: TowerT, config: Pi0FASTActorCriticConfig, *, prefix: str) -> TowerT:
    names = [field.name for field in dataclasses.fields(tower) if hasattr(config, prefix + field.name)]
    given = {name: getattr(config, prefix + name) for name in names}
    return dataclasses.replace(tower, **{name: size for name, size in given.items() if size})
