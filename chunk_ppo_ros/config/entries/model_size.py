"""The sizes of the image tower and of the decoder, and the settings that change some of them.

`model/backbone/variants.py` says which variant has which sizes, and `model/backbone/` builds the networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.core.suggestions import nearest


@dataclasses.dataclass(frozen=True)
class SigLIPSize:
    """The size of the image tower.

    Attributes:
        width: width of the residual stream; a multiple of num_heads.
        depth: number of blocks.
        mlp_dim: hidden width of a block's MLP.
        num_heads: number of attention heads.
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(
                f"SigLIP width must be a multiple of num_heads ({self.num_heads}), got {self.width}; "
                "heads are equally wide"
            )


@dataclasses.dataclass(frozen=True)
class GemmaSize:
    """The size of the decoder.

    Attributes:
        width: width of the residual stream.
        depth: number of blocks.
        mlp_dim: hidden width of a block's gated MLP.
        num_heads: number of query heads.
        head_dim: width of one head; even, because RoPE turns pairs.
        num_kv_heads: key/value heads, each read by num_heads / num_kv_heads query heads (Ainslie et al., 2023).
    """

    width: int
    depth: int
    mlp_dim: int
    num_heads: int
    head_dim: int
    num_kv_heads: int = 1

    def __post_init__(self) -> None:
        if self.head_dim % 2:
            raise ValueError(f"Gemma head_dim must be even, got {self.head_dim}; RoPE turns pairs")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"Gemma num_heads must be a multiple of num_kv_heads ({self.num_kv_heads}), got {self.num_heads}; "
                "as many query heads must share each key/value head"
            )


@dataclasses.dataclass(frozen=True)
class ModelSize:
    """The sizes of the image tower and the decoder of one PaliGemma."""

    siglip: SigLIPSize
    gemma: GemmaSize

    @classmethod
    def from_numbers(cls, *, siglip: Mapping[str, int], gemma: Mapping[str, int]) -> ModelSize:
        """Returns the size from two mappings of names to numbers, such as those in the config.json of reference data.

        Raises:
            KeyError: when a number is missing; further entries are ignored.
            ValueError: when the sizes do not fit each other.
        """
        return cls(
            siglip=SigLIPSize(**{field.name: siglip[field.name] for field in dataclasses.fields(SigLIPSize)}),
            gemma=GemmaSize(**{field.name: gemma[field.name] for field in dataclasses.fields(GemmaSize)}),
        )

    @property
    def settings(self) -> tuple[str, ...]:
        """All ten numbers as settings. `changed` turns any other size into this one with them."""
        return size_settings(siglip=dataclasses.asdict(self.siglip), gemma=dataclasses.asdict(self.gemma))

    def changed(self, settings: Sequence[str]) -> ModelSize:
        """Returns this size with the numbers that `settings` change, for example ("gemma.depth=4",).

        Raises:
            ValueError: for a setting that `parse_settings` refuses, and for sizes that do not fit each other.
        """
        changes = parse_settings(settings)
        return ModelSize(
            siglip=dataclasses.replace(self.siglip, **changes["siglip"]),
            gemma=dataclasses.replace(self.gemma, **changes["gemma"]),
        )


NAMES = tuple(
    f"{tower}.{field.name}"
    for tower, size in (("siglip", SigLIPSize), ("gemma", GemmaSize))
    for field in dataclasses.fields(size)
)
"""The names that a setting may have, for example `gemma.depth`."""


def parse_settings(settings: Sequence[str]) -> dict[str, dict[str, int]]:
    """Returns the numbers that settings such as "gemma.depth=4" name, by tower and by field.

    Raises:
        ValueError: for a setting that is not NAME=NUMBER, an unknown name (with the nearest ones), a name that comes
            twice, or a number below 1.
    """
    changes: dict[str, dict[str, int]] = {"siglip": {}, "gemma": {}}
    for setting in settings:
        name, _, text = str(setting).partition("=")
        if name not in NAMES:
            near = nearest(name, NAMES, most=3) or NAMES
            raise ValueError(f"tower_sizes must name one of {', '.join(near)}, got '{setting}'; write gemma.depth=4")
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"tower_sizes must give {name} a whole number of at least 1, got '{setting}'")
        tower, field = name.split(".")
        if field in changes[tower]:
            raise ValueError(f"tower_sizes must give {name} once, got it again in '{setting}'; leave one out")
        changes[tower][field] = int(text)
    return changes


def size_settings(*, siglip: Mapping[str, int], gemma: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the settings, as `parse_settings` reads them, that give the towers these sizes."""
    towers = {"siglip": siglip, "gemma": gemma}
    return tuple(f"{tower}.{name}={number}" for tower, sizes in towers.items() for name, number in sizes.items())
